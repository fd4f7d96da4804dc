"""Several sources of one program: compiled each by itself, linked together."""

from __future__ import annotations

from pathlib import Path

import pytest

from callproof import driver
from callproof.object import write_elf
from callproof.object.archive import write_archive
from callproof.source import CallproofError
from tests.support.bcpl_programs import run_program, write

MAIN = """GET "shared"
GLOBALS $( LET base = 100 $)
LET START() BE $(
    LET c = NEW Loud("counter", 3)
    c.count(2)
    write(half(5))
    WRITEF("%d %d %s %d*N", total, base + LIMIT, c.name, c.n)
    LET f = twice
    WRITEF("%d %f*N", f(21), apply(half, 3))
$)
LET apply(f, x) = f(x)
"""
OTHER = """GET "shared"
STATIC $( total = 7 $)
LET half(x) = x / 2.0
LET twice(n) = n * 2
LET write(x) BE $( total := total + FIX(x)  WRITEF("write %f*N", x) $)
CLASS Loud EXTENDS Counter $(
    DECL name
    ROUTINE CREATE(s, start) BE $( SUPER.CREATE(start)  name := s $)
    ROUTINE count(by) BE $( SUPER.count(by * 10)  WRITES("loud*N") $)
$)
"""
SHARED = """MANIFEST $( LIMIT = 5 $)
CLASS Counter $(
    DECL n
    ROUTINE CREATE(start) BE n := start
    ROUTINE count(by) BE n := n + by
$)
"""
EXPECTED = "loud\nwrite 2.500000\n9 105 counter 23\n42 1.500000\n"


def sources(folder: Path) -> list[Path]:
    return write(folder, {"main.bcl": MAIN, "other.bcl": OTHER, "shared.bcl": SHARED})[:2]


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("order", [1, -1])
def test_two_modules(level: int, order: int, tmp_path: Path) -> None:
    """Functions, classes, globals across modules; user names that are also C's."""
    options = driver.Options(level=level, verify=True)
    ran = run_program(sources(tmp_path)[::order], options)
    assert (ran.output, ran.status) == (EXPECTED, 0)
    assert run_program(sources(tmp_path)[::order], options, poison=True).output == EXPECTED


def test_each_module_defines_only_its_own(tmp_path: Path) -> None:
    first, second = driver.compile_files(sources(tmp_path), driver.Options())
    assert "user.apply" in first.module.functions
    assert "user.half" not in first.module.functions
    assert set(first.module.functions) & set(second.module.functions) == set()
    assert "bcpl_start" not in second.module.functions


def test_with_an_archive_of_foreign_functions(tmp_path: Path) -> None:
    text = "function @triple(x: i64) -> i64 {\n^e(%x: i64):\n  %y = mul i64 %x, 3\n  return %y\n}\n"
    (library,) = write(tmp_path, {"lib.ir": text})
    compilation = driver.compile_file(library, driver.Options())
    archive = tmp_path / "lib.a"
    archive.write_bytes(write_archive([("lib.o", write_elf(compilation.object_file()))]))
    texts = {
        "a.bcl": 'LET START() BE WRITEF("%d*N", nine(3))',
        "b.bcl": 'EXTERNAL "lib" $( FUNCTION triple(x: LONG): LONG $)\nLET nine(n) = triple(n)',
    }
    assert run_program([*write(tmp_path, texts), archive]).output == "9\n"


def test_output_of_c_and_of_other_modules_keeps_its_order(tmp_path: Path) -> None:
    texts = {
        "a.bcl": 'LET START() BE $( WRITES("one*N")  say(2)  WRITES("three*N")  say(4) $)',
        "b.bcl": "EXTERNAL FUNCTION printf(format: CSTRING, ...) : INT\n"
        'LET say(n) BE printf("%ld*N", n)',
    }
    assert run_program(write(tmp_path, texts)).output == "one\n2\nthree\n4\n"


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("LET START() BE FINISH", "b.bcl:1:5: error: 'START' is declared twice"),
        ("LET f( = 1", "b.bcl:1:8: error: expected a parameter's name"),
        ("LET f() = g()", "b.bcl:1:11: error: routine 'g' is not declared"),
    ],
)
def test_errors_say_in_which_module(other: str, expected: str, tmp_path: Path) -> None:
    paths = write(tmp_path, {"a.bcl": "LET START() BE WRITEN(1)", "b.bcl": other})
    with pytest.raises(CallproofError) as caught:
        driver.build(paths, tmp_path / "out", "exe", driver.Options())
    assert expected in str(caught.value)


def test_no_source_and_too_many_for_an_object(tmp_path: Path) -> None:
    paths = write(tmp_path, {"a.bcl": "LET START() BE WRITEN(1)", "b.bcl": "LET f() = 1"})
    with pytest.raises(CallproofError, match="at least one source"):
        driver.build([tmp_path / "x.o"], None, "exe", driver.Options())
    with pytest.raises(CallproofError, match=r"makes no use of .*b\.bcl"):
        driver.build(paths, tmp_path / "out", "obj", driver.Options())
