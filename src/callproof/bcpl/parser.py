"""The parser: programs, declarations and classes (reference, sections 2, 4 and 8).

Errors are collected: after one the parser skips to where a statement or declaration
can begin, so that several are found in one run.  Statements are in
`parse_statements.py`, C functions in `parse_external.py`, expressions in
`parse_expressions.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from callproof.bcpl import nodes as ast
from callproof.bcpl.lexer import BAD, END, INTEGER, NAME, STRING, string_value, tokenize
from callproof.bcpl.parse_expressions import MAXIMUM_DEPTH, SyntaxFailure
from callproof.bcpl.parse_external import ExternalParser
from callproof.bcpl.parse_statements import DECLARATIONS, STATEMENTS
from callproof.source import Diagnostics, Note, SourceFile, Span

METHODS = frozenset(("LET", "FLET", "FUNCTION", "ROUTINE"))
MEMBERS = METHODS | {"DECL", "PUBLIC", "PRIVATE", "PROTECTED", "VIRTUAL", "FINAL"}
RECURSION_LIMIT = 30 * MAXIMUM_DEPTH


class Parser(ExternalParser):
    """See `parse`."""

    def program(self) -> ast.Program:
        start = self.span()
        declarations: list[ast.Statement] = []
        while self.kind != END:
            before = self.at
            try:
                declarations += self.top_level()
            except SyntaxFailure:
                self.skip_to(DECLARATIONS)
                self.depth = self.function_bodies = 0
                self.in_class = self.or_ends = self.or_may_end = False
            if self.at == before:
                self.advance()
        return ast.Program(start.to(self.span()), declarations)

    def skip_to(self, kinds: frozenset[str]) -> None:
        """To the next token of these kinds that begins a line, past brackets on the way."""
        depth = 0
        while self.kind != END:
            if depth <= 0 and self.kind in kinds and (self.begins_line() or self.kind == "$)"):
                return
            if self.kind == "$(":
                depth += 1
            elif self.kind == "$)":
                depth -= 1
            self.advance()

    def top_level(self) -> list[ast.Statement]:
        kind = self.kind
        if kind == ";":
            self.advance()
            return []
        if kind == "CLASS":
            return [self.class_declaration()]
        if kind in DECLARATIONS:
            return self.declaration()
        span = self.span()
        if kind == "$)":
            self.advance()
            self.diagnostics.error("'$)' closes nothing", span)
            return []
        if kind == NAME and self.text.upper() in DECLARATIONS:
            raise self.fail_at(f"'{self.text}' is not a keyword; write it in capitals", span)
        if kind in STATEMENTS or kind in (NAME, "$(", "!", "%"):
            raise self.fail_at(
                "a statement cannot stand here: only declarations can be outside a routine",
                span,
                [Note("the program starts at LET START() BE ...")],
            )
        if kind == BAD:
            raise SyntaxFailure()
        raise self.fail_at(f"expected a declaration, found {self.shown()}", span)

    # --- declarations ---------------------------------------------------------------------

    def declaration(self) -> list[ast.Statement]:
        kind = self.kind
        if kind in METHODS:
            return self.let()
        if kind == "MANIFEST":
            return [self.manifest()]
        if kind in ("STATIC", "FSTATIC"):
            return [self.static()]
        if kind in ("GLOBAL", "GLOBALS"):
            return self.globals()
        if kind == "GET":
            start = self.begin()
            path = string_value(self.expect(STRING, "a file name in quotes after GET"))
            return [ast.Get(self.since(start), path)]
        if kind == "EXTERNAL":
            return [self.external()]
        return [self.class_declaration()]

    def let(self) -> list[ast.Statement]:
        """A LET, and what follows it with AND."""
        keyword = self.kind
        found = [self.definition(keyword, self.begin())]
        while self.kind == "AND":
            found.append(self.definition(keyword, self.begin()))
        return found

    def definition(self, keyword: str, start: int) -> ast.Statement:
        if self.kind == "(":
            raise self.fail(
                f"expected a name after {keyword}, found '('",
                [Note(f"several names stand without brackets: {keyword} x, y = e")],
            )
        name = self.name(f"a name after {keyword}")
        name_span = self.last_span()
        is_float = keyword == "FLET"
        if self.kind == "(" and not self.begins_line():
            return self.function(name, name_span, is_float, start)
        if keyword in ("FUNCTION", "ROUTINE"):
            raise self.fail(f"expected '(' and the parameters of {name}, found {self.shown()}")
        names = [name]
        while self.accept(","):
            names.append(self.name("a name"))
        annotation = self.annotation()
        if self.kind == "[":
            raise self.fail(
                "a vector is made by VEC",
                [Note(f"write LET {name} = VEC n")],
            )
        if self.kind == ":=":
            raise self.fail("expected '=' in a declaration, found ':='")
        if not self.accept("="):
            if self.in_class:
                return ast.Let(self.since(start), names, [], is_float, annotation)
            raise self.fail(
                f"'{name}' needs a first value: expected '=', found {self.shown()}",
            )
        values = [self.expression()]
        while self.accept(","):
            values.append(self.expression())
        return ast.Let(self.since(start), names, values, is_float, annotation)

    def function(
        self, name: str, name_span: Span, is_float: bool, start: int
    ) -> ast.FunctionDeclaration:
        parameters = self.parameters()
        annotation = self.annotation()
        if annotation is not None and annotation.name == "FLOAT":
            is_float = True
        outer, self.in_class = self.in_class, False
        try:
            body: ast.Expression | ast.Statement
            if self.accept("="):
                self.function_bodies += 1
                try:
                    body = self.expression()
                finally:
                    self.function_bodies -= 1
            elif self.accept("BE"):
                self.function_bodies += 1
                try:
                    body = self.statement()
                finally:
                    self.function_bodies -= 1
            else:
                raise self.fail(f"expected '=' or BE and the body of {name}, found {self.shown()}")
        finally:
            self.in_class = outer
        return ast.FunctionDeclaration(
            self.since(start), name, parameters, body, is_float, name_span, annotation
        )

    def parameters(self) -> list[ast.Parameter]:
        self.expect("(", "'('")
        found: list[ast.Parameter] = []
        while self.kind != ")":
            if found:
                self.expect(",", "',' or ')' in the parameters")
            name = self.name("a parameter's name")
            found.append(ast.Parameter(self.last_span(), name, self.annotation()))
        self.advance()
        return found

    def annotation(self) -> ast.TypeExpression | None:
        return self.type_expression() if self.accept("AS") else None

    def type_expression(self) -> ast.TypeExpression:
        self.enter()
        is_pointer = False
        while self.kind in ("^", "POINTER", "TO"):
            is_pointer = True
            self.advance()
        kind, name = self.kind, self.text
        if kind != NAME and not (kind.isalpha() and kind.isupper()):
            raise self.fail(f"expected a type, found {self.shown()}")
        span = self.take()
        of = self.type_expression() if self.accept("OF") else None
        self.leave()
        return ast.TypeExpression(span, name, of, is_pointer)

    def manifest(self) -> ast.Manifest:
        start = self.begin()
        names: list[str] = []
        values: list[ast.Expression] = []
        spans: list[Span] = []

        def entry() -> None:
            name = self.name("a constant's name")
            span = self.last_span()
            self.expect("=", "'=' and the constant's value")
            values.append(self.expression())
            names.append(name)
            spans.append(span)

        self.entries("MANIFEST", entry)
        return ast.Manifest(self.since(start), names, values, spans)

    def entries(self, what: str, entry: Callable[[], None]) -> None:
        """`$( entry; entry ... $)`: after a wrong one goes on with the next."""
        opened = self.expect_open(what)
        while not self.closes(opened):
            before = self.at
            try:
                entry()
            except SyntaxFailure:
                while self.kind not in ("$)", ";", ",", END) and not (
                    self.begins_line() and self.kind in (NAME, "LET", "FLET") and self.at > before
                ):
                    self.advance()
            while self.kind in (";", ","):
                self.advance()

    def static(self) -> ast.Static:
        is_float = self.kind == "FSTATIC"
        start = self.begin()
        names: list[str] = []
        values: list[ast.Expression | None] = []

        def entry() -> None:
            name = self.name("a variable's name")
            values.append(self.expression() if self.accept("=") else None)
            names.append(name)

        if self.kind == "$(":
            self.entries("STATIC", entry)
        else:
            entry()
            while self.accept(","):
                entry()
        return ast.Static(self.since(start), names, values, is_float)

    def globals(self) -> list[ast.Statement]:
        start = self.begin()
        declarations: list[ast.Let] = []
        forward: list[str] = []
        if self.kind != "$(":
            self.global_entry(declarations, forward)
            return [ast.Globals(self.since(start), declarations)]
        self.entries("GLOBALS", lambda: self.global_entry(declarations, forward))
        span = self.since(start)
        found: list[ast.Statement] = [ast.Forward(span, forward)] if forward else []
        if declarations or not forward:
            found.append(ast.Globals(span, declarations))
        return found

    def global_entry(self, declarations: list[ast.Let], forward: list[str]) -> None:
        start = self.starts[self.at]
        is_float = self.kind == "FLET"
        if self.kind in ("LET", "FLET"):
            self.advance()
        names = [self.name("a global variable's name")]
        if self.accept(":"):
            self.expect(INTEGER, "a number")
            forward += names
            return
        while self.accept(","):
            names.append(self.name("a global variable's name"))
        annotation = self.annotation()
        self.expect("=", "'=' and the variable's first value")
        values = [self.expression()]
        while len(values) < len(names) and self.accept(","):
            values.append(self.expression())
        declarations.append(ast.Let(self.since(start), names, values, is_float, annotation))

    # --- classes -----------------------------------------------------------------------------

    def class_declaration(self) -> ast.ClassDeclaration:
        start = self.begin()
        name = self.name("the class's name")
        name_span = self.last_span()
        base = self.name("the base class's name") if self.accept("EXTENDS") else None
        self.accept("MANAGED")
        self.accept("BE")
        opened = self.expect_open(f"CLASS {name}")
        members = self.members(lambda: self.closes(opened))
        return ast.ClassDeclaration(self.since(start), name, base, members, name_span)

    def members(self, at_end: Callable[[], bool]) -> list[ast.Statement]:
        members: list[ast.Statement] = []
        visibility = "PUBLIC"
        while not at_end():
            before = self.at
            try:
                if self.kind in ("PUBLIC", "PRIVATE", "PROTECTED"):
                    visibility = self.kind
                    self.advance()
                    self.expect(":", f"':' after {visibility}")
                elif self.kind == ";":
                    self.advance()
                else:
                    members += self.member(visibility)
            except SyntaxFailure:
                self.skip_to(MEMBERS | DECLARATIONS | frozenset(("$)",)))
                if self.kind in ("CLASS", "MANIFEST", "STATIC", "GLOBALS"):
                    break
            if self.at == before:
                self.advance()
        return members

    def spliced_members(self) -> list[ast.Statement]:
        """All of a file as members of a class, public where it says nothing else."""
        try:
            found = self.members(lambda: self.kind == END)
            if self.kind != END:
                raise self.fail_at(
                    f"expected a field or a method, found {self.shown()}", self.span()
                )
        except SyntaxFailure:
            return []
        return found

    def member(self, visibility: str) -> list[ast.Statement]:
        is_virtual = is_final = False
        while self.kind in ("VIRTUAL", "FINAL"):
            is_virtual |= self.kind == "VIRTUAL"
            is_final |= self.kind == "FINAL"
            self.advance()
        if self.kind == "DECL":
            start = self.begin()
            names = [self.name("a field's name")]
            while self.accept(","):
                names.append(self.name("a field's name"))
            annotation = self.annotation()
            return [ast.Fields(self.since(start), names, annotation, visibility)]
        if self.kind == "GET" and self.splice is not None:
            (item,) = self.declaration()
            assert isinstance(item, ast.Get)
            return self.splice(item, "class")
        if self.kind not in METHODS:
            raise self.fail_at(f"expected a field or a method, found {self.shown()}", self.span())
        outer, self.in_class = self.in_class, True
        try:
            found = self.let()
        finally:
            self.in_class = outer
        for item in found:
            if isinstance(item, ast.Let):
                item.visibility = visibility
            if isinstance(item, ast.FunctionDeclaration):
                item.visibility = visibility
                item.is_virtual, item.is_final = is_virtual, is_final
        return found


Splice = Callable[[ast.Get, str], list[ast.Statement]]


def parse(
    source: SourceFile,
    diagnostics: Diagnostics,
    splice: Splice | None = None,
    *,
    inside: str = "",
) -> ast.Program:
    """The program of a source file.  Errors go to `diagnostics`; a program always comes back.

    `splice`: what a GET inside a block or class stands for; without it there is none.
    `inside`: the file is what stands in a "block" or a "class".  The nesting is
    bounded by `MAXIMUM_DEPTH`, the stages after this one recurse too: Python's limit is
    raised to what that bound needs.  (Since 3.11 calls take no C stack.)
    """
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION_LIMIT))
    earlier = len(diagnostics.found)
    parser = Parser(source, tokenize(source, diagnostics), diagnostics)
    parser.splice = splice
    if inside:
        found = parser.spliced() if inside == "block" else parser.spliced_members()
        program = ast.Program(Span(source, 0, len(source.text)), found)
    else:
        program = parser.program()
    # The lexer runs first; a reader wants all messages in the order of the text.
    messages = diagnostics.found
    messages[earlier:] = sorted(
        messages[earlier:], key=lambda one: one.span.start if one.span else 0
    )
    return program
