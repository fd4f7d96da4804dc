"""What the lexer makes of each kind of text (reference, section 1)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callproof.bcpl.lexer import (
    BAD,
    END,
    FLOAT,
    INTEGER,
    KEYWORDS,
    NAME,
    STRING,
    Tokens,
    string_value,
    tokenize,
    words,
)
from callproof.source import Diagnostics, SourceFile


@dataclass
class Token:
    """A row of the lexer's columns, its text as a parser reads it."""

    kind: str
    value: int | float | str
    start: int
    end: int
    first: bool


def row(tokens: Tokens, at: int) -> Token:
    kind, text = tokens.kinds[at], tokens.texts[at]
    value: int | float | str = text
    if kind == STRING:
        value = string_value(text)
    elif kind in (INTEGER, FLOAT):
        value = int(text) if kind == INTEGER else float(text)
    return Token(kind, value, tokens.starts[at], tokens.ends[at], tokens.begins_line(at))


def lex(text: str) -> tuple[list[Token], list[str]]:
    """The tokens without END, and the messages."""
    diagnostics = Diagnostics()
    tokens = tokenize(SourceFile("test.bcl", text), diagnostics)
    assert tokens.kinds[-1] == END
    return [row(tokens, at) for at in range(len(tokens.kinds) - 1)], [
        one.message for one in diagnostics.found
    ]


def one(text: str) -> Token:
    tokens, messages = lex(text)
    assert messages == []
    assert len(tokens) == 1, tokens
    assert (tokens[0].start, tokens[0].end) == (0, len(text))
    return tokens[0]


def kinds(text: str) -> list[str]:
    tokens, messages = lex(text)
    assert messages == []
    return [token.kind for token in tokens]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("123", 123),
        ("007", 7),
        ("9223372036854775807", 9223372036854775807),
        ("#X1F", 31),
        ("#x1f", 31),
        ("#XFFFFFFFFFFFFFFFF", -1),
        ("#X8000000000000000", -9223372036854775808),
        ("#17", 15),
        ("#0", 0),
        ("#B101", 5),
        ("#b101", 5),
        ("0x1F", 31),
        ("'A'", 65),
        ("'*N'", 10),
        ("'*n'", 10),
        ("'*T'", 9),
        ("'*S'", 32),
        ("'*B'", 8),
        ("'*P'", 12),
        ("'*C'", 13),
        ("'*''", 39),
        ("'*\"'", 34),
        ("'\"'", 34),
        ("'**'", 42),
        ("'\\n'", 10),
        ("'\\0'", 0),
        ("'\\\\'", 92),
        ("'é'", 233),
        ("'😀'", 0x1F600),
    ],
)
def test_integers_and_characters(text: str, value: int) -> None:
    token = one(text)
    assert (token.kind, token.value) == (INTEGER, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.5", 1.5), ("2.0e-3", 0.002), ("3e4", 30000.0), ("3E+4", 30000.0), ("0.25", 0.25)],
)
def test_floats(text: str, value: float) -> None:
    token = one(text)
    assert (token.kind, token.value) == (FLOAT, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('""', ""),
        ('"hello"', "hello"),
        ('"a*Nb"', "a\nb"),
        ('"*n*t*s*b*p*c"', "\n\t \b\f\r"),
        ('"say *"hi*""', 'say "hi"'),
        ('"it*\'s ** here"', "it's * here"),
        ('"*z stays"', "*z stays"),
        (r'"a\nb\tc\rd\be\ff\vg\ah\0i"', "a\nb\tc\rd\be\ff\vg\ah\0i"),
        (r'"\\ \" \' \q"', "\\ \" ' \\q"),
        ('"two\nlines"', "two\nlines"),
        ('"// no comment /* none */"', "// no comment /* none */"),
        ('"naïve 日本 😀"', "naïve 日本 😀"),
    ],
)
def test_strings_and_both_styles_of_escapes(text: str, value: str) -> None:
    token = one(text)
    assert (token.kind, token.value) == (STRING, value)


def test_a_string_may_be_long() -> None:
    assert one('"' + "x" * 200_000 + "*N" * 50_000 + '"').value == "x" * 200_000 + "\n" * 50_000


@pytest.mark.parametrize("word", sorted(KEYWORDS))
def test_keywords_are_upper_case_only(word: str) -> None:
    assert one(word).kind == word
    assert one(word.lower()).kind == NAME
    assert one(word + "_1").kind == NAME


@pytest.mark.parametrize("word", ["x", "_this", "SELF", "Point", "a1_b2", "START", "SUM", "MIN"])
def test_names(word: str) -> None:
    token = one(word)
    assert (token.kind, token.value) == (NAME, word)


@pytest.mark.parametrize(
    ("spelling", "kind"),
    [("{", "$("), ("}", "$)"), ("<>", "~="), ("&&", "AND"), ("||", "OR")],
)
def test_two_spellings_are_one_token(spelling: str, kind: str) -> None:
    assert one(spelling).kind == kind


@pytest.mark.parametrize(
    "operator",
    [
        *sorted(words("<< >> & | ~ ! % %% @ ^ ? . , ; : := -> ( ) [ ] .% #% .| $( $)")),
        *sorted(one + mark for one in words("+ - * / = ~= < <= > >=") for mark in ["", ".", "#"]),
    ],
)
def test_operators(operator: str) -> None:
    assert one(operator).kind == operator


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('$(WRITES("x")$)', ["$(", NAME, "(", STRING, ")", "$)"]),
        ("p.|0|", [NAME, ".|", INTEGER, "|"]),
        ("1.|0|", [INTEGER, ".|", INTEGER, "|"]),
        ("p.first", [NAME, ".", NAME]),
        ("v.%i", [NAME, ".%", NAME]),
        ("v#%i", [NAME, "#%", NAME]),
        ("a*#b", [NAME, "*#", NAME]),
        ("a*#bar", [NAME, "*#", NAME]),
        ("a*#x_", [NAME, "*#", NAME]),
        ("a*.b", [NAME, "*.", NAME]),
        ("a*#17", [NAME, "*", INTEGER]),
        ("a=#XF", [NAME, "=", INTEGER]),
        ("a:=-1", [NAME, ":=", "-", INTEGER]),
        ("a->b,c", [NAME, "->", NAME, ",", NAME]),
        ("a<-b", [NAME, "<", "-", NAME]),
        ("a~=~b", [NAME, "~=", "~", NAME]),
        ("w%%(1,2)", [NAME, "%%", "(", INTEGER, ",", INTEGER, ")"]),
        ("a/b", [NAME, "/", NAME]),
        ("a//b\nc", [NAME, NAME]),
        ("a/*b*/c", [NAME, NAME]),
        ("a/**/b/*\n*/c", [NAME, NAME, NAME]),
        ("a/* /* */b", [NAME, NAME]),
        ("3e", None),
    ],
)
def test_where_tokens_end(text: str, expected: list[str] | None) -> None:
    if expected is None:
        assert lex(text)[1]
    else:
        assert kinds(text) == expected


def test_a_token_knows_whether_it_begins_a_line() -> None:
    tokens, _ = lex("a b\n  c /* x */ d\n// e\n/* f */ g /* \n */ h")
    assert [(token.value, token.first) for token in tokens] == [
        ("a", True),
        ("b", False),
        ("c", True),
        ("d", False),
        ("g", True),
        ("h", True),
    ]


def test_a_byte_order_mark_is_dropped() -> None:
    assert kinds("\ufeffLET") == ["LET"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("12abc", "'12abc' is not a number"),
        ("#18", "'#18' is not a number"),
        ("#XYZ", "'#XYZ' is not a number"),
        ("99999999999999999999", "this number does not fit a 64-bit word"),
        ("1" * 10_000, "this number does not fit a 64-bit word"),
        ("#X1" + "0" * 16, "this number does not fit a 64-bit word"),
        ("1e400", "this number is too large for a FLOAT"),
        ("'ab'", "a character constant is one character in quotes, as 'a' or '*N'"),
        ("''", "a character constant is one character in quotes, as 'a' or '*N'"),
        ("'*z'", "'*z' is not an escape: a character constant holds one character"),
        ('"open', "this string is not closed"),
        ('"open*"', "this string is not closed"),
        ("/* open", "this comment is not closed"),
        ("`", "unexpected character '`'"),
        ("\\", "unexpected character '\\'"),
        ("größe", "unexpected character 'öß'"),
        ("\x00", "unexpected character 'U+0000'"),
    ],
)
def test_what_is_no_token_is_reported_once(text: str, message: str) -> None:
    assert lex(text)[1] == [message]


def test_a_bad_number_still_stands_for_a_number() -> None:
    assert [token.kind for token in lex("12abc + 'xy'")[0]] == [INTEGER, "+", INTEGER]
    assert [token.kind for token in lex("a ` b")[0]] == [NAME, BAD, NAME]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("aZ09_.#xX'\"*\\/$(){}|%!:=<>~+- \n\té@"), max_size=60))
def test_any_text_gives_ordered_tokens_and_no_exception(text: str) -> None:
    tokens, _ = lex(text)
    position = 0
    for token in tokens:
        assert position <= token.start < token.end <= len(text)
        position = token.end
