"""Turn each `switch` into a binary search of comparisons and branches.

Code generation knows two-way branches only.  The cases are sorted and halved
until at most three are left, which are compared one by one: about log2(n) + 2
comparisons for n cases.  Arguments of the targets stay with their targets.
"""

from __future__ import annotations

from callproof.ir.model import Block, Constant, Function, Instruction, Operand, Target
from callproof.ir.operations import BRANCH, EQ, JUMP, SLT, SWITCH, Operation
from callproof.ir.types import I64, Type

LINEAR_CASES = 3


def run(function: Function) -> bool:
    changed = False
    for block in list(function.blocks):
        if block.terminator.operation is SWITCH:
            _lower(function, block)
            changed = True
    return changed


def _lower(function: Function, block: Block) -> None:
    switch = block.instructions.pop()
    default = switch.targets[0]
    cases = sorted(zip(switch.cases, switch.targets[1:], strict=True), key=lambda case: case[0])
    new_blocks: list[Block] = []
    type_ = switch.operands[0].type
    selector = switch.operands[0]

    def fresh() -> Block:
        created = Block(f"{block.name}.case{len(new_blocks)}")
        new_blocks.append(created)
        return created

    # A work list instead of recursion: each entry is a block to fill with a range of cases.
    pending = [(block, 0, len(cases))]
    while pending:
        place, low, high = pending.pop()
        if high - low <= LINEAR_CASES:
            for index in range(low, high):
                value, target = cases[index]
                following = fresh() if index + 1 < high else None
                otherwise = Target(following) if following else _copy(default)
                _branch(function, place, EQ, type_, selector, value, target, otherwise, switch.line)
                if following:
                    place = following
            if low == high:
                jump = Instruction(JUMP, None, [], [], switch.line)
                jump.targets = [_copy(default)]
                place.instructions.append(jump)
            continue
        middle = (low + high) // 2
        lower, upper = fresh(), fresh()
        _branch(
            function,
            place,
            SLT,
            type_,
            selector,
            cases[middle][0],
            Target(lower),
            Target(upper),
            switch.line,
        )
        pending += [(upper, middle, high), (lower, low, middle)]
    position = function.blocks.index(block) + 1
    function.blocks[position:position] = new_blocks


def _branch(
    function: Function,
    block: Block,
    comparison: Operation,
    type_: Type,
    selector: Operand,
    value: int,
    then: Target,
    otherwise: Target,
    line: int,
) -> None:
    result = function.new_value(I64)
    compare = Instruction(comparison, type_, [selector, Constant(type_, value)], [result], line)
    branch = Instruction(BRANCH, None, [result], [], line)
    branch.targets = [then, otherwise]
    block.instructions += [compare, branch]


def _copy(target: Target) -> Target:
    return Target(target.block, list(target.arguments))
