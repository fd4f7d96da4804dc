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


@pytest.mark.parametrize(("megabytes", "slots"), [(300, 20_000), (1000, 150_000)])
def test_soak(megabytes: int, slots: int) -> None:
    """Garbage of many sizes: the heap stays within a few times of what is live."""
    done = natively("soak", str(megabytes), str(slots), CALLPROOF_GC_STATS="1")
    assert done.out == "true\n"
    found = statistics(done.err)
    assert found["allocated"] > megabytes << 20
    assert found["live"] < 400 * slots
    assert found["heap"] < 3 * found["live"] + (12 << 20)


def test_soak_emulated() -> None:
    assert emulated("soak", "40", "5000").out == "true\n"


def test_marking_a_long_list_needs_no_stack() -> None:
    done = natively("long_list", CALLPROOF_STACK=str(1 << 20))
    assert done == Output(0, "300000\n", "")


@pytest.mark.parametrize("objects", ["large", "small"])
def test_out_of_memory(objects: str) -> None:
    done = natively("exhaust", objects, CALLPROOF_GC_LIMIT=str(64 << 20), CALLPROOF_GC_STATS="1")
    assert (done.status, done.out) == (70, "")
    assert done.err.startswith("Out of memory.\n")
    assert statistics(done.err)["heap"] <= 64 << 20
    assert statistics(done.err)["collections"] < 100


def test_no_memory_at_all() -> None:
    """What cannot even hold the first object."""
    assert natively("calls", CALLPROOF_GC_LIMIT="1000").err == "Out of memory.\n"
