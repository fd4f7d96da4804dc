"""GET: where headers are looked for, and what may be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from callproof import driver
from callproof.source import CallproofError
from tests.support.bcpl_programs import run_program, write

START = 'LET START() BE WRITEF("%d*N", value())\n'


def test_beside_the_source_with_and_without_suffix(tmp_path: Path) -> None:
    source, *_ = write(
        tmp_path,
        {
            "main.bcl": 'GET "one"\nGET "sub/two.h"\nGET "LIBHDR"\n'
            "LET START() BE WRITEN(one + two)",
            "one.bcl": "GLOBAL one = 1",
            "sub/two.bcl": 'GET "three"\nGLOBAL two = three * 2',
            "sub/three": "MANIFEST $( three = 3 $)",
        },
    )
    assert run_program([source]).output == "7"


def test_include_folders_in_order_behind_the_own_folder(tmp_path: Path) -> None:
    source, *_ = write(
        tmp_path,
        {
            "own/main.bcl": 'GET "h"\n' + START,
            "first/h": "LET value() = 1",
            "second/h": "LET value() = 2",
        },
    )
    folders = (tmp_path / "first", tmp_path / "second")
    assert run_program([source], driver.Options(include=folders)).output == "1\n"
    assert run_program([source], driver.Options(include=folders[::-1])).output == "2\n"
    write(tmp_path, {"own/h": "LET value() = 3"})
    assert run_program([source], driver.Options(include=folders)).output == "3\n"


def test_a_header_is_taken_once(tmp_path: Path) -> None:
    source, *_ = write(
        tmp_path,
        {
            "main.bcl": 'GET "a"\nGET "b"\nGET "c"\n' + START,
            "a": 'GET "c"',
            "b": 'GET "c"',
            "c": "LET value() = 5",
        },
    )
    assert run_program([source]).output == "5\n"


def test_a_library_header_that_exists_is_read(tmp_path: Path) -> None:
    source, *_ = write(
        tmp_path, {"main.bcl": 'GET "libhdr.h"\n' + START, "libhdr.h": "LET value() = 9"}
    )
    assert run_program([source]).output == "9\n"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            {"main.bcl": 'GET "nothing.h"\n' + START},
            'main.bcl:1:1: error: there is no header "noth',
        ),
        ({"main.bcl": 'GET "main.bcl"\n' + START}, '"main.bcl" gets itself'),
        (
            {"main.bcl": 'GET "a"\n' + START, "a": 'GET "b"', "b": 'GET "a"'},
            'b:1:1: error: "a" gets itself',
        ),
        (
            {"main.bcl": 'GET "a"\n' + START, "a": "LET value( = 1"},
            "a:1:12: error: expected a parameter's name",
        ),
        (
            {"main.bcl": 'GET "a"\n' + START, "a": "LET value() = other"},
            "a:1:15: error: name 'other' is not declared",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, texts: dict[str, str], expected: str
) -> None:
    source, *_ = write(tmp_path, texts)
    with pytest.raises(CallproofError) as caught:
        driver.front_end(source, driver.Options())
    assert expected in str(caught.value)


def test_a_header_that_is_not_utf8(tmp_path: Path) -> None:
    (source,) = write(tmp_path, {"main.bcl": 'GET "h"\n' + START})
    (tmp_path / "h").write_bytes(b"// \xff")
    with pytest.raises(CallproofError, match=r"main\.bcl:1:1: error: .*not valid UTF-8"):
        driver.front_end(source, driver.Options())


def test_lines_of_a_header_are_its_own(tmp_path: Path) -> None:
    source, *_ = write(
        tmp_path, {"main.bcl": 'GET "h"\n' + START, "h": "// one\n\nLET value() = 1 + RAND(0)"}
    )
    _, module, _ = driver.front_end(source, driver.Options())
    function = module.functions["value"]
    assert function.source_name.endswith("/h")
    lines = {i.line for block in function.blocks for i in block.instructions}
    assert lines == {3}
    listing = driver.compile_file(source, driver.Options()).listing()
    assert "// 3 of value: LET value() = 1 + RAND(0)" in listing
    assert "// 2: LET START() BE WRITEF" in listing


def test_inside_a_block_the_text_is_the_blocks(tmp_path: Path) -> None:
    """Each time anew, in its own scope; headers may GET others; functions see the statics."""
    source, *_ = write(
        tmp_path,
        {
            "main.bcl": """LET one() = VALOF $( GET "part"
                RESULTIS twice(n) $)
            LET START() BE $(
                LET n = 50
                $( GET "part"
                   n := n + 1
                   WRITEF("%d ", n) $)
                WRITEF("%d %d %d*N", n, one(), one())
            $)""",
            "part": 'GET "deeper"\nLET n = start + 1\nLET twice(x) = VALOF $(\n'
            "  calls := calls + 1\n  RESULTIS x * 2 + calls * 100 $)",
            "deeper": "MANIFEST $( start = 7 $)\nSTATIC $( calls = 0 $)",
        },
    )
    for level in (0, 2):
        ran = run_program([source], driver.Options(level=level, verify=True))
        assert ran.output == "9 50 116 216\n"


@pytest.mark.parametrize(
    ("main", "part", "message", "place"),
    [
        ('GET "none"', "", 'there is no header "none"', "main.bcl:2:1"),
        ('GET "part"', 'GET "part"', '"part" gets itself', "part:1:1"),
        ('GET "part"', "LET x = ", "expected an expression", "part:1:8"),
        ('GET "part"', "LET x = 1 $)", "'$)' closes nothing in this file", "part:1:11"),
        ('GET "part"', "CLASS C $( DECL x $)", "a class cannot be declared", "part:1:1"),
    ],
)
def test_wrong_inside_a_block(
    main: str, part: str, message: str, place: str, tmp_path: Path
) -> None:
    source, _ = write(tmp_path, {"main.bcl": f"LET START() BE $(\n{main}\nFINISH $)", "part": part})
    with pytest.raises(CallproofError) as caught:
        driver.front_end(source, driver.Options())
    found = caught.value.diagnostics[0]
    assert message in found.message
    assert place in found.render()
