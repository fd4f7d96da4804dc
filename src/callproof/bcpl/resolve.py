"""Names to meanings: top-level declarations, classes, scopes.

After this pass each `Name` node has its `meaning` (a Variable, Constant,
FunctionInfo, ExternalInfo, ClassInfo, FieldInfo, Library or SpecialRoutine), and each
declared local its Variable, listed in `Resolver.locals_of`.
"""

from __future__ import annotations

from callproof.bcpl import nodes as ast
from callproof.bcpl.external import make_external
from callproof.bcpl.resolve_statements import StatementResolver
from callproof.bcpl.symbols import (
    ClassInfo,
    Constant,
    FunctionInfo,
    ProgramInfo,
    Variable,
)
from callproof.bcpl.value_types import FLOAT, INTEGER, STRING, WORD
from callproof.source import Diagnostics, Note


class Resolver(StatementResolver):
    """See `resolve`."""

    def run(self) -> ProgramInfo:
        declarations = self.program.declarations
        self.c_symbols = {
            function.symbol
            for item in declarations
            if isinstance(item, ast.External)
            for function in item.functions
        }
        for item in declarations:
            if isinstance(item, ast.ClassDeclaration):
                info = ClassInfo(item.name, item)
                if self.declare(item.name, info, item.name_span):
                    self.info.classes[item.name] = info
        for item in declarations:
            if isinstance(item, ast.Manifest):
                self.manifest(item, self.info.names)
        for item in declarations:
            self.top_level(item)
        self.classes()
        self.forward(declarations)
        for item in declarations:
            if isinstance(item, ast.Let):
                self.global_values([item])
            elif isinstance(item, ast.Globals):
                self.global_values(item.declarations)
        for function in list(self.info.functions):
            self.body(function)
        self.field_initialisers()
        while self.nested:
            function, scopes = self.nested.pop()
            self.body(function, scopes)
        self.find_start()
        return self.info

    def top_level(self, item: ast.Statement) -> None:
        if isinstance(item, ast.FunctionDeclaration):
            function = self.make_function(item, item.name, None)
            if self.declare(item.name, function, item.name_span):
                self.info.functions.append(function)
        elif isinstance(item, ast.Let):
            self.global_variables(item)
        elif isinstance(item, ast.Globals):
            for let in item.declarations:
                self.global_variables(let)
        elif isinstance(item, ast.Static):
            self.static(item, self.info.names, "global.")
        elif isinstance(item, ast.External):
            self.external(item)

    def forward(self, declarations: list[ast.Statement]) -> None:
        """`GLOBAL $( F : 101 $)`: what nothing else declares is a variable of that name."""
        for item in declarations:
            if isinstance(item, ast.Forward):
                for name in item.names:
                    if name not in self.info.names:
                        variable = Variable(name, WORD, item.span, f"global.{name}")
                        self.info.names[name] = variable
                        self.info.statics.append((variable, 0))

    def external(self, item: ast.External) -> None:
        for function in item.functions:
            info = make_external(function, item.library, self.diagnostics)
            known = self.c_functions.setdefault(info.symbol, info)
            if known is not info and known.name != info.name:
                self.diagnostics.error(
                    f"C's {info.symbol} is declared twice, as {known.name} and as {info.name}",
                    function.name_span,
                    [Note("it is first declared here", known.declaration.name_span)],
                    code="duplicate",
                )
            self.declare(info.name, info, function.name_span)

    def global_variables(self, item: ast.Let) -> None:
        for name in item.names:
            type_ = FLOAT if item.is_float else self.annotated(item.annotation)
            variable = Variable(name, type_ or INTEGER, item.span, f"global.{name}")
            variable.fixed_type = type_ is not None
            self.declare(name, variable, item.span)

    def global_values(self, items: list[ast.Let]) -> None:
        for item in items:
            variables = [self.info.names.get(name) for name in item.names]
            found = [v for v in variables if isinstance(v, Variable)]
            if self.same_number(item.names, item.values, item.span):
                self.scopes = [{}]
                for value in item.values:
                    self.expression(value)
                self.info.globals.append((found, item.values))

    def static(self, item: ast.Static, scope: dict[str, object], prefix: str) -> None:
        for name, value in zip(item.names, item.values, strict=True):
            number: int | float | str | None = 0.0 if item.is_float else 0
            if isinstance(value, ast.StringLiteral):
                number = value.value
            elif value is not None:
                number = self.constant(value)
            if number is None:
                continue
            if item.is_float and isinstance(number, int):
                number = float(number)
            type_ = {int: INTEGER, float: FLOAT, str: STRING}[type(number)]
            is_fixed = item.is_float or value is not None
            variable = Variable(name, type_ if is_fixed else WORD, item.span, f"{prefix}{name}")
            variable.fixed_type = is_fixed
            if scope is not self.info.names or self.declare(name, variable, item.span):
                scope[name] = variable
                self.info.statics.append((variable, number))

    def manifest(self, item: ast.Manifest, scope: dict[str, object]) -> None:
        for name, value, span in zip(item.names, item.values, item.spans, strict=True):
            number = self.constant(value, scope)
            constant = Constant(name, 0 if number is None else number, span)
            if scope is self.info.names:
                self.declare(name, constant, span)
            else:
                scope[name] = constant

    def field_initialisers(self) -> None:
        for info in self.info.classes.values():
            for field in info.own_fields:
                if field.initialiser is not None:
                    self.scopes = [{}]
                    self.function = None
                    self.expression(field.initialiser)

    def find_start(self) -> None:
        for name in ("START", "start", "main"):
            found = self.info.names.get(name)
            if isinstance(found, FunctionInfo):
                if found.parameters:
                    self.diagnostics.error(f"{name} has no parameters", found.declaration.name_span)
                self.info.start = found
                return
        self.diagnostics.error(
            "the program has no START routine",
            self.program.span,
            [Note("add: LET START() BE $( ... $)")],
            code="no-start",
        )


def resolve(
    program: ast.Program, diagnostics: Diagnostics, *, exports: bool = False
) -> tuple[ProgramInfo, dict[object, list[Variable]]]:
    """Give every name its meaning.  Errors go to `diagnostics`.

    `exports`: functions are seen by the linker, and must not be taken for C's.
    """
    resolver = Resolver(program, diagnostics)
    resolver.exports = exports
    return resolver.run(), resolver.locals_of
