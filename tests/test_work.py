"""The compiler's work grows as its input: counted in calls of functions, not in seconds.

A program twice as long, or a function twice as large, may take twice the calls (and a
little for what grows as n log n), whatever else the machine does meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from benchmarks import families

from callproof import driver
from callproof.bcpl.frontend import compile_to_ir
from callproof.bcpl.infer_work import Work
from callproof.source import Diagnostics, SourceFile


def calls_of(action: Callable[[], object]) -> int:
    """How many functions are called, Python's own included."""
    count = 0

    def seen(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    sys.setprofile(seen)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def work_of(text: str, suffix: str, folder: Path) -> int:
    path = folder / f"program{suffix}"
    path.write_text(text)
    options = driver.Options(level=1, comments=False)
    return calls_of(lambda: [one.object_file() for one in driver.compile_files([path], options)])


@pytest.mark.parametrize(
    ("make", "suffix", "unit", "small"),
    [
        (families.bcpl, ".bcl", families.BCPL_FAMILY.count("\n") + 1, 3),
        (families.sox, ".sox", families.SOX_FAMILY.count("\n") + 1, 2),
        (families.huge, ".bcl", 1, 20),
    ],
)
def test_twice_the_program_is_twice_the_work(
    make: Callable[[int], str], suffix: str, unit: int, small: int, tmp_path: Path
) -> None:
    """`small` members of a family, each of `unit` lines (steps of the huge function)."""
    work_of(make(unit), suffix, tmp_path)  # what is made once and kept
    once = work_of(make(small * unit), suffix, tmp_path)
    twice = work_of(make(2 * small * unit), suffix, tmp_path)
    assert 1.5 * once < twice < 2.15 * once


def chain(length: int) -> str:
    """Each function's class depends on that of the next, which comes behind it."""
    links = "".join(f"LET f{n}(x) = f{n + 1}(x) + 1\n" for n in range(length))
    return f"{links}LET f{length}(x) = x * 2.5\nLET START() BE FWRITE(f0(1.0))\n"


def test_inference_walks_a_chain_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    """And comes to an end: a pass takes a class on by one function."""
    made: list[Work] = []
    original = Work.begin_pass

    def begin(work: Work) -> None:
        if work not in made:
            made.append(work)
        original(work)

    monkeypatch.setattr(Work, "begin_pass", begin)
    walks = []
    for length in (150, 300):
        module = compile_to_ir(SourceFile("chain.bcl", chain(length)), Diagnostics())
        found = module.functions["f0"].signature.result
        assert str(found) == "f64"
        walks.append(made[-1].walks)
    assert walks[1] < 2.2 * walks[0]
