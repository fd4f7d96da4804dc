"""How C compilers are called, and what a batch tells."""

from __future__ import annotations

import sys
from dataclasses import dataclass

ZIG = (sys.executable, "-m", "ziglang", "cc", "-target")
COMMON = (
    *("-std=gnu17", "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-w"),
    *("-fno-asynchronous-unwind-tables", "-fno-unwind-tables"),
)
CLANG = ("-fno-sanitize=all", "-Wno-everything")
STATIC = ("-fno-pic",)


@dataclass(frozen=True)
class Difference:
    """What went wrong with case `number`; `where` says in which direction."""

    number: int
    where: str
    what: str
