"""Tokens: kinds, texts and the lines that the reference counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from callproof.source import CallproofError, Span
from callproof.sox.lexer import (
    BAD,
    END,
    KEYWORDS,
    NAME,
    NUMBER,
    STRING,
    UNEXPECTED,
    SoxSource,
    tokenize,
)


def kinds(text: str | bytes) -> list[str]:
    """As `kind:text`, or only the text where that is the kind."""
    data = text.encode() if isinstance(text, str) else text
    tokens = tokenize(SoxSource("t", data))
    assert tokens.kinds.pop() == END
    return [
        text if kind == text else f"{kind}:{text}"
        for kind, text in zip(tokens.kinds, tokens.texts, strict=False)
    ]


def test_operators_are_the_longest_that_fit() -> None:
    text = "( ) { } [ ] , . - + ; / * : # ! != = == > >= < <= %"
    assert kinds(text) == text.split()
    assert kinds("===!==<==") == ["==", "=", "!=", "=", "<=", "="]


def test_keywords_are_exact() -> None:
    assert kinds(" ".join(sorted(KEYWORDS))) == sorted(KEYWORDS)
    for word in ("diver", "dover", "dzzault", "index", "value", "fun", "If", "_", "fn1", "Table"):
        assert kinds(word) == [f"{NAME}:{word}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", ["number:1"]),
        ("007", ["number:007"]),
        ("1.50", ["number:1.50"]),
        ("5.", ["number:5", "."]),
        (".5", [".", "number:5"]),
        ("1e5", ["number:1", "name:e5"]),
        ("0x10", ["number:0", "name:x10"]),
        ("1_000", ["number:1", "name:_000"]),
        ("1.2.3", ["number:1.2", ".", "number:3"]),
    ],
)
def test_numbers(text: str, expected: list[str]) -> None:
    assert NUMBER == "number"
    assert kinds(text) == expected


def test_strings_have_no_escapes_and_may_hold_lines_and_any_byte() -> None:
    assert kinds(rb'"a\n\"') == [STRING + r':"a\n\"']
    tokens = tokenize(SoxSource("t", b'\n"a\nb\n" x'))
    assert tokens.texts == ['"a\nb\n"', "x", ""]
    assert tokens.lines == [4, 4, 4]
    assert kinds(b'"\xff\xe9"') == ['string:"\xff\xe9"']


def test_space_and_comments() -> None:
    assert kinds("a // b \r\n\tc") == ["name:a", "name:c"]
    assert kinds("a /* b /* c */ d */ e") == ["name:a", "name:e"]
    assert kinds("a /* // */ b") == ["name:a", "name:b"]
    assert kinds("a // /*\nb") == ["name:a", "name:b"]
    assert kinds("a\f") == ["name:a", "bad:\f"]


def test_lines_are_counted_through_comments() -> None:
    tokens = tokenize(SoxSource("t", b"a\n/* \n /* \n */ */ b // \n\n c"))
    assert tokens.lines == [1, 4, 6, 6]


@pytest.mark.parametrize("character", [*"&|?'@$`^~\\", "\x80", "\xff", "\x01"])
def test_characters_that_begin_no_token(character: str) -> None:
    tokens = tokenize(SoxSource("t", f"a {character} b".encode("latin-1")))
    assert tokens.kinds == [NAME, BAD, NAME, END]
    assert tokens.messages.get(1, UNEXPECTED) == "Unexpected character."


def test_what_is_never_closed() -> None:
    tokens = tokenize(SoxSource("t", b'"ab\nc\n'))
    assert (tokens.kinds, tokens.lines) == ([BAD, END], [3, 3])
    assert tokens.messages == {0: "Unterminated string."}
    tokens = tokenize(SoxSource("t", b"/* /* */ \n"))
    assert (tokens.kinds, tokens.lines) == ([BAD, END], [2, 2])
    assert tokens.messages == {0: "Unterminated comment."}


def test_many_comments_in_comments_take_no_more_than_their_length() -> None:
    count = 20_000
    tokens = tokenize(SoxSource("t", b"a /* /* */ */ " * count))
    assert tokens.kinds == [NAME] * count + [END]


def test_a_nul_ends_the_text() -> None:
    assert kinds(b"a\0b") == ["name:a"]
    assert kinds(b'"a\0"') == ['bad:"a']
    assert kinds(b"\0") == []


def test_people_see_utf8_and_columns_of_characters() -> None:
    source = SoxSource("t", 'x\n"é" + é'.encode())
    assert source.line_text(2) == '"é" + é'
    offset = source.text.index("+")
    assert Span(source, offset, offset + 1).column == 5
    assert SoxSource("t", b"\xff").line_text(1) == "\N{REPLACEMENT CHARACTER}"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.sox", tmp_path, "a\0b"):
        with pytest.raises(CallproofError, match="cannot read"):
            SoxSource.read(path)
