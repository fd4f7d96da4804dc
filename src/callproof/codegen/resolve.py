"""After the scan: operands get their locations, and moves connect the pieces.

All moves before one instruction form one parallel group, whose sources are the
places where the values were before it: pieces that change place, copies into
fixed registers, results copied on from fixed registers, and the one store of a
value that is in memory later.  Moves on an edge are a group of their own.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from callproof.codegen.intervals import IN_MEMORY, Interval
from callproof.codegen.liveness import Ranges, members
from callproof.codegen.machine import (
    DEF,
    FIRST_VIRTUAL,
    LATE,
    SAME_AS,
    STACK,
    Allocation,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    Move,
    SpillSlot,
)
from callproof.codegen.stores import LateStores
from callproof.source import InternalError

NOWHERE = IN_MEMORY  # after slots are assigned: a value without a slot, to be made again
SEVERAL = 1 << 40  # no location
NOTHING_FRESH: dict[int, int] = {}  # shared, never changed


class Resolver:
    """Writes the instructions' `allocation` and the edits.

    pieces    each register's intervals in order, all with their locations
    slot_of   the spill slot, as a location, of each register that has one
    late      which of them are not stored where they are defined
    places    by register: the location of a value that is in one place all its life, else
              `SEVERAL`; a physical register's is itself
    """

    __slots__ = (
        "allocation",
        "function",
        "late",
        "pieces",
        "places",
        "ranges",
        "slot_of",
        "spares",
        "split",
        "starts_of",
    )

    def __init__(
        self,
        function: MachineFunction,
        ranges: Ranges,
        pieces: dict[int, list[Interval]],
        slot_of: dict[int, int],
        late: LateStores,
        allocation: Allocation,
    ) -> None:
        self.function = function
        self.ranges = ranges
        self.pieces = pieces
        self.slot_of = slot_of
        self.late = late
        self.allocation = allocation
        self.starts_of: dict[int, list[int]] = {}
        self.spares: list[int] = []
        self.split = 0  # bit set, as in `liveness.py`, of the values with several pieces
        self.places = [*range(FIRST_VIRTUAL), *([SEVERAL] * len(function.classes))]
        for register, parts in pieces.items():
            if len(parts) == 1:
                self.places[register] = parts[0].location
            else:
                self.starts_of[register] = [part.start for part in parts]
        if self.starts_of:
            for number, register in enumerate(ranges.registers):
                if register in self.starts_of:
                    self.split |= 1 << number

    def run(self) -> None:
        starts_at_gap = self._pieces_by_gap() if self.starts_of else {}
        for block in self.function.blocks:
            self._block(block, starts_at_gap)
        for block in self.function.blocks:
            self._edges(block)

    def location(self, register: int, position: int) -> int:
        """Where a value is at a position at which it is alive."""
        parts = self.pieces[register]
        if len(parts) == 1:
            return parts[0].location
        return parts[bisect_right(self.starts_of[register], position) - 1].location

    def _move(self, source: int, destination: int, register: int) -> Move:
        if source == NOWHERE:
            return Move(0, destination, register, self.function.rematerialise[register])
        return Move(source, destination, register)

    def _pieces_by_gap(self) -> dict[int, list[tuple[int, Interval]]]:
        """Pieces that continue another in a register, by their start: (where from, piece)."""
        found: dict[int, list[tuple[int, Interval]]] = {}
        for register in self.starts_of:
            parts = self.pieces[register]
            for earlier, part in pairwise(parts):
                # A piece that starts with a block, after a hole, is reached by edges.
                joined = part.location >= 0 and earlier.end == part.start
                if joined and part.location != earlier.location:
                    found.setdefault(part.start, []).append((earlier.location, part))
        return found

    def _block(
        self, block: MachineBlock, starts_at_gap: dict[int, list[tuple[int, Interval]]]
    ) -> None:
        position = 4 * self.ranges.starts[block.index]
        # Moves for the next gap: copies from fixed places, and the stores of values with a slot.
        pending = self._stores_at_start(block, position) if self.slot_of else []
        fresh = NOTHING_FRESH
        place_of = self.places.__getitem__
        is_simple = not self.starts_of and not self.slot_of
        for index, instruction in enumerate(block.instructions):
            position += 4
            if instruction.defines < 0:
                group = pending
                self._add_pieces(group, position, starts_at_gap)
                instruction.allocation = self._operands(instruction, position, group, fresh)
                if group:
                    self._add_group((block.index, index), group)
                pending, fresh = self._definitions(instruction, position)
                continue
            # Most values are in one place all their lives.
            instruction.allocation = locations = [*map(place_of, instruction.registers)]
            if pending:
                self._add_pieces(pending, position, starts_at_gap)
                self._add_group((block.index, index), pending)
                pending = []
            elif position in starts_at_gap:
                group = []
                self._add_pieces(group, position, starts_at_gap)
                if group:
                    self._add_group((block.index, index), group)
            fresh = NOTHING_FRESH
            if is_simple:
                continue
            if SEVERAL in locations:
                instruction.allocation = self._plain_operands(instruction, position)
            pending = self._plain_stores(instruction)
        if pending:
            raise InternalError(f"{self.function.name}: a block ends with a definition")

    def _add_pieces(
        self,
        group: list[Move],
        position: int,
        starts_at_gap: dict[int, list[tuple[int, Interval]]],
    ) -> None:
        """The moves into the pieces that begin in a gap."""
        for source, part in starts_at_gap.get(position, ()):
            # One that only lasts until the moves themselves is not moved first.
            if part.end > position + 1:
                group.append(self._move(source, part.location, part.register))

    def _plain_operands(self, instruction: MachineInstruction, position: int) -> list[int]:
        """Locations of a plain instruction's operands, some of which change their place."""
        locations = []
        defines = instruction.defines
        for which, register in enumerate(instruction.registers):
            place = self.places[register]
            if place == SEVERAL:
                place = self.location(register, position + (2 if which < defines else 1))
            locations.append(place)
        return locations

    def _plain_stores(self, instruction: MachineInstruction) -> list[Move]:
        """The stores of a plain instruction's results, of those with a slot."""
        moves: list[Move] = []
        assert instruction.allocation is not None
        for which in range(instruction.defines):
            register = instruction.registers[which]
            slot = self.slot_of.get(register)
            place = instruction.allocation[which]
            if slot is not None and slot != place and register not in self.late.registers:
                moves.append(Move(place, slot, register))
        return moves

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
        """Locations of an instruction's operands; copies into fixed places join `group`.

        `fresh` has the values that the instruction before has left in a fixed place.
        """
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
            is_definition = operand.role == DEF
            if constraint == STACK:
                locations.append(self.slot_of[register])
                continue
            if is_definition and 0 <= constraint < SAME_AS:
                locations.append(constraint)
                continue
            if is_definition:
                early = operand.timing != LATE or constraint >= SAME_AS
                place = self.location(register, position + (1 if early else 2))
                if early and place != self.location(register, position + 2):
                    place = self.slot_of[register]
                locations.append(place)
                continue
            place = tied.get(which, constraint)
            if place >= 0:
                source = fresh.get(register)
                if source is None:
                    source = self.location(register, position - 1)
                if source != place:
                    group.append(self._move(source, place, register))
                locations.append(place)
                continue
            place = self.location(register, position + 1)
            if operand.timing == LATE and place != self.location(register, position + 2):
                place = self.slot_of[register]  # it leaves its register in the midst of it
            locations.append(place)
        return locations

    def _definitions(
        self, instruction: MachineInstruction, position: int
    ) -> tuple[list[Move], dict[int, int]]:
        """What the gap after an instruction does with its results: copies, and stores.

        The second result has the places of results that are still where they were fixed.
        """
        moves: list[Move] = []
        fresh: dict[int, int] = {}
        assert instruction.allocation is not None
        for operand, place in zip(instruction.operands, instruction.allocation, strict=True):
            register = operand.register
            if operand.role != DEF or register < FIRST_VIRTUAL or register not in self.pieces:
                continue
            constraint = operand.constraint
            if constraint == STACK or 0 <= constraint < SAME_AS:
                fresh[register] = place
                first = self.pieces[register][0]
                if len(self.pieces[register]) > 1:
                    index = bisect_right(self.starts_of[register], position + 4) - 1
                    first = self.pieces[register][index]
                # As in `_block`: not for the moment of the next instruction's moves only.
                if first.end > position + 5 and first.location not in (NOWHERE, place):
                    moves.append(Move(place, first.location, register))
            slot = self.slot_of.get(register)
            if slot is not None and slot != place and register not in self.late.registers:
                moves.append(Move(place, slot, register))
        return moves, fresh

    def _stores_at_start(self, block: MachineBlock, position: int) -> list[Move]:
        """Of block parameters that arrive in a register but are in memory later, and of
        values whose rare code begins here."""
        late = self.late
        stores = []
        for register in block.parameters:
            slot = self.slot_of.get(register)
            if slot is not None and register not in late.registers:
                source = self.location(register, position)
                if source != slot:
                    stores.append(Move(source, slot, register))
        for register in late.at.get(block.index, ()):
            source, slot = self.location(register, position), self.slot_of[register]
            if source != slot:  # else the edge does it
                stores.append(Move(source, slot, register))
        return stores

    def _edges(self, block: MachineBlock) -> None:
        """Moves from where values are at a block's end to where its successors want them."""
        if not self.split and not block.arguments:
            return
        end = 4 * (self.ranges.starts[block.index] + len(block.instructions)) + 3
        single = len(block.successors) == 1
        for successor in block.successors:
            start = 4 * self.ranges.starts[successor.index]
            group = []
            moved = self.ranges.live_in[successor.index] & self.split
            stored = self.late.at.get(successor.index, ())
            for register in members(moved, self.ranges.registers):
                source = self.location(register, end)
                destination = self.location(register, start)
                # A value in memory is stored there already: nothing to move.
                if source != destination and (destination >= 0 or register in stored):
                    group.append(self._move(source, destination, register))
            if block.arguments:
                for argument, parameter in zip(block.arguments, successor.parameters, strict=True):
                    source = self.location(argument, end)
                    destination = self.location(parameter, start)
                    if source != destination:
                        group.append(self._move(source, destination, argument))
            if not group:
                continue
            if single:
                self._add_edge((block.index, len(block.instructions) - 1), group, last=True)
            else:
                self._add_edge((successor.index, 0), group, last=False)

    def _add_edge(self, key: tuple[int, int], group: list[Move], *, last: bool) -> None:
        new = self._without_wide_cycles(group)
        groups = self.allocation.edits.setdefault(key, [])
        place = len(groups) if last else 0
        groups[place:place] = new

    def _without_wide_cycles(self, group: list[Move]) -> list[list[Move]]:
        """The group, or two groups with its effect that need one float scratch register.

        A cycle through two 16-byte slots would need two: one for the value that is
        saved to break the cycle, one to pass from slot to slot.  So one of its values
        goes to a slot of its own first.
        """
        wide = [
            move
            for move in group
            if move.source < 0
            and move.destination < 0
            and move.rematerialise is None
            and self.function.sizes[move.register - FIRST_VIRTUAL] > 8
        ]
        if not wide:
            return [group]
        source_of = {move.destination: move.source for move in group if move.rematerialise is None}
        first: list[Move] = []
        for move in wide:
            location, steps = move.source, 0
            while location != move.destination and location in source_of and steps < len(group):
                location = source_of[location]
                steps += 1
            if location != move.destination:
                continue
            spare = self._spare(len(first))
            first.append(Move(move.source, spare, move.register))
            move.source = source_of[move.destination] = spare  # now it is a cycle no more
        return [first, group] if first else [group]

    def _spare(self, index: int) -> int:
        """The location of one of the 16-byte slots that hold a value on an edge only."""
        while len(self.spares) <= index:
            self.allocation.spill_slots.append(SpillSlot(16))
            self.spares.append(~(len(self.allocation.spill_slots) - 1))
        return self.spares[index]
