"""Lexical analysis (reference section 1): one regular expression, light tokens."""

from __future__ import annotations

import re

from callproof.source import Diagnostics, Note, SourceFile, Span

KEYWORDS = frozenset(
    """LET FLET AND BE VALOF FVALOF RESULTIS RETURN FINISH GET MANIFEST STATIC FSTATIC GLOBAL GLOBALS
    FUNCTION ROUTINE CLASS EXTENDS MANAGED DECL NEW SUPER PUBLIC PRIVATE PROTECTED VIRTUAL FINAL
    IF UNLESS TEST THEN ELSE DO WHILE UNTIL REPEAT REPEATWHILE REPEATUNTIL FOR TO BY FOREACH IN
    SWITCHON INTO CASE DEFAULT ENDCASE BREAK LOOP GOTO BRK DEFER RETAIN REMANAGE SEND ACCEPT USING
    NOT OR XOR BAND BOR BXOR BNOT REM EQV NEQV TRUE FALSE
    VEC FVEC TABLE FTABLE PAIR FPAIR QUAD FQUAD OCT FOCT PAIRS FPAIRS QUADS OCTS FQUADS FOCTS
    LIST MANIFESTLIST STRING HD TL REST LEN TYPE TYPEOF FREEVEC FREELIST FLOAT FIX TRUNC ENTIER
    FSQRT AS OF POINTER""".split()
)

# Kinds of tokens: keywords and operators are their own kind.
NAME, INTEGER, FLOAT, STRING, END = "name", "integer", "float", "string", "end of file"

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\v]+)
      | (?P<newline>\n)
      | (?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<float>[0-9]+(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)(?![A-Za-z0-9_]))
      | (?P<number>0[xX][0-9A-Fa-f]+(?![A-Za-z0-9_])|[0-9]+(?![A-Za-z0-9_]))
      | (?P<based>\#[xX][0-9A-Fa-f]+|\#[bB][01]+|\#[0-7]+)
      | (?P<string>"(?:[^"*\\]|\*.|\\.)*")
      | (?P<character>'(?:[^'*\\\n]|\*.|\\.)')
      | (?P<operator>\$\(|\$\)|:=|->|<<|>>|%%|\#%|\.%
          |(?:~=|<=|>=|[-+*/=<>])[.\#](?![0-9%]|[xXbB][0-9A-Fa-f])|~=|<=|>=|<>|&&|\|\||\.\||[-+*/=<>&|~!%@^?.,;:()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)

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
LARGEST = (1 << 63) - 1

_SPELLINGS = {"{": "$(", "}": "$)", "<>": "~=", "&&": "AND", "||": "OR"}


class Token:
    """`kind` as above; `value` of literals and names; `first` if it begins a line."""

    __slots__ = ("end", "first", "kind", "start", "value")

    def __init__(self, kind: str, value: object, start: int, end: int, first: bool) -> None:
        self.kind = kind
        self.value = value
        self.start = start
        self.end = end
        self.first = first

    def __repr__(self) -> str:
        return f"{self.kind}:{self.value!r}"


def _unescape(text: str) -> str:
    """Both styles of escapes; an unknown one keeps both characters."""

    def replace(match: re.Match[str]) -> str:
        star, backslash = match[1], match[2]
        if star is not None:
            if star in "\"'*":
                return star
            return _STAR.get(star.upper(), match[0])
        if backslash in "\"'\\":
            return backslash
        return _BACKSLASH.get(backslash, match[0])

    return _ESCAPE.sub(replace, text)


def tokenize(source: SourceFile, diagnostics: Diagnostics) -> list[Token]:
    """All tokens, ended by one of kind END.  What is no token is reported and skipped."""
    text = source.text
    tokens: list[Token] = []
    add = tokens.append
    match_at = _TOKEN.match
    position, first, length = 0, True, len(text)
    while position < length:
        match = match_at(text, position)
        if match is None:
            position = _bad(source, position, diagnostics)
            continue
        kind = match.lastgroup
        end = match.end()
        if kind == "word":
            word = match.group()
            if word in KEYWORDS:
                add(Token(word, word, position, end, first))
            else:
                add(Token(NAME, word, position, end, first))
        elif kind == "space":
            position = end
            continue
        elif kind == "newline":
            first = True
            position = end
            continue
        elif kind == "comment":
            if "\n" in match.group():
                first = True
            position = end
            continue
        elif kind == "operator":
            operator = match.group()
            operator = _SPELLINGS.get(operator, operator)
            add(Token(operator, operator, position, end, first))
        elif kind == "string":
            add(Token(STRING, _unescape(match.group()[1:-1]), position, end, first))
        elif kind == "character":
            inside = _unescape(match.group()[1:-1])
            if len(inside) != 1:
                span = Span(source, position, end)
                diagnostics.error("a character constant holds one character", span)
            add(Token(INTEGER, ord(inside[0]), position, end, first))
        elif kind == "float":
            value = float(match.group())
            if value == float("inf"):
                span = Span(source, position, end)
                diagnostics.error(f"{match.group()} is too large for a FLOAT", span)
            add(Token(FLOAT, value, position, end, first))
        else:
            add(Token(INTEGER, _integer(source, match, diagnostics), position, end, first))
        first = False
        position = end
    add(Token(END, None, length, length, True))
    return tokens


def _integer(source: SourceFile, match: re.Match[str], diagnostics: Diagnostics) -> int:
    text = match.group()
    if text[0] == "#":
        digits = text[2:] if text[1] in "xXbB" else text[1:]
        value = int(digits, {"x": 16, "b": 2}.get(text[1].lower(), 8))
        limit = (1 << 64) - 1  # a bit pattern
    elif text[:2] in ("0x", "0X"):
        value, limit = int(text, 16), (1 << 64) - 1
    else:
        value, limit = int(text), LARGEST + 1  # the smallest number is written -9223372036854775808
    if value > limit:
        span = Span(source, match.start(), match.end())
        diagnostics.error(f"{text} does not fit a 64-bit word", span, code="integer-too-large")
        return 0
    return value - (1 << 64) if value > LARGEST else value


def _bad(source: SourceFile, position: int, diagnostics: Diagnostics) -> int:
    """Report what no token begins with; where to go on."""
    text = source.text
    character = text[position]
    span = Span(source, position, position + 1)
    line_end = text.find("\n", position)
    line_end = len(text) if line_end < 0 else line_end
    if text.startswith("/*", position):
        diagnostics.error("this comment is not closed", span, [Note("comments end with */")])
        return len(text)
    if character == '"':
        diagnostics.error("this string is not closed", span, code="unterminated-string")
        return line_end
    if character == "'":
        diagnostics.error("a character constant is one character in quotes, as 'a' or '*N'", span)
        end = text.find("'", position + 1, line_end)
        return end + 1 if end >= 0 else position + 1
    word = re.compile(r"[0-9A-Za-z_.#]+").match(text, position)
    if word is not None and (character.isdigit() or character == "#") and len(word.group()) > 1:
        wrong = Span(source, position, word.end())
        diagnostics.error(f"'{word.group()}' is not a number", wrong, code="bad-number")
        return word.end()
    hints = {"\\": "backslashes stand in strings only"}
    notes = [Note(hints[character])] if character in hints else []
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    diagnostics.error(f"unexpected character '{shown}'", span, notes, code="bad-character")
    return position + 1
