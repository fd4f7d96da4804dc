"""Moves, constants and address arithmetic in a flow: where values that matter come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.blocks import Operation, instruction_at
from callproof.check.state import (
    CERTAIN,
    COMPUTED,
    CONSTANT_VALUE,
    COPIED,
    TABLES,
    TOP,
    UNKNOWN_VALUE,
    State,
    is_constant,
    is_stack,
)
from callproof.check.tables import Table
from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import SP_BIT

if TYPE_CHECKING:
    from callproof.check.flow import Flow

ARGUMENT_REGISTERS = 0xFF | 0xFF << 32


def move(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, _, writes, effect = operation
    assert effect is not None
    values = [state.values[source] for _, source in effect.pairs]
    empty = state.empty >> effect.pairs[0][1] & 1
    if effect.c and values[0] >= 0 and not empty:  # half of a value is another value
        flow.use(state, 1 << effect.pairs[0][1] & state.watch, address)
        values = [TOP]
    state.clear(writes)
    for (bit, source), value in zip(effect.pairs, values, strict=True):
        if value in CERTAIN and bit != source and ARGUMENT_REGISTERS >> bit & 1:
            value = COPIED
        assign(flow, state, bit, value, address)
    return True


def passed(flow: Flow, state: State, address: int) -> None:
    """At a call: arguments that were moved to their places though a call had left them."""
    if COPIED not in state.values[:8] and COPIED not in state.values[32:40]:
        return
    mask = state.watch & ARGUMENT_REGISTERS
    while mask:
        low = mask & -mask
        mask ^= low
        bit = low.bit_length() - 1
        if state.values[bit] == COPIED:
            move_of(flow, bit, address)
            state.watch &= ~low


def move_of(flow: Flow, bit: int, address: int, *, left: bool = True) -> None:
    """The move that put rubbish into an argument register, if it is in the same block: what
    a call has left, or else what was there at entry."""
    start = flow.blocks[flow.current].start if flow.current in flow.blocks else address
    for place in range(address - 4, start - 4, -4):
        effect = instruction_at(flow.code, place)
        if effect.writes >> bit & 1:
            for to, source in effect.pairs if effect.kind == e.MOVE else ():
                if to != bit:
                    continue
                if left:
                    flow.event("read-after-call", place, source)
                else:
                    flow.need(source, place)
            return


def assign(flow: Flow, state: State, bit: int, value: int, address: int) -> None:
    if bit == SP_BIT and not is_stack(value):
        if value != UNKNOWN_VALUE:
            flow.switched = flow.switched or address
        value = UNKNOWN_VALUE
    state.set(bit, value)


def constant(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, _, _, effect = operation
    assert effect is not None
    assign(flow, state, effect.a, CONSTANT_VALUE + effect.b, address)
    return True


def movk(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, _, _, effect = operation
    assert effect is not None
    value = state.values[effect.a]
    if is_constant(value):
        value = CONSTANT_VALUE + ((value - CONSTANT_VALUE) & effect.c | effect.b)
        state.set(effect.a, value)
    else:
        flow.use(state, 1 << effect.a & state.watch, address)
        state.set(effect.a, TOP)
    return True


def address(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, _, _, effect = operation
    assert effect is not None
    base = address & ~0xFFF if effect.c else address
    target = base + effect.b & (1 << 64) - 1
    state.set(effect.a, CONSTANT_VALUE + target)
    return True


def give_away(flow: Flow, value: int, *, private: bool = False) -> None:
    """A value goes where others see it: if it is a function's address, they may call it;
    `private`: only a driver does that knows its registers."""
    if is_constant(value):
        function = flow.code.functions.get(value - CONSTANT_VALUE)
        if function is not None:
            function.called |= private
            function.pointed |= not private


def add_immediate(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, reads, _, effect = operation
    assert effect is not None
    value = state.values[effect.b]
    if is_stack(value):
        value += effect.c
    elif is_constant(value):
        target = (value - CONSTANT_VALUE + effect.c) & (1 << 64) - 1
        value = CONSTANT_VALUE + target
    elif value == UNKNOWN_VALUE or (effect.c == 0 and effect.a != SP_BIT):
        pass  # the same unknown place, or a copy
    else:
        flow.use(state, reads & state.watch, address)
        value = TOP
    assign(flow, state, effect.a, value, address)
    return True


def add_register(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, reads, _, effect = operation
    assert effect is not None
    left, right = state.values[effect.b], state.values[effect.c]
    value = TOP
    if is_constant(right) and effect.d >= 0 and (is_stack(left) or is_constant(left)):
        number = (right - CONSTANT_VALUE) << effect.d
        if number >> 63:
            number -= 1 << 64
        value = left + effect.e * number
        if is_constant(left):
            value = CONSTANT_VALUE + (value - CONSTANT_VALUE & (1 << 64) - 1)
    elif is_stack(left) and is_constant(right):
        value = UNKNOWN_VALUE
    elif effect.e > 0 and (table := table_step(flow, left, right, effect.d)):
        value = keep_table(flow, table)
    elif left == UNKNOWN_VALUE or is_stack(left) or (effect.e > 0 and is_stack(right)):
        flow.use(state, reads & state.watch, address)
        value = UNKNOWN_VALUE  # somewhere in the stack
    else:
        flow.use(state, reads & state.watch, address)
        if effect.e > 0 and (is_constant(left) or is_constant(right)):
            value = COMPUTED
    assign(flow, state, effect.a, value, address)
    return True


def keep_table(flow: Flow, table: Table) -> int:
    number = flow.table_numbers.get(table)
    if number is None:
        number = flow.table_numbers[table] = len(flow.tables)
        flow.tables.append(table)
    return TABLES + number


def table_step(flow: Flow, left: int, right: int, shift: int) -> Table | None:
    if right >= TABLES and is_constant(left):
        base, loaded = left, right
    elif left >= TABLES and is_constant(right) and shift == 0:
        base, loaded = right, left
    else:
        return None
    table = flow.tables[loaded - TABLES]
    return None if table.base is not None else table.based(base - CONSTANT_VALUE, shift)


def indexed_load(flow: Flow, state: State, operation: Operation) -> bool:
    _, address, reads, _, effect = operation
    assert effect is not None
    base = state.values[effect.b]
    if is_stack(base) or base == UNKNOWN_VALUE:
        flow.use(state, 1 << effect.c & state.watch, address)
        state.set(effect.a, UNKNOWN_VALUE if abs(effect.d) == 8 else TOP)
        return True
    flow.use(state, reads & state.watch, address)
    if is_constant(base):
        table = Table(base - CONSTANT_VALUE, effect.d, address, effect.c)
        state.set(effect.a, keep_table(flow, table))
    else:
        state.set(effect.a, TOP)
    return True
