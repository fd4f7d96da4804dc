"""Liveness of virtual registers, and their live ranges in a linear numbering.

Sets of registers are Python integers used as bit sets, so that joining the sets of two
blocks is one operation.  Only registers that are alive at the start of some block have a
bit, in ascending order: a large function has many blocks and many registers, and sets
with a bit for each of them would take as much memory as the one times the other.

Positions: the blocks are laid out one after the other; each block takes one
number for its start and one for each instruction.  Number n has four positions:

    4n      gap: moves before the instruction read their sources
    4n + 1  early: the instruction reads its operands
    4n + 2  late: it writes its results, and clobbers
    4n + 3  after it

A range [start, end) covers the positions at which a value must be kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from callproof.codegen.intervals import FAR
from callproof.codegen.machine import (
    DEF,
    EARLY,
    FIRST_VIRTUAL,
    LATE,
    SAME_AS,
    STACK,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
)

PHYSICAL = frozenset(range(FIRST_VIRTUAL))


def live_in_sets(function: MachineFunction) -> tuple[list[int], list[int], list[int]]:
    """Live-in and live-out sets by block index, and the registers that their bits mean.

    Block parameters are not live-in; the arguments of a jump are used at the end of its block.
    """
    blocks = function.blocks
    count = len(blocks)
    if count == 1:
        return [0], [0], []
    # Code is SSA: what a block uses and another defines is alive at its start.  Only such
    # registers come into the sets, so those of a large function have few bits set.
    used: list[set[int]] = []  # by block: what others define
    defined: list[set[int]] = []
    crossing: set[int] = set()
    for block in blocks:
        uses = set(block.arguments)
        definitions = set(block.parameters)
        for instruction in block.instructions:
            defines = instruction.defines
            if defines >= 0:
                registers = instruction.registers
                uses.update(registers)
                if defines == 1:
                    definitions.add(registers[0])
                elif defines:
                    definitions.update(registers[:defines])
                continue
            for operand in instruction.operands:
                if operand.role == DEF:
                    definitions.add(operand.register)
                else:
                    uses.add(operand.register)
        uses -= definitions
        uses -= PHYSICAL
        used.append(uses)
        defined.append(definitions)
        crossing |= uses
    live_in, live_out = [0] * count, [0] * count
    if not crossing:
        return live_in, live_out, []
    registers_of_bits = sorted(crossing)
    bits = {register: 1 << number for number, register in enumerate(registers_of_bits)}
    kill = [0] * count
    for index, definitions in enumerate(defined):
        if used[index]:
            live_in[index] = sum([bits[register] for register in used[index]])
        definitions &= crossing
        if definitions:
            kill[index] = sum([bits[register] for register in definitions])
    _spread(blocks, live_in, live_out, kill)
    return live_in, live_out, registers_of_bits


def _spread(
    blocks: list[MachineBlock], live_in: list[int], live_out: list[int], kill: list[int]
) -> None:
    """Complete the sets, from those of what each block itself uses and defines."""
    predecessors: list[list[int]] = [[] for _ in blocks]
    backward = False
    for block in blocks:
        index = block.index
        for successor in block.successors:
            predecessors[successor.index].append(index)
            if successor.index <= index:
                backward = True
    pending = list(range(len(blocks)))  # taken from the end: later blocks first
    waiting = [True] * len(blocks)
    while pending:
        index = pending.pop()
        waiting[index] = False
        out = 0
        for successor in blocks[index].successors:
            out |= live_in[successor.index]
        if not out:
            continue
        live_out[index] = out
        into = live_in[index] | (out & ~kill[index])
        if into != live_in[index]:
            live_in[index] = into
            if backward:
                for predecessor in predecessors[index]:
                    if not waiting[predecessor]:
                        waiting[predecessor] = True
                        pending.append(predecessor)


def members(bits: int, registers: list[int]) -> list[int]:
    """The registers in a bit set, in ascending order; `registers` are those that bits mean."""
    found = []
    while bits:
        low = bits & -bits
        found.append(registers[low.bit_length() - 1])
        bits ^= low
    return found


class Ranges:
    """The live ranges of a function, and what a walk over all its instructions finds besides.

    pieces[v]      [start, end) pairs in ascending order, not touching each other; None: never alive
    starts[b]      the number of block b's start; its instruction i has starts[b] + 1 + i
    registers      what the bits of `live_in` and `live_out` mean
    defined_at[v]  the position at which a plain instruction writes it, `FAR` if none does
    first_use[v]   the first at which a plain instruction reads it
    special[b]     position and instruction of block b's that are not plain, or special
    """

    __slots__ = (
        "_ends",
        "_several",
        "defined_at",
        "first_use",
        "live_in",
        "live_out",
        "pieces",
        "registers",
        "special",
        "starts",
    )

    def __init__(self, function: MachineFunction) -> None:
        self.live_in, self.live_out, self.registers = live_in_sets(function)
        self.starts: list[int] = []
        number = 0
        for block in function.blocks:
            self.starts.append(number)
            number += 1 + len(block.instructions)
        # Physical registers have places here too, so that nobody has to ask for them.
        count = FIRST_VIRTUAL + len(function.classes)
        self.pieces: list[list[tuple[int, int]] | None] = [None] * count
        self.defined_at = [FAR] * count
        self.first_use = [FAR] * count
        # Until when a register is alive, as far as the walk has come; 0: it is not.
        self._ends = [0] * count
        self._several: list[int] = []
        self.special: list[list[tuple[int, MachineInstruction]]] = []
        alive = 0  # at the start of the block behind
        for block in reversed(function.blocks):
            self.special.append(self._add_block(block, alive))
            alive = self.live_in[block.index]
        self._close(alive, 0)
        self.special.reverse()
        for register in self._several:
            self.pieces[register].reverse()  # type: ignore[union-attr]

    @property
    def ranges(self) -> dict[int, list[tuple[int, int]]]:
        """`pieces` of the virtual registers that are ever alive."""
        return {
            register: pieces
            for register, pieces in enumerate(self.pieces)
            if pieces is not None and register >= FIRST_VIRTUAL
        }

    def _close(self, registers: int, start: int) -> None:
        """The lives of a set of registers begin, or go on elsewhere, where a block starts."""
        ends = self._ends
        for register in members(registers, self.registers):
            self._add(register, start, ends[register])
            ends[register] = 0

    def _add_block(self, block: MachineBlock, behind: int) -> list[tuple[int, MachineInstruction]]:
        """Walk a block backwards; what is alive at the start of the block `behind` it and at
        its end just goes on."""
        index = block.index
        first = 4 * self.starts[index]
        position = first + 4 + 4 * len(block.instructions)
        ends, all_pieces = self._ends, self.pieces
        defined_at, first_use = self.defined_at, self.first_use
        alive = self.live_out[index]
        if behind & ~alive:
            self._close(behind & ~alive, position)
        if alive & ~behind:
            for register in members(alive & ~behind, self.registers):
                ends[register] = position
        for register in block.arguments:
            if not ends[register]:
                ends[register] = position
        special: list[tuple[int, MachineInstruction]] = []
        for instruction in reversed(block.instructions):
            position -= 4
            defines = instruction.defines
            if defines < 0:
                special.append((position, instruction))
                self._add_operands(instruction, position)
                continue
            if instruction.form.is_special:
                special.append((position, instruction))
            registers = instruction.registers
            if defines:
                written = position + 2
                for register in registers[:defines]:
                    defined_at[register] = written
                    end = ends[register] or position + 3
                    ends[register] = 0
                    if all_pieces[register] is None:
                        all_pieces[register] = [(written, end)]
                    else:
                        self._add(register, written, end)
                registers = registers[defines:]
            read = position + 1
            for register in registers:
                first_use[register] = read
                if not ends[register]:
                    ends[register] = position + 2
        special.reverse()
        for register in block.parameters:
            self._add(register, first, ends[register] or first + 4)
            ends[register] = 0
        return special

    def _add_operands(self, instruction: MachineInstruction, position: int) -> None:
        """The same for an instruction that is not plain."""
        ends = self._ends
        operands = instruction.operands
        tied: tuple[int, ...] = ()
        for operand in operands:
            register = operand.register
            if operand.role != DEF or register < FIRST_VIRTUAL:
                continue
            constraint = operand.constraint
            end = ends[register]
            ends[register] = 0
            if constraint >= SAME_AS:
                tied += (constraint - SAME_AS,)
                start = position + 1
            elif constraint >= 0 or constraint == STACK:
                # It stays there until the moves before the next instruction.
                if end:
                    self._add(register, position + 4, end)
                continue
            else:
                start = position + (1 if operand.timing == EARLY else 2)
            self._add(register, start, max(end, position + 3))
        for which, operand in enumerate(operands):
            register = operand.register
            if operand.role != DEF and register >= FIRST_VIRTUAL:
                if operand.timing == LATE:
                    until = position + 3
                elif operand.constraint >= 0 or which in tied:
                    until = position + 1  # the moves before the instruction read it
                else:
                    until = position + 2
                if ends[register] < until:
                    ends[register] = until

    def _add(self, register: int, start: int, end: int) -> None:
        """Put a range before those that the register has; touching ones become one."""
        pieces = self.pieces[register]
        if pieces is None:
            self.pieces[register] = [(start, end)]
        elif pieces[-1][0] <= end:
            pieces[-1] = (start, max(end, pieces[-1][1]))
        else:
            if len(pieces) == 1:
                self._several.append(register)
            pieces.append((start, end))  # later ones come first, until all are there


def needs_of(
    function: MachineFunction, ranges: Ranges, others: Mapping[int, list[int]]
) -> list[list[int]]:
    """For each register the positions at which it must be in one, in ascending order: those
    of plain instructions, and `others`."""
    nobody: list[int] = []
    needs: list[list[int]] = [nobody] * FIRST_VIRTUAL
    needs += [others.get(FIRST_VIRTUAL + index, []) for index in range(len(function.classes))]
    for block in function.blocks:
        position = 4 * ranges.starts[block.index]
        for instruction in block.instructions:
            position += 4
            defines = instruction.defines
            if defines >= 0:
                registers = instruction.registers
                for register in registers[:defines]:
                    needs[register].append(position + 2)
                for register in registers[defines:]:
                    needs[register].append(position + 1)
    for index in range(FIRST_VIRTUAL, len(needs)):
        needs[index].sort()
    return needs
