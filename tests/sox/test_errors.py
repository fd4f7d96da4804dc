"""Compile errors: the reference's texts and lines, its recovery, and that nothing else comes.

`errors.txt` holds programs, each followed by its error lines, indented.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callproof.source import Diagnostics
from callproof.sox.frontend import is_unfinished, reference_errors
from callproof.sox.lexer import KEYWORDS, SoxSource
from callproof.sox.nodes import dump
from callproof.sox.parse_base import MAXIMUM_DEPTH
from callproof.sox.parser import parse
from callproof.sox.symbols import MODULE, SCRIPT
from tests.sox.support import errors, good, parsed
from tests.sox.test_parser import cases

CASES = cases(Path(__file__).parent / "errors.txt")

# Section 16's list and the texts quoted in other sections.
EXPECT = """expression. | ')' after arguments. | ')' after expression. | ')' after parameters.
| ')' after assert. | ')' after import list. | '(' after function name.
| '(' after function declaration. | '(' after 'assert'. | '{' before function body.
| '{' before class body. | '{' before foreach body. | '{' before switch body. | '}' after block.
| '}' after class body. | '}' after switch body. | '}' after table literal.
| '}' after array values | variable name. | parameter name. | function name. | class name.
| superclass name. | method name. | superclass method name. | index variable name.
| value variable name. | property name after '.'. | '.' after 'super'.
| property key (identifier or string) in table literal. | ':' after table key.
| ']' after indexing expression. | ']' after range. | ']' after attribute. | '[' after '#'.
| attribute name after '#['. | 'fn' after attribute. | ';' after loop condition.
| 'var' after 'foreach'. | ',' after index variable. | 'in' after foreach variables.
| module path string."""
# The grammar leaves no way to them: `Expect '}' after literal.`, `Expect ':' in range index.`
OTHERS = """Unexpected character. | Unterminated string. | Unterminated comment.
| Already a variable with this name in this scope.
| Can't read local variable in its own initializer. | Invalid assignment target.
| Can't return from top-level code. | Cannot have more than one main()
| Can't use break outside of a loop or switch statement.
| Can't use continue outside of a loop statement.
| Can't return a value from an initializer. | A class can't inherit from itself.
| Can't use 'super' outside of a class. | Can't use 'super' in a class with no superclass.
| Can't use 'this' outside of a class. | Unknown attribute.
| Test functions must be declared at top level."""


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text[:40] for text, _ in CASES])
def test_error_lines(text: str, expected: list[str]) -> None:
    assert expected
    assert errors(text + "\n") == expected


def test_every_text_of_the_reference_occurs() -> None:
    found = {line.split(": ", 1)[1] for _, lines in CASES for line in lines}
    expected = {"Expect " + " ".join(one.split()) for one in EXPECT.split("|")}
    expected |= {" ".join(one.split()) for one in OTHERS.split("|")}
    assert expected - found == set()
    ours = {"Expect a default value: the parameter before has one."}
    assert found - expected == ours


def test_at_most_255_arguments_and_parameters() -> None:
    many = [f"a{n}" for n in range(256)]
    good(f"f({', '.join(many[:255])}) fn f({', '.join(many[:255])}) {{}}")
    assert errors(f"f({', '.join(many)})") == [
        "[line 1] Error at 'a255': Can't have more than 255 arguments."
    ]
    assert errors(f"fn f({', '.join(many)}) {{}}") == [
        "[line 1] Error at 'a255': Can't have more than 255 parameters."
    ]


def test_lexemes_are_bytes() -> None:
    found = parsed(b'a.b."\xff\xc3\xa9"')[1].found
    expected = b"[line 1] Error at '\"\xff\xc3\xa9\"': Expect property name after '.'."
    assert reference_errors(found) == [expected]


def test_a_script_may_not_return_but_a_module_may() -> None:
    assert errors("return 1;", MODULE) == []
    assert errors("break;", MODULE) != []


def test_diagnostics_have_places_and_hints() -> None:
    (found,) = parsed('print "é" + [1]'.encode())[1].found
    lines = found.render().splitlines()
    assert lines[0] == "test.sox:1:13: error: Expect expression."
    assert lines[2] == "      |             ^"
    assert lines[3] == "note: arrays are written {a, b}"
    (found,) = parsed(b"print 'a'")[1].found
    assert [note.message for note in found.notes] == ["strings stand in double quotes"]


def test_texts_that_may_go_on() -> None:
    for text in ("print", "{ print 1", "f(1,", "class A {", 'print "a', "/* a", "if a", "1 +"):
        assert is_unfinished(parsed(text)[1].found), text
    for text in ("print )", ") {", "break", "print 1", '$ "a'):
        assert not is_unfinished(parsed(text)[1].found), text


DEEP = {
    "parentheses": ("(", "1", ")"),
    "blocks": ("{", "print 1", "}"),
    "functions": ("fn f() {", "print 1", "}"),
    "function expressions": ("x = fn () {", "print 1", "}"),
    "classes": ("class A { m() {", "print 1", "} }"),
    "conditions": ("if a ", "print 1", ""),
    "alternatives": ("if a b else ", "print 1", ""),
    "unary": ("-", "1", ""),
    "sums": ("1 + ", "1", ""),
    "sums in parentheses": ("(1 + ", "1", ")"),
    "right sums": ("a = ", "1", ""),
    "calls": ("f", "()", "()"),
    "call arguments": ("f(", "1", ")"),
    "indexes": ("a[", "1", "]"),
    "tables": ("x = {a: ", "1", "}"),
    "arrays": ("x = {{", "1", "}}"),
    "properties": ("a.", "a", ""),
    "switches": ("switch a { case 1 {", "print 1", "} }"),
    "loops": ("for ;; ", "print 1", ""),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting_is_refused(name: str) -> None:
    opening, inside, closing = DEEP[name]
    (line,) = errors(opening * 10_000 + inside + closing * 10_000)
    assert line.endswith("Nested too deeply: more than 1000 levels.")


@pytest.mark.parametrize("name", DEEP)
def test_nesting_up_to_a_limit_is_accepted(name: str) -> None:
    opening, inside, closing = DEEP[name]
    levels = MAXIMUM_DEPTH // 5
    module = good(opening * levels + inside + closing * levels)
    assert dump(module.function)  # later stages recurse too


def test_long_programs_are_not_deep() -> None:
    """Nor is a high tree in one statement of any account in the next."""
    good("print 1 + 2 * 3\n" * 5000 + "x = {" + "f(1) + 2, " * 3000 + "1}")
    high = " + ".join("b" * 900)
    good(f"print {high} print {high} f({high}, {high}) fn f() {{ print {high} print {high} }}")
    (line,) = errors(f"print ({high}) + {high}")
    assert "Nested too deeply" in line


WORDS = [
    *sorted(KEYWORDS),
    *"( ) { } [ ] , . - + ; / * : # ! != = == > >= < <= % /* */ // $ 1 2.5 a b init test".split(),
    *('"', '"s"', "\n", "a", "f", "f(", "fn f(", "class A {", "foreach var i, v in"),
]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=60), st.sampled_from([SCRIPT, MODULE]))
def test_token_soup(words: list[str], kind: str) -> None:
    check(" ".join(words).encode(), kind)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    check(data, SCRIPT)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([text for text, _ in CASES]), st.data())
def test_damaged_programs(text: str, data: st.DataObject) -> None:
    """Parts of two programs, joined."""
    other = data.draw(st.sampled_from([text for text, _ in CASES]))
    cut = data.draw(st.integers(0, len(text)))
    other_cut = data.draw(st.integers(0, len(other)))
    check((text[:cut] + other[other_cut:]).encode(), SCRIPT)


def check(data: bytes, kind: str) -> None:
    """Any text gives a tree or errors with places inside it."""
    source = SoxSource("soup.sox", data)
    diagnostics = Diagnostics()
    module = parse(source, diagnostics, kind)
    for found in diagnostics.found:
        assert found.severity == "error"
        assert found.span is not None
        assert 0 <= found.span.start <= found.span.end <= len(source.text)
        assert found.render()
    lines = reference_errors(diagnostics.found)
    assert len(lines) == len(diagnostics.found)
    assert all(line.startswith(b"[line ") for line in lines)
    if not lines:
        assert dump(module.function)
