"""The parser's tokens, errors and recovery: those of the reference's single pass.

After an error nothing is reported until the next declaration (panic mode), but the parser goes
on as if nothing had happened, so that it meets the same tokens in the same order.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from callproof.source import Diagnostics, Note, Span
from callproof.sox.lexer import (
    BAD,
    END,
    NAME,
    OPEN_COMMENT,
    OPEN_STRING,
    UNEXPECTED,
    SoxSource,
    tokenize,
)
from callproof.sox.resolve import Resolver
from callproof.sox.symbols import FunctionInfo, Module

# Levels of nesting, and also of what grows to the left, as `a + b + c`: the later stages recurse.
MAXIMUM_DEPTH = 1000
RECURSION_LIMIT = 40 * MAXIMUM_DEPTH

SYNCHRONIZE = frozenset("class fn var for foreach if switch while print assert return".split())

LEXICAL_CODES = {
    UNEXPECTED: "unexpected-character",
    OPEN_STRING: "unterminated-string",
    OPEN_COMMENT: "unterminated-comment",
}
SYNTAX = "syntax"
MEANING = "meaning"
TOO_DEEP = f"Nested too deeply: more than {MAXIMUM_DEPTH} levels."

_HINTS = {
    "'": "strings stand in double quotes",
    "&": "the logical operators are `and`, `or` and `!`",
    "|": "the logical operators are `and`, `or` and `!`",
}


class TooDeep(Exception):
    """Ends the parse of a file that is nested too deeply; reported before it is raised."""


class ParserBase:
    """`at` is the next token and `kind` its kind, `taken` the one that was taken last."""

    def __init__(
        self, source: SoxSource, module: Module, kind: str, diagnostics: Diagnostics
    ) -> None:
        # The nesting is bounded, but this and the later stages recurse: Python's own limit is
        # far below and its exhaustion would be a traceback.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION_LIMIT))
        self.source = source
        self.module = module
        self.diagnostics = diagnostics
        tokens = tokenize(source)
        self.kinds = tokens.kinds
        self.texts = tokens.texts
        self.starts = tokens.starts
        self.ends = tokens.ends
        self.lines = tokens.lines
        self.messages = tokens.messages
        self.at = self.taken = 0
        self.kind = self.kinds[0]
        self.panic = False
        self.failed = False
        self.depth = 0
        self.height = 0
        whole = Span(source, 0, len(source.text))
        top = FunctionInfo("", kind, whole, module, line=1)
        self.resolver = Resolver(module, top, self.error_of_meaning)
        self.skip_bad()

    # --- tokens ---------------------------------------------------------------------------

    def skip_bad(self) -> None:
        while self.kind == BAD:
            hint = _HINTS.get(self.texts[self.at])
            notes = [Note(hint)] if hint else []
            message = self.messages.get(self.at, UNEXPECTED)
            self.report(self.at, message, LEXICAL_CODES[message], notes)
            self.at += 1
            self.kind = self.kinds[self.at]

    def advance(self) -> int:
        """Take a token; at the end of the file it is the END token again and again."""
        taken = self.taken = self.at
        if self.kind != END:
            self.at = taken + 1
            kind = self.kind = self.kinds[taken + 1]
            if kind == BAD:
                self.skip_bad()
        return taken

    def match(self, kind: str) -> bool:
        if self.kind != kind:
            return False
        self.advance()
        return True

    def consume(self, kind: str, message: str) -> bool:
        if self.kind == kind:
            self.advance()
            return True
        self.error_at_current(message)
        return False

    def name(self, message: str) -> str:
        """A name, or what stands in its place after an error was reported."""
        if self.consume(NAME, message):
            return self.texts[self.taken]
        return ""

    @property
    def line(self) -> int:
        """That of the token taken last."""
        return self.lines[self.taken]

    def peek(self) -> str:
        """The kind of the token behind the next one (BAD tokens are not passed over)."""
        return self.kinds[min(self.at + 1, len(self.kinds) - 1)]

    def span(self, token: int) -> Span:
        return Span(self.source, self.starts[token], self.ends[token])

    def since(self, start: int) -> Span:
        """From an offset to the end of the token taken last."""
        return Span(self.source, start, self.ends[self.taken])

    # --- errors ---------------------------------------------------------------------------

    def report(self, token: int, message: str, code: str, notes: list[Note]) -> None:
        if self.panic:
            return
        self.panic = True
        self.failed = True
        self.diagnostics.error(message, self.span(token), notes, code)

    def error(self, message: str, note: str = "") -> None:
        """At the token taken last."""
        self.report(self.taken, message, SYNTAX, [Note(note)] if note else [])

    def error_of_meaning(self, message: str) -> None:
        self.report(self.taken, message, MEANING, [])

    def error_at_current(self, message: str) -> None:
        self.report(self.at, message, SYNTAX, [])

    def synchronize(self) -> None:
        """To after a `;` or before a token that begins a statement."""
        self.panic = False
        while self.kind != END:
            if self.kinds[self.taken] == ";" or self.kind in SYNCHRONIZE:
                return
            self.advance()

    def enter(self) -> None:
        """One level deeper.  Raises `TooDeep` beyond the limit."""
        self.depth += 1
        if self.depth + self.height > MAXIMUM_DEPTH:
            self.too_deep()

    def too_deep(self) -> NoReturn:
        self.panic = False  # the last word about this file
        self.report(self.at, TOO_DEEP, "too-deep", [])
        raise TooDeep

    def leave(self) -> None:
        self.depth -= 1
