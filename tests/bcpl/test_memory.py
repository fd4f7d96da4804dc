"""The collector under NewBCPL programs: what it gives back, what keeps values alive, and what
is said of FREEVEC.  The programs of `tests/programs/bcpl` run with a collection at every
allocation too."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from callproof import driver
from tests.support.bcpl_programs import Ran, run_program, write

STATISTICS = re.compile(r"gc: (\d+) collections, (\d+) bytes allocated, (\d+) live, heap (\d+)")


def ran(folder: Path, body: str, level: int = 1, **environment: str) -> Ran:
    (source,) = write(folder, {"program.bcl": body})
    given = {**os.environ, **environment}
    return run_program([source], driver.Options(level=level), environment=given)


def test_dead_vectors_are_given_back(tmp_path: Path) -> None:
    text = """LET START() BE $(
        LET last = 0
        FOR i = 1 TO 100 DO $( LET v = VEC 50000  v!49999 := i  last := v $)
        WRITEN(last!49999)
    $)"""
    result = ran(tmp_path, text, CALLPROOF_GC_STATS="1", CALLPROOF_GC_LIMIT=str(12 << 20))
    assert (result.output, result.status) == ("100", 0)
    found = STATISTICS.search(result.errors)
    assert found is not None
    collections, allocated, live, heap = map(int, found.groups())
    assert collections >= 3 and allocated >= 40_000_000
    assert live < 2_000_000 and heap < 12 << 20


def test_dead_objects_and_lists_are_given_back(tmp_path: Path) -> None:
    text = """CLASS N $( DECL next, list
        ROUTINE CREATE(n) BE $( next := n  list := LIST(1, "text", 2.5) $) $)
    LET START() BE $(
        LET kept = 0
        FOR i = 1 TO 30000 DO $( LET n = NEW N(0)  IF i REM 1000 = 0 THEN kept := NEW N(kept) $)
        LET count = 0
        WHILE kept DO $( LET k AS N = kept  count := count + LEN k.list  kept := k.next $)
        WRITEN(count)
    $)"""
    result = ran(tmp_path, text, CALLPROOF_GC_STATS="1", CALLPROOF_GC_LIMIT=str(3 << 20))
    assert (result.output, result.status) == ("90", 0)
    found = STATISTICS.search(result.errors)
    assert found is not None and int(found[1]) >= 1 and int(found[4]) <= 3 << 20


def test_too_much_is_refused(tmp_path: Path) -> None:
    text = "LET START() BE $( LET l = 0  $( l := VEC[l, VEC 1000] $) REPEAT $)"
    result = ran(tmp_path, text, CALLPROOF_GC_LIMIT=str(2 << 20))
    assert result.status == 71 and result.output == ""
    assert re.fullmatch(r"callproof: out of memory: \d+ bytes\n", result.errors)


@pytest.mark.parametrize("level", [0, 2])
def test_roots(level: int, tmp_path: Path) -> None:
    """Globals, statics of the file and of a routine, fields, addresses inside, the stack."""
    text = """CLASS C $( DECL v $)
    STATIC $( s = 0 $)
    GLOBALS $( LET g = VEC[1, 2, 3]  LET o = NEW C $)
    LET keep(x) = VALOF $( STATIC $( mine = 0 $)  IF x THEN mine := x  RESULTIS mine $)
    LET fresh(n) = VEC[n, n, n]
    LET START() BE $(
        s := fresh(4)
        o.v := fresh(5)
        keep(fresh(6))
        LET inside = fresh(7) + 16
        LET a, b = fresh(8), fresh(9)
        FOR i = 1 TO 20 DO fresh(100)
        LET x AS VEC = o.v
        WRITEF("%d %d %d %d %d %d %d", g!1, s!1, x!1, keep(0)!1, !inside, a!1, b!2)
    $)"""
    result = ran(tmp_path, text, level, CALLPROOF_GC_STRESS="1")
    assert result.output == "2 4 5 6 7 8 9"


def test_globals_of_several_sources_are_roots(tmp_path: Path) -> None:
    sources = write(
        tmp_path,
        {
            "a.bcl": "LET START() BE $( fill()  FOR i = 1 TO 20 DO VEC[0, 0]!0 := 1 "
            ' WRITEF(*"%d %d*", there!1, own()) $)'.replace('*"', '"'),
            "b.bcl": "GLOBALS $( LET there = 0 $)\nSTATIC hidden = 0\n"
            "LET fill() BE $( there := VEC[4, 5]  hidden := VEC[6, 7] $)\n"
            "LET own() = hidden!1",
        },
    )
    environment = {**os.environ, "CALLPROOF_GC_STRESS": "1"}
    assert run_program(sources, environment=environment).output == "5 7"


def test_what_c_was_given_stays(tmp_path: Path) -> None:
    """The nodes of C's tree are the only ones that know the vectors."""
    text = """EXTERNAL "c" $(
        FUNCTION tsearch(key: POINTER, root: POINTER, compare: POINTER) : POINTER
        FUNCTION tfind(key: POINTER, root: POINTER, compare: POINTER) : POINTER
    $)
    LET compare(a AS VEC, b AS VEC) = a!0 - b!0
    LET fill(root) BE FOR i = 1 TO 30 DO tsearch(VEC[(i * 7) REM 31, i], root, compare)
    LET START() BE $(
        LET root = VEC 1
        fill(root)
        FOR i = 1 TO 50 DO $( LET junk = VEC[0, 0] $)
        FOR key = 1 TO 30 DO $(
            LET node AS VEC = tfind(VEC[key, 0], root, compare)
            LET found AS VEC = node!0
            UNLESS (found!1 * 7) REM 31 = key DO WRITEF("wrong %d ", key)
        $)
        WRITES("done")
    $)"""
    assert ran(tmp_path, text, CALLPROOF_GC_STRESS="1").output == "done"


def test_freeing_twice_is_told_and_not_fatal(tmp_path: Path) -> None:
    text = """LET START() BE $(
        LET v, w = VEC[1, 2], GETVEC(3)
        FREEVEC v
        FREEVEC(w)
        BCPL_CHECK_AND_DISPLAY_ERRORS()
        FREEVEC v
        freevec(w)
        GETVEC(0)
        BCPL_CHECK_AND_DISPLAY_ERRORS()
        BCPL_CLEAR_ERRORS()
        BCPL_CHECK_AND_DISPLAY_ERRORS()
        WRITEN(v!1)
    $)"""
    result = ran(tmp_path, text)
    assert (result.output, result.status) == ("2", 0)
    first, second, third = result.errors.splitlines()
    told = r"callproof: FREEVEC of a vector that was freed before, at .*/program\.bcl:"
    assert re.fullmatch(told + "6", first) and re.fullmatch(told + "7", second)
    assert third == "errors of memory: 2 double frees, 1 sizes below 1"


def test_what_is_no_heap_vector_may_be_freed(tmp_path: Path) -> None:
    text = """LET START() BE $(
        LET v = VEC[1, 2]
        FREEVEC(TABLE(1, 2))
        FREEVEC("text")
        FREEVEC(@v!1)
        FREEVEC(@v!1)
        FREEVEC(?)
        FREEVEC(12345)
        WRITEN(v!1)
    $)"""
    result = ran(tmp_path, text)
    assert (result.output, result.errors, result.status) == ("2", "", 0)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="counts a host's page faults"
)
def test_the_memory_of_large_vectors_is_used_again(tmp_path: Path) -> None:
    """New vectors are zero and nobody else's, and most are not new pages."""
    text = """LET START() BE $(
        LET kept = VEC 9
        LET wrong = 0
        FOR round = 1 TO 300 DO $(
            LET size = 40000 + (round REM 7) * 1000
            LET v = VEC size
            FOR i = 0 TO size DO $( UNLESS v!i = 0 DO wrong := wrong + 1  v!i := round $)
            kept!(round REM 10) := v
            IF round >= 10 THEN FOR back = 0 TO 9 DO $(
                LET old AS VEC = kept!((round - back) REM 10)
                FOR i = 0 TO 40000 BY 400 DO
                    UNLESS old!i = round - back DO wrong := wrong + 1
            $)
        $)
        WRITEN(wrong)
    $)"""
    (source,) = write(tmp_path, {"program.bcl": text})
    executable = tmp_path / "program"
    driver.build([source], executable, "exe", driver.Options(target="x86_64-linux"))
    with subprocess.Popen([executable], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert (output, process.returncode) == (b"0", 0)
    assert usage.ru_minflt < 10_000  # 25 000 pages are written
