"""What every part of a function's lowering uses: calls of the runtime, variables, truth.

What a check has found out holds for the SSA value wherever control has passed the
check (`facts`), so it is not made twice.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.debug import DebugVariable
from callproof.ir.model import CONSTANT, VALUE, Block, Instruction, Operand, Symbol
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.debug_info import show_local
from callproof.sox.kinds import ALL, BOOL, NIL, NUMBER, bit, only_tag
from callproof.sox.lower_allocation import new_cell
from callproof.sox.signatures import GLOBALS
from callproof.sox.symbols import (
    SCRIPT,
    CaptureInfo,
    FunctionInfo,
    GlobalInfo,
    LocalInfo,
    Resolution,
)
from callproof.sox.values import SoxValue, number_value, object_value, word

if TYPE_CHECKING:
    from callproof.sox.lower import ProgramLowering

ORDERING = frozenset(("<", "<=", ">", ">="))

# How each kind of expression is lowered; the modules beside this one fill it in.
EXPRESSIONS: dict[type, Any] = {}


class State:
    """The state of one function's lowering, and what every part of it uses."""

    def __init__(
        self, program: ProgramLowering, builder: FunctionBuilder, function: FunctionInfo
    ) -> None:
        self.program = program
        self.builder = builder
        self.function = function
        self.flow = program.flow
        self.numeric = {
            local
            for local in function.locals
            if not local.needs_cell and self.flow.held(local).tags == NUMBER
        }
        # Of tags' numbers: the tag; ("ordered", number): this f64 is not a NaN.
        self.facts: dict[Hashable, int] = {}
        self.compared: tuple[Operand, Operand] | None = None  # by the comparison made last
        # By an instance's number: the block that loaded where its fields are, how many
        # instructions it had when that was last known to hold, and what was loaded.
        self.known_fields: dict[int, tuple[Block, int, Operand]] = {}
        # The builder's variables for a local: of its number, or its tag and payload; its cell.
        self.parts: dict[LocalInfo, tuple[Hashable, ...]] = {}
        self.constants: dict[LocalInfo, SoxValue] = {}  # locals that are never anything else
        self.defers: Operand | None = None
        self.shown: dict[LocalInfo, DebugVariable] = {}  # to the debugger
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
            payload = value.payload
            found.append(value.tag)
            found.append(self.payload(value) if payload is None else payload)
        return found

    def payload(self, value: SoxValue) -> Operand:
        if value.payload is None:
            assert value.number is not None
            if value.number.kind == CONSTANT:
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
        tag = value.tag
        if tag.kind == CONSTANT:
            return tag.value  # type: ignore
        if tag.kind == VALUE:
            return self.facts.get(tag.number)  # type: ignore[union-attr]
        return None

    def tags_of(self, value: SoxValue) -> int:
        """The tags that it can have here."""
        tag = self.tag_of(value)
        return value.tags if tag is None else bit(tag)

    def learn(self, value: SoxValue, tag: int) -> None:
        if value.tag.kind == VALUE:
            self.facts[value.tag.number] = tag  # type: ignore[union-attr]

    def has_tag(self, value: SoxValue, tag: int) -> Operand:
        known = self.tag_of(value)
        if known is not None:
            return word(int(known == tag))
        if not value.tags & bit(tag):
            return word(0)
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

    def branch_all(self, then: Block, otherwise: Block, *conditions: Operand) -> None:
        """To `then` if all conditions hold: a jump away for each, and no 0 or 1 is made."""
        for condition in conditions[:-1]:
            if condition.kind == CONSTANT and condition.value:  # type: ignore[union-attr]
                continue
            following = self.builder.new_block("holds")
            self.branch(condition, following, otherwise)
            self.builder.start(following)
        self.branch(conditions[-1], then, otherwise)

    def fresh(self, name: str, tags: int = ALL) -> tuple[Hashable, ...]:
        """A temporary variable for a value that comes from several paths."""
        if tags == NUMBER:
            number = object()
            self.builder.declare(number, F64, name)
            return (number,)
        tag, payload = object(), object()
        self.builder.declare(tag, I64, "tag")
        self.builder.declare(payload, I64, "payload")
        return tag, payload

    def write_pair(self, pair: tuple[Hashable, ...], value: SoxValue) -> None:
        if len(pair) == 1:
            self.builder.write(pair[0], self.number(value))
            return
        self.builder.write(pair[0], value.tag)
        self.builder.write(pair[1], self.payload(value))

    def fix_pair(self, pair: tuple[Hashable, ...], value: SoxValue) -> None:
        """As `write_pair`, of a variable that is written only here."""
        if len(pair) == 1:
            self.builder.fix(pair[0], self.number(value))
            return
        self.builder.fix(pair[0], value.tag)
        self.builder.fix(pair[1], self.payload(value))

    def read_pair(self, pair: tuple[Hashable, ...]) -> SoxValue:
        if len(pair) == 1:
            return number_value(self.builder.read(pair[0]))
        return SoxValue(self.builder.read(pair[0]), self.builder.read(pair[1]))

    def scratch(self, count: int) -> Operand:
        """Room for `count` values in the frame, shared by all calls (and used at once)."""
        if self._scratch is None:
            self._scratch = self.builder.slot(layout.VALUE_SIZE, 16, "arguments")
        made: Instruction = self._scratch.definition  # type: ignore
        made.size = max(made.size, count * layout.VALUE_SIZE)
        return self._scratch

    def store_value(
        self, value: SoxValue, address: Operand, offset: int = 0, *, held: int = ALL
    ) -> None:
        """`held`: what was and will ever be there; one tag only need not be stored again."""
        if only_tag(held) is None:
            self.builder.store(I64, value.tag, address, offset)
        number = value.number
        if number is not None and number.kind != CONSTANT:
            self.builder.store(F64, number, address, offset + layout.VALUE_PAYLOAD)
        else:
            payload = self.payload(value)
            self.builder.store(I64, payload, address, offset + layout.VALUE_PAYLOAD)

    def load_value(self, address: Operand, offset: int = 0, tags: int = ALL) -> SoxValue:
        """`tags`: what is there has one of them."""
        if tags == NUMBER:
            return number_value(self.builder.load(F64, address, offset + layout.VALUE_PAYLOAD))
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
            return object_value(layout.CELL, self.builder.read(self.parts[source][0]))
        return self.read_local(source)

    def declare_local(self, local: LocalInfo) -> None:
        name = local.name
        if local.needs_cell or local in self.numeric:
            part = object()
            self.parts[local] = (part,)
            self.builder.declare(part, I64 if local.needs_cell else F64, name)
        else:
            tag, payload = self.parts[local] = object(), object()
            self.builder.declare(tag, I64, f"{name}_tag")
            self.builder.declare(payload, I64, name)

    def new_local(self, local: LocalInfo, value: SoxValue) -> None:
        """A variable comes into being: a cell is a new one each time."""
        if self.builder.keeps_debug:
            show_local(self, local)
        if local.needs_cell:
            self.builder.write(self.parts[local][0], new_cell(self, value))
        elif local.is_reassigned:
            self.write_local(local, value)
        else:
            self.fix_pair(self.parts[local], value)

    def read_local(self, local: LocalInfo) -> SoxValue:
        if (known := self.constants.get(local)) is not None:
            return known
        parts = self.parts[local]
        if local.needs_cell:
            tags = self.flow.held(local).tags
            return self.load_value(self.builder.read(parts[0]), layout.CELL_CONTENT, tags)
        return self.read_pair(parts)

    def write_local(self, local: LocalInfo, value: SoxValue) -> None:
        parts = self.parts[local]
        if local.needs_cell:
            cell = self.builder.read(parts[0])
            self.store_value(value, cell, layout.CELL_CONTENT, held=self.flow.held(local).tags)
        else:
            self.write_pair(parts, value)

    def global_address(self, info: GlobalInfo) -> Symbol:
        return Symbol(GLOBALS, self.program.slot(info))

    def read(self, meaning: Resolution) -> SoxValue:
        if isinstance(meaning, LocalInfo):
            return self.read_local(meaning)
        if isinstance(meaning, CaptureInfo):
            tags = self.flow.held(meaning.local).tags
            if meaning.local.needs_cell:
                cell = self.load_value(*self.capture_place(meaning))
                return self.load_value(self.payload(cell), layout.CELL_CONTENT, tags)
            return self.load_value(*self.capture_place(meaning), tags)
        if meaning.is_native and meaning.is_constant:
            return object_value(layout.NATIVE, Symbol(self.program.native(meaning.name)))
        address = self.global_address(meaning)
        if meaning.initial:
            return self.load_value(address)
        if not self.was_defined(meaning):
            self.check_defined(meaning, self.builder.load(I64, address))
        return self.load_value(address, 0, self.flow.held(meaning).tags)

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
            tags = self.flow.held(meaning.local).tags
            self.store_value(value, self.payload(cell), layout.CELL_CONTENT, held=tags)
        else:
            if not meaning.initial and not self.was_defined(meaning):
                tag = self.builder.load(I64, self.global_address(meaning))
                self.check_defined(meaning, tag)
            held = ALL if meaning.initial else self.flow.held(meaning).tags
            self.store_value(value, self.global_address(meaning), held=held)

    # --- truth ------------------------------------------------------------------------------------

    def truth(self, value: SoxValue) -> Operand:
        """0 or 1: only nil and false are false."""
        tag = self.tag_of(value)
        if tag == layout.BOOL:
            return self.payload(value)
        if tag is not None:
            return word(int(tag != layout.NIL))
        if not value.tags & ~(NIL | BOOL):
            return self.payload(value)  # nil's is 0
        builder = self.builder
        if not value.tags & BOOL:
            return builder.value(op.NE, I64, value.tag, word(layout.NIL))
        other = builder.value(op.UGT, I64, value.tag, word(layout.BOOL))
        is_set = builder.value(op.NE, I64, self.payload(value), word(0))
        return builder.value(op.OR, I64, other, is_set)

    def condition(self, node: ast.Expression, then: Block, otherwise: Block) -> tuple[Operand, ...]:
        """Control goes to one of two blocks; neither is started.

        The result is for `learn_ordered`, once `then` is.
        """
        builder = self.builder
        if isinstance(node, ast.Logical):
            middle = builder.new_block("also" if node.operator == "and" else "else")
            ordered: tuple[Operand, ...] = ()
            if node.operator == "and":
                ordered = self.condition(node.left, middle, otherwise)
            else:
                self.condition(node.left, then, middle)
            builder.start(middle)
            # What is learnt in the right operand does not hold where it was left out.
            facts = dict(self.facts)
            self.learn_ordered(ordered)
            more = self.condition(node.right, then, otherwise)
            self.facts = facts
            return (*ordered, *more) if node.operator == "and" else ()
        if isinstance(node, ast.Unary) and node.operator == "!":
            self.condition(node.operand, otherwise, then)
            return ()
        self.forget_comparison()
        value = self.expression(node)
        if self.tag_of(value) is None and value.tags & ~(NIL | BOOL) and value.tags & BOOL:
            # Two jumps rather than a 0 or 1 from two comparisons.
            maybe = builder.new_block("maybe")
            other = builder.value(op.UGT, I64, value.tag, word(layout.BOOL))
            builder.branch(other, then, maybe)
            builder.start(maybe)
            builder.branch(self.payload(value), then, otherwise)
            return ()
        self.branch(self.truth(value), then, otherwise)
        is_comparison = isinstance(node, ast.Binary) and node.operator in ORDERING
        return self.compared or () if is_comparison else ()

    def forget_comparison(self) -> None:
        # Not where it is asked for afterwards: there type checkers would believe in the None.
        self.compared = None

    def learn_ordered(self, numbers: tuple[Operand, ...]) -> None:
        """A comparison of these has come out true here, so they are no NaN."""
        for number in numbers:
            if number.kind == VALUE:
                self.facts["ordered", number.number] = 1  # type: ignore[union-attr]

    def is_ordered(self, number: Operand) -> bool:
        if number.kind == CONSTANT:
            return number.value == number.value  # type: ignore[union-attr]
        return ("ordered", number.number) in self.facts  # type: ignore[union-attr]

    # --- expressions --------------------------------------------------------------------------

    def expression(self, node: ast.Expression) -> SoxValue:
        """A value; `builder.line` is the node's when its own instructions are made."""
        method: Callable[[State, ast.Expression], SoxValue] = EXPRESSIONS[type(node)]
        value = method(self, node)
        if value.tag.kind == CONSTANT:
            return value
        return self.with_tags(value, self.flow.tags(node))

    def with_tags(self, value: SoxValue, tags: int) -> SoxValue:
        """The value, of which it is known that its tag is one of these."""
        if value.known_tag is not None or tags in (0, ALL):
            return value  # 0: nothing is known, or control does not get here
        tag = only_tag(tags)
        if tag is not None:
            return SoxValue(word(tag), value.payload, value.number)
        return SoxValue(value.tag, value.payload, value.number, tags)

    def at(self, node: ast.Node) -> None:
        self.builder.line = node.line

    def this_value(self, meaning: LocalInfo | CaptureInfo) -> SoxValue:
        value = self.read(meaning)
        return object_value(layout.INSTANCE, self.payload(value))
