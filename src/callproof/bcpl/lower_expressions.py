"""Lowering of expressions: one method for each kind of node; statements are elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from callproof.bcpl import nodes as ast
from callproof.bcpl.external import ExternalInfo
from callproof.bcpl.lower_library import LibraryLowering
from callproof.bcpl.lower_operators import INDEXING
from callproof.bcpl.lower_values import A_WORD, ZERO
from callproof.bcpl.symbols import ClassInfo, FieldInfo, FunctionInfo, Library, Variable
from callproof.bcpl.symbols import Constant as ConstantInfo
from callproof.bcpl.value_types import FLOAT, INTEGER, PACKS, ValueType, described
from callproof.ir import operations as op
from callproof.ir.model import Constant, Operand, Symbol
from callproof.ir.types import F64, I64
from callproof.runtime import entries


class ExpressionLowering(LibraryLowering):
    """Expressions of one function."""

    def value(self, node: ast.Expression) -> Operand:
        if type(node) is not ast.Binary:
            operand: Operand = EXPRESSIONS[type(node)](self, node)
            return operand
        # Long chains lean to the left: walk down, then compute upwards.
        spine = []
        while type(node) is ast.Binary and node.operator != "AND" and node.operator != "OR":
            spine.append(node)
            node = node.left
        result = EXPRESSIONS[type(node)](self, node)
        while spine:
            parent = spine.pop()
            result = self.binary(parent, result)
        return result

    # --- leaves ----------------------------------------------------------------------------

    def integer(self, node: ast.IntegerLiteral) -> Operand:
        return Constant(I64, node.value)

    def floating(self, node: ast.FloatLiteral) -> Operand:
        return Constant(F64, node.value)

    def text(self, node: ast.StringLiteral) -> Operand:
        return self.text_symbol(node.value)

    def null(self, node: ast.NullLiteral) -> Operand:
        del node
        return ZERO

    def name(self, node: ast.Name) -> Operand:
        meaning = node.meaning
        if type(meaning) is Variable:
            return self.read_variable(meaning)
        if isinstance(meaning, ConstantInfo):
            value = meaning.value
            return Constant(F64 if isinstance(value, float) else I64, value)
        if isinstance(meaning, FunctionInfo):
            if meaning.class_info is not None:
                return self.code_of(meaning, self.this())
            return self.module.value_symbol(meaning)
        if isinstance(meaning, FieldInfo):
            return self.load_value(meaning.variable.type, self.this(), meaning.offset, meaning.name)
        if isinstance(meaning, Library):
            self.module.declare(meaning.entry.symbol, meaning.entry.signature)
            return Symbol(meaning.entry.symbol)
        if isinstance(meaning, ExternalInfo):
            self.module.declare_external(meaning)
            return Symbol(meaning.symbol)
        what = "a class" if isinstance(meaning, ClassInfo) else node.name
        self.module.diagnostics.error(f"{what} has no value", node.span, code="misplaced")
        return ZERO

    def valof(self, node: ast.Valof) -> Operand:
        raise AssertionError("provided by FunctionLowering")

    def lane_value(self, node: ast.Lane) -> Operand:
        field = self.as_field(node)
        if field is not None:
            return self.field_access(field)
        pack = self.pack_of(node)
        value = self.value(node.pack)
        if pack is None:
            return ZERO
        return self.widened(pack, self.lane(pack, value, self.lane_index(node, pack)))

    # --- addresses ---------------------------------------------------------------------------

    def address(self, node: ast.Expression) -> Operand:
        """What `@` gives for something that can be assigned to, or for a function."""
        builder = self.builder
        if isinstance(node, ast.Name):
            meaning = node.meaning
            if isinstance(meaning, Variable) and meaning.slot is not None:
                return meaning.slot  # type: ignore[return-value]
            if isinstance(meaning, Variable):
                return self.module.global_symbol(meaning)
            if isinstance(meaning, FieldInfo):
                return builder.value(op.ADD, I64, self.this(), Constant(I64, meaning.offset))
            return self.name(node)
        if isinstance(node, ast.Unary):
            return self.address_value(node.operand)
        if isinstance(node, ast.FieldAccess):
            return self.field_address(node)
        assert isinstance(node, ast.Binary) and node.operator in INDEXING
        base = self.address_value(node.left)
        index = self.converted(node.right, A_WORD)
        address, offset = self.element(node.operator, base, index)
        return builder.value(op.ADD, I64, address, Constant(I64, offset)) if offset else address

    # --- constructors ------------------------------------------------------------------------

    def constructor(self, node: ast.Constructor) -> Operand:
        kind = node.kind
        if kind in PACKS:
            return self.make_pack(node)
        if kind == "LIST":
            return self.make_list(node)
        if kind == "MANIFESTLIST":
            return Symbol(self.module.static_list(node.elements))
        if kind in ("TABLE", "FTABLE"):
            elements = [_as_float(e) for e in node.elements] if kind == "FTABLE" else node.elements
            return Symbol(self.module.table(elements), 8)
        if kind == "STRING":
            if node.size is None:
                self.module.diagnostics.error("STRING takes a size", node.span)
                return ZERO
            return self.runtime_call(entries.STRING, self.converted(node.size, INTEGER))
        return self.make_vector(node)

    def make_vector(self, node: ast.Constructor) -> Operand:
        type_: ValueType = node.type
        element = type_.element
        assert element is not None
        if node.size is not None:
            size = self.converted(node.size, INTEGER)
            return self.runtime_call(entries.ENTRIES["GETVEC"], size)
        values = []
        for item in node.elements:
            if element.pack is not None and item.type.pack is not element.pack:
                self.module.diagnostics.error(
                    f"this is {described(item.type)}, but the elements of {node.kind} are "
                    f"{element!r}s",
                    item.span,
                    code="type",
                )
                continue
            is_word = element is not FLOAT and element.pack is None
            values.append(self.bits(item) if is_word else self.converted(item, element))
        vector = self.runtime_call(entries.ENTRIES["GETVEC"], Constant(I64, len(values)))
        for index, value in enumerate(values):
            self.store_value(element, value, vector, 8 * index)
        return vector


def _as_float(element: ast.Expression) -> ast.Expression:
    if isinstance(element, ast.IntegerLiteral):
        return ast.FloatLiteral(element.span, float(element.value))
    return element


EXPRESSIONS: dict[type, Callable[..., Operand]] = {
    ast.IntegerLiteral: ExpressionLowering.integer,
    ast.FloatLiteral: ExpressionLowering.floating,
    ast.StringLiteral: ExpressionLowering.text,
    ast.NullLiteral: ExpressionLowering.null,
    ast.Name: ExpressionLowering.name,
    ast.Unary: ExpressionLowering.unary,
    ast.Binary: ExpressionLowering.logical,
    ast.Conditional: ExpressionLowering.conditional,
    ast.Valof: lambda self, node: self.valof(node),
    ast.Call: ExpressionLowering.call,
    ast.MethodCall: ExpressionLowering.method_call,
    ast.SuperCall: ExpressionLowering.super_call,
    ast.New: ExpressionLowering.new,
    ast.FieldAccess: ExpressionLowering.field_access,
    ast.Lane: ExpressionLowering.lane_value,
    ast.BitField: ExpressionLowering.bit_field,
    ast.Constructor: ExpressionLowering.constructor,
}
