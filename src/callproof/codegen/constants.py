"""Constants and addresses are made once: before the loops, and once in a stretch of code.

Selection makes a constant wherever an instruction wants it in a register.  What the
allocator can make again costs nothing to hold for long: where registers are short, it
goes back to where it was.  So each such definition moves in front of the outermost loop
around it, and equal ones become one where the first dominates the other.

A constant that stands only in call arguments or goes into a block's parameter stays, as
its copy would cost as much.  So does one in a loop with calls: it would need a preserved
register, or be made again in the loop.  (Calls in rare blocks do not count; nor do these
blocks' own constants move.)
"""

from __future__ import annotations

from collections.abc import Sequence

from callproof.codegen.flow import Flow
from callproof.codegen.machine import (
    DEF,
    FrameReference,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    SymbolReference,
)

Key = tuple[object, ...]
MOST_KNOWN = 40  # constants that a block takes over from the one before it


def share_constants(function: MachineFunction, flow: Flow | None = None) -> None:
    """Move and merge the definitions that can stand anywhere and have no operands.

    `flow` is the function's, if the caller has it.
    """
    if function.rematerialise or function.movable:
        _Sharing(function, flow or Flow(function)).run()


class _Sharing:
    """made    register -> its definition, of those that are made from nothing
    uses    register -> the instructions that read it
    held    what a register must hold for an instruction
    known   for each block the constants that are there at its end, and where they are
    """

    __slots__ = ("flow", "function", "held", "hoisted", "known", "made", "target", "uses")

    def __init__(self, function: MachineFunction, flow: Flow) -> None:
        self.function = function
        made = function.rematerialise | function.movable
        self.made = {
            register: instruction
            for register, instruction in made.items()
            if instruction.defines == 1 == len(instruction.registers)
        }
        self.flow = flow
        self.uses: dict[int, list[MachineInstruction]] = {}
        self.held: set[int] = set()
        self.known: list[dict[Key, int]] = []
        self.hoisted: dict[tuple[int, Key], MachineInstruction] = {}
        self.target: dict[int, int] = {}  # header -> the block in front of its outermost loop

    def run(self) -> None:
        if not self.made:
            return
        for block in self.function.blocks:
            self._block(block, self._find_uses(block) if block.makes_constants else ())
        for (index, _), instruction in self.hoisted.items():
            instructions = self.function.blocks[index].instructions
            if self.function.debug is not None:
                # A debugger that stops at its old line must not stop here.
                instruction.line = instructions[-1].line
            instructions.insert(len(instructions) - 1, instruction)

    def _find_uses(self, block: MachineBlock) -> list[int]:
        """Note who reads what in a block; where in it something is made, or called."""
        made, uses, held = self.made, self.uses, self.held
        is_none_of = made.keys().isdisjoint
        places: list[int] = []
        for index, instruction in enumerate(block.instructions):
            defines = instruction.defines
            if defines >= 0:
                registers = instruction.registers
                if is_none_of(registers):
                    continue
                if defines and registers[0] in made:
                    places.append(index)
                for register in registers[defines:]:
                    if register in made:
                        uses.setdefault(register, []).append(instruction)
                        held.add(register)
                continue
            if instruction.is_call:
                places.append(index)
            for operand in instruction.operands:
                register = operand.register
                if register in made and operand.role != DEF:
                    uses.setdefault(register, []).append(instruction)
                    if operand.constraint < 0:
                        held.add(register)
        return places

    def _block(self, block: MachineBlock, places: Sequence[int]) -> None:
        made, held = self.made, self.held
        index = block.index
        known = self._known_before(index)
        self.known.append(known)
        if not block.makes_constants:
            if known and any(instruction.is_call for instruction in block.instructions):
                known.clear()
            return
        before = -1 if block.rare else self._before_loops(index)
        gone: dict[int, int] = {}
        moved: list[int] = []  # places of what does not stay
        for place in places:
            instruction = block.instructions[place]
            if instruction.is_call:
                known.clear()
            registers = instruction.registers
            register = registers[0] if instruction.defines == 1 else 0
            if register not in held or made.get(register) is not instruction:
                continue
            key = _key(instruction)
            if before >= 0:
                moved.append(place)
                first = self.hoisted.setdefault((before, key), instruction)
                other = first.registers[0]
            else:
                other = known.setdefault(key, register)
                if other != register:
                    moved.append(place)
            if other != register:
                gone[register] = other
                for reader in self.uses[register]:
                    reader.rename(register, other)
                self.uses[other] += self.uses.pop(register)
                self.function.rematerialise.pop(register, None)
                self.function.movable.pop(register, None)
        for place in reversed(moved):
            del block.instructions[place]
        if gone and block.arguments:
            block.arguments = [gone.get(argument, argument) for argument in block.arguments]

    def _known_before(self, index: int) -> dict[Key, int]:
        predecessors = self.flow.predecessors[index]
        if len(predecessors) != 1 or predecessors[0] >= index:
            return {}
        known = self.known[predecessors[0]]
        return dict(known) if len(known) <= MOST_KNOWN else {}

    def _before_loops(self, index: int) -> int:
        """The block in front of the outermost loop that may do without; -1 to stay."""
        flow = self.flow
        header = flow.header[index]
        if header < 0:
            return -1
        found = self.target.get(header)
        if found is None:
            found = -1
            around = header
            while around >= 0 and around not in flow.with_calls:
                before = flow.preheader(around)
                if before < 0:
                    break
                found = before
                around = flow.outer[around]
            self.target[header] = found
        return found


def _key(instruction: MachineInstruction) -> Key:
    parts: list[object] = [instruction.form.name]
    for value in instruction.immediates:
        if isinstance(value, SymbolReference):
            parts.append((value.name, value.relocation, value.addend))
        elif isinstance(value, FrameReference):
            parts.append((value.kind, value.index, value.offset))
        else:
            parts.append(value)
    return tuple(parts)


__all__ = ["share_constants"]
