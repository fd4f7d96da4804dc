"""Dead code: instructions, and block parameters, whose value nobody needs.

Needed are the operands of what has an effect; from there needs are followed
backwards, through jumps' arguments only for parameters that are needed themselves.
"""

from __future__ import annotations

from callproof.ir.model import VALUE, Block, Function, Operand, Target
from callproof.ir.shape import Shape


def run(function: Function, shape: Shape | None = None) -> bool:
    # By value number: 1 for what is needed.
    needed = bytearray(function.next_number)
    pending: list[Operand] = []
    alive = candidates = 0  # instructions that are needed for their results only
    edges: dict[Block, list[Target]] = {}
    places: dict[int, tuple[Block, int]] = {}
    for block in function.blocks:
        for instruction in block.instructions:
            if instruction.operation.effect:
                pending += instruction.operands
            else:
                candidates += 1
        for target in block.instructions[-1].targets:
            if target.arguments:
                edges.setdefault(target.block, []).append(target)
        for index, value in enumerate(block.parameters):
            places[value.number] = block, index
    while pending:
        operand = pending.pop()
        if operand.kind != VALUE:
            continue
        number = operand.number  # type: ignore[union-attr]
        if needed[number]:
            continue
        needed[number] = 1
        definition = operand.definition  # type: ignore[union-attr]
        if definition is not None:
            if not definition.operation.effect:
                alive += 1
                pending += definition.operands
            continue
        block, index = places[number]
        for target in edges.get(block, ()):
            pending.append(target.arguments[index])
    changed = alive != candidates
    entry = function.blocks[0]
    for block in function.blocks:
        if alive != candidates:
            block.instructions = [
                instruction
                for instruction in block.instructions
                if instruction.operation.effect or needed[instruction.results[0].number]
            ]
        if block is entry or not block.parameters:
            continue
        for index in range(len(block.parameters) - 1, -1, -1):
            if not needed[block.parameters[index].number]:
                del block.parameters[index]
                for target in edges.get(block, ()):
                    del target.arguments[index]
                changed = True
    return changed
