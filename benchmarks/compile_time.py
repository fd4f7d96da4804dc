"""How long the compiler takes, how that grows, and how much memory it needs.

    python benchmarks/compile_time.py [--lines 1000,10000,100000] [--level N] [--target T]
        [--tree FOLDER]

`--tree` measures the Callproof in another folder, as `compile_modules.py FOLDER --copy` makes
one; the first line printed says which it is, and whether it is compiled.

Programs of both languages are generated (`families.py`) and built into executables, each
in a process of its own.  Printed are:

- the start: `python -c pass`, `callproof --version`, building a program of 100 lines;
- for each size lines, IR instructions (before optimisation), seconds, IR instructions a
  second, peak memory over that of the 100 lines' build, per IR instruction; and the
  exponent e of "time grows as size ** e", fitted by least squares to the logarithms;
- one huge function;
- the time by stage, of the size in the middle.

Seconds are the process's own CPU time (the compiler has one thread, so on a machine that
is not busy it is the time that one waits) from the sources to the finished executable;
for the start the shortest of several, both waited for and of CPU time.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from callproof import driver

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import families

CALLPROOF = (sys.executable, "-c", "from callproof.cli import main; main()")
FAMILIES = {"NewBCPL": (families.bcpl, ".bcl"), "Sox": (families.sox, ".sox")}
TREE: list[str] = []  # the folder of --tree
HUGE_STEPS = 800  # about 24 000 IR instructions


@dataclass(slots=True)
class Measured:
    """One build: CPU seconds in all and by stage, peak bytes of the process."""

    lines: int
    instructions: int
    seconds: float
    peak: int
    stages: dict[str, float]


def instructions_of(path: Path) -> int:
    _, module, _ = driver.front_end(path, driver.Options())
    return sum(len(b.instructions) for f in module.functions.values() for b in f.blocks)


def measure_here(path: Path, level: int, target: str) -> None:
    """Build once, as the command line does, and print what it took, as JSON."""
    gc.disable()
    time.perf_counter = time.process_time  # the stages' clock: others may use the machine too
    timings: dict[str, float] = {}
    options = driver.Options(level=level, target=target, timings=timings)
    start = time.process_time()
    driver.build([path], path.with_suffix(".out"), "exe", options)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    lines = path.read_text().count("\n")
    found = [lines, instructions_of(path), seconds, peak, timings]
    print(json.dumps(found))


def environment() -> dict[str, str]:
    """For those that are measured.  Without the variable that is left out Python would compile
    our modules anew each time."""
    found = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if TREE:
        found["PYTHONPATH"] = TREE[0]
    return found


def measured(text: str, suffix: str, folder: Path, level: int, target: str) -> Measured:
    path = folder / f"family{suffix}"
    path.write_text(text)
    words = [sys.executable, __file__, "--measure", str(path)]
    words += ["--level", str(level), "--target", target]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    return Measured(*json.loads(done.stdout))


def waited(words: Sequence[str], rounds: int) -> tuple[float, float]:
    """The shortest of several runs in seconds: of waiting, and of CPU time."""
    variables = environment()
    times, busy = [], []
    for _ in range(rounds + 1):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, capture_output=True, env=variables)
        times.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(times), min(busy)


def exponent(points: Sequence[Measured]) -> float:
    """The slope of the line through (log lines, log seconds), by least squares."""
    xs = [math.log(point.lines) for point in points]
    ys = [math.log(point.seconds) for point in points]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    across = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return across / sum((a - x) ** 2 for a in xs)


def start_table(folder: Path, rounds: int, level: int, target: str) -> Table:
    table = Table(title="start")
    table.add_column("")
    table.add_column("ms waited", justify="right")
    table.add_column("ms of CPU", justify="right")
    rows = [("python -c pass", [sys.executable, "-c", "pass"])]
    rows.append(("callproof --version", [*CALLPROOF, "--version"]))
    for language, (make, suffix) in FAMILIES.items():
        path = folder / f"hundred{suffix}"
        path.write_text(make(100))
        lines = path.read_text().count("\n")
        words = [*CALLPROOF, "build", str(path), "-o", str(folder / "hundred")]
        words += [f"-O{level}", "--target", target]
        rows.append((f"{language}, {lines} lines", words))
    for name, words in rows:
        table.add_row(name, *(f"{seconds * 1e3:.0f}" for seconds in waited(words, rounds)))
    return table


def growth_table(
    language: str, found: Sequence[Measured], base: Measured, level: int, huge: Measured | None
) -> Table:
    slope = f", time grows as lines ** {exponent(found):.3f}" if len(found) > 1 else ""
    table = Table(title=f"{language} at -O{level}{slope}")
    for name in ("lines", "IR instructions", "seconds", "IR/s", "lines/s", "peak MB", "bytes/IR"):
        table.add_column(name, justify="right")
    for one in [*found, huge]:
        if one is None:
            continue
        table.add_row(
            f"{one.lines:,}" + (" (one function)" if one is huge else ""),
            f"{one.instructions:,}",
            f"{one.seconds:.2f}",
            f"{one.instructions / one.seconds:,.0f}",
            f"{one.lines / one.seconds:,.0f}",
            f"{one.peak / 1e6:.0f}",
            f"{(one.peak - base.peak) / one.instructions:,.0f}",
        )
    return table


def stage_table(found: dict[str, Measured]) -> Table:
    table = Table(title="microseconds for each IR instruction (before optimisation), by stage")
    table.add_column("stage")
    for language, one in found.items():
        table.add_column(f"{language}, {one.lines:,} lines", justify="right")
    stages = list(dict.fromkeys(stage for one in found.values() for stage in one.stages))
    for stage in stages:
        shown = [one.stages.get(stage, 0.0) * 1e6 / one.instructions for one in found.values()]
        table.add_row(stage, *(f"{value:.2f}" for value in shown))
    rest = [one.seconds - sum(one.stages.values()) for one in found.values()]
    ones = list(found.values())
    table.add_row(
        "object", *(f"{r * 1e6 / o.instructions:.2f}" for r, o in zip(rest, ones, strict=True))
    )
    table.add_row("total", *(f"{o.seconds * 1e6 / o.instructions:.2f}" for o in ones))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", default="1000,10000,100000")
    parser.add_argument("--level", type=int, default=1, choices=(0, 1, 2))
    parser.add_argument("--target", default="aarch64-linux")
    parser.add_argument("--rounds", type=int, default=5, help="of the start")
    parser.add_argument("--tree", type=Path, help="the folder of another Callproof")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    level, target = arguments.level, arguments.target
    if arguments.measure:
        measure_here(arguments.measure, level, target)
        return
    sizes = [int(size) for size in arguments.lines.split(",")]
    console = Console(width=110)
    if arguments.tree is not None:
        TREE.append(str(arguments.tree.resolve()))
    place = "import callproof as c; print(c.version_text(), 'in', c.__path__[0])"
    words = [sys.executable, "-c", place]
    console.print(
        subprocess.run(words, env=environment(), capture_output=True, text=True, check=True).stdout
    )
    middle: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        console.print(start_table(folder, arguments.rounds, level, target))
        for language, (make, suffix) in FAMILIES.items():
            base = measured(make(100), suffix, folder, level, target)
            found = [measured(make(size), suffix, folder, level, target) for size in sizes]
            middle[language] = found[len(found) // 2]
            huge = None
            if language == "NewBCPL":
                huge = measured(families.huge(HUGE_STEPS), suffix, folder, level, target)
            console.print(growth_table(language, found, base, level, huge))
        console.print(stage_table(middle))


if __name__ == "__main__":
    main()
