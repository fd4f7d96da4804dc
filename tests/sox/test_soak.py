"""Memory of whole programs: much garbage in little memory, many live objects, deep stacks, the end.

Under QEMU where it is there, as it is faster than the emulator.  CALLPROOF_SOX_SOAK is how
many megabytes the soak test allocates in all; with 10000 of them 50 MB are live, and
the process (QEMU's own memory included) must stay below 200 MB.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from callproof import driver
from tests.run.programs import execute

MEGABYTES = int(os.environ.get("CALLPROOF_SOX_SOAK", "60"))
RECORD = 2800  # bytes of what one slot of the soak test keeps, about
LIVE = 50_000_000 if MEGABYTES >= 10_000 else 3_000_000
QEMU = shutil.which("qemu-aarch64")

SOAK = """
class Record {
    init(i, template, text) {
        this.number = i
        this.items = arraySlice(template, 0)
        this.text = text + i
        this.table = {name: "record " + i, again: i}
        this.number_of = fn () { return i }
    }
    check() {
        return this.number_of() == this.number and this.table.again == this.number
            and this.table["name"] == "record " + this.number and len(this.items) == 64
            and this.items[63] == 63 and stringEndsWith(this.text, "x" + this.number)
    }
}
fn run(slots, rounds) {
    var template[]
    for i in range(64) { push(template, i) }
    var text = "x"
    for i in range(9) { text = text + text }
    var kept[]
    for i in range(slots) { push(kept, nil) }
    var seed = 1
    var wrong = 0
    for i in range(rounds) {
        seed = (seed * 3877 + 29573) % 139968
        var slot = mathFloor(seed / 139968 * slots)
        if kept[slot] != nil and !kept[slot].check() { wrong = wrong + 1 }
        kept[slot] = Record(i, template, text)
    }
    for record in kept { if record != nil and !record.check() { wrong = wrong + 1 } }
    print wrong
}
run(SLOTS, ROUNDS)
"""

MILLION = """
class Link { init(next, i) { this.next = next this.i = i } }
fn run(n) {
    var list = nil
    for i in range(n) { list = Link(list, i) }
    for i in range(n / 2) { "garbage " + i }
    var count = 0
    var sum = 0
    while list != nil { count = count + 1 sum = sum + list.i list = list.next }
    print count == n
    print sum == n * (n - 1) / 2
}
run(1000000)
"""

DEEP = """
fn down(n, kept) { if n == 0 { return len(kept) } return 1 + down(n - 1, kept) }
class Deep { go(n) { if n == 0 { return 0 } return 1 + this.go(n - 1) } }
print down(100000, "ten bytes!")
print Deep().go(100000)
"""

ENDLESS = """
class Link { init(next) { this.next = next } }
fn grow() {
    var list = nil
    while true { list = Link(list) }
}
grow()
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """`peak`: the most memory that the process had, in bytes; 0 in the emulator."""

    status: int
    out: str
    err: str
    peak: int


def run_source(source: str, **environment: str) -> Ended:
    with tempfile.TemporaryDirectory() as folder:
        path, executable = Path(folder) / "program.sox", Path(folder) / "program"
        path.write_text(source)
        driver.build([path], executable, "exe", driver.Options(level=1))
        given = {**os.environ, **environment}
        if QEMU is None:
            ran = execute(executable, environment=given)
            return Ended(ran.status, ran.out, ran.err, 0)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [QEMU, str(executable)], env=given, stdout=output, stderr=errors
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            errors.seek(0)
            out, err = output.read().decode(), errors.read().decode()
        return Ended(process.returncode, out, err, usage.ru_maxrss * 1024)


def statistics(text: str) -> dict[str, int]:
    found = re.search(r"gc: (\d+) collections, (\d+) bytes allocated, (\d+) live, heap (\d+)", text)
    assert found is not None, text
    return dict(
        zip(("collections", "allocated", "live", "heap"), map(int, found.groups()), strict=True)
    )


def test_soak() -> None:
    slots, rounds = LIVE // RECORD, MEGABYTES * 1_000_000 // RECORD
    source = SOAK.replace("SLOTS", str(slots)).replace("ROUNDS", str(rounds))
    done = run_source(source, CALLPROOF_GC_STATS="1")
    assert (done.status, done.out) == (0, "0\n"), done.err
    found = statistics(done.err)
    assert found["allocated"] > MEGABYTES * 900_000
    assert LIVE / 2 < found["live"] < LIVE * 1.5
    assert found["heap"] < 3 * found["live"] + (12 << 20)
    if MEGABYTES >= 10_000:
        assert done.peak < 200_000_000
        print(f"peak {done.peak / 1e6:.0f} MB, {found}")


def test_a_million_live_objects() -> None:
    done = run_source(MILLION, CALLPROOF_GC_STATS="1")
    assert (done.status, done.out) == (0, "true\ntrue\n"), done.err
    assert statistics(done.err)["collections"] >= 3


def test_a_hundred_thousand_frames() -> None:
    assert run_source(DEEP).out == "100010\n100000\n"


@pytest.mark.parametrize("limit", [24 << 20, 100 << 20])
def test_out_of_memory(limit: int) -> None:
    """An error with a trace, and not long after memory is full."""
    done = run_source(ENDLESS, CALLPROOF_GC_LIMIT=str(limit), CALLPROOF_GC_STATS="1")
    assert (done.status, done.out) == (70, "")
    lines = done.err.splitlines()
    assert lines[0] == "Out of memory."
    trace = [line for line in lines if line.startswith("[line")]
    assert trace[-2:] == ["[line 5] in grow()", "[line 7] in script"]
    found = statistics(done.err)
    assert limit * 0.8 < found["heap"] <= limit
    assert found["collections"] < 30
