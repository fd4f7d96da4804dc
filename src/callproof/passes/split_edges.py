"""Give every edge that needs code of its own a block.

After this pass only `jump` passes arguments, and no edge leads from a block with
several successors to one with several predecessors (rules 1 and 2 of
`codegen/machine.py`), so that a move on an edge always has a place.
"""

from __future__ import annotations

from callproof.ir.model import Block, Function, Instruction, Target
from callproof.ir.operations import JUMP


def run(function: Function) -> bool:
    predecessors: dict[int, int] = {}
    for block in function.blocks:
        for target in block.terminator.targets:
            key = id(target.block)
            predecessors[key] = predecessors.get(key, 0) + 1
    blocks: list[Block] = []
    for block in function.blocks:
        blocks.append(block)
        terminator = block.terminator
        if len(terminator.targets) < 2:
            continue
        for index, target in enumerate(terminator.targets):
            if not target.arguments and predecessors[id(target.block)] < 2:
                continue
            edge = Block(f"{block.name}.to.{target.block.name}.{index}")
            jump = Instruction(JUMP, None, [], [], terminator.line)
            jump.targets = [target]
            edge.instructions.append(jump)
            terminator.targets[index] = Target(edge)
            blocks.append(edge)
    changed = len(blocks) != len(function.blocks)
    function.blocks = blocks
    return changed
