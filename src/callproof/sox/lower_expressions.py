"""Expressions: values, operators with their fast paths, variables, fields, elements.

Where operands are numbers an operation is one instruction behind a check of their tags;
everything else is the runtime's.  What a check has found out holds for the SSA value
wherever control has passed the check (`facts`), so it is not made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import CONSTANT, VALUE, Block, Instruction, Operand, Symbol
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.infer import is_number, numeric_locals
from callproof.sox.signatures import GLOBALS
from callproof.sox.symbols import (
    SCRIPT,
    CaptureInfo,
    FunctionInfo,
    GlobalInfo,
    LocalInfo,
    Resolution,
)
from callproof.sox.values import (
    NIL,
    UNDEFINED,
    SoxValue,
    boolean_value,
    constant_number,
    number_value,
    object_value,
    word,
)

if TYPE_CHECKING:
    from callproof.sox.lower import ProgramLowering

# Operator: the IR's, and the runtime's for everything that is no pair of numbers.
ARITHMETIC = {
    "+": (op.FADD, "sox_add"),
    "-": (op.FSUB, "sox_subtract"),
    "*": (op.FMUL, "sox_multiply"),
    "/": (op.FDIV, "sox_divide"),
    "%": (None, "sox_remainder"),
}
COMPARISONS = {
    "<": (op.FLT, "sox_less"),
    "<=": (op.FLE, "sox_less_equal"),
    ">": (op.FGT, "sox_greater"),
    ">=": (op.FGE, "sox_greater_equal"),
}


class Lowering:
    """The state of one function's lowering, and what every part of it uses."""

    def __init__(
        self, program: ProgramLowering, builder: FunctionBuilder, function: FunctionInfo
    ) -> None:
        self.program = program
        self.builder = builder
        self.function = function
        self.numeric = numeric_locals(function)
        self.facts: dict[int, int] = {}
        self.defers: Operand | None = None
        self._scratch: Operand | None = None

    # --- blocks and calls ---------------------------------------------------------------------

    def runtime(self, symbol: str, *operands: Operand) -> list[Operand]:
        return list(self.builder.call(symbol, self.program.declare(symbol), operands))

    def runtime_value(self, symbol: str, *operands: Operand) -> SoxValue:
        tag, payload = self.runtime(symbol, *operands)
        return SoxValue(tag, payload)

    def fail(self, symbol: str, *operands: Operand) -> None:
        """A runtime function that does not come back; what follows is not reached."""
        self.runtime(symbol, *operands)
        self.builder.unreachable()

    def words(self, *values: SoxValue) -> list[Operand]:
        found: list[Operand] = []
        for value in values:
            found += [value.tag, self.payload(value)]
        return found

    def payload(self, value: SoxValue) -> Operand:
        if value.payload is None:
            assert value.number is not None
            if value.number.kind == CONSTANT:
                import struct

                number = value.number.value  # type: ignore[union-attr]
                bits = struct.unpack("<q", struct.pack("<d", float(number)))[0]
                value.payload = word(bits)
            else:
                # Made where it is needed and not kept: that place need not dominate others.
                return self.builder.value(op.BITCAST, I64, value.number)
        return value.payload

    def number(self, value: SoxValue) -> Operand:
        """The f64 of what is known to be a number."""
        if value.number is not None:
            return value.number
        assert value.payload is not None
        return self.builder.value(op.BITCAST, F64, value.payload)

    def tag_of(self, value: SoxValue) -> int | None:
        """The tag as far as it is known here."""
        known = value.known_tag
        if known is None and value.tag.kind == VALUE:
            return self.facts.get(value.tag.number)  # type: ignore[union-attr]
        return known

    def learn(self, value: SoxValue, tag: int) -> None:
        if value.tag.kind == VALUE:
            self.facts[value.tag.number] = tag  # type: ignore[union-attr]

    def has_tag(self, value: SoxValue, tag: int) -> Operand:
        known = self.tag_of(value)
        if known is not None:
            return word(int(known == tag))
        return self.builder.value(op.EQ, I64, value.tag, word(tag))

    def all_true(self, *conditions: Operand) -> Operand:
        """1 if all of them are 1; constants among them cost nothing."""
        found: Operand | None = None
        for one in conditions:
            if one.kind == CONSTANT:
                if not one.value:  # type: ignore[union-attr]
                    return word(0)
                continue
            found = one if found is None else self.builder.value(op.AND, I64, found, one)
        return word(1) if found is None else found

    def branch(self, condition: Operand, then: Block, otherwise: Block) -> None:
        if condition.kind == CONSTANT:
            self.builder.jump(then if condition.value else otherwise)  # type: ignore[union-attr]
        else:
            self.builder.branch(condition, then, otherwise)

    def fresh(self, name: str) -> tuple[tuple[str, object], tuple[str, object]]:
        """A temporary variable for a value that comes from several paths."""
        key = object()
        tag, payload = (f"{name} tag", key), (f"{name} payload", key)
        self.builder.declare(tag, I64, "tag")
        self.builder.declare(payload, I64, "payload")
        return tag, payload

    def write_pair(self, pair: tuple[object, object], value: SoxValue) -> None:
        self.builder.write(pair[0], value.tag)
        self.builder.write(pair[1], self.payload(value))

    def read_pair(self, pair: tuple[object, object]) -> SoxValue:
        return SoxValue(self.builder.read(pair[0]), self.builder.read(pair[1]))

    def scratch(self, count: int) -> Operand:
        """Room for `count` values in the frame, shared by all calls (and used at once)."""
        if self._scratch is None:
            self._scratch = self.builder.slot(layout.VALUE_SIZE, 16, "arguments")
        made: Instruction = self._scratch.definition  # type: ignore
        made.size = max(made.size, count * layout.VALUE_SIZE)
        return self._scratch

    def store_value(self, value: SoxValue, address: Operand, offset: int = 0) -> None:
        self.builder.store(I64, value.tag, address, offset)
        self.builder.store(I64, self.payload(value), address, offset + layout.VALUE_PAYLOAD)

    def load_value(self, address: Operand, offset: int = 0) -> SoxValue:
        tag = self.builder.load(I64, address, offset)
        return SoxValue(tag, self.builder.load(I64, address, offset + layout.VALUE_PAYLOAD))

    def spill(self, values: list[SoxValue]) -> Operand:
        """Values in the shared room; its address."""
        place = self.scratch(len(values))
        for index, value in enumerate(values):
            self.store_value(value, place, index * layout.VALUE_SIZE)
        return place

    # --- variables ------------------------------------------------------------------------------

    def capture_place(self, capture: CaptureInfo) -> tuple[Operand, int]:
        self_ = self.builder.entry.parameters[0]
        return self_, layout.CLOSURE_CAPTURES + capture.index * layout.VALUE_SIZE

    def captured(self, source: LocalInfo | CaptureInfo) -> SoxValue:
        """What a closure made here stores for a variable: its value, or its cell."""
        if isinstance(source, CaptureInfo):
            return self.load_value(*self.capture_place(source))
        if source.needs_cell:
            return object_value(layout.CELL, self.builder.read((source, "cell")))
        return self.read_local(source)

    def declare_local(self, local: LocalInfo) -> None:
        name = local.name
        if local.needs_cell:
            self.builder.declare((local, "cell"), I64, name)
        elif local in self.numeric:
            self.builder.declare((local, "number"), F64, name)
        else:
            self.builder.declare((local, "tag"), I64, f"{name}_tag")
            self.builder.declare((local, "payload"), I64, name)

    def new_local(self, local: LocalInfo, value: SoxValue) -> None:
        """A variable comes into being: a cell is a new one each time."""
        if local.needs_cell:
            _, cell = self.runtime("sox_cell", *self.words(value))
            self.builder.write((local, "cell"), cell)
        else:
            self.write_local(local, value)

    def read_local(self, local: LocalInfo) -> SoxValue:
        builder = self.builder
        if local.needs_cell:
            return self.load_value(builder.read((local, "cell")), layout.CELL_CONTENT)
        if local in self.numeric:
            return number_value(builder.read((local, "number")))
        return self.read_pair(((local, "tag"), (local, "payload")))

    def write_local(self, local: LocalInfo, value: SoxValue) -> None:
        if local.needs_cell:
            self.store_value(value, self.builder.read((local, "cell")), layout.CELL_CONTENT)
        elif local in self.numeric:
            self.builder.write((local, "number"), self.number(value))
        else:
            self.write_pair(((local, "tag"), (local, "payload")), value)

    def global_address(self, info: GlobalInfo) -> Symbol:
        return Symbol(GLOBALS, self.program.slot(info))

    def read(self, meaning: Resolution) -> SoxValue:
        if isinstance(meaning, LocalInfo):
            return self.read_local(meaning)
        if isinstance(meaning, CaptureInfo):
            value = self.load_value(*self.capture_place(meaning))
            if meaning.local.needs_cell:
                return self.load_value(self.payload(value), layout.CELL_CONTENT)
            return value
        if meaning.is_native and meaning.is_constant:
            return object_value(layout.NATIVE, Symbol(self.program.native(meaning.name)))
        value = self.load_value(self.global_address(meaning))
        if not meaning.initial and not self.was_defined(meaning):
            self.check_defined(meaning, value.tag)
        return value

    def was_defined(self, meaning: GlobalInfo) -> bool:
        """Whether the script's top level has passed the definition, here in its own code."""
        return self.function.kind == SCRIPT and meaning in self.program.defined

    def check_defined(self, meaning: GlobalInfo, tag: Operand) -> None:
        builder = self.builder
        missing, defined = builder.new_block("undefined"), builder.new_block("defined")
        builder.branch(builder.value(op.EQ, I64, tag, word(layout.UNDEFINED)), missing, defined)
        builder.start(missing)
        self.fail("sox_get_undefined", Symbol(self.program.name_string(meaning.name)))
        builder.start(defined)

    def write(self, meaning: Resolution, value: SoxValue) -> None:
        """Assignment; a global must exist."""
        if isinstance(meaning, LocalInfo):
            self.write_local(meaning, value)
        elif isinstance(meaning, CaptureInfo):
            cell = self.load_value(*self.capture_place(meaning))
            self.store_value(value, self.payload(cell), layout.CELL_CONTENT)
        else:
            if not meaning.initial and not self.was_defined(meaning):
                tag = self.builder.load(I64, self.global_address(meaning))
                self.check_defined(meaning, tag)
            self.store_value(value, self.global_address(meaning))

    # --- truth ------------------------------------------------------------------------------------

    def truth(self, value: SoxValue) -> Operand:
        """0 or 1: only nil and false are false."""
        tag = self.tag_of(value)
        if tag == layout.BOOL:
            return self.payload(value)
        if tag is not None:
            return word(int(tag != layout.NIL))
        builder = self.builder
        other = builder.value(op.UGT, I64, value.tag, word(layout.BOOL))
        is_set = builder.value(op.NE, I64, self.payload(value), word(0))
        return builder.value(op.OR, I64, other, is_set)

    def condition(self, node: ast.Expression, then: Block, otherwise: Block) -> None:
        """Control goes to one of two blocks; neither is started."""
        builder = self.builder
        if isinstance(node, ast.Logical):
            middle = builder.new_block("also" if node.operator == "and" else "else")
            if node.operator == "and":
                self.condition(node.left, middle, otherwise)
            else:
                self.condition(node.left, then, middle)
            builder.start(middle)
            # What is learnt in the right operand does not hold where it was left out.
            facts = dict(self.facts)
            self.condition(node.right, then, otherwise)
            self.facts = facts
            return
        if isinstance(node, ast.Unary) and node.operator == "!":
            self.condition(node.operand, otherwise, then)
            return
        self.branch(self.truth(self.expression(node)), then, otherwise)

    # --- expressions --------------------------------------------------------------------------

    def expression(self, node: ast.Expression) -> SoxValue:
        """A value; `builder.line` is the node's when its own instructions are made."""
        method: Callable[[Lowering, ast.Expression], SoxValue] = EXPRESSIONS[type(node)]
        return method(self, node)

    def at(self, node: ast.Node) -> None:
        self.builder.line = node.line

    def nil(self, node: ast.Nil) -> SoxValue:
        return NIL

    def boolean(self, node: ast.Boolean) -> SoxValue:
        return boolean_value(word(int(node.value)))

    def number_literal(self, node: ast.Number) -> SoxValue:
        return constant_number(node.value)

    def string(self, node: ast.String) -> SoxValue:
        return object_value(layout.STRING, Symbol(self.program.string(node.value)))

    def variable(self, node: ast.Variable) -> SoxValue:
        self.at(node)
        return self.read(node.meaning)

    def assign(self, node: ast.Assign) -> SoxValue:
        value = self.expression(node.value)
        self.at(node)
        self.write(node.meaning, value)
        return value

    def this(self, node: ast.This) -> SoxValue:
        return self.this_value(node.meaning)

    def this_value(self, meaning: LocalInfo | CaptureInfo) -> SoxValue:
        value = self.read(meaning)
        return object_value(layout.INSTANCE, self.payload(value))

    def unary(self, node: ast.Unary) -> SoxValue:
        value = self.expression(node.operand)
        self.at(node)
        builder = self.builder
        if node.operator == "!":
            return boolean_value(builder.value(op.XOR, I64, self.truth(value), word(1)))
        self.require_numbers("sox_negate", value)
        return number_value(builder.value(op.FNEG, F64, self.number(value)))

    def require_numbers(self, symbol: str, *values: SoxValue) -> None:
        """Where one of them is no number, the runtime function ends the program."""
        good = self.all_true(*(self.has_tag(value, layout.NUMBER) for value in values))
        if good.kind == CONSTANT and good.value:  # type: ignore[union-attr]
            return
        builder = self.builder
        bad, fine = builder.new_block("no_numbers"), builder.new_block("numbers")
        self.branch(good, fine, bad)
        builder.start(bad)
        self.fail(symbol, *self.words(*values))
        builder.start(fine)
        for value in values:
            self.learn(value, layout.NUMBER)

    def binary(self, node: ast.Binary) -> SoxValue:
        left = self.expression(node.left)
        right = self.expression(node.right)
        self.at(node)
        operator = node.operator
        if operator in ("==", "!="):
            truth = self.equal(left, right)
            if operator == "!=":
                truth = self.builder.value(op.XOR, I64, truth, word(1))
            return boolean_value(truth)
        if operator in COMPARISONS:
            operation, symbol = COMPARISONS[operator]
            self.require_numbers(symbol, left, right)
            numbers = self.number(left), self.number(right)
            return boolean_value(self.builder.value(operation, F64, *numbers))
        if operator == "+":
            return self.add(left, right)
        simple, symbol = ARITHMETIC[operator]
        if simple is None:
            return self.remainder(left, right)
        self.require_numbers(symbol, left, right)
        return number_value(self.builder.value(simple, F64, self.number(left), self.number(right)))

    def remainder(self, left: SoxValue, right: SoxValue) -> SoxValue:
        """C's fmod: of whole numbers from 1 to 2**53 an integer remainder, the rest outside.

        (Below 1 there is the sign of zero to be kept.)
        """
        self.require_numbers("sox_remainder", left, right)
        builder = self.builder
        a, b = self.number(left), self.number(right)
        whole_a = builder.value(op.FTOSI, I64, a)
        whole_b = builder.value(op.FTOSI, I64, b)
        same_a = builder.value(op.FEQ, F64, builder.value(op.SITOF, F64, whole_a), a)
        same_b = builder.value(op.FEQ, F64, builder.value(op.SITOF, F64, whole_b), b)
        before = builder.value(op.SUB, I64, whole_a, word(1))
        small = builder.value(op.ULT, I64, before, word((1 << 53) - 1))
        divides = builder.value(op.NE, I64, whole_b, word(0))
        fast, slow, done = map(builder.new_block, ("whole", "fraction", "remainder"))
        key = ("remainder", object())
        builder.declare(key, F64, "remainder")
        builder.branch(self.all_true(same_a, same_b, small, divides), fast, slow)
        builder.start(fast)
        rest = builder.value(op.SREM, I64, whole_a, whole_b)
        builder.write(key, builder.value(op.SITOF, F64, rest))
        builder.jump(done)
        builder.start(slow)
        found = self.runtime_value("sox_remainder", *self.words(left, right))
        builder.write(key, self.number(found))
        builder.jump(done)
        builder.start(done)
        return number_value(builder.read(key))

    def add(self, left: SoxValue, right: SoxValue) -> SoxValue:
        builder = self.builder
        both = self.all_true(self.has_tag(left, layout.NUMBER), self.has_tag(right, layout.NUMBER))
        if both.kind == CONSTANT:
            if both.value:  # type: ignore[union-attr]
                total = builder.value(op.FADD, F64, self.number(left), self.number(right))
                return number_value(total)
            found = self.runtime_value("sox_add", *self.words(left, right))
            if layout.STRING in (self.tag_of(left), self.tag_of(right)):
                return SoxValue(word(layout.STRING), found.payload)
            return found
        numbers, others, joined = map(builder.new_block, ("numbers", "others", "sum"))
        pair = self.fresh("sum")
        builder.branch(both, numbers, others)
        builder.start(others)
        self.write_pair(pair, self.runtime_value("sox_add", *self.words(left, right)))
        builder.jump(joined)
        builder.start(numbers)
        total = builder.value(op.FADD, F64, self.number(left), self.number(right))
        self.write_pair(pair, number_value(total))
        builder.jump(joined)
        builder.start(joined)
        return self.read_pair(pair)

    def equal(self, left: SoxValue, right: SoxValue) -> Operand:
        builder = self.builder
        tags = self.tag_of(left), self.tag_of(right)
        if None not in tags and tags[0] != tags[1]:
            return word(0)
        if tags[0] == tags[1] == layout.NUMBER:
            return builder.value(op.FEQ, F64, self.number(left), self.number(right))
        for one, other, tag in ((left, right, tags[0]), (right, left, tags[1])):
            # Nil, booleans and most objects are equal if their words are.
            if tag is not None and tag not in (layout.NUMBER, layout.STRING):
                same = builder.value(op.EQ, I64, self.payload(one), self.payload(other))
                return self.all_true(self.has_tag(other, tag), same)
        if layout.STRING in tags:
            return self.equal_strings(left, right)
        both = self.all_true(self.has_tag(left, layout.NUMBER), self.has_tag(right, layout.NUMBER))
        numbers, others, joined = map(builder.new_block, ("numbers", "others", "equal"))
        key = ("equal", object())
        builder.declare(key, I64, "equal")
        self.branch(both, numbers, others)
        builder.start(numbers)
        builder.write(key, builder.value(op.FEQ, F64, self.number(left), self.number(right)))
        builder.jump(joined)
        builder.start(others)
        builder.write(key, self.runtime("sox_equal", *self.words(left, right))[0])
        builder.jump(joined)
        builder.start(joined)
        return builder.read(key)

    def equal_strings(self, left: SoxValue, right: SoxValue) -> Operand:
        """One of them is known to be a string: its own self, or of one length and content."""
        builder = self.builder
        strings, longer, outside, done = map(
            builder.new_block, ("strings", "lengths", "contents", "equal")
        )
        key = ("equal", object())
        builder.declare(key, I64, "equal")
        builder.write(key, word(0))
        both = self.all_true(self.has_tag(left, layout.STRING), self.has_tag(right, layout.STRING))
        self.branch(both, strings, done)
        builder.start(strings)
        a, b = self.payload(left), self.payload(right)
        builder.write(key, word(1))
        builder.branch(builder.value(op.EQ, I64, a, b), done, longer)
        builder.start(longer)
        builder.write(key, word(0))
        lengths = [builder.load(I64, one, layout.STRING_LENGTH) for one in (a, b)]
        builder.branch(builder.value(op.EQ, I64, *lengths), outside, done)
        builder.start(outside)
        builder.write(key, self.runtime("sox_equal", *self.words(left, right))[0])
        builder.jump(done)
        builder.start(done)
        return builder.read(key)

    def logical(self, node: ast.Logical) -> SoxValue:
        builder = self.builder
        left = self.expression(node.left)
        pair = self.fresh("logical")
        is_numeric = is_number(node, self.numeric)
        self.write_pair(pair, left)
        more, done = builder.new_block("right"), builder.new_block("decided")
        truth = self.truth(left)
        if node.operator == "and":
            self.branch(truth, more, done)
        else:
            self.branch(truth, done, more)
        builder.start(more)
        facts = dict(self.facts)
        self.write_pair(pair, self.expression(node.right))
        self.facts = facts
        builder.jump(done)
        builder.start(done)
        found = self.read_pair(pair)
        return SoxValue(word(layout.NUMBER), found.payload) if is_numeric else found

    # --- fields and elements ------------------------------------------------------------------

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

    def table(self, node: ast.TableLiteral) -> SoxValue:
        if not node.keys:
            self.at(node)
            return object_value(layout.TABLE, self.runtime("sox_table")[1])
        pairs = []
        for key, value in zip(node.keys, node.values, strict=True):
            pairs.append(object_value(layout.STRING, Symbol(self.program.string(key))))
            pairs.append(self.expression(value))
        self.at(node)
        count = word(len(node.keys))
        return object_value(
            layout.TABLE, self.runtime("sox_table_literal", count, self.spill(pairs))[1]
        )

    def array(self, node: ast.ArrayLiteral) -> SoxValue:
        elements = [self.expression(one) for one in node.elements]
        self.at(node)
        place = self.spill(elements) if elements else word(0)
        return object_value(layout.ARRAY, self.runtime("sox_array", word(len(elements)), place)[1])

    def closure(self, function: FunctionInfo, *, once: bool = False) -> SoxValue:
        """A new closure, or a static one for what is made `once` and captures nothing."""
        program = self.program
        if once and not function.captures:
            return object_value(layout.CLOSURE, Symbol(program.static_closure(function)))
        captures = [self.captured(one.source) for one in function.captures]
        place = self.spill(captures) if captures else word(0)
        info = Symbol(program.info(function))
        made = self.runtime("sox_closure", info, word(len(captures)), place)
        return object_value(layout.CLOSURE, made[1])

    def function_expression(self, node: ast.FunctionExpression) -> SoxValue:
        self.at(node)
        return self.closure(node.function)


EXPRESSIONS: dict[type, Any] = {
    ast.Nil: Lowering.nil,
    ast.Boolean: Lowering.boolean,
    ast.Number: Lowering.number_literal,
    ast.String: Lowering.string,
    ast.Variable: Lowering.variable,
    ast.Assign: Lowering.assign,
    ast.This: Lowering.this,
    ast.Unary: Lowering.unary,
    ast.Binary: Lowering.binary,
    ast.Logical: Lowering.logical,
    ast.Get: Lowering.get,
    ast.Set: Lowering.set,
    ast.Index: Lowering.index,
    ast.SetIndex: Lowering.set_index,
    ast.Slice: Lowering.slice,
    ast.TableLiteral: Lowering.table,
    ast.ArrayLiteral: Lowering.array,
    ast.FunctionExpression: Lowering.function_expression,
}
