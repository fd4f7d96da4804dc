"""What the parser makes of each construct, and what it takes each name for.

The files `golden/*.txt` hold programs, each followed by its tree, indented.  In the trees `@x`
is a global, `x%2` the function's local number 2, `x%2^` a captured one, `x%2&` one that needs a
cell, `x^1` capture number 1 and `<...>` what a closure captures.
`UPDATE_GOLDEN=1 pytest tests/sox/test_parser.py` writes the trees anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callproof.sox import nodes as ast
from callproof.sox.symbols import MODULE, FunctionInfo, GlobalInfo
from tests.sox.support import good, tree

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))
INDENT = "    "


def cases(path: Path) -> list[tuple[str, list[str]]]:
    """Programs and their trees, a line for each statement."""
    found: list[tuple[list[str], list[str]]] = [([], [])]
    for line in path.read_text().splitlines():
        if not line:
            found.append(([], []))
        elif line.startswith(INDENT):
            found[-1][1].append(line.removeprefix(INDENT))
        else:
            found[-1][0].append(line)
    return [("\n".join(text), expected) for text, expected in found if text]


def trees(text: str) -> list[str]:
    return [ast.dump(one) for one in good(text).function.body]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_trees(path: Path) -> None:
    found = [(text, trees(text)) for text, _ in cases(path)]
    if os.environ.get("UPDATE_GOLDEN"):
        pieces = ["".join([text, *(f"\n{INDENT}{one}" for one in lines)]) for text, lines in found]
        path.write_text("\n\n".join(pieces) + "\n")
    assert len(found) > 10
    assert found == cases(path)


def test_the_grammar_ignores_line_ends() -> None:
    assert tree("print -1\n-2") == "(Print (Binary '-' (Unary '-' 1) 2))"
    assert tree("var a = 1\n(a)") == "(VarDeclaration 'a' @a (Call 1 [@a]) false)"
    assert tree("a\n.b") == "(ExpressionStatement (Get @a 'b'))"


def test_strings_keep_their_bytes() -> None:
    (statement,) = good(b'print "\xff\xc3\xa9\\n"').function.body
    assert isinstance(statement, ast.Print)
    assert isinstance(statement.expression, ast.String)
    assert statement.expression.value == b"\xff\xc3\xa9\\n"


def test_numbers_have_the_value_of_their_text() -> None:
    for text, value in (("007", 7.0), ("9007199254740993", 9007199254740992.0), ("1.50", 1.5)):
        (statement,) = good(f"print {text}").function.body
        assert isinstance(statement, ast.Print)
        assert isinstance(statement.expression, ast.Number)
        assert statement.expression.value == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n+\nb", 3),
        ("a(\n1\n)", 3),
        ("a\n.\nb", 3),
        ("a\n.b = \n2", 3),
        ("a\n.b(\n)", 3),
        ("a[\n1\n]", 3),
        ("a[\n:1\n]", 3),
        ("a[1\n] =\n2", 3),
        ("-\n\na", 3),
        ("a =\n\nb", 3),
        ('"\n\n"', 3),
        ("\n\nfoo", 3),
        ("\n(foo\n)", 2),
    ],
)
def test_lines_are_those_of_the_last_token_read(text: str, line: int) -> None:
    (statement,) = good(text).function.body
    assert isinstance(statement, ast.ExpressionStatement)
    assert statement.expression.line == line


def test_lines_of_statements() -> None:
    body = good("class A <\nB\n{\n}\nfor x in\ny\n{\n}\nimport a\n'm'".replace("'", '"')).function
    assert [one.line for one in body.body] == [2, 6, 10]
    assert (body.line, body.end_line) == (1, 10)


def test_spans_cover_whole_constructs() -> None:
    module = good("  a.b(1)[2] = 3; fn f() { }")
    texts = [module.source.text[one.span.start : one.span.end] for one in module.function.body]
    assert texts == ["a.b(1)[2] = 3;", "fn f() { }"]


def test_what_globals_are_used_for() -> None:
    module = good("var a = 1 a = 2 print a a() fn f() { b = 1 len(x) } len = 3")
    found = {
        name: (len(one.definitions), len(one.assignments), one.reads, one.calls, one.initial)
        for name, one in module.globals.items()
    }
    assert found == {
        "a": (1, 1, 2, 1, ""),
        "f": (1, 0, 0, 0, ""),
        "b": (0, 1, 0, 0, ""),
        "len": (0, 1, 1, 1, "native"),
        "x": (0, 0, 1, 0, ""),
    }


def test_which_globals_never_change() -> None:
    module = good("var a = 1 fn b() {} fn b() {} push argc c class D {} D = 1 fn e() { e }")
    constant = {name for name, one in module.globals.items() if one.is_constant}
    assert constant == {"a", "push", "argc", "e"}


def test_function_facts() -> None:
    module = good(
        "fn f(a, b = 1) { defer () {} } class C { init() { fn g() { this } } } #[test] fn t(x) {}"
    )
    facts = [(one.kind, one.name, one.required, len(one.parameters)) for one in module.functions]
    assert facts == [
        ("function", "f", 1, 2),
        ("defer", "", 0, 0),
        ("initializer", "init", 0, 0),
        ("function", "g", 0, 0),
        ("function", "t", 1, 1),
    ]
    by_name = {one.name: one for one in module.functions}
    assert by_name["f"].has_defer and not by_name["init"].has_defer
    assert by_name["g"].uses_this and by_name["init"].uses_this and not by_name["t"].uses_this
    assert by_name["init"].receiver is by_name["init"].locals[0]
    assert by_name["g"].enclosing is by_name["init"]
    assert module.tests == [by_name["t"]]


def test_captures_lead_to_their_variable() -> None:
    module = good("fn f(a) { fn g() { fn h() { a = 1 } } }")
    f, g, h = module.functions
    assert isinstance(f, FunctionInfo)
    (in_g,), (in_h,) = g.captures, h.captures
    assert in_g.source is f.locals[0] and in_h.source is in_g
    assert in_h.local is f.locals[0] and in_h.local.needs_cell


def test_main_is_a_top_level_function_of_that_name() -> None:
    assert good("fn mainframe() {} fn maintain() {}").main is None
    assert good("{ fn main() {} fn f() { fn main() {} } }").main is None
    main = good("fn mains() {} fn main(a, b) {}").main
    assert main is not None and len(main.parameters) == 2


def test_a_module_may_return_and_a_class_sees_itself() -> None:
    assert isinstance(good("return 1", MODULE).function.body[0], ast.Return)
    module = good("class A { m() { return A } }")
    assert isinstance(module.globals["A"], GlobalInfo)
    assert module.globals["A"].reads == 1


def test_limits_of_the_reference_that_are_lifted() -> None:
    many = range(700)
    assert len(good("".join(f"print {n}.5 " for n in many)).function.body) == 700
    names = " ".join(f"var v{n} = {n}" for n in many)
    uses = " ".join(f"v{n}" for n in many)
    module = good(f"fn f() {{ {names} fn g() {{ {uses} }} }}")
    assert len(module.functions[0].locals) == 701
    assert len(module.functions[1].captures) == 700
    body = "print 1 " * 30000
    good(f"while a {{ {body} }}")
