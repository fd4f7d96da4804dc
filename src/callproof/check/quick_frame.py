"""For the quick look: addresses in the frame that are in registers other than SP and X29.

They are followed as the full flow does, instruction by instruction, but only through the
runs that touch such a register.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.pieces import FP, SP
from callproof.check.quick_state import IN_FRAME, Doubt
from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import Effect, effect_of

if TYPE_CHECKING:
    from callproof.check.quick import Quick

MAYBE = -1  # a constant that is not known
MAKES_CONSTANTS = frozenset(
    (e.MOVE, e.MOVK, e.ADD_IMMEDIATE, e.ADD_REGISTER, e.ADDRESS, e.INDEXED_LOAD, e.LOAD)
)


def go_through(quick: Quick, item: int) -> None:
    """A run of plain instructions that reads or writes such a register."""
    pieces = quick.pieces
    first = pieces.places[item]
    held = dict(quick.holders)
    constants: dict[int, int] = {}
    written = 0
    for word in pieces.words[quick.number][first : first + pieces.lengths[item]].tolist():
        effect = effect_of(word)
        writes = effect.writes
        new: dict[int, int] = {}
        if any(effect.reads >> register & 1 for register in held):
            if effect.kind == e.ADD_REGISTER:
                maybe = MAYBE if quick.known & ~written >> effect.c & 1 else None
                new = _added(effect, held, constants.get(effect.c, maybe))
            else:
                new = _reads(quick, effect, held)
        for register in [register for register in held if writes >> register & 1]:
            del held[register]
        held |= new
        written |= writes
        if effect.kind == e.CONSTANT:
            constants[effect.a] = effect.b
        elif effect.kind in MAKES_CONSTANTS:
            constants |= {bit: MAYBE for bit in range(31) if writes >> bit & 1}
        else:
            for bit in [bit for bit in constants if writes >> bit & 1]:
                del constants[bit]
    quick.hold(held)


def _added(effect: Effect, held: dict[int, int], number: int | None) -> dict[int, int]:
    """An addition to an address of a register that holds a constant, perhaps, or None."""
    if effect.b not in held or number is None or effect.d < 0:
        return {}  # somewhere in the stack: the flow does not follow that either
    if number == MAYBE:
        raise Doubt
    number -= 1 << 64 if number >> 63 else 0
    return {effect.a: held[effect.b] + effect.e * (number << effect.d)}


def _reads(quick: Quick, effect: Effect, held: dict[int, int]) -> dict[int, int]:
    """What registers hold after an instruction that reads an address in the frame."""
    kind = effect.kind
    if kind == e.MOVE:
        if effect.c:
            return {}  # half an address is none
        return {to: held[source] for to, source in effect.pairs if source in held}
    if kind == e.ADD_IMMEDIATE:
        return {effect.a: held[effect.b] + effect.c}
    if kind not in (e.LOAD, e.STORE):
        return {}
    new: dict[int, int] = {}
    if effect.a in held:
        at = held[effect.a] + effect.b
        if effect.c:
            new[effect.a] = held[effect.a] + effect.c
        if kind == e.LOAD:
            new |= loaded(quick, effect, at)
        else:
            _store(quick, effect, at, held)
    return new


def loaded(quick: Quick, effect: Effect, at: int) -> dict[int, int]:
    """Addresses in the frame that are loaded back."""
    if at < quick.sp:
        raise Doubt
    new: dict[int, int] = {}
    for bit, position, _ in effect.pairs:
        value = quick.saved.get(at + position)
        if value is not None:
            if value < IN_FRAME // 2:
                raise Doubt  # a saved register through another pointer
            new[bit] = value - IN_FRAME
    return new


def _store(quick: Quick, effect: Effect, at: int, held: dict[int, int]) -> None:
    size = effect.d
    quick.written.update(range(at, at + size, 8))
    if at + size > 0:
        quick.outline.odd = True  # in the caller's frame
    saved = quick.saved
    hit = [slot for slot in saved if at - 8 < slot < at + size]
    if any(saved[slot] < IN_FRAME // 2 for slot in hit):
        raise Doubt
    changed = {slot: value for slot, value in saved.items() if slot not in hit}
    for bit, position, width in effect.pairs:
        if bit in held and width == 8:
            changed[at + position] = IN_FRAME + held[bit]
    quick.saved = changed


def is_frame_pointer(quick: Quick) -> bool:
    """Whether X29 gets an address in the frame anywhere in the function at hand."""
    columns = quick.pieces.columns[quick.number]
    kind, reads = columns.kind[quick.span], columns.reads[quick.span]
    from_sp = (kind == e.ADD_IMMEDIATE) & ((reads & SP) != 0)
    return bool((from_sp & ((columns.writes[quick.span] & FP) != 0)).any())
