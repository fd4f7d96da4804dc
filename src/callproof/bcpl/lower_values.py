"""The ground of lowering: variables, conversions, calls of the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.bcpl import nodes as ast
from callproof.bcpl.symbols import FunctionInfo, Variable
from callproof.bcpl.value_types import FLOAT, STRING, ValueType, described
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import CONSTANT, Block, Constant, Operand, Symbol
from callproof.ir.types import F64, I64, Type
from callproof.runtime.entries import Entry

if TYPE_CHECKING:
    from callproof.bcpl.lower import ModuleLowering

ZERO, ONE = Constant(I64, 0), Constant(I64, 1)
FLOAT_ZERO = Constant(F64, 0.0)
A_WORD = STRING  # any class but FLOAT: to ask `convert` for a word


def ir_type(type_: ValueType) -> Type:
    return F64 if type_ is FLOAT else I64


def nothing_of(type_: ValueType) -> Operand:
    """Zero, as a value of the class."""
    return FLOAT_ZERO if type_ is FLOAT else ZERO


class ValueLowering:
    """One function being lowered; `value` gives an operand of the expression's own class."""

    def __init__(
        self, module: ModuleLowering, builder: FunctionBuilder, function: FunctionInfo | None
    ) -> None:
        self.module = module
        self.builder = builder
        self.function = function

    # --- variables ----------------------------------------------------------------------------

    def declare(self, variable: Variable, value: Operand) -> None:
        """A local comes into being with its first value."""
        if variable.in_memory:
            variable.slot = self.builder.slot(8, 8, variable.name)
        else:
            variable.slot = None
            self.builder.declare(variable, ir_type(variable.type), variable.name)
        self.write_variable(variable, value)

    def write_variable(self, variable: Variable, value: Operand) -> None:
        type_ = ir_type(variable.type)
        if variable.symbol:
            self.builder.store(type_, value, self.module.global_symbol(variable))
        elif variable.slot is not None:
            self.builder.store(type_, value, variable.slot)  # type: ignore[arg-type]
        else:
            self._name(value, variable.name)
            self.builder.write(variable, value)

    def _name(self, value: Operand, name: str) -> None:
        """A temporary that becomes a variable's value carries its name in listings."""
        if value.kind == 0 and not value.name:  # type: ignore[union-attr]
            value.name = name  # type: ignore[union-attr]

    def read_variable(self, variable: Variable) -> Operand:
        type_ = ir_type(variable.type)
        if variable.symbol:
            symbol = self.module.global_symbol(variable)
            return self.builder.load(type_, symbol, name=variable.name)
        if variable.slot is not None:
            return self.builder.load(type_, variable.slot, name=variable.name)  # type: ignore[arg-type]
        return self.builder.read(variable)

    def this(self) -> Operand:
        assert self.function is not None and self.function.this is not None
        return self.read_variable(self.function.this)

    # --- values -----------------------------------------------------------------------------------

    def value(self, node: ast.Expression) -> Operand:
        raise AssertionError("provided by ExpressionLowering")

    def converted(self, node: ast.Expression, wanted: ValueType) -> Operand:
        """The value as FLOAT or as a word (3.2.2: by truncation)."""
        type_: ValueType = node.type
        if type_.pack is not None and wanted is FLOAT:
            self.module.diagnostics.error(
                f"{described(type_)} is no number", node.span, code="type"
            )
            return FLOAT_ZERO
        if type_ is FLOAT and wanted.pack is not None:
            self.module.diagnostics.error(
                f"this is a FLOAT, not {described(wanted)}", node.span, code="type"
            )
            return ZERO
        return self.convert(self.value(node), type_, wanted)

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
        if (from_ is FLOAT) == (to is FLOAT):
            return value
        if to is FLOAT:
            if value.kind == CONSTANT:
                return Constant(F64, float(value.value))  # type: ignore[union-attr]
            return self.builder.value(op.SITOF, F64, value)
        return self.builder.value(op.FTOSI, I64, value)

    def bits(self, node: ast.Expression) -> Operand:
        """The value as a word, a FLOAT as its bits."""
        return self.as_bits(self.value(node), node.type)

    def as_bits(self, value: Operand, type_: ValueType) -> Operand:
        return self.builder.value(op.BITCAST, I64, value) if type_ is FLOAT else value

    def from_bits(self, value: Operand, type_: ValueType) -> Operand:
        return self.builder.value(op.BITCAST, F64, value) if type_ is FLOAT else value

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
