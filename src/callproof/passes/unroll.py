"""Unrolling: several turns of a small loop in one, where their number is known.

Only a block that is a loop by itself, without calls: its turns are copied one behind the
other, the test stays behind the last.  A loop of very few turns goes altogether.  What
the copies compute of the variable are sums with numbers, which addresses take as offsets.
"""

from __future__ import annotations

from callproof.ir import operations as op
from callproof.ir.model import VALUE, Block, Function, Instruction, Operand, Target
from callproof.ir.shape import Shape, shape_of
from callproof.passes.induction import (
    LoopForm,
    counted_exit,
    entering_targets,
    loop_form,
    word,
)
from callproof.passes.licm import CALLS

FACTORS = (4, 3, 2)  # how many turns become one, the best first; their number must be a multiple
MOST_INSTRUCTIONS = 56  # of the result
MOST_WHOLE = 32  # of a loop that is copied out altogether
MOST_TURNS = 5  # of such a loop
WIDEST = 16  # bytes: what is wider becomes several instructions later

# Value number -> the unrolled block that it is of, and what it is behind that
Last = dict[int, tuple[Block, Operand]]


def run(function: Function, shape: Shape | None = None) -> bool:
    shape = shape_of(function, shape)
    if not shape.has_loops():
        return False
    tree, loops = shape.tree(), shape.loops()
    last: Last = {}
    for loop in loops.loops:
        if len(loop.blocks) != 1:
            continue
        form = loop_form(tree, loop)
        if form is None or not _is_small(form.header):
            continue
        exit_ = counted_exit(form, entering_targets(tree, loop))
        if exit_ is None or exit_.turns < 2:
            continue
        times = _factor(exit_.turns, len(form.header.instructions) - 1)
        if times > 1:
            now = _unroll(function, form, times, whole=times == exit_.turns)
            last |= {number: (form.header, operand) for number, operand in now.items()}
    if last:
        _replace_behind(function, last)
        shape.forget()
    return bool(last)


def _is_small(block: Block) -> bool:
    if len(block.instructions) * 2 > MOST_INSTRUCTIONS:
        return False
    return not any(
        instruction.operation in CALLS
        or any(value.type.size > WIDEST for value in instruction.results)
        for instruction in block.instructions
    )


def _factor(turns: int, instructions: int) -> int:
    """How many turns to put together; 1 for none."""
    if turns <= MOST_TURNS and turns * instructions <= MOST_WHOLE:
        return turns
    for times in FACTORS:
        if turns % times == 0 and turns > times and times * instructions <= MOST_INSTRUCTIONS:
            return times
    return 1


def _unroll(function: Function, form: LoopForm, times: int, *, whole: bool) -> dict[int, Operand]:
    """Copy a block `times` - 1 times behind itself.

    Gives what the block's values are behind the loop now: those of the last copy.  In the
    block itself that is done; elsewhere the caller must do it.
    """
    block, back = form.header, form.back
    terminator = block.terminator
    body = block.instructions[:-1]
    code = list(body)
    made_by = {induction.next.number: induction for induction in form.inductions.values()}
    now: dict[int, Operand] = {}  # what the original's values are in the copy at hand

    def current(operand: Operand) -> Operand:
        if operand.kind == VALUE:
            return now.get(operand.number, operand)  # type: ignore[union-attr]
        return operand

    following = list(back.arguments)
    for turn in range(1, times):
        now = {
            value.number: argument
            for value, argument in zip(block.parameters, following, strict=True)
        }
        for instruction in body:
            induction = made_by.get(instruction.results[0].number) if instruction.results else None
            if induction is not None:
                # Not a chain of additions: each is one number away from the variable.
                operands: list[Operand] = [induction.value, word(induction.step * (turn + 1))]
            else:
                operands = [current(operand) for operand in instruction.operands]
            copied = _copy(function, instruction, operands)
            code.append(copied)
            if instruction.results:
                now[instruction.results[0].number] = copied.results[0]
        following = [current(argument) for argument in back.arguments]
    terminator.operands = [current(operand) for operand in terminator.operands]
    leaving = [target for target in terminator.targets if target is not back]
    for target in leaving:
        target.arguments = [current(argument) for argument in target.arguments]
    back.arguments = following
    block.instructions = [*code, terminator]
    if whole:
        _leave_always(terminator, leaving)
    return now


def _copy(function: Function, instruction: Instruction, operands: list[Operand]) -> Instruction:
    results = [function.new_value(value.type, value.name) for value in instruction.results]
    copied = Instruction(
        instruction.operation, instruction.type, operands, results, instruction.line
    )
    copied.offset = instruction.offset
    return copied


def _leave_always(terminator: Instruction, leaving: list[Target]) -> None:
    (target,) = leaving
    terminator.operation = op.JUMP
    terminator.operands = []
    terminator.targets = [target]


def _replace_behind(function: Function, last: Last) -> None:
    """Behind the loops their values are those of the last copies."""

    def final(operand: Operand, block: Block) -> Operand:
        owner: Block | None = None
        while operand.kind == VALUE:
            found = last.get(operand.number)  # type: ignore[union-attr]
            # In its own block a value is itself; so is what its last copy is.
            if found is None or found[0] is block or found[0] is owner:
                break
            owner, operand = found
        return operand

    def replace(operands: list[Operand], block: Block) -> None:
        for index, operand in enumerate(operands):
            if operand.kind == VALUE and operand.number in last:  # type: ignore[union-attr]
                operands[index] = final(operand, block)

    for block in function.blocks:
        for instruction in block.instructions:
            replace(instruction.operands, block)
        for target in block.instructions[-1].targets:
            replace(target.arguments, block)


__all__ = ["run"]
