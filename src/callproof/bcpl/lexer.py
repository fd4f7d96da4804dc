"""Lexical analysis (reference section 1): one regular expression, and tokens in columns.

A token is an index into the lists of `Tokens`: an object for each would take longer to make
than all the rest of the lexer's work.  For the same reason what can be done for all tokens
at once is (`map`, `accumulate`), and only what is rare is looked at one by one.
"""

from __future__ import annotations

import re
from itertools import accumulate, compress
from operator import sub

from callproof.source import Diagnostics, Note, SourceFile, Span
from callproof.token_kinds import TokenKinds


def words(text: str) -> frozenset[str]:
    """The words of a text: readable tables of keywords and operators."""
    return frozenset(text.split())


KEYWORDS = words(
    """LET FLET AND BE VALOF FVALOF RESULTIS RETURN FINISH GET MANIFEST STATIC FSTATIC
    GLOBAL GLOBALS FUNCTION ROUTINE CLASS EXTENDS MANAGED DECL NEW SUPER
    PUBLIC PRIVATE PROTECTED VIRTUAL FINAL IF UNLESS TEST THEN ELSE DO WHILE UNTIL
    REPEAT REPEATWHILE REPEATUNTIL FOR TO BY FOREACH IN SWITCHON INTO CASE DEFAULT ENDCASE
    BREAK LOOP GOTO BRK DEFER RETAIN REMANAGE SEND ACCEPT USING
    NOT OR XOR BAND BOR BXOR BNOT REM EQV NEQV TRUE FALSE
    VEC FVEC TABLE FTABLE PAIR FPAIR QUAD FQUAD OCT FOCT PAIRS FPAIRS QUADS OCTS FQUADS FOCTS
    LIST MANIFESTLIST STRING HD TL REST LEN TYPE TYPEOF FREEVEC FREELIST FLOAT FIX TRUNC ENTIER
    FSQRT AS OF POINTER EXTERNAL"""
)

# Kinds of tokens: keywords and operators are their own kind.
NAME, INTEGER, FLOAT, STRING, END = "name", "integer", "float", "string", "end of file"
BAD = "bad"  # reported by the lexer: whoever meets it says nothing more

_SPACE = " \t\r\f\v\n"
# What white space stands before is one match with it: half as many are made.
_TOKEN = re.compile(
    r"""[ \t\r\f\v\n]*+
    (?: [A-Za-z_][A-Za-z0-9_]*
      | 0[xX][0-9A-Fa-f]+(?![A-Za-z0-9_])|[0-9]+(?![A-Za-z0-9_.]|\.[0-9])
      | [0-9]+(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)(?![A-Za-z0-9_])
      | [0-9]+(?![A-Za-z0-9_])
      | //[^\n]*|/\*.*?\*/
      | \#(?:[xX][0-9A-Fa-f]+|[bB][01]+|[0-7]+)(?![A-Za-z0-9_])
      | "(?:[^"*\\]++|\*.|\\.)*+"
      | '(?:[^'*\\\n]|\*.|\\.)'
      | (?!/\*)(?:\$\(|\$\)|:=|->|<<|>>|%%|\#%|\.\.\.|\.%
          |(?:~=|<=|>=|[-+*/=<>])
             (?:\.(?![0-9%|])|\#(?!%|(?:[xX][0-9A-Fa-f]+|[bB][01]+|[0-7]+)(?![A-Za-z0-9_])))
          |~=|<=|>=|<>|&&|\|\||\.\||[-+*/=<>&|~!%@^?.,;:()\[\]{}])
      | [0-9][A-Za-z0-9_]*|/\*|. )""",  # no token begins with these
    re.VERBOSE | re.DOTALL,
)
_BASED = re.compile("0[xX][0-9A-Fa-f]+")
_FLOAT = re.compile(r"[0-9]+(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)")
# Kinds that no parser sees: a comment, a number or character that needs a closer look, and
# what no token begins with.
_COMMENT, _RARE, _NOTHING = "", "rare", "nothing"
_OPERATORS = words(
    """$( $) := -> << >> %% #% ... .% .| ~ ! % & | @ ^ ? . , ; : ( ) [ ]"""
) | frozenset(
    operator + mark for operator in words("+ - * / = ~= < <= > >=") for mark in ("", ".", "#")
)
_SPELLINGS = {"{": "$(", "}": "$)", "<>": "~=", "&&": "AND", "||": "OR"}
_KNOWN = {text: text for text in KEYWORDS | _OPERATORS} | _SPELLINGS
_DIGITS = frozenset("0123456789")

_STAR = {"N": "\n", "T": "\t", "S": " ", "B": "\b", "P": "\f", "C": "\r"}
_BACKSLASH = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "a": "\a",
    "0": "\0",
}
_ESCAPE = re.compile(r"\*(.)|\\(.)", re.DOTALL)
_NUMBER_LIKE = re.compile(r"(?:[0-9]|#[0-9A-Za-z_])[0-9A-Za-z_]*(?:\.[0-9A-Za-z_]+)?")
_HINTS = {
    "\\": "backslashes stand in strings and characters only",
    "$": "brackets are $( and $)",
    "#": "hexadecimal numbers are written #X1F",
}
LARGEST = (1 << 63) - 1


class Tokens:
    """The tokens of a file as columns, ended by one of kind END.

    `kinds` as above; `texts` what was written, but of INTEGERs decimal numerals, and of
    what was wrong something right in its place; `starts` and `ends` their places.
    """

    __slots__ = ("ends", "kinds", "source", "starts", "texts")

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.kinds: list[str] = []
        self.texts: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []

    def add(self, kind: str, text: str, start: int, end: int) -> None:
        self.kinds.append(kind)
        self.texts.append(text)
        self.starts.append(start)
        self.ends.append(end)

    def begins_line(self, at: int) -> bool:
        """Whether a token is the first of its line (END always is)."""
        if at == 0 or at == len(self.kinds) - 1:
            return True
        return self.source.text.find("\n", self.ends[at - 1], self.starts[at]) >= 0


def _kind_of(text: str) -> str:
    first = text[0]
    if first.isascii() and (first.isalpha() or first == "_"):
        return NAME
    if first in _DIGITS:
        if text.isdigit():
            return INTEGER if len(text) <= 18 else _RARE
        if _FLOAT.fullmatch(text):
            return FLOAT if float(text) != float("inf") else _RARE
        return _RARE if _BASED.fullmatch(text) else _NOTHING
    if len(text) == 1 or text == "/*":
        return _NOTHING
    if first == "/":
        return _COMMENT
    return STRING if first == '"' else _RARE


def unescape(text: str) -> str:
    """Both styles of escapes; an unknown one keeps both characters."""

    def replace(match: re.Match[str]) -> str:
        star: str | None = match[1]
        if star is not None:
            if star in "\"'*":
                return star
            return _STAR.get(star.upper(), match[0])
        backslash: str = match[2]
        if backslash in "\"'\\":
            return backslash
        return _BACKSLASH.get(backslash, match[0])

    return _ESCAPE.sub(replace, text)


def string_value(text: str) -> str:
    """What is in a STRING token."""
    inside = text[1:-1]
    return unescape(inside) if "*" in inside or "\\" in inside else inside


def tokenize(source: SourceFile, diagnostics: Diagnostics) -> Tokens:
    """All tokens, ended by one of kind END.  What is no token is reported and skipped."""
    text = source.text
    tokens = Tokens(source)
    kind_of = TokenKinds(_KNOWN, _kind_of)
    start = int(text.startswith("\ufeff"))
    last = len(text.rstrip(_SPACE))  # white space at the end is before no token
    parts = _TOKEN.findall(text, start, last)
    position = _add_tokens(tokens, parts, start, kind_of, diagnostics)
    while position < last:
        parts = _until_wrong(text, position, last, kind_of)
        position = _add_tokens(tokens, parts, position, kind_of, diagnostics)
    tokens.add(END, "", len(text), len(text))
    return tokens


def _until_wrong(text: str, position: int, last: int, kind_of: TokenKinds) -> list[str]:
    """As `findall`, but only up to the next text that is no token: there may be many."""
    parts = []
    for match in _TOKEN.finditer(text, position, last):
        part = match[0]
        parts.append(part)
        if kind_of[part.lstrip(_SPACE)] == _NOTHING:
            break
    return parts


def _add_tokens(
    tokens: Tokens, parts: list[str], position: int, kind_of: TokenKinds, diagnostics: Diagnostics
) -> int:
    """Tokens of parts of the text from `position` on, up to what is none: that is reported.

    Gives where to go on.
    """
    texts = [part.lstrip(_SPACE) for part in parts]
    ends = list(accumulate(map(len, parts), initial=position))
    position = ends[-1]
    del ends[0]
    starts = list(map(sub, ends, map(len, texts)))
    kinds = list(map(kind_of.__getitem__, texts))
    found = frozenset(kinds)
    wrong: int | None = None
    if _NOTHING in found:
        at = kinds.index(_NOTHING)
        wrong = starts[at]
        del kinds[at:], texts[at:], starts[at:], ends[at:]
    if _COMMENT in found:
        texts = list(compress(texts, kinds))
        starts = list(compress(starts, kinds))
        ends = list(compress(ends, kinds))
        kinds = list(filter(None, kinds))
    if _RARE in found:
        for at, kind in enumerate(kinds):
            if kind == _RARE:
                span = Span(tokens.source, starts[at], ends[at])
                kinds[at], texts[at] = _rare(texts[at], span, diagnostics)
    tokens.kinds += kinds
    tokens.texts += texts
    tokens.starts += starts
    tokens.ends += ends
    if wrong is None:
        return position
    end, kind, text = _bad(tokens.source, wrong, diagnostics)
    tokens.add(kind, text, wrong, end)
    return end


def _rare(text: str, span: Span, diagnostics: Diagnostics) -> tuple[str, str]:
    """Kind and text of a character, a number of another base or one that is very large."""
    if text[0] == "'":
        inside = unescape(text[1:-1])
        if len(inside) != 1:
            diagnostics.error(
                f"'{inside}' is not an escape: a character constant holds one character",
                span,
                [Note("the escapes are *N *T *S *B *P *C *\" *' **")],
                code="bad-character-constant",
            )
        return INTEGER, str(ord(inside[0]))
    if text[0] != "#" and text[:2] not in ("0x", "0X") and not text.isdigit():
        diagnostics.error("this number is too large for a FLOAT", span, code="float-too-large")
        return FLOAT, "0.0"
    return INTEGER, str(_integer(text, span, diagnostics))


def _integer(text: str, span: Span, diagnostics: Diagnostics) -> int:
    if text[0] == "#":
        digits = text[2:] if text[1] in "xXbB" else text[1:]
        value = int(digits, {"x": 16, "b": 2}.get(text[1].lower(), 8))
        limit = (1 << 64) - 1  # a bit pattern
    elif text[:2] in ("0x", "0X"):
        value, limit = int(text, 16), (1 << 64) - 1
    else:
        # Python refuses to convert thousands of digits; twenty are too many already.
        value = int(text) if len(text.lstrip("0")) <= 20 else 1 << 64
        limit = LARGEST + 1  # the smallest number is written -9223372036854775808
    if value > limit:
        diagnostics.error("this number does not fit a 64-bit word", span, code="integer-too-large")
        return 0
    return value - (1 << 64) if value > LARGEST else value


def _bad(source: SourceFile, position: int, diagnostics: Diagnostics) -> tuple[int, str, str]:
    """Report what no token begins with; its end, and kind and text of a token in its place."""
    text = source.text
    character = text[position]
    line_end = text.find("\n", position)
    line_end = len(text) if line_end < 0 else line_end
    if text.startswith("/*", position):
        diagnostics.error(
            "this comment is not closed",
            Span(source, position, position + 2),
            [Note("comments end with */, and do not nest")],
            code="unterminated-comment",
        )
        return len(text), BAD, ""
    if character == '"':
        diagnostics.error(
            "this string is not closed",
            Span(source, position, line_end),
            [Note('inside a string a quote is written *"')],
            code="unterminated-string",
        )
        # The rest of the line may be code: the text ends before brackets that would close it.
        text_end = position + len(text[position:line_end].rstrip(" \t\r;)"))
        return max(text_end, position + 1), STRING, '""'
    if character == "'":
        closing = text.find("'", position + 1, line_end)
        end = closing + 1 if closing >= 0 else min(position + 2, line_end)
        diagnostics.error(
            "a character constant is one character in quotes, as 'a' or '*N'",
            Span(source, position, end),
            [Note('strings stand in double quotes: "..."')] if closing > position + 1 else (),
            code="bad-character-constant",
        )
        return end, INTEGER, "0"
    word = _NUMBER_LIKE.match(text, position)
    if word is not None:
        wrong = Span(source, position, word.end())
        diagnostics.error(f"'{word.group()}' is not a number", wrong, code="bad-number")
        return word.end(), INTEGER, "0"
    end = position + 1
    notes = [Note(_HINTS[character])] if character in _HINTS else []
    if not character.isascii():
        # One foreign word is one mistake.
        while end < line_end and not text[end].isascii():
            end += 1
        notes = [Note("outside strings and comments a program is ASCII")]
    shown = text[position:end]
    if not shown.isprintable():
        shown = " ".join(f"U+{ord(one):04X}" for one in shown)
    span = Span(source, position, end)
    diagnostics.error(f"unexpected character '{shown}'", span, notes, code="bad-character")
    return end, BAD, ""
