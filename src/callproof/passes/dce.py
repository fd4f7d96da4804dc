"""Dead code: instructions, and block parameters, whose value nobody needs.

Needed are the operands of what has an effect; from there needs are followed
backwards, through jumps' arguments only for parameters that are needed themselves.
"""

from __future__ import annotations

from callproof.ir.model import VALUE, Block, Function, Operand, Target
from callproof.ir.shape import Shape


def run(function: Function, shape: Shape | None = None) -> bool:
    needed: set[int] = set()
    pending: list[Operand] = []
    edges: dict[int, list[Target]] = {}
    for block in function.blocks:
        for target in block.terminator.targets:
            edges.setdefault(id(target.block), []).append(target)
        for instruction in block.instructions:
            if instruction.operation.effect:
                pending += instruction.operands
    places: dict[int, tuple[Block, int]] = {
        value.number: (block, index)
        for block in function.blocks
        for index, value in enumerate(block.parameters)
    }
    while pending:
        operand = pending.pop()
        if operand.kind != VALUE or operand.number in needed:  # type: ignore[union-attr]
            continue
        number = operand.number  # type: ignore[union-attr]
        needed.add(number)
        definition = operand.definition  # type: ignore[union-attr]
        if definition is not None:
            if not definition.operation.effect:
                pending += definition.operands
            continue
        block, index = places[number]
        pending += [target.arguments[index] for target in edges.get(id(block), ())]
    changed = False
    for block in function.blocks:
        kept = [
            instruction
            for instruction in block.instructions
            if instruction.operation.effect or instruction.results[0].number in needed
        ]
        if len(kept) != len(block.instructions):
            block.instructions = kept
            changed = True
        if block is function.blocks[0]:
            continue
        for index in range(len(block.parameters) - 1, -1, -1):
            if block.parameters[index].number not in needed:
                del block.parameters[index]
                for target in edges.get(id(block), ()):
                    del target.arguments[index]
                changed = True
    return changed
