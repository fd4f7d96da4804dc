"""Damaged files: some of those that `python -m tests.check.fuzz` makes."""

from __future__ import annotations

from pathlib import Path

from tests.check.fuzz.run import run

COUNT = 1000


def test_damaged_files_give_diagnostics_and_nothing_else(tmp_path: Path) -> None:
    result = run(tmp_path, 0, COUNT)
    assert result.problems == []
    assert result.checked.total() + result.refused.total() == COUNT
    assert min(result.checked.total(), result.refused.total()) > COUNT // 10
    assert len(result.checked | result.refused) == 6


def test_what_the_long_run_found(tmp_path: Path) -> None:
    """Sections at addresses beyond what signed 64-bit numbers hold."""
    for seed in (5963, 16676, 71343):
        assert run(tmp_path, seed, 1).problems == []
