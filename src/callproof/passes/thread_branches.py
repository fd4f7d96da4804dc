"""Branches that are decided on the way to them: a block that only asks for its own parameter
is skipped by those that give it a constant.

    jump @both(1)                          jump @then
    @both(%p): branch %p, @then, @else     @both(%p): branch %p, @then, @else

One operation may stand before the branch, that of a parameter with a constant (what `not`
is).  Parameters must not be used elsewhere, as then they have to be what they were there.
"""

from __future__ import annotations

from callproof.ir.debug import forget_values_of_skipped
from callproof.ir.interpret import evaluate
from callproof.ir.model import CONSTANT, VALUE, Block, Function, Operand, Target, Value
from callproof.ir.operations import BRANCH, EQ, NE, XOR
from callproof.ir.shape import Shape

QUESTIONS = (XOR, EQ, NE)


def run(function: Function, shape: Shape | None = None) -> bool:
    asking = _asking(function)
    if not asking:
        return False
    changed = False
    skipped: list[Value] = []
    for block in function.blocks:
        for target in block.terminator.targets:
            # A chain of them is followed; a circle of them would decide nothing new.
            for _ in range(len(asking)):
                if target.block not in asking:
                    break
                further = _decided(target)
                if further is None:
                    break
                skipped += target.block.parameters
                for instruction in target.block.instructions:
                    skipped += instruction.results
                target.block, target.arguments = further.block, further.arguments
                changed = True
    if changed and shape is not None:
        shape.forget()
    forget_values_of_skipped(function, skipped)
    return changed


def _asking(function: Function) -> set[Block]:
    """Blocks that are a branch on one of their parameters, none of which is used elsewhere."""
    found = {
        block
        for block in function.blocks
        if block.instructions[-1].operation is BRANCH
        and len(block.instructions) <= 2
        and _asks(block)
    }
    if not found:
        return found
    owners = {one.number: block for block in found for one in block.parameters}
    for block in found:
        for instruction in block.instructions:
            owners.update((one.number, block) for one in instruction.results)
    for block in function.blocks:
        if not owners:
            break
        for instruction in block.instructions:
            used = list(instruction.operands)
            for target in instruction.targets or ():
                used += target.arguments
            for operand in used:
                if operand.kind == VALUE:
                    owner = owners.get(operand.number)  # type: ignore[union-attr]
                    if owner is not None and owner is not block:
                        found.discard(owner)
    return found


def _asks(block: Block) -> bool:
    """Of a block that ends with a branch, and has one more instruction at most."""
    asked = block.terminator.operands[0]
    if len(block.instructions) == 2:
        first = block.instructions[0]
        if first.operation not in QUESTIONS or first.operands[1].kind != CONSTANT:
            return False
        if asked is not first.results[0]:
            return False
        if any(asked in target.arguments for target in block.terminator.targets):
            return False
        asked = first.operands[0]
    return any(asked is one for one in block.parameters)


def _decided(target: Target) -> Target | None:
    """Where a jump to an asking block goes on; None if its argument is no constant."""
    block = target.block
    given: dict[Value, Operand] = dict(zip(block.parameters, target.arguments, strict=True))
    first = block.instructions[0]
    condition = first.operands[0]
    assert isinstance(condition, Value)
    known = given[condition]
    if known.kind != CONSTANT:
        return None
    answer = known.value  # type: ignore[union-attr]
    if first.operation is not BRANCH:
        assert first.type is not None
        second = first.operands[1].value  # type: ignore[union-attr]
        answer = evaluate(first.operation, first.type, [answer, second], first.type)
    chosen = block.terminator.targets[0 if answer else 1]
    arguments = [given.get(one, one) if isinstance(one, Value) else one for one in chosen.arguments]
    return Target(chosen.block, arguments)
