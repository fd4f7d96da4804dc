"""The time of all benchmarks on x86-64 Linux, beside C compilers and other languages.

    python benchmarks/wall.py [NAME ...] [--rounds N] [--clock wall|cpu|both] [--peers DIR]
                              [--counting-size] [--json FILE] [--markdown]

NewBCPL's kernels stand beside the host's GCC, Sox's programs beside Lua 5.4, LuaJIT (its
interpreter alone, and with its JIT), Node and CPython, each running its own twin of the
program (`benchmarks/README.md`).  Whole processes are timed, start and compilation of the
peers' scripts included; ours and GCC's are compiled before.  One round runs every side of a
program once, one after the other; a ratio is the median over the rounds of what it was
within one round, so that a machine whose speed drifts does little harm.  All sides must
print the same.

A peer is looked for on PATH, or in DIR/usr/bin with its libraries in
DIR/usr/lib/x86_64-linux-gnu, where `dpkg -x PACKAGE DIR` puts them.  What is not there is
left out, and a line says so.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from callproof import driver
from callproof.source import CallproofError

FOLDER = Path(__file__).parent
TARGET = "x86_64-linux"
LEVELS = (1, 2)
OWN = f"-O{LEVELS[-1]}"  # what the ratios are to
# How many of a kernel's units make a second or so for the slowest of ours; `UNITS` in both twins.
UNITS = {
    "fib": 900,
    "hash": 8000,
    "mandelbrot": 8000,
    "matmul": 4000,
    "nbody": 30_000,
    "queens": 60_000,
    "sieve": 1500,
    "trees": 3000,
}
# The same for `size` in a Sox program and its twins.
SIZES = {
    "binary_trees": 17,
    "closures": 8_000_000,
    "fib": 37,
    "float_loop": 700,
    "instantiation": 9_000_000,
    "json": 400,
    "method_call": 10_000_000,
    "nbody": 1_000_000,
    "sieve": 24,
    "string_build": 40_000,
    "string_equality": 20_000_000,
    "word_count": 3_600_000,
}
SIZE_LINE = re.compile(r"(size = )\d+")
UNITS_LINE = re.compile(r"(UNITS = )1\b")


@dataclass(slots=True, frozen=True)
class Peer:
    """A language's implementation: programs that may be it, the words before the script,
    the twin's suffix, how it gives its version, and what stands in that."""

    name: str
    programs: tuple[str, ...]
    options: tuple[str, ...]
    suffix: str
    version_option: str
    version: str


PEERS = (
    Peer("Lua 5.4", ("lua5.4", "lua"), (), ".lua", "-v", "Lua 5.4"),
    Peer("LuaJIT -joff", ("luajit",), ("-joff",), ".lua", "-v", "LuaJIT 2"),
    Peer("LuaJIT", ("luajit",), (), ".lua", "-v", "LuaJIT 2"),
    Peer("Node", ("node", "nodejs"), ("-r", str(FOLDER / "sox/show.js")), ".js", "-v", "v"),
    Peer(
        "CPython", (sys.executable, "python3.11", "python3"), ("-I", "-S"), ".py", "-V", "Python 3"
    ),
)
GCC_LEVELS = ("-O0", "-O1", "-O2")


@dataclass(slots=True)
class Side:
    """One way to run a program: its name, and the command."""

    name: str
    command: list[str]


@dataclass(slots=True)
class Sample:
    """One run: seconds by the clock on the wall, and of processor time (user and system)."""

    wall: float
    cpu: float

    def by(self, clock: str) -> float:
        # What ends within the clock's step took at least that.
        return max(self.cpu if clock == "cpu" else self.wall, 1e-4)


@dataclass(slots=True)
class Figures:
    """A program's samples by side; each side has one a round, in the rounds' order."""

    unit: str
    samples: dict[str, list[Sample]]

    def seconds(self, side: str, clock: str) -> float:
        return median(sample.by(clock) for sample in self.samples[side])

    def ratio(self, side: str, clock: str) -> float:
        """The side's time, divided by ours in the same round: the median."""
        pairs = zip(self.samples[side], self.samples[OWN], strict=True)
        return median(one.by(clock) / own.by(clock) for one, own in pairs)


class Finder:
    """Looks for the peers, and knows the environment that they run in."""

    def __init__(self, folder: Path | None) -> None:
        self.environment = dict(os.environ)
        self.path = os.environ.get("PATH", "")
        if folder is not None:
            if not (folder / "usr/bin").is_dir():
                raise CallproofError(f"{folder}: no usr/bin in it, so no unpacked packages")
            self.path = f"{folder / 'usr/bin'}{os.pathsep}{self.path}"
            libraries = folder / "usr/lib/x86_64-linux-gnu"
            self.environment["LD_LIBRARY_PATH"] = str(libraries.absolute())
        self.left_out: list[str] = []
        self.versions: list[str] = []

    def version(self, command: list[str]) -> str | None:
        """The first line of what a program says of itself; None where it cannot run."""
        try:
            done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        except OSError:
            return None
        lines = (done.stdout + done.stderr).splitlines()
        return lines[0] if lines and done.returncode == 0 else None

    def find(self, peer: Peer) -> list[str] | None:
        """The words before the script; None, and a line in `left_out`, where there are none."""
        for program in peer.programs:
            path = shutil.which(program, path=self.path)
            if path is None:
                continue
            version = self.version([path, peer.version_option])
            if version is not None and version.startswith(peer.version):
                self.versions.append(f"{peer.name}: {version}")
                return [path, *peer.options]
        self.left_out.append(f"{peer.name} is left out: no {' or '.join(peer.programs)} here")
        return None

    def gcc(self) -> str | None:
        path = shutil.which("gcc")
        version = path and self.version([path, "--version"])
        if version:
            self.versions.append(f"GCC: {version}")
            return path
        self.left_out.append("GCC is left out: no gcc here")
        return None


def own_sides(source: Path, folder: Path) -> list[Side]:
    """Our executables of a source, at each level."""
    sides = []
    for level in LEVELS:
        output = folder / f"{source.name}-O{level}"
        driver.build([source], output, "exe", driver.Options(level=level, target=TARGET))
        sides.append(Side(f"-O{level}", [str(output)]))
    return sides


def kernel_sides(name: str, units: int, gcc: str | None, folder: Path) -> list[Side]:
    """A NewBCPL kernel and its twin in C, of so many units."""
    text = (FOLDER / "bcpl" / f"{name}.bcl").read_text()
    source = folder / f"{name}.bcl"
    source.write_text(resized(UNITS_LINE, text, units, source.name))
    sides = own_sides(source, folder)
    for level in GCC_LEVELS if gcc else ():
        output = folder / f"{name}-gcc{level}"
        flags = [level, "-ffp-contract=off", f"-DUNITS={units}", "-I", str(FOLDER / "bcpl")]
        twin = str(FOLDER / "bcpl" / f"{name}.c")
        command = [str(gcc), *flags, twin, "-o", str(output), "-lm"]
        if subprocess.run(command).returncode:
            raise CallproofError(f"{' '.join(command)}: failed")
        sides.append(Side(f"gcc {level}", [str(output)]))
    return sides


def script_sides(
    name: str, size: int | None, peers: dict[Peer, list[str]], folder: Path
) -> list[Side]:
    """A Sox program and its twins, of that size; None: as they stand."""

    def sized(suffix: str) -> Path:
        place = folder / f"{name}{suffix}"
        text = (FOLDER / "sox" / place.name).read_text()
        place.write_text(text if size is None else resized(SIZE_LINE, text, size, place.name))
        return place

    sides = own_sides(sized(".sox"), folder)
    for peer, command in peers.items():
        sides.append(Side(peer.name, [*command, str(sized(peer.suffix))]))
    return sides


def resized(line: re.Pattern[str], text: str, size: int, name: str) -> str:
    """The program with another size: its first `size = N` or `UNITS = 1` is the place."""
    changed, count = line.subn(rf"\g<1>{size}", text, count=1)
    if count != 1:
        raise CallproofError(f"{name}: no line gives its size")
    return changed


def run_once(side: Side, environment: dict[str, str]) -> tuple[Sample, bytes]:
    """One run and its output; a run that fails ends everything."""
    start = time.perf_counter()
    with subprocess.Popen(side.command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CallproofError(f"{' '.join(side.command)}: ended with {process.returncode}")
    return Sample(wall, usage.ru_utime + usage.ru_stime), output


def measure(sides: list[Side], rounds: int, environment: dict[str, str]) -> dict[str, list[Sample]]:
    """Every side once a round; an output other than the first side's is an error."""
    samples: dict[str, list[Sample]] = {side.name: [] for side in sides}
    expected = None
    for _ in range(rounds):
        for side in sides:
            sample, output = run_once(side, environment)
            if expected is None:
                expected = output
            if output != expected:
                command = " ".join(side.command)
                raise CallproofError(f"{command}: prints {output!r}, not {expected!r}")
            samples[side.name].append(sample)
    return samples


def rows(table: dict[str, Figures], clock: str) -> list[list[str]]:
    """Head, a line for each program, geometric means: our seconds, the others' ratios."""
    seen = {side: None for figures in table.values() for side in figures.samples}
    own = [f"-O{level}" for level in LEVELS]
    others = [side for side in seen if side not in own]
    logs: dict[str, list[float]] = {other: [] for other in others}
    lines = [["program", "units", *(f"{name} s" for name in own), *others]]
    for name, figures in table.items():
        line = [name, figures.unit, *(f"{figures.seconds(side, clock):.2f}" for side in own)]
        for other in others:
            if other not in figures.samples:
                line.append("")
                continue
            ratio = figures.ratio(other, clock)
            logs[other].append(math.log(ratio))
            line.append(f"{ratio:.2f}")
        lines.append(line)
    means = [f"{math.exp(sum(found) / len(found)):.2f}" for found in logs.values()]
    lines.append(["geometric mean", "", *("" for _ in own), *means])
    return lines


def show(lines: list[list[str]], clock: str, rounds: int, markdown: bool) -> None:
    head, *body = lines
    if markdown:
        print("\n| " + " | ".join(head) + " |")
        print("|---|" + "---:|" * (len(head) - 1))
        for line in body:
            print("| " + " | ".join(line) + " |")
        return
    what = "wall time" if clock == "wall" else "processor time (user and system)"
    title = f"{what}, medians of {rounds}: ours in seconds, others as multiples of our {OWN}"
    shown = Table(title=title)
    for number, cell in enumerate(head):
        shown.add_column(cell, justify="right" if number else "left")
    for line in body:
        shown.add_row(*line)
    Console(width=150).print(shown)


def wanted(names: list[str]) -> tuple[list[str], list[str]]:
    """The kernels and the Sox programs of these names (`fib`, `bcpl/fib`, `sox/fib`); all."""
    known = [f"bcpl/{name}" for name in UNITS] + [f"sox/{name}" for name in SIZES]
    for name in names:
        if not any(name in (one, one.partition("/")[2]) for one in known):
            raise CallproofError(f"no benchmark is named '{name}'; there are {', '.join(known)}")
    chosen = [one for one in known if not names or {one, one.partition("/")[2]} & set(names)]
    kernels = [one[5:] for one in chosen if one.startswith("bcpl/")]
    return kernels, [one[4:] for one in chosen if one.startswith("sox/")]


def benchmark(arguments: argparse.Namespace) -> dict[str, Figures]:
    kernels, scripts = wanted(arguments.names)
    finder = Finder(arguments.peers)
    counting = arguments.counting_size
    table = {}
    gcc = finder.gcc() if kernels else None
    found = {peer: finder.find(peer) for peer in PEERS} if scripts else {}
    peers = {peer: command for peer, command in found.items() if command is not None}
    for line in (*finder.versions, *finder.left_out):
        print(line, file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        for name in kernels:
            units = 1 if counting else UNITS[name]
            sides = kernel_sides(name, units, gcc, Path(place))
            samples = measure(sides, arguments.rounds, finder.environment)
            table[f"bcpl/{name}"] = Figures(f"{units:,}", samples)
            print(f"bcpl/{name}: done", file=sys.stderr)
        for name in scripts:
            size = None if counting else SIZES[name]
            sides = script_sides(name, size, peers, Path(place))
            samples = measure(sides, arguments.rounds, finder.environment)
            table[f"sox/{name}"] = Figures("" if size is None else f"{size:,}", samples)
            print(f"sox/{name}: done", file=sys.stderr)
    return table


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="bcpl/NAME, sox/NAME or NAME; without any, all")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each side (5)")
    parser.add_argument("--clock", choices=("wall", "cpu", "both"), default="wall")
    parser.add_argument("--peers", type=Path, help="a folder with unpacked Debian packages")
    parser.add_argument(
        "--counting-size", action="store_true", help="the sizes that instructions are counted for"
    )
    parser.add_argument("--json", type=Path, help="all samples, into this file")
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args(words)
    if arguments.rounds < 1:
        parser.error("--rounds wants a number from 1")
    if platform.machine() != "x86_64" or sys.platform != "linux":
        print("wall.py: these programs run on x86-64 Linux", file=sys.stderr)
        return 1
    try:
        table = benchmark(arguments)
    except CallproofError as error:
        print(f"wall.py: {error}", file=sys.stderr)
        return 1
    for clock in ("wall", "cpu") if arguments.clock == "both" else (arguments.clock,):
        show(rows(table, clock), clock, arguments.rounds, arguments.markdown)
    if arguments.json:
        samples = {
            name: {
                side: [[s.wall, s.cpu] for s in found] for side, found in figures.samples.items()
            }
            for name, figures in table.items()
        }
        arguments.json.write_text(json.dumps(samples, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
