"""Turn each `switch` into tables of jumps and a binary search of comparisons and branches.

Cases that lie close together become a jump through a table: what code generation takes as
a `switch` has the cases 0, 1 .. n-1 of a word that is known to be one of them, and targets
without arguments (target 0, the default, is never meant).  The others are sorted and halved
until such a group is found or at most three are left, which are compared one by one: about
log2(n) + 2 comparisons for n groups and cases.  Arguments of the targets stay with their targets.
"""

from __future__ import annotations

from collections.abc import Callable

from callproof.ir.interpret import signed
from callproof.ir.model import Block, Constant, Function, Instruction, Operand, Target, Value
from callproof.ir.operations import ADD, BRANCH, EQ, JUMP, SLT, SWITCH, ULT, ZEXT, Operation
from callproof.ir.places import PlaceNumber
from callproof.ir.types import I64, Type

LINEAR_CASES = 3
FEWEST_IN_TABLE = 6
MOST_IN_TABLE = 1024
SPARSEST = 4  # entries for each case


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

    groups = _groups(cases)
    # A work list instead of recursion: each entry is a block to fill with a range of groups.
    pending = [(block, 0, len(groups))]
    while pending:
        place, low, high = pending.pop()
        if high - low == 1 and len(groups[low]) > 1:
            new_blocks += _table(function, place, switch, groups[low], default, fresh)
            continue
        if high - low <= LINEAR_CASES and all(len(group) == 1 for group in groups[low:high]):
            for index in range(low, high):
                ((value, target),) = groups[index]
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
            groups[middle][0][0],
            Target(lower),
            Target(upper),
            switch.line,
        )
        pending += [(upper, middle, high), (lower, low, middle)]
    position = function.blocks.index(block) + 1
    function.blocks[position:position] = new_blocks


def _groups(cases: list[tuple[int, Target]]) -> list[list[tuple[int, Target]]]:
    """The sorted cases: those for a table together, every other one by itself."""
    groups: list[list[tuple[int, Target]]] = []
    start = 0
    while start < len(cases):
        end = start + 1
        while end < len(cases):
            entries = cases[end][0] - cases[start][0] + 1
            if entries > min(SPARSEST * (end + 1 - start), MOST_IN_TABLE):
                break
            end += 1
        if end - start < FEWEST_IN_TABLE:
            end = start + 1
        groups.append(cases[start:end])
        start = end
    return groups


def _table(
    function: Function,
    block: Block,
    switch: Instruction,
    cases: list[tuple[int, Target]],
    default: Target,
    fresh: Callable[[], Block],
) -> list[Block]:
    """End a block with a jump through a table; gives blocks that only pass arguments on."""
    line, selector = switch.line, switch.operands[0]
    type_ = selector.type
    first, last = cases[0][0], cases[-1][0]

    def value(operation: Operation, to: Type, *operands: Operand) -> Value:
        result = function.new_value(I64 if operation.compares else to)
        block.instructions.append(Instruction(operation, to, list(operands), [result], line))
        return result

    index: Operand = selector
    if first:
        distance = Constant(type_, signed(-first, type_.bits))
        index = value(ADD, type_, index, distance)
    if type_.bits < I64.bits:
        index = value(ZEXT, I64, index)
    inside = value(ULT, I64, index, Constant(I64, last - first + 1))
    table = fresh()
    branch = Instruction(BRANCH, None, [inside], [], line)
    branch.targets = [Target(table), _copy(default)]
    block.instructions.append(branch)
    passing: list[Block] = []

    def without_arguments(target: Target) -> Target:
        if not target.arguments:
            return Target(target.block)
        between = Block(f"{table.name}.to.{target.block.name}.{len(passing)}")
        jump = Instruction(JUMP, None, [], [], line)
        jump.targets = [_copy(target)]
        between.instructions.append(jump)
        passing.append(between)
        return Target(between)

    meant = {number: without_arguments(target) for number, target in cases}
    missing = last - first + 1 > len(cases)
    hole = without_arguments(default) if missing else meant[first]
    entries = [meant.get(number, hole) for number in range(first, last + 1)]
    jump = Instruction(SWITCH, I64, [index], [], line)
    jump.cases = list(range(len(entries)))
    jump.targets = [Target(one.block) for one in (hole, *entries)]
    table.instructions.append(jump)
    return passing


def _branch(
    function: Function,
    block: Block,
    comparison: Operation,
    type_: Type,
    selector: Operand,
    value: int,
    then: Target,
    otherwise: Target,
    line: PlaceNumber,
) -> None:
    result = function.new_value(I64)
    compare = Instruction(comparison, type_, [selector, Constant(type_, value)], [result], line)
    branch = Instruction(BRANCH, None, [result], [], line)
    branch.targets = [then, otherwise]
    block.instructions += [compare, branch]


def _copy(target: Target) -> Target:
    return Target(target.block, list(target.arguments))
