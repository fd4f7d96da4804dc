"""Whole Sox programs in the evaluator: those written by hand, random ones, the benchmarks.

`tests/programs/sox/NAME.sox` prints `NAME.out`; where it fails, `NAME.err` is its standard
error and `NAME.status` its exit status.  It runs in that folder and is named by its file name.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.sox_evaluator import Result, run_file
from tests.support.sox_random import generate

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "programs" / "sox"
BENCHMARKS = ROOT / "benchmarks" / "sox"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.sox"))
SMALL = re.compile(r"= \d+ // small: (\d+)")


def expected(name: str) -> Result:
    errors = PROGRAMS / f"{name}.err"
    status = PROGRAMS / f"{name}.status"
    return Result(
        (PROGRAMS / f"{name}.out").read_bytes(),
        errors.read_bytes() if errors.exists() else b"",
        int(status.read_text()) if status.exists() else 0,
    )


@pytest.mark.parametrize("name", NAMES)
def test_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROGRAMS)
    assert run_file(Path(f"{name}.sox")) == expected(name)


def test_every_expectation_has_its_program() -> None:
    suffixes = ("*.out", "*.err", "*.status")
    stems = {path.stem for suffix in suffixes for path in PROGRAMS.glob(suffix)}
    assert stems == set(NAMES)


@pytest.mark.parametrize("seed", range(100))
def test_random_program(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "random.sox"
    path.write_text(generate(seed))
    result = run_file(path)
    assert result.output
    if result.status == 0:
        assert not result.errors
    else:
        # Only the last call, which is there for that, may fail.
        assert result.status == 70
        assert path.read_text().endswith("fail()\n")
        assert b"in fail()\n" in result.errors


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.sox")), ids=lambda path: path.stem)
def test_benchmark_small(path: Path, tmp_path: Path) -> None:
    text, replaced = SMALL.subn(r"= \1", path.read_text())
    assert replaced
    small = tmp_path / path.name
    small.write_text(text)
    assert run_file(small) == Result(path.with_suffix(".small.out").read_bytes(), b"", 0)


def test_benchmarks_have_the_same_sizes_in_lua() -> None:
    in_lua = re.compile(r"= (\d+) -- small: (\d+)")
    for path in BENCHMARKS.glob("*.sox"):
        sizes = re.findall(r"= (\d+) // small: (\d+)", path.read_text())
        assert sizes == in_lua.findall(path.with_suffix(".lua").read_text())
        assert sizes
