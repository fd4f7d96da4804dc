"""Lowering of expressions; statements are in `lower_statements.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import F64 as ABI_F64
from callproof.abi.types import I64 as ABI_I64
from callproof.bcpl import nodes as ast
from callproof.bcpl.external import ExternalInfo
from callproof.bcpl.lower_external import call_external
from callproof.bcpl.resolve import not_yet
from callproof.bcpl.symbols import (
    FLOAT,
    STRING,
    ClassInfo,
    FieldInfo,
    FunctionInfo,
    Library,
    ValueType,
    Variable,
)
from callproof.bcpl.symbols import Constant as ConstantInfo
from callproof.bcpl.types import check_count
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import Block, Constant, Operand, Symbol
from callproof.ir.types import F64, I64, Type
from callproof.runtime.entries import NEW, WRITEF, Entry
from callproof.runtime.entries import STRING as NEW_STRING
from callproof.source import Span

if TYPE_CHECKING:
    from callproof.bcpl.lower import ModuleLowering

ZERO, ONE = Constant(I64, 0), Constant(I64, 1)
FLOAT_ZERO = Constant(F64, 0.0)

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
FLOAT_DIRECTIVES = frozenset("fF")
VALUE_DIRECTIVES = frozenset("dfsPQSNFxXocRin")


def ir_type(type_: ValueType) -> Type:
    return F64 if type_ is FLOAT else I64


class ExpressionLowering:
    """Expressions of one function.  `value` gives an operand of the expression's own class."""

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
            self.builder.declare(variable, ir_type(variable.type), variable.name)
        self.write_variable(variable, value)

    def write_variable(self, variable: Variable, value: Operand) -> None:
        type_ = ir_type(variable.type)
        if variable.symbol:
            self.builder.store(type_, value, Symbol(variable.symbol))
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
            return self.builder.load(type_, Symbol(variable.symbol), name=variable.name)
        if variable.slot is not None:
            return self.builder.load(type_, variable.slot, name=variable.name)  # type: ignore[arg-type]
        return self.builder.read(variable)

    def this(self) -> Operand:
        assert self.function is not None and self.function.this is not None
        return self.read_variable(self.function.this)

    # --- values -----------------------------------------------------------------------------------

    def value(self, node: ast.Expression) -> Operand:
        # Long chains lean to the left: walk down, then compute upwards.
        spine = []
        while isinstance(node, ast.Binary) and node.operator not in ("AND", "OR"):
            spine.append(node)
            node = node.left
        result = EXPRESSIONS[type(node)](self, node)
        while spine:
            parent = spine.pop()
            result = self.binary(parent, result)
        return result

    def converted(self, node: ast.Expression, wanted: ValueType) -> Operand:
        """The value as FLOAT or as a word (3.2.2: by truncation)."""
        return self.convert(self.value(node), node.type, wanted)

    def convert(self, value: Operand, from_: ValueType, to: ValueType) -> Operand:
        if (from_ is FLOAT) == (to is FLOAT):
            return value
        if to is FLOAT:
            if value.kind == 1:
                return Constant(F64, float(value.value))  # type: ignore[union-attr]
            return self.builder.value(op.SITOF, F64, value)
        return self.builder.value(op.FTOSI, I64, value)

    def bits(self, node: ast.Expression) -> Operand:
        """The value as a word, a FLOAT as its bits."""
        value = self.value(node)
        return self.builder.value(op.BITCAST, I64, value) if node.type is FLOAT else value

    def integer(self, node: ast.IntegerLiteral) -> Operand:
        return Constant(I64, node.value)

    def floating(self, node: ast.FloatLiteral) -> Operand:
        return Constant(F64, node.value)

    def text(self, node: ast.StringLiteral) -> Operand:
        return Symbol(self.module.string(node.value), 8)

    def null(self, node: ast.NullLiteral) -> Operand:
        del node
        return ZERO

    def name(self, node: ast.Name) -> Operand:
        meaning = node.meaning
        if isinstance(meaning, Variable):
            return self.read_variable(meaning)
        if isinstance(meaning, ConstantInfo):
            value = meaning.value
            return Constant(F64 if isinstance(value, float) else I64, value)
        if isinstance(meaning, FunctionInfo):
            return Symbol(meaning.symbol)
        if isinstance(meaning, FieldInfo):
            return self.builder.load(
                ir_type(meaning.variable.type), self.this(), meaning.offset, meaning.name
            )
        if isinstance(meaning, Library):
            self.module.declare(meaning.entry.symbol, meaning.entry.signature)
            return Symbol(meaning.entry.symbol)
        if isinstance(meaning, ExternalInfo):
            self.module.declare_external(meaning)
            return Symbol(meaning.symbol)
        what = "a class" if isinstance(meaning, ClassInfo) else node.name
        not_yet(self.module.diagnostics, f"{what} as a value", node.span)
        return ZERO

    def unary(self, node: ast.Unary) -> Operand:
        operator = node.operator
        builder = self.builder
        if operator == "@":
            return self.address(node.operand)
        if operator == "NOT":
            return self.truth(node)
        operand_type = node.operand.type
        value = self.value(node.operand)
        if operator == "+":
            return value
        if operator == "-":
            if operand_type is FLOAT:
                return builder.value(op.FNEG, F64, value)
            return builder.value(op.SUB, I64, ZERO, value)
        if operator == "~":
            word = self.convert(value, operand_type, node.type)
            return builder.value(op.XOR, I64, word, Constant(I64, -1))
        if operator == "!":
            return builder.load(I64, value)
        if operator == "%":
            return self.load_character(value)
        if operator == "LEN":
            return builder.load(I64, value, -8, "length")
        if operator == "FLOAT":
            return self.convert(value, operand_type, FLOAT)
        if operator == "FSQRT":
            return builder.value(op.FSQRT, F64, self.convert(value, operand_type, FLOAT))
        if operand_type is not FLOAT:  # FIX, TRUNC and ENTIER of an integer are itself
            return value
        conversion = op.FLOORTOSI if operator == "ENTIER" else op.FTOSI
        return builder.value(conversion, I64, value)

    def load_character(self, address: Operand) -> Operand:
        value = self.builder.emit(op.LOAD_S32, I64, [address])
        assert value is not None
        return value

    def binary(self, node: ast.Binary, left: Operand) -> Operand:
        operator = node.operator
        builder = self.builder
        left_type = node.left.type
        if operator in COMPARISONS:
            return self.comparison(node, left)
        if operator in ("!", "%"):
            base = left
            index = self.converted(node.right, node.type if operator == "%" else STRING)
            return self.load_element(operator, base, index, node.type)
        if node.type is FLOAT:
            first = self.convert(left, left_type, FLOAT)
            second = self.converted(node.right, FLOAT)
            return builder.value(FLOAT_OPERATIONS[operator], F64, first, second)
        first = self.convert(left, left_type, STRING)
        second = self.converted(node.right, STRING)
        if operator == "XOR":
            first = builder.value(op.NE, I64, first, ZERO)
            second = builder.value(op.NE, I64, second, ZERO)
            return builder.value(op.XOR, I64, first, second)
        if operator == "EQV":
            return builder.value(op.EQ, I64, first, second)
        return builder.value(INTEGER_OPERATIONS[operator], I64, first, second)

    def comparison(self, node: ast.Binary, left: Operand) -> Operand:
        integer, floating = COMPARISONS[node.operator]
        if node.float_marked or node.left.type is FLOAT or node.right.type is FLOAT:
            first = self.convert(left, node.left.type, FLOAT)
            second = self.converted(node.right, FLOAT)
            return self.builder.value(floating, F64, first, second)
        return self.builder.value(integer, I64, left, self.value(node.right))

    def element(self, operator: str, base: Operand, index: Operand) -> tuple[Operand, int]:
        """Address and offset of `v!i` (words) or `s%i` (32-bit characters)."""
        log2 = 3 if operator == "!" else 2
        if index.kind == 1:
            return base, wrap32(int(index.value) << log2)  # type: ignore[union-attr]
        scaled = self.builder.value(op.SHL, I64, index, Constant(I64, log2))
        return self.builder.value(op.ADD, I64, base, scaled), 0

    def load_element(
        self, operator: str, base: Operand, index: Operand, type_: ValueType
    ) -> Operand:
        address, offset = self.element(operator, base, index)
        if operator == "!":
            return self.builder.load(ir_type(type_), address, offset)
        value = self.builder.emit(op.LOAD_S32, I64, [address], offset=offset)
        assert value is not None
        return value

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
        value = self.value(node)
        if node.type is FLOAT:
            value = builder.value(op.FNE, F64, value, FLOAT_ZERO)
        builder.branch(value, then, otherwise)

    def truth(self, node: ast.Expression) -> Operand:
        """AND, OR and NOT as a value: 0 or 1."""
        builder = self.builder
        if isinstance(node, ast.Unary) and not _is_logical(node.operand):
            value = self.value(node.operand)
            if node.operand.type is FLOAT:
                return builder.value(op.FEQ, F64, value, FLOAT_ZERO)
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

    def valof(self, node: ast.Valof) -> Operand:
        raise AssertionError("provided by FunctionLowering")

    # --- addresses ---------------------------------------------------------------------------

    def address(self, node: ast.Expression) -> Operand:
        """What `@` gives for something that can be assigned to, or for a function."""
        builder = self.builder
        if isinstance(node, ast.Name):
            meaning = node.meaning
            if isinstance(meaning, Variable) and meaning.slot is not None:
                return meaning.slot  # type: ignore[return-value]
            if isinstance(meaning, Variable):
                return Symbol(meaning.symbol)
            if isinstance(meaning, FieldInfo):
                return builder.value(op.ADD, I64, self.this(), Constant(I64, meaning.offset))
            return self.name(node)
        if isinstance(node, ast.Unary):
            return self.value(node.operand)
        if isinstance(node, ast.FieldAccess):
            base, offset, _ = self.field(node)
            return builder.value(op.ADD, I64, base, Constant(I64, offset))
        assert isinstance(node, ast.Binary)
        base = self.value(node.left)
        index = self.converted(node.right, STRING)
        address, offset = self.element(node.operator, base, index)
        return builder.value(op.ADD, I64, address, Constant(I64, offset)) if offset else address

    # --- objects -----------------------------------------------------------------------------

    def field(self, node: ast.FieldAccess) -> tuple[Operand, int, ValueType]:
        """Object, offset and class of a field; reports what is not one."""
        field = self.module.inference.field_of(node)
        base = self.value(node.receiver)
        if field is None:
            self.no_member(node.receiver, node.name, "field", node.span)
            return base, 8, node.type
        self.check_visible(field.visibility, field.owner, node.name, node.span)
        return base, field.offset, field.variable.type

    def no_member(self, receiver: ast.Expression, name: str, what: str, span: Span) -> None:
        from difflib import get_close_matches

        from callproof.source import Note

        info = self.module.inference.class_of(receiver)
        if info is None:
            not_yet(
                self.module.diagnostics,
                f"{what} '{name}' of an object whose class is not known (give it one with AS)",
                span,
            )
            return
        names = info.fields if what == "field" else info.methods
        close = get_close_matches(name, list(names), n=1)
        notes = [Note(f"did you mean '{close[0]}'?")] if close else []
        self.module.diagnostics.error(
            f"class {info.name} has no {what} '{name}'", span, notes, code="no-member"
        )

    def check_visible(self, visibility: str, owner: ClassInfo, name: str, span: Span) -> None:
        inside = self.function.class_info if self.function else None
        if visibility == "PRIVATE" and inside is not owner:
            self.module.diagnostics.error(f"'{name}' is PRIVATE in class {owner.name}", span)
        elif visibility == "PROTECTED" and (inside is None or owner not in inside.ancestors()):
            self.module.diagnostics.error(f"'{name}' is PROTECTED in class {owner.name}", span)

    def field_access(self, node: ast.FieldAccess) -> Operand:
        base, offset, type_ = self.field(node)
        return self.builder.load(ir_type(type_), base, offset, node.name)

    def new(self, node: ast.New) -> Operand:
        return self.make_object(self.module.info.classes[node.class_name], node)

    def make_object(self, info: ClassInfo, node: ast.New | ast.Call) -> Operand:
        builder = self.builder
        create = info.methods.get("CREATE")
        if create is not None:
            check_count(
                self.module.diagnostics, create, len(node.arguments), node.span, strict=True
            )
        arguments = self.arguments(create, node.arguments)
        self.module.declare(NEW.symbol, NEW.signature)
        made = builder.call(
            NEW.symbol, NEW.signature, [Constant(I64, info.size), Symbol(info.vtable)]
        )[0]
        made.name = info.name.lower()
        self.initialise_fields(info, made)
        if create is not None:
            builder.call(create.symbol, create.signature(), [made, *arguments])
        return made

    def initialise_fields(self, info: ClassInfo, made: Operand) -> None:
        for owner in reversed(info.ancestors()):
            for field in owner.own_fields:
                if field.initialiser is not None:
                    type_ = field.variable.type
                    value = self.converted(field.initialiser, type_)
                    self.builder.store(ir_type(type_), value, made, field.offset)

    # --- calls -------------------------------------------------------------------------------

    def arguments(
        self, function: FunctionInfo | None, nodes: Sequence[ast.Expression]
    ) -> list[Operand]:
        """Evaluated left to right; converted to a known callee's parameters, as many as it has."""
        if function is None:
            return [self.value(node) for node in nodes]
        found = []
        for index, node in enumerate(nodes):
            if index < len(function.parameters):
                found.append(self.converted(node, function.parameters[index].type))
            else:
                self.value(node)
        for parameter in function.parameters[len(nodes) :]:
            found.append(FLOAT_ZERO if parameter.type is FLOAT else ZERO)
        return found

    def call(self, node: ast.Call) -> Operand:
        callee = node.callee
        builder = self.builder
        if isinstance(callee, ast.Name):
            meaning = callee.meaning
            if isinstance(meaning, FunctionInfo):
                if meaning.class_info is not None:
                    return self.own_method(meaning, node)
                check_count(
                    self.module.diagnostics, meaning, len(node.arguments), node.span, strict=False
                )
                arguments = self.arguments(meaning, node.arguments)
                return builder.call(meaning.symbol, meaning.signature(), arguments)[0]
            if isinstance(meaning, ClassInfo):
                return self.make_object(meaning, node)
            if isinstance(meaning, Library):
                return self.library(meaning.entry, node)
            if isinstance(meaning, ExternalInfo):
                return call_external(self, meaning, node)
            if meaning is None:
                return self.special(callee.name.upper(), node)
        target = self.value(callee)
        return self.call_value(target, node.arguments)

    def call_value(self, target: Operand, nodes: Sequence[ast.Expression]) -> Operand:
        """Of a function value nothing is known: arguments go as they are, a word comes back."""
        arguments = [self.value(node) for node in nodes]
        parameters = tuple(
            Parameter(ABI_F64 if node.type is FLOAT else ABI_I64, "") for node in nodes
        )
        return self.builder.call(target, Signature(parameters, ABI_I64), arguments)[0]

    def own_method(self, method: FunctionInfo, node: ast.Call) -> Operand:
        check_count(self.module.diagnostics, method, len(node.arguments), node.span, strict=True)
        this = self.this()
        return self.dispatch(method, this, self.arguments(method, node.arguments))

    def method_call(self, node: ast.MethodCall) -> Operand:
        method = self.module.inference.method_of(node)
        this = self.value(node.receiver)
        if method is None:
            info = self.module.inference.class_of(node.receiver)
            field = info.fields.get(node.method) if info else None
            if field is not None:  # a function value in a field
                target = self.builder.load(I64, this, field.offset, node.method)
                return self.call_value(target, node.arguments)
            if info is not None and node.method in ("CREATE", "RELEASE"):
                return ZERO  # defined by no class of the chain: nothing to do
            self.no_member(node.receiver, node.method, "method", node.span)
            return ZERO
        assert method.class_info is not None
        self.check_visible(method.declaration.visibility, method.class_info, node.method, node.span)
        check_count(self.module.diagnostics, method, len(node.arguments), node.span, strict=True)
        return self.dispatch(method, this, self.arguments(method, node.arguments))

    def dispatch(self, method: FunctionInfo, this: Operand, arguments: list[Operand]) -> Operand:
        """Through the vtable; but CREATE, whose signature differs by class, directly."""
        builder = self.builder
        signature = method.signature()
        if method.slot == 0:
            return builder.call(method.symbol, signature, [this, *arguments])[0]
        vtable = builder.load(I64, this, 0, "vtable")
        target = builder.load(I64, vtable, 8 * method.slot, method.declaration.name)
        return builder.call(target, signature, [this, *arguments])[0]

    def super_call(self, node: ast.SuperCall) -> Operand:
        assert self.function is not None and self.function.class_info is not None
        base = self.function.class_info.base
        assert base is not None
        method = base.methods.get(node.method)
        if method is None:  # CREATE or RELEASE that no base class defines
            for argument in node.arguments:
                self.value(argument)
            return ZERO
        check_count(self.module.diagnostics, method, len(node.arguments), node.span, strict=True)
        this = self.this()
        arguments = self.arguments(method, node.arguments)
        return self.builder.call(method.symbol, method.signature(), [this, *arguments])[0]

    def library(self, entry: Entry, node: ast.Call) -> Operand:
        parameters = entry.signature.parameters
        if len(node.arguments) != len(parameters):
            plural = "" if len(parameters) == 1 else "s"
            self.module.diagnostics.error(
                f"{entry.names[0]} takes {len(parameters)} argument{plural}, "
                f"{len(node.arguments)} given",
                node.span,
                code="argument-count",
            )
            return FLOAT_ZERO if node.type is FLOAT else ZERO
        arguments = [
            self.converted(argument, FLOAT if parameter.type == ABI_F64 else STRING)
            for argument, parameter in zip(node.arguments, parameters, strict=True)
        ]
        self.module.declare(entry.symbol, entry.signature)
        results = self.builder.call(entry.symbol, entry.signature, arguments)
        return results[0] if results else ZERO

    def runtime_call(self, entry: Entry, *arguments: Operand) -> Operand:
        """A call of the compiler's own, with arguments as the runtime wants them."""
        self.module.declare(entry.symbol, entry.signature)
        results = self.builder.call(entry.symbol, entry.signature, arguments)
        return results[0] if results else ZERO

    def special(self, name: str, node: ast.Call) -> Operand:
        """Library names that are not one C function."""
        if name in ("LENGTH", "FLTOFX"):
            if len(node.arguments) != 1:
                self.module.diagnostics.error(
                    f"{name} takes 1 argument, {len(node.arguments)} given", node.span
                )
                return FLOAT_ZERO if node.type is FLOAT else ZERO
            if name == "FLTOFX":
                return self.converted(node.arguments[0], FLOAT)
            return self.builder.load(I64, self.value(node.arguments[0]), -8, "length")
        return self.writef(node)

    def writef(self, node: ast.Call) -> Operand:
        """The values go into an array of words: FLOATs as their bits (reference 11.1)."""
        if not node.arguments:
            self.module.diagnostics.error("WRITEF needs a format", node.span)
            return ZERO
        builder = self.builder
        format_node, *values = node.arguments
        wanted: list[str] = []
        if isinstance(format_node, ast.StringLiteral):
            wanted = directives(format_node.value)
            if len(wanted) != len(values):
                self.module.diagnostics.warning(
                    f"this format takes {len(wanted)} value{'' if len(wanted) == 1 else 's'}, "
                    f"{len(values)} given",
                    node.span,
                    code="format-count",
                )
        format_ = self.value(format_node)
        words = []
        for index, value in enumerate(values):
            letter = wanted[index] if index < len(wanted) else ""
            words.append(self.directive_value(value, letter))
        array: Operand = ZERO
        if words:
            array = builder.slot(8 * len(words), 8, "values")
            for index, word in enumerate(words):
                builder.store(I64, word, array, 8 * index)
        self.module.declare(WRITEF.symbol, WRITEF.signature)
        count = Constant(I64, len(words))
        builder.call(WRITEF.symbol, WRITEF.signature, [format_, count, array])
        return ZERO

    def directive_value(self, node: ast.Expression, letter: str) -> Operand:
        """A word for a directive; converted if the format says that the class does not suit."""
        if letter in FLOAT_DIRECTIVES and letter and node.type is not FLOAT:
            return self.builder.value(op.BITCAST, I64, self.converted(node, FLOAT))
        if letter and letter in "dixXoNnc" and node.type is FLOAT:
            return self.converted(node, STRING)
        return self.bits(node)

    # --- bit fields ---------------------------------------------------------------------------

    def bit_field(self, node: ast.BitField) -> Operand:
        """`w %% (start, width)`: the bits, unsigned."""
        word = self.converted(node.word, STRING)
        start, mask = self.field_bounds(node)
        shifted = self.builder.value(op.LSHR, I64, word, start)
        return self.builder.value(op.AND, I64, shifted, mask)

    def field_bounds(self, node: ast.BitField) -> tuple[Operand, Operand]:
        """Where the field begins, and as many ones as it has bits (1 without a width)."""
        builder = self.builder
        start = self.converted(node.start, STRING)
        width = ONE if node.width is None else self.converted(node.width, STRING)
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

    # --- constructors ------------------------------------------------------------------------

    def constructor(self, node: ast.Constructor) -> Operand:
        builder = self.builder
        if node.kind in ("TABLE", "FTABLE"):
            elements = node.elements
            if node.kind == "FTABLE":
                elements = [
                    ast.FloatLiteral(e.span, float(e.value))
                    if isinstance(e, ast.IntegerLiteral)
                    else e
                    for e in elements
                ]
            return Symbol(self.module.table(elements), 8)
        if node.kind == "STRING":
            if node.size is None:
                self.module.diagnostics.error("STRING takes a size", node.span)
                return ZERO
            size = self.converted(node.size, STRING)
            self.module.declare(NEW_STRING.symbol, NEW_STRING.signature)
            return builder.call(NEW_STRING.symbol, NEW_STRING.signature, [size])[0]
        entry = _GETVEC
        self.module.declare(entry.symbol, entry.signature)
        if node.size is not None:
            size = self.converted(node.size, STRING)
            return builder.call(entry.symbol, entry.signature, [size])[0]
        is_float = node.kind == "FVEC"
        values = [self.converted(e, FLOAT) if is_float else self.bits(e) for e in node.elements]
        count = Constant(I64, len(values))
        vector = builder.call(entry.symbol, entry.signature, [count])[0]
        for index, value in enumerate(values):
            builder.store(F64 if is_float else I64, value, vector, 8 * index)
        return vector

    def refused(self, node: ast.Expression) -> Operand:
        not_yet(self.module.diagnostics, type(node).__name__, node.span)
        return ZERO


def _entry(name: str) -> Entry:
    from callproof.runtime.entries import ENTRIES

    return ENTRIES[name]


_GETVEC = _entry("GETVEC")


def _is_logical(node: ast.Expression) -> bool:
    return isinstance(node, ast.Binary) and node.operator in ("AND", "OR")


def wrap32(offset: int) -> int:
    """A byte offset that an instruction's `offset` can hold."""
    return ((offset + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def directives(text: str) -> list[str]:
    """The letters of a literal format's directives that take a value."""
    found = []
    index = 0
    while index + 1 < len(text):
        if text[index] != "%":
            index += 1
            continue
        letter = text[index + 1]
        end = index + 2
        if letter == ".":
            while end < len(text) and text[end].isdigit():
                end += 1
            if end < len(text) and text[end] in "fF" and end > index + 2:
                found.append("f")
                end += 1
        elif letter in VALUE_DIRECTIVES and letter != "n":
            found.append(letter)
        index = end
    return found


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
    ast.Lane: ExpressionLowering.refused,
    ast.BitField: ExpressionLowering.bit_field,
    ast.Constructor: ExpressionLowering.constructor,
}
