"""Before the scan of the allocator: what each instruction wants of registers.

Reservations for fixed operands, positions at which a value must be in a register, hints,
bundles, and the first intervals.  Positions are those of `liveness.py`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from callproof.codegen.bundles import NONE, UNDECIDED, Bundle, find_bundles
from callproof.codegen.flow import Flow
from callproof.codegen.intervals import FAR, Clobbers, Interval, Registers
from callproof.codegen.liveness import Ranges, needs_of
from callproof.codegen.machine import (
    DEF,
    FIRST_VIRTUAL,
    LATE,
    REGISTER,
    SAME_AS,
    STACK,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    RegisterFile,
)
from callproof.codegen.wrapping import outside_of_loops, skipped
from callproof.source import InternalError

NO_NEEDS: list[int] = []  # shared, never changed
NO_HINTS: tuple[int, ...] = ()
MOST_HINTS = 8  # of each value; more are not worth the time to look at them


class Wishes:
    """What is known before the scan, and the intervals that it begins with."""

    __slots__ = (
        "block_starts",
        "bundles",
        "busy",
        "call_positions",
        "calls_wide",
        "clobbers",
        "delayed",
        "fixed",
        "flow",
        "function",
        "has_wide",
        "hints",
        "in_slot",
        "intervals",
        "late",
        "moved",
        "needs_are_known",
        "other_needs",
        "pairs",
        "pieces",
        "promises",
        "pushed",
        "ranges",
        "register_file",
        "related",
        "remade",
        "split_limit",
        "unchanged",
        "unhandled",
        "used",
        "weight",
    )

    def __init__(self, function: MachineFunction, register_file: RegisterFile, flow: Flow) -> None:
        self.function = function
        self.register_file = register_file
        self.ranges = Ranges(function)
        self.flow = flow
        self.block_starts = [4 * number for number in self.ranges.starts]
        self.busy = Registers()
        self.clobbers: dict[int, Clobbers] = {}
        self.calls_wide = Clobbers(register_file.callee_saved)
        self.call_positions: list[int] = []
        self.hints: dict[int, list[int]] = {}
        self.related: dict[int, list[int]] = {}
        self.pairs: list[tuple[int, int, int]] = []
        self.fixed: dict[int, int] = {}
        self.bundles: dict[int, Bundle] = {}
        self.promises = Registers()  # what bundles have chosen, whoever has it now
        self.weight = 1
        self.late = 0
        self.delayed: set[int] = set()  # registers that were split there, and wait for the rest
        self.remade = dict(function.rematerialise)
        # Values that must have a slot wherever else they are, and from which position.
        self.in_slot: dict[int, int] = {}
        # Where a result in a loop first begins in a value's place (`SAME_AS`), for which memory
        # would do.
        self.moved: dict[int, int] = {}
        # Where instructions that are not plain need registers.
        self.other_needs: dict[int, list[int]] = {}
        self.needs_are_known = False
        self.intervals: list[Interval] = []  # whole values
        self.pieces: dict[int, list[Interval]] = {}
        # Intervals with their starts, first needs and registers: whole values, the first at
        # the end, and a heap of the rests of divided ones.
        self.unhandled: list[tuple[int, int, int, Interval]] = []
        self.pushed: list[tuple[int, int, int, Interval]] = []
        # Instruction numbers behind a block's first terminator -> that terminator's number.
        self.split_limit: dict[int, int] = {}
        self.used = 0
        self.has_wide = 16 in function.sizes
        self.unchanged: dict[tuple[tuple[int, ...], int], tuple[int, ...]] = {}

    # --- preparation -------------------------------------------------------------------

    def prepare(self) -> None:
        """Reservations, needs and hints of every instruction; the first intervals."""
        for block in self.function.blocks:
            self._prepare_block(block)
        self.late = self._late_start()
        remade, ranges = self.remade, self.ranges
        pieces, defined_at, first_use = ranges.pieces, ranges.defined_at, ranges.first_use
        if self.pairs:
            pairs = [pair for pair in self.pairs if pair[1] not in remade and pair[2] not in remade]
            if pairs:
                self.bundles = find_bundles(pairs, pieces, self.call_positions, self.fixed)
        others = self.other_needs
        unhandled, intervals = self.unhandled, self.intervals
        rows = zip(
            range(FIRST_VIRTUAL, len(pieces)),
            pieces[FIRST_VIRTUAL:],
            first_use[FIRST_VIRTUAL:],
            defined_at[FIRST_VIRTUAL:],
            strict=True,
        )
        for register, parts, need, defined in rows:
            if parts is None:
                continue
            start = parts[0][0]
            if defined < need:
                need = defined
            if register in others:
                need = min(need, *others[register])
            if need == start and register in remade:
                # Nothing has to be made before it is wanted.
                need = first_use[register]
                for one in others.get(register, NO_NEEDS):
                    if start < one < need:
                        need = one
            interval = Interval(register, parts, NO_NEEDS)
            intervals.append(interval)
            unhandled.append((start, need, register, interval))
        unhandled.sort(reverse=True)

    def find_needs(self) -> None:
        """Tell the intervals where they need registers.  None was divided before; most
        functions have registers enough for all, so that nobody asks."""
        if self.needs_are_known:
            return
        self.needs_are_known = True
        needs_by_register = needs_of(self.function, self.ranges, self.other_needs)
        for interval in self.intervals:
            needs = needs_by_register[interval.register]
            if needs and needs[0] == interval.start and interval.register in self.remade:
                del needs[0]  # nothing has to be made before it is wanted
            interval.needs = needs

    def _late_start(self) -> int:
        """The start of a block that all calls are behind, if the function may return without
        coming by; 0 if there is none.  See `wrapping.py`."""
        calling = {
            bisect_right(self.block_starts, position) - 1 for position in self.call_positions
        }
        if not calling or 0 in calling:
            return 0
        flow = self.flow
        start = outside_of_loops(flow, sorted(calling))
        if len(flow.predecessors[start]) != 1 or not skipped(self.function, flow, start):
            return 0
        return self.block_starts[start]

    def _prepare_block(self, block: MachineBlock) -> None:
        self.weight = self.flow.weight[block.index]
        first_terminator = 0
        for position, instruction in self.ranges.special[block.index]:
            form = instruction.form
            if instruction.defines < 0:
                self._prepare_operands(instruction, position, first_terminator)
                if form.is_move and len(instruction.operands) == 2:
                    self._relate(instruction.operands[1].register, instruction.operands[0].register)
            elif form.is_move and len(instruction.registers) == 2:
                self._relate(instruction.registers[1], instruction.registers[0])
            mask = instruction.clobbers
            if mask:
                found = self.clobbers.get(mask)
                if found is None:
                    found = self.clobbers[mask] = Clobbers(mask)
                found.positions.append(position + 2)
                self.used |= mask
            if instruction.is_call:
                self.call_positions.append(position + 2)
                self.calls_wide.positions.append(position + 2)
            if form.is_special and not form.is_move and not first_terminator:
                first_terminator = position >> 2
        if first_terminator:
            last = self.ranges.starts[block.index] + len(block.instructions)
            for number in range(first_terminator + 1, last + 1):
                self.split_limit[number] = first_terminator
        if block.arguments:
            for source, destination in zip(
                block.arguments, block.successors[0].parameters, strict=True
            ):
                self._relate(source, destination)

    def _prepare_operands(
        self, instruction: MachineInstruction, position: int, first_terminator: int
    ) -> None:
        operands = instruction.operands
        tied: tuple[int, ...] = ()
        for operand in operands:
            if operand.constraint >= SAME_AS:
                tied += (operand.constraint - SAME_AS,)
                self._relate(operands[tied[-1]].register, operand.register)
        all_hints, fixed, weight = self.hints, self.fixed, self.weight
        for which, operand in enumerate(operands):
            register = operand.register
            if register < FIRST_VIRTUAL:
                continue
            constraint = operand.constraint
            if 0 <= constraint < SAME_AS:
                hints = all_hints.get(register)
                if hints is None:
                    all_hints[register] = [constraint]
                elif len(hints) < MOST_HINTS:
                    hints.append(constraint)
                if fixed.get(register, 0) < weight:
                    fixed[register] = weight
                self.used |= 1 << constraint
                if operand.role == DEF:
                    self.busy[constraint].add(position + 2, position + 4, register)
                    self.remade.pop(register, None)
                elif first_terminator:
                    raise InternalError(
                        f"{self.function.name}: a fixed operand behind a block's first branch"
                    )
                else:
                    end = position + (3 if operand.timing == LATE else 2)
                    self.busy[constraint].add(position + 1, end, register)
            elif constraint == REGISTER or constraint >= SAME_AS:
                if which in tied:
                    if self.weight > 1:
                        self.moved.setdefault(register, position)
                    continue
                needs = self.other_needs.setdefault(register, [])
                if operand.role != DEF:
                    needs.append(position + 1)
                    if operand.timing == LATE:
                        needs.append(position + 2)
                else:
                    if operand.timing != LATE or constraint >= SAME_AS:
                        needs.append(position + 1)
                    needs.append(position + 2)
            else:
                # In memory perhaps, so it cannot be a value without a slot.
                self.remade.pop(register, None)
                if constraint == STACK:
                    self.in_slot[register] = min(
                        self.in_slot.get(register, FAR),
                        position + (2 if operand.role == DEF else 0),
                    )

    def _relate(self, first: int, second: int) -> None:
        """Two values that had better have one register."""
        if first >= FIRST_VIRTUAL and second >= FIRST_VIRTUAL:
            one, other = first - FIRST_VIRTUAL, second - FIRST_VIRTUAL
            function = self.function
            if (
                function.sizes[one] == function.sizes[other]
                and function.classes[one] == function.classes[other]
            ):
                self.pairs.append((self.weight, first, second))
            for one, other in ((first, second), (second, first)):
                related = self.related.setdefault(one, [])
                if len(related) < MOST_HINTS:
                    related.append(other)

    # --- what the scan asks ---------------------------------------------------------------

    def _crosses_call(self, interval: Interval) -> bool:
        calls = self.call_positions
        return any(
            bisect_left(calls, start) < bisect_left(calls, end - 1)
            for start, end in interval.ranges
        )

    def _clobbered(self, interval: Interval) -> list[tuple[int, int]]:
        """(mask, first position) of the register sets that change during the interval."""
        found: list[tuple[int, int]] = []
        if not self.clobbers:
            return found
        for group in self.clobbers.values():
            position = group.first_in(interval)
            if position != FAR:
                found.append((group.mask, position))
        if self.function.sizes[interval.register - FIRST_VIRTUAL] > 8:
            position = self.calls_wide.first_in(interval)  # only low halves are preserved
            if position != FAR:
                found.append((self.calls_wide.mask, position))
        return found

    def _changed(self, interval: Interval) -> int:
        """Mask of the registers that change during the interval, beside definitions."""
        changed = 0
        start, end = interval.start, interval.end
        for mask, group in self.clobbers.items():
            positions = group.positions
            index = bisect_left(positions, start)
            if (
                index < len(positions)
                and positions[index] < end
                and (len(interval.ranges) == 1 or group.first_in(interval) != FAR)
            ):
                changed |= mask
        if (
            self.has_wide
            and self.function.sizes[interval.register - FIRST_VIRTUAL] > 8
            and self.calls_wide.first_in(interval) != FAR
        ):
            changed |= self.calls_wide.mask
        return changed

    def _unchanged(self, candidates: tuple[int, ...], changed: int) -> tuple[int, ...]:
        """The candidates that are not in a mask."""
        key = candidates, changed
        found = self.unchanged.get(key)
        if found is None:
            found = tuple([one for one in candidates if not changed >> one & 1])
            self.unchanged[key] = found
        return found

    def _hints(self, interval: Interval, candidates: tuple[int, ...]) -> list[int]:
        """Registers that a value with related ones had better have."""
        register = interval.register
        own = self.hints.get(register)
        hints = []
        bundle = self.bundles.get(register)
        if bundle is not None:
            if bundle.choice == UNDECIDED:
                bundle.choice = self._choose(bundle, candidates)
            if bundle.choice != NONE:
                hints.append(bundle.choice)
        if own is not None:
            hints += own
        for other in self.related[register]:
            pieces = self.pieces.get(other)
            if pieces:
                hints += [piece.location for piece in pieces[:2] if piece.location >= 0]
            else:
                hints += self.hints.get(other, NO_HINTS)
        return hints

    def _choose(self, bundle: Bundle, candidates: tuple[int, ...]) -> int:
        """A register that is free wherever a member of the bundle lives; `NONE` if none is."""
        whole = Interval(bundle.members[0], bundle.ranges, [])
        changed = self._changed(whole)
        hints = [hint for member in bundle.members for hint in self.hints.get(member, NO_HINTS)]
        promises = self.promises
        for physical in (*hints, *candidates):
            if (
                physical in candidates
                and not changed >> physical & 1
                and self.busy[physical].is_free(bundle.ranges, bundle.members)
                and (physical not in promises or promises[physical].is_free(bundle.ranges, []))
            ):
                for start, end in bundle.ranges:
                    promises[physical].add(start, end, bundle.members[0])
                return physical
        return NONE
