"""Lexical analysis (reference section 1): one regular expression, light tokens."""

from __future__ import annotations

import re

from callproof.source import Diagnostics, Note, SourceFile, Span


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

_SPACE = " \t\r\f\v"
# What white space stands before is one match with it: half as many are made.
_TOKEN = re.compile(
    r"""[ \t\r\f\v]*+
    (?: (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<newline>\n[ \t\r\f\v\n]*+)
      | (?P<number>0[xX][0-9A-Fa-f]+(?![A-Za-z0-9_])|[0-9]+(?![A-Za-z0-9_.]|\.[0-9]))
      | (?P<float>[0-9]+(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)(?![A-Za-z0-9_]))
      | (?P<whole>[0-9]+(?![A-Za-z0-9_]))
      | (?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<based>\#(?:[xX][0-9A-Fa-f]+|[bB][01]+|[0-7]+)(?![A-Za-z0-9_]))
      | (?P<string>"(?:[^"*\\]++|\*.|\\.)*+")
      | (?P<character>'(?:[^'*\\\n]|\*.|\\.)')
      | (?P<operator>(?!/\*)(?:\$\(|\$\)|:=|->|<<|>>|%%|\#%|\.\.\.|\.%
          |(?:~=|<=|>=|[-+*/=<>])
             (?:\.(?![0-9%|])|\#(?!%|(?:[xX][0-9A-Fa-f]+|[bB][01]+|[0-7]+)(?![A-Za-z0-9_])))
          |~=|<=|>=|<>|&&|\|\||\.\||[-+*/=<>&|~!%@^?.,;:()\[\]{}]))
      | (?P<bad>.) )""",
    re.VERBOSE | re.DOTALL,
)
_GROUP = _TOKEN.groupindex
WORD_, NEWLINE_, COMMENT_, OPERATOR_, BAD_ = (
    _GROUP[name] for name in ("word", "newline", "comment", "operator", "bad")
)
NUMBER_, FLOAT_, STRING_, CHARACTER_ = (
    _GROUP[name] for name in ("number", "float", "string", "character")
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
_NUMBER_LIKE = re.compile(r"(?:[0-9]|#[0-9A-Za-z_])[0-9A-Za-z_]*(?:\.[0-9A-Za-z_]+)?")
_HINTS = {
    "\\": "backslashes stand in strings and characters only",
    "$": "brackets are $( and $)",
    "#": "hexadecimal numbers are written #X1F",
}
LARGEST = (1 << 63) - 1

_KIND_OF_WORD = {word: word for word in KEYWORDS}
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
        star: str | None = match[1]
        backslash: str = match[2]
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
    position: int | None = int(text.startswith("\ufeff"))
    last = len(text.rstrip(_SPACE))  # white space at the end is before no token
    first = True
    while position is not None:
        position, first = _tokens(source, diagnostics, tokens, position, last, first)
    tokens.append(Token(END, None, len(text), len(text), True))
    return tokens


def _tokens(
    source: SourceFile,
    diagnostics: Diagnostics,
    tokens: list[Token],
    position: int,
    last: int,
    first: bool,
) -> tuple[int | None, bool]:
    """Tokens from `position` on, to `last` or to what is none, which is reported.

    Gives where to go on (None: nowhere) and whether what is there begins a line.
    """
    add = tokens.append
    kind_of = _KIND_OF_WORD.get
    spelled = _SPELLINGS.get
    for match in _TOKEN.finditer(source.text, position, last):
        index = match.lastindex
        assert index is not None
        if index == NEWLINE_:
            first = True
            continue
        start, end = match.span(index)
        if index == WORD_:
            word = match[index]
            add(Token(kind_of(word, NAME), word, start, end, first))
        elif index == OPERATOR_:
            operator = match[index]
            operator = spelled(operator, operator)
            add(Token(operator, operator, start, end, first))
        elif index == NUMBER_:
            add(
                Token(
                    INTEGER, _integer(source, match[index], start, diagnostics), start, end, first
                )
            )
        elif index == COMMENT_:
            if "\n" in match[index]:
                first = True
            continue
        elif index == STRING_:
            inside = match[index][1:-1]
            if "*" in inside or "\\" in inside:
                inside = _unescape(inside)
            add(Token(STRING, inside, start, end, first))
        elif index == BAD_:
            end, stand_in, value = _bad(source, start, diagnostics)
            add(Token(stand_in, value, start, end, first))
            return (end if end < last else None), False
        else:
            add(_rare(source, diagnostics, index, match[index], Span(source, start, end), first))
        first = False
    return None, first


def _rare(
    source: SourceFile, diagnostics: Diagnostics, index: int, text: str, span: Span, first: bool
) -> Token:
    """The token of a character constant, a float or a number that is written in other ways."""
    start, end = span.start, span.end
    if index == CHARACTER_:
        inside = _unescape(text[1:-1])
        if len(inside) != 1:
            diagnostics.error(
                f"'{inside}' is not an escape: a character constant holds one character",
                span,
                [Note("the escapes are *N *T *S *B *P *C *\" *' **")],
                code="bad-character-constant",
            )
        return Token(INTEGER, ord(inside[0]), start, end, first)
    if index == FLOAT_:
        number = float(text)
        if number == float("inf"):
            diagnostics.error("this number is too large for a FLOAT", span, code="float-too-large")
            number = 0.0
        return Token(FLOAT, number, start, end, first)
    return Token(INTEGER, _integer(source, text, start, diagnostics), start, end, first)


def _integer(source: SourceFile, text: str, start: int, diagnostics: Diagnostics) -> int:
    if len(text) <= 18 and text.isdigit():
        return int(text)
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
        span = Span(source, start, start + len(text))
        diagnostics.error("this number does not fit a 64-bit word", span, code="integer-too-large")
        return 0
    return value - (1 << 64) if value > LARGEST else value


def _bad(
    source: SourceFile, position: int, diagnostics: Diagnostics
) -> tuple[int, str, int | str | None]:
    """Report what no token begins with; its end, and kind and value of a token in its place."""
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
        return len(text), BAD, None
    if character == '"':
        diagnostics.error(
            "this string is not closed",
            Span(source, position, line_end),
            [Note('inside a string a quote is written *"')],
            code="unterminated-string",
        )
        # The rest of the line may be code: the text ends before brackets that would close it.
        text_end = position + len(text[position:line_end].rstrip(" \t\r;)"))
        return max(text_end, position + 1), STRING, ""
    if character == "'":
        closing = text.find("'", position + 1, line_end)
        end = closing + 1 if closing >= 0 else min(position + 2, line_end)
        diagnostics.error(
            "a character constant is one character in quotes, as 'a' or '*N'",
            Span(source, position, end),
            [Note('strings stand in double quotes: "..."')] if closing > position + 1 else (),
            code="bad-character-constant",
        )
        return end, INTEGER, 0
    word = _NUMBER_LIKE.match(text, position)
    if word is not None:
        wrong = Span(source, position, word.end())
        diagnostics.error(f"'{word.group()}' is not a number", wrong, code="bad-number")
        return word.end(), INTEGER, 0
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
    return end, BAD, None
