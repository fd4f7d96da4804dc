"""A slice of the campaign, what it found before, and that it finds what is wrong."""

from __future__ import annotations

import dataclasses
import importlib
import shutil
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from callproof.abi import aapcs64, darwin64, windows64
from callproof.codegen import pieces
from tests.conformance import campaign
from tests.conformance.batch import PLATFORMS, run_batch
from tests.conformance.campaign import (
    BATCH,
    REGRESSIONS,
    Failure,
    Unit,
    load,
    run_campaign,
    run_unit,
    store,
    units,
)
from tests.conformance.cases import Aggregate, CaseSpec, MemberSpec, Scalar

PLANS = importlib.import_module("callproof.abi.plan")  # the package has the function of that name


def no_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans of before are forgotten, as they are of the right table; so are those of now, later."""
    monkeypatch.setattr(PLANS, "_PLANS", {})
    monkeypatch.setattr(pieces, "_BY_VALUE", {})
    monkeypatch.setattr(pieces, "_BY_OBJECT", {})


SEED = 20


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("number", range(2))
def test_a_slice_of_the_campaign(platform: str, number: int) -> None:
    if shutil.which(PLATFORMS[platform].command[0]) is None:
        pytest.skip(f"{PLATFORMS[platform].command[0]} is not installed")
    unit = list(units(platform, 2 * BATCH, SEED))[number]
    failures = [Failure(platform, case, found) for case, found in run_unit(unit)]
    assert not failures, "\n".join(failure.text() for failure in failures)


def stored(platform: str) -> list[CaseSpec]:
    found = [load(path) for path in sorted(REGRESSIONS.glob("*.json"))]
    return [case for name, case in found if name == platform]


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_was_once_wrong(platform: str, level: int) -> None:
    """Stored failures, and signatures that show a wrong rule."""
    known = PLATFORMS[platform]
    if shutil.which(known.command[0]) is None:
        pytest.skip(f"{known.command[0]} is not installed")
    cases = stored(platform)
    found = run_batch(cases, known, SEED, c_level=f"-O{level}", ir_level=level) if cases else []
    assert not found, "\n".join(Failure(platform, cases[d.number], [d]).text() for d in found)


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
        ("aarch64-macos", darwin64, "DARWIN", "copy_alignment_full"),
        ("aarch64-macos", darwin64, "DARWIN", "variadic_on_stack"),
        ("aarch64-windows", windows64, "WINDOWS", "variadic_as_integer"),
    ],
)
def test_each_rule_that_platforms_differ_in_is_told_apart(
    platform: str, module: Any, table: str, flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one fact of a variant turned round, the stored cases differ."""
    right = getattr(module, table)
    wrong = dataclasses.replace(right, **{flag: not getattr(right, flag)})
    monkeypatch.setattr(module, table, wrong)
    no_plans(monkeypatch)
    cases = stored(platform)
    assert any(run_batch(cases, PLATFORMS[platform], seed) for seed in range(8))


class Immediate(Executor):
    """An executor that does everything at once, in this process."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_a_failure_is_shrunk_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """AAPCS64 without C.10: what is left is one value and one that should be in an even pair."""
    pair = Aggregate((MemberSpec(Scalar("__int128")), MemberSpec(Aggregate(()))))
    large = CaseSpec(
        Scalar("double"), (Scalar("float"), Scalar("short"), Scalar("v4f"), pair, Scalar("long"))
    )
    fine = CaseSpec(None, (Scalar("int"),))
    monkeypatch.setattr(campaign, "specs_of", lambda unit: [fine, large, fine])
    monkeypatch.setattr(aapcs64, "LINUX", dataclasses.replace(aapcs64.LINUX, even_pairs=False))
    no_plans(monkeypatch)
    unit = Unit("aarch64-linux", SEED, 3, 0)
    report = run_campaign(Immediate(), iter([unit, unit]), workers=1)
    assert report.signatures == 6
    assert len(report.failures) == 2
    case = report.failures[0].case
    assert case == CaseSpec(None, (Scalar("int"), Scalar("__int128")))
    path = store(report.failures[0], tmp_path)
    assert load(path) == ("aarch64-linux", case)
    assert "void f(int p0, __int128 p1);" in report.failures[0].text()
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
