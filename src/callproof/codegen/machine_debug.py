"""What the back end keeps for debug information.

A module of its own, as mypyc wants a dataclass's types when it makes the class, and the
compiler shall not import what only debug information needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callproof.ir.debug import DebugFunction


@dataclass(slots=True)
class MachineDebug:
    """For debug information: virtual registers, and indices of stack slots, by the numbers
    of the IR values that they are (or whose address is theirs); `in_memory` as in
    `DebugModule`."""

    function: DebugFunction
    registers: dict[int, int]
    slots: dict[int, int]
    in_memory: bool = False


__all__ = ["MachineDebug"]
