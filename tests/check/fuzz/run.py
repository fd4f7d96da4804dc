"""One damaged file after the other, with limits of time and memory."""

from __future__ import annotations

import random
import resource
import signal
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from callproof.check import check_bytes, program
from callproof.source import CallproofError
from tests.check.fuzz.inputs import damaged, sources

SLOWEST = 20  # seconds for one file
LARGEST = 1500 << 20  # bytes of address space beyond what there is at the start


class Hang(Exception):
    """A file took too long."""


@dataclass(slots=True)
class Result:
    """`problems`: what must not happen, with the seed that makes it."""

    checked: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    slowest: float = 0.0


def _too_long(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Hang


def run(folder: Path, first: int, count: int, *, seconds: float = 1e9) -> Result:
    """Try `count` inputs from seed `first` on; each seed is one input."""
    whole = sources(folder)
    result = Result()
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LARGEST, before[1]))
    handler = signal.signal(signal.SIGALRM, _too_long)
    end = time.monotonic() + seconds
    least = program.LEAST
    try:
        for seed in range(first, first + count):
            if time.monotonic() > end:
                break
            source = random.Random(seed)
            # These files are small: half of them go through the quick look all the same.
            program.LEAST = 0 if seed // len(whole) % 2 else least
            name, data = whole[seed % len(whole)]
            _one(name, damaged(data, source), seed, result)
    finally:
        program.LEAST = least
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)
    return result


def _one(name: str, data: bytes, seed: int, result: Result) -> None:
    start = time.monotonic()
    signal.alarm(SLOWEST)
    try:
        check_bytes(data, "damaged")
        result.checked[name] += 1
    except CallproofError as error:
        result.refused[name] += 1
        if "damaged" not in str(error):
            result.problems.append(f"seed {seed} ({name}): no place in '{error}'")
    except (Exception, Hang) as error:  # whatever it is, it is a fault of the checker
        where = traceback.extract_tb(error.__traceback__)[-1]
        result.problems.append(
            f"seed {seed} ({name}): {type(error).__name__}: {error} at "
            f"{Path(where.filename).name}:{where.lineno}"
        )
    finally:
        signal.alarm(0)
    result.slowest = max(result.slowest, time.monotonic() - start)
