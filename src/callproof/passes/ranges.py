"""Range analysis: what words can be, from what makes them and from the branches passed.

    i from 0 to 59 (a counted loop)        i < 0      is 0
    IF x >= 0 THEN ... x / 8 ...           x / 8      is x >> 3
    IF a < b THEN ... IF a < b             the second is true

Ranges are of signed 64-bit words, inclusive; whatever could wrap is any word.  The walk
goes down the dominator tree: behind a branch its condition is known, and what it
compares is narrowed, until the walk leaves that subtree.
"""

from __future__ import annotations

from callproof.ir import operations as op
from callproof.ir.model import CONSTANT, VALUE, Constant, Function, Instruction, Operand
from callproof.ir.shape import Shape, shape_of
from callproof.ir.ssa import replace_operands
from callproof.ir.types import I64
from callproof.passes.fold import MIRRORED, NEGATED
from callproof.passes.induction import (
    WORDS,
    counted_exit,
    entering_targets,
    loop_form,
    word,
)

LEAST, GREATEST = -(1 << 63), (1 << 63) - 1
Range = tuple[int, int]
ANY: Range = (LEAST, GREATEST)
LOADED: dict[op.Operation, Range] = {
    op.LOAD_U8: (0, 0xFF),
    op.LOAD_U16: (0, 0xFFFF),
    op.LOAD_U32: (0, 0xFFFF_FFFF),
    op.LOAD_S8: (-0x80, 0x7F),
    op.LOAD_S16: (-0x8000, 0x7FFF),
    op.LOAD_S32: (-0x8000_0000, 0x7FFF_FFFF),
}
OF_ANYTHING = frozenset((*LOADED, op.ZEXT, op.SEXT))
SIGNED = {op.ULT: op.SLT, op.ULE: op.SLE, op.UGT: op.SGT, op.UGE: op.SGE}


def run(function: Function, shape: Shape | None = None) -> bool:
    for block in function.blocks:
        if block.instructions[-1].operation is op.BRANCH:
            break
    else:  # nothing is decided by ranges without a branch
        return False
    return _Analysis(function, shape_of(function, shape)).run()


class _Analysis:
    __slots__ = ("changed", "decided", "function", "known", "ranges", "shape", "tree")

    def __init__(self, function: Function, shape: Shape) -> None:
        self.function = function
        self.shape = shape
        self.tree = shape.tree()
        self.ranges: dict[int, Range] = {}  # by value number; ANY is not in it
        self.known: dict[int, int] = {}  # conditions by value number: 0 or 1
        self.decided: dict[int, Operand] = {}
        self.changed = False
        if shape.has_loops():
            self._count()

    def _count(self) -> None:
        """The variables of loops that go round a known number of times."""
        tree = self.tree
        loops = self.shape.loops()
        for loop in loops.loops:
            form = loop_form(tree, loop)
            if form is None or not form.inductions:
                continue
            entering = entering_targets(tree, loop)
            exit_ = counted_exit(form, entering)
            if exit_ is None:
                continue
            for induction in form.inductions.values():
                begins = [target.arguments[induction.index] for target in entering]
                numbers = [int(b.value) for b in begins if b.kind == CONSTANT]  # type: ignore[union-attr]
                if len(numbers) != len(begins):
                    continue
                way = induction.step * (exit_.turns - 1)
                ends = [end for begin in numbers for end in (begin, begin + way)]
                if min(ends) >= LEAST and max(ends) <= GREATEST:
                    self.ranges[induction.value.number] = (min(ends), max(ends))

    def run(self) -> bool:
        tree = self.tree
        # (position, what to take back): the second time round a block is left.
        stack: list[tuple[int, list[tuple[int, Range | None]] | None, int]] = [(0, None, -1)]
        while stack:
            position, undo, condition = stack.pop()
            if undo is not None:
                for number, before in reversed(undo):
                    if before is None:
                        self.ranges.pop(number, None)
                    else:
                        self.ranges[number] = before
                if condition >= 0:
                    del self.known[condition]
                continue
            changes: list[tuple[int, Range | None]] = []
            learnt = self._enter(position, changes)
            stack.append((position, changes, learnt))
            for instruction in tree.order[position].instructions:
                self._visit(instruction)
            stack += [(child, None, -1) for child in tree.children[position]]
        replace_operands(self.function, self.decided)
        return self.changed or bool(self.decided)

    # --- what branches tell ---------------------------------------------------------------

    def _enter(self, position: int, changes: list[tuple[int, Range | None]]) -> int:
        """Learn from the only way into a block; the condition that is known now, -1 for none."""
        tree = self.tree
        if position == 0 or len(tree.predecessors[position]) != 1:
            return -1
        terminator = tree.order[tree.predecessors[position][0]].terminator
        if terminator.operation is not op.BRANCH or terminator.operands[0].kind != VALUE:
            return -1
        condition = terminator.operands[0]
        definition = condition.definition  # type: ignore[union-attr]
        if definition is None or not definition.operation.compares:
            return -1
        holds = terminator.targets[0].block is tree.order[position]
        number = condition.number  # type: ignore[union-attr]
        if definition.type in WORDS:
            self._narrow(definition, holds, changes)
        if number in self.known:
            return -1
        self.known[number] = int(holds)
        return int(number)

    def _narrow(
        self, comparison: Instruction, holds: bool, changes: list[tuple[int, Range | None]]
    ) -> None:
        operation: op.Operation | None = comparison.operation
        if not holds:
            operation = NEGATED.get(comparison.operation)
        if operation is None:
            return
        first, second = comparison.operands
        for one, other, asked in (
            (first, second, operation),
            (second, first, MIRRORED[operation]),
        ):
            if one.kind != VALUE:
                continue
            before = self._range(one)
            after = _narrowed(asked, before, self._range(other))
            if after != before and after[0] <= after[1]:
                number = one.number  # type: ignore[union-attr]
                changes.append((number, self.ranges.get(number)))
                self.ranges[number] = after

    # --- instructions -------------------------------------------------------------------------

    def _range(self, operand: Operand) -> Range:
        if operand.kind == CONSTANT:
            value = operand.value  # type: ignore[union-attr]
            return (value, value) if type(value) is int and operand.type in WORDS else ANY
        if operand.kind == VALUE:
            return self.ranges.get(operand.number, ANY)  # type: ignore[union-attr]
        return ANY

    def _visit(self, instruction: Instruction) -> None:
        operation = instruction.operation
        if operation is op.BRANCH:
            condition = instruction.operands[0]
            if condition.kind == VALUE:
                truth = self.known.get(condition.number)  # type: ignore[union-attr]
                if truth is not None:
                    instruction.operands[0] = Constant(I64, truth)
                    self.changed = True
            return
        if len(instruction.results) != 1 or operation.effect:
            return
        result = instruction.results[0]
        # Of operands of which nothing is known the result is anything, but for few operations.
        ranges, known = self.ranges, operation in OF_ANYTHING
        for operand in instruction.operands:
            if operand.kind != VALUE or operand.number in ranges:  # type: ignore[union-attr]
                known = True
        if operation.compares:
            ranges.setdefault(result.number, (0, 1))
            if known and instruction.type in WORDS:
                answer = self._answer(instruction)
                if answer is not None:
                    self.decided[result.number] = Constant(I64, int(answer))
            return
        if not known or instruction.type not in WORDS:
            return
        if operation is op.SDIV or operation is op.SREM:
            self._cheapen(instruction)
        found = self._made(instruction)
        if found != ANY and LEAST <= found[0] <= found[1] <= GREATEST:
            self.ranges.setdefault(result.number, found)

    def _answer(self, comparison: Instruction) -> bool | None:
        """What a comparison gives, if the ranges of its operands decide it."""
        one, other = map(self._range, comparison.operands)
        operation = comparison.operation
        if operation in SIGNED:
            if one[0] < 0 or other[0] < 0:
                return None
            operation = SIGNED[operation]
        if operation in (op.SGT, op.SGE):
            one, other, operation = other, one, MIRRORED[operation]
        if operation is op.SLT:
            return True if one[1] < other[0] else False if one[0] >= other[1] else None
        if operation is op.SLE:
            return True if one[1] <= other[0] else False if one[0] > other[1] else None
        if one[1] < other[0] or other[1] < one[0]:
            return operation is op.NE
        return None

    def _cheapen(self, instruction: Instruction) -> None:
        """Division of what is not negative by a power of two is a shift, its remainder a mask."""
        first, second = instruction.operands
        if second.kind != CONSTANT or self._range(first)[0] < 0:
            return
        divisor = int(second.value)  # type: ignore[union-attr]
        if divisor < 2 or divisor & (divisor - 1):
            return
        if instruction.operation is op.SDIV:
            instruction.operation = op.LSHR
            instruction.operands = [first, word(divisor.bit_length() - 1)]
        else:
            instruction.operation = op.AND
            instruction.operands = [first, word(divisor - 1)]
        self.changed = True

    def _made(self, i: Instruction) -> Range:
        """The range of a word by the operation that makes it; beyond words if it may wrap."""
        operation = i.operation
        loaded = LOADED.get(operation)
        if loaded is not None:
            return loaded
        if operation is op.ZEXT:
            return (0, (1 << i.operands[0].type.bits) - 1)
        if operation is op.SEXT:
            limit = 1 << (i.operands[0].type.bits - 1)
            return (-limit, limit - 1)
        if operation is op.SELECT:
            one, other = self._range(i.operands[1]), self._range(i.operands[2])
            return (min(one[0], other[0]), max(one[1], other[1]))
        if len(i.operands) != 2:
            return ANY
        (low, high), (first, last) = self._range(i.operands[0]), self._range(i.operands[1])
        if operation is op.ADD:
            return (low + first, high + last)
        if operation is op.SUB:
            return (low - last, high - first)
        if operation is op.MUL:
            corners = [low * first, low * last, high * first, high * last]
            return (min(corners), max(corners))
        if operation is op.AND:
            limits = [top for bottom, top in ((low, high), (first, last)) if bottom >= 0]
            return (0, min(limits)) if limits else ANY
        if first != last:
            return ANY
        return _by_number(operation, low, high, first)


def _by_number(operation: op.Operation, low: int, high: int, number: int) -> Range:
    """Shifts, quotients and remainders of a range by a number."""
    if operation is op.SHL and 0 <= number < 64:
        return (low << number, high << number)
    if operation is op.ASHR and 0 <= number < 64:
        return (low >> number, high >> number)
    if operation is op.LSHR and 0 < number < 64:
        return (low >> number, high >> number) if low >= 0 else (0, (1 << (64 - number)) - 1)
    if operation is op.UREM and number > 0:
        return (0, number - 1)
    if operation is op.SREM and number > 0:
        return (0 if low >= 0 else 1 - number, number - 1 if high > 0 else 0)
    if operation is op.SDIV and number > 0:
        return (_quotient(low, number), _quotient(high, number))
    return ANY


def _quotient(number: int, divisor: int) -> int:
    return number // divisor if number >= 0 else -(-number // divisor)


def _narrowed(operation: op.Operation, one: Range, other: Range) -> Range:
    """What `one` can be if the comparison with `other` holds; an empty range if it cannot."""
    low, high = one
    if operation in SIGNED:
        if operation in (op.ULT, op.ULE) and other[0] >= 0:
            # Below a number that is not negative is not negative.
            low = max(low, 0)
            operation = SIGNED[operation]
        elif one[0] >= 0 and other[0] >= 0:
            operation = SIGNED[operation]
        else:
            return one
    if operation is op.SLT:
        return (low, min(high, other[1] - 1))
    if operation is op.SLE:
        return (low, min(high, other[1]))
    if operation is op.SGT:
        return (max(low, other[0] + 1), high)
    if operation is op.SGE:
        return (max(low, other[0]), high)
    if operation is op.EQ:
        return (max(low, other[0]), min(high, other[1]))
    return one


__all__ = ["run"]
