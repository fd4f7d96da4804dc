"""Give every edge that needs code of its own a block.

After this pass only `jump` passes arguments, and no edge leads from a block with
several successors to one with several predecessors (rules 1 and 2 of
`codegen/machine.py`), so that a move on an edge always has a place.  A `switch` is a jump
through a table here (`lower_switch.py`), whose targets have no arguments.
"""

from __future__ import annotations

from callproof.ir.model import Block, Function, Instruction, Target
from callproof.ir.operations import JUMP, SWITCH


def run(function: Function) -> bool:
    predecessors: dict[int, int] = {}
    for block in function.blocks:
        terminator = block.terminator
        edges = [id(target.block) for target in terminator.targets]
        for key in dict.fromkeys(edges) if terminator.operation is SWITCH else edges:
            predecessors[key] = predecessors.get(key, 0) + 1
    blocks: list[Block] = []
    for block in function.blocks:
        blocks.append(block)
        terminator = block.terminator
        if len(terminator.targets) < 2:
            continue
        known: dict[int, Block] = {}  # a table's entries for one block share its edge
        for index, target in enumerate(terminator.targets):
            if not target.arguments and predecessors[id(target.block)] < 2:
                continue
            if terminator.operation is SWITCH and id(target.block) in known:
                terminator.targets[index] = Target(known[id(target.block)])
                continue
            edge = Block(f"{block.name}.to.{target.block.name}.{index}")
            jump = Instruction(JUMP, None, [], [], terminator.line)
            jump.targets = [target]
            edge.instructions.append(jump)
            known[id(target.block)] = edge
            terminator.targets[index] = Target(edge)
            blocks.append(edge)
    changed = len(blocks) != len(function.blocks)
    function.blocks = blocks
    return changed
