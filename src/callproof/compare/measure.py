"""What two compilers make of the same programs, measured in pairs.

Both compile the programs as they are in the checkout, through `callproof build`.  Compile
time is CPU seconds of that process, Python's start included.  A round builds a program once
with each, one directly after the other, and whoever was first is second in the next round; a
ratio is the median over the rounds of the ratio within a round, so that a machine whose speed
drifts does little harm.  Caches do not count: each of these builds finds nothing but the
runtime library.  Instructions are those of a whole run, its start included.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from callproof.compare.checkout import Side
from callproof.object.elf_read import read_elf
from callproof.run.counting import Counter, find_counter
from callproof.run.limits import TIMEOUT_STATUS
from callproof.runtime import cache_folder
from callproof.source import CallproofError

SUFFIXES = (".bcl", ".sox")
EMPTY = "LET START() BE $( WRITEN(0) NEWLINE() $)\n"
RUN_SECONDS = 900.0  # the largest benchmark takes two minutes in the emulator
QUANTITIES = ("instructions", "code", "seconds")


@dataclass(slots=True)
class Figures:
    """One side's: executed instructions, bytes of the program's own code, seconds a build.

    `failure` says why figures are missing ('' if none are); `output` is what it printed.
    """

    instructions: int | None = None
    code: int | None = None
    seconds: list[float] = field(default_factory=list)
    failure: str = ""
    output: tuple[int, bytes] | None = None


@dataclass(slots=True)
class Row:
    """A program's figures of both sides."""

    name: str
    base: Figures
    work: Figures

    def ratio(self, quantity: str) -> float | None:
        """The work's share of the base's, below 1 is better; None where one is missing."""
        if quantity == "seconds":
            pairs = zip(self.base.seconds, self.work.seconds, strict=False)
            found = [work / base for base, work in pairs if base > 0]
            return median(found) if found else None
        base, work = getattr(self.base, quantity), getattr(self.work, quantity)
        return None if not base or work is None else work / base

    @property
    def trouble(self) -> str:
        """What is wrong with it, or differs between what the two print; '' if nothing."""
        failures = [
            f"{name}: {figures.failure}"
            for name, figures in (("base", self.base), ("work", self.work))
            if figures.failure
        ]
        if not failures and self.base.output != self.work.output:
            return "the two print different things"
        return "; ".join(failures)

    @property
    def worse(self) -> bool:
        """Whether the work fails, or prints something else, where the base was right."""
        return not self.base.failure and bool(self.trouble)


@dataclass(slots=True)
class Comparison:
    """All of it; `counted` says where instructions were counted."""

    base: str
    work: str
    target: str
    level: int
    counted: str
    rows: list[Row]


def programs(place: Path, top: Path, wanted: str = "") -> list[tuple[str, Path]]:
    """Name and path of a file, or of all programs below a folder; the checkout's own folder
    means its benchmarks.  `wanted` must be in the name (`bcpl/fib`).

    Raises `CallproofError` if there are none.
    """
    if place.is_file():
        found = [(place.stem, place)]
    else:
        folder = top / "benchmarks" if place.resolve() == top.resolve() else place
        paths = sorted(path for suffix in SUFFIXES for path in folder.rglob(f"*{suffix}"))
        found = [(path.relative_to(folder).with_suffix("").as_posix(), path) for path in paths]
    chosen = [(name, path.absolute()) for name, path in found if wanted in name]
    if not chosen:
        with_ = f" with '{wanted}' in their names" if wanted else ""
        raise CallproofError(f"{place}: no programs ({', '.join(SUFFIXES)}) there{with_}")
    return chosen


def geometric_mean(ratios: Iterable[float | None]) -> float | None:
    logs = [math.log(ratio) for ratio in ratios if ratio]
    return math.exp(sum(logs) / len(logs)) if logs else None


class _Refused(Exception):
    """A side did not compile a program; the text is what it said first."""


@contextmanager
def _noted(figures: Figures) -> Iterator[None]:
    try:
        yield
    except (_Refused, CallproofError) as error:
        figures.failure = figures.failure or str(error)


class _Bench:
    """Builds and runs with both sides in a folder of its own."""

    def __init__(
        self, sides: tuple[Side, Side], folder: Path, level: int, target: str, more: Sequence[str]
    ) -> None:
        self.sides = sides
        self.folder = folder
        self.target = target
        self.options = [f"-O{level}", "--target", target, *more]
        self.counter = Counter()
        for side in sides:
            (folder / side.name).mkdir()

    def build(self, side: Side, source: Path, emit: str, cache: Path | None = None) -> float:
        """CPU seconds of a build into `executable`; raises `_Refused`."""
        output = self.executable(side)
        words = ["build", str(source), "-o", str(output), "--emit", emit, *self.options]
        ran = side.callproof(words, cache)
        if ran.status:
            lines = ran.text.splitlines() or [f"ended with {ran.status}"]
            raise _Refused(lines[-1] if lines[0].startswith("Traceback") else lines[0])
        return ran.seconds

    def executable(self, side: Side) -> Path:
        return self.folder / side.name / "program"

    def start(self) -> None:
        """One build by each side, so that the runtime and Python's modules are compiled."""
        source = self.folder / "empty.bcl"
        source.write_text(EMPTY)
        for side in self.sides:
            try:
                self.build(side, source, "exe")
            except _Refused as error:
                raise CallproofError(f"{side.name} ({side.title}): {error}") from error
        machine = self.target.partition("-")[0]
        self.counter = find_counter(machine, self.folder, self.executable(self.sides[0]))

    def timed(self, side: Side, source: Path) -> float:
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            cache = Path(place) / "callproof"
            cache.mkdir()
            known = cache_folder()
            for runtime in known.glob("runtime-*") if known.is_dir() else ():
                os.symlink(runtime, cache / runtime.name, target_is_directory=True)
            return self.build(side, source, "exe", Path(place))

    def row(self, name: str, source: Path, rounds: int) -> Row:
        pair = [(side, Figures()) for side in self.sides]
        for side, figures in pair:
            with _noted(figures):
                self.size(side, source, figures)
        # Without its counterpart's a time says nothing.
        if not any(figures.failure for _, figures in pair):
            for number in range(rounds):
                for side, figures in pair if number % 2 == 0 else reversed(pair):
                    with _noted(figures):
                        figures.seconds.append(self.timed(side, source))
        for side, figures in pair:
            if not figures.failure:
                with _noted(figures):
                    self.count(side, source, figures)
        (_, base), (_, work) = pair
        return Row(name, base, work)

    def size(self, side: Side, source: Path, figures: Figures) -> None:
        """Bytes of code in the object: the runtime's are not among them."""
        self.build(side, source, "obj")
        path = self.executable(side)
        sections = read_elf(path.read_bytes(), str(path)).sections
        figures.code = sum(len(one.data) for one in sections if one.kind == "code")

    def count(self, side: Side, source: Path, figures: Figures) -> None:
        """Run what was built last, or what is built now if nothing was timed."""
        if not figures.seconds:
            self.build(side, source, "exe")
        counted = self.counter.count(self.executable(side), RUN_SECONDS)
        figures.instructions = counted.instructions
        figures.output = (counted.status, counted.output)
        if counted.status == TIMEOUT_STATUS:
            figures.instructions = None
            figures.failure = f"ran longer than {RUN_SECONDS:.0f} seconds"
        elif counted.status:
            said = counted.errors.decode(errors="replace").strip().splitlines()
            figures.failure = f"ended with {counted.status}" + (f": {said[0]}" if said else "")


def compare(
    sides: tuple[Side, Side],
    chosen: Iterable[tuple[str, Path]],
    rounds: int,
    level: int,
    target: str,
    options: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Measure programs (name and path) with both; `options` go to each build.

    Raises `CallproofError` where a side cannot compile at all; of a single program that
    fails the row tells.
    """
    with tempfile.TemporaryDirectory(prefix="callproof-compare-") as place:
        bench = _Bench(sides, Path(place), level, target, options)
        bench.start()
        rows = []
        for name, source in chosen:
            if progress is not None:
                progress(name)
            rows.append(bench.row(name, source, rounds))
    base, work = sides
    return Comparison(base.title, work.title, target, level, bench.counter.place, rows)
