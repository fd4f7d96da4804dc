"""Lexical analysis (reference section 1; block comments: section 20).

A Sox program is a byte string.  We keep it as text with one character for each byte
(Latin-1), so that spans count bytes; only what a person sees is decoded (`SoxSource`).
"""

from __future__ import annotations

import re
from pathlib import Path

from callproof.source import CallproofError, SourceFile


class SoxSource(SourceFile):
    """A program's bytes, up to the first NUL, one character each; shown to people as UTF-8."""

    __slots__ = ()

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(name, data.partition(b"\0")[0].decode("latin-1"))

    @classmethod
    def read(cls, path: Path | str) -> SoxSource:
        """A file's contents.

        Raises `CallproofError` if the file cannot be read."""
        try:
            return cls(str(path), Path(path).read_bytes())
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise CallproofError(f"cannot read {path}: {reason}") from error

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1; the column counts characters of the line as UTF-8."""
        line, column = super().line_and_column(offset)
        before = self.text[offset - column + 1 : offset]
        return line, len(_as_people_see(before)) + 1

    def line_text(self, line: int) -> str:
        return _as_people_see(super().line_text(line))


def _as_people_see(text: str) -> str:
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


KEYWORDS = frozenset(
    """and assert break case class continue default defer else false fn for foreach if import in
    nil or print return super switch this true var while""".split()
)

# Kinds of tokens: keywords and operators are their own kind.
NAME, NUMBER, STRING, END, BAD = "name", "number", "string", "end", "bad"

UNEXPECTED = "Unexpected character."
OPEN_STRING = "Unterminated string."
OPEN_COMMENT = "Unterminated comment."

_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n]++|//[^\n]*+)++)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9]+(?:\.[0-9]+)?)
      | (?P<string>"[^"]*")
      | (?P<comment>/\*)
      | (?P<operator>[=!<>]=|[][(){},.\-+;/*%:\#!=<>])""",
    re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Token:
    """`text` as written; `line` as the reference counts it: that of the token's last character.

    A BAD token is what no token begins with; `message` says why.
    """

    __slots__ = ("end", "kind", "line", "message", "start", "text")

    def __init__(
        self, kind: str, text: str, start: int, end: int, line: int, message: str = ""
    ) -> None:
        self.kind = kind
        self.text = text
        self.start = start
        self.end = end
        self.line = line
        self.message = message

    def __repr__(self) -> str:
        return f"{self.kind}:{self.text!r}"


def tokenize(source: SourceFile) -> list[Token]:
    """All tokens, ended by one of kind END.  The parser reports the BAD ones."""
    text = source.text
    tokens: list[Token] = []
    add = tokens.append
    match_at = _TOKEN.match
    position, line, length = 0, 1, len(text)
    while position < length:
        match = match_at(text, position)
        if match is None:
            if text[position] == '"':
                line += text.count("\n", position)
                add(Token(BAD, text[position:], position, length, line, OPEN_STRING))
                position = length
            else:
                end = position + 1
                add(Token(BAD, text[position], position, end, line, UNEXPECTED))
                position = end
            continue
        kind = match.lastgroup
        end = match.end()
        if kind == "space":
            line += text.count("\n", position, end)
        elif kind == "word":
            word = match.group()
            add(Token(word if word in KEYWORDS else NAME, word, position, end, line))
        elif kind == "operator":
            operator = match.group()
            add(Token(operator, operator, position, end, line))
        elif kind == "number":
            add(Token(NUMBER, match.group(), position, end, line))
        elif kind == "string":
            line += text.count("\n", position, end)
            add(Token(STRING, match.group(), position, end, line))
        else:
            closing = _comment_end(text, end)
            end = length if closing < 0 else closing
            line += text.count("\n", position, end)
            if closing < 0:
                add(Token(BAD, "/*", position, end, line, OPEN_COMMENT))
        position = end
    add(Token(END, "", length, length, line))
    return tokens


def _comment_end(text: str, position: int) -> int:
    """Where the comment that is open at `position` ends (comments nest); -1 if it does not."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return -1
