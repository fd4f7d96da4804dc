"""Values that had better share one register: a block's parameter and what is passed for it,
a copy and its source, a result in the register of an operand.

Such values are joined where they never live at the same time, those that meet in the
innermost loops first.  A bundle gets a register that is free for all of its members, if
there is one, so that nothing is moved where they meet.  It is a wish only: the allocator
may place each member elsewhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

Ranges = list[tuple[int, int]]
UNDECIDED, NONE = -2, -1
MOST_RANGES = 64  # of a bundle: what is larger takes long to compare, and rarely finds a register


class Bundle:
    """ranges     of all members, in ascending order, not touching each other
    members    virtual registers
    choice     the register for all of them, `NONE`, or `UNDECIDED` as yet
    crosses    whether it is alive across a call
    fixed      how often code runs that wants a member in a certain register, at most
    """

    __slots__ = ("choice", "crosses", "fixed", "members", "ranges")

    def __init__(self, register: int, ranges: Ranges, crosses: bool, fixed: int) -> None:
        self.members = [register]
        self.ranges = ranges
        self.crosses = crosses
        self.fixed = fixed
        self.choice = UNDECIDED


def find_bundles(
    pairs: list[tuple[int, int, int]],
    ranges: Sequence[Ranges | None],
    calls: Sequence[int],
    fixed: Mapping[int, int],
) -> dict[int, Bundle]:
    """The bundle of each register that is in one with others.

    pairs   (how often the move runs that is saved, one register, another)
    calls   ascending positions of calls
    fixed   register -> how often code runs that wants it in a certain register
    """
    bundles: dict[int, Bundle] = {}
    for weight, first, second in sorted(pairs, key=lambda pair: -pair[0]):
        one, other = (
            bundles.get(register) or _single(register, ranges, calls, fixed)
            for register in (first, second)
        )
        if one is other or not one.ranges or not other.ranges:
            continue
        # A preserved register for what calls and returns want elsewhere saves nothing.
        if one.crosses != other.crosses and (one if other.crosses else other).fixed >= weight:
            continue
        if len(one.ranges) + len(other.ranges) > MOST_RANGES:
            continue
        merged = merge(one.ranges, other.ranges)
        if merged is None:
            continue
        one.ranges = merged
        one.crosses |= other.crosses
        one.fixed = max(one.fixed, other.fixed)
        one.members += other.members
        for register in one.members:
            bundles[register] = one
    return bundles


def _single(
    register: int, ranges: Sequence[Ranges | None], calls: Sequence[int], fixed: Mapping[int, int]
) -> Bundle:
    found = ranges[register] or []
    crosses = any(bisect_left(calls, start) < bisect_left(calls, end - 1) for start, end in found)
    return Bundle(register, found, crosses, fixed.get(register, 0))


def merge(first: Ranges, second: Ranges) -> Ranges | None:
    """Both lists as one; None if they overlap.  Ranges that touch become one."""
    merged: Ranges = []
    for start, end in sorted(first + second):
        if merged and start <= merged[-1][1]:
            if start < merged[-1][1]:
                return None
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


__all__ = ["NONE", "UNDECIDED", "Bundle", "find_bundles", "merge"]
