"""Lowering of operators: arithmetic, comparisons, elements of vectors, conditions."""

from __future__ import annotations

from callproof.bcpl import lower_vectors
from callproof.bcpl import nodes as ast
from callproof.bcpl.lower_packs import PackLowering
from callproof.bcpl.lower_values import A_WORD, FLOAT_ZERO, ONE, ZERO, ir_type
from callproof.bcpl.symbols import Variable
from callproof.bcpl.value_types import (
    FLOAT,
    INTEGER,
    PACK_VECTORS,
    STRING,
    ValueType,
    described,
    short_name,
)
from callproof.ir import operations as op
from callproof.ir.model import CONSTANT, Block, Constant, Operand, Symbol
from callproof.ir.types import F64, I64
from callproof.runtime import entries
from callproof.source import Note, Span

INTEGER_OPERATIONS = {
    "+": op.ADD,
    "-": op.SUB,
    "*": op.MUL,
    "/": op.SDIV,
    "REM": op.SREM,
    "<<": op.SHL,
    ">>": op.LSHR,
    "&": op.AND,
    "|": op.OR,
    "NEQV": op.XOR,
}
FLOAT_OPERATIONS = {"+": op.FADD, "-": op.FSUB, "*": op.FMUL, "/": op.FDIV}
COMPARISONS = {
    "=": (op.EQ, op.FEQ),
    "~=": (op.NE, op.FNE),
    "<": (op.SLT, op.FLT),
    "<=": (op.SLE, op.FLE),
    ">": (op.SGT, op.FGT),
    ">=": (op.SGE, op.FGE),
}
INDEXING = {"!": 3, "%": 2, "#%": 3, ".%": 3}  # log2 of the element's size


class OperatorLowering(PackLowering):
    """Operators."""

    def unary(self, node: ast.Unary) -> Operand:
        operator = node.operator
        builder = self.builder
        operand_type: ValueType = node.operand.type
        if operator == "@":
            return self.address(node.operand)
        if operator == "NOT":
            return self.truth(node)
        if operator == "TYPE":
            return self.text_symbol(short_name(operand_type))
        if operator in ("HD", "TL", "REST"):
            return self.list_part(node)
        value = self.value(node.operand)
        if operator in ("!", "%", "TYPEOF"):
            value = self.as_address(node.operand, value)
        if operator == "+":
            return value
        if operator == "-":
            if operand_type.pack is not None:
                return self.negated_pack(operand_type.pack, value)
            if operand_type is FLOAT:
                return builder.value(op.FNEG, F64, value)
            return builder.value(op.SUB, I64, ZERO, value)
        if operator == "~":
            word = self.convert(value, operand_type, node.type)
            return builder.value(op.XOR, I64, word, Constant(I64, -1))
        if operator == "!":
            return builder.load(I64, value)
        if operator == "%":
            return self.load(op.LOAD_S32, value)
        if operator == "LEN":
            return self.length(value, operand_type, node.span)
        if operator == "TYPEOF":
            return self.load(op.LOAD_S32, value)
        if operator == "FLOAT":
            return self.convert(value, operand_type, FLOAT)
        if operator == "FSQRT":
            return builder.value(op.FSQRT, F64, self.convert(value, operand_type, FLOAT))
        if operand_type is not FLOAT:  # FIX, TRUNC and ENTIER of an integer are itself
            return self.convert(value, operand_type, INTEGER)
        conversion = op.FLOORTOSI if operator == "ENTIER" else op.FTOSI
        return builder.value(conversion, I64, value)

    def list_part(self, node: ast.Unary) -> Operand:
        """HD: the first atom's value, of a FLOAT list as a FLOAT; TL and REST: the others."""
        value = self.list_value(node.operand)
        if node.operator != "HD":
            return self.runtime_call(entries.TL, value)
        if node.type is FLOAT:
            return self.runtime_call(entries.HD_FLOAT, value)
        return self.from_bits(self.runtime_call(entries.HD, value), node.type)

    def list_value(self, node: ast.Expression) -> Operand:
        """A list or a node of one; refuses what certainly is neither."""
        type_: ValueType = node.type
        if type_ in (FLOAT, STRING) or type_.is_vector or type_.class_info or type_.pack:
            self.module.diagnostics.error(
                f"this is {described(type_)}, not a LIST", node.span, code="type"
            )
            return ZERO
        return self.value(node)

    def length(self, value: Operand, type_: ValueType, span: Span) -> Operand:
        if type_ is FLOAT or type_.class_info is not None or type_.pack is not None:
            self.module.diagnostics.error(f"{described(type_)} has no LEN", span, code="type")
            return ZERO
        if type_.is_list or type_.is_node:
            return self.runtime_call(entries.LIST_LENGTH, value)
        self.warn_unknown(type_, span)
        return self.builder.load(I64, value, -8, "length")

    def warn_unknown(self, type_: ValueType, span: Span) -> None:
        """A value of which nothing is known is taken for a vector; a list would be misread."""
        if type_ is INTEGER:
            self.module.diagnostics.warning(
                "nothing is known of this value: it is taken for a vector or string",
                span,
                [Note("AS says what it is, for instance AS LIST or AS VEC")],
                code="unknown-class",
            )

    # --- binary operators ------------------------------------------------------------------------

    def binary(self, node: ast.Binary, left: Operand) -> Operand:
        operator = node.operator
        builder = self.builder
        type_: ValueType = node.type
        if node.left.type is INTEGER and node.right.type is INTEGER and type_ is INTEGER:
            operation = INTEGER_OPERATIONS.get(operator)
            if operation is not None:
                return builder.value(operation, I64, left, self.value(node.right))
        if operator in COMPARISONS:
            return self.comparison(node, left)
        if operator in INDEXING:
            return self.indexed(node, self.as_address(node.left, left))
        if type_.pack is not None:
            return self.pack_binary(node, left)
        if type_.name in PACK_VECTORS:
            return self.vector_operation(operator, type_, left, self.value(node.right))
        if type_ is FLOAT:
            first = self.convert(left, node.left.type, FLOAT)
            second = self.converted(node.right, FLOAT)
            return builder.value(FLOAT_OPERATIONS[operator], F64, first, second)
        first = self.convert(left, node.left.type, A_WORD)
        second = self.converted(node.right, A_WORD)
        if operator == "XOR":
            first = builder.value(op.NE, I64, first, ZERO)
            second = builder.value(op.NE, I64, second, ZERO)
            return builder.value(op.XOR, I64, first, second)
        if operator == "EQV":
            return builder.value(op.EQ, I64, first, second)
        return builder.value(INTEGER_OPERATIONS[operator], I64, first, second)

    def vector_operation(
        self, name: str, type_: ValueType, left: Operand, right: Operand
    ) -> Operand:
        """A new vector: the two element by element."""
        symbol, signature = lower_vectors.elementwise(self.module, name, type_)
        return self.builder.call(symbol, signature, [left, right])[0]

    def comparison(self, node: ast.Binary, left: Operand) -> Operand:
        integer, floating = COMPARISONS[node.operator]
        first_type, second_type = node.left.type, node.right.type
        if first_type.pack is not None or second_type.pack is not None:
            return self.pack_comparison(node, left)
        if node.float_marked or FLOAT in (first_type, second_type):
            first = self.convert(left, first_type, FLOAT)
            second = self.converted(node.right, FLOAT)
            return self.builder.value(floating, F64, first, second)
        return self.builder.value(integer, I64, left, self.value(node.right))

    def pack_comparison(self, node: ast.Binary, left: Operand) -> Operand:
        right = self.value(node.right)
        first: ValueType = node.left.type
        second: ValueType = node.right.type
        pack = first.pack or second.pack
        assert pack is not None
        comparable = first is second or (not pack.boxed and FLOAT not in (first, second))
        if node.operator not in ("=", "~=") or not comparable:
            self.module.diagnostics.error(
                f"{node.operator} cannot compare {described(first)} with {described(second)}",
                node.span,
                code="type",
            )
            return ZERO
        if first is second:
            equal = self.equal_packs(pack, left, right)
        else:
            words = (self.as_bits(left, first), self.as_bits(right, second))
            equal = self.builder.value(op.EQ, I64, *words)
        return equal if node.operator == "=" else self.builder.value(op.XOR, I64, equal, ONE)

    # --- elements ------------------------------------------------------------------------------

    def indexed(self, node: ast.Binary, base: Operand) -> Operand:
        index = self.converted(node.right, A_WORD)
        if node.left.type.is_list:
            return self.runtime_call(entries.NTH, base, index)
        if self.module.options.bounds_check:
            self.check_constant_index(node, index)
            self.check_bounds(node, base, index)
        return self.load_element(node.operator, base, index, node.type)

    def check_constant_index(self, node: ast.Binary, index: Operand) -> None:
        """Refuse a constant index that is not in a vector of known size (reference 11.8)."""
        variable = node.left.meaning if isinstance(node.left, ast.Name) else None
        if not isinstance(variable, Variable) or variable.is_assigned or variable.in_memory:
            return
        size = variable.vector_size
        if size is None or index.kind != CONSTANT or node.operator == "%":
            return
        if not -1 <= index.value < size:  # type: ignore[union-attr]
            self.module.diagnostics.error(
                f"Vector '{variable.name}' index {index.value} is out of bounds "  # type: ignore[union-attr]
                f"(size: {size}, valid indices: 0-{size - 1})",
                node.right.span,
                [Note("the vector is made here", variable.span)],
                code="bounds",
            )

    def check_bounds(self, node: ast.Binary, base: Operand, index: Operand) -> None:
        """End the program if the index is not in the vector or string (reference 11.8)."""
        builder = self.builder
        type_: ValueType = node.left.type
        if not (type_.is_vector or type_ is STRING):
            return  # what is at address - 8 is not known
        if index.kind == CONSTANT and index.value == -1:  # type: ignore[union-attr]
            return
        length = builder.load(I64, base, -8, "length")
        wrong, right = builder.new_block("outside"), builder.new_block("inside")
        builder.branch(builder.value(op.UGE, I64, index, length), wrong, right)
        builder.start(wrong)
        file = Symbol(self.module.c_string(node.span.file.name))
        line = Constant(I64, node.span.line)
        self.runtime_call(entries.BOUNDS, index, length, file, line)
        builder.unreachable()
        builder.start(right)

    def element(self, operator: str, base: Operand, index: Operand) -> tuple[Operand, int]:
        """Address and offset of `v!i` (words) or `s%i` (32-bit characters)."""
        log2 = INDEXING[operator]
        if index.kind == CONSTANT:
            return base, wrap32(int(index.value) << log2)  # type: ignore[union-attr]
        scaled = self.builder.value(op.SHL, I64, index, Constant(I64, log2))
        return self.builder.value(op.ADD, I64, base, scaled), 0

    def load_element(
        self, operator: str, base: Operand, index: Operand, type_: ValueType
    ) -> Operand:
        address, offset = self.element(operator, base, index)
        if operator == "%":
            return self.load(op.LOAD_S32, address, offset)
        return self.load_value(type_, address, offset)

    # --- conditions --------------------------------------------------------------------------

    def branch(self, node: ast.Expression, then: Block, otherwise: Block) -> None:
        """Jump by the truth of a condition; AND, OR and NOT become control flow."""
        builder = self.builder
        while isinstance(node, ast.Unary) and node.operator == "NOT":
            node, then, otherwise = node.operand, otherwise, then
        if isinstance(node, ast.Binary) and node.operator in ("AND", "OR"):
            middle = builder.new_block("and" if node.operator == "AND" else "or")
            if node.operator == "AND":
                self.branch(node.left, middle, otherwise)
            else:
                self.branch(node.left, then, middle)
            builder.start(middle)
            self.branch(node.right, then, otherwise)
            return
        builder.branch(self.is_true(self.value(node), node.type), then, otherwise)

    def is_true(self, value: Operand, type_: ValueType) -> Operand:
        """A word that is not 0 if the value is not 0."""
        if type_ is FLOAT:
            return self.builder.value(op.FNE, F64, value, FLOAT_ZERO)
        if type_.pack is not None:
            return self.builder.value(op.XOR, I64, self.is_zero(type_.pack, value), ONE)
        return value

    def truth(self, node: ast.Expression) -> Operand:
        """AND, OR and NOT as a value: 0 or 1."""
        builder = self.builder
        if isinstance(node, ast.Unary) and not _is_logical(node.operand):
            value = self.value(node.operand)
            if node.operand.type is FLOAT:
                return builder.value(op.FEQ, F64, value, FLOAT_ZERO)
            if node.operand.type.pack is not None:
                return self.is_zero(node.operand.type.pack, value)
            return builder.value(op.EQ, I64, value, ZERO)
        then, otherwise = builder.new_block("true"), builder.new_block("false")
        end = builder.new_block("truth")
        self.branch(node, then, otherwise)
        result = object()
        builder.declare(result, I64, "")
        for block, value in ((then, ONE), (otherwise, ZERO)):
            builder.start(block)
            builder.write(result, value)
            builder.jump(end)
        builder.start(end)
        return builder.read(result)

    def logical(self, node: ast.Binary) -> Operand:
        return self.truth(node)

    def conditional(self, node: ast.Conditional) -> Operand:
        builder = self.builder
        then, otherwise = builder.new_block("then"), builder.new_block("else")
        end = builder.new_block("chosen")
        self.branch(node.condition, then, otherwise)
        result = object()
        builder.declare(result, ir_type(node.type), "")
        for block, arm in ((then, node.then), (otherwise, node.otherwise)):
            builder.start(block)
            builder.write(result, self.converted(arm, node.type))
            builder.jump(end)
        builder.start(end)
        return builder.read(result)

    def address(self, node: ast.Expression) -> Operand:
        raise AssertionError("provided by ExpressionLowering")

    # --- bit fields ---------------------------------------------------------------------------

    def bit_field(self, node: ast.BitField) -> Operand:
        """`w %% (start, width)`: the bits, unsigned."""
        word = self.converted(node.word, INTEGER)
        start, mask = self.field_bounds(node)
        shifted = self.builder.value(op.LSHR, I64, word, start)
        return self.builder.value(op.AND, I64, shifted, mask)

    def field_bounds(self, node: ast.BitField) -> tuple[Operand, Operand]:
        """Where the field begins, and as many ones as it has bits (1 without a width)."""
        builder = self.builder
        start = self.converted(node.start, INTEGER)
        width = ONE if node.width is None else self.converted(node.width, INTEGER)
        end = builder.value(op.SHL, I64, ONE, width)  # 64 or more bits: 0, so the mask is -1
        return start, builder.value(op.SUB, I64, end, ONE)

    def inserted(self, word: Operand, start: Operand, mask: Operand, value: Operand) -> Operand:
        """The word with the low bits of a value in the field."""
        builder = self.builder
        place = builder.value(op.SHL, I64, mask, start)
        others = builder.value(op.XOR, I64, place, Constant(I64, -1))
        kept = builder.value(op.AND, I64, word, others)
        low = builder.value(op.AND, I64, value, mask)
        return builder.value(op.OR, I64, kept, builder.value(op.SHL, I64, low, start))


def _is_logical(node: ast.Expression) -> bool:
    return isinstance(node, ast.Binary) and node.operator in ("AND", "OR")


def wrap32(offset: int) -> int:
    """A byte offset that an instruction's `offset` can hold."""
    return ((offset + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)
