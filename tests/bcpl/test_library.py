"""Routines that speak with the world: files, input, time, random numbers; errors at run time."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from callproof import driver
from callproof.source import CallproofError
from tests.support.bcpl_programs import Ran, run_program, write


def ran(folder: Path, body: str, options: driver.Options | None = None, **more: object) -> Ran:
    (source,) = write(folder, {"program.bcl": body})
    return run_program([source], options, **more)  # type: ignore[arg-type]


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    text = f"""
    MANIFEST $( ROOM = 10 $)
    LET START() BE $(
        LET name = "{path}"
        LET h = FILE_OPEN_WRITE(name)
        WRITEF("%d ", FILE_WRITES(h, "grün*N"))
        LET cells = STRING ROOM
        cells%0, cells%1, cells%2 := 'x', 0, 255
        WRITEF("%d %d %d*N", FILE_WRITE(h, cells, 3), FILE_TELL(h), FILE_CLOSE(h))
        h := FILE_OPEN_APPEND(name)
        FILE_WRITES(h, "end")
        FILE_CLOSE(h)
        h := FILE_OPEN_READ(name)
        WRITEF("%d %d %d ", FILE_SEEK(h, 6, 0), FILE_READ(h, cells, 3), FILE_EOF(h))
        WRITEF("%d %d %d %s ", cells%0, cells%1, cells%2, FILE_READS(h))
        WRITEF("%d %d*N", FILE_EOF(h), FILE_READ(h, cells, 1))
        WRITEF("%d %d ", FILE_SEEK(h, -3, 2), FILE_TELL(h))
        WRITEF("%s %d %d*N", FILE_READS(h), FILE_SEEK(h, 0, 9), FILE_CLOSE(h))
        WRITEF("%d %d %d %d*N", FILE_OPEN_READ("/no/such/file"), FILE_CLOSE(0), FILE_TELL(0),
               FILE_EOF(0))
        WRITEF("%d %d %d*N", FILE_WRITES(0, "x"), FILE_SEEK(0, 0, 0), FILE_READ(0, cells, 1))
    $)"""
    result = ran(tmp_path, text)
    assert result.output == ("6 3 9 0\n0 3 0 120 0 255 end 1 0\n0 9 end 1 0\n0 1 -1 1\n0 1 0\n")
    assert path.read_bytes() == "grün\nx".encode() + b"\0\xffend"


def test_slurp_and_spit(tmp_path: Path) -> None:
    path = tmp_path / "text"
    text = f"""
    LET START() BE $(
        WRITEF("%d ", SPIT("one*Ntwö*N", "{path}"))
        LET s = SLURP("{path}")
        WRITEF("%d %s%d %d %d*N", LEN s, s, LEN SPLIT(s, "*N"), SLURP("{path}.none"),
               SPIT("x", "/no/such/folder/file"))
    $)"""
    assert ran(tmp_path, text).output == "1 8 one\ntwö\n3 0 0\n"
    assert path.read_text(encoding="utf-8") == "one\ntwö\n"


def test_a_large_file_comes_whole(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"0123456789" * 5000)
    text = f'LET START() BE WRITEF("%d %c", LEN SLURP("{path}"), SLURP("{path}")%49999)'
    assert ran(tmp_path, text).output == "50000 9"


def test_input(tmp_path: Path) -> None:
    text = """LET START() BE $(
        LET a = READN()
        LET b = READN()
        WRITEF("%d %d %f ", a + b, READN(), READF())
        WRITEF("%c%d%d", RDCH(), RDCH(), RDCH())
    $)"""
    assert ran(tmp_path, text, stdin=" 12\n-5 word 2.5e1\nx\n").output == "7 0 25.000000 x10-1"


def test_packed_strings(tmp_path: Path) -> None:
    text = """LET START() BE $(
        LET p = PACKSTRING("aü€")
        WRITEF("%d %d %d ", GETBYTE(p, 0), GETBYTE(p, 1), LEN p)
        WRITEF("%s %d*N", UNPACKSTRING(p), LEN UNPACKSTRING(p))
    $)"""
    assert ran(tmp_path, text).output == "97 195 6 aü€ 3\n"


def test_random_numbers_and_their_seed(tmp_path: Path) -> None:
    text = """LET START() BE $(
        FOR i = 1 TO 200 DO $(
            LET n, f, r = RAND(6), FRND(), RND(10)
            UNLESS 0 <= n AND n <= 6 AND 0.0 <= f AND f < 1.0 AND 0.0 <= r AND r < 10.0 DO
                WRITES("wrong ")
            WRITEN(n)
        $)
        WRITEF(" %d %d %d", RAND(0), RAND(-5), RAND(1000000))
    $)"""
    (source,) = write(tmp_path, {"program.bcl": text})
    outputs = [
        run_program([source], environment={**os.environ, "CALLPROOF_SEED": seed}).output
        for seed in ("1", "1", "2")
    ]
    assert outputs[0] == outputs[1] != outputs[2]
    assert set("0123456") <= set(outputs[0][:200]) and "wrong" not in outputs[0]
    assert " 0 0 " in outputs[0]


def test_time(tmp_path: Path) -> None:
    text = """LET START() BE $(
        LET t = TIMER_START()
        SLEEP(20)
        LET spent = TIMER_END(t)
        WRITEF("%d %d ", spent >= 20000000, spent < 5000000000)
        TIMER_DISPLAY(1234567)
    $)"""
    assert ran(tmp_path, text).output == "1 1 1.234 ms\n"


def test_brk_shows_the_variables_and_goes_on(tmp_path: Path) -> None:
    text = """LET try(n, s AS STRING) BE $(
        FLET f = 0.5
        FOR i = 3 TO 3 DO $( LET inner = i  BRK  WRITEN(inner) $)
        LET hidden = 1
        WRITEN(hidden)
    $)
    LET START() BE try(-7, "text")"""
    result = ran(tmp_path, text)
    assert (result.output, result.status) == ("31", 0)
    first, *rows = result.errors.splitlines()
    assert re.fullmatch(r"BRK in try at .*program\.bcl:3", first)
    assert rows[0] == "variables:"
    assert [row.split() for row in rows[1 : rows.index("registers:")]] == [
        ["n", "=", "-7", "(#xFFFFFFFFFFFFFFF9)"],
        ["s", "=", '"text"'],
        ["f", "=", "0.5"],
        ["i", "=", "3", "(#x3)"],
        ["inner", "=", "3", "(#x3)"],
    ]


BRK_DEEP = """LET id(x) = x
LET low(n, x) = VALOF $(
    LET k = id(n) * 3
    LET f = x * 0.5
    BRK
    RESULTIS k + n + f
$)
CLASS C $( DECL v
    FUNCTION m(a) = VALOF $( LET r = low(a, 9.0)  RESULTIS r + v $)
$)
LET START() BE $(
    LET c = NEW C
    c.v := 1
    WRITEF("%f", c.m(14))
$)"""


@pytest.mark.parametrize("level", [0, 1, 2])
def test_brk_shows_registers_and_calls(level: int, tmp_path: Path) -> None:
    """k, n and f are wanted behind the BRK: each is in a preserved register, by its name."""
    result = ran(tmp_path, BRK_DEEP, driver.Options(level=level, verify=True))
    assert (result.output, result.status) == ("61.500000", 0)
    rows = [row.split() for row in result.errors.splitlines()]
    calls = rows.index(["calls:"])
    registers = rows[rows.index(["registers:"]) + 1 : calls]
    in_register = {row[2]: float(row[1]) for row in registers if len(row) == 3}
    assert in_register == {"k": 42, "n": 14, "f": 4.5}
    names = [row[0] for row in registers]
    floats, bases = [f"d{i}" for i in range(8, 16)], ["x29", "sp", "pc"]
    assert names == [f"x{i}" for i in range(19, 29)] + floats + bases
    assert [(row[0], row[2].rpartition(":")[2]) for row in rows[calls + 1 :]] == [
        ("low", "5"),
        ("C::m", "9"),
        ("START", "14"),
    ]


def test_brk_in_one_of_several_sources(tmp_path: Path) -> None:
    sources = write(
        tmp_path,
        {"a.bcl": "LET START() BE there(5)", "b.bcl": "LET there(n) BE $(\n  BRK\n  WRITEN(n) $)"},
    )
    result = run_program(sources)
    assert result.output == "5"
    calls = result.errors.partition("calls:\n")[2].splitlines()
    assert [line.split()[0] for line in calls] == ["there", "START"]
    assert [line.rpartition("/")[2] for line in calls] == ["b.bcl:2", "a.bcl:1"]


BOUNDS = """LET get(v AS VEC, i) = v!i
LET START() BE $(
    LET v = VEC 3
    LET s = "ab"
    WRITEF("%d %d %d*N", get(v, 2), LEN v, s%1)
    WRITEN(get(v, 3))
$)"""


def test_bounds_check(tmp_path: Path) -> None:
    assert ran(tmp_path, BOUNDS).output == "0 3 98\n0"
    checked = driver.Options(bounds_check=True, verify=True)
    result = ran(tmp_path, BOUNDS, checked)
    assert result.output == "0 3 98\nBCPL_BOUNDS_ERROR called! index=3, length=3\n"
    assert result.errors.startswith(
        "FATAL RUNTIME ERROR: Out of bounds access.\nIndex: 3\nLength: 3\n"
    )
    assert "program.bcl:1\n" in result.errors
    assert result.status != 0


@pytest.mark.parametrize(
    ("access", "message"),
    [
        ("v!3", "Vector 'v' index 3 is out of bounds (size: 3, valid indices: 0-2)"),
        ("v!(-2)", "Vector 'v' index -2 is out of bounds (size: 3, valid indices: 0-2)"),
        ("w!2", "Vector 'w' index 2 is out of bounds (size: 2, valid indices: 0-1)"),
    ],
)
def test_constant_indices_are_checked_at_compile_time(
    access: str, message: str, tmp_path: Path
) -> None:
    text = f"LET START() BE $( LET v, w = VEC 3, VEC[1, 2]  WRITEN(v!-1 + v!2 + {access}) $)"
    (source,) = write(tmp_path, {"program.bcl": text})
    driver.front_end(source, driver.Options())
    with pytest.raises(CallproofError) as caught:
        driver.front_end(source, driver.Options(bounds_check=True))
    assert message in str(caught.value)


def test_an_object_without_the_member_ends_the_program(tmp_path: Path) -> None:
    text = """CLASS A $( FUNCTION f() = 1 $)
    CLASS B $( LET x = 1  FUNCTION f() = 2 $)
    CLASS C $( LET y = 1 $)
    LET START() BE $( LET v = VEC[NEW B, NEW C]  WRITEN((v!0).f())  WRITEN((v!1).f()) $)"""
    result = ran(tmp_path, text)
    assert result.output == "2"
    assert result.errors == "callproof: the object has no member 'f'\n"
    assert result.status == 70


def test_wrong_atoms_and_static_lists_end_the_program(tmp_path: Path) -> None:
    result = ran(tmp_path, "LET START() BE $( LET l = LIST(1)  WRITES(AS_STRING(l!0)) $)")
    assert (result.status, result.output) == (70, "")
    assert "AS_STRING of an atom that is no string" in result.errors
    result = ran(tmp_path, "LET START() BE $( LET l = MANIFESTLIST(1)  APND(l, 2) $)")
    assert "a MANIFESTLIST cannot be appended to" in result.errors
    assert result.status == 70


def test_a_small_program_stays_small(tmp_path: Path) -> None:
    """Of the runtime only what is used is linked."""
    (source,) = write(tmp_path, {"hello.bcl": 'LET START() BE WRITES("hello*N")'})
    executable = tmp_path / "hello"
    driver.build([source], executable, "exe", driver.Options())
    data = executable.read_bytes()
    assert len(data) < 12000
    for name in (b"bcpl_list", b"bcpl_split", b"fopen", b"bcpl_bounds"):
        assert name not in data


def test_werror(tmp_path: Path) -> None:
    (source,) = write(tmp_path, {"p.bcl": 'LET START() BE WRITEF("%d*N")'})
    _, _, warnings = driver.front_end(source, driver.Options())
    assert len(warnings) == 1
    with pytest.raises(CallproofError, match=r"error: this format takes 1 value, 0 given"):
        driver.front_end(source, driver.Options(warnings_are_errors=True))
