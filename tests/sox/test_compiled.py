"""Whole Sox programs, compiled: they print what the evaluator and the reference print.

Each program of `tests/programs/sox` runs in one of nine ways in every test run (three
levels; plain, poisoned, collecting at every allocation), which is another for its
neighbour; CALLPROOF_SOX_ALL=1 (`make sox-all`) takes them all through all nine, and more
random programs.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.sox.compiled import ALL_MODES, Mode, run_compiled
from tests.sox.test_evaluator import BENCHMARKS, NAMES, PROGRAMS, SMALL, expected
from tests.support.sox_evaluator import GAVE_UP, Result, run_file
from tests.support.sox_random import generate

ALL = bool(os.environ.get("CALLPROOF_SOX_ALL"))
RANDOM = int(os.environ.get("CALLPROOF_SOX_RANDOM", "500"))
GROUP = 20
FULL_SIZE = 1 if ALL else 7  # every so manieth program is a long one
# All that they allocate stays alive: collecting at every allocation takes minutes.
QUADRATIC = {"gc_long_list"}


def modes_of(name: str) -> tuple[Mode, ...]:
    index = NAMES.index(name)
    wanted = ALL_MODES if ALL else (ALL_MODES[index % len(ALL_MODES)],)
    if name in QUADRATIC:
        return tuple(Mode(mode.level, mode.poison) for mode in wanted)
    return wanted


@pytest.mark.parametrize("name", NAMES)
def test_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROGRAMS)
    index = NAMES.index(name)
    for mode in modes_of(name):
        verify = ALL or index % 4 == 0
        assert run_compiled(Path(f"{name}.sox"), mode, verify=verify) == expected(name), mode


@pytest.mark.parametrize("group", range(RANDOM // GROUP))
def test_random_programs(group: int, tmp_path: Path) -> None:
    compared = 0
    for seed in range(1000 + group * GROUP, 1000 + (group + 1) * GROUP):
        path = tmp_path / f"random{seed}.sox"
        path.write_text(generate(seed, small=seed % FULL_SIZE != 0))
        wanted = run_file(path)
        if wanted.status == GAVE_UP:
            continue
        compared += 1
        level = seed % 3
        assert run_compiled(path, Mode(level), verify=seed % 7 == 0) == wanted, (seed, level)
        if seed % 10 == 0:
            mode = Mode((level + 1) % 3, seed % 20 == 0, seed % 20 != 0)
            assert run_compiled(path, mode) == wanted, (seed, mode)
    assert compared > GROUP // 2


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.sox")), ids=lambda path: path.stem)
def test_benchmark_small(path: Path, tmp_path: Path) -> None:
    small = tmp_path / path.name
    small.write_text(SMALL.sub(r"= \1", path.read_text()))
    wanted = Result(path.with_suffix(".small.out").read_bytes(), b"", 0)
    for mode in (Mode(0), Mode(1, True), Mode(2)):
        assert run_compiled(small, mode) == wanted, mode
