"""Loop rotation: a loop that asks at its head asks once before it and then at its end.

    head: c; branch inside, out            head: c; branch before, out
    inside: ...; jump head                 before: jump inside
                                           inside: ...; c; branch before, out

A turn has one jump less, and what is inside is executed whenever the loop is entered, which
lets loads go before it.  The head is copied, so it must be small, and without calls.

What the head computes is computed in two places then.  Its values get parameters in a new
block before the inside and in one on the way out; where a use is reached from neither
of these alone, the loop stays as it is.
"""

from __future__ import annotations

from callproof.ir import operations as op
from callproof.ir.dominance import Dominators
from callproof.ir.loops import Loop
from callproof.ir.model import VALUE, Block, Function, Instruction, Operand, Target, Value
from callproof.ir.shape import Shape, shape_of
from callproof.passes.licm import CALLS

MOST_INSTRUCTIONS = 8  # of the head, with its branch


def run(function: Function, shape: Shape | None = None) -> bool:
    """One loop after the other; those in each other have different heads and latches."""
    shape = shape_of(function, shape)
    if not shape.has_loops():
        return False
    tree = shape.tree()
    found = [loop for loop in shape.loops().loops if _is_suitable(tree, loop)]
    if not found:
        return False
    uses = _Uses(tree, [tree.order[loop.header] for loop in found])
    touched: set[int] = set()
    new: dict[int, list[Block]] = {}  # by the id of the block that they stand behind
    for loop in found:
        # What was copied for a loop is not in the tree: neighbours wait for another round.
        near = {id(tree.order[n]) for n in (loop.header, loop.latches[0])}
        near |= {id(block) for block in tree.order[loop.header].successors()}
        if near & touched:
            continue
        blocks = _rotate(function, tree, loop, uses)
        if blocks:
            touched |= near
            new[id(tree.order[loop.header])] = blocks
    if new:
        together: list[Block] = []
        for block in function.blocks:
            together.append(block)
            together += new.get(id(block), ())
        function.blocks = together
        shape.forget()
    return bool(new)


def _is_suitable(tree: Dominators, loop: Loop) -> bool:
    head = tree.order[loop.header]
    if len(loop.latches) != 1 or loop.latches[0] == loop.header:
        return False
    if loop.header == 0 or tree.order[loop.latches[0]].terminator.operation is not op.JUMP:
        return False
    terminator = head.terminator
    if terminator.operation is not op.BRANCH or len(head.instructions) > MOST_INSTRUCTIONS:
        return False
    if any(i.operation in CALLS or i.operation is op.SLOT for i in head.instructions):
        return False
    inside = [tree.index[target.block] in loop.members for target in terminator.targets]
    return sorted(inside) == [False, True] and head.successors()[inside.index(True)] is not head


class _Uses:
    """Of the values that some blocks make, by number: the blocks (positions) that use the
    value, its own block not included."""

    __slots__ = ("blocks",)

    def __init__(self, tree: Dominators, makers: list[Block]) -> None:
        self.blocks: dict[int, set[int]] = {}
        home: dict[int, Block] = {}
        for block in makers:
            for value in _made(block):
                home[value.number] = block
        for position, block in enumerate(tree.order):
            for instruction in block.instructions:
                self._add(instruction.operands, home, block, position)
            for target in block.instructions[-1].targets:
                self._add(target.arguments, home, block, position)

    def _add(
        self, operands: list[Operand], home: dict[int, Block], block: Block, position: int
    ) -> None:
        for operand in operands:
            if operand.kind == VALUE:
                number = operand.number  # type: ignore[union-attr]
                if number in home and home[number] is not block:
                    self.blocks.setdefault(number, set()).add(position)


def _made(block: Block) -> list[Value]:
    return [*block.parameters, *(v for i in block.instructions for v in i.results)]


def operand_lists(instruction: Instruction) -> list[list[Operand]]:
    return [instruction.operands, *(target.arguments for target in instruction.targets)]


def _rotate(function: Function, tree: Dominators, loop: Loop, uses: _Uses) -> list[Block]:
    """The new blocks, which go behind the head; none if the loop must stay as it is."""
    head, latch = tree.order[loop.header], tree.order[loop.latches[0]]
    terminator = head.terminator
    targets = terminator.targets
    inside = next(n for n, t in enumerate(targets) if tree.index[t.block] in loop.members)
    body = tree.index[targets[inside].block]
    out = tree.index[targets[1 - inside].block]
    # Which values are needed where; a block that has other ways into it is no place for them.
    wanted_inside: list[Value] = []
    wanted_out: list[Value] = []
    body_is_ours = tree.predecessors[body] == [loop.header]
    out_is_ours = tree.predecessors[out] == [loop.header]
    for value in _made(head):
        for position in uses.blocks.get(value.number, ()):
            if body_is_ours and tree.dominates(body, position):
                wanted = wanted_inside
            elif out_is_ours and tree.dominates(out, position):
                wanted = wanted_out
            else:
                return []
            if value not in wanted:
                wanted.append(value)
    back = latch.terminator.targets[0]
    now: dict[int, Operand] = {
        value.number: argument
        for value, argument in zip(head.parameters, back.arguments, strict=True)
    }
    latch.instructions.pop()
    for instruction in head.instructions:
        copied = _copy(function, instruction, now)
        latch.instructions.append(copied)
        for old, new in zip(instruction.results, copied.results, strict=True):
            now[old.number] = new
    copied = latch.instructions[-1]
    blocks = []
    for which, wanted in ((inside, wanted_inside), (1 - inside, wanted_out)):
        between = _between(function, targets[which], copied.targets[which], wanted, now)
        blocks.append(between)
    # Only now, so that what the copied test passes on is replaced too.
    for between, wanted, first in zip(
        blocks, (wanted_inside, wanted_out), (body, out), strict=True
    ):
        numbers = [value.number for value in wanted]
        replaced = dict(zip(numbers, between.parameters[: len(numbers)], strict=True))
        if replaced:
            _replace(tree, first, replaced)
    return blocks


def _copy(function: Function, instruction: Instruction, now: dict[int, Operand]) -> Instruction:
    def current(operand: Operand) -> Operand:
        if operand.kind == VALUE:
            return now.get(operand.number, operand)  # type: ignore[union-attr]
        return operand

    results = [function.new_value(value.type, value.name) for value in instruction.results]
    operands = [current(operand) for operand in instruction.operands]
    copied = Instruction(
        instruction.operation, instruction.type, operands, results, instruction.line
    )
    copied.offset = instruction.offset
    if instruction.targets:
        copied.targets = [
            Target(target.block, [current(argument) for argument in target.arguments])
            for target in instruction.targets
        ]
    return copied


def _between(
    function: Function, first: Target, second: Target, wanted: list[Value], now: dict[int, Operand]
) -> Block:
    """A block on the way from both tests to where they lead; what is wanted are its parameters."""
    block = Block(f"{first.block.name}.again{function.next_number}")
    function.next_number += 1  # so that the name is the only one
    for value in wanted:
        function.add_parameter(block, value.type, value.name)
    # All that is passed on is passed to this block first: it must not use what is not its own.
    passed: list[Operand] = [
        function.add_parameter(block, value.type, value.name) for value in first.block.parameters
    ]
    jump = Instruction(op.JUMP, None, [], [], 0)
    jump.targets = [Target(first.block, passed)]
    block.instructions.append(jump)
    first.block = second.block = block
    first.arguments = [*wanted, *first.arguments]
    second.arguments = [*(now[value.number] for value in wanted), *second.arguments]
    return block


def _replace(tree: Dominators, first: int, replaced: dict[int, Value]) -> None:
    """In a block and all that it dominates."""
    pending = [first]
    while pending:
        position = pending.pop()
        pending += tree.children[position]
        for instruction in tree.order[position].instructions:
            for operands in operand_lists(instruction):
                for index, operand in enumerate(operands):
                    if operand.kind == VALUE:
                        new = replaced.get(operand.number)  # type: ignore[union-attr]
                        if new is not None:
                            operands[index] = new


__all__ = ["operand_lists", "run"]
