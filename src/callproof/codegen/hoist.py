"""Constants and addresses that loops need are made before the loops.

Selection makes a constant that fits no immediate right before each use.  In a loop that is
work for each turn: here such definitions (they have no register inputs) go to the block
before the outermost loop around them, equal ones of a loop become one.  What the allocator
may make again it still may, so where registers are short the constant is made in the loop,
as before.

A use that wants a register of its own (fixed, tied to a result, a jump's argument) takes
an instruction either way; what only such uses have stays, if it is one instruction.
"""

from __future__ import annotations

from callproof.codegen.machine import (
    DEF,
    FIRST_VIRTUAL,
    REGISTER,
    SAME_AS,
    FrameReference,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    SymbolReference,
)
from callproof.ir.dominance import immediate_dominators
from callproof.ir.loops import Loop, Loops

# Constants kept over a loop, by class: more would only push out what changes.  Across calls
# there are few registers, and what gets none is made on the way back to the header.
MOST = (8, 12)
MOST_WITH_CALLS = (0, 0)


def run(function: MachineFunction) -> None:
    """Move definitions out of loops, in place; the function is still SSA."""
    blocks = function.blocks
    if not any(s.index <= block.index for block in blocks for s in block.successors):
        return
    order = _reverse_postorder(blocks)
    positions = {block.index: position for position, block in enumerate(order)}
    predecessors: list[list[int]] = [[] for _ in order]
    for position, block in enumerate(order):
        for successor in block.successors:
            predecessors[positions[successor.index]].append(position)
    loops = Loops(predecessors, immediate_dominators(predecessors))
    if loops.loops:
        _Hoister(function, order, predecessors, loops).run()


def _reverse_postorder(blocks: list[MachineBlock]) -> list[MachineBlock]:
    seen = {blocks[0].index}
    found: list[MachineBlock] = []
    stack = [(blocks[0], iter(blocks[0].successors))]
    while stack:
        block, successors = stack[-1]
        for following in successors:
            if following.index not in seen:
                seen.add(following.index)
                stack.append((following, iter(following.successors)))
                break
        else:
            stack.pop()
            found.append(block)
    found.reverse()
    return found


class _Hoister:
    __slots__ = (
        "function",
        "kept",
        "loops",
        "made",
        "order",
        "places",
        "renamed",
        "uses",
        "with_calls",
    )

    def __init__(
        self,
        function: MachineFunction,
        order: list[MachineBlock],
        predecessors: list[list[int]],
        loops: Loops,
    ) -> None:
        self.function = function
        self.order = order
        self.loops = loops
        # Loop -> the block before it, if there is one that leads nowhere else.
        self.places: dict[Loop, MachineBlock] = {}
        for loop in loops.loops:
            outside = [p for p in predecessors[loop.header] if p not in loop.members]
            if len(outside) == 1 and len(order[outside[0]].successors) == 1:
                self.places[loop] = order[outside[0]]
        self.with_calls = {
            loop
            for loop in loops.loops
            if any(i.is_call for position in loop.blocks for i in order[position].instructions)
        }
        self.uses = _plain_uses(function)
        self.kept: dict[Loop, list[int]] = {loop: [0, 0] for loop in loops.loops}
        self.made: dict[tuple[object, ...], int] = {}
        self.renamed: dict[int, int] = {}

    def run(self) -> None:
        for position, block in enumerate(self.order):
            loop = self.loops.innermost[position]
            if loop is None:
                continue
            kept = [i for i in block.instructions if not self._moved(i, loop)]
            if len(kept) != len(block.instructions):
                block.instructions = kept
        if self.renamed:
            _rename(self.function, self.renamed)

    def _moved(self, instruction: MachineInstruction, loop: Loop) -> bool:
        """Whether the instruction was moved out of its block, which is in the loop."""
        operands = instruction.operands
        if not operands or operands[0].role != DEF or operands[0].register < FIRST_VIRTUAL:
            return False
        register = operands[0].register
        if register in self.function.rematerialise:
            if register not in self.uses:
                return False
        elif register not in self.function.constants:
            return False
        around: Loop | None = loop
        fixed = [operand.register for operand in operands[1:]]  # the stack pointer
        key = (instruction.form, *fixed, *map(_key, instruction.immediates))
        class_ = self.function.classes[register - FIRST_VIRTUAL]
        best: Loop | None = None
        while around is not None:
            known = self.made.get((around, *key))
            if known is not None:
                self.renamed[register] = known
                self.function.rematerialise.pop(register, None)
                return True
            if not self._has_room(around, class_):
                break
            if around in self.places:
                best = around
            around = around.parent
        if best is None:
            return False
        around = loop
        while around is not None:
            self.kept[around][class_] += 1
            if around is best:
                break
            around = around.parent
        self.made[(best, *key)] = register
        _append(self.places[best], instruction)
        return True

    def _has_room(self, loop: Loop, class_: int) -> bool:
        most = MOST_WITH_CALLS if loop in self.with_calls else MOST
        return self.kept[loop][class_] < most[class_]


def _key(immediate: object) -> object:
    if isinstance(immediate, SymbolReference):
        return (immediate.name, immediate.relocation, immediate.addend)
    if isinstance(immediate, FrameReference):
        return (immediate.kind, immediate.index, immediate.offset)
    return immediate


def _plain_uses(function: MachineFunction) -> set[int]:
    """Constants that some instruction reads in any register and leaves there."""
    candidates = function.rematerialise
    found: set[int] = set()
    for block in function.blocks:
        for instruction in block.instructions:
            operands = instruction.operands
            tied = [o.constraint - SAME_AS for o in operands if o.constraint >= SAME_AS]
            for which, operand in enumerate(operands):
                if (
                    operand.role != DEF
                    and operand.register in candidates
                    and operand.constraint == REGISTER
                    and which not in tied
                ):
                    found.add(operand.register)
    return found


def _append(block: MachineBlock, instruction: MachineInstruction) -> None:
    """Before the block's only jump; nothing here changes the flags."""
    instructions = block.instructions
    instructions.insert(len(instructions) - 1, instruction)


def _rename(function: MachineFunction, renamed: dict[int, int]) -> None:
    for block in function.blocks:
        for instruction in block.instructions:
            for operand in instruction.operands:
                register = renamed.get(operand.register)
                if register is not None:
                    operand.register = register
        if block.arguments:
            block.arguments = [renamed.get(register, register) for register in block.arguments]


__all__ = ["run"]
