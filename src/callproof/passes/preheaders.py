"""The block before a loop: where all ways into it from outside meet."""

from __future__ import annotations

from callproof.ir.dominance import Dominators
from callproof.ir.loops import Loop
from callproof.ir.model import Block, Function, Instruction, Operand, Target
from callproof.ir.operations import JUMP
from callproof.ir.shape import Shape


def make_preheaders(function: Function, shape: Shape, loops: list[Loop]) -> dict[Loop, Block]:
    """For each loop the only block outside that jumps to its header, and nowhere else.

    It is made where there is none.  `loops` are of the function as it was; blocks made here
    are not in them.
    """
    tree = shape.tree()
    found: dict[Loop, Block] = {}
    new: dict[int, Block] = {}  # by the header's id
    for loop in loops:
        header = tree.order[loop.header]
        found[loop], is_new = _preheader(function, tree, loop, header)
        if is_new:
            new[id(header)] = found[loop]
    if new:
        blocks: list[Block] = []
        for block in function.blocks:
            if id(block) in new:
                blocks.append(new[id(block)])
            blocks.append(block)
        function.blocks = blocks
        shape.forget()
    return found


def _preheader(
    function: Function, tree: Dominators, loop: Loop, header: Block
) -> tuple[Block, bool]:
    outside: list[tuple[Block, Target]] = []
    for position in dict.fromkeys(tree.predecessors[loop.header]):
        if position not in loop.members:
            block = tree.order[position]
            outside += [(block, t) for t in block.terminator.targets if t.block is header]
    if len(outside) == 1 and outside[0][0].terminator.operation is JUMP:
        return outside[0][0], False
    preheader = Block(f"{header.name}.before{function.next_number}")
    function.next_number += 1  # so that the name is the only one
    given: list[Operand]
    if len(outside) == 1:
        given = outside[0][1].arguments
        outside[0][1].arguments = []
    else:
        parameters: list[Operand] = []
        for value in header.parameters:
            parameters.append(function.add_parameter(preheader, value.type, value.name))
        given = parameters
    for _, target in outside:
        target.block = preheader
    line = outside[0][0].terminator.line
    jump = Instruction(JUMP, None, [], [], line)
    jump.targets = [Target(header, given)]
    preheader.instructions.append(jump)
    return preheader, True


__all__ = ["make_preheaders"]
