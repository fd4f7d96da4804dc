"""Fields and elements: found inline where the site's cache knows the shape or it is an array."""

from __future__ import annotations

from callproof.ir import operations as op
from callproof.ir.model import CONSTANT, Block, Operand, Symbol
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.lower_operators import OperatorLowering
from callproof.sox.lower_state import EXPRESSIONS
from callproof.sox.values import UNDEFINED, SoxValue, object_value, word


class AccessLowering(OperatorLowering):
    """See the module."""

    def instance_with_shape(self, value: SoxValue, cache: Operand, slow: Block) -> Operand:
        """Goes to `slow` unless the value is an instance whose shape the cache knows."""
        builder = self.builder
        if self.tag_of(value) != layout.INSTANCE:
            instance = builder.new_block("instance")
            builder.branch(self.has_tag(value, layout.INSTANCE), instance, slow)
            builder.start(instance)
        address = self.payload(value)
        shape = builder.load(I64, address, layout.INSTANCE_SHAPE)
        known = builder.load(I64, cache, layout.CACHE_SHAPE)
        hit = builder.new_block("hit")
        builder.branch(builder.value(op.EQ, I64, shape, known), hit, slow)
        builder.start(hit)
        return address

    def field_place(self, instance: Operand, cache: Operand) -> Operand:
        builder = self.builder
        slot = builder.load(I64, cache, layout.CACHE_SLOT)
        fields = builder.load(I64, instance, layout.INSTANCE_FIELDS)
        return builder.value(
            op.ADD, I64, fields, builder.value(op.SHL, I64, slot, word(4)), name="field"
        )

    def get(self, node: ast.Get) -> SoxValue:
        receiver = self.expression(node.receiver)
        self.at(node)
        builder = self.builder
        cache = Symbol(self.program.cache())
        pair = self.fresh(node.name)
        slow, done = builder.new_block("slow"), builder.new_block("got")
        instance = self.instance_with_shape(receiver, cache, slow)
        method = builder.load(I64, cache, layout.CACHE_METHOD)
        field = builder.new_block("field")
        builder.branch(builder.value(op.EQ, I64, method, word(0)), field, slow)
        builder.start(field)
        self.write_pair(pair, self.load_value(self.field_place(instance, cache)))
        builder.jump(done)
        builder.start(slow)
        name = Symbol(self.program.name_string(node.name))
        operands = [*self.words(receiver), name, cache]
        self.write_pair(pair, self.runtime_value("sox_get_property", *operands))
        builder.jump(done)
        builder.start(done)
        return self.read_pair(pair)

    def set(self, node: ast.Set) -> SoxValue:
        receiver = self.expression(node.receiver)
        value = self.expression(node.value)
        self.at(node)
        builder = self.builder
        cache = Symbol(self.program.cache())
        slow, done = builder.new_block("slow"), builder.new_block("set")
        instance = self.instance_with_shape(receiver, cache, slow)
        self.store_value(value, self.field_place(instance, cache))
        following = builder.load(I64, cache, layout.CACHE_NEXT)
        builder.store(I64, following, instance, layout.INSTANCE_SHAPE)
        builder.jump(done)
        builder.start(slow)
        name = Symbol(self.program.name_string(node.name))
        operands = [*self.words(receiver), name, *self.words(value), cache]
        self.runtime("sox_set_property", *operands)
        builder.jump(done)
        builder.start(done)
        return value

    def element(self, container: SoxValue, index: SoxValue, slow: Block) -> Operand:
        """The place of an array's element; `slow` for everything else."""
        builder = self.builder
        good = self.all_true(
            self.has_tag(container, layout.ARRAY), self.has_tag(index, layout.NUMBER)
        )
        if not (good.kind == CONSTANT and good.value):  # type: ignore[union-attr]
            array = builder.new_block("array")
            self.branch(good, array, slow)
            builder.start(array)
        number = self.number(index)
        whole = builder.value(op.FTOSI, I64, number)
        address = self.payload(container)
        count = builder.load(I64, address, layout.ARRAY_COUNT)
        inside = builder.value(op.ULT, I64, whole, count)
        if not (index.number is not None and index.number.kind == CONSTANT):
            # What is no number at all becomes 0 when it is converted.
            inside = builder.value(op.AND, I64, inside, builder.value(op.FEQ, F64, number, number))
        fine = builder.new_block("inside")
        builder.branch(inside, fine, slow)
        builder.start(fine)
        items = builder.load(I64, address, layout.ARRAY_ITEMS)
        return builder.value(
            op.ADD, I64, items, builder.value(op.SHL, I64, whole, word(4)), name="element"
        )

    def index(self, node: ast.Index) -> SoxValue:
        container = self.expression(node.receiver)
        index = self.expression(node.index)
        self.at(node)
        builder = self.builder
        pair = self.fresh("element")
        slow, done = builder.new_block("slow"), builder.new_block("got")
        place = self.element(container, index, slow)
        self.write_pair(pair, self.load_value(place))
        builder.jump(done)
        builder.start(slow)
        operands = self.words(container, index)
        self.write_pair(pair, self.runtime_value("sox_index", *operands))
        builder.jump(done)
        builder.start(done)
        return self.read_pair(pair)

    def set_index(self, node: ast.SetIndex) -> SoxValue:
        container = self.expression(node.receiver)
        index = self.expression(node.index)
        value = self.expression(node.value)
        self.at(node)
        builder = self.builder
        slow, done = builder.new_block("slow"), builder.new_block("set")
        place = self.element(container, index, slow)
        self.store_value(value, place)
        builder.jump(done)
        builder.start(slow)
        self.runtime("sox_set_index", *self.words(container, index, value))
        builder.jump(done)
        builder.start(done)
        return value

    def slice(self, node: ast.Slice) -> SoxValue:
        receiver = self.expression(node.receiver)
        bounds = [
            UNDEFINED if one is None else self.expression(one) for one in (node.first, node.last)
        ]
        self.at(node)
        found = self.runtime_value("sox_slice", *self.words(receiver, *bounds))
        return object_value(layout.ARRAY, self.payload(found))


EXPRESSIONS[ast.Get] = AccessLowering.get
EXPRESSIONS[ast.Set] = AccessLowering.set
EXPRESSIONS[ast.Index] = AccessLowering.index
EXPRESSIONS[ast.SetIndex] = AccessLowering.set_index
EXPRESSIONS[ast.Slice] = AccessLowering.slice
