"""After the scan: operands get their locations, and moves connect the pieces.

All moves before one instruction form one parallel group, whose sources are the
places where the values were before it: pieces that change place, copies into
fixed registers, results copied on from fixed registers, and the one store of a
value that is in memory later.  Moves on an edge are a group of their own.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from callproof.codegen.liveness import Ranges, members
from callproof.codegen.machine import (
    DEF,
    FIRST_VIRTUAL,
    LATE,
    SAME_AS,
    Allocation,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    Move,
)
from callproof.source import InternalError

if TYPE_CHECKING:
    from callproof.codegen.allocate import Interval

NOWHERE = -(1 << 30)  # a rematerialisable value without a register: allocate.IN_MEMORY


class Resolver:
    __slots__ = (
        "allocation",
        "fixed_definition",
        "function",
        "pieces",
        "ranges",
        "starts_of",
        "stored",
    )

    def __init__(
        self,
        function: MachineFunction,
        ranges: Ranges,
        pieces: dict[int, list[Interval]],
        fixed_definition: dict[int, int],
        allocation: Allocation,
    ) -> None:
        self.function = function
        self.ranges = ranges
        self.pieces = pieces
        self.fixed_definition = fixed_definition
        self.allocation = allocation
        self.starts_of = {
            register: [part.start for part in parts] for register, parts in pieces.items()
        }
        # Values with a slot, by register: they are stored after their definition.
        self.stored = {
            register: part.location
            for register, parts in pieces.items()
            for part in parts
            if NOWHERE < part.location < 0
        }

    def run(self) -> None:
        starts_at_gap = self._pieces_by_gap()
        for block in self.function.blocks:
            self._block(block, starts_at_gap)
        for block in self.function.blocks:
            self._edges(block)

    def location(self, register: int, position: int) -> int:
        """Where a value is at a position at which it is alive."""
        index = bisect_right(self.starts_of[register], position) - 1
        part = self.pieces[register][index]
        return part.location

    def _move(self, source: int, destination: int, register: int) -> Move:
        if source == NOWHERE:
            return Move(0, destination, register, self.function.rematerialise[register])
        return Move(source, destination, register)

    def _pieces_by_gap(self) -> dict[int, list[Interval]]:
        """Later pieces that start in a register at an instruction's gap inside a live range."""
        found: dict[int, list[Interval]] = {}
        for parts in self.pieces.values():
            for earlier, part in zip(parts, parts[1:], strict=False):
                # A piece that starts with a block, after a hole, is reached by edges.
                if part.start % 4 == 0 and part.location >= 0 and earlier.end == part.start:
                    found.setdefault(part.start, []).append(part)
        return found

    def _block(self, block: MachineBlock, starts_at_gap: dict[int, list[Interval]]) -> None:
        number = self.ranges.starts[block.index]
        stores = self._stores_of_parameters(block, 4 * number + 2)
        after: list[Move] = []
        for index, instruction in enumerate(block.instructions):
            number += 1
            position = 4 * number
            group = after + stores
            stores = []
            for part in starts_at_gap.get(position, ()):
                register = part.register
                if register in self.fixed_definition and part is self.pieces[register][0]:
                    continue
                source = self.location(register, position - 1)
                if source != part.location:
                    group.append(self._move(source, part.location, register))
            fresh = {move.register: move.source for move in after}
            instruction.allocation = self._operands(instruction, position, group, fresh)
            after, stores = self._definitions(instruction, position)
            if group:
                self._add_group((block.index, index), group)
        if after or stores:
            raise InternalError(f"{self.function.name}: a block ends with a definition")

    def _add_group(self, key: tuple[int, int], group: list[Move]) -> None:
        """Append a parallel group, each move once."""
        unique: dict[int, Move] = {}
        for move in group:
            if move.rematerialise is None and move.source == move.destination:
                continue
            other = unique.get(move.destination)
            if other is not None and other.register != move.register:
                raise InternalError(
                    f"{self.function.name}: v{other.register} and v{move.register} "
                    f"both move into {move.destination}"
                )
            unique[move.destination] = move
        if unique:
            self.allocation.edits.setdefault(key, []).append(list(unique.values()))

    def _operands(
        self,
        instruction: MachineInstruction,
        position: int,
        group: list[Move],
        fresh: dict[int, int],
    ) -> list[int]:
        """Locations of an instruction's operands; copies into fixed places join `group`."""
        locations = []
        tied: dict[int, int] = {}
        operands = instruction.operands
        for operand in operands:
            if operand.constraint >= SAME_AS:
                place = self.location(operand.register, position + 1)
                tied[operand.constraint - SAME_AS] = place
        for which, operand in enumerate(operands):
            register, constraint = operand.register, operand.constraint
            if register < FIRST_VIRTUAL:
                locations.append(register)
                continue
            if operand.role == DEF:
                if 0 <= constraint < SAME_AS:
                    locations.append(constraint)
                else:
                    late = operand.timing == LATE and constraint < SAME_AS
                    locations.append(self.location(register, position + (2 if late else 1)))
                continue
            place = tied.get(which, constraint)
            if place >= 0:
                source = fresh.get(register)
                if source is None:
                    source = self.location(register, position - 1)
                if source != place:
                    group.append(self._move(source, place, register))
                locations.append(place)
            else:
                locations.append(self.location(register, position + 1))
        return locations

    def _definitions(
        self, instruction: MachineInstruction, position: int
    ) -> tuple[list[Move], list[Move]]:
        """What the gap after an instruction does with its results: copies, and stores."""
        copies: list[Move] = []
        stores: list[Move] = []
        for operand in instruction.operands:
            register = operand.register
            if operand.role != DEF or register < FIRST_VIRTUAL:
                continue
            slot = self.stored.get(register)
            if 0 <= operand.constraint < SAME_AS:
                if register not in self.pieces:
                    continue  # an unused result
                first = self.pieces[register][0].location
                copies.append(Move(operand.constraint, first, register))
                if slot is not None and slot != first:
                    stores.append(Move(operand.constraint, slot, register))
            elif slot is not None:
                source = self.location(register, position + 2)
                stores.append(Move(source, slot, register))
        return copies, stores

    def _stores_of_parameters(self, block: MachineBlock, position: int) -> list[Move]:
        """Block parameters that arrive in a register but are in memory later."""
        stores = []
        for register in block.parameters:
            slot = self.stored.get(register)
            if slot is not None:
                source = self.location(register, position)
                if source != slot:
                    stores.append(Move(source, slot, register))
        return stores

    def _edges(self, block: MachineBlock) -> None:
        """Moves from where values are at a block's end to where its successors want them."""
        end = 4 * (self.ranges.starts[block.index] + len(block.instructions)) + 3
        single = len(block.successors) == 1
        for successor in block.successors:
            start = 4 * self.ranges.starts[successor.index]
            group = []
            parameters = set(successor.parameters)
            for register in members(self.ranges.live_in[successor.index]):
                if register in parameters:
                    continue
                source = self.location(register, end)
                destination = self.location(register, start)
                # A value in memory was stored when it was defined: nothing to move there.
                if source != destination and destination >= 0:
                    group.append(self._move(source, destination, register))
            for argument, parameter in zip(
                block.arguments, successor.parameters, strict=bool(block.arguments)
            ):
                source = self.location(argument, end)
                destination = self.location(parameter, start + 2)
                if source != destination:
                    group.append(self._move(source, destination, argument))
            if not group:
                continue
            if single:
                self._add_edge((block.index, len(block.instructions) - 1), group, last=True)
            else:
                self._add_edge((successor.index, 0), group, last=False)

    def _add_edge(self, key: tuple[int, int], group: list[Move], *, last: bool) -> None:
        groups = self.allocation.edits.setdefault(key, [])
        groups.insert(len(groups) if last else 0, group)
