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
