"""Before the scan of the allocator: what each instruction wants of registers.

Reservations for fixed operands, positions at which a value must be in a register, hints,
bundles, and the first intervals.  Positions are those of `liveness.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from heapq import heapify

from callproof.codegen.bundles import Bundle, find_bundles
from callproof.codegen.flow import Flow
from callproof.codegen.intervals import FAR, Clobbers, Interval, Registers
from callproof.codegen.liveness import Ranges
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
        "hints",
        "in_slot",
        "late",
        "moved",
        "needs",
        "pairs",
        "pieces",
        "promises",
        "ranges",
        "register_file",
        "related",
        "remade",
        "split_limit",
        "unhandled",
        "used",
        "weight",
    )

    def __init__(self, function: MachineFunction, register_file: RegisterFile) -> None:
        self.function = function
        self.register_file = register_file
        self.ranges = Ranges(function)
        self.flow = Flow(function)
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
        self.needs: dict[int, list[int]] = {}
        # Where a result in a loop first begins in a value's place (`SAME_AS`), for which memory
        # would do.
        self.moved: dict[int, int] = {}
        self.pieces: dict[int, list[Interval]] = {}
        self.unhandled: list[tuple[int, int, int, Interval]] = []
        # Instruction numbers behind a block's first terminator -> that terminator's number.
        self.split_limit: dict[int, int] = {}
        self.used = 0

    # --- preparation -------------------------------------------------------------------

    def prepare(self) -> None:
        """Reservations, needs and hints of every instruction; the first intervals."""
        for block in self.function.blocks:
            self._prepare_block(block)
        self.late = self._late_start()
        remade = self.remade
        pairs = [pair for pair in self.pairs if pair[1] not in remade and pair[2] not in remade]
        if pairs:
            self.bundles = find_bundles(pairs, self.ranges.ranges, self.call_positions, self.fixed)
        unhandled, needs_of = self.unhandled, self.needs
        for register, ranges in self.ranges.ranges.items():
            needs = sorted(needs_of.get(register, ()))
            if register in self.remade and needs and needs[0] == ranges[0][0]:
                del needs[0]  # nothing has to be made before it is wanted
            interval = Interval(register, ranges, needs)
            unhandled.append((interval.start, needs[0] if needs else FAR, register, interval))
        heapify(unhandled)

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
        number = self.ranges.starts[block.index]
        self.weight = self.flow.weight[block.index]
        first_terminator = 0
        for instruction in block.instructions:
            number += 1
            position = 4 * number
            for operand in instruction.operands:
                if operand.constraint != REGISTER:
                    self._prepare_operands(instruction, position, first_terminator)
                    break
            else:
                self._prepare_plain(instruction, position)
            if instruction.form.is_move and len(instruction.operands) == 2:
                self._relate(instruction.operands[1].register, instruction.operands[0].register)
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
            if first_terminator:
                self.split_limit[number] = first_terminator
            elif instruction.form.control in ("branch", "jump"):
                first_terminator = number
        if block.arguments:
            for source, destination in zip(
                block.arguments, block.successors[0].parameters, strict=True
            ):
                self._relate(source, destination)

    def _prepare_plain(self, instruction: MachineInstruction, position: int) -> None:
        """As `_prepare_operands`, where any registers will do for all operands."""
        needs_of = self.needs
        for operand in instruction.operands:
            register = operand.register
            if register < FIRST_VIRTUAL:
                continue
            needs = needs_of.get(register)
            if needs is None:
                needs = needs_of[register] = []
            is_late = operand.timing == LATE
            if operand.role != DEF:
                needs.append(position + 1)
                if is_late:
                    needs.append(position + 2)
            else:
                if not is_late:
                    needs.append(position + 1)
                needs.append(position + 2)

    def _prepare_operands(
        self, instruction: MachineInstruction, position: int, first_terminator: int
    ) -> None:
        operands = instruction.operands
        tied: tuple[int, ...] = ()
        for operand in operands:
            if operand.constraint >= SAME_AS:
                tied += (operand.constraint - SAME_AS,)
                self._relate(operands[tied[-1]].register, operand.register)
        for which, operand in enumerate(operands):
            register = operand.register
            if register < FIRST_VIRTUAL:
                continue
            constraint = operand.constraint
            if 0 <= constraint < SAME_AS:
                hints = self.hints.setdefault(register, [])
                if len(hints) < MOST_HINTS:
                    hints.append(constraint)
                self.fixed[register] = max(self.fixed.get(register, 0), self.weight)
                if operand.role == DEF:
                    self._reserve(constraint, position + 2, position + 4, register)
                    self.remade.pop(register, None)
                elif first_terminator:
                    raise InternalError(
                        f"{self.function.name}: a fixed operand behind a block's first branch"
                    )
                else:
                    end = position + (3 if operand.timing == LATE else 2)
                    self._reserve(constraint, position + 1, end, register)
            elif constraint == REGISTER or constraint >= SAME_AS:
                if which in tied:
                    if self.weight > 1:
                        self.moved.setdefault(register, position)
                    continue
                needs = self.needs.setdefault(register, [])
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

    def _reserve(self, physical: int, start: int, end: int, register: int) -> None:
        self.busy[physical].add(start, end, register)
        self.used |= 1 << physical
