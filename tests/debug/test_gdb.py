"""gdb itself on our programs: natively on x86-64, through qemu's stub on ARM64.

What it says of variables must be true; `<optimized out>` will do where the program is
optimised, but not at -O0.  Skipped where gdb (for ARM64 gdb-multiarch and qemu) is missing.
"""

from __future__ import annotations

import platform
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from callproof import driver
from callproof.gdb import PRINTERS
from callproof.runtime import sox_layout

ABSENT = "<optimized out>"
BCPL = """\
CLASS Point $(
  DECL x, y
  ROUTINE CREATE(a, b) BE $( x := a
    y := b $)
  FUNCTION sum() = x + y
$)
LET fact(n) = VALOF $(
  LET result = 1
  FOR i = 2 TO n DO $(
    LET f = result * i
    result := f
    WRITEN(i)
  $)
  RESULTIS result
$)
LET down(n, f) = VALOF $(
  LET k = n * 2
  LET r = 0
  IF n > 0 THEN r := down(n - 1, f)
  WRITEN(n)
  WRITEN(k + r)
  RESULTIS k + r
$)
LET START() BE $(
  LET s = "hello"
  LET v = VEC 3
  LET p = NEW Point(3, 4)
  LET l = LIST(1, 2.5, "three")
  LET x = 2.5
  v!0 := 7
  WRITEN(fact(5))
  WRITEN(down(2, x))
  WRITEF("%S %N %N %N*N", s, v!0, p.sum(), LEN(l))
$)
"""
SOX = """\
class Point {
  init(x, y) { this.x = x; this.y = y; }
  sum() { return this.x + this.y; }
}
fn inner(n, f) {
  var s = "text";
  var a = {1, "two", nil, true};
  var t = {one: 1};
  var p = Point(3, 4.5);
  var r = range(1, 5);
  var total = 0;
  fn add(k) {
    total = total + k;
    return k + n;
  }
  var got = add(2);
  var below = 0;
  if n > 0 { below = inner(n - 1, f); }
  print got + below;
  print s; print a; print t; print p.sum(); print r; print f;
  return got + below;
}
fn main() {
  var result = inner(1, 2.5);
  print result;
}
"""
SOURCES = {"bcpl": ("program.bcl", BCPL), "sox": ("program.sox", SOX)}
CASES = [("x86_64", 0), ("x86_64", 1), ("x86_64", 2), ("aarch64", 0), ("aarch64", 1)]


def line_of(text: str, what: str) -> int:
    (found,) = [number for number, line in enumerate(text.splitlines(), 1) if what in line]
    return found


def gdb_for(machine: str) -> str:
    """The gdb to use; skips the test where something is missing."""
    if machine == "x86_64":
        gdb = shutil.which("gdb")
        if gdb is None or platform.machine() != "x86_64":
            pytest.skip("x86-64 programs need gdb on such a machine")
        return gdb
    gdb = shutil.which("gdb-multiarch")
    if gdb is None or shutil.which("qemu-aarch64") is None:
        pytest.skip("ARM64 programs need gdb-multiarch and qemu-aarch64")
    return gdb


def session(path: Path, machine: str, commands: list[str]) -> str:
    """What gdb says to the commands; the program is started by the first `run`."""
    gdb = gdb_for(machine)
    script = path.with_suffix(".gdb")
    head = ["set pagination off", "set width 0", f"source {PRINTERS}"]
    start: list[str] = []
    stub: subprocess.Popen[bytes] | None = None
    if machine == "aarch64":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        stub = subprocess.Popen(
            ["qemu-aarch64", "-g", str(port), str(path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.3)
        start = ["set tcp connect-timeout 30", f"target remote :{port}"]
        commands = ["continue" if one == "run" else one for one in commands]
    script.write_text("\n".join([*head, *start, *commands]) + "\n")
    try:
        done = subprocess.run(
            [gdb, "-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", script, path],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=path.parent,
        )
    finally:
        if stub is not None:
            stub.kill()
            stub.wait()
    problems = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if re.search(r"DWARF|Dwarf|dwarf|Corrupt|complaint|Traceback|Python Exception", line)
    ]
    assert not problems, problems
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], Path]:
    folder = tmp_path_factory.mktemp("gdb")
    found = {}
    for language, (name, text) in SOURCES.items():
        source = folder / name
        source.write_text(text)
        for machine, level in CASES:
            path = folder / f"{language}_{machine}_{level}"
            options = driver.Options(level=level, target=f"{machine}-linux", debug=True)
            driver.build([source], path, "exe", options)
            found[language, machine, level] = path
    return found


def shown(text: str, after: str) -> dict[str, str]:
    """The `name = value` lines between the line of `echo AFTER` and the next such line."""
    part = text.split(f"<{after}>\n", 1)[1].split("\n<", 1)[0]
    return dict(line.split(" = ", 1) for line in part.splitlines() if " = " in line)


def agree(found: dict[str, str], true: dict[str, str], level: int) -> None:
    for name, value in true.items():
        there = found.get(name, "missing")
        assert there == value or (level and there == ABSENT), f"{name} is {there}, not {value}"


@pytest.mark.parametrize(("machine", "level"), CASES)
def test_newbcpl(programs: dict[tuple[str, str, int], Path], machine: str, level: int) -> None:
    loop, leaf = line_of(BCPL, "WRITEN(i)"), line_of(BCPL, "WRITEN(n)")
    text = session(
        programs["bcpl", machine, level],
        machine,
        [
            f"break {loop}",
            f"break {leaf}",
            "run",
            "continue",
            r"echo <loop>\n",
            "info args",
            "info locals",
            r"echo <end>\n",
            "delete 1",
            "continue",
            "bt",
            r"echo <leaf>\n",
            "info args",
            "info locals",
            "up",
            r"echo <up>\n",
            "info args",
            "info locals",
            "up",
            "up",
            r"echo <start>\n",
            "info locals",
            r"echo <end>\n",
            "print *p",
            "print p->y + 1",
            "ptype p",
            "break bcpl_writen",
            "continue",
            "bt",
            "up",
            r"echo <runtime>\n",
            "info args",
            "info locals",
            r"echo <end>\n",
            "delete",
            "finish",
        ],
    )
    agree(shown(text, "loop"), {"n": "5", "i": "3", "f": "6", "result": "6"}, level)
    assert re.search(rf"#0 +.*down \(n=0, f=.*\) at .*program.bcl:{leaf}", text)
    assert re.search(r"#2 .*down \(n=2, f=(2\.5|<optimized out>)\) at", text)
    assert re.search(r"#3 .*START \(\) at", text)
    agree(shown(text, "leaf"), {"n": "0", "f": "2.5", "k": "0", "r": "0"}, level)
    agree(shown(text, "up"), {"n": "1", "f": "2.5", "k": "2", "r": "0"}, level)
    truth = {"s": '"hello"', "v": "VEC 3 = {7, 0, 0}", "x": "2.5", "l": 'LIST(1, 2.5, "three")'}
    agree(shown(text, "start"), truth, level)
    if shown(text, "start")["p"] != ABSENT:
        assert re.search(r"\$1 = \{vtable = .*, x = 3, y = 4\}", text)
        assert "$2 = 5" in text
    assert re.search(r"type = class Point \{\s+private:\s+void \*vtable;\s+public:\s+INT x;", text)
    assert re.search(r"#0 .*bcpl_writen", text) and re.search(r"#1 .*down \(n=0, f=", text)
    agree(shown(text, "runtime"), {"n": "0", "f": "2.5", "k": "0", "r": "0"}, level)
    assert re.search(r"Value returned is \$\d+ = 0\n", text)


@pytest.mark.parametrize(("machine", "level"), CASES)
def test_sox(programs: dict[tuple[str, str, int], Path], machine: str, level: int) -> None:
    inside, after = line_of(SOX, "return k + n"), line_of(SOX, "print got + below")
    text = session(
        programs["sox", machine, level],
        machine,
        [
            f"break {inside}",
            f"break {after}",
            "run",
            r"echo <closure>\n",
            "info args",
            "info locals",
            r"echo <end>\n",
            "delete 1",
            "continue",
            "bt 3",
            r"echo <inner>\n",
            "info args",
            "info locals",
            r"echo <end>\n",
            "up",
            r"echo <outer>\n",
            "info args",
            "info locals",
            r"echo <end>\n",
            "delete",
            "ptype a",
            "finish",
        ],
    )
    agree(shown(text, "closure"), {"k": "2", "total": "2", "n": "1"}, level)
    assert re.search(rf"#0 +.*inner \(n=0, f=.*\) at .*program.sox:{after}", text)
    assert re.search(r"#1 .*inner \(n=(1|<optimized out>), f=", text)
    truth = {
        "f": "2.5",
        "s": '"text"',
        "a": 'array of 4 {1, "two", nil, true}',
        "t": "table of 1 {one: 1}",
        "p": "Point instance {x: 3, y: 4.5}",
        "r": "range 1 to 5",
        "total": "2",
    }
    agree(shown(text, "inner"), {"n": "0", **truth, "got": "2", "below": "0"}, level)
    agree(shown(text, "outer"), {"n": "1", **truth, "got": "3", "below": "0"}, level)
    assert re.search(r"Value returned is \$\d+ = 5\n", text)


def test_printers_have_the_runtimes_layout() -> None:
    """The file cannot import the numbers, as gdb runs it: they are compared instead."""
    text = PRINTERS.read_text()
    names: dict[str, int] = {}
    for left, right in re.findall(r"^([A-Z_, ]+) = ([\d, ]+)$", text, re.MULTILINE):
        numbers = [int(one) for one in right.split(",")]
        names.update(zip((one.strip() for one in left.split(",")), numbers, strict=True))
    (tags,) = re.findall(r"^(NIL, .*) = range\(8\)$", text, re.MULTILINE)
    names.update({one.strip(): number for number, one in enumerate(tags.split(","))})
    shared = [name for name in names if hasattr(sox_layout, name)]
    assert len(shared) > 25
    for name in shared:
        assert names[name] == getattr(sox_layout, name), name
    header = (Path(sox_layout.__file__).parent / "sox" / "sox.h").read_text()
    (shape,) = re.findall(r"struct shape \{(.*?)\n\};", header, re.DOTALL)
    order = re.findall(r"(\w+)(?:, \*?(\w+))?;", shape)
    assert [name for pair in order for name in pair if name] == [
        *("header", "spare", "class", "parent", "name", "children", "sibling"),
        *("count", "capacity"),
    ]
    assert (names["SHAPE_PARENT"], names["SHAPE_NAME"], names["SHAPE_COUNT"]) == (16, 24, 48)
