"""What the NewBCPL front end can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FrontEndOptions:
    """`include`: folders where GET looks; `bounds_check`: test indices (reference 11.8).

    `debug`: keep what a debugger wants to know; with `in_memory` variables stay in memory.
    """

    include: tuple[Path, ...] = ()
    bounds_check: bool = False
    debug: bool = False
    in_memory: bool = False
