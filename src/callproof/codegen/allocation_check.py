"""Proof that an allocation computes what the code before allocation computed.

A forward dataflow analysis over the allocated code.  The state maps each location
(register or spill slot) to the set of virtual registers whose current value it
holds; a location that is not in the map holds nothing that we know.

Lattice: the sets are ordered by inclusion, more is better; blocks that have not
been reached yet have no state at all (top).  Where paths meet, each location
keeps what it holds on all of them (intersection).

Transfer:
  move           destination holds what the source held, as far as the moved bytes are
                 all of it; all moves of a group read first
  remake         destination holds the value that the instruction computes
  left out       a definition that can be made again, and has no place: no location
                 holds its value
  use            the operand's location must hold the operand's value
  clobber        the location holds nothing; a call leaves callee-saved SIMD registers
                 only what fits their low 8 bytes
  definition     the location holds just that value; no other location holds it any more
                 (in a loop, copies of the last round's value are not this value)
  edge           a successor's parameter is in each location that holds its argument;
                 what held the parameter's old value does not hold the new one

Besides: operands' constraints hold, results neither share a place nor stand in a
clobbered register, nothing is moved behind a block's first branch (not all paths
would come by), and `used_registers` has every register that is written.

The allocator's own data structures are not used: what is checked is its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from callproof.codegen.machine import (
    ANY,
    DEF,
    EARLY,
    FIRST_VIRTUAL,
    FLOAT,
    LATE,
    REGISTER,
    SAME_AS,
    STACK,
    Allocation,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    Move,
    Operand,
    RegisterFile,
)
from callproof.source import InternalError

Held = frozenset[int]
NOTHING: Held = frozenset()
NOWHERE = -(1 << 30)  # where a definition that is left out would have its result


def check(function: MachineFunction, allocation: Allocation, registers: RegisterFile) -> None:
    """Raise `InternalError`, saying where and what, if the allocation is not right."""
    _Checker(function, allocation, registers).run()


class _State:
    """What each location holds, and the other way round.

    held      location -> virtual registers; never empty sets
    holders   virtual register -> locations
    """

    __slots__ = ("held", "holders")

    def __init__(self, held: dict[int, Held]) -> None:
        self.held = held
        self.holders: dict[int, set[int]] = {}
        for place, values in held.items():
            for value in values:
                self.holders.setdefault(value, set()).add(place)

    def put(self, place: int, values: Held) -> None:
        holders = self.holders
        for value in self.held.pop(place, NOTHING):
            holders[value].discard(place)
        if values:
            self.held[place] = values
            for value in values:
                holders.setdefault(value, set()).add(place)

    def forget(self, register: int) -> None:
        """No location holds the register's value any more."""
        for place in self.holders.pop(register, ()):
            rest = self.held[place] - {register}
            if rest:
                self.held[place] = rest
            else:
                del self.held[place]


class _Checker:
    __slots__ = (
        "allocatable",
        "allocation",
        "function",
        "members",
        "place",
        "wide_lost",
    )

    def __init__(
        self, function: MachineFunction, allocation: Allocation, registers: RegisterFile
    ) -> None:
        self.function = function
        self.allocation = allocation
        self.allocatable = [frozenset(group) for group in registers.allocatable]
        # Registers of which a call preserves the low half only.
        self.wide_lost = [
            r for r in registers.allocatable[FLOAT] if registers.callee_saved >> r & 1
        ]
        self.members: dict[int, list[int]] = {}  # clobber mask -> its registers
        self.place = ""

    def fail(self, message: str) -> None:
        raise InternalError(f"allocation of {self.function.name} is wrong: {self.place}: {message}")

    def run(self) -> None:
        self.edit_places()
        blocks = self.function.blocks
        entry: list[dict[int, Held] | None] = [None] * len(blocks)
        entry[0] = {}
        pending = [0]  # a heap: earlier blocks first, so that most are visited once or twice
        waiting = [False] * len(blocks)
        while pending:
            index = heappop(pending)
            waiting[index] = False
            before = entry[index]
            assert before is not None
            state = _State(dict(before))
            block = blocks[index]
            self.block(block, state)
            for successor in block.successors:
                passed = self.edge(block, successor, state)
                known = entry[successor.index]
                joined = passed if known is None else _join(known, passed)
                if joined is not known:
                    entry[successor.index] = joined
                    if not waiting[successor.index]:
                        waiting[successor.index] = True
                        heappush(pending, successor.index)

    def edit_places(self) -> None:
        """Edits stand before an instruction that there is, and not behind a branch."""
        first_branch: dict[int, int] = {}
        for block in self.function.blocks:
            for index, instruction in enumerate(block.instructions):
                if instruction.form.control == "branch":
                    first_branch[block.index] = index
                    break
        for block_index, index in self.allocation.edits:
            self.place = f"block {block_index}, before instruction {index}"
            blocks = self.function.blocks
            if not 0 <= block_index < len(blocks):
                self.fail("a move in a block that is not there")
            if not 0 <= index < len(blocks[block_index].instructions):
                self.fail("a move before an instruction that is not there")
            if index > first_branch.get(block_index, index):
                self.fail("a move behind the block's first branch")

    # --- transfer ----------------------------------------------------------------------

    def block(self, block: MachineBlock, state: _State) -> None:
        edits = self.allocation.edits
        for index, instruction in enumerate(block.instructions):
            groups = edits.get((block.index, index))
            if groups:
                self.place = f"block {block.index} ({block.name}), before {instruction.form.name}"
                for group in groups:
                    self.group(group, state)
            self.place = (
                f"block {block.index} ({block.name}), instruction {index} ({instruction.form.name})"
            )
            self.instruction(instruction, state)

    def group(self, group: Sequence[Move], state: _State) -> None:
        new: dict[int, Held] = {}
        sizes = self.function.sizes
        for move in group:
            if move.destination in new:
                self.fail(f"two moves of one group write {move.destination}")
            self.check_places(move)
            if move.rematerialise is None:
                held = state.held.get(move.source, NOTHING)
                if sizes[move.register - FIRST_VIRTUAL] < 16:
                    held = frozenset(v for v in held if sizes[v - FIRST_VIRTUAL] < 16)
                new[move.destination] = held
                continue
            if self.function.rematerialise.get(move.register) is not move.rematerialise:
                self.fail(f"v{move.register} is made again by an instruction that does not make it")
            new[move.destination] = frozenset((move.register,))
        for place, held in new.items():
            state.put(place, held)

    def check_places(self, move: Move) -> None:
        """A move's ends are large enough, and of the value's class."""
        index = move.register - FIRST_VIRTUAL
        size, class_ = self.function.sizes[index], self.function.classes[index]
        places = [move.destination]
        if move.rematerialise is None:
            places.append(move.source)
        for place in places:
            if place < 0:
                self.check_slot(place, move.register, size)
            elif place not in self.allocatable[class_]:
                self.fail(f"v{move.register} moves through register {place}, which is not its own")
        self.written(move.destination)

    def check_slot(self, place: int, register: int, size: int) -> None:
        slots = self.allocation.spill_slots
        if ~place >= len(slots) or slots[~place].size < size:
            self.fail(f"v{register} of {size} bytes does not fit spill slot {~place}")

    def written(self, place: int) -> None:
        if place >= 0 and not self.allocation.used_registers >> place & 1:
            self.fail(f"register {place} is written, but not in the used registers")

    def instruction(self, instruction: MachineInstruction, state: _State) -> None:
        operands, places = instruction.operands, instruction.allocation
        if places is None or len(places) != len(operands):
            self.fail("operands without a location")
            return
        if places and places[0] == NOWHERE:
            made = self.function.rematerialise.get(operands[0].register)
            if made is not instruction:
                self.fail("an instruction that is left out is wanted")
            state.forget(operands[0].register)
            return
        clobbers = instruction.clobbers
        early_written: list[int] = []
        late_written: list[int] = []
        for operand, place in zip(operands, places, strict=True):
            self.constraint(operand, place, places)
            if operand.role != DEF or operand.register < FIRST_VIRTUAL:
                continue
            if place in early_written or place in late_written:
                self.fail(f"two results in {place}")
            if place >= 0:
                self.written(place)
                if clobbers >> place & 1 and not 0 <= operand.constraint < SAME_AS:
                    self.fail(f"v{operand.register} is in {place}, which is clobbered")
            (early_written if operand.timing == EARLY else late_written).append(place)
        for which, (operand, place) in enumerate(zip(operands, places, strict=True)):
            if operand.role == DEF or operand.register < FIRST_VIRTUAL:
                continue
            held = state.held.get(place, NOTHING)
            if operand.register not in held:
                shown = ", ".join(f"v{v}" for v in sorted(held))
                self.fail(
                    f"operand {which} reads v{operand.register} in {place}, "
                    f"which holds {shown or 'nothing known'}"
                )
            if place in early_written:
                self.fail(f"operand {which} is overwritten in {place} before it is read")
            if operand.timing == LATE and (
                place in late_written or (place >= 0 and clobbers >> place & 1)
            ):
                self.fail(f"operand {which} in {place} does not outlive the instruction")
        if clobbers:
            self.clobber(clobbers, state)
        if instruction.is_call:
            self.halve(state)
        for operand in operands:
            if operand.role == DEF and operand.register >= FIRST_VIRTUAL:
                state.forget(operand.register)
        for operand, place in zip(operands, places, strict=True):
            if operand.role == DEF and operand.register >= FIRST_VIRTUAL:
                state.put(place, frozenset((operand.register,)))

    def clobber(self, mask: int, state: _State) -> None:
        registers = self.members.get(mask)
        if registers is None:
            registers = [r for r in range(mask.bit_length()) if mask >> r & 1]
            self.members[mask] = registers
        for register in registers:
            if register in state.held:
                state.put(register, NOTHING)
        if mask & ~self.allocation.used_registers:
            self.fail("clobbered registers are not in the used registers")

    def halve(self, state: _State) -> None:
        """Of the callee-saved SIMD registers a call preserves the low 64 bits only."""
        sizes = self.function.sizes
        for place in self.wide_lost:
            held = state.held.get(place)
            if held:
                kept = frozenset(v for v in held if sizes[v - FIRST_VIRTUAL] <= 8)
                if kept != held:
                    state.put(place, kept)

    def constraint(self, operand: Operand, place: int, places: Sequence[int]) -> None:
        register, constraint = operand.register, operand.constraint
        if register < FIRST_VIRTUAL:
            if place != register:
                self.fail(f"physical register {register} became {place}")
            return
        index = register - FIRST_VIRTUAL
        if place < 0:
            self.check_slot(place, register, self.function.sizes[index])
        elif place not in self.allocatable[self.function.classes[index]]:
            self.fail(f"v{register} is in register {place}, which is not allocatable for it")
        if constraint == ANY:
            return
        if constraint == REGISTER and place < 0:
            self.fail(f"v{register} must be in a register, but is in slot {~place}")
        elif constraint == STACK and place >= 0:
            self.fail(f"v{register} must be in memory, but is in register {place}")
        elif 0 <= constraint < SAME_AS and place != constraint:
            self.fail(f"v{register} must be in register {constraint}, but is in {place}")
        elif constraint >= SAME_AS:
            if place != places[constraint - SAME_AS]:
                self.fail(f"v{register} must be where operand {constraint - SAME_AS} is")
            if place < 0:
                self.fail(f"v{register} must be in a register, but is in slot {~place}")

    def edge(self, block: MachineBlock, successor: MachineBlock, state: _State) -> dict[int, Held]:
        passed = dict(state.held)
        if not successor.parameters:
            return passed
        if len(block.arguments) != len(successor.parameters):
            self.fail(f"{block!r} passes too few or too many arguments to {successor!r}")
        # First all old values go, then all new ones come: a parameter that is its own
        # argument keeps its value.
        old = frozenset(successor.parameters)
        changed: dict[int, set[int]] = {}
        for parameter in successor.parameters:
            for place in state.holders.get(parameter, ()):
                changed.setdefault(place, set(passed[place] - old))
        for argument, parameter in zip(block.arguments, successor.parameters, strict=True):
            for place in state.holders.get(argument, ()):
                changed.setdefault(place, set(passed[place] - old)).add(parameter)
        for place, values in changed.items():
            if values:
                passed[place] = frozenset(values)
            else:
                del passed[place]
        return passed


def _join(known: dict[int, Held], passed: dict[int, Held]) -> dict[int, Held]:
    """What both agree on; `known` itself if that has nothing more."""
    lost: dict[int, Held] = {}
    for place, held in known.items():
        other = passed.get(place, NOTHING)
        if held is not other and not held <= other:
            lost[place] = held & other
    if not lost:
        return known
    joined = dict(known)
    for place, held in lost.items():
        if held:
            joined[place] = held
        else:
            del joined[place]
    return joined
