"""Vectors as numbers: constants of vector types, and operations on them lane by lane.

A vector is the integer that its bits are, in signed form as all integers of the IR;
lane 0 is in the low bits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from callproof.ir import operations as op
from callproof.ir.model import Constant
from callproof.ir.operations import Operation
from callproof.ir.types import F32, F64, Type

Number = int | float
Scalar = Callable[[Operation, Type, Sequence[Number], Type], Number]
_FLOAT_FORMATS = {F32: "f", F64: "d"}

CHOICES: dict[Operation, Callable[[Number, Number], Number]] = {
    op.SMIN: min,
    op.SMAX: max,
    op.FMIN: lambda a, b: a if a < b else b,
    op.FMAX: lambda a, b: a if a > b else b,
}
REDUCTIONS: dict[Operation, Callable[[Sequence[int]], int]] = {
    op.SUM_LANES: sum,
    op.SMIN_LANES: min,
    op.SMAX_LANES: max,
}
# How many operands each has with types of their own; see `text.operand_types`.
REARRANGEMENTS = frozenset(
    (op.SPLAT, op.EXTRACT, op.INSERT, op.EVENS, op.ODDS, op.LOW, op.HIGH, op.JOIN)
)
VECTOR_OPERATIONS = frozenset((*CHOICES, *REDUCTIONS, *REARRANGEMENTS))


def lanes_of(value: Number, type_: Type) -> list[Number]:
    """The lanes of a vector; integers signed, f32 lanes as the floats that they are."""
    data = (int(value) & ((1 << type_.bits) - 1)).to_bytes(type_.size, "little")
    element = type_.element
    form = _FLOAT_FORMATS.get(element)
    if form is not None:
        return list(struct.unpack(f"<{type_.lanes}{form}", data))
    size = element.size
    return [
        int.from_bytes(data[at : at + size], "little", signed=True)
        for at in range(0, type_.size, size)
    ]


def of_lanes(lanes: Sequence[Number], type_: Type) -> int:
    """The vector of these lanes: integers by their low bits, floats representable in theirs."""
    element = type_.element
    form = _FLOAT_FORMATS.get(element)
    if form is not None:
        data = struct.pack(f"<{type_.lanes}{form}", *lanes)
    else:
        mask = (1 << element.bits) - 1
        data = b"".join((int(lane) & mask).to_bytes(element.size, "little") for lane in lanes)
    return int.from_bytes(data, "little", signed=True)


def constant(type_: Type, lanes: Sequence[Number]) -> Constant:
    return Constant(type_, of_lanes(lanes, type_))


def zero(type_: Type) -> Constant:
    """Zero of any type."""
    return Constant(type_, 0.0 if type_.is_float and type_.lanes == 1 else 0)


def evaluate(
    operation: Operation, type_: Type, operands: Sequence[Number], from_: Type, scalar: Scalar
) -> Number:
    """An operation whose result or first operand is a vector; `scalar` does single lanes."""
    first = operands[0]
    if operation is op.EXTRACT:
        return lanes_of(first, from_)[int(operands[1])]
    if operation in REDUCTIONS:
        return REDUCTIONS[operation]([int(lane) for lane in lanes_of(first, from_)])
    if operation is op.LOW or operation is op.HIGH:
        half = lanes_of(first, from_)
        return of_lanes(half[: type_.lanes] if operation is op.LOW else half[type_.lanes :], type_)
    if operation is op.JOIN:
        return of_lanes([*lanes_of(first, from_), *lanes_of(operands[1], from_)], type_)
    if operation is op.SPLAT:
        return of_lanes([first] * type_.lanes, type_)
    lanes = lanes_of(first, type_)
    if operation is op.INSERT:
        lanes[int(operands[1])] = operands[2]
        return of_lanes(lanes, type_)
    others = [lanes_of(operand, type_) for operand in operands[1:]]
    if operation is op.EVENS or operation is op.ODDS:
        start = int(operation is op.ODDS)
        return of_lanes([*lanes[start::2], *others[0][start::2]], type_)
    choice = CHOICES.get(operation)
    if choice is not None:
        return of_lanes([choice(a, b) for a, b in zip(lanes, others[0], strict=True)], type_)
    element = type_.element
    return of_lanes(
        [scalar(operation, element, each, element) for each in zip(lanes, *others, strict=True)],
        type_,
    )
