"""Register allocation: linear scan over SSA, with live ranges that have holes and splitting.

Intervals are taken in the order of their starts.  Each goes to a register that is
free for all of its ranges if there is one (a hinted one first); else it is split
where the best register stops being free, or it displaces the interval whose next
use is farthest away.  What loses its register waits in memory until its next use,
or until the start of the loop that has this use:

- every value is defined once, so it is stored once, right after its definition, or in
  front of the rare code that wants it in memory (`stores.py`);
  losing a register later costs nothing, getting one back is a load;
- a value that can be computed again from nothing is not stored but recomputed.

So a piece of life in memory may begin at any position, a piece in another register
only at a gap, where moves can stand.

A call's clobbers are taken registers at the call, so a value that is alive across
it can only be in a preserved register or in memory.  A use fixed in a register
takes that register for the moment of the instruction, for anybody but the value
itself; the copies into all fixed registers of one instruction are one parallel
move.  Blocks are connected at the end (`resolve.py`): what lies elsewhere at the
end of a block than at the start of its successor is moved on the edge.

The positions are those of `liveness.py`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from heapq import heappop, heappush

from callproof.codegen.flow import Flow
from callproof.codegen.intervals import FAR, IN_MEMORY, Interval
from callproof.codegen.machine import (
    FIRST_VIRTUAL,
    Allocation,
    MachineFunction,
    RegisterFile,
)
from callproof.codegen.resolve import Resolver
from callproof.codegen.slots import assign_slots
from callproof.codegen.stores import find_late_stores
from callproof.codegen.wishes import NO_HINTS, Wishes
from callproof.source import InternalError


class _Allocator(Wishes):
    __slots__ = ()

    def _push(self, interval: Interval) -> None:
        # Among equal starts, what needs a register first comes first; numbers break ties.
        need = interval.needs[0] if interval.needs else FAR
        heappush(self.pushed, (interval.start, need, interval.register, interval))

    # --- where to split ----------------------------------------------------------------

    def _gap(self, after: int, position: int) -> int:
        """A good gap for a move, not after `position`, and if possible after `after`.

        The last gap, but outside of the loops that `position` is in and `after` is not.
        """
        number = position >> 2
        gap = 4 * self.split_limit.get(number, number)
        block = bisect_right(self.block_starts, gap) - 1
        header = self.flow.header[block]
        while header >= 0:
            start = self.block_starts[header]
            if start <= after:
                break
            gap = start
            header = self.flow.outer[header]
        return gap

    def _last_gap(self, position: int) -> int:
        number = position >> 2
        return 4 * self.split_limit.get(number, number)

    # --- the scan ------------------------------------------------------------------------

    def scan(self) -> None:
        """Place all intervals; most get a register that is free throughout their lives."""
        unhandled, pushed, pieces, busy = self.unhandled, self.pushed, self.pieces, self.busy
        allocatable, classes = self.register_file.allocatable, self.function.classes
        clobbers = sorted(one for group in self.clobbers.values() for one in group.positions)
        clobbers.append(FAR)
        passed = 0
        clobber = clobbers[0]  # the first that is not before the interval
        while unhandled or pushed:
            if pushed and (not unhandled or pushed[0] < unhandled[-1]):
                start, need, register, interval = heappop(pushed)
            else:
                start, need, register, interval = unhandled.pop()
            if need == FAR or self.late:
                need = self._need_left(interval, need)
                if need < 0:
                    continue
            while clobber < start:
                passed += 1
                clobber = clobbers[passed]
            changed = self._changed(interval) if clobber < interval.end else 0
            candidates = allocatable[classes[register - FIRST_VIRTUAL]]
            best = self._free_throughout(interval, candidates, changed)
            if best < 0:
                self._place(interval, candidates, need)
                continue
            interval.location = best
            self.used |= 1 << best
            occupancy = busy[best]
            ends = occupancy.ends
            if len(interval.ranges) == 1 and (not ends or ends[-1] <= start):
                occupancy.starts.append(start)
                ends.append(interval.end)
                occupancy.owners.append(interval)
            else:
                occupancy.take(interval)
            if register in pieces:
                pieces[register].append(interval)
            else:
                pieces[register] = [interval]

    def _keep(self, interval: Interval) -> None:
        """The interval is as it will be."""
        self.pieces.setdefault(interval.register, []).append(interval)

    def _need_left(self, interval: Interval, need: int) -> int:
        """The first position at which an interval must be in a register (after `late`, if it
        is divided there; `FAR`: none); -1 if it has got its place."""
        register = interval.register
        lost = register in self.pieces
        if lost and register in self.delayed and interval.start >= self.late:
            self.delayed.remove(register)
            lost = False
        if need == FAR and (lost or register in self.remade):
            # It has lost its register, and nothing needs one again; or moves alone want it,
            # which make it where they go to.
            self._keep(interval)
            return -1
        late = self.late
        if interval.start < late < interval.end and self._crosses_call(interval):
            # Until there it needs no preserved register, so perhaps no frame is needed.
            self.find_needs()
            rest = interval.divide(late)
            if rest is not None:
                self._push(rest)
                self.delayed.add(register)
            need = interval.needs[0] if interval.needs else FAR
            if need == FAR and register in self.remade:
                self._keep(interval)
                return -1
        return need

    def _place(self, interval: Interval, candidates: tuple[int, ...], need: int) -> None:
        """Give the first part of an interval a register, or leave it in memory.

        `need` is the first position at which it must be in a register; none is before its start.
        """
        if need == FAR:
            self._place_moved(interval, candidates)
            return
        register = interval.register
        self.find_needs()
        clobbered = self._clobbered(interval)
        best, limit = self._free_longest(interval, candidates, clobbered, need)
        later = self._gap(max(interval.start, limit), need)
        if limit > _together(interval, need):
            unsaved = self.register_file.callee_saved & ~self.used
            if not (register in self.remade and unsaved >> best & 1 and later > interval.start):
                self._assign_until(interval, best, limit)
                return
            # Making it again just before the need is cheaper than a save and a restore.
            later = self._last_gap(need)
        elif self._displace(interval, candidates, clobbered, need, later > interval.start):
            return
        # Whoever has a register needs it sooner: wait in memory until before the need.
        if later <= interval.start:
            raise InternalError(
                f"{self.function.name}: not enough registers for v{register} "
                f"in instruction {need >> 2}"
            )
        rest = interval.divide(later)
        self._keep(interval)
        if rest is not None:
            self._push(rest)

    def _place_moved(self, interval: Interval, candidates: tuple[int, ...]) -> None:
        """Moves alone want the value: a register that is free until the first of them saves
        its way through memory, but not at the price of another value's or of a frame's."""
        wanted = self.moved.get(interval.register, FAR)
        if interval.start < wanted < interval.end:
            self.find_needs()
            clobbered = self._clobbered(interval)
            best, limit = self._free_longest(interval, candidates, clobbered, wanted)
            unsaved = self.register_file.callee_saved & ~self.used
            if limit > wanted + 1 and not unsaved >> best & 1:
                self._assign_until(interval, best, limit)
                return
        self._keep(interval)

    def _free_throughout(
        self, interval: Interval, candidates: tuple[int, ...], changed: int
    ) -> int:
        """A register without conflict: a hinted one, else the first in order of preference.

        `changed`: mask of the registers that the interval cannot have.
        """
        busy = self.busy
        register = interval.register
        unsaved = self.register_file.callee_saved & ~self.used
        # A save and a restore cost more than making a value again.
        if register in self.remade:
            changed |= unsaved
        if register in self.related:
            hints: Sequence[int] = self._hints(interval, candidates)
        else:
            hints = self.hints.get(register, NO_HINTS)
        for hint in hints:
            if (
                not changed >> hint & 1
                and hint in candidates
                and busy[hint].conflict(interval) == FAR
            ):
                return hint
        fallback = promised = -1
        promises = self.promises
        start = interval.start
        if changed:
            candidates = self._unchanged(candidates, changed)
        for physical in candidates:
            if physical in promises and promises[physical].conflict(interval) != FAR:
                if promised < 0:
                    promised = physical
                continue
            if unsaved >> physical & 1 and fallback >= 0:
                continue
            occupancy = busy.get(physical)
            if occupancy is not None:
                ends = occupancy.ends
                if ends and ends[-1] > start and occupancy.conflict(interval) != FAR:
                    continue
            if not unsaved >> physical & 1:
                return physical
            fallback = physical
        if fallback < 0 <= promised and busy[promised].conflict(interval) == FAR:
            return promised
        return fallback

    def _limit(
        self,
        interval: Interval,
        physical: int,
        clobbered: list[tuple[int, int]],
        ignore: Interval | None = None,
    ) -> int:
        """From where on the interval cannot have the register; FAR: never."""
        limit = self.busy[physical].conflict(interval, ignore)
        for mask, position in clobbered:
            if mask >> physical & 1 and position < limit:
                limit = position
        return limit

    def _free_longest(
        self,
        interval: Interval,
        candidates: tuple[int, ...],
        clobbered: list[tuple[int, int]],
        need: int,
    ) -> tuple[int, int]:
        """The register that is free for longest, and until when.

        A value that can be made again gets a register that costs a save only if no
        other has room for the need.
        """
        unsaved = self.register_file.callee_saved & ~self.used
        dear = unsaved if interval.register in self.remade else 0
        busy = self.busy
        enough = _together(interval, need)
        best, longest, cheap, cheap_longest = -1, -1, -1, enough
        for physical in candidates:
            limit = busy[physical].conflict(interval)
            if limit <= longest and limit <= cheap_longest:
                continue
            for mask, position in clobbered:
                if position < limit and mask >> physical & 1:
                    limit = position
            if limit > longest:
                best, longest = physical, limit
            if limit > cheap_longest and not dear >> physical & 1:
                cheap, cheap_longest = physical, limit
        return (cheap, cheap_longest) if cheap >= 0 else (best, longest)

    def _assign(self, interval: Interval, physical: int) -> None:
        interval.location = physical
        self.used |= 1 << physical
        self.busy[physical].take(interval)
        self._keep(interval)

    def _assign_until(self, interval: Interval, physical: int, limit: int) -> None:
        """Give the interval a register that it can have until `limit`; the rest comes later."""
        if limit < interval.end:
            used_until = interval.last_need_before(limit)
            if used_until >> 2 == limit >> 2 == interval.next_need(limit) >> 2:
                # The instruction needs it until its end, so it must be elsewhere from its start.
                limit = self._last_gap(limit)
                used_until = interval.last_need_before(limit)
            cut = limit
            if interval.next_need(limit) != FAR:
                gap = self._gap(used_until, limit)
                if gap > used_until and gap > interval.start:
                    cut = gap
                # Else it is within the last need's instruction: out of the register at once.
            rest = interval.divide(cut)
            if rest is not None:
                if cut % 4 and rest.start == cut:
                    self._wait(rest)
                else:
                    self._push(rest)
        self._assign(interval, physical)

    def _wait(self, rest: Interval) -> None:
        """Keep an interval in memory until it is needed in a register."""
        need = rest.next_need(rest.start)
        if need == FAR:
            self._keep(rest)
            return
        back = self._gap(rest.start, need)
        if back <= rest.start:
            back = self._last_gap(need)
        if back <= rest.start:
            if rest.start % 4:
                raise InternalError(
                    f"{self.function.name}: v{rest.register} loses its register in "
                    f"instruction {rest.start >> 2}, which needs it"
                )
            self._push(rest)  # needed by the very next instruction
            return
        returning = rest.divide(back)
        self._keep(rest)
        if returning is not None:
            self._push(returning)

    def _displace(
        self,
        interval: Interval,
        candidates: tuple[int, ...],
        clobbered: list[tuple[int, int]],
        need: int,
        may_wait: bool,
    ) -> bool:
        """Take a register from the interval that loses least; True if that was possible.

        That is the one whose next use runs most rarely, and of several the one that needs
        its own last.  Nobody is displaced who is needed no later than we are and loses as
        much, nor, if we may wait, who loses more than we do.
        """
        start = interval.start
        enough = _together(interval, need)
        chosen, farthest, limit, least = -1, start, 0, FAR
        own = self._loss(interval, start)
        if may_wait:
            least = own + 1
        victim: Interval | None = None
        for physical in candidates:
            busy = self.busy[physical]
            occupant = busy.at(start)
            in_hole = occupant is None
            if in_hole:
                # Somebody whose life has a hole here, and goes on too soon for us.
                conflict = busy.conflict(interval)
                occupant = busy.at(conflict) if conflict <= enough else None
            if not isinstance(occupant, Interval):
                continue
            # After its hole it begins anew and may be anywhere, so it gives way most easily.
            next_need = FAR - 1 if in_hole else occupant.next_need(start)
            loss = 0 if in_hole else self._loss(occupant, start)
            if next_need <= enough and (loss >= own or next_need >> 2 <= start >> 2):
                continue
            if loss > least or (loss == least and next_need <= farthest):
                continue
            free_until = self._limit(interval, physical, clobbered, occupant)
            if free_until > enough:
                chosen, farthest, limit, victim = physical, next_need, free_until, occupant
                least = loss
        if victim is None:
            return False
        self._release(victim, chosen, start)
        self._assign_until(interval, chosen, limit)
        return True

    def _loss(self, interval: Interval, position: int) -> int:
        """How much is run more if an interval loses its register at a position.

        Its next use needs it back; so does each turn of a loop around the position, if it
        was used in the loop before.
        """
        need = interval.next_need(position)
        weight, starts = self.flow.weight, self.block_starts
        loss = weight[bisect_right(starts, need) - 1] if need != FAR else 0
        header = self.flow.header[bisect_right(starts, position) - 1]
        while header >= 0:
            if starts[header] <= interval.last_need_before(position):
                loss = max(loss, weight[header])
                break
            header = self.flow.outer[header]
        return loss if interval.register in self.remade else 2 * loss

    def _release(self, occupant: Interval, physical: int, position: int) -> None:
        """The occupant leaves its register at `position`; it comes back before its next need."""
        busy = self.busy[physical]
        busy.remove(occupant)
        if position <= occupant.start:
            occupant.location = IN_MEMORY
            self.pieces[occupant.register].remove(occupant)
            self._wait(occupant)
            return
        rest = occupant.divide(position)
        busy.take(occupant)
        if rest is None:
            return
        if rest.start == position:
            self._wait(rest)
        else:
            self._push(rest)  # it begins anew after a hole


def _together(interval: Interval, need: int) -> int:
    """The last position of the need's instruction at which the register is needed."""
    following = interval.next_need(need + 1)
    return following if following >> 2 == need >> 2 else need


def allocate(
    function: MachineFunction,
    registers: RegisterFile,
    flow: Flow | None = None,
    *,
    comments: bool = True,
) -> Allocation:
    """Give every operand of the function a location; see `machine.Allocation`.

    `flow` is the function's, if the caller has it; `comments`: how many calls values are
    alive across will be wanted.

    Raises `InternalError` if one instruction needs more registers than there are.
    """
    allocator = _Allocator(function, registers, flow or Flow(function))
    allocator.prepare()
    allocator.scan()
    for pieces in allocator.pieces.values():
        if len(pieces) > 1:
            pieces.sort(key=_start)
    in_slot = allocator.in_slot
    slots, slot_of = assign_slots(function, allocator.pieces, allocator.remade, in_slot)
    only_spilled = {r: s for r, s in slot_of.items() if r not in in_slot} if in_slot else slot_of
    late = find_late_stores(
        function, allocator.flow, allocator.block_starts, allocator.pieces, only_spilled
    )
    allocation = Allocation(spill_slots=slots, used_registers=allocator.used)
    positions = allocator.call_positions
    allocation.makes_calls = bool(positions)
    if positions and comments:
        for register, ranges in allocator.ranges.ranges.items():
            crossed = 0
            for start, end in ranges:
                crossed += bisect_left(positions, end - 1) - bisect_left(positions, start)
            if crossed:
                allocation.crossed_calls[register] = crossed
    Resolver(function, allocator.ranges, allocator.pieces, slot_of, late, allocation).run()
    return allocation


def _start(piece: Interval) -> int:
    return piece.start


__all__ = ["allocate"]
