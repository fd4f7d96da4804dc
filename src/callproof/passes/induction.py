"""Induction variables: header parameters that grow by a constant in each turn, and what is
a linear function of them.

All arithmetic is modulo 2**64, so a linear form is exact whatever wraps.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callproof.ir import operations as op
from callproof.ir.dominance import Dominators
from callproof.ir.loops import Loop, Loops
from callproof.ir.model import (
    CONSTANT,
    SYMBOL,
    VALUE,
    Block,
    Constant,
    Function,
    Instruction,
    Operand,
    Target,
    Value,
)
from callproof.ir.types import I64, PTR

WORDS = (I64, PTR)
MASK = (1 << 64) - 1
MOST_TERMS = 6
LONGEST = 1 << 31  # turns that are counted; what takes longer need not be looked at


def signed(number: int) -> int:
    number &= MASK
    return number - (1 << 64) if number >> 63 else number


Homes = Sequence[Loop | None]
"""By value number the innermost loop around its definition."""


@dataclass(slots=True)
class Induction:
    """`value` is parameter number `index` of the header, and `next` = value + `step` what
    the latch passes for it."""

    value: Value
    index: int
    next: Value
    step: int


@dataclass(slots=True)
class Linear:
    """induction * factor + the sum of outside values times factors + constant.

    `terms`: (operand, factor) by the operand's key; `nodes`: the loop's instructions that
    compute it now, the outermost first.
    """

    induction: Induction | None
    factor: int
    terms: dict[object, tuple[Operand, int]]
    constant: int
    nodes: list[Instruction]


class LoopForm:
    """A loop with one jump back: `header`, `latch`, `back` (the jump's target), `inductions`
    by value number, and `home` (see `homes`; for `linear` and `is_outside` only)."""

    __slots__ = ("back", "header", "home", "inductions", "latch", "loop")

    def __init__(self, loop: Loop, header: Block, latch: Block, back: Target, home: Homes) -> None:
        self.loop = loop
        self.header = header
        self.latch = latch
        self.back = back
        self.home = home
        self.inductions: dict[int, Induction] = {}
        for index, value in enumerate(header.parameters):
            found = self._induction(value, index, back.arguments[index])
            if found is not None:
                self.inductions[value.number] = found

    def is_outside(self, operand: Operand) -> bool:
        """Whether an operand has its value before the loop."""
        if operand.kind != VALUE:
            return True
        number = operand.number  # type: ignore[union-attr]
        if number >= len(self.home):
            return False
        around = self.home[number]
        while around is not None and around.depth > self.loop.depth:
            around = around.parent
        return around is not self.loop

    def _induction(self, value: Value, index: int, following: Operand) -> Induction | None:
        if value.type not in WORDS or following.kind != VALUE:
            return None
        assert isinstance(following, Value)
        definition = following.definition
        if definition is None or definition.operation is not op.ADD:
            return None
        first, second = definition.operands
        if first is not value or second.kind != CONSTANT or definition.type not in WORDS:
            return None
        step = int(second.value)  # type: ignore[union-attr]
        return Induction(value, index, following, step) if step else None

    def linear(self, operand: Operand) -> Linear | None:
        """The operand as a linear function of at most one induction variable; None if it
        is none, or has too many parts."""
        found = Linear(None, 0, {}, 0, [])
        pending: list[tuple[Operand, int]] = [(operand, 1)]
        while pending:
            part, factor = pending.pop()
            if part.kind == CONSTANT:
                found.constant += factor * int(part.value)  # type: ignore[union-attr]
                continue
            if self.is_outside(part):
                key: object
                if part.kind == SYMBOL:
                    key = (part.name, part.offset)  # type: ignore[union-attr]
                else:
                    key = part.number  # type: ignore[union-attr]
                known = found.terms.get(key, (part, 0))[1]
                found.terms[key] = (part, signed(known + factor))
                continue
            assert isinstance(part, Value)
            induction = self.inductions.get(part.number)
            if induction is not None:
                if found.induction is not None and found.induction is not induction:
                    return None
                found.induction = induction
                found.factor = signed(found.factor + factor)
                continue
            definition = part.definition
            if definition is None or len(found.nodes) >= MOST_TERMS:
                return None
            found.nodes.append(definition)
            inner = _parts(definition)
            if inner is None:
                return None
            pending += [(one, signed(times * factor)) for one, times in inner]
        found.constant = signed(found.constant)
        found.terms = {key: term for key, term in found.terms.items() if term[1]}
        return found


def _parts(definition: Instruction) -> list[tuple[Operand, int]] | None:
    """What a sum, difference or product by a constant is made of, with factors."""
    if definition.type not in WORDS or len(definition.operands) != 2:
        return None
    first, second = definition.operands
    if definition.operation is op.ADD:
        return [(first, 1), (second, 1)]
    if definition.operation is op.SUB:
        return [(first, 1), (second, -1)]
    if second.kind != CONSTANT:
        return None
    number = int(second.value)  # type: ignore[union-attr]
    if definition.operation is op.MUL:
        return [(first, number)]
    if definition.operation is op.SHL and 0 <= number < 64:
        return [(first, 1 << number)]
    return None


def homes(function: Function, tree: Dominators, loops: Loops) -> Homes:
    home: list[Loop | None] = [None] * function.next_number
    for position, block in enumerate(tree.order):
        loop = loops.innermost[position]
        if loop is None:
            continue
        for value in block.parameters:
            home[value.number] = loop
        for instruction in block.instructions:
            for value in instruction.results:
                home[value.number] = loop
    return home


def loop_form(tree: Dominators, loop: Loop, home: Homes = ()) -> LoopForm | None:
    """None if the loop has several jumps back."""
    if len(loop.latches) != 1:
        return None
    header, latch = tree.order[loop.header], tree.order[loop.latches[0]]
    back = [target for target in latch.terminator.targets if target.block is header]
    return LoopForm(loop, header, latch, back[0], home) if len(back) == 1 else None


@dataclass(slots=True)
class Exit:
    """The test at the end of each turn: it ends the loop after `turns` turns at the latest.

    `compared` is the comparison that the latch's branch asks; `induction` what it compares.
    """

    turns: int
    compared: Instruction
    induction: Induction


def counted_exit(form: LoopForm, entering: list[Target]) -> Exit | None:
    """Of a loop whose number of turns is known, if nothing else ends it sooner.

    `entering`: the jumps into the loop from outside; the induction variable must begin
    with a number.
    """
    terminator = form.latch.terminator
    if terminator.operation is not op.BRANCH or terminator.operands[0].kind != VALUE:
        return None
    compared = terminator.operands[0].definition  # type: ignore[union-attr]
    if compared is None or compared.operation not in STAYS or compared.type not in WORDS:
        return None
    tested, bound = compared.operands
    if tested.kind != VALUE or bound.kind != CONSTANT:
        return None
    for induction in form.inductions.values():
        if tested is not induction.value and tested is not induction.next:
            continue
        begins = [target.arguments[induction.index] for target in entering]
        if any(begin.kind != CONSTANT for begin in begins):
            return None
        numbers = {int(begin.value) for begin in begins}  # type: ignore[union-attr]
        if len(numbers) != 1:
            return None
        value = numbers.pop() + (induction.step if tested is induction.next else 0)
        stays = terminator.targets[0] is form.back
        turns = _turns(compared.operation, value, induction.step, int(bound.value), stays)  # type: ignore[union-attr]
        return Exit(turns, compared, induction) if turns else None
    return None


# Comparison -> whether it holds for (value, bound)
STAYS: dict[op.Operation, Callable[[int, int], bool]] = {
    op.SLT: operator.lt,
    op.SLE: operator.le,
    op.SGT: operator.gt,
    op.SGE: operator.ge,
    op.NE: operator.ne,
    op.EQ: operator.eq,
}


def _turns(operation: op.Operation, value: int, step: int, bound: int, stays: bool) -> int:
    """How often a loop goes round that tests `value`, then value + step ...; 0: not known."""
    holds = STAYS[operation]
    if holds(value, bound) is not stays:
        return 1
    # From here on the distance to the bound decides: the first value behind it.
    distance = bound - value
    if operation in (op.EQ, op.NE):
        if (operation is op.NE) is not stays or step == 0 or distance % step:
            return 0
        more = distance // step
    elif step == 0:
        return 0
    else:
        more = distance // step
        while more >= 0 and holds(value + more * step, bound) is stays:
            more += 1
            if more > distance // step + 2:
                return 0
    last = value + more * step
    if not 0 < more < LONGEST or not -(1 << 63) <= last < 1 << 63:
        return 0
    return more + 1


def entering_targets(tree: Dominators, loop: Loop) -> list[Target]:
    """The jumps to the header from outside of the loop."""
    header = tree.order[loop.header]
    found = []
    for position in dict.fromkeys(tree.predecessors[loop.header]):
        if position not in loop.members:
            found += [t for t in tree.order[position].terminator.targets if t.block is header]
    return found


def count_uses(function: Function) -> list[int]:
    """By value number how often it is used."""
    uses = [0] * function.next_number
    for block in function.blocks:
        for instruction in block.instructions:
            for operand in instruction.operands:
                if operand.kind == VALUE:
                    uses[operand.number] += 1  # type: ignore[union-attr]
        for target in block.instructions[-1].targets:
            for operand in target.arguments:
                if operand.kind == VALUE:
                    uses[operand.number] += 1  # type: ignore[union-attr]
    return uses


def word(number: int) -> Constant:
    return Constant(I64, signed(number))


__all__ = [
    "WORDS",
    "Exit",
    "Induction",
    "Linear",
    "LoopForm",
    "count_uses",
    "counted_exit",
    "entering_targets",
    "homes",
    "loop_form",
    "signed",
    "word",
]
