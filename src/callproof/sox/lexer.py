"""Lexical analysis (reference section 1; block comments: section 20): tokens in columns.

A token is an index into the lists of `Tokens`, and what can be done for all tokens at once
is: an object for each would take longer to make than all the rest of the lexer's work.

A Sox program is a byte string.  We keep it as text with one character for each byte
(Latin-1), so that spans count bytes; only what a person sees is decoded (`SoxSource`).
"""

from __future__ import annotations

import re
from itertools import accumulate, compress, repeat
from operator import sub
from pathlib import Path

from callproof.source import CallproofError, SourceFile
from callproof.token_kinds import TokenKinds


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

_SPACE = " \t\r\n"
# What white space stands before is one match with it: half as many are made.  Comments in
# comments are left to `_comment_end`.
_TOKEN = re.compile(
    r"""[ \t\r\n]*+
    (?: [A-Za-z_][A-Za-z0-9_]*
      | [0-9]+(?:\.[0-9]+)?
      | "[^"]*"
      | //[^\n]*
      | /\*(?:[^*/]|\*(?!/)|/(?!\*))*+\*/
      | /\*
      | [=!<>]=
      | . )""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
# Kinds that no parser sees: a comment, and a text or comment whose end is not so clear.
_COMMENT, _OPEN = "", "open"
_OPERATORS = "[ ] ( ) { } , . - + ; / * % : # ! = < > == != <= >=".split()
_KNOWN = {text: text for text in (*KEYWORDS, *_OPERATORS)}
_DIGITS = frozenset("0123456789")


class Tokens:
    """The tokens of a file as columns, ended by one of kind END.

    `texts` as written; `lines` as the reference counts them: those of the tokens' last
    characters.  A BAD token is what no token begins with; `messages` has the reasons of
    those that are not UNEXPECTED.
    """

    __slots__ = ("ends", "kinds", "lines", "messages", "starts", "texts")

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.texts: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.lines: list[int] = []
        self.messages: dict[int, str] = {}

    def add(self, kind: str, text: str, start: int, end: int, line: int) -> None:
        self.kinds.append(kind)
        self.texts.append(text)
        self.starts.append(start)
        self.ends.append(end)
        self.lines.append(line)


def _kind_of(text: str) -> str:
    first = text[0]
    if first.isascii() and (first.isalpha() or first == "_"):
        return NAME
    if first in _DIGITS:
        return NUMBER
    if first == '"':
        return STRING if len(text) > 1 else _OPEN
    if first == "/":
        return _COMMENT if text != "/*" else _OPEN
    return BAD


def tokenize(source: SourceFile) -> Tokens:
    """All tokens, ended by one of kind END.  The parser reports the BAD ones."""
    text = source.text
    tokens = Tokens()
    kind_of = TokenKinds(_KNOWN, _kind_of)
    last = len(text.rstrip(_SPACE))
    parts = _TOKEN.findall(text, 0, last)
    position, line = _add_tokens(tokens, text, parts, 0, 1, kind_of)
    while position < last:
        parts = _until_open(text, position, last, kind_of)
        position, line = _add_tokens(tokens, text, parts, position, line, kind_of)
    length = len(text)
    tokens.add(END, "", length, length, line + text.count("\n", position))
    return tokens


def _until_open(text: str, position: int, last: int, kind_of: TokenKinds) -> list[str]:
    """As `findall`, but only up to the next comment in a comment: there may be many."""
    parts = []
    for match in _TOKEN.finditer(text, position, last):
        part = match[0]
        parts.append(part)
        if kind_of[part.lstrip(_SPACE)] == _OPEN:
            break
    return parts


def _add_tokens(
    tokens: Tokens, text: str, parts: list[str], position: int, line: int, kind_of: TokenKinds
) -> tuple[int, int]:
    """Tokens of parts of the text from `position`, in `line`, on, up to what is not closed.

    Gives where to go on, and the line there.
    """
    texts = [part.lstrip(_SPACE) for part in parts]
    ends = list(accumulate(map(len, parts), initial=position))
    lines = list(accumulate(map(str.count, parts, repeat("\n")), initial=line))
    position, line = ends[-1], lines[-1]
    del ends[0], lines[0]
    starts = list(map(sub, ends, map(len, texts)))
    kinds = list(map(kind_of.__getitem__, texts))
    found = frozenset(kinds)
    opened: int | None = None
    if _OPEN in found:
        at = kinds.index(_OPEN)
        opened, line = starts[at], lines[at]
        del kinds[at:], texts[at:], starts[at:], ends[at:], lines[at:]
    if _COMMENT in found:
        texts = list(compress(texts, kinds))
        starts = list(compress(starts, kinds))
        ends = list(compress(ends, kinds))
        lines = list(compress(lines, kinds))
        kinds = list(filter(None, kinds))
    tokens.kinds += kinds
    tokens.texts += texts
    tokens.starts += starts
    tokens.ends += ends
    tokens.lines += lines
    if opened is None:
        return position, line
    if text[opened] == "/":
        end = _comment_end(text, opened + 2)
        if end >= 0:
            return end, line + text.count("\n", opened, end)
        lexeme, message = "/*", OPEN_COMMENT
    else:
        lexeme, message = text[opened:], OPEN_STRING
    line += text.count("\n", opened)
    tokens.messages[len(tokens.kinds)] = message
    tokens.add(BAD, lexeme, opened, len(text), line)
    return len(text), line


def _comment_end(text: str, position: int) -> int:
    """Where the comment that is open at `position` ends (comments nest); -1 if it does not."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return -1
