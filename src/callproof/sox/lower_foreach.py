"""A step of a loop over a container: of an array, or the bytes of a string, without a call."""

from __future__ import annotations

from callproof.ir import operations as op
from callproof.ir.model import Block, Operand, Symbol
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.sox.lower_state import State
from callproof.sox.values import NIL, SoxValue, number_value, object_value, word


def take_step(
    state: State,
    container: SoxValue,
    iteration: Operand,
    inside: Block,
    done: Block,
    *,
    with_index: bool,
) -> tuple[SoxValue, SoxValue]:
    """Ends the current block and starts `inside`, with the loop's values; at the end of the
    container control goes to `done`.

    The values are the element and nil, or (`with_index`) the index or key and the
    element.  An array is looked at anew each time, as the body may change it.
    """
    builder = state.builder
    first, second = state.fresh("first"), state.fresh("second")

    def found(element: SoxValue, position: Operand) -> None:
        """Values of the step that is at a position."""
        following = builder.value(op.ADD, I64, position, word(1))
        builder.store(I64, following, iteration, layout.ITERATION_POSITION)
        if with_index:
            index = builder.value(op.SITOF, F64, position)
            state.write_pair(first, number_value(index))
            state.write_pair(second, element)
        else:
            state.write_pair(first, element)
            state.write_pair(second, NIL)
        builder.jump(inside)

    address = state.payload(container)
    array, other, item = map(builder.new_block, ("array", "other", "item"))
    state.branch(state.has_tag(container, layout.ARRAY), array, other)
    builder.start(array)
    position = builder.load(I64, iteration, layout.ITERATION_POSITION)
    count = builder.load(I64, address, layout.ARRAY_COUNT)
    builder.branch(builder.value(op.ULT, I64, position, count), item, done)
    builder.start(item)
    items = builder.load(I64, address, layout.ARRAY_ITEMS)
    offset = builder.value(op.SHL, I64, position, word(4))
    found(state.load_value(builder.value(op.ADD, I64, items, offset)), position)
    builder.start(other)
    if not with_index:
        string, byte, call = map(builder.new_block, ("string", "byte", "call"))
        state.branch(state.has_tag(container, layout.STRING), string, call)
        builder.start(string)
        position = builder.load(I64, iteration, layout.ITERATION_POSITION)
        length = builder.load(I64, address, layout.STRING_LENGTH)
        builder.branch(builder.value(op.ULT, I64, position, length), byte, done)
        builder.start(byte)
        bytes_ = builder.load(I64, address, layout.STRING_BYTES)
        place = builder.value(op.ADD, I64, bytes_, position)
        code = builder.emit(op.LOAD_U8, I64, [place])
        assert code is not None
        state.program.module.external_data.setdefault("sox_bytes", 8)
        where = builder.value(op.MUL, I64, code, word(layout.STRING_SIZE))
        one = builder.value(op.ADD, I64, Symbol("sox_bytes"), where)
        found(object_value(layout.STRING, one), position)
        builder.start(call)
    more = state.runtime("sox_next_pair" if with_index else "sox_next_value", iteration)[0]
    got = builder.new_block("got")
    builder.branch(more, got, done)
    builder.start(got)
    state.write_pair(first, state.load_value(iteration, layout.ITERATION_FIRST))
    state.write_pair(
        second, state.load_value(iteration, layout.ITERATION_SECOND) if with_index else NIL
    )
    builder.jump(inside)
    builder.start(inside)
    return state.read_pair(first), state.read_pair(second)
