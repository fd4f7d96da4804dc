"""Linear-function test replacement: a loop's test asks what the loop has anyway.

Where a variable is needed only for the test of how often the loop goes round, and that number
is known, a pointer that `strength_reduction` made is compared with its last value
instead.  The variable is dead then.
"""

from __future__ import annotations

from callproof.ir import operations as op
from callproof.ir.dominance import Dominators
from callproof.ir.model import Function, Instruction
from callproof.ir.shape import Shape, shape_of
from callproof.ir.types import I64, PTR
from callproof.passes import dce
from callproof.passes.induction import (
    Induction,
    LoopForm,
    count_uses,
    counted_exit,
    entering_targets,
    loop_form,
    word,
)

FARTHEST = 1 << 62  # bytes; on the way there no pointer has its last value too early


def run(function: Function, shape: Shape | None = None) -> bool:
    """Expects that what is dead has gone: any use keeps a variable."""
    shape = shape_of(function, shape)
    if not shape.has_loops():
        return False
    tree, loops = shape.tree(), shape.loops()
    uses: list[int] = []
    changed = False
    for loop in loops.loops:
        form = loop_form(tree, loop)
        if form is None or len(form.inductions) < 2:
            continue
        entering = entering_targets(tree, loop)
        if len(entering) != 1:
            continue
        exit_ = counted_exit(form, entering)
        if exit_ is not None and exit_.turns > 1:
            if not uses:
                uses = count_uses(function)
            changed |= _replace(function, tree, form, exit_.induction, exit_.turns, uses)
    if changed:
        dce.run(function)
    return changed


def _replace(
    function: Function,
    tree: Dominators,
    form: LoopForm,
    tested: Induction,
    turns: int,
    uses: list[int],
) -> bool:
    terminator = form.latch.terminator
    compared = terminator.operands[0].definition  # type: ignore[union-attr]
    assert compared is not None
    # The variable and its next value: in the addition, in the test, in the jump back.
    own = uses[tested.value.number] + uses[tested.next.number]
    if own != 3 or uses[compared.results[0].number] != 1:
        return False
    if not any(instruction is compared for instruction in form.latch.instructions):
        return False
    (entry,) = entering_targets(tree, form.loop)
    before = next(
        tree.order[position]
        for position in tree.predecessors[form.loop.header]
        if any(target is entry for target in tree.order[position].terminator.targets)
    )
    if len(before.terminator.targets) != 1:
        return False
    for other in form.inductions.values():
        distance = other.step * turns
        if other is tested or other.value.type is not PTR or abs(distance) >= FARTHEST:
            continue
        begin = entry.arguments[other.index]
        last = function.new_value(PTR)
        total = Instruction(op.ADD, PTR, [begin, word(distance)], [last], compared.line)
        before.instructions.insert(-1, total)
        result = function.new_value(I64)
        operation = op.NE if terminator.targets[0] is form.back else op.EQ
        test = Instruction(operation, PTR, [other.next, last], [result], compared.line)
        latch = form.latch.instructions
        latch.remove(compared)
        latch.insert(-1, test)
        terminator.operands = [result]
        return True
    return False


__all__ = ["run"]
