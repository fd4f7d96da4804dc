"""Register allocation: linear scan over SSA, with live ranges that have holes and splitting.

Intervals are taken in the order of their starts.  Each goes to a register that is
free for all of its ranges if there is one (a hinted one first); else it is split
where the best register stops being free, or it displaces the interval whose next
use is farthest away.  What loses its register waits in memory until its next use:

- every value is defined once, so it is stored once, right after its definition;
  losing a register later costs nothing, getting one back is a load;
- a value that can be computed again from nothing is not stored but recomputed.

A call's clobbers are taken registers at the call, so a value that is alive across
it can only be in a preserved register or in memory.  A use fixed in a register
takes that register for the moment of the instruction, for anybody but the value
itself; the copies into all fixed registers of one instruction are one parallel
move.  Blocks are connected at the end: what lies elsewhere at the end of a block
than at the start of its successor is moved on the edge.

The positions are those of `liveness.py`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from heapq import heapify, heappop, heappush

from callproof.codegen.liveness import Ranges
from callproof.codegen.machine import (
    ANY,
    DEF,
    FIRST_VIRTUAL,
    LATE,
    REGISTER,
    SAME_AS,
    Allocation,
    MachineFunction,
    RegisterFile,
    SpillSlot,
)
from callproof.source import InternalError

FAR = 1 << 60
IN_MEMORY = -(1 << 30)  # a location to be replaced by the value's spill slot
NO_HINTS: tuple[int, ...] = ()


class Interval:
    """A piece of a value's life that is in one place.

    ranges    as in `liveness.Ranges`
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

    def covers(self, position: int) -> bool:
        index = bisect_right(self.ranges, (position, FAR)) - 1
        return index >= 0 and position < self.ranges[index][1]

    def next_need(self, position: int) -> int:
        """The first position from `position` on at which a register is needed."""
        index = bisect_left(self.needs, position)
        return self.needs[index] if index < len(self.needs) else FAR


class Occupancy:
    """When a physical register is taken: disjoint ranges in order, and by whom.

    The owner is an `Interval`, or the number of the virtual register for which the
    range is reserved (-1: for nobody).
    """

    __slots__ = ("ends", "owners", "starts")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.owners: list[Interval | int] = []

    def add(self, start: int, end: int, owner: Interval | int) -> None:
        index = bisect_left(self.starts, start)
        self.starts.insert(index, start)
        self.ends.insert(index, end)
        self.owners.insert(index, owner)

    def remove(self, interval: Interval, start: int) -> None:
        """Take out an interval's range that begins at `start`."""
        index = bisect_left(self.starts, start)
        while self.owners[index] is not interval:
            index += 1
        del self.starts[index], self.ends[index], self.owners[index]

    def conflict(self, interval: Interval, ignore: Interval | None = None) -> int:
        """The first position at which the interval would meet another owner; FAR if none."""
        starts, ends, owners = self.starts, self.ends, self.owners
        count = len(starts)
        register = interval.register
        for start, end in interval.ranges:
            index = bisect_right(starts, start) - 1
            if index < 0 or ends[index] <= start:
                index += 1
            while index < count and starts[index] < end:
                owner = owners[index]
                if owner is not ignore and owner != register and ends[index] > start:
                    return max(starts[index], start)
                index += 1
        return FAR

    def at(self, position: int) -> Interval | int | None:
        """Who has the register at a position."""
        index = bisect_right(self.starts, position) - 1
        if index >= 0 and position < self.ends[index]:
            return self.owners[index]
        return None


class _Clobbers:
    """Positions of instructions that clobber the same registers."""

    __slots__ = ("mask", "positions")

    def __init__(self, mask: int) -> None:
        self.mask = mask
        self.positions: list[int] = []

    def first_in(self, interval: Interval) -> int:
        positions = self.positions
        for start, end in interval.ranges:
            index = bisect_left(positions, start)
            if index < len(positions) and positions[index] < end:
                return positions[index]
        return FAR


class _Allocator:
    __slots__ = (
        "busy",
        "call_positions",
        "calls_wide",
        "clobbers",
        "fixed_definition",
        "function",
        "hints",
        "pieces",
        "ranges",
        "register_file",
        "related",
        "split_limit",
        "unhandled",
        "used",
    )

    def __init__(self, function: MachineFunction, register_file: RegisterFile) -> None:
        self.function = function
        self.register_file = register_file
        self.ranges = Ranges(function)
        self.busy = [Occupancy() for _ in range(64)]
        self.clobbers: dict[int, _Clobbers] = {}
        self.calls_wide = _Clobbers(register_file.callee_saved)
        self.call_positions: list[int] = []
        self.hints: dict[int, list[int]] = {}
        self.related: dict[int, list[int]] = {}
        self.fixed_definition: dict[int, int] = {}
        self.pieces: dict[int, list[Interval]] = {}
        self.unhandled: list[tuple[int, int, int, Interval]] = []
        self.split_limit: dict[int, int] = {}
        self.used = 0

    # --- preparation -------------------------------------------------------------------

    def prepare(self) -> None:
        """Reservations, needs and hints of every instruction; the first intervals."""
        needs: dict[int, list[int]] = {}
        starts = self.ranges.starts
        for block in self.function.blocks:
            number = starts[block.index]
            first_terminator = 0
            for instruction in block.instructions:
                number += 1
                position = 4 * number
                operands = instruction.operands
                fixed_results = 0
                tied = -1
                for operand in operands:
                    if operand.constraint >= SAME_AS:
                        tied = operand.constraint - SAME_AS
                        source = operands[tied].register
                        self._relate(source, operand.register)
                for which, operand in enumerate(operands):
                    register = operand.register
                    if register < FIRST_VIRTUAL:
                        continue
                    constraint = operand.constraint
                    if 0 <= constraint < SAME_AS:
                        self.hints.setdefault(register, []).append(constraint)
                        if operand.role == DEF:
                            fixed_results |= 1 << constraint
                            self.fixed_definition[register] = constraint
                            self._reserve(constraint, position + 2, position + 5, register)
                        else:
                            self._reserve(constraint, position + 1, position + 2, register)
                    elif constraint == REGISTER or constraint >= SAME_AS:
                        if operand.role == DEF:
                            late = operand.timing == LATE and constraint == REGISTER
                            needs.setdefault(register, []).append(position + (2 if late else 1))
                        elif which != tied:
                            places = needs.setdefault(register, [])
                            places.append(position + 1)
                            if operand.timing == LATE:
                                places.append(position + 2)
                    elif constraint != ANY:
                        raise InternalError(
                            f"{self.function.name}: stack-constrained operands are not allocated"
                        )
                    elif register in self.function.rematerialise:
                        needs.setdefault(register, []).append(position + 1)
                if instruction.form.is_move and len(operands) == 2:
                    self._relate(operands[1].register, operands[0].register)
                if instruction.clobbers:
                    mask = instruction.clobbers & ~fixed_results
                    self._clobber(mask).positions.append(position + 2)
                    self.used |= instruction.clobbers
                if instruction.is_call:
                    self.call_positions.append(position + 2)
                    self.calls_wide.positions.append(position + 2)
                if instruction.form.control in ("branch", "jump") and not first_terminator:
                    first_terminator = number
                if first_terminator and number > first_terminator:
                    self.split_limit[number] = first_terminator
            for successor in block.successors:
                for source, destination in zip(
                    block.arguments, successor.parameters, strict=bool(block.arguments)
                ):
                    self._relate(source, destination)
        for register, ranges in self.ranges.ranges.items():
            places = sorted(needs.get(register, ()))
            self._push(Interval(register, ranges, places))
        heapify(self.unhandled)

    def _relate(self, first: int, second: int) -> None:
        """Two values that had better have one register."""
        if first >= FIRST_VIRTUAL and second >= FIRST_VIRTUAL:
            self.related.setdefault(first, []).append(second)
            self.related.setdefault(second, []).append(first)

    def _reserve(self, physical: int, start: int, end: int, register: int) -> None:
        self.busy[physical].add(start, end, register)
        self.used |= 1 << physical

    def _clobber(self, mask: int) -> _Clobbers:
        found = self.clobbers.get(mask)
        if found is None:
            found = self.clobbers[mask] = _Clobbers(mask)
        return found

    def _push(self, interval: Interval) -> None:
        # Among equal starts, what needs a register first comes first; numbers break ties.
        need = interval.needs[0] if interval.needs else FAR
        heappush(self.unhandled, (interval.start, need, interval.register, interval))

    # --- the scan ------------------------------------------------------------------------

    def scan(self) -> None:
        while self.unhandled:
            _, _, _, interval = heappop(self.unhandled)
            self.pieces.setdefault(interval.register, []).append(interval)
            self._place(interval)

    def _place(self, interval: Interval) -> None:
        need = interval.next_need(interval.start)
        if need == FAR and len(self.pieces[interval.register]) > 1:
            return  # a later piece that nothing needs in a register: it stays in memory
        register = interval.register
        class_ = self.function.classes[register - FIRST_VIRTUAL]
        candidates = self.register_file.allocatable[class_]
        conflicts = self._conflicts(interval, candidates)

        best = self._free_throughout(interval, candidates, conflicts)
        if best >= 0:
            self._assign(interval, best)
            return
        best = self._free_longest(interval, candidates, conflicts, need)
        limit = conflicts[best]
        split = self._split_point(limit)
        if limit > need + 1 and split > interval.start and split > need:
            # Free for a while, and that while is of use.
            self._cut(interval, split)
            self._assign(interval, best)
            return
        if need == FAR:
            return
        if self._displace(interval, candidates, need):
            return
        # Everything that is in a register is needed sooner: wait in memory until just before.
        later = self._split_point(need)
        if later <= interval.start:
            raise InternalError(
                f"{self.function.name}: not enough registers for v{register} at {interval.start}"
            )
        self._cut(interval, later)

    def _conflicts(self, interval: Interval, candidates: tuple[int, ...]) -> dict[int, int]:
        """For each register, from where on the interval cannot have it (FAR: never)."""
        busy = self.busy
        conflicts = {physical: busy[physical].conflict(interval) for physical in candidates}
        groups = list(self.clobbers.values())
        index = interval.register - FIRST_VIRTUAL
        if self.function.sizes[index] > 8:
            groups.append(self.calls_wide)  # only low halves are preserved
        for clobbers in groups:
            position = clobbers.first_in(interval)
            if position == FAR:
                continue
            mask = clobbers.mask
            for physical in candidates:
                if mask >> physical & 1 and position < conflicts[physical]:
                    conflicts[physical] = position
        return conflicts

    def _free_throughout(
        self, interval: Interval, candidates: tuple[int, ...], conflicts: dict[int, int]
    ) -> int:
        """A register without conflict: a hinted one, else the first in order of preference."""
        end = interval.end
        for hint in self._hints(interval.register):
            if conflicts.get(hint, 0) >= end:
                return hint
        callee_saved = self.register_file.callee_saved
        remade = interval.register in self.function.rematerialise
        fallback = -1
        for physical in candidates:
            if conflicts[physical] < end:
                continue
            if not callee_saved >> physical & 1 or self.used >> physical & 1:
                return physical
            if fallback < 0 and not remade:
                fallback = physical  # costs a save and a restore
        return fallback

    def _free_longest(
        self,
        interval: Interval,
        candidates: tuple[int, ...],
        conflicts: dict[int, int],
        need: int,
    ) -> int:
        """The register that is free for longest; a value that can be made again costs no save."""
        if interval.register in self.function.rematerialise:
            unsaved = self.register_file.callee_saved & ~self.used
            cheap = [physical for physical in candidates if not unsaved >> physical & 1]
            if cheap:
                best = max(cheap, key=lambda physical: conflicts[physical])
                if conflicts[best] > need + 1:
                    return best
        return max(candidates, key=lambda physical: conflicts[physical])

    def _hints(self, register: int) -> list[int]:
        hints = list(self.hints.get(register, NO_HINTS))
        for other in self.related.get(register, NO_HINTS):
            pieces = self.pieces.get(other)
            if pieces:
                hints += [piece.location for piece in pieces if piece.location >= 0]
            else:
                hints += self.hints.get(other, NO_HINTS)
        return hints

    def _assign(self, interval: Interval, physical: int) -> None:
        interval.location = physical
        self.used |= 1 << physical
        busy = self.busy[physical]
        for start, end in interval.ranges:
            busy.add(start, end, interval)

    def _split_point(self, position: int) -> int:
        """The last gap at or before a position where a move may stand."""
        number = position >> 2
        return 4 * self.split_limit.get(number, number)

    def _cut(self, interval: Interval, position: int) -> None:
        """End an unassigned interval at a position; the rest is handled later."""
        rest = self._divide(interval, position)
        if rest is not None:
            self._push(rest)

    def _divide(self, interval: Interval, position: int) -> Interval | None:
        before: list[tuple[int, int]] = []
        after: list[tuple[int, int]] = []
        for start, end in interval.ranges:
            if end <= position:
                before.append((start, end))
            elif start >= position:
                after.append((start, end))
            else:
                before.append((start, position))
                after.append((position, end))
        if not after:
            return None
        assert before, "a split must leave something in front"
        cut = bisect_left(interval.needs, position)
        rest = Interval(interval.register, after, interval.needs[cut:])
        interval.ranges = before
        interval.needs = interval.needs[:cut]
        interval.end = before[-1][1]
        return rest

    def _displace(self, interval: Interval, candidates: tuple[int, ...], need: int) -> bool:
        """Take a register from the interval that needs its own last; True if that was possible.

        Nobody is displaced who is needed no later than we are.  What follows the next
        conflict in the register is cut off.
        """
        start = interval.start
        chosen, farthest, limit = -1, need, 0
        for physical in candidates:
            occupant = self.busy[physical].at(start)
            if not isinstance(occupant, Interval) or occupant.start >= start:
                continue
            if occupant.register == interval.register:
                continue
            next_need = occupant.next_need(start)
            if next_need <= farthest:
                continue
            free_until = self._free_without(interval, physical, occupant)
            if free_until > need + 1 and (
                free_until >= interval.end or self._split_point(free_until) > need
            ):
                chosen, farthest, limit = physical, next_need, free_until
        if chosen < 0:
            return False
        occupant = self.busy[chosen].at(start)
        assert isinstance(occupant, Interval)
        self._release(occupant, chosen, start)
        if limit < interval.end:
            self._cut(interval, self._split_point(limit))
        self._assign(interval, chosen)
        return True

    def _free_without(self, interval: Interval, physical: int, occupant: Interval) -> int:
        """The first conflict in a register if the occupant were gone from here on."""
        conflict = self.busy[physical].conflict(interval, ignore=occupant)
        groups = list(self.clobbers.values())
        if self.function.sizes[interval.register - FIRST_VIRTUAL] > 8:
            groups.append(self.calls_wide)
        for clobbers in groups:
            if clobbers.mask >> physical & 1:
                conflict = min(conflict, clobbers.first_in(interval))
        return conflict

    def _release(self, occupant: Interval, physical: int, position: int) -> None:
        """The occupant leaves its register at `position`; it comes back before its next need."""
        busy = self.busy[physical]
        for start, _ in occupant.ranges:
            busy.remove(occupant, start)
        rest = self._divide(occupant, position)
        for start, end in occupant.ranges:
            busy.add(start, end, occupant)
        if rest is None:
            return
        need = rest.next_need(rest.start)
        if need == FAR:
            self.pieces[rest.register].append(rest)
            return
        back = self._split_point(need)
        if back <= rest.start:
            self._push(rest)  # needed by the very next instruction
            return
        returning = self._divide(rest, back)
        self.pieces[rest.register].append(rest)
        if returning is not None:
            self._push(returning)


def allocate(function: MachineFunction, registers: RegisterFile) -> Allocation:
    """Give every operand of the function a location; see `machine.Allocation`.

    Raises `InternalError` if one instruction needs more registers than there are.
    """
    from callproof.codegen.resolve import Resolver

    allocator = _Allocator(function, registers)
    allocator.prepare()
    allocator.scan()
    for pieces in allocator.pieces.values():
        pieces.sort(key=lambda piece: piece.start)
    spills = _assign_slots(function, allocator.pieces)
    allocation = Allocation(spill_slots=spills, used_registers=allocator.used)
    positions = allocator.call_positions
    for register, ranges in allocator.ranges.ranges.items():
        crossed = sum(
            bisect_left(positions, end - 1) - bisect_left(positions, start) for start, end in ranges
        )
        if crossed:
            allocation.crossed_calls[register] = crossed
    Resolver(
        function, allocator.ranges, allocator.pieces, allocator.fixed_definition, allocation
    ).run()
    return allocation


def _assign_slots(function: MachineFunction, pieces: dict[int, list[Interval]]) -> list[SpillSlot]:
    """A slot for each value that is ever in memory; values that never live together share."""
    slots: list[SpillSlot] = []
    spilled = []
    for register, parts in pieces.items():
        if register in function.rematerialise:
            continue
        if any(part.location == IN_MEMORY for part in parts):
            spilled.append((parts[0].start, parts[-1].end, register))
    free: dict[int, list[int]] = {8: [], 16: []}
    busy: list[tuple[int, int]] = []
    for start, end, register in sorted(spilled):
        while busy and busy[0][0] <= start:
            _, slot = heappop(busy)
            insort(free[slots[slot].size], slot)
        size = function.sizes[register - FIRST_VIRTUAL]
        if free[size]:
            slot = free[size].pop(0)
        else:
            slot = len(slots)
            slots.append(SpillSlot(size))
        name = function.names[register - FIRST_VIRTUAL]
        if name and name not in slots[slot].names:
            slots[slot].names.append(name)
        heappush(busy, (end, slot))
        for part in pieces[register]:
            if part.location == IN_MEMORY:
                part.location = ~slot
    return slots


__all__ = ["IN_MEMORY", "Interval", "allocate"]
