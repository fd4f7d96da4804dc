"""The parser: files, declarations, classes (reference sections 2, 6, 7, 12 and 13).

The statements are in `parse_statements.py`, expressions and functions in
`parse_expressions.py`; errors and recovery in `parse_base.py`, and what the names mean in
`resolve.py`, which runs along.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from callproof.source import Diagnostics
from callproof.sox import nodes as ast
from callproof.sox.lexer import END, NAME, STRING, SoxSource
from callproof.sox.parse_base import TooDeep
from callproof.sox.parse_statements import StatementParser
from callproof.sox.symbols import (
    DEFER,
    FUNCTION,
    INITIALIZER,
    METHOD,
    READABLE,
    SCRIPT,
    SET,
    ClassInfo,
    FunctionInfo,
    GlobalInfo,
    LocalInfo,
    Module,
)


def parse(
    source: SoxSource,
    diagnostics: Diagnostics,
    kind: str = SCRIPT,
    key: str = "",
    path: Path | None = None,
    session: dict[str, GlobalInfo] | None = None,
) -> Module:
    """A file as a module, its names resolved; `kind` is SCRIPT or MODULE.

    `session` has the globals of the text before, if there may be more text behind this.

    The tree is of use only if `diagnostics` has no errors.  Imports have no targets yet.
    """
    module = Module(key, path, source)
    if session is not None:
        module.is_open, module.globals = True, session
    Parser(source, module, kind, diagnostics).file()
    return module


class Parser(StatementParser):
    """See `parse`."""

    def file(self) -> None:
        top = self.module.function
        try:
            while self.kind != END:
                self.height = 0
                top.body += self.declaration()
        except TooDeep:
            return
        top.end_line = self.lines[self.at]

    def declaration(self) -> list[ast.Statement]:
        outer_height = self.height
        self.height = 0
        self.enter()
        rule = DECLARATIONS.get(self.kind)
        if rule is None or (self.kind == "fn" and self.peek() == "("):
            found = [self.statement()]
        else:
            self.advance()
            found = rule(self)
        self.leave()
        self.height = max(outer_height, self.height + 1)
        if self.panic:
            self.synchronize()
        return found

    # --- variables and functions ----------------------------------------------------------

    def declared(self, message: str) -> tuple[str, GlobalInfo | LocalInfo]:
        """The name that comes next, declared in the present scope."""
        self.name(message)
        token = self.taken
        name = self.texts[token]
        known = name if self.kinds[token] == NAME else ""
        return name, self.resolver.declare(known, self.span(token))

    def define(self, node: ast.Definition) -> ast.Definition:
        """From here on the name has its value."""
        if isinstance(node.symbol, LocalInfo):
            node.symbol.state = SET
        else:
            node.symbol.definitions.append(node)
        return node

    def var_declaration(self) -> list[ast.Statement]:
        items = self.var_items()
        self.match(";")
        return items

    def var_items(self) -> list[ast.Statement]:
        items: list[ast.Statement] = []
        while True:
            name, symbol = self.declared("Expect variable name.")
            start = self.starts[self.taken]
            is_array = self.match("[")
            if is_array:
                self.consume("]", "Expect ']' after indexing expression.")
            value = self.initializer(is_array) if self.match("=") else None
            span, line = self.since(start), self.line
            items.append(self.define(ast.VarDeclaration(span, line, name, symbol, value, is_array)))
            if not self.match(","):
                return items

    def initializer(self, is_array: bool) -> ast.Expression:
        if is_array and self.kind == "{" and self.peek() == "}":
            start = self.starts[self.advance()]  # elsewhere an empty table
            self.advance()
            return ast.ArrayLiteral(self.since(start), self.line, [])
        return self.expression()

    def fn_declaration(self) -> list[ast.Statement]:
        return [self.named_function()]

    def named_function(self, is_test: bool = False) -> ast.Statement:
        start = self.starts[self.taken]
        name, symbol = self.declared("Expect function name.")
        if isinstance(symbol, LocalInfo):
            symbol.state = READABLE  # it may call itself
        is_main = name == "main" and isinstance(symbol, GlobalInfo)
        if is_main and self.module.main is not None:
            self.error_of_meaning("Cannot have more than one main()")
        function = self.function(name, FUNCTION, self.taken)
        if is_main:
            self.module.main = function
        if is_test:
            function.is_test = True
            self.module.tests.append(function)
        span, line = self.since(start), self.line
        return self.define(ast.FunctionDeclaration(span, line, name, symbol, function))

    def test_declaration(self) -> list[ast.Statement]:
        """`#[test] fn ...`."""
        self.consume("[", "Expect '[' after '#'.")
        name = self.name("Expect attribute name after '#['.")
        if name != "test":
            self.error("Unknown attribute.", "the only attribute is #[test]")
        self.consume("]", "Expect ']' after attribute.")
        if not self.resolver.scope.is_global:
            self.error("Test functions must be declared at top level.")
        self.consume("fn", "Expect 'fn' after attribute.")
        return [self.named_function(is_test=True)]

    def defer_declaration(self) -> list[ast.Statement]:
        token = self.taken
        self.resolver.scope.info.has_defer = True
        function = self.function("", DEFER, token)
        return [ast.Defer(self.since(self.starts[token]), self.line, function)]

    # --- classes --------------------------------------------------------------------------

    def class_declaration(self) -> list[ast.Statement]:
        start = self.starts[self.taken]
        name, symbol = self.declared("Expect class name.")
        if isinstance(symbol, LocalInfo):
            symbol.state = SET  # the class exists, without methods, before all that follows
        resolver = self.resolver
        info = ClassInfo(name, enclosing=resolver.classes)
        line = self.line
        resolver.begin_scope()
        if self.match("<"):
            parent = self.name("Expect superclass name.")
            line = self.line
            meaning = resolver.read(parent)
            info.superclass = ast.Variable(self.span(self.taken), line, parent, meaning)
            if parent == name:
                self.error_of_meaning("A class can't inherit from itself.")
            info.parent = resolver.hidden("super", self.span(self.taken))
        resolver.classes = info
        self.consume("{", "Expect '{' before class body.")
        while self.kind not in ("}", END):
            info.methods.append(self.method(info))
        self.consume("}", "Expect '}' after class body.")
        resolver.classes = info.enclosing
        resolver.end_scope()
        node = ast.ClassDeclaration(self.since(start), line, name, symbol, info)
        return [self.define(node)]

    def method(self, owner: ClassInfo) -> FunctionInfo:
        name = self.name("Expect method name.")
        kind = INITIALIZER if name == "init" else METHOD
        return self.function(name, kind, self.taken, owner)

    # --- imports --------------------------------------------------------------------------

    def import_declaration(self) -> list[ast.Statement]:
        found: list[ast.Statement] = []
        if self.match("("):
            while self.kind in (NAME, STRING):
                found.append(self.import_specification())
                self.match(";")
            if self.kind not in (")", END):
                self.error_at_current("Expect module path string.")
            self.consume(")", "Expect ')' after import list.")
        else:
            found.append(self.import_specification())
        self.match(";")
        return found

    def import_specification(self) -> ast.Statement:
        """`alias "path"` or `"path"`, which is named after its last part without `.sox`."""
        start = self.starts[self.at]
        symbol: GlobalInfo | LocalInfo | None = None
        name = ""
        if self.kind == NAME:
            name, symbol = self.declared("Expect variable name.")
        self.consume(STRING, "Expect module path string.")
        path = self.texts[self.taken][1:-1] if self.kinds[self.taken] == STRING else ""
        if symbol is None:
            name = path.rpartition("/")[2].removesuffix(".sox")
            symbol = self.resolver.declare(name, self.span(self.taken))
        node = ast.Import(self.since(start), self.line, name, symbol, path.encode("latin-1"))
        self.module.imports.append(node)
        return self.define(node)


D = Parser

DECLARATIONS: dict[str, Callable[[Parser], list[ast.Statement]]] = {
    "import": D.import_declaration,
    "#": D.test_declaration,
    "class": D.class_declaration,
    "defer": D.defer_declaration,
    "fn": D.fn_declaration,
    "var": D.var_declaration,
}
