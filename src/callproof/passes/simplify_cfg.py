"""Control flow: decided branches, empty blocks, straight lines of blocks.

One round does, in this order: branches and switches on constants become jumps;
blocks that cannot be reached go; jumps to a block that only jumps on go on there
at once; a block whose only predecessor only jumps to it is appended to that.
"""

from __future__ import annotations

from callproof.ir.debug import forget_values_of_skipped
from callproof.ir.dominance import edge_counts
from callproof.ir.model import (
    CONSTANT,
    VALUE,
    Block,
    Function,
    Instruction,
    Operand,
    Target,
    Value,
)
from callproof.ir.operations import BRANCH, JUMP, SWITCH
from callproof.ir.shape import Shape
from callproof.ir.ssa import replace_operands


def run(function: Function, shape: Shape | None = None) -> bool:
    changed = False
    for block in function.blocks:
        terminator = block.instructions[-1]
        if terminator.operation is BRANCH or terminator.operation is SWITCH:
            changed |= _decide(terminator)
    edges = edge_counts(function)
    changed |= _keep(function, edges)
    if _thread_jumps(function):
        changed = True
        edges = edge_counts(function)
        _keep(function, edges)
    changed |= _merge_lines(function, edges)
    if changed and shape is not None:
        shape.forget()
    return changed


def _become_jump(terminator: Instruction, target: Target) -> None:
    terminator.operation = JUMP
    terminator.operands = []
    terminator.targets = [target]
    terminator.cases = []


def _decide(terminator: Instruction) -> bool:
    """Make a jump of a branch or switch of which it is known where it leads."""
    operation = terminator.operation
    selector = terminator.operands[0]
    if selector.kind == CONSTANT:
        value = int(selector.value)  # type: ignore[union-attr]
        if operation is BRANCH:
            index = 0 if value else 1
        else:
            index = terminator.cases.index(value) + 1 if value in terminator.cases else 0
        _become_jump(terminator, terminator.targets[index])
        return True
    first = terminator.targets[0]
    for target in terminator.targets[1:]:
        if target.block is not first.block or not _equal(target.arguments, first.arguments):
            return False
    _become_jump(terminator, first)
    return True


def _equal(first: list[Operand], second: list[Operand]) -> bool:
    return all(
        a is b or (a.kind == CONSTANT and b.kind == CONSTANT and a.key() == b.key())  # type: ignore[union-attr]
        for a, b in zip(first, second, strict=True)
    )


def _keep(function: Function, reached: dict[Block, int]) -> bool:
    """Remove all blocks but these."""
    if len(reached) == len(function.blocks):
        return False
    function.blocks = [block for block in function.blocks if block in reached]
    return True


def _thread_jumps(function: Function) -> bool:
    """Lead edges to a block that has nothing but a jump past it.

    The block's parameters may be used by its own jump only; then its jump's arguments
    are rewritten for each edge.
    """
    empty: set[Block] = set()
    for block in function.blocks:
        if len(block.instructions) == 1 and block.instructions[0].operation is JUMP:
            empty.add(block)
    empty.discard(function.blocks[0])
    if not empty:
        return False
    elsewhere = _used_elsewhere(function, empty)
    skipped: list[Value] = []
    changed = False
    for block in function.blocks:
        for target in block.instructions[-1].targets:
            if target.block not in empty:
                continue
            passed: set[Block] = set()
            while target.block in empty:
                middle = target.block
                if middle in passed:
                    break
                if any(value.number in elsewhere for value in middle.parameters):
                    break
                passed.add(middle)
                following = middle.terminator.targets[0]
                replaced = {
                    value.number: argument
                    for value, argument in zip(middle.parameters, target.arguments, strict=True)
                }
                target.arguments = [
                    replaced.get(operand.number, operand)  # type: ignore[union-attr]
                    if operand.kind == VALUE
                    else operand
                    for operand in following.arguments
                ]
                target.block = following.block
                skipped += middle.parameters
                changed = True
    forget_values_of_skipped(function, skipped)
    return changed


def _used_elsewhere(function: Function, empty: set[Block]) -> set[int]:
    """Parameters of empty blocks that something besides their own jump reads."""
    owners = {value.number: block for block in empty for value in block.parameters}
    found: set[int] = set()
    if not owners:
        return found
    for block in function.blocks:
        for instruction in block.instructions:
            for operand in instruction.operands:
                if operand.kind == VALUE and owners.get(operand.number, block) is not block:  # type: ignore[union-attr]
                    found.add(operand.number)  # type: ignore[union-attr]
        for target in block.instructions[-1].targets:
            for operand in target.arguments:
                if operand.kind == VALUE and owners.get(operand.number, block) is not block:  # type: ignore[union-attr]
                    found.add(operand.number)  # type: ignore[union-attr]
    return found


def _merge_lines(function: Function, edges: dict[Block, int]) -> bool:
    """`edges`: how many lead to each block."""
    replacements: dict[int, Operand] = {}
    gone: set[Block] = set()
    for block in function.blocks:
        if block in gone:
            continue
        while block.instructions[-1].operation is JUMP:
            target = block.instructions[-1].targets[0]
            following = target.block
            if edges[following] != 1 or following is block:
                break
            for value, argument in zip(following.parameters, target.arguments, strict=True):
                replacements[value.number] = argument
            block.instructions.pop()
            block.instructions += following.instructions
            gone.add(following)
    if not gone:
        return False
    function.blocks = [block for block in function.blocks if block not in gone]
    replace_operands(function, replacements)
    return True
