"""What the parser makes of each construct, and that no text at all breaks it.

The files `golden/*.txt` hold pieces of source, each followed by its tree, indented:
expressions as the body of a function, statements as the body of a block, whole
declarations.  `UPDATE_GOLDEN=1 pytest tests/bcpl/test_parser.py` writes the trees anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callproof.bcpl import nodes
from callproof.bcpl.lexer import KEYWORDS, words
from callproof.bcpl.parser import parse
from callproof.source import Diagnostics, SourceFile

GOLDEN = Path(__file__).parent / "golden"
PROGRAMS = Path(__file__).parent.parent / "programs" / "bcpl"
INDENT = "    "


def parsed(text: str) -> tuple[nodes.Program, list[str]]:
    """The tree and the messages."""
    diagnostics = Diagnostics()
    program = parse(SourceFile("test.bcl", text), diagnostics)
    return program, [one.message for one in diagnostics.found]


def good(text: str) -> nodes.Program:
    program, messages = parsed(text)
    assert messages == []
    return program


def shown(node: object) -> str:
    """The dump, with names and numbers as they are written."""
    text = nodes.dump(node)
    text = re.sub(r"\(Name '(\w+)'\)", r"\1", text)
    return re.sub(r"\((?:Integer|Float)Literal ([-+.e\d]+)\)", r"\1", text)


def function_body(declaration: nodes.Statement) -> nodes.Node:
    assert isinstance(declaration, nodes.FunctionDeclaration)
    return declaration.body


def expression_tree(text: str) -> list[str]:
    return [shown(function_body(good(f"LET t() = {text}").declarations[0]))]


def statement_trees(text: str) -> list[str]:
    body = function_body(good(f"LET t() BE $( {text} $)").declarations[0])
    assert isinstance(body, nodes.Block)
    return [shown(statement) for statement in body.statements]


def declaration_trees(text: str) -> list[str]:
    return [shown(declaration) for declaration in good(text).declarations]


TREES = {
    "expressions": expression_tree,
    "statements": statement_trees,
    "declarations": declaration_trees,
}


def cases(name: str) -> list[tuple[str, list[str]]]:
    """Pairs of source and the expected lines."""
    found = []
    for part in (GOLDEN / f"{name}.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        lines = part.split("\n")
        # The tree begins behind the last line of the source, which is never so deeply indented.
        at = len(lines)
        while lines[at - 1].startswith(INDENT) and at > 1:
            at -= 1
        found.append(("\n".join(lines[:at]), [line[len(INDENT) :] for line in lines[at:]]))
    return found


@pytest.mark.parametrize("name", list(TREES))
def test_golden_trees(name: str) -> None:
    pairs = cases(name)
    assert len(pairs) >= 9
    actual = [(source, TREES[name](source)) for source, _ in pairs]
    if os.environ.get("UPDATE_GOLDEN"):
        text = "\n\n".join(
            "\n".join([source, *(INDENT + line for line in lines)]) for source, lines in actual
        )
        (GOLDEN / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
        pairs = cases(name)
    for (source, expected), (_, lines) in zip(pairs, actual, strict=True):
        assert lines == expected, source


SAME = [
    ("IF a THEN f()", "IF a DO f()"),
    ("$( f() $)", "{ f() }"),
    ("a := b <> c", "a := b ~= c"),
    ("a := b && c", "a := b AND c"),
    ("a := b || c", "a := b OR c"),
    ("a := b BAND c BOR d", "a := b & c | d"),
    ("a := BNOT b", "a := ~b"),
    ("f() REPEATUNTIL a", "f() REPEAT UNTIL a"),
    ("REPEAT f() WHILE a", "f() REPEATWHILE a"),
    ("TEST a THEN f() OR g()", "TEST a THEN f() ELSE g()"),
    ("f(1, 2,)", "f(1, 2)"),
    ("f(); g();", "f() g()"),
    ("FINISH()", "FINISH"),
    ("SWITCHON a $( CASE 1: f() $)", "SWITCHON a INTO $( CASE 1: f() $)"),
    ("a := v!(i)", "a := v!i"),
    ("a := (b)", "a := b"),
    ("a := (b * c) + d", "a := b * c + d"),
    ("a := b + (c << 2)", "a := b + (c << 2)"),
    ("a := (b = c) AND (d = e)", "a := b = c AND d = e"),
    ("a := (b AND c) OR d", "a := b AND c OR d"),
    ("a := (b OR c) -> d, e", "a := b OR c -> d, e"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_ways_to_write_the_same(one: str, other: str) -> None:
    assert statement_trees(one) == statement_trees(other)


@pytest.mark.parametrize(
    ("operator", "tighter"),
    [
        ("+", "*"), ("-", "/"), ("+", "REM"), ("<<", "+"), (">>", "-"), ("=", "<<"), ("<", "+"),
        ("&", "="), ("AND", ">="), ("|", "&"), ("OR", "AND"), ("XOR", "&"), ("EQV", "AND"),
        ("NEQV", "="), ("BXOR", "&"), ("OR", "~="),
    ],
)  # fmt: skip
def test_precedence_on_both_sides(operator: str, tighter: str) -> None:
    left = expression_tree(f"a {tighter} b {operator} c")
    assert left == expression_tree(f"(a {tighter} b) {operator} c")
    assert left != expression_tree(f"a {tighter} (b {operator} c)")
    right = expression_tree(f"a {operator} b {tighter} c")
    assert right == expression_tree(f"a {operator} (b {tighter} c)")


@pytest.mark.parametrize(
    "operator",
    sorted(words("+ - * / REM << >> = ~= < <= > >= & | AND OR XOR EQV NEQV BXOR +. -# *. =. <#")),
)
def test_every_operator_is_left_associative(operator: str) -> None:
    chain = expression_tree(f"a {operator} b {operator} c")
    assert chain == expression_tree(f"(a {operator} b) {operator} c")
    assert chain != expression_tree(f"a {operator} (b {operator} c)")


@pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*.bcl")), ids=lambda path: path.stem)
def test_whole_programs_parse(path: Path) -> None:
    assert good(path.read_text(encoding="utf-8")).declarations


def test_spans_cover_the_text_of_what_they_name() -> None:
    text = "LET t() BE $( x := a + f(b!1, -c)  IF x THEN g() $)"
    program = good(text)
    body = function_body(program.declarations[0])
    assert isinstance(body, nodes.Block)
    assignment, conditional = body.statements
    assert isinstance(assignment, nodes.Assignment)
    assert isinstance(conditional, nodes.If)

    def source(node: nodes.Node) -> str:
        return text[node.span.start : node.span.end]

    value = assignment.values[0]
    assert isinstance(value, nodes.Binary)
    assert isinstance(value.right, nodes.Call)
    assert source(program.declarations[0]) == text
    assert source(body) == text[text.index("$(") :]
    assert source(assignment) == "x := a + f(b!1, -c)"
    assert source(value) == "a + f(b!1, -c)"
    assert [source(one) for one in value.right.arguments] == ["b!1", "-c"]
    assert source(conditional) == "IF x THEN g()"


@pytest.mark.parametrize(
    "text",
    [
        "LET a() = 1" + " + 1" * 10_000,
        "LET a() = v" + "!v" * 10_000,
        "LET a() = o" + ".f" * 10_000,
        "LET a() BE $( " + "f(x) " * 20_000 + "$)",
        "LET a() = " + "f(" * 150 + "1" + ")" * 150,
        "LET a() = " + "(" * 300 + "1" + ")" * 300,
        "LET a() BE " + "IF x THEN $( " * 100 + "f()" + " $)" * 100,
        "LET a() BE IF x THEN f()" + " ELSE IF x THEN f()" * 200,
    ],
    ids=lambda text: text[:30],
)
def test_long_chains_and_reasonable_nesting_parse(text: str) -> None:
    good(text)


@pytest.mark.parametrize(
    "text",
    [
        "f(" * 20_000,
        "(" * 20_000,
        "- " * 20_000,
        "NOT " * 20_000,
        "VEC[" * 20_000,
        "VALOF $( RESULTIS " * 20_000,
        "a -> b, " * 20_000,
        "x" + ".|x" * 20_000,
        "VALOF IF x THEN " * 20_000,
        "VALOF REPEAT " * 20_000,
        "VALOF f()" + " REPEAT" * 20_000,
        "VALOF AS " + "VEC OF " * 20_000,
        "VALOF SWITCHON x INTO $( CASE 1: " * 20_000,
    ],
    ids=lambda text: text[:20],
)
def test_extreme_nesting_is_one_diagnostic(text: str) -> None:
    _, messages = parsed(f"LET a() = {text}")
    assert len(messages) == 1
    assert messages[0].startswith("nested too deeply")


VOCABULARY = [
    *sorted(KEYWORDS),
    *sorted(words("$( $) { } ( ) [ ] , ; : := = == ~= < + - * / ! % %% .% .| | @ ^ ? . -> & <<")),
    *("x", "f", "1", "2.5", '"s"', "'c'", "\n", "x := 1", "f(x)", "LET START() BE $(", "`", '"'),
]
TEXTS = [path.read_text(encoding="utf-8") for path in sorted(PROGRAMS.glob("*.bcl"))]
PIECES = re.compile(r"\s+|\w+|\W")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(VOCABULARY), max_size=50))
def test_any_sequence_of_tokens_is_parsed_or_reported(words: list[str]) -> None:
    program, _ = parsed(" ".join(words))
    assert nodes.dump(program).startswith("(Program")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_programs_are_parsed_or_reported(data: st.DataObject) -> None:
    pieces = PIECES.findall(data.draw(st.sampled_from(TEXTS)))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(pieces) - 1))
        change = data.draw(st.sampled_from(["delete", "insert", "replace", "cut"]))
        word = data.draw(st.sampled_from(VOCABULARY))
        if change == "delete":
            pieces[at] = ""
        elif change == "insert":
            pieces[at] += f" {word} "
        elif change == "replace":
            pieces[at] = word
        else:
            pieces = pieces[: at + 1]
    program, _ = parsed("".join(pieces))
    assert nodes.dump(program).startswith("(Program")
