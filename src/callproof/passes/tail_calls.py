"""Calls whose results are returned at once are marked: the back end may jump instead.

A jump to a block that only returns becomes a return first, so that `f(x) -> a, b` is
found in both arms.  Whether the stack arguments fit into the caller's own argument
area is the convention's affair, and is decided in `codegen/calls.py`.
"""

from __future__ import annotations

from callproof.ir.model import Function, Instruction, Operand
from callproof.ir.operations import CALL, CALL_INDIRECT, JUMP, RETURN, SLOT
from callproof.ir.shape import Shape


def run(function: Function, shape: Shape | None = None) -> bool:
    changed = False
    if any(i.operation is SLOT for block in function.blocks for i in block.instructions):
        return False  # the callee may be given the address of something in our frame
    for block in function.blocks:
        if len(block.instructions) < 2:
            continue
        call, last = block.instructions[-2:]
        if call.operation is not CALL and call.operation is not CALL_INDIRECT:
            continue
        values = returned(last)
        if values is None or not same_values(values, call):
            continue
        if last.operation is not RETURN:
            block.instructions[-1] = Instruction(RETURN, None, values, [], last.line)
            changed = True
            if shape is not None:
                shape.forget()
        if not call.tail:
            call.tail = changed = True
    return changed


def returned(last: Instruction) -> list[Operand] | None:
    """What the function returns if control is here; None if that is not known."""
    if last.operation is RETURN:
        return last.operands
    if last.operation is not JUMP:
        return None
    (target,) = last.targets
    (first, *more) = target.block.instructions
    if more or first.operation is not RETURN:
        return None
    given = {id(p): a for p, a in zip(target.block.parameters, target.arguments, strict=True)}
    return [given.get(id(operand), operand) for operand in first.operands]


def same_values(returned: list[Operand], call: Instruction) -> bool:
    """Whether exactly the call's results are returned (or nothing at all)."""
    return not returned or (
        len(returned) == len(call.results)
        and all(a is b for a, b in zip(returned, call.results, strict=True))
    )
