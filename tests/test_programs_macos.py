"""Whole programs built for macOS, run by `tests/support/darwin.py`, a small macOS in the emulator.

A test run takes a few of the programs of both languages, chosen by their names, each at one
level; CALLPROOF_MACOS_ALL=1 (`make macos-all`) takes them all, but for the few that want more
of libSystem than that has.
"""

from __future__ import annotations

import gc
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from callproof import driver
from tests.sox.test_evaluator import NAMES, PROGRAMS, expected
from tests.support.darwin import Mac
from tests.support.darwin_unwind import Walker

FOLDER = Path(__file__).parent / "programs"
BCPL = sorted(
    path.relative_to(FOLDER / "bcpl").with_suffix("").as_posix()
    for path in (FOLDER / "bcpl").rglob("*.bcl")
)
ALL = bool(os.environ.get("CALLPROOF_MACOS_ALL"))
SAMPLE = 60  # of so many programs one is taken
TARGET = "aarch64-macos"
NEEDS_MORE = {
    *("c_numbers", "c_output_order", "c_printf", "c_qsort", "c_strings"),
    *("native_files", "native_files_that_are_not", "native_math_random"),
}


def number_of(name: str) -> int:
    """The same in every run, and whatever other programs there are."""
    return zlib.crc32(name.encode())


def taken(names: list[str]) -> list[str]:
    names = [name for name in names if name not in NEEDS_MORE]
    return names if ALL else [name for name in names if number_of(name) % SAMPLE == 0]


def built(path: Path, folder: Path, level: int) -> bytes:
    executable = folder / "program"
    options = driver.Options(level=level, target=TARGET, verify=number_of(path.stem) % 4 == 0)
    driver.build([path], executable, "exe", options)
    return executable.read_bytes()


@pytest.fixture(autouse=ALL)
def memory() -> Iterator[None]:
    """An emulator and its hooks refer to each other."""
    yield
    gc.collect()


def loaded(data: bytes, stress: bool) -> Mac:
    return Mac(data, {"CALLPROOF_GC_STRESS": str(int(stress))})


@pytest.mark.parametrize("name", taken(BCPL))
def test_bcpl(name: str, tmp_path: Path) -> None:
    number = number_of(name)
    mac = loaded(built(FOLDER / "bcpl" / f"{name}.bcl", tmp_path, number % 3), number % 4 == 1)
    assert mac.run() == 0
    assert bytes(mac.output[1]) == (FOLDER / "bcpl" / f"{name}.out").read_bytes()


BREAK = """LET inner(a, b) = VALOF $( LET c = a * b
 BRK
 WRITEN(c) NEWLINE()
 RESULTIS c + a $)
LET outer(n) = inner(n, n + 1) + n
LET START() BE $( LET x = outer(6)
 WRITEN(x) NEWLINE() $)
"""


@pytest.mark.parametrize("level", [0, 1, 2])
def test_brk_shows_registers_and_calls(level: int, tmp_path: Path) -> None:
    path = tmp_path / "break.bcl"
    path.write_text(BREAK)
    mac = loaded(built(path, tmp_path, level), False)
    walker = mac.watch = Walker.of(mac)
    assert mac.run() == 0
    assert mac.output[1] == b"42\n54\n"
    shown = mac.output[2].decode()
    assert "  c            = 42 (#x2A)\n" in shown
    calls = [line.split()[0] for line in shown[shown.index("calls:\n") :].splitlines()[1:]]
    assert calls == ["inner", "outer", "START"]
    assert walker.whole > 5 and walker.cut == 0


def test_a_stack_overflow_is_told(tmp_path: Path) -> None:
    """A write to the guard page: the handler finds the place in Darwin's structures."""
    path = tmp_path / "deep.sox"
    path.write_text("fn deep(n) {\n    return deep(n + 1) + 1\n}\nprint deep(0)\n")
    mac = Mac(built(path, tmp_path, 1), {"CALLPROOF_STACK": str(1 << 20)})
    assert mac.run() == 70
    lines = mac.output[2].decode().splitlines()
    assert lines[:3] == ["Stack overflow.", "[line 2] in script", "[line 2] in deep()"]
    assert "more times" in lines[3] and lines[4:] == ["[line 4] in script"]
    assert mac.fault


@pytest.mark.parametrize("name", taken(NAMES))
def test_sox(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = expected(name)
    if wanted.status == 65:
        pytest.skip("it does not compile, and is not to")
    monkeypatch.chdir(PROGRAMS)
    number = number_of(name)
    mac = loaded(built(Path(f"{name}.sox"), tmp_path, number % 3), number % 4 == 1)
    assert (mac.run((f"{name}.sox",)), bytes(mac.output[1])) == (wanted.status, wanted.output)
    assert bytes(mac.output[2]) == wanted.errors
