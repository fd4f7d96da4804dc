"""The collector: at every allocation, under load, with long lists, at the end of memory."""

from __future__ import annotations

import re

import pytest

from tests.sox_runtime.build import Output, emulated, natively
from tests.sox_runtime.test_values import CASES

SURVIVAL = Output(0, "60\nglobal 59\nnode 7\n", "")


@pytest.mark.parametrize("case", [case for case in CASES if case != "table_churn"])
def test_collecting_at_every_allocation_changes_nothing(case: str) -> None:
    assert natively(case, CALLPROOF_GC_STRESS="1") == Output(0, CASES[case], "")


def test_survival_natively() -> None:
    assert natively("survival", CALLPROOF_GC_STRESS="1") == SURVIVAL
    assert natively("stale_caches", CALLPROOF_GC_STRESS="1") == Output(0, "0\n", "")


def test_survival_emulated() -> None:
    assert emulated("survival", CALLPROOF_GC_STRESS="1") == SURVIVAL
    assert emulated("stale_caches") == Output(0, "0\n", "")


def statistics(text: str) -> dict[str, int]:
    found = re.search(
        r"gc: (\d+) collections, (\d+) bytes allocated, (\d+) live, heap (\d+), "
        r"longest pause (\d+) us",
        text,
    )
    assert found is not None, text
    names = ("collections", "allocated", "live", "heap", "pause")
    return dict(zip(names, map(int, found.groups()), strict=True))


def test_stress_does_collect() -> None:
    done = natively("survival", CALLPROOF_GC_STRESS="1", CALLPROOF_GC_STATS="1")
    assert statistics(done.err)["collections"] > 500
    quiet = natively("survival", CALLPROOF_GC_STATS="1")
    assert statistics(quiet.err)["collections"] == 0


def test_soak() -> None:
    """300 MB of garbage with 6 MB live stay in a heap of a few times that."""
    done = natively("soak", "300", CALLPROOF_GC_STATS="1")
    assert done.out == "true\ntrue\n"
    found = statistics(done.err)
    assert found["allocated"] > 300 << 20
    assert found["live"] < 10 << 20
    assert found["heap"] < 32 << 20


def test_marking_a_long_list_needs_no_stack() -> None:
    done = natively("long_list", CALLPROOF_STACK=str(1 << 20))
    assert done == Output(0, "300000\n", "")


def test_out_of_memory() -> None:
    done = natively("exhaust", CALLPROOF_GC_LIMIT=str(64 << 20))
    assert done == Output(70, "", "Out of memory.\n")
