"""Recall: a sample of the mutants that `python -m tests.check.mutants` makes."""

from __future__ import annotations

from pathlib import Path

from tests.check.mutants.campaign import run

CONFIRMED, KINDS, LEAST = 110, 15, 0.97


def test_confirmed_mutants_are_found_with_rule_register_and_place(tmp_path: Path) -> None:
    count = run(tmp_path, seeds=1, modules=0, most=6, wanted=CONFIRMED)
    assert count.unclean == []
    assert count.confirmed.total() >= CONFIRMED
    assert sum(1 for number in count.confirmed.values() if number) >= KINDS
    assert count.recall >= LEAST, count.missed
