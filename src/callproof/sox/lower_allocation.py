"""Objects made where the program asks for them: a cell off the collector's list, filled in.

The list is empty when cells have to be swept or garbage to be collected (and always when
that is to happen at every allocation); then the runtime is asked.  Nothing may be allocated
between taking a cell and filling it in, as its contents are anything until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.ir import operations as op
from callproof.ir.model import Operand, Symbol
from callproof.ir.types import I64
from callproof.runtime import sox_layout as layout
from callproof.sox.symbols import FunctionInfo
from callproof.sox.values import SoxValue, object_value, word

if TYPE_CHECKING:
    from callproof.sox.lower_state import State

FREE_LISTS = "gc_free"
GRANULE = 16


def allocate(state: State, size: int, header: int) -> Operand:
    """A new object's address; its first eight bytes are `header`, the others anything."""
    assert GRANULE < size <= layout.FREE_LIMIT
    size_class = (size + GRANULE - 1) // GRANULE - 1
    state.program.module.external_data.setdefault(FREE_LISTS, 8)
    builder = state.builder
    cells = Symbol(FREE_LISTS, 8 * size_class)
    key = object()
    builder.declare(key, I64, "object")
    full, empty, done = map(builder.new_block, ("cell", "no_cell", "object"))
    first = builder.load(I64, cells)
    builder.branch(first, full, empty)
    builder.start(full)
    builder.store(I64, builder.load(I64, first, layout.FREE_NEXT), cells)
    builder.write(key, first)
    builder.jump(done)
    builder.start(empty)
    builder.write(key, state.runtime("sox_take_cell", word(size_class))[0])
    builder.jump(done)
    builder.start(done)
    made = builder.read(key)
    builder.store(I64, word(header), made)
    return made


def new_cell(state: State, content: SoxValue) -> Operand:
    """The box of a captured variable."""
    made = allocate(state, layout.CELL_SIZE, layout.CELL)
    state.store_value(content, made, layout.CELL_CONTENT)
    return made


def new_closure(state: State, function: FunctionInfo, captures: list[SoxValue]) -> SoxValue:
    program, builder = state.program, state.builder
    size = layout.CLOSURE_CAPTURES + len(captures) * layout.VALUE_SIZE
    info = Symbol(program.info(function))
    if size > layout.FREE_LIMIT:
        place = state.spill(captures)
        made = state.runtime("sox_closure", info, word(len(captures)), place)
        return object_value(layout.CLOSURE, made[1])
    header = layout.CLOSURE | len(captures) << (8 * layout.CLOSURE_COUNT)
    address = allocate(state, size, header)
    entry = program.symbol(function)
    builder.store(I64, Symbol(entry), address, layout.CLOSURE_ENTRY)
    builder.store(I64, Symbol(f"{entry}$spread"), address, layout.CLOSURE_SPREAD)
    builder.store(I64, info, address, layout.CLOSURE_INFO)
    for index, value in enumerate(captures):
        state.store_value(value, address, layout.CLOSURE_CAPTURES + index * layout.VALUE_SIZE)
    return object_value(layout.CLOSURE, address)


def new_array(state: State) -> SoxValue:
    """An empty one."""
    address = allocate(state, layout.ARRAY_SIZE, layout.ARRAY)
    for offset in (layout.ARRAY_COUNT, layout.ARRAY_CAPACITY, layout.ARRAY_ITEMS):
        state.builder.store(I64, word(0), address, offset)
    return object_value(layout.ARRAY, address)


def new_instance(state: State, class_: Operand) -> SoxValue:
    """An instance without fields; the class says of which list its cell comes."""
    builder = state.builder
    key = object()
    builder.declare(key, I64, "instance")
    full, empty, done = map(builder.new_block, ("cell", "no_cell", "instance"))
    cells = builder.load(I64, class_, layout.CLASS_CELLS)
    first = builder.load(I64, cells)
    builder.branch(first, full, empty)
    builder.start(full)
    builder.store(I64, builder.load(I64, first, layout.FREE_NEXT), cells)
    builder.store(I64, word(layout.INSTANCE), first)
    builder.store(I64, class_, first, layout.INSTANCE_CLASS)
    root = builder.load(I64, class_, layout.CLASS_ROOT)
    builder.store(I64, root, first, layout.INSTANCE_SHAPE)
    inside = builder.value(op.ADD, I64, first, word(layout.INSTANCE_INSIDE))
    builder.store(I64, inside, first, layout.INSTANCE_FIELDS)
    builder.write(key, first)
    builder.jump(done)
    builder.start(empty)
    builder.write(key, state.runtime("sox_new_instance", class_)[0])
    builder.jump(done)
    builder.start(done)
    return object_value(layout.INSTANCE, builder.read(key))
