"""Loads and stores in a flow: the frame byte by byte, everything else by what it may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.blocks import Operation
from callproof.check.conventions import SAVED, UNDEFINED_AT_ENTRY
from callproof.check.state import (
    CONSTANT_VALUE,
    FOREIGN,
    MEMORY,
    STACK,
    TOP,
    UNKNOWN_VALUE,
    Slot,
    State,
    entry,
    is_constant,
    is_entry,
    is_stack,
)
from callproof.check.values import assign, give_away
from callproof.target.arm64.effects import SP_BIT, Effect

if TYPE_CHECKING:
    from callproof.check.flow import Flow

FRAME_BASES = (29, 31)  # through other registers arrays are walked
SWITCHED = SAVED | 1 << 30  # registers that a context switch loads


def is_shadow(effect: Effect, step: int) -> bool:
    """A push (8) on or a pop (-8) of the shadow call stack: X30 alone, through X18."""
    return effect.a == 18 and effect.c == step and effect.d == 8 and effect.writes >> 18 & 1 == 1


def base_of(flow: Flow, state: State, effect: Effect, address: int) -> int:
    """The base's value; reading it is a use unless it is the stack's."""
    value = state.values[effect.a]
    if effect.a == SP_BIT and is_stack(value) and value - STACK & 15:
        flow.event("misaligned", address, SP_BIT, value - STACK)
    if 1 << effect.a & state.watch:
        flow.use(state, 1 << effect.a, address)
    return value


def write_back(flow: Flow, state: State, effect: Effect, base: int, address: int) -> None:
    if effect.c:
        if is_stack(base):
            assign(flow, state, effect.a, base + effect.c, address)
        elif is_constant(base):
            state.set(effect.a, base + effect.c)
        else:
            assign(flow, state, effect.a, UNKNOWN_VALUE if base == UNKNOWN_VALUE else TOP, address)


def load(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, _, writes, effect = operation
    assert effect is not None
    if flow.shadow_pushed and is_shadow(effect, -8):  # it gives the link back
        state.set(30, entry(30))
        return True
    base = base_of(flow, state, effect, address)
    pairs = effect.pairs
    if is_stack(base):
        at = base - STACK + effect.b
        loaded = [load_slot(flow, state, at + p, size, address) for _, p, size in pairs]
        if at >= 0 and effect.a in FRAME_BASES:
            for _, p, _ in pairs:
                if at + p not in state.slots:
                    flow.stack_reads.setdefault(at + p, address)
    elif base == UNKNOWN_VALUE:
        loaded = [UNKNOWN_VALUE if size == 8 else TOP for _, _, size in pairs]
    elif is_constant(base):
        place = (base - CONSTANT_VALUE + effect.b) & (1 << 64) - 1
        loaded = [MEMORY + place + p if size == 8 else TOP for _, p, size in pairs]
    else:
        loaded = [FOREIGN if size == 8 and SWITCHED >> bit & 1 else TOP for bit, _, size in pairs]
        for number, (bit, p, _) in enumerate(pairs if flow.foreign_saves else ()):
            if (bit, effect.b + p) in flow.foreign_saves:
                loaded[number] = UNKNOWN_VALUE  # perhaps from where it was saved
    # The base may be among what is loaded: it was read before.
    state.clear(writes)
    write_back(flow, state, effect, base, address)
    for (bit, _, _), value in zip(pairs, loaded, strict=True):
        if value != TOP:
            state.set(bit, value)
        elif bit != effect.a:
            state.set(bit, TOP)
    return True


def load_slot(flow: Flow, state: State, at: int, size: int, address: int) -> int:
    pointer = state.values[SP_BIT]
    slot = state.slots.get(at)
    if slot is not None and is_stack(pointer) and at < pointer - STACK:
        zone = flow.profile.red_zone
        if at < pointer - STACK - zone:
            flow.event("below", address, SP_BIT, at - (pointer - STACK))
    if slot is None:
        return TOP
    if slot[0] == size == 8 or (slot[1] < 0 and abs(size) <= slot[0]):
        return slot[1]
    return TOP


def store(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, _, _, effect = operation
    assert effect is not None
    if is_shadow(effect, 8):
        flow.shadow_pushed = state.values[30] == entry(30)
        return True
    base = base_of(flow, state, effect, address)
    if is_stack(base):
        store_slots(flow, state, effect, base - STACK + effect.b, address)
    else:
        for bit, position, _ in effect.pairs:
            value = state.values[bit]
            if value >= CONSTANT_VALUE:
                give_away(flow, value)
            if value == bit + 1:
                flow.foreign_saves.add((bit, effect.b + position))
            if is_stack(value):
                state.escaped = True
            # A context switch stores what nobody defined; that is no use.
            elif base != UNKNOWN_VALUE and (value != bit + 1 or not UNDEFINED_AT_ENTRY >> bit & 1):
                flow.use(state, 1 << bit & state.watch, address)
    write_back(flow, state, effect, base, address)
    return True


def store_slots(flow: Flow, state: State, effect: Effect, at: int, address: int) -> None:
    values = state.values
    pointer = values[SP_BIT]
    after = pointer - STACK + (effect.c if effect.a == SP_BIT else 0)
    below = is_stack(pointer) and at < after
    if at >= 0:
        flow.touches_caller = True
    doubtful = {} if effect.a in FRAME_BASES else doubtful_saves(state, at, effect.d)
    for position in range(0, effect.d, 8):
        flow.written_slots.add(at + position)
        if len(effect.pairs) * 8 < effect.d:  # zero registers are no pairs
            state.store(at + position, min(8, effect.d), TOP, below)
    for bit, position, size in effect.pairs:
        value = values[bit]
        if is_stack(value):
            state.escaped = True
        elif value >= CONSTANT_VALUE:
            give_away(flow, value)
        if bit + 1 == value and size == 8 and bit not in flow.saves:
            flow.saves[bit] = (address, at + position)
        state.store(at + position, size, value, below)
    state.slots.update(doubtful)


def doubtful_saves(state: State, at: int, size: int) -> dict[int, Slot]:
    """Saved registers that a store through another pointer than SP and X29 would overwrite.

    Such a pointer walks an array, and on a path that is never taken it walks too far: what
    is in the slot then is not known.
    """
    return {
        offset: (slot[0], UNKNOWN_VALUE, slot[2])
        for offset, slot in state.slots.items()
        if at - 8 < offset < at + size and is_entry(slot[1]) and SAVED >> (slot[1] - 1) & 1
    }


def other_store(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, reads, writes, effect = operation
    assert effect is not None
    word = flow.code.image.word(address) or 0
    base = state.values[word >> 5 & 31]
    flow.use(state, reads & state.watch, address)
    if is_stack(base) or base == UNKNOWN_VALUE:
        # Somewhere in the frame: an array, hardly where registers are saved.
        for at, (size, value, below) in list(state.slots.items()):
            if value != UNKNOWN_VALUE and not is_entry(value):
                state.slots[at] = (size, TOP, below)
        state.escaped = True
    state.clear(writes)
    return True
