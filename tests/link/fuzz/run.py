"""One damaged input after the other, with limits of time and memory."""

from __future__ import annotations

import random
import re
import resource
import signal
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.link.fuzz.inputs import Whole, damaged, wholes

from callproof.link import loading, resolve
from callproof.source import CallproofError

SLOWEST = 20  # seconds for one input
LARGEST = 1500 << 20  # bytes of address space beyond what there is at the start
FILE = "damaged"
# What is wrong with the link as a whole: these name the files that notice.
ELSEWHERE = (
    "is not defined anywhere",
    "is defined more than once",
    "section .bss.common",  # whichever file wants it so, another one may want it too
    ".eh_frame_hdr, the index of frame descriptions, does not reach",
    "no start code that would choose them",
)
# What tells a place: an offset, a section, a symbol or another name, a number of a thing.
PLACE = re.compile(r"0x[0-9a-f]+|section |'[^']*'|\.[a-z_]+\b|__[A-Z]+,|\bcommand |\bsymbol ")


class Hang(Exception):
    """An input took too long."""


@dataclass(slots=True)
class Result:
    """`problems`: what must not happen, with the seed that makes it; `kinds` without seeds."""

    linked: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_seed: int = -1

    @property
    def tried(self) -> int:
        return self.linked.total() + self.refused.total() + len(self.problems)

    def problem(self, seed: int, name: str, text: str) -> None:
        self.problems.append(f"seed {seed} ({name}): {text}")
        self.kinds[re.sub(r"0x[0-9a-f]+|\d+", "N", text)[:200]] += 1


def _too_long(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Hang


def run(
    folder: Path, first: int, count: int, *, seconds: float = 1e9, loud: bool = False
) -> Result:
    """Try `count` inputs from seed `first` on; each seed is one input."""
    files = wholes(folder)
    for whole in files:
        (folder / FILE).write_bytes(whole.data)
        loading._ARCHIVES.clear()
        whole.use(folder / FILE)  # undamaged, it is linked
    result = Result()
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LARGEST, before[1]))
    handler = signal.signal(signal.SIGALRM, _too_long)
    end = time.monotonic() + seconds
    large = loading.COLUMNS_FROM
    try:
        for seed in range(first, first + count):
            if time.monotonic() > end:
                break
            # Every second one as if it were large: tables in columns, relocated in batches.
            _columns_from(0 if seed // len(files) % 2 else large)
            _one(files[seed % len(files)], seed, folder / FILE, result)
            if loud and seed % 2000 == 1999:
                print(seed + 1, len(result.problems), dict(result.kinds), flush=True)
    finally:
        _columns_from(large)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)
    return result


def _columns_from(size: int) -> None:
    for module in (loading, resolve):
        vars(module)["COLUMNS_FROM"] = size


def _one(whole: Whole, seed: int, path: Path, result: Result) -> None:
    path.write_bytes(damaged(whole, random.Random(seed)))
    # Files that replace each other this quickly may look like one.
    loading._ARCHIVES.pop(path, None)
    start = time.monotonic()
    signal.alarm(SLOWEST)
    try:
        whole.use(path)
        result.linked[whole.name] += 1
    except CallproofError as error:
        message = str(error)
        if whole.silent:
            result.problem(seed, whole.name, f"a message: {message}")
        elif FILE not in message and not any(one in message for one in ELSEWHERE):
            result.problem(seed, whole.name, f"no file in '{message}'")
        elif not PLACE.search(message.replace(str(path), "")):
            result.problem(seed, whole.name, f"no place in '{message}'")
        else:
            result.refused[whole.name] += 1
    except (Exception, Hang) as error:  # whatever it is, it is a fault of the linker
        where = traceback.extract_tb(error.__traceback__)[-1]
        result.problem(
            seed,
            whole.name,
            f"{type(error).__name__}: {str(error)[:80]} at {Path(where.filename).name}:"
            f"{where.name} line {where.line}",
        )
    finally:
        signal.alarm(0)
    seconds = time.monotonic() - start
    if seconds > result.slowest:
        result.slowest, result.slowest_seed = seconds, seed
