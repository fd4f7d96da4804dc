"""A slice of the campaign, what it found before, and that it finds what is wrong."""

from __future__ import annotations

import dataclasses
import shutil
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from callproof.abi import aapcs64, darwin64, windows64
from tests.conformance.batch import PLATFORMS, run_batch
from tests.conformance.campaign import (
    BATCH,
    REGRESSIONS,
    Failure,
    Unit,
    load,
    run_campaign,
    run_unit,
    specs_of,
    store,
    units,
)
from tests.conformance.cases import Aggregate, CaseSpec, MemberSpec, Scalar

SEED = 20


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("number", range(3))
def test_a_slice_of_the_campaign(platform: str, number: int) -> None:
    if shutil.which(PLATFORMS[platform].command[0]) is None:
        pytest.skip(f"{PLATFORMS[platform].command[0]} is not installed")
    unit = list(units(platform, 3 * BATCH, SEED))[number]
    failures = [Failure(platform, case, found) for case, found in run_unit(unit)]
    assert not failures, "\n".join(failure.text() for failure in failures)


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_what_was_once_wrong(path: Path, level: int) -> None:
    name, case = load(path)
    if shutil.which(PLATFORMS[name].command[0]) is None:
        pytest.skip(f"{PLATFORMS[name].command[0]} is not installed")
    found = run_batch([case], PLATFORMS[name], SEED, c_level=f"-O{level}", ir_level=level)
    assert not found, Failure(name, case, found).text()


@pytest.mark.parametrize(
    ("platform", "module", "table", "flag"),
    [
        ("aarch64-linux", aapcs64, "LINUX", "even_pairs"),
        ("aarch64-linux", aapcs64, "LINUX", "packed_stack"),
        ("aarch64-linux", aapcs64, "LINUX", "copy_alignment_full"),
        ("aarch64-linux", aapcs64, "LINUX", "variadic_on_stack"),
        ("aarch64-macos", darwin64, "DARWIN", "even_pairs"),
        ("aarch64-macos", darwin64, "DARWIN", "caller_extends"),
        ("aarch64-macos", darwin64, "DARWIN", "packed_stack"),
        ("aarch64-macos", darwin64, "DARWIN", "variadic_on_stack"),
        ("aarch64-windows", windows64, "WINDOWS", "variadic_as_integer"),
    ],
)
def test_each_rule_that_platforms_differ_in_is_told_apart(
    platform: str, module: Any, table: str, flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one fact of a variant turned round, the campaign finds differences."""
    right = getattr(module, table)
    wrong = dataclasses.replace(right, **{flag: not getattr(right, flag)})
    monkeypatch.setattr(module, table, wrong)
    for number in range(12):
        specs = specs_of(Unit(platform, SEED + number, 40, 0))
        if run_batch(specs, PLATFORMS[platform], SEED):
            return
    pytest.fail(f"480 signatures do not notice that {flag} is wrong")


class Immediate(Executor):
    """An executor that does everything at once, in this process."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_a_failure_is_shrunk_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = dataclasses.replace(aapcs64.LINUX, even_pairs=False)
    monkeypatch.setattr(aapcs64, "LINUX", wrong)
    number = next(n for n in range(50) if run_unit(Unit("aarch64-linux", n, 15, 0)))
    work = iter([Unit("aarch64-linux", number, 15, 0)])
    report = run_campaign(Immediate(), work, workers=1)
    assert report.signatures == 15
    case = report.failures[0].case
    # One value at an odd register, one aligned to 16 bytes, and nothing else.
    assert len(case.parameters) + len(case.anonymous or ()) == 2
    path = store(report.failures[0], tmp_path)
    assert load(path) == ("aarch64-linux", case)
    assert run_batch([case], PLATFORMS["aarch64-linux"], SEED)
    monkeypatch.undo()
    assert not run_batch([case], PLATFORMS["aarch64-linux"], SEED)


def test_a_stored_case_comes_back_as_it_was(tmp_path: Path) -> None:
    inner = Aggregate((MemberSpec(Scalar("short"), None, 3), MemberSpec(Scalar("v4f"), 2)))
    case = CaseSpec(
        Aggregate((MemberSpec(inner, aligned=16),), packed=True, aligned=32),
        (Scalar("long"), Aggregate((MemberSpec(Scalar("int"), None, 0, 0, False, True),), True)),
        (Scalar("double"),),
    )
    assert load(store(Failure("aarch64-macos", case, []), tmp_path)) == ("aarch64-macos", case)
