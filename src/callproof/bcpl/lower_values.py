"""The ground of lowering: variables, conversions, calls of the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callproof.bcpl import nodes as ast
from callproof.bcpl.symbols import FunctionInfo, Variable
from callproof.bcpl.value_types import FLOAT, STRING, WORD, ValueType, described
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import CONSTANT, Block, Constant, Operand, Symbol, Value
from callproof.ir.types import F64, HALVES, I64, Type
from callproof.ir.vectors import zero
from callproof.runtime.entries import ENTRIES, Entry
from callproof.source import Span

if TYPE_CHECKING:
    from callproof.bcpl.lower import ModuleLowering
    from callproof.ir.debug import DebugVariable

ZERO, ONE = Constant(I64, 0), Constant(I64, 1)
FLOAT_ZERO = Constant(F64, 0.0)
A_WORD = STRING  # any class but FLOAT: to ask `convert` for a word


def ir_type(type_: ValueType) -> Type:
    """The type of a value of the class."""
    if type_.pack is not None:
        return type_.pack.vector
    return F64 if type_ is FLOAT else I64


def nothing_of(type_: ValueType) -> Operand:
    """Zero, as a value of the class."""
    return zero(ir_type(type_))


def in_word(type_: ValueType) -> Type:
    """The type of the word in memory that holds a value of the class."""
    if type_.pack is not None and not type_.pack.boxed:
        return type_.pack.vector
    return F64 if type_ is FLOAT else I64


class ValueLowering:
    """One function being lowered; `value` gives an operand of the expression's own class."""

    def __init__(
        self, module: ModuleLowering, builder: FunctionBuilder, function: FunctionInfo | None
    ) -> None:
        self.module = module
        self.builder = builder
        self.function = function
        # Whether control comes to no place but through what stands before it.
        self.may_fix = function is not None and not (function.has_labels or function.has_defer)

    # --- variables ----------------------------------------------------------------------------

    def declare(self, variable: Variable, value: Operand) -> None:
        """A local comes into being with its first value."""
        if variable.in_memory:
            variable.slot = self.builder.slot(8, 8, variable.name)
        else:
            variable.slot = None
            self.builder.declare(variable, ir_type(variable.type), variable.name)
        shown = self.show(variable, value) if self.builder.keeps_debug else None
        if self.may_fix and variable.dominates and not (variable.is_assigned or variable.in_memory):
            self._name(value, variable.name)
            self.builder.fix(variable, value)
        else:
            self.write_variable(variable, value)
        if shown is not None:
            self.builder.stored(shown)

    def show(self, variable: Variable, value: Operand) -> DebugVariable | None:
        """Tell the debugger of a local that comes into being; it, if it has to be stored first."""
        types, slot = self.module.debug_types, variable.slot
        size = ir_type(variable.type).size
        shown = types.variable(variable, size, in_memory=slot is not None)
        if not isinstance(slot, Value):
            self.builder.show(shown, (variable,))
            return None
        # A pack is given as it is, and its slot has the address of one.
        self.builder.show_slot(shown, slot, None if variable.type.pack else value)
        return shown

    def write_variable(self, variable: Variable, value: Operand) -> None:
        type_ = variable.type
        if variable.symbol:
            self.store_value(type_, value, self.module.global_symbol(variable))
        elif variable.slot is not None:
            self.store_value(type_, value, variable.slot)  # type: ignore[arg-type]
        else:
            self._name(value, variable.name)
            self.builder.write(variable, value)

    def _name(self, value: Operand, name: str) -> None:
        """A temporary that becomes a variable's value carries its name in listings."""
        if value.kind == 0 and not value.name:  # type: ignore[union-attr]
            value.name = name  # type: ignore[union-attr]

    def read_variable(self, variable: Variable) -> Operand:
        if variable.symbol:
            symbol = self.module.global_symbol(variable)
            return self.load_value(variable.type, symbol, name=variable.name)
        if variable.slot is not None:
            return self.load_value(variable.type, variable.slot, name=variable.name)  # type: ignore[arg-type]
        return self.builder.read(variable)

    def load_value(
        self, type_: ValueType, address: Operand, offset: int = 0, name: str = ""
    ) -> Operand:
        """A value of the class from the word that holds it."""
        found = self.builder.load(in_word(type_), address, offset, name)
        return self.unboxed(type_, found)

    def store_value(
        self, type_: ValueType, value: Operand, address: Operand, offset: int = 0
    ) -> None:
        self.builder.store(in_word(type_), self.boxed(type_, value), address, offset)

    def unboxed(self, type_: ValueType, value: Operand) -> Operand:
        """A boxed pack from the word that holds it; other values as they are."""
        pack = type_.pack
        if pack is None or not pack.boxed:
            return value
        zeros = Symbol(self.module.zero_box(), 8)
        address = self.builder.value(op.SELECT, I64, value, value, zeros)
        return self.builder.load(pack.vector, address)

    def boxed(self, type_: ValueType, value: Operand) -> Operand:
        """The address of a box with the pack in it; other values as they are."""
        pack = type_.pack
        if pack is None or not pack.boxed:
            return value
        box = self.runtime_call(ENTRIES["GETVEC"], Constant(I64, pack.words))
        self.builder.store(pack.vector, value, box)
        return box

    def this(self) -> Operand:
        assert self.function is not None and self.function.this is not None
        return self.read_variable(self.function.this)

    # --- values -----------------------------------------------------------------------------------

    def value(self, node: ast.Expression) -> Operand:
        raise AssertionError("provided by ExpressionLowering")

    def converted(self, node: ast.Expression, wanted: ValueType) -> Operand:
        """The value as FLOAT or as a word (3.2.2: by truncation)."""
        type_: ValueType = node.type
        if type_ is wanted:
            return self.value(node)
        if type_.pack is None and wanted.pack is None:
            return self.convert(self.value(node), type_, wanted)
        if type_.pack is not None and wanted is FLOAT:
            self.module.diagnostics.error(
                f"{described(type_)} is no number", node.span, code="type"
            )
            return FLOAT_ZERO
        if type_ is FLOAT and wanted.pack is not None:
            self.module.diagnostics.error(
                f"this is a FLOAT, not {described(wanted)}", node.span, code="type"
            )
            return nothing_of(wanted)
        if type_.pack is not None and wanted.pack is not None and type_ is not wanted:
            self.different_packs(type_, wanted, node.span)
        return self.convert(self.value(node), type_, wanted)

    def different_packs(self, given: ValueType, wanted: ValueType, span: Span) -> None:
        """The bits of a word may be taken for another pack's, but there must be as many."""
        assert given.pack is not None and wanted.pack is not None
        if given.pack.words != wanted.pack.words:
            self.module.diagnostics.error(
                f"this is {described(given)}, not {described(wanted)}", span, code="type"
            )

    def address_value(self, node: ast.Expression) -> Operand:
        """The value as an address; refuses what certainly is none."""
        return self.as_address(node, self.value(node))

    def as_address(self, node: ast.Expression, value: Operand) -> Operand:
        type_: ValueType = node.type
        if type_ is FLOAT or type_.pack is not None:
            self.module.diagnostics.error(
                f"this is {described(type_)}, not an address", node.span, code="type"
            )
            return ZERO
        return value

    def convert(self, value: Operand, from_: ValueType, to: ValueType) -> Operand:
        if from_ is to:
            return value
        if from_.pack is not to.pack:
            return self.repacked(value, from_, to)
        if (from_ is FLOAT) == (to is FLOAT):
            return value
        if to is FLOAT:
            if value.kind == CONSTANT:
                return Constant(F64, float(value.value))  # type: ignore[union-attr]
            return self.builder.value(op.SITOF, F64, value)
        return self.builder.value(op.FTOSI, I64, value)

    def repacked(self, value: Operand, from_: ValueType, to: ValueType) -> Operand:
        """A pack as a word, a word as a pack, or a pack as another one of as many bits."""
        if from_.pack is None:
            return self.from_bits(self.convert(value, from_, A_WORD), to)
        if to.pack is None:
            return self.convert(self.as_bits(value, from_), A_WORD, to)
        if from_.pack.words != to.pack.words:
            return nothing_of(to)  # `different_packs` has said so
        return self.builder.value(op.BITCAST, to.pack.vector, value)

    def bits(self, node: ast.Expression) -> Operand:
        """The value as a word: a FLOAT or a pack of a word's size as its bits."""
        return self.as_bits(self.value(node), node.type)

    def as_bits(self, value: Operand, type_: ValueType) -> Operand:
        value = self.boxed(type_, value)
        if value.type.is_float and value.kind == CONSTANT and value.type.lanes > 1:
            return Constant(I64, value.value)  # type: ignore[union-attr]
        return self.builder.value(op.BITCAST, I64, value) if value.type.is_float else value

    def from_bits(self, value: Operand, type_: ValueType) -> Operand:
        pack = type_.pack
        if pack is not None and not pack.boxed:
            if value.kind == CONSTANT:
                return Constant(pack.vector, value.value)  # type: ignore[union-attr]
            return self.builder.value(op.BITCAST, pack.vector, value)
        if pack is not None:
            if value.kind == CONSTANT and value.value == 0:  # type: ignore[union-attr]
                return zero(pack.vector)
            return self.unboxed(type_, value)
        return self.builder.value(op.BITCAST, F64, value) if type_ is FLOAT else value

    # --- what is passed -------------------------------------------------------------------------

    def passed(self, type_: ValueType, value: Operand, packs_as_words: bool) -> list[Operand]:
        """The operands that pass a value: of a pack in two registers its halves."""
        pack = type_.pack
        if pack is not None and packs_as_words:
            return [self.as_bits(value, type_)]
        half = HALVES.get(value.type)
        if half is None:
            return [value]
        return [self.builder.value(operation, half, value) for operation in (op.LOW, op.HIGH)]

    def received(
        self, type_: ValueType, values: Sequence[Operand], packs_as_words: bool
    ) -> Operand:
        """The value that was passed by these operands."""
        if type_.pack is not None and packs_as_words:
            return self.from_bits(values[0], type_)
        if len(values) == 1:
            return values[0]
        return self.builder.value(op.JOIN, ir_type(type_), *values)

    def call_with(
        self, target: str | Operand, function: FunctionInfo, arguments: Sequence[Operand]
    ) -> Operand:
        """Call a function by its name or through a vtable; `this` first where it has one."""
        by_value = not isinstance(target, str) and function.class_info is None
        words = by_value or function.packs_as_words
        signature = function.value_signature() if by_value else function.signature()
        types = [WORD] * (len(arguments) - len(function.parameters))
        types += [parameter.type for parameter in function.parameters]
        operands = [
            operand
            for value, type_ in zip(arguments, types, strict=True)
            for operand in self.passed(type_, value, words)
        ]
        results = self.builder.call(target, signature, operands)
        return self.received(function.result, results, words)

    # --- blocks and calls ------------------------------------------------------------------------

    def go(self, block: Block) -> None:
        """Jump there, unless a jump away came before."""
        if not self.builder.is_terminated:
            self.builder.jump(block)

    def runtime_call(self, entry: Entry, *arguments: Operand) -> Operand:
        """A call of the compiler's own, with arguments as the runtime wants them."""
        self.module.declare(entry.symbol, entry.signature)
        results = self.builder.call(entry.symbol, entry.signature, arguments)
        return results[0] if results else ZERO

    def load(self, operation: op.Operation, address: Operand, offset: int = 0) -> Operand:
        """A narrow load, extended to a word."""
        value = self.builder.emit(operation, I64, [address], offset=offset)
        assert value is not None
        return value

    def text_symbol(self, text: str) -> Operand:
        """The address of a string constant."""
        return Symbol(self.module.string(text), 8)
