"""Fields and elements: found inline where the site's cache knows the shape or it is an array."""

from __future__ import annotations

from callproof.ir import operations as op
from callproof.ir.model import CONSTANT, VALUE, Block, Operand, Symbol
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.kinds import INSTANCE, TABLE
from callproof.sox.lower_operators import OperatorLowering
from callproof.sox.lower_state import EXPRESSIONS
from callproof.sox.symbols import INITIALIZER
from callproof.sox.values import UNDEFINED, SoxValue, object_value, word

CALLS = (op.CALL, op.CALL_INDIRECT)


class AccessLowering(OperatorLowering):
    """See the module."""

    # --- fields -------------------------------------------------------------------------------

    def known_slot(self, receiver: ast.Expression, name: str) -> int | None:
        """The field's slot in every instance that the receiver can be, if that is certain.

        In an initializer `this` need not have its fields yet.
        """
        kind = self.flow.kind(receiver)
        if kind.tags & TABLE or not kind.tags & INSTANCE:
            return None
        if isinstance(receiver, ast.This) and self.function.kind == INITIALIZER:
            return None
        return self.program.slots.slot(kind.classes, name)

    def field_tags(self, receiver: ast.Expression, name: str) -> int:
        """What the field holds in all instances that the receiver can be."""
        tags = 0
        for info in self.flow.kind(receiver).classes:
            tags |= self.flow.held(("field", info, name)).tags
        return tags

    def require_instance(self, value: SoxValue, symbol: str, *operands: Operand) -> None:
        """Where it is none, the runtime function ends the program."""
        if self.tag_of(value) == layout.INSTANCE:
            return
        builder = self.builder
        bad, fine = builder.new_block("no_instance"), builder.new_block("instance")
        self.branch(self.has_tag(value, layout.INSTANCE), fine, bad)
        builder.start(bad)
        self.fail(symbol, *self.words(value), *operands)
        builder.start(fine)
        self.learn(value, layout.INSTANCE)

    def fields(self, value: SoxValue) -> Operand:
        """Where the instance's fields are: loaded once a block, as long as nothing is called.

        (Only a new field moves them, and fields with a known slot are not new.)
        """
        instance = self.payload(value)
        block = self.builder.current
        key = instance.number if instance.kind == VALUE else -1  # type: ignore[union-attr]
        known = self.known_fields.get(key)
        if known is not None and known[0] is block:
            between = block.instructions[known[1] :]
            if all(one.operation not in CALLS for one in between):
                self.known_fields[key] = (block, len(block.instructions), known[2])
                return known[2]
        found = self.builder.load(I64, instance, layout.INSTANCE_FIELDS, name="fields")
        self.known_fields[key] = (block, len(block.instructions), found)
        return found

    def instance_with_shape(self, value: SoxValue, cache: Operand, slow: Block) -> Operand:
        """Goes to `slow` unless the value is an instance whose shape the cache knows."""
        builder = self.builder
        if self.tag_of(value) != layout.INSTANCE:
            instance = builder.new_block("instance")
            self.branch(self.has_tag(value, layout.INSTANCE), instance, slow)
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
        name = Symbol(self.program.name_string(node.name))
        tags = self.flow.tags(node)
        known = self.known_slot(node.receiver, node.name)
        if known is not None:
            self.require_instance(receiver, "sox_get_property", name, cache)
            return self.load_value(self.fields(receiver), known * layout.VALUE_SIZE, tags)
        pair = self.fresh(node.name, tags)
        slow, done = builder.new_block("slow"), builder.new_block("got")
        instance = self.instance_with_shape(receiver, cache, slow)
        method = builder.load(I64, cache, layout.CACHE_METHOD)
        field = builder.new_block("field")
        builder.branch(builder.value(op.EQ, I64, method, word(0)), field, slow)
        builder.start(field)
        self.write_pair(pair, self.load_value(self.field_place(instance, cache), 0, tags))
        builder.jump(done)
        builder.start(slow)
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
        name = Symbol(self.program.name_string(node.name))
        known = self.known_slot(node.receiver, node.name)
        if known is not None:
            operands = [name, *self.words(value), cache]
            self.require_instance(receiver, "sox_set_property", *operands)
            held = self.field_tags(node.receiver, node.name)
            offset = known * layout.VALUE_SIZE
            self.store_value(value, self.fields(receiver), offset, held=held)
            return value
        slow, done = builder.new_block("slow"), builder.new_block("set")
        instance = self.instance_with_shape(receiver, cache, slow)
        self.store_value(value, self.field_place(instance, cache))
        following = builder.load(I64, cache, layout.CACHE_NEXT)
        builder.store(I64, following, instance, layout.INSTANCE_SHAPE)
        builder.jump(done)
        builder.start(slow)
        operands = [*self.words(receiver), name, *self.words(value), cache]
        self.runtime("sox_set_property", *operands)
        builder.jump(done)
        builder.start(done)
        return value

    # --- elements -----------------------------------------------------------------------------

    def element(self, container: SoxValue, index: SoxValue, slow: Block) -> Operand:
        """The place of an array's element; `slow` for everything else."""
        builder = self.builder
        checks = [self.has_tag(container, layout.ARRAY), self.has_tag(index, layout.NUMBER)]
        if any(one.kind != CONSTANT or not one.value for one in checks):  # type: ignore[union-attr]
            array = builder.new_block("array")
            self.branch_all(array, slow, *checks)
            builder.start(array)
        number = self.number(index)
        whole = builder.value(op.FTOSI, I64, number)
        address = self.payload(container)
        count = builder.load(I64, address, layout.ARRAY_COUNT)
        inside = [builder.value(op.ULT, I64, whole, count)]
        if not self.is_ordered(number):
            # What is no number at all becomes 0 when it is converted.
            inside.append(builder.value(op.FEQ, F64, number, number))
        fine = builder.new_block("inside")
        self.branch_all(fine, slow, *inside)
        builder.start(fine)
        items = builder.load(I64, address, layout.ARRAY_ITEMS)
        return builder.value(
            op.ADD, I64, items, builder.value(op.SHL, I64, whole, word(4)), name="element"
        )

    def fails_outside(self, container: ast.Expression) -> bool:
        """Whether the runtime only has errors for what `element` cannot find: no tables here."""
        return not self.flow.tags(container) & TABLE

    def index(self, node: ast.Index) -> SoxValue:
        container = self.expression(node.receiver)
        index = self.expression(node.index)
        self.at(node)
        builder = self.builder
        tags = self.flow.tags(node)
        slow = builder.new_block("slow")
        if self.fails_outside(node.receiver):
            place, found = self.element(container, index, slow), builder.current
            builder.start(slow)
            self.fail("sox_index", *self.words(container, index))
            builder.start(found, seal=False)
            self.learn_element(container, index)
            return self.load_value(place, 0, tags)
        pair = self.fresh("element", tags)
        done = builder.new_block("got")
        place = self.element(container, index, slow)
        self.write_pair(pair, self.load_value(place, 0, tags))
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
        held = self.flow.elements(self.flow.kind(node.receiver)).tags
        slow = builder.new_block("slow")
        if self.fails_outside(node.receiver):
            place, found = self.element(container, index, slow), builder.current
            builder.start(slow)
            self.fail("sox_set_index", *self.words(container, index, value))
            builder.start(found, seal=False)
            self.learn_element(container, index)
            self.store_value(value, place, held=held)
            return value
        done = builder.new_block("set")
        place = self.element(container, index, slow)
        self.store_value(value, place, held=held)
        builder.jump(done)
        builder.start(slow)
        self.runtime("sox_set_index", *self.words(container, index, value))
        builder.jump(done)
        builder.start(done)
        return value

    def learn_element(self, container: SoxValue, index: SoxValue) -> None:
        self.learn(container, layout.ARRAY)
        self.learn(index, layout.NUMBER)

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
