"""Names in expressions get their meanings."""

from __future__ import annotations

from collections.abc import Callable

from callproof.bcpl import nodes as ast
from callproof.bcpl.external import ExternalInfo
from callproof.bcpl.resolve_classes import ClassResolver
from callproof.bcpl.symbols import (
    ClassInfo,
    Constant,
    FieldInfo,
    FunctionInfo,
    SpecialRoutine,
    Variable,
)

INDEXING = frozenset(("!", "%", "#%", ".%"))
STATIC_CONSTRUCTORS = frozenset(("TABLE", "FTABLE", "MANIFESTLIST"))


class ExpressionResolver(ClassResolver):
    """Expressions; statements are in `resolve_statements.py`."""

    def expression(self, node: ast.Expression) -> None:
        # The left spine of a long chain is walked, not recursed into.
        rules = EXPRESSIONS
        while type(node) is ast.Binary:
            right = node.right
            rule = rules.get(type(right))
            if rule is not None:
                rule(self, right)
            else:
                self.expression(right)
            node = node.left
        rules[type(node)](self, node)

    def note(self, meaning: object) -> None:
        """The function that is being resolved names this: inference asks for that."""
        function = self.function
        if function is None:
            return
        kind = type(meaning)
        if kind is Variable:
            function.named.add(meaning)
        elif kind is FunctionInfo:
            function.named.add(meaning)
            function.uses_members |= meaning.class_info is not None  # type: ignore[attr-defined]
        elif kind is FieldInfo or kind is ClassInfo:
            function.uses_members = True

    def note_members(self) -> None:
        if self.function is not None:
            self.function.uses_members = True

    def literal(self, node: ast.Expression) -> None:
        """Nothing to resolve."""

    def name(self, node: ast.Name) -> None:
        meaning = node.meaning = self.find(node.name)
        if type(meaning) is Variable:
            if self.function is not None:
                self.function.named.add(meaning)
            return
        self.note(meaning)
        self.check_private(node.meaning, node.span)
        if node.meaning is None:
            self.unknown(node.name, node.span, "name", self.visible_names())
        elif isinstance(node.meaning, FunctionInfo):
            node.meaning.used_as_value = True
        elif isinstance(node.meaning, SpecialRoutine):
            self.diagnostics.error(
                f"{node.name} is done by the compiler and has no value: it can only be called",
                node.span,
            )

    def unary(self, node: ast.Unary) -> None:
        self.expression(node.operand)
        if node.operator == "@":
            self.address_of(node)

    def address_of(self, node: ast.Unary) -> None:
        operand = node.operand
        if isinstance(operand, ast.Name):
            if isinstance(operand.meaning, Variable):
                operand.meaning.in_memory = True
            elif operand.meaning is not None and not isinstance(
                operand.meaning, FunctionInfo | FieldInfo | ExternalInfo
            ):
                self.diagnostics.error(f"'{operand.name}' has no address", node.span)
        elif not (
            (isinstance(operand, ast.Binary) and operand.operator in INDEXING)
            or isinstance(operand, ast.FieldAccess)
            or (isinstance(operand, ast.Unary) and operand.operator in ("!", "%"))
        ):
            self.diagnostics.error("this has no address", node.span)

    def conditional(self, node: ast.Conditional) -> None:
        self.expression(node.condition)
        self.expression(node.then)
        self.expression(node.otherwise)

    def valof(self, node: ast.Valof) -> None:
        annotation = self.annotated(node.annotation)
        if annotation is not None:
            self.info.annotations[node] = annotation
        loops, switches, regions = self.loops, self.switches, self.regions
        self.loops = self.switches = 0
        self.regions = (*regions, node)
        self.valofs += 1
        self.inner(node.body)
        self.valofs -= 1
        self.loops, self.switches, self.regions = loops, switches, regions

    def call(self, node: ast.Call) -> None:
        callee = node.callee
        if isinstance(callee, ast.Name):
            callee.meaning = self.find(callee.name)
            self.note(callee.meaning)
            if self.function is not None and isinstance(callee.meaning, Variable | SpecialRoutine):
                self.function.uses_values = True
            self.check_private(callee.meaning, callee.span)
            if callee.meaning is None:
                self.unknown(callee.name, callee.span, "routine", self.visible_names())
            elif isinstance(callee.meaning, Constant):
                self.diagnostics.error(f"'{callee.name}' is a constant, not a routine", callee.span)
        else:
            self.expression(callee)
        for argument in node.arguments:
            self.expression(argument)

    def method_call(self, node: ast.MethodCall) -> None:
        self.note_members()
        self.expression(node.receiver)
        for argument in node.arguments:
            self.expression(argument)

    def super_call(self, node: ast.SuperCall) -> None:
        self.note_members()
        for argument in node.arguments:
            self.expression(argument)
        info = self.function.class_info if self.function else None
        if info is None:
            self.diagnostics.error("SUPER is only known inside methods", node.span)
        elif info.base is None:
            self.diagnostics.error(f"class {info.name} has no base class", node.span)
        elif node.method not in info.base.methods and node.method not in ("CREATE", "RELEASE"):
            self.unknown(node.method, node.span, f"{info.base.name}'s method", info.base.methods)
        else:
            self.check_private(info.base.methods.get(node.method), node.span)

    def new(self, node: ast.New) -> None:
        self.note_members()
        for argument in node.arguments:
            self.expression(argument)
        if node.class_name not in self.info.classes:
            self.unknown(node.class_name, node.span, "class", self.info.classes)

    def field_access(self, node: ast.FieldAccess) -> None:
        self.note_members()
        self.expression(node.receiver)

    def lane(self, node: ast.Lane) -> None:
        self.note_members()
        self.expression(node.pack)
        self.expression(node.index)

    def bit_field(self, node: ast.BitField) -> None:
        for part in (node.word, node.start, node.width):
            if part is not None:
                self.expression(part)

    def constructor(self, node: ast.Constructor) -> None:
        if node.size is not None:
            self.expression(node.size)
        for element in node.elements:
            self.expression(element)
        if node.kind in STATIC_CONSTRUCTORS:
            self.constant_elements(node)

    def constant_elements(self, node: ast.Constructor) -> None:
        """The elements of what is built at compile time: numbers and strings."""
        for index, element in enumerate(node.elements):
            if isinstance(element, ast.StringLiteral):
                continue
            number = self.constant(element)
            if isinstance(number, float):
                node.elements[index] = ast.FloatLiteral(element.span, number)
            elif number is not None:
                node.elements[index] = ast.IntegerLiteral(element.span, number)

    def inner(self, node: ast.Statement) -> None:
        raise AssertionError("provided by StatementResolver")


EXPRESSIONS: dict[type, Callable[..., None]] = {
    ast.IntegerLiteral: ExpressionResolver.literal,
    ast.FloatLiteral: ExpressionResolver.literal,
    ast.StringLiteral: ExpressionResolver.literal,
    ast.NullLiteral: ExpressionResolver.literal,
    ast.Name: ExpressionResolver.name,
    ast.Unary: ExpressionResolver.unary,
    ast.Conditional: ExpressionResolver.conditional,
    ast.Valof: ExpressionResolver.valof,
    ast.Call: ExpressionResolver.call,
    ast.MethodCall: ExpressionResolver.method_call,
    ast.SuperCall: ExpressionResolver.super_call,
    ast.New: ExpressionResolver.new,
    ast.FieldAccess: ExpressionResolver.field_access,
    ast.Lane: ExpressionResolver.lane,
    ast.BitField: ExpressionResolver.bit_field,
    ast.Constructor: ExpressionResolver.constructor,
}
