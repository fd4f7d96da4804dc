"""Natural loops: what is between a block and the jumps back to it that it dominates.

Works on numbers, so that it serves blocks of the IR and of machine code: nodes are
positions in reverse postorder.  A cycle that is entered at several places has no header
that dominates it and is no loop here.
"""

from __future__ import annotations

from collections.abc import Sequence


class Loop:
    """`header`, and `latches` (the nodes that jump back to it) are positions; `blocks` are
    all of the loop's, with those of the loops in it, in ascending order, the header first.
    `depth` is 1 for a loop that is in no other (whose `parent` is None)."""

    __slots__ = ("blocks", "depth", "header", "latches", "members", "parent")

    def __init__(self, header: int, latches: list[int]) -> None:
        self.header = header
        self.latches = latches
        self.parent: Loop | None = None
        self.depth = 1
        self.blocks: list[int] = []
        self.members: set[int] = set()

    def __repr__(self) -> str:
        return f"<loop at {self.header}, depth {self.depth}>"


class Loops:
    """All loops, outer ones before those in them; `innermost[i]` is the smallest around node
    i, None for none."""

    __slots__ = ("innermost", "loops")

    def __init__(self, predecessors: Sequence[Sequence[int]], idom: Sequence[int]) -> None:
        count = len(predecessors)
        self.innermost: list[Loop | None] = [None] * count
        found: list[Loop] = []
        # Inner headers come behind outer ones, so a loop that is met is inside whole.
        for header in range(count - 1, -1, -1):
            before = predecessors[header]
            if not before or before[-1] < header:  # they are in ascending order
                continue
            latches = [
                position
                for position in before
                if position >= header and _dominates(header, position, idom)
            ]
            if latches:
                found.append(self._collect(Loop(header, latches), predecessors))
        self.loops = found
        if not found:
            return
        found.reverse()
        for loop in found:
            loop.depth = loop.parent.depth + 1 if loop.parent is not None else 1
        for position, innermost in enumerate(self.innermost):
            around = innermost
            while around is not None:
                around.blocks.append(position)
                around = around.parent
        for loop in found:
            loop.members = set(loop.blocks)

    def _collect(self, loop: Loop, predecessors: Sequence[Sequence[int]]) -> Loop:
        """Give the loop to its blocks that have none yet, and as parent to the loops in it."""
        innermost = self.innermost
        innermost[loop.header] = loop
        pending = list(loop.latches)
        while pending:
            position = pending.pop()
            inner = innermost[position]
            if inner is None:
                innermost[position] = loop
                pending += predecessors[position]
                continue
            while inner.parent is not None:
                inner = inner.parent
            if inner is not loop:
                inner.parent = loop
                pending += predecessors[inner.header]
        return loop


def _dominates(first: int, second: int, idom: Sequence[int]) -> bool:
    while second > first:
        second = idom[second]
    return second == first


__all__ = ["Loop", "Loops"]
