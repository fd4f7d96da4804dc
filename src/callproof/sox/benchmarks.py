"""Benchmarks: functions named `Benchmark*`, their order, and running them (section 15)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from callproof.runtime.sox_entries import NATIVES
from callproof.source import CallproofError
from callproof.sox.frontend import load
from callproof.sox.modules import SearchPlaces
from callproof.sox.signatures import fnv1a
from callproof.sox.symbols import Module

if TYPE_CHECKING:
    from callproof.driver import Options

PREFIX = "Benchmark"
# Natives of section 20, which are not among the reference's globals.
ADDED = frozenset(
    """range stringEscape tableKeys tableDelete tableHas stringToNumber numberToString
    fileRead fileWrite""".split()
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One benchmark: `count` iterations of the last round, and how long one took."""

    file: Path
    name: str
    count: int
    nanoseconds: float


def hash_order(names: Iterable[str]) -> list[str]:
    """Names as the reference's hash table has them when they are put in one after the other.

    Section 4: FNV-1a, linear probing, 8 places at first, twice as many before more than
    three quarters are taken.
    """
    places: list[str | None] = []
    for count, name in enumerate(dict.fromkeys(names)):
        if count + 1 > len(places) * 3 // 4:
            old, places = places, [None] * max(8, 2 * len(places))
            for moved in old:
                if moved is not None:
                    _put(places, moved)
        _put(places, name)
    return [name for name in places if name is not None]


def _put(places: list[str | None], name: str) -> None:
    at = fnv1a(name.encode("latin-1")) % len(places)
    while places[at] is not None:
        at = (at + 1) % len(places)
    places[at] = name


def benchmarks_of(script: Module) -> list[str]:
    """The globals that are benchmarks if they hold functions, in the order in which they run.

    That is the hash order of the reference's globals: its natives, `argc`, `argv`, and what
    the script defines.  (Among natives that collide the order is ours.)
    """
    defined = [name for name, info in script.globals.items() if info.definitions]
    order = hash_order([*sorted(frozenset(NATIVES) - ADDED), "argc", "argv", *defined])
    return [name for name in order if name.startswith(PREFIX) and name in set(defined)]


def files_of(place: Path, options: Options) -> list[Path]:
    """A file itself; of a folder those of its scripts that have benchmarks, by name.

    Raises `CallproofError` for a place that is not there and for scripts with errors.
    """
    if not place.is_dir():
        return [place]
    places = SearchPlaces(folders=options.module_path)
    scripts = sorted(path for path in place.glob("*.sox") if path.is_file())
    return [path for path in scripts if benchmarks_of(load(path, places).script)]


def variables(time: str = "", wanted: str = "", *, suppress: bool = False) -> dict[str, str]:
    """The environment that tells the runtime how long and which."""
    found = dict(os.environ)
    for name, value in (
        ("CALLPROOF_SUPPRESS_PRINT", "1" if suppress else ""),
        ("CALLPROOF_BENCH_TIME", time),
        ("CALLPROOF_BENCH_FILTER", wanted),
    ):
        if value:
            found[name] = value
    return found


def measure(
    path: Path, options: Options, environment: Mapping[str, str]
) -> tuple[int, list[Measurement]]:
    """Run a script's benchmarks without showing anything but errors; its status, the figures.

    `environment` must suppress what the script prints: what is left are the figures.
    """
    from callproof import driver
    from callproof.run import run

    with tempfile.TemporaryDirectory(prefix="callproof-") as folder:
        executable = Path(folder) / "program"
        driver.build([path], executable, "exe", replace(options, sox_bench=True))
        with tempfile.TemporaryFile() as output:
            result = run(
                executable, [], stdout=output.fileno(), environment=environment, name=str(path)
            )
            output.seek(0)
            lines = output.read().decode("latin-1").splitlines()
    return result.exit_status, [found for line in lines if (found := _measurement(path, line))]


def _measurement(path: Path, line: str) -> Measurement | None:
    """From `BenchmarkFib10                  23784      9309.55 ns/op`."""
    words = line.split()
    if len(words) != 4 or words[3] != "ns/op" or not words[0].startswith(PREFIX):
        return None
    try:
        return Measurement(path, words[0], int(words[1]), float(words[2]))
    except ValueError:
        raise CallproofError(f"{path}: a benchmark's figures cannot be read: {line}") from None


__all__ = ["Measurement", "benchmarks_of", "files_of", "hash_order", "measure", "variables"]
