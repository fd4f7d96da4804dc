"""Where values that are in memory for a part of their lives are stored.

A value is defined once, so its slot is written once: as a rule right after the definition.
But if only rare code has the value in memory (a call on a slow way, say), the store stands
there too, and the short way does without: at the start of blocks that run less often than
the definition, to which the value still comes in a register, and which dominate all the
code that finds it in its slot.
"""

from __future__ import annotations

from bisect import bisect_right

from callproof.codegen.flow import Flow
from callproof.codegen.intervals import FAR, Interval
from callproof.codegen.machine import MachineFunction

MOST_STORES = 4  # of one value: each is an instruction


class LateStores:
    """at           block index -> values to be stored at its start, or on the edge to it
    registers    those values, which are not stored where they are defined
    """

    __slots__ = ("at", "registers")

    def __init__(self) -> None:
        self.at: dict[int, list[int]] = {}
        self.registers: set[int] = set()


def find_late_stores(
    function: MachineFunction,
    flow: Flow,
    block_starts: list[int],
    pieces: dict[int, list[Interval]],
    slot_of: dict[int, int],
) -> LateStores:
    """The values with slots whose stores cost less elsewhere than after the definition.

    block_starts  the blocks' first positions, ascending, as in `liveness.py`
    pieces        each value's, in order, with their final locations
    slot_of       only the values that no instruction defines or takes in memory
    """
    found = LateStores()
    rare = [block.rare for block in function.blocks]
    for register, slot in slot_of.items():
        parts = pieces.get(register)
        if parts is None or len(parts) == 1 or parts[0].location == slot:
            continue
        home = bisect_right(block_starts, parts[0].start) - 1
        blocks = _in_memory(parts, slot, block_starts)
        stores = _stores(flow, rare, block_starts, parts, home, blocks)
        if stores is not None:
            found.registers.add(register)
            for block in sorted(stores):
                found.at.setdefault(block, []).append(register)
    return found


def _in_memory(parts: list[Interval], slot: int, block_starts: list[int]) -> set[int]:
    """The blocks in which a value is in its slot somewhere."""
    blocks: set[int] = set()
    for part in parts:
        if part.location != slot:
            continue
        for start, end in part.ranges:
            first = bisect_right(block_starts, start) - 1
            blocks.update(range(first, bisect_right(block_starts, end - 1)))
    return blocks


def _stores(
    flow: Flow,
    rare: list[bool],
    block_starts: list[int],
    parts: list[Interval],
    home: int,
    blocks: set[int],
) -> set[int] | None:
    """Blocks at whose starts a value can be stored for all of `blocks`; None if there are
    none, or they run as often as the block `home` of the definition."""
    starts = [part.start for part in parts]
    cost = 0
    stores: set[int] = set()
    for block in sorted(blocks):
        # The nearest block around to which the value comes in a register.
        while block != home:
            if parts[bisect_right(starts, block_starts[block]) - 1].location >= 0:
                break
            before = flow.predecessors[block]
            if len(before) == 1:
                after = before[0] + 1
                end = block_starts[after] - 1 if after < len(block_starts) else FAR
                if parts[bisect_right(starts, end) - 1].location >= 0:
                    break
            if block == 0:
                return None  # blocks in no order: nothing is known to dominate it
            block = flow.idom[block]
        if block == home or not _rarer(flow, rare, block, home):
            return None
        if block not in stores:
            stores.add(block)
            cost += flow.weight[block]
    if len(stores) > MOST_STORES:
        return None
    if flow.weight[home] > 1 and cost >= flow.weight[home]:
        return None
    return stores


def _rarer(flow: Flow, rare: list[bool], block: int, home: int) -> bool:
    if rare[block] and not rare[home]:
        return flow.weight[block] <= flow.weight[home]
    return flow.weight[block] < flow.weight[home]


__all__ = ["LateStores", "find_late_stores"]
