"""Proof that an allocation computes what the code before allocation computed.

A forward dataflow analysis over the allocated code.  The state maps each location
(register or spill slot) to the set of virtual registers whose current value it
holds; a location that is not in the map holds nothing that we know.

Lattice: the sets are ordered by inclusion, more is better; blocks that have not
been reached yet have no state at all (top).  Where paths meet, each location
keeps what it holds on all of them (intersection).

Transfer:
  move           destination holds what the source held; all moves of a group read first
  remake         destination holds the value that the instruction computes
  use            the operand's location must hold the operand's value
  clobber        the location holds nothing
  definition     the location holds just that value; no other location holds it any more
                 (in a loop, copies of the last round's value are not this value)
  edge           a successor's parameter is in each location that holds its argument;
                 what held the parameter's old value does not hold the new one

The allocator's own data structures are not used: what is checked is its answer.
"""

from __future__ import annotations

from collections.abc import Sequence

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

State = dict[int, frozenset[int]]
NOTHING: frozenset[int] = frozenset()


def check(function: MachineFunction, allocation: Allocation, registers: RegisterFile) -> None:
    """Raise `InternalError`, saying where and what, if the allocation is not right."""
    _Checker(function, allocation, registers).run()


class _Checker:
    __slots__ = ("allocatable", "allocation", "callee_saved", "function", "place")

    def __init__(
        self, function: MachineFunction, allocation: Allocation, registers: RegisterFile
    ) -> None:
        self.function = function
        self.allocation = allocation
        self.callee_saved = registers.callee_saved
        self.allocatable = [frozenset(group) for group in registers.allocatable]
        self.place = ""

    def fail(self, message: str) -> None:
        raise InternalError(f"allocation of {self.function.name} is wrong: {self.place}: {message}")

    def run(self) -> None:
        blocks = self.function.blocks
        entry: list[State | None] = [None] * len(blocks)
        entry[0] = {}
        pending = [0]
        while pending:
            index = pending.pop()
            before = entry[index]
            assert before is not None
            state = dict(before)
            block = blocks[index]
            self.block(block, state)
            for successor in block.successors:
                passed = self.edge(block, successor, state)
                known = entry[successor.index]
                joined = passed if known is None else _join(known, passed)
                if known is None or joined != known:
                    entry[successor.index] = joined
                    if successor.index not in pending:
                        pending.append(successor.index)

    # --- transfer ----------------------------------------------------------------------

    def block(self, block: MachineBlock, state: State) -> None:
        for index, instruction in enumerate(block.instructions):
            self.place = f"block {block.index} ({block.name}), before {instruction.form.name}"
            for group in self.allocation.edits.get((block.index, index), ()):
                self.group(group, state)
            self.place = f"block {block.index} ({block.name}), instruction {index}"
            self.place += f" ({instruction.form.name})"
            self.instruction(instruction, state)

    def group(self, group: Sequence[Move], state: State) -> None:
        new: State = {}
        for move in group:
            if move.destination in new:
                self.fail(f"two moves of one group write {move.destination}")
            self.check_size(move)
            if move.rematerialise is None:
                new[move.destination] = state.get(move.source, NOTHING)
                continue
            if self.function.rematerialise.get(move.register) is not move.rematerialise:
                self.fail(f"v{move.register} is made again by an instruction that does not make it")
            new[move.destination] = frozenset((move.register,))
        state.update(new)

    def check_size(self, move: Move) -> None:
        index = move.register - FIRST_VIRTUAL
        size, class_ = self.function.sizes[index], self.function.classes[index]
        places = [move.destination]
        if move.rematerialise is None:
            places.append(move.source)
        for place in places:
            if place < 0:
                slots = self.allocation.spill_slots
                if ~place >= len(slots) or slots[~place].size < size:
                    self.fail(f"v{move.register} of {size} bytes does not fit spill slot {~place}")
            elif place not in self.allocatable[class_]:
                self.fail(f"v{move.register} moves through register {place}, which is not its own")

    def instruction(self, instruction: MachineInstruction, state: State) -> None:
        operands, places = instruction.operands, instruction.allocation
        if places is None or len(places) != len(operands):
            self.fail("operands without a location")
            return
        early_written: set[int] = set()
        late_written: set[int] = set()
        for operand, place in zip(operands, places, strict=True):
            if operand.role == DEF and operand.register >= FIRST_VIRTUAL:
                (early_written if operand.timing == EARLY else late_written).add(place)
        for which, (operand, place) in enumerate(zip(operands, places, strict=True)):
            self.constraint(operand, place, places)
            if operand.role == DEF or operand.register < FIRST_VIRTUAL:
                continue
            if operand.register not in state.get(place, NOTHING):
                held = ", ".join(f"v{v}" for v in sorted(state.get(place, NOTHING)))
                self.fail(
                    f"operand {which} reads v{operand.register} in {place}, "
                    f"which holds {held or 'nothing known'}"
                )
            if place in early_written:
                self.fail(f"operand {which} is overwritten in {place} before it is read")
            clobbered = place >= 0 and instruction.clobbers >> place & 1
            if operand.timing == LATE and (place in late_written or clobbered):
                self.fail(f"operand {which} in {place} does not outlive the instruction")
        for place in [p for p in state if p >= 0 and instruction.clobbers >> p & 1]:
            del state[place]
        if instruction.is_call:
            self.halve(state)
        seen: set[int] = set()
        for operand, place in zip(operands, places, strict=True):
            if operand.role != DEF or operand.register < FIRST_VIRTUAL:
                continue
            if place in seen:
                self.fail(f"two results in {place}")
            seen.add(place)
            _define(state, operand.register, place)

    def halve(self, state: State) -> None:
        """Of the callee-saved SIMD registers a call preserves the low 64 bits only."""
        sizes = self.function.sizes
        for place, held in list(state.items()):
            if place >= 0 and self.callee_saved >> place & 1 and place in self.allocatable[FLOAT]:
                state[place] = frozenset(v for v in held if sizes[v - FIRST_VIRTUAL] <= 8)

    def constraint(self, operand: Operand, place: int, places: Sequence[int]) -> None:
        register, constraint = operand.register, operand.constraint
        if register < FIRST_VIRTUAL:
            if place != register:
                self.fail(f"physical register {register} became {place}")
            return
        if place >= 0:
            class_ = self.function.classes[register - FIRST_VIRTUAL]
            if place not in self.allocatable[class_]:
                self.fail(f"v{register} is in register {place}, which is not allocatable for it")
        if constraint == ANY:
            return
        if constraint == REGISTER and place < 0:
            self.fail(f"v{register} must be in a register, but is in slot {~place}")
        elif constraint == STACK and place >= 0:
            self.fail(f"v{register} must be in memory, but is in register {place}")
        elif 0 <= constraint < SAME_AS and place != constraint:
            self.fail(f"v{register} must be in register {constraint}, but is in {place}")
        elif constraint >= SAME_AS and place != places[constraint - SAME_AS]:
            self.fail(f"v{register} must be where operand {constraint - SAME_AS} is")

    def edge(self, block: MachineBlock, successor: MachineBlock, state: State) -> State:
        if not successor.parameters:
            return dict(state)
        if len(block.arguments) != len(successor.parameters):
            self.fail(f"{block!r} passes too few or too many arguments to {successor!r}")
        # A parameter that is its own argument keeps its value.
        old = frozenset(successor.parameters)
        passed: State = {}
        pairs = list(zip(block.arguments, successor.parameters, strict=True))
        for place, held in state.items():
            new = {v for v in held if v not in old}
            new.update(parameter for argument, parameter in pairs if argument in held)
            if new:
                passed[place] = frozenset(new)
        return passed


def _define(state: State, register: int, place: int) -> None:
    for other, held in list(state.items()):
        if register in held:
            state[other] = held - {register}
    state[place] = frozenset((register,))


def _join(first: State, second: State) -> State:
    joined: State = {}
    for place, held in first.items():
        both = held & second.get(place, NOTHING)
        if both:
            joined[place] = both
    return joined
