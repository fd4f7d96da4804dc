"""Declarations of C functions: `EXTERNAL "c" $( FUNCTION abs(n: INT) : INT ... $)`.

    external   ::= EXTERNAL [string] ( function | $( { function [;] } $) )
    function   ::= (FUNCTION | ROUTINE) name ( [parameter {, parameter}] [, ...] ) [: type]
                   [AS string]
    parameter  ::= name : type

The string behind EXTERNAL names the library, the one behind AS the function in C.  The
names of types are looked up later (`external.py`).
"""

from __future__ import annotations

import re

from callproof.bcpl import nodes as ast
from callproof.bcpl.lexer import END, NAME, STRING, string_value
from callproof.bcpl.parse_expressions import SyntaxFailure
from callproof.bcpl.parse_statements import DECLARATIONS, StatementParser
from callproof.source import Note, Span

C_LIBRARY = "c"
KINDS = frozenset(("FUNCTION", "ROUTINE"))
_C_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ExternalParser(StatementParser):
    """See the module."""

    def external(self) -> ast.External:
        start = self.begin()
        library = C_LIBRARY
        if self.kind == STRING:
            library = string_value(self.expect(STRING, "a library's name"))
        functions: list[ast.ExternalFunction] = []
        if self.kind != "$(":
            functions.append(self.external_function("after EXTERNAL"))
            return ast.External(self.since(start), library, functions)
        opened = self.take()
        while not self.closes(opened):
            before = self.at
            try:
                if self.kind in (";", ","):
                    self.advance()
                elif self.kind in DECLARATIONS - KINDS:
                    raise self.fail_at(
                        f"'$)' is missing before {self.shown()}",
                        self.span(),
                        [Note("the block that is not closed begins here", opened)],
                    )
                else:
                    functions.append(self.external_function("in EXTERNAL"))
            except SyntaxFailure:
                self.to_next_external()
                if self.kind in DECLARATIONS - KINDS:
                    raise  # the program goes on behind a block that is not closed
            if self.at == before:
                self.advance()
        return ast.External(self.since(start), library, functions)

    def to_next_external(self) -> None:
        """To the next declaration that begins a line, or the block's end."""
        while self.kind not in ("$)", END) and not (
            self.begins_line() and self.kind in DECLARATIONS
        ):
            self.advance()

    def external_function(self, where: str) -> ast.ExternalFunction:
        if self.kind not in KINDS:
            raise self.fail_at(
                f"expected FUNCTION or ROUTINE {where}, found {self.shown()}", self.span()
            )
        keyword = self.kind
        start = self.begin()
        name = self.name(f"a name after {keyword}")
        name_span = self.last_span()
        parameters, is_variadic = self.external_parameters(name)
        result = self.external_result(keyword, name, name_span)
        symbol = name
        if self.accept("AS"):
            symbol = self.c_name()
        return ast.ExternalFunction(
            self.since(start),
            name,
            parameters,
            result,
            symbol,
            name_span,
            is_variadic,
        )

    def external_parameters(self, name: str) -> tuple[list[ast.Parameter], bool]:
        self.expect("(", f"'(' and the parameters of {name}")
        found: list[ast.Parameter] = []
        while self.kind != ")":
            if found:
                self.expect(",", "',' or ')' in the parameters")
            if self.accept("..."):
                place = self.last_span()
                if self.kind != ")":
                    raise self.fail_at("nothing can follow '...': it stands last", place)
                self.take()
                return found, True
            parameter = self.name("a parameter's name")
            span = self.last_span()
            if self.kind != ":":
                raise self.fail(
                    f"parameter '{parameter}' of {name} needs a C type: "
                    f"expected ':', found {self.shown()}",
                    [Note(f"for example {parameter}: INT")],
                )
            self.take()
            found.append(ast.Parameter(span, parameter, self.c_type()))
        self.take()
        return found, False

    def external_result(self, kind: str, name: str, name_span: Span) -> ast.TypeExpression | None:
        if self.accept(":"):
            place = self.last_span()
            type_ = self.c_type()
            if kind == "ROUTINE":
                self.diagnostics.error(
                    f"{name} is a ROUTINE, which has no result",
                    place.to(type_.span),
                    [Note("write FUNCTION if C's function has one")],
                    code="syntax",
                )
            return type_
        if kind == "FUNCTION":
            self.diagnostics.error(
                f"the C type of {name}'s result is missing",
                name_span,
                [Note("write it behind the parameters, as ': INT', or write ROUTINE for void")],
                code="syntax",
            )
        return None

    def c_type(self) -> ast.TypeExpression:
        kind, text = self.kind, self.text
        if kind != NAME and not (kind.isalpha() and kind.isupper()):
            raise self.fail(f"expected a C type, found {self.shown()}")
        return ast.TypeExpression(self.take(), text)

    def c_name(self) -> str:
        symbol = string_value(self.expect(STRING, "the function's name in C, in quotes"))
        if not _C_NAME.fullmatch(symbol):
            self.diagnostics.error(
                f'"{symbol}" cannot be the name of a C function',
                self.last_span(),
                code="syntax",
            )
        return symbol
