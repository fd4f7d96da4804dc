"""Intervals of values, and when physical registers are taken.

Positions are those of `liveness.py`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

FAR = 1 << 60  # a position after all others
SEVERAL = 1 << 40  # no location: a value has several
IN_MEMORY = -(1 << 30)  # a location: the value's spill slot, or nowhere if it is made again


class Interval:
    """A piece of a value's life that is in one place.

    ranges    [start, end) pairs in ascending order
    needs     ascending positions at which it must be in a register
    location  a register, or IN_MEMORY
    """

    __slots__ = ("end", "location", "needs", "ranges", "register", "start")

    def __init__(self, register: int, ranges: list[tuple[int, int]], needs: list[int]) -> None:
        self.register = register
        self.ranges = ranges
        self.needs = needs
        self.start = ranges[0][0]
        self.end = ranges[-1][1]
        self.location = IN_MEMORY

    def next_need(self, position: int) -> int:
        """The first position from `position` on at which a register is needed."""
        index = bisect_left(self.needs, position)
        return self.needs[index] if index < len(self.needs) else FAR

    def last_need_before(self, position: int) -> int:
        """The last position before `position` at which a register is needed; -1 for none."""
        index = bisect_left(self.needs, position)
        return self.needs[index - 1] if index else -1

    def divide(self, position: int) -> Interval | None:
        """End this interval at a position; the rest, if there is one, is a new interval.

        `position` must be after the start.
        """
        if position >= self.end:
            return None
        ranges = self.ranges
        index = bisect_left(ranges, (position, 0))
        before, after = ranges[:index], ranges[index:]
        start, end = before[-1]
        if end > position:
            before[-1] = (start, position)
            after.insert(0, (position, end))
        cut = bisect_left(self.needs, position)
        rest = Interval(self.register, after, self.needs[cut:])
        self.ranges = before
        self.needs = self.needs[:cut]
        self.end = before[-1][1]
        return rest


class Occupancy:
    """When a physical register is taken: disjoint ranges in order, and by whom.

    The owner is an `Interval`, or the number of the virtual register for which the
    range is reserved.
    """

    __slots__ = ("ends", "owners", "starts")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.owners: list[Interval | int] = []

    def add(self, start: int, end: int, owner: Interval | int) -> None:
        starts = self.starts
        if not starts or starts[-1] < start:
            starts.append(start)
            self.ends.append(end)
            self.owners.append(owner)
            return
        index = bisect_left(starts, start)
        self.starts.insert(index, start)
        self.ends.insert(index, end)
        self.owners.insert(index, owner)

    def take(self, interval: Interval) -> None:
        """Add all ranges of an interval, around what is reserved for its value: all searches
        here rely on ranges that do not overlap."""
        starts, ends, owners = self.starts, self.ends, self.owners
        for start, end in interval.ranges:
            if not starts or ends[-1] <= start:
                self.add(start, end, interval)
                continue
            index = bisect_right(starts, start)
            if index and ends[index - 1] > start:
                index -= 1
            reserved = []
            while index < len(starts) and starts[index] < end:
                if owners[index] == interval.register:
                    reserved.append((starts[index], ends[index]))
                index += 1
            for first, last in reserved:
                if start < first:
                    self.add(start, first, interval)
                start = last
            if start < end:
                self.add(start, end, interval)

    def remove(self, interval: Interval) -> None:
        """Take out all ranges of an interval."""
        starts, owners = self.starts, self.owners
        for start, end in interval.ranges:
            index = bisect_left(starts, start)
            while index < len(starts) and starts[index] < end:
                if owners[index] is interval:
                    del starts[index], self.ends[index], owners[index]
                else:
                    index += 1

    def conflict(self, interval: Interval, ignore: Interval | None = None) -> int:
        """The first position at which the interval would meet another owner; FAR if none."""
        starts, ends = self.starts, self.ends
        count = len(starts)
        if not count or ends[-1] <= interval.start:
            return FAR
        for start, end in interval.ranges:
            index = bisect_right(starts, start)
            if index and ends[index - 1] > start:
                index -= 1
            while index < count:
                first = starts[index]
                if first >= end:
                    break
                # What is reserved for a value does not hinder the value itself.
                owner = self.owners[index]
                if owner is not ignore and owner != interval.register:
                    return first if first > start else start
                index += 1
        return FAR

    def is_free(self, ranges: list[tuple[int, int]], members: list[int]) -> bool:
        """Whether nobody has the register in the ranges; reserved for the members it may be."""
        starts, ends, owners = self.starts, self.ends, self.owners
        count = len(starts)
        for start, end in ranges:
            index = bisect_right(starts, start)
            if index and ends[index - 1] > start:
                index -= 1
            while index < count and starts[index] < end:
                owner = owners[index]
                if isinstance(owner, Interval) or owner not in members:
                    return False
                index += 1
        return True

    def at(self, position: int) -> Interval | int | None:
        """Who has the register at a position."""
        index = bisect_right(self.starts, position) - 1
        if index >= 0 and position < self.ends[index]:
            return self.owners[index]
        return None


class Registers(dict[int, Occupancy]):
    """The occupancy of each physical register, made when it is asked for.

    Most functions use a few of the 64, and many functions are small.
    """

    def __missing__(self, physical: int) -> Occupancy:
        made = self[physical] = Occupancy()
        return made


class Clobbers:
    """Positions of the instructions that change the same set of registers."""

    __slots__ = ("mask", "positions")

    def __init__(self, mask: int) -> None:
        self.mask = mask
        self.positions: list[int] = []

    def first_in(self, interval: Interval) -> int:
        """The first position in the interval at which the registers change; FAR if none."""
        positions = self.positions
        if not positions or positions[-1] < interval.start or positions[0] >= interval.end:
            return FAR
        for start, end in interval.ranges:
            index = bisect_left(positions, start)
            if index == len(positions):
                return FAR
            if positions[index] < end:
                return positions[index]
        return FAR
