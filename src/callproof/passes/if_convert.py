"""If conversion: a choice between two values by a branch becomes a `select`.

    branch c, ^then, ^end(a)                 %s = add a, 1
    ^then: %s = add a, 1; jump ^end(%s)      %r = select c, %s, a;  jump ^end(%r)

Both ways must be next to nothing: at most one cheap integer operation in all, which is
executed in any case afterwards, and one value that differs.  More would cost those who
do not need it, and each select compares anew.  Floats stay: they are chosen more slowly
than a branch is foreseen.
"""

from __future__ import annotations

from callproof.ir import debug
from callproof.ir import operations as op
from callproof.ir.model import CONSTANT, VALUE, Block, Function, Instruction, Operand, Target
from callproof.ir.shape import Shape

CHEAP = frozenset((op.ADD, op.SUB, op.AND, op.OR, op.XOR))
SHIFTS = frozenset((op.SHL, op.LSHR, op.ASHR))
MOST_MOVED = 1


def run(function: Function, shape: Shape | None = None) -> bool:
    predecessors: dict[Block, int] = {}
    gone: set[Block] = set()
    for block in function.blocks:
        terminator = block.instructions[-1]
        if terminator.operation is not op.BRANCH or block in gone:
            continue
        if any(_may_be_arm(target.block) for target in terminator.targets):
            if not predecessors:
                _count_predecessors(function, predecessors)
            gone |= _convert(function, block, predecessors)
    if not gone:
        return False
    function.blocks = [block for block in function.blocks if block not in gone]
    if shape is not None:
        shape.forget()
    return True


def _count_predecessors(function: Function, found: dict[Block, int]) -> None:
    """Of all blocks: some may be out of reach by now."""
    for block in function.blocks:
        for target in block.instructions[-1].targets:
            found[target.block] = found.get(target.block, 0) + 1


def _convert(function: Function, block: Block, predecessors: dict[Block, int]) -> set[Block]:
    """The blocks that are not needed any more."""
    terminator = block.terminator
    condition = terminator.operands[0]
    if not _is_compared_here(condition, block):
        return set()
    sides = [_arm(target, block, predecessors) for target in terminator.targets]
    moved: list[Instruction] = []
    gone: set[Block] = set()
    ends: list[Target] = []
    for target, arm in zip(terminator.targets, sides, strict=True):
        if arm is None:
            ends.append(target)
            continue
        moved += arm.instructions[:-1]
        gone.add(arm)
        ends.append(arm.terminator.targets[0])
    first, second = ends
    if not gone or first.block is not second.block or len(moved) > MOST_MOVED:
        return set()
    different = [
        n
        for n, (one, other) in enumerate(zip(first.arguments, second.arguments, strict=True))
        if not _same(one, other)
    ]
    if len(different) != 1:
        return set()
    (index,) = different
    then, otherwise = first.arguments[index], second.arguments[index]
    if not _is_chosen_cheaply(then, otherwise):
        return set()
    result = function.new_value(then.type, first.block.parameters[index].name)
    operands = [condition, then, otherwise]
    choice = Instruction(op.SELECT, then.type, operands, [result], terminator.line)
    jump = Instruction(op.JUMP, None, [], [], terminator.line)
    arguments = list(first.arguments)
    arguments[index] = result
    jump.targets = [Target(first.block, arguments)]
    for instruction in moved:
        instruction.line = debug.moved(instruction.line)
    block.instructions[-1:] = [*moved, choice, jump]
    predecessors[first.block] -= 1
    return gone


def _is_compared_here(condition: Operand, block: Block) -> bool:
    """Whether the select's comparison is one that sets the flags right there."""
    if condition.kind != VALUE:
        return False
    definition = condition.definition  # type: ignore[union-attr]
    return (
        definition is not None
        and definition.operation.compares
        and any(instruction is definition for instruction in block.instructions)
    )


def _may_be_arm(arm: Block) -> bool:
    """Whether a block is so short, and jumps on."""
    return (
        len(arm.instructions) <= MOST_MOVED + 1
        and not arm.parameters
        and arm.instructions[-1].operation is op.JUMP
    )


def _arm(target: Target, block: Block, predecessors: dict[Block, int]) -> Block | None:
    """A block that is entered from here only, does little, and jumps on."""
    arm = target.block
    if not _may_be_arm(arm) or predecessors[arm] != 1 or arm is block:
        return None
    if arm.terminator.targets[0].block is arm:
        return None
    for instruction in arm.instructions[:-1]:
        if instruction.operation not in CHEAP:
            # A shift by what is not known takes several instructions.
            shifts = instruction.operation in SHIFTS and instruction.operands[1].kind == CONSTANT
            if not shifts:
                return None
        if instruction.type is None or instruction.type.is_float or instruction.type.lanes > 1:
            return None
    return arm


def _same(one: Operand, other: Operand) -> bool:
    return one is other or (
        one.kind == CONSTANT and other.kind == CONSTANT and one.key() == other.key()  # type: ignore[union-attr]
    )


def _is_chosen_cheaply(one: Operand, other: Operand) -> bool:
    """Of integers; a number takes an instruction to be made, except 0."""
    if one.type.is_float or one.type.bits < 32 or one.type.bits != other.type.bits:
        return False
    made = [
        operand
        for operand in (one, other)
        if operand.kind != VALUE and not (operand.kind == CONSTANT and operand.value == 0)  # type: ignore[union-attr]
    ]
    return len(made) <= 1


__all__ = ["run"]
