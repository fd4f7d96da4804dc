"""Vectors as registers hold them: too wide ones in halves, missing operations lane by lane.

A `v8f32` becomes two `v4f32`, wherever it stands: operands, results, parameters of
blocks, arguments of jumps (signatures know it as two vectors from the start).  What a
target has no instructions for (`Target.lacks`) is done on the lanes; for NEON that is
division, shifts whose counts are not one constant, and products of 64-bit lanes.
"""

from __future__ import annotations

from collections.abc import Callable

from callproof.ir import operations as op
from callproof.ir.dominance import reverse_postorder
from callproof.ir.model import (
    CONSTANT,
    VALUE,
    Block,
    Constant,
    Function,
    Instruction,
    Operand,
    Value,
)
from callproof.ir.operations import Operation
from callproof.ir.places import PlaceNumber
from callproof.ir.types import HALVES, I32, I64, Type
from callproof.ir.vectors import constant, lanes_of

Halves = tuple[Operand, Operand]

SIGNED = frozenset((op.SDIV, op.SREM, op.ASHR))
UNSIGNED = frozenset((op.UDIV, op.UREM, op.LSHR))
SHIFTS = frozenset((op.SHL, op.LSHR, op.ASHR))
DIVISIONS = frozenset((op.SDIV, op.UDIV, op.SREM, op.UREM))
COMPARED = {op.SMIN: op.SLT, op.SMAX: op.SGT, op.FMIN: op.FLT, op.FMAX: op.FGT}
REDUCED = {op.SUM_LANES: None, op.SMIN_LANES: op.SLT, op.SMAX_LANES: op.SGT}
Lacks = Callable[[Instruction], bool]


def run(function: Function, lacks: Lacks | None = None) -> bool:
    """True if the function had such vectors or operations."""
    if lacks is None:
        lacks = is_missing
    needed = _is_needed(function, lacks)
    if needed:
        _Legaliser(function, lacks).run()
    return needed


def _is_needed(function: Function, lacks: Lacks) -> bool:
    for block in function.blocks:
        for value in block.parameters:
            if value.type in HALVES:
                return True
        for i in block.instructions:
            type_ = i.type
            has_vectors = type_ is not None and type_.lanes > 1
            for operand in i.operands:
                if operand.type.lanes > 1:
                    has_vectors = True
            for value in i.results:
                if value.type.lanes > 1:
                    has_vectors = True
            if has_vectors and (_is_of_halves(i) or lacks(i)):
                return True
    return False


def _is_of_halves(i: Instruction) -> bool:
    return any(operand.type in HALVES for operand in (*i.operands, *i.results))


def uniform_shift(i: Instruction) -> int | None:
    """The count of a vector shift if it is one constant below the width, for all lanes."""
    counts = i.operands[1]
    if counts.kind != CONSTANT or i.type is None:
        return None
    lanes = set(lanes_of(counts.value, i.type))  # type: ignore[union-attr]
    count = lanes.pop()
    return int(count) if not lanes and 0 <= count < i.type.element.bits else None


def is_missing(i: Instruction) -> bool:
    """Whether NEON has no instruction for a vector operation."""
    type_ = i.type
    if i.operation in REDUCED:
        return i.operands[0].type.element is I64
    if type_ is None or type_.lanes == 1 or type_ in HALVES:
        return False
    operation = i.operation
    if operation in DIVISIONS:
        return True
    if operation in SHIFTS:
        return uniform_shift(i) is None
    return operation is op.MUL and type_.element is I64


class _Legaliser:
    __slots__ = ("found", "function", "halves", "lacks", "line")

    def __init__(self, function: Function, lacks: Lacks) -> None:
        self.function = function
        self.lacks = lacks
        self.halves: dict[int, Halves] = {}
        self.found: list[Instruction] = []
        self.line: PlaceNumber = 0

    def run(self) -> None:
        function = self.function
        order = reverse_postorder(function)  # definitions before uses, but for parameters
        for block in order:
            block.parameters = [new for old in block.parameters for new in self.parameter(old)]
        for block in order:
            self.block(block)
        for block in order:
            for target in block.terminator.targets:
                target.arguments = self.spread(target.arguments)

    def parameter(self, value: Value) -> list[Value]:
        half = HALVES.get(value.type)
        if half is None:
            return [value]
        pair = []
        for suffix in ("low", "high"):
            name = f"{value.name}_{suffix}" if value.name else ""
            part = self.function.new_value(half, name)
            part.block = value.block
            pair.append(part)
        self.halves[value.number] = (pair[0], pair[1])
        return pair

    def block(self, block: Block) -> None:
        self.found = []
        for i in block.instructions:
            self.line = i.line
            wide = any(operand.type in HALVES for operand in (*i.operands, *i.results))
            if wide:
                self.in_halves(i)
            elif not self.lacks(i):
                self.found.append(i)
            elif i.operation in REDUCED:
                self.reduce(i)
            else:
                self.by_lanes(i)
        block.instructions = self.found

    # --- halves -----------------------------------------------------------------------------

    def both(self, operand: Operand) -> Halves:
        if operand.kind == VALUE:
            return self.halves[operand.number]  # type: ignore[union-attr]
        assert isinstance(operand, Constant)
        half = HALVES[operand.type]
        lanes = lanes_of(operand.value, operand.type)
        return constant(half, lanes[: half.lanes]), constant(half, lanes[half.lanes :])

    def spread(self, operands: list[Operand]) -> list[Operand]:
        return [
            part
            for operand in operands
            for part in (self.both(operand) if operand.type in HALVES else (operand,))
        ]

    def make(
        self,
        operation: Operation,
        type_: Type,
        operands: list[Operand],
        name: str = "",
        offset: int = 0,
    ) -> Value:
        value = self.function.new_value(I64 if operation.compares else type_, name)
        instruction = Instruction(operation, type_, operands, [value], self.line)
        instruction.offset = offset
        self.found.append(instruction)
        return value

    def is_result(self, i: Instruction, value: Operand) -> None:
        """A value that is one of the halves takes the place of the instruction's result."""
        copy = Instruction(op.BITCAST, i.result.type, [value], [i.result], self.line)
        self.found.append(copy)

    def in_halves(self, i: Instruction) -> None:
        operation, operands = i.operation, i.operands
        if operation.terminator:
            i.operands = self.spread(operands)
            self.found.append(i)
        elif operation is op.LOW or operation is op.HIGH:
            self.is_result(i, self.both(operands[0])[operation is op.HIGH])
        elif operation is op.EXTRACT:
            half, index = self.at(operands[0], operands[1])
            i.operands = [half, index]
            self.found.append(i)
        elif operation is op.JOIN:
            self.halves[i.result.number] = (operands[0], operands[1])
        elif operation is op.STORE:
            low, high = self.both(operands[0])
            for distance, part in enumerate((low, high)):
                store = Instruction(op.STORE, part.type, [part, operands[1]], [], self.line)
                store.offset = i.offset + distance * part.type.size
                self.found.append(store)
        else:
            self.new_halves(i)

    def at(self, vector: Operand, index: Operand) -> tuple[Operand, Constant]:
        """The half in which a lane is, and its number there."""
        pair = self.both(vector)
        assert isinstance(index, Constant)
        count = pair[0].type.lanes
        number = int(index.value)
        return pair[number >= count], Constant(I64, number % count)

    def new_halves(self, i: Instruction) -> None:
        operation, operands, result = i.operation, i.operands, i.result
        half = HALVES[result.type]
        made: list[Operand] = []
        if operation is op.INSERT:
            part, index = self.at(operands[0], operands[1])
            made = list(self.both(operands[0]))
            which = int(operands[1].value) >= half.lanes  # type: ignore[union-attr]
            made[which] = self.make(op.INSERT, half, [part, index, operands[2]], result.name)
        elif operation is op.LOAD:
            made = [
                self.make(op.LOAD, half, list(operands), result.name, i.offset + at)
                for at in (0, half.size)
            ]
        elif operation is op.SPLAT:
            value = self.make(op.SPLAT, half, list(operands), result.name)
            made = [value, value]
        elif operation is op.EVENS or operation is op.ODDS:
            made = [
                self.make(operation, half, list(self.both(operand)), result.name)
                for operand in operands
            ]
        else:  # lane by lane, or a choice by a word
            parts = [
                self.both(operand) if operand.type in HALVES else (operand, operand)
                for operand in operands
            ]
            made = [
                self.make(operation, half, [part[which] for part in parts], result.name)
                for which in (0, 1)
            ]
        self.halves[result.number] = (made[0], made[1])

    # --- lanes ------------------------------------------------------------------------------

    def by_lanes(self, i: Instruction) -> None:
        """Each lane by itself; narrow ones in 32 bits, as the operation's sign wants them."""
        operation, type_ = i.operation, i.type
        assert type_ is not None
        element = type_.element
        shift = operation in SHIFTS
        vector: Operand = i.operands[0]
        for index in range(type_.lanes):
            lanes = [self.lane(operand, index) for operand in i.operands]
            if operation in COMPARED:
                chosen = self.make(COMPARED[operation], element, lanes)
                value = self.make(op.SELECT, element, [chosen, *lanes])
            elif element.bits < 32 and not shift:
                extend = op.SEXT if operation in SIGNED else op.ZEXT
                wide: list[Operand] = [self.make(extend, I32, [lane]) for lane in lanes]
                value = self.make(op.TRUNC, element, [self.make(operation, I32, wide)])
            else:
                value = self.make(operation, element, lanes)
            if index == 0:  # the other lanes will be replaced
                vector = self.make(op.SPLAT, type_, [value])
                continue
            operands: list[Operand] = [vector, Constant(I64, index), value]
            if index + 1 < type_.lanes:
                vector = self.make(op.INSERT, type_, operands)
            else:
                self.found.append(Instruction(op.INSERT, type_, operands, [i.result], self.line))

    def reduce(self, i: Instruction) -> None:
        """The lanes as words, combined one after the other."""
        vector, compared = i.operands[0], REDUCED[i.operation]
        total: Operand | None = None
        for index in range(vector.type.lanes):
            lane = self.lane(vector, index)
            word = lane if lane.type is I64 else self.make(op.SEXT, I64, [lane])
            if total is None:
                total = word
            elif compared is None:
                total = self.make(op.ADD, I64, [total, word])
            else:
                chosen = self.make(compared, I64, [total, word])
                total = self.make(op.SELECT, I64, [chosen, total, word])
        assert total is not None
        self.is_result(i, total)

    def lane(self, vector: Operand, index: int) -> Operand:
        element = vector.type.element
        if vector.kind == CONSTANT:
            return Constant(element, lanes_of(vector.value, vector.type)[index])  # type: ignore[union-attr]
        return self.make(op.EXTRACT, element, [vector, Constant(I64, index)])
