"""Vectors as their lanes, for targets that have no rules for vectors.

Each vector value becomes one scalar value a lane, wherever it stands: in operands,
results, parameters of blocks, arguments of jumps.  Only calls, returns and the entry keep
whole vectors, as the calling convention wants them in registers; there they go through a
stack slot, as a double or as 16 bytes that are loaded and stored only.
"""

from __future__ import annotations

from collections.abc import Sequence

from callproof.ir import operations as op
from callproof.ir.dominance import reverse_postorder
from callproof.ir.model import CONSTANT, Block, Constant, Function, Instruction, Operand, Value
from callproof.ir.operations import Operation
from callproof.ir.types import F64, I64, PTR, V2I64, Type
from callproof.ir.vectors import CHOICES, REDUCTIONS, lanes_of

WHOLE = {8: F64, 16: V2I64}
"""What carries a whole vector of so many bytes."""
SLOT_SIZE = 32
COMPARED = {op.SMIN: op.SLT, op.SMAX: op.SGT, op.FMIN: op.FLT, op.FMAX: op.FGT}
REDUCED = {op.SMIN_LANES: op.SLT, op.SMAX_LANES: op.SGT}
assert set(COMPARED) == set(CHOICES) and {*REDUCED, op.SUM_LANES} == set(REDUCTIONS)

Lanes = list[Operand]


def run(function: Function) -> bool:
    """True if the function had vectors."""
    needed = any(
        value.type.lanes > 1 for block in function.blocks for value in block.parameters
    ) or any(has_vectors(i) for block in function.blocks for i in block.instructions)
    if needed:
        _Scalariser(function).run()
    return needed


def has_vectors(i: Instruction) -> bool:
    return any(operand.type.lanes > 1 for operand in (*i.operands, *i.results)) or any(
        argument.type.lanes > 1 for target in i.targets for argument in target.arguments
    )


class _Scalariser:
    __slots__ = ("found", "function", "lanes", "line", "slot")

    def __init__(self, function: Function) -> None:
        self.function = function
        self.lanes: dict[int, Lanes] = {}
        self.found: list[Instruction] = []
        self.line = 0
        self.slot = function.new_value(PTR, "lanes")

    def run(self) -> None:
        function = self.function
        order = reverse_postorder(function)  # definitions before uses, but for parameters
        for block in order[1:]:
            block.parameters = [new for old in block.parameters for new in self.parameter(old)]
        for block in order:
            self.block(block)
        for block in order:
            for target in block.terminator.targets:
                target.arguments = self.spread(target.arguments)
        slot = Instruction(op.SLOT, PTR, [], [self.slot])
        slot.size, slot.alignment, slot.slot_name = SLOT_SIZE, 16, "lanes"
        function.entry.instructions.insert(0, slot)

    def parameter(self, value: Value) -> list[Value]:
        if value.type.lanes == 1:
            return [value]
        parts = []
        for index in range(value.type.lanes):
            name = f"{value.name}_{index}" if value.name else ""
            part = self.function.new_value(value.type.element, name)
            part.block = value.block
            parts.append(part)
        self.lanes[value.number] = list(parts)
        return parts

    def block(self, block: Block) -> None:
        self.found = []
        if block is self.function.entry:
            block.parameters = [self.arrived(value) for value in block.parameters]
            for value in block.parameters:
                value.block = block
        for i in block.instructions:
            self.line = i.line
            if any(operand.type.lanes > 1 for operand in (*i.operands, *i.results)):
                self.instruction(i)
            else:
                self.found.append(i)
        block.instructions = self.found

    # --- values -----------------------------------------------------------------------------

    def of(self, operand: Operand) -> Lanes:
        if operand.kind == CONSTANT:
            numbers = lanes_of(operand.value, operand.type)  # type: ignore[union-attr]
            return [Constant(operand.type.element, number) for number in numbers]
        return self.lanes[operand.number]  # type: ignore[union-attr]

    def spread(self, operands: list[Operand]) -> list[Operand]:
        return [
            part
            for operand in operands
            for part in (self.of(operand) if operand.type.lanes > 1 else (operand,))
        ]

    def make(
        self, operation: Operation, type_: Type, operands: Sequence[Operand], offset: int = 0
    ) -> Value:
        value = self.function.new_value(I64 if operation.compares else type_)
        instruction = Instruction(operation, type_, list(operands), [value], self.line)
        instruction.offset = offset
        self.found.append(instruction)
        return value

    def store(self, lanes: Lanes, address: Operand, offset: int = 0) -> None:
        for index, lane in enumerate(lanes):
            store = Instruction(op.STORE, lane.type, [lane, address], [], self.line)
            store.offset = offset + index * lane.type.size
            self.found.append(store)

    def load(self, type_: Type, address: Operand, offset: int = 0) -> Lanes:
        element = type_.element
        return [
            self.make(op.LOAD, element, [address], offset + index * element.size)
            for index in range(type_.lanes)
        ]

    def arrived(self, value: Value) -> Value:
        """What brings a vector from a call; its lanes take the place of the old value."""
        type_ = value.type
        if type_.lanes == 1:
            return value
        whole = self.function.new_value(WHOLE[type_.size], value.name)
        self.store([whole], self.slot)
        self.lanes[value.number] = self.load(type_, self.slot)
        return whole

    def whole(self, operand: Operand) -> Operand:
        """An operand of a call or return; a vector in one piece."""
        if operand.type.lanes == 1:
            return operand
        self.store(self.of(operand), self.slot)
        return self.make(op.LOAD, WHOLE[operand.type.size], [self.slot])

    # --- instructions -------------------------------------------------------------------------

    def instruction(self, i: Instruction) -> None:
        operation, operands = i.operation, i.operands
        if operation.effect and operation is not op.STORE:
            i.operands = [self.whole(operand) for operand in operands]
            self.found.append(i)
            i.results = [self.arrived(value) for value in i.results]
            for value in i.results:
                value.definition = i
        elif operation is op.STORE:
            self.store(self.of(operands[0]), operands[1], i.offset)
        elif operation is op.EXTRACT:
            lane = self.of(operands[0])[_number(operands[1])]
            self.is_result(i, lane)
        elif operation in REDUCTIONS:
            self.reduce(i)
        elif operation is op.BITCAST and i.result.type.lanes == 1:
            self.store(self.of(operands[0]), self.slot)
            self.is_result(i, self.make(op.LOAD, i.result.type, [self.slot]))
        else:
            self.lanes[i.result.number] = self.vector(i)

    def is_result(self, i: Instruction, value: Operand) -> None:
        copy = Instruction(op.BITCAST, i.result.type, [value], [i.result], self.line)
        self.found.append(copy)

    def reduce(self, i: Instruction) -> None:
        first, *others = (self.make(op.SEXT, I64, [lane]) for lane in self.of(i.operands[0]))
        for lane in others:
            if i.operation is op.SUM_LANES:
                first = self.make(op.ADD, I64, [first, lane])
            else:
                chosen = self.make(REDUCED[i.operation], I64, [first, lane])
                first = self.make(op.SELECT, I64, [chosen, first, lane])
        self.is_result(i, first)

    def vector(self, i: Instruction) -> Lanes:
        """The lanes of an instruction's result."""
        operation, operands, type_ = i.operation, i.operands, i.result.type
        if operation is op.LOAD:
            return self.load(type_, operands[0], i.offset)
        if operation is op.SPLAT:
            return [operands[0]] * type_.lanes
        if operation is op.BITCAST:
            source = operands[0]
            self.store(self.of(source) if source.type.lanes > 1 else [source], self.slot)
            return self.load(type_, self.slot)
        if operation is op.SELECT:
            pairs = zip(self.of(operands[1]), self.of(operands[2]), strict=True)
            return [self.make(op.SELECT, type_.element, [operands[0], *pair]) for pair in pairs]
        first = self.of(operands[0])
        if operation is op.INSERT:
            index = _number(operands[1])
            return [*first[:index], operands[2], *first[index + 1 :]]
        if operation is op.LOW or operation is op.HIGH:
            return first[: type_.lanes] if operation is op.LOW else first[type_.lanes :]
        others = [self.of(operand) for operand in operands[1:]]
        if operation is op.JOIN:
            return [*first, *others[0]]
        if operation is op.EVENS or operation is op.ODDS:
            start = int(operation is op.ODDS)
            return [*first[start::2], *others[0][start::2]]
        compared = COMPARED.get(operation)
        made: Lanes = []
        for each in zip(first, *others, strict=True):
            if compared is None:
                made.append(self.make(operation, type_.element, each))
            else:
                chosen = self.make(compared, type_.element, each)
                made.append(self.make(op.SELECT, type_.element, [chosen, *each]))
        return made


def _number(operand: Operand) -> int:
    return int(operand.value)  # type: ignore[union-attr]
