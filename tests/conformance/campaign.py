"""Many batches over any `concurrent.futures.Executor`: processes here, or a cluster's.

A work unit is a few numbers; everything else follows from its seed.  So nothing but
those numbers travels, and a failure can be had again from them alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from callproof.abi import WINDOWS64, plan
from tests.conformance.batch import PLATFORMS, run_batch
from tests.conformance.c_side import prepare
from tests.conformance.cases import (
    SPLIT,
    Aggregate,
    CaseSpec,
    Generator,
    MemberSpec,
    Scalar,
    TypeSpec,
    source_of,
)
from tests.conformance.compilers import Difference
from tests.conformance.shrink import shrink

REGRESSIONS = Path(__file__).parent / "regressions"
BATCH = 25  # signatures; one C compilation, one link, one machine
C_LEVELS = ("-O1", "-O0", "-O2")
IR_LEVELS = (1, 0, 2)


@dataclass(frozen=True)
class Unit:
    """One batch; `levels` chooses both compilers' optimisation."""

    platform: str
    seed: int
    count: int
    levels: int


@dataclass
class Failure:
    """A case as it was found, its smallest relative, and what goes wrong with that."""

    platform: str
    case: CaseSpec
    differences: list[Difference]

    def text(self) -> str:
        source = source_of(self.case, "s")
        anonymous = f"  // called with: {', '.join(source.anonymous)}" if source.variadic else ""
        wrong = "".join(f"\n    {one.where}: {one.what}" for one in self.differences)
        prototype = f"{source.prototype('f')};{anonymous}"
        return f"{self.platform}:\n{source.declarations}\n{prototype}{wrong}"


@dataclass
class Report:
    signatures: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)


def specs_of(unit: Unit) -> list[CaseSpec]:
    platform = PLATFORMS[unit.platform]
    generator = Generator(unit.seed, platform.without, platform.extra)
    cases = (generator.case() for _ in itertools.count())
    wanted = (case for case in cases if is_wanted(case, platform.without))
    return list(itertools.islice(wanted, unit.count))


def is_wanted(case: CaseSpec, without: tuple[str, ...]) -> bool:
    """Whether a case has nothing of what shows only in its plan."""
    return not (SPLIT in without and is_split(case))


def is_split(case: CaseSpec) -> bool:
    """Whether an argument is in X7 and on the stack."""
    signature = prepare(case, 0, 0, PLATFORMS["aarch64-windows"].model).signature
    found = plan(signature, WINDOWS64)
    return any("windows-split" in assignment.rules for assignment in found.parameters)


def run_unit(unit: Unit) -> list[tuple[CaseSpec, list[Difference]]]:
    """The cases of a unit that differ, shrunk; runs in a worker."""
    platform = PLATFORMS[unit.platform]
    c_level = C_LEVELS[unit.levels % 3]
    ir_level = IR_LEVELS[unit.levels // 3 % 3]

    def differences(specs: list[CaseSpec]) -> list[Difference]:
        return run_batch(specs, platform, unit.seed, c_level=c_level, ir_level=ir_level)

    specs = specs_of(unit)
    found = []
    for number in sorted({one.number for one in differences(specs)}):
        smallest = shrink(
            specs[number],
            lambda some: {
                one.number
                for one in differences(some)
                if all(is_wanted(case, platform.without) for case in some)
            },
            platform.without,
        )
        found.append((smallest, differences([smallest]) or differences(specs)))
    return found


def units(platform: str, count: int | None, seed: int) -> Iterator[Unit]:
    """Batches with seeds of their own, both compilers' levels in turn; endless without `count`."""
    for number in itertools.count():
        size = BATCH if count is None else min(BATCH, count - number * BATCH)
        if size <= 0:
            return
        yield Unit(platform, seed * 1_000_003 + number, size, number)


def run_campaign(
    executor: Executor,
    work: Iterator[Unit],
    *,
    workers: int,
    seconds: float | None = None,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Keep `workers` units under way until the work, or the time, is at its end."""
    started = time.monotonic()
    report = Report()
    pending: dict[Future[Any], Unit] = {}

    def feed() -> None:
        while len(pending) < 2 * workers:
            if seconds is not None and time.monotonic() - started > seconds:
                return
            unit = next(work, None)
            if unit is None:
                return
            pending[executor.submit(run_unit, unit)] = unit

    feed()
    while pending:
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            unit = pending.pop(future)
            report.failures += [
                Failure(unit.platform, case, differences) for case, differences in future.result()
            ]
            report.signatures += unit.count
        report.seconds = time.monotonic() - started
        if progress is not None:
            progress(report)
        feed()
    return report


def store(failure: Failure, folder: Path = REGRESSIONS) -> Path:
    """Keep a failure as a regression test; `test_conformance.py` runs all that are there."""
    case = json.dumps(asdict(failure.case), sort_keys=True)
    name = hashlib.sha256(f"{failure.platform}{case}".encode()).hexdigest()[:10]
    folder.mkdir(exist_ok=True)
    path = folder / f"{failure.platform}-{name}.json"
    content = {
        "platform": failure.platform,
        "c": failure.text().splitlines(),
        "case": asdict(failure.case),
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def load(path: Path) -> tuple[str, CaseSpec]:
    """Platform and case of a stored failure."""
    content = json.loads(path.read_text())
    case = content["case"]
    anonymous = case["anonymous"]
    return content["platform"], CaseSpec(
        None if case["result"] is None else _type(case["result"]),
        tuple(map(_type, case["parameters"])),
        None if anonymous is None else tuple(map(_type, anonymous)),
    )


def _type(tree: dict[str, Any]) -> TypeSpec:
    if "text" in tree:
        return Scalar(tree["text"])
    members = tuple(
        MemberSpec(**{**member, "type": _type(member["type"])}) for member in tree["members"]
    )
    return Aggregate(members, tree["union"], tree["packed"], tree["aligned"])


__all__ = ["Report", "Unit", "load", "run_campaign", "run_unit", "store", "units"]
