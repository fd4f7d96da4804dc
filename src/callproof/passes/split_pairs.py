"""Vectors of two lanes as two scalars, where the lanes are what the program works with.

For a target whose scalars live in the same registers, as lane 0 does: `s.first + s.second`
of a packed `s = z * z` needs a shuffle, and one more to put a pair together again, all of
them on the way from one round of a loop to the next.

Values that arithmetic, choices or parameters of blocks connect are one web; it is taken
apart as a whole or not at all, by the number of instructions.  What comes from a load or a
call, or goes to one, is split or joined there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from callproof.ir import operations as op
from callproof.ir.dominance import reverse_postorder
from callproof.ir.model import CONSTANT, VALUE, Block, Constant, Function, Instruction, Value
from callproof.ir.model import Operand as IrOperand
from callproof.ir.operations import Operation
from callproof.ir.places import PlaceNumber
from callproof.ir.types import I64, V2F32, V2F64, V2I32, V2I64, Type
from callproof.ir.vectors import lanes_of

PAIRS = frozenset((V2F32, V2F64, V2I32, V2I64))
# Arithmetic that scalars have too, of one or two operands of the result's type.
LANEWISE = frozenset(
    (
        *(op.ADD, op.SUB, op.MUL, op.AND, op.OR, op.XOR),
        *(op.FADD, op.FSUB, op.FMUL, op.FDIV, op.FNEG, op.FABS, op.FSQRT),
    )
)
Lanes = tuple[IrOperand, IrOperand]


@dataclass(slots=True)
class Cost:
    """Instructions for a web as it is, and taken apart; whether lanes of it are used, and
    whether anything is done with it as a whole."""

    packed: int = 0
    apart: int = 0
    lanes: bool = False
    worked: bool = False

    @property
    def is_better_apart(self) -> bool:
        return self.lanes and self.worked and self.apart <= self.packed


def run(function: Function) -> bool:
    """True if any web was taken apart."""
    order = reverse_postorder(function)
    if not any(value.type in PAIRS for b in order for i in b.instructions for value in i.results):
        return False
    webs = _Webs(function)
    for block in order:
        for i in block.instructions:
            webs.connect(i)
    costs = webs.costs(order)
    chosen = {root for root, cost in costs.items() if cost.is_better_apart}
    if chosen:
        _Splitter(function, webs, chosen).run(order)
    return bool(chosen)


def in_web(i: Instruction) -> bool:
    """Whether the result belongs to the web of the operands."""
    return i.operation in LANEWISE or i.operation is op.SELECT


def pairs_of(i: Instruction) -> list[Value]:
    return [o for o in i.operands if o.kind == VALUE and o.type in PAIRS]  # type: ignore[misc]


class _Webs:
    """Sets of values by union and find."""

    __slots__ = ("parents",)

    def __init__(self, function: Function) -> None:
        self.parents = list(range(function.next_number))

    def root(self, number: int) -> int:
        parents = self.parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, one: Value, other: Value) -> None:
        self.parents[self.root(one.number)] = self.root(other.number)

    def connect(self, i: Instruction) -> None:
        if in_web(i) or i.operation is op.INSERT:
            for operand in pairs_of(i):
                self.join(operand, i.result)
        for target in i.targets:
            for argument, parameter in zip(target.arguments, target.block.parameters, strict=True):
                if argument.kind == VALUE and argument.type in PAIRS:
                    self.join(argument, parameter)  # type: ignore[arg-type]

    def costs(self, order: list[Block]) -> dict[int, Cost]:
        found: dict[int, Cost] = defaultdict(Cost)
        for value in order[0].parameters:
            if value.type in PAIRS:
                found[self.root(value.number)].apart += 1
        for block in order:
            for i in block.instructions:
                self.add(i, found)
        return found

    def add(self, i: Instruction, found: dict[int, Cost]) -> None:
        operation = i.operation
        for value in i.results:
            if value.type not in PAIRS:
                continue
            cost = found[self.root(value.number)]
            # A lane of integers moves between the register files besides.
            general = int(not value.type.element.is_float)
            if in_web(i):
                cost.worked = True
                cost.packed += 1
                cost.apart += 2
            elif operation is op.INSERT or operation is op.SPLAT:
                cost.lanes = True
                cost.packed += 1 + general
            else:
                cost.apart += 1 + 2 * general
        for value in pairs_of(i):
            cost = found[self.root(value.number)]
            general = int(not value.type.element.is_float)
            if operation is op.EXTRACT:
                cost.lanes = True
                cost.packed += general + (i.operands[1].value != 0)  # type: ignore[union-attr]
            elif operation is not op.INSERT and not in_web(i):
                cost.apart += 1 + 2 * general


class _Splitter:
    __slots__ = ("chosen", "found", "function", "lanes", "line", "webs")

    def __init__(self, function: Function, webs: _Webs, chosen: set[int]) -> None:
        self.function = function
        self.webs = webs
        self.chosen = chosen
        self.lanes: dict[int, Lanes] = {}
        self.found: list[Instruction] = []
        self.line: PlaceNumber = 0

    def is_split(self, operand: IrOperand) -> bool:
        if operand.kind != VALUE or operand.type not in PAIRS:
            return False
        return self.webs.root(operand.number) in self.chosen  # type: ignore[union-attr]

    def run(self, order: list[Block]) -> None:
        entry = order[0]
        for block in order[1:]:
            block.parameters = [new for old in block.parameters for new in self.parameter(old)]
        for block in order:
            self.found = []
            if block is entry:
                for value in block.parameters:
                    if self.is_split(value):
                        self.taken_apart(value)
            for i in block.instructions:
                self.line = i.line
                self.instruction(i)
            block.instructions = self.found
        for block in order:
            for target in block.terminator.targets:
                # Whether an argument that is a constant goes to a pair's lanes, its
                # parameter has decided: there is one more for each.
                target.arguments = self.spread(target.arguments, target.block)

    def parameter(self, value: Value) -> list[Value]:
        if not self.is_split(value):
            return [value]
        pair = []
        for index in range(2):
            name = f"{value.name}_{index}" if value.name else ""
            part = self.function.new_value(value.type.element, name)
            part.block = value.block
            pair.append(part)
        self.lanes[value.number] = (pair[0], pair[1])
        return pair

    def spread(self, arguments: list[IrOperand], block: Block) -> list[IrOperand]:
        made: list[IrOperand] = []
        for argument in arguments:
            wanted = block.parameters[len(made)].type
            made += (
                self.of(argument) if argument.type in PAIRS and wanted not in PAIRS else (argument,)
            )
        return made

    def of(self, operand: IrOperand) -> Lanes:
        if operand.kind == CONSTANT:
            first, second = lanes_of(operand.value, operand.type)  # type: ignore[union-attr]
            element = operand.type.element
            return Constant(element, first), Constant(element, second)
        return self.lanes[operand.number]  # type: ignore[union-attr]

    def make(self, operation: Operation, type_: Type, operands: list[IrOperand]) -> Value:
        value = self.function.new_value(type_)
        self.found.append(Instruction(operation, type_, operands, [value], self.line))
        return value

    def taken_apart(self, value: Value) -> None:
        """The lanes of a value that comes as a whole."""
        first, second = (
            self.make(op.EXTRACT, value.type.element, [value, Constant(I64, index)])
            for index in range(2)
        )
        self.lanes[value.number] = (first, second)

    def whole(self, operand: IrOperand) -> IrOperand:
        """An operand that is wanted as a whole."""
        if not self.is_split(operand):
            return operand
        first, second = self.of(operand)
        filled = self.make(op.SPLAT, operand.type, [first])
        return self.make(op.INSERT, operand.type, [filled, Constant(I64, 1), second])

    def instruction(self, i: Instruction) -> None:
        operation, operands = i.operation, i.operands
        if operation is op.EXTRACT and self.is_split(operands[0]):
            lane = self.of(operands[0])[int(operands[1].value)]  # type: ignore[union-attr]
            copy = Instruction(op.BITCAST, i.result.type, [lane], [i.result], self.line)
            self.found.append(copy)
            return
        split = [value for value in i.results if self.is_split(value)]
        alone = operation in (op.SPLAT, op.INSERT) or in_web(i)
        if not split or not alone:
            i.operands = [self.whole(operand) for operand in operands]
            self.found.append(i)
            for value in split:
                self.taken_apart(value)
            return
        result = i.result
        element = result.type.element
        if operation is op.SPLAT:
            self.lanes[result.number] = (operands[0], operands[0])
        elif operation is op.INSERT:
            first, second = self.of(operands[0])
            if operands[1].value == 0:  # type: ignore[union-attr]
                self.lanes[result.number] = (operands[2], second)
            else:
                self.lanes[result.number] = (first, operands[2])
        else:  # a choice's condition is one word for both lanes
            each = [self.of(o) if o.type in PAIRS else (o, o) for o in operands]
            low, high = (
                self.make(operation, element, [lanes[index] for lanes in each])
                for index in range(2)
            )
            self.lanes[result.number] = (low, high)
