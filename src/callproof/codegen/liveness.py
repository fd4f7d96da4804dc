"""Liveness of virtual registers, and their live ranges in a linear numbering.

Sets of registers are Python integers used as bit sets (bit n = virtual register
FIRST_VIRTUAL + n), so that joining the sets of two blocks is one operation.

Positions: the blocks are laid out one after the other; each block takes one
number for its start and one for each instruction.  Number n has four positions:

    4n      gap: moves before the instruction read their sources
    4n + 1  early: the instruction reads its operands
    4n + 2  late: it writes its results, and clobbers
    4n + 3  after it

A range [start, end) covers the positions at which a value must be kept.
"""

from __future__ import annotations

from callproof.codegen.machine import (
    DEF,
    EARLY,
    FIRST_VIRTUAL,
    LATE,
    REGISTER,
    SAME_AS,
    STACK,
    MachineBlock,
    MachineFunction,
)


def live_in_sets(function: MachineFunction) -> tuple[list[int], list[int]]:
    """Live-in and live-out sets by block index.  Block parameters are not live-in;
    the arguments of a jump are used at the end of its block."""
    blocks = function.blocks
    gen, kill = [0] * len(blocks), [0] * len(blocks)
    # Code is SSA: what a block uses and another defines is alive at its start.  Only such
    # registers come into the sets, so those of a large function have few bits set.
    home = [-1] * len(function.classes)
    for index, block in enumerate(blocks):
        for register in block.parameters:
            home[register - FIRST_VIRTUAL] = index
        for instruction in block.instructions:
            for operand in instruction.operands:
                if operand.role == DEF and operand.register >= FIRST_VIRTUAL:
                    home[operand.register - FIRST_VIRTUAL] = index
    exposed: set[int] = set()
    for index, block in enumerate(blocks):
        found = {
            register - FIRST_VIRTUAL
            for register in block.arguments
            if home[register - FIRST_VIRTUAL] != index
        }
        for instruction in block.instructions:
            for operand in instruction.operands:
                if operand.role != DEF:
                    number = operand.register - FIRST_VIRTUAL
                    if number >= 0 and home[number] != index:
                        found.add(number)
        if found:
            gen[index] = sum([1 << number for number in found])
            exposed |= found
    for number in exposed:
        if home[number] >= 0:
            kill[home[number]] |= 1 << number

    predecessors: list[list[int]] = [[] for _ in blocks]
    for block in blocks:
        for successor in block.successors:
            predecessors[successor.index].append(block.index)
    live_in, live_out = list(gen), [0] * len(blocks)
    pending = list(range(len(blocks)))  # taken from the end: later blocks first
    waiting = [True] * len(blocks)
    while pending:
        index = pending.pop()
        waiting[index] = False
        out = 0
        for successor in blocks[index].successors:
            out |= live_in[successor.index]
        live_out[index] = out
        into = gen[index] | (out & ~kill[index])
        if into != live_in[index]:
            live_in[index] = into
            for predecessor in predecessors[index]:
                if not waiting[predecessor]:
                    waiting[predecessor] = True
                    pending.append(predecessor)
    return live_in, live_out


def members(bits: int) -> list[int]:
    """The virtual registers in a bit set, in ascending order."""
    found = []
    while bits:
        low = bits & -bits
        found.append(FIRST_VIRTUAL + low.bit_length() - 1)
        bits ^= low
    return found


class Ranges:
    """The live ranges of a function.

    ranges[v]   [start, end) pairs in ascending order, not touching each other
    starts[b]   the number of block b's start; its instruction i has starts[b] + 1 + i
    """

    __slots__ = ("live_in", "live_out", "ranges", "starts")

    def __init__(self, function: MachineFunction) -> None:
        self.live_in, self.live_out = live_in_sets(function)
        self.starts: list[int] = []
        number = 0
        for block in function.blocks:
            self.starts.append(number)
            number += 1 + len(block.instructions)
        self.ranges: dict[int, list[tuple[int, int]]] = {}
        for block in reversed(function.blocks):
            self._add_block(block)
        for pieces in self.ranges.values():
            pieces.reverse()

    def _add_block(self, block: MachineBlock) -> None:
        """Walk a block backwards; `ends` has the registers alive there and until when."""
        first = self.starts[block.index]
        end = 4 * (first + 1 + len(block.instructions))
        ends: dict[int, int] = dict.fromkeys(members(self.live_out[block.index]), end)
        for register in block.arguments:
            ends[register] = end
        ranges = self.ranges
        position = end
        for instruction in reversed(block.instructions):
            position -= 4
            operands = instruction.operands
            tied: tuple[int, ...] = ()
            for operand in operands:
                register = operand.register
                if operand.role == DEF and register >= FIRST_VIRTUAL:
                    constraint = operand.constraint
                    if constraint == REGISTER and operand.timing == LATE:
                        end = ends.pop(register, 0)
                        if end < position + 3:
                            end = position + 3
                        if register in ranges:
                            self._add(register, position + 2, end)
                        else:
                            ranges[register] = [(position + 2, end)]
                        continue
                    if constraint >= SAME_AS:
                        tied += (constraint - SAME_AS,)
                        start = position + 1
                    elif constraint >= 0 or constraint == STACK:
                        # It stays there until the moves before the next instruction.
                        start = position + 4
                        if register in ends:
                            self._add(register, start, ends.pop(register))
                        continue
                    else:
                        start = position + (1 if operand.timing == EARLY else 2)
                    self._add(register, start, max(ends.pop(register, 0), position + 3))
            for which, operand in enumerate(operands):
                register = operand.register
                if operand.role != DEF and register >= FIRST_VIRTUAL:
                    if operand.timing == LATE:
                        until = position + 3
                    elif operand.constraint >= 0 or which in tied:
                        until = position + 1  # the moves before the instruction read it
                    else:
                        until = position + 2
                    if ends.get(register, 0) < until:
                        ends[register] = until
        for register in block.parameters:
            self._add(register, 4 * first, max(ends.pop(register, 0), 4 * first + 4))
        for register, until in ends.items():
            self._add(register, 4 * first, until)

    def _add(self, register: int, start: int, end: int) -> None:
        """Put a range before those that the register has; touching ones become one."""
        pieces = self.ranges.get(register)
        if pieces is None:
            self.ranges[register] = [(start, end)]
        elif pieces[-1][0] <= end:
            pieces[-1] = (start, max(end, pieces[-1][1]))
        else:
            pieces.append((start, end))
