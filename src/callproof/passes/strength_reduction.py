"""Strength reduction: addresses that are linear in a loop's variable.

    loop: a!(i * 60 + k) * b!(k * 60 + j)      before it: base = a + i * 480, q = b + j * 8
                                               loop: base!k * 0!q, q := q + 480

An access whose address grows by its own size (or by 1) gets a base that is computed before
the loop, and the variable as index: both targets add a scaled register for nothing.  Others
get a pointer that is moved on in each turn; accesses that differ in a number only share it.
Which is done goes by the instructions that it saves in the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from callproof.ir import operations as op
from callproof.ir.loops import Loop
from callproof.ir.model import CONSTANT, VALUE, Block, Function, Instruction, Operand, Value
from callproof.ir.places import PlaceNumber
from callproof.ir.shape import Shape, shape_of
from callproof.ir.types import I64, PTR, Type
from callproof.passes.aliases import access_size
from callproof.passes.induction import (
    Induction,
    Linear,
    LoopForm,
    count_uses,
    homes,
    loop_form,
    signed,
    word,
)
from callproof.passes.licm import CALLS
from callproof.passes.preheaders import make_preheaders

MOST_BASES = 2  # of one group; more registers than that, and a pointer is better
MOST_GROUPS = 12  # of one loop: each has at least one register
MOST_GROUPS_WITH_CALLS = 3


@dataclass(slots=True)
class Access:
    """A load or store in block `block` whose address is linear."""

    block: Block
    instruction: Instruction
    linear: Linear
    size: int

    @property
    def offset(self) -> int:
        return signed(self.linear.constant + self.instruction.offset)


@dataclass(slots=True)
class Group:
    """Accesses that differ in a number only."""

    induction: Induction
    factor: int
    terms: list[tuple[Operand, int]]
    accesses: list[Access] = field(default_factory=list)


def run(function: Function, shape: Shape | None = None) -> bool:
    shape = shape_of(function, shape)
    if not shape.has_loops():
        return False
    tree, loops = shape.tree(), shape.loops()
    forms = [form for loop in loops.loops if (form := loop_form(tree, loop)) is not None]
    forms = [form for form in forms if form.inductions]
    if not forms:
        return False
    home = homes(function, tree, loops)
    work: list[tuple[LoopForm, list[Group]]] = []
    own: dict[Loop, list[Block]] = {loop: [] for loop in loops.loops}
    for position, block in enumerate(tree.order):
        innermost = loops.innermost[position]
        if innermost is not None:
            own[innermost].append(block)
    uses: list[int] = []
    for form in forms:
        form.home = home
        loop = form.loop
        groups = _groups(form, own[loop])
        if not groups:
            continue
        if not uses:
            uses = count_uses(function)
        groups = [group for group in groups if _pays(group, uses)]
        calls = bool(groups) and any(
            i.operation in CALLS
            for position in loop.blocks
            for i in tree.order[position].instructions
        )
        groups = groups[: MOST_GROUPS_WITH_CALLS if calls else MOST_GROUPS]
        if groups:
            work.append((form, groups))
    if not work:
        return False
    places = make_preheaders(function, shape, [form.loop for form, _ in work])
    for form, groups in work:
        _Reducer(function, form, places[form.loop]).run(groups)
    return True


def _groups(form: LoopForm, blocks: Sequence[Block]) -> list[Group]:
    """The accesses in these blocks with linear addresses, put together."""
    found: dict[tuple[object, ...], Group] = {}
    for block in blocks:
        for instruction in block.instructions:
            if not (instruction.operation.reads or instruction.operation.stores):
                continue
            address = instruction.operands[-1]
            if form.is_outside(address):
                continue
            linear = form.linear(address)
            if linear is None or linear.induction is None or not linear.factor:
                continue
            key = (
                linear.induction.value.number,
                linear.factor,
                *sorted((str(key), factor) for key, (_, factor) in linear.terms.items()),
            )
            group = found.get(key)
            if group is None:
                terms = sorted(linear.terms.values(), key=lambda term: term[1] != 1)
                group = found[key] = Group(linear.induction, linear.factor, terms)
            group.accesses.append(Access(block, instruction, linear, access_size(instruction)))
    return list(found.values())


def _index_shift(group: Group) -> int | None:
    """How far the variable is shifted as an index of all the group's accesses; None if none."""
    sizes = {access.size for access in group.accesses}
    if group.factor == 1:
        return 0
    if sizes == {group.factor} and group.factor in (2, 4, 8):
        return group.factor.bit_length() - 1
    return None


def _pays(group: Group, uses: Sequence[int]) -> bool:
    """Whether the loop has fewer instructions afterwards, or one cheaper."""
    spent: set[int] = set()
    multiplied = False
    cost = 0
    for access in group.accesses:
        nodes = access.linear.nodes
        for node in nodes:
            if id(node) in spent:
                continue
            spent.add(id(node))
            multiplied |= node.operation is op.MUL
            cost += 1
        cost -= _folded(access, uses)
    shift = _index_shift(group)
    offsets = {access.offset for access in group.accesses}
    if shift is not None and len(offsets) <= MOST_BASES:
        return cost > 0
    return cost > 1 or (cost == 1 and multiplied)


def _folded(access: Access, uses: Sequence[int]) -> int:
    """How many instructions of an address the access, or another of them, does in passing."""
    top = access.linear.nodes[0] if access.linear.nodes else None
    if top is None:
        return 0
    found = 0
    is_plain = top.operation is op.ADD and not access.instruction.offset
    if is_plain and all(operand.kind == VALUE for operand in top.operands):
        found += 1
    for node in access.linear.nodes:
        if node.operation not in (op.ADD, op.SUB):
            continue
        for operand in node.operands:
            inner = operand.definition if operand.kind == VALUE else None  # type: ignore[union-attr]
            if inner is None or not any(inner is one for one in access.linear.nodes):
                continue
            if uses[inner.results[0].number] != 1:
                continue
            # An access scales its index by its own size; an addition shifts, or multiplies.
            scaled = inner.operation is op.SHL and _is_shift_by(inner, access.size)
            if scaled if node is top and is_plain else inner.operation in (op.SHL, op.MUL):
                found += 1
                break  # one operand only
    return found


def _is_shift_by(shift: Instruction, size: int) -> bool:
    count = shift.operands[1]
    return count.kind == CONSTANT and size == 1 << int(count.value) % 64  # type: ignore[union-attr]


class _Reducer:
    """Rewrites the accesses of one loop."""

    __slots__ = ("entry", "form", "function", "made", "new")

    def __init__(self, function: Function, form: LoopForm, preheader: Block) -> None:
        self.function = function
        self.form = form
        self.entry = preheader
        self.made: dict[tuple[object, ...], Operand] = {}
        self.new: dict[int, list[Instruction]] = {}  # what comes before an instruction, by id

    def run(self, groups: list[Group]) -> None:
        for group in groups:
            shift = _index_shift(group)
            offsets = {access.offset for access in group.accesses}
            if shift is not None and len(offsets) <= MOST_BASES:
                for access in group.accesses:
                    self._index(group, access, shift)
            else:
                self._point(group)
        blocks = {id(access.block): access.block for group in groups for access in group.accesses}
        for block in blocks.values():
            together: list[Instruction] = []
            for instruction in block.instructions:
                together += self.new.get(id(instruction), ())
                together.append(instruction)
            block.instructions = together

    def _index(self, group: Group, access: Access, shift: int) -> None:
        """base + (variable << shift), with a base of its own for each number added."""
        i = access.instruction
        base = self._sum(group.terms, access.offset, i.line)
        index: Operand = group.induction.value
        new: list[Instruction] = []
        if shift:
            index = self._new(new, op.SHL, I64, index, word(shift), i.line)
        address = self._new(new, op.ADD, PTR, base, index, i.line)
        self.new[id(i)] = new
        i.operands[-1] = address
        i.offset = 0

    def _point(self, group: Group) -> None:
        """A pointer that is moved on at the end of each turn."""
        form, induction = self.form, group.induction
        line = group.accesses[0].instruction.line
        first = min(access.offset for access in group.accesses)
        jump = self.entry.terminator.targets[0]
        begin = jump.arguments[induction.index]
        start = self._sum([*group.terms, (begin, group.factor)], first, line)
        pointer = self.function.add_parameter(form.header, PTR)
        jump.arguments.append(start)
        moved: list[Instruction] = []
        step = word(group.factor * induction.step)
        following = self._new(moved, op.ADD, PTR, pointer, step, form.latch.terminator.line)
        form.latch.instructions[-1:-1] = moved
        form.back.arguments.append(following)
        for access in group.accesses:
            access.instruction.operands[-1] = pointer
            access.instruction.offset = access.offset - first

    def _sum(self, terms: list[tuple[Operand, int]], constant: int, line: PlaceNumber) -> Operand:
        """The sum of terms times factors and a number, computed in the preheader."""
        total: Operand | None = None
        code: list[Instruction] = []
        for operand, factor in terms:
            if operand.kind == CONSTANT:
                constant += int(operand.value) * factor  # type: ignore[union-attr]
                continue
            part = operand
            if factor > 1 and not factor & (factor - 1):
                shift = word(factor.bit_length() - 1)
                part = self._shared(code, op.SHL, I64, operand, shift, line)
            elif factor != 1:
                part = self._shared(code, op.MUL, I64, operand, word(factor), line)
            total = part if total is None else self._shared(code, op.ADD, PTR, total, part, line)
        if total is None:
            total = word(constant)
        elif signed(constant):
            total = self._shared(code, op.ADD, PTR, total, word(constant), line)
        self.entry.instructions[-1:-1] = code
        return total

    def _shared(
        self,
        code: list[Instruction],
        operation: op.Operation,
        type_: Type,
        first: Operand,
        second: Operand,
        line: PlaceNumber,
    ) -> Operand:
        """The result of an operation in the preheader, which is made once."""
        key = (operation, *(_operand_key(operand) for operand in (first, second)))
        known = self.made.get(key)
        if known is None:
            known = self.made[key] = self._new(code, operation, type_, first, second, line)
        return known

    def _new(
        self,
        code: list[Instruction],
        operation: op.Operation,
        type_: Type,
        first: Operand,
        second: Operand,
        line: PlaceNumber,
    ) -> Value:
        value = self.function.new_value(type_)
        code.append(Instruction(operation, type_, [first, second], [value], line))
        return value


def _operand_key(operand: Operand) -> object:
    if operand.kind == CONSTANT:
        return operand.key()  # type: ignore[union-attr]
    if operand.kind == VALUE:
        return operand.number  # type: ignore[union-attr]
    return (operand.name, operand.offset)  # type: ignore[union-attr]


__all__ = ["run"]
