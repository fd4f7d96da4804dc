"""Vectors in random IR: arithmetic, lanes, memory; for `random_ir.py`.

The bits of NaNs are never looked at: float vectors become integers through conversions
of their lanes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.abi import types as abi
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import Constant, Operand, Symbol, Value
from callproof.ir.types import I32, I64, Type
from callproof.ir.vectors import constant

if TYPE_CHECKING:
    from tests.support.random_ir import _Generator

INTEGER_VECTORS = [t for t in types.VECTORS if not t.element.is_float]
FLOAT_VECTORS = [t for t in types.VECTORS if t.element.is_float]
BINARY = [op.ADD, op.SUB, op.MUL, op.SMIN, op.SMAX, op.AND, op.OR, op.XOR, op.SDIV, op.UDIV,
          op.SREM, op.UREM, op.EVENS, op.ODDS]  # fmt: skip
FLOAT_BINARY = [op.FADD, op.FSUB, op.FMUL, op.FDIV, op.FMIN, op.FMAX, op.EVENS, op.ODDS]
SHIFTS = [op.SHL, op.LSHR, op.ASHR]
PAIRWISE = [op.ADD, op.SMIN, op.SMAX]
REDUCTIONS = [op.SUM_LANES, op.SMIN_LANES, op.SMAX_LANES]
FLOAT_MEMORY = {types.F32: 64, types.F64: 96}
MEMORY_SIZE = 112

_QUAD = abi.ShortVector(abi.F32, 4)
PARAMETERS: list[abi.Type] = [
    abi.ShortVector(abi.I32, 2),
    abi.ShortVector(abi.I16, 4),
    abi.ShortVector(abi.I8, 8),
    abi.ShortVector(abi.F32, 2),
    _QUAD,
    abi.ShortVector(abi.I32, 4),
    abi.ShortVector(abi.F64, 2),
    abi.Composite("", (abi.Field("f0", _QUAD, 0), abi.Field("f1", _QUAD, 16)), 32, 16, False),
]


def vector_constant(g: _Generator, type_: Type) -> Constant:
    if g.source.random() < 0.4:
        return constant(type_, [g.constant(type_.element).value] * type_.lanes)
    return constant(type_, [g.constant(type_.element).value for _ in range(type_.lanes)])


def statement(g: _Generator) -> None:
    pick = g.source.random()
    type_ = g.source.choice(types.VECTORS)
    if pick < 0.45:
        arithmetic(g, type_)
    elif pick < 0.70:
        lanes(g, type_)
    elif pick < 0.82:
        reduction(g)
    elif pick < 0.90:
        other_shape(g)
    else:
        memory(g, type_)


def arithmetic(g: _Generator, type_: Type) -> None:
    builder, choose = g.builder, g.source.choice
    first, second = g.operand(type_), g.operand(type_)
    pick = g.source.random()
    if pick < 0.1:
        condition = g.comparison() if g.source.random() < 0.7 else g.operand(I64)
        g.assign(type_, builder.value(op.SELECT, type_, condition, first, second))
        return
    if type_.element.is_float:
        if pick < 0.2:
            operation = choose((op.FNEG, op.FABS, op.FSQRT))
            g.assign(type_, builder.value(operation, type_, first))
        elif pick < 0.3:
            pairwise(g, type_, op.FADD, first, second)
        else:
            g.assign(type_, builder.value(choose(FLOAT_BINARY), type_, first, second))
        return
    if pick < 0.3:
        operation = choose(SHIFTS)
        if g.source.random() < 0.7:
            count = g.source.randrange(0, type_.element.bits + 2) % (type_.element.bits or 1)
            second = constant(type_, [count] * type_.lanes)
        g.assign(type_, builder.value(operation, type_, first, second))
    elif pick < 0.4:
        pairwise(g, type_, choose(PAIRWISE), first, second)
    elif pick < 0.45:
        g.assign(type_, builder.value(op.SUB, type_, constant(type_, [0] * type_.lanes), first))
    else:
        g.assign(type_, builder.value(choose(BINARY), type_, first, second))


def pairwise(
    g: _Generator, type_: Type, operation: op.Operation, first: Operand, second: Operand
) -> None:
    evens = g.builder.value(op.EVENS, type_, first, second)
    odds = g.builder.value(op.ODDS, type_, first, second)
    g.assign(type_, g.builder.value(operation, type_, evens, odds))


def lanes(g: _Generator, type_: Type) -> None:
    builder, source = g.builder, g.source
    vector, element = g.operand(type_, 0.1), type_.element
    index = Constant(I64, source.randrange(type_.lanes))
    pick = source.random()
    if pick < 0.3:
        value: Operand = g.operand(element)
        if source.random() < 0.4:
            taken = Constant(I64, source.randrange(type_.lanes))
            value = builder.value(op.EXTRACT, element, g.operand(type_, 0.1), taken)
        g.assign(type_, builder.value(op.INSERT, type_, vector, index, value))
        return
    if pick < 0.5:
        value = g.operand(element)
        if source.random() < 0.4:
            value = builder.value(op.EXTRACT, element, vector, index)
        g.assign(type_, builder.value(op.SPLAT, type_, value))
        return
    lane = builder.value(op.EXTRACT, element, vector, index)
    if element.is_float or element is I64 or pick < 0.65:
        g.assign(element, lane)
        return
    extend = source.choice((op.SEXT, op.ZEXT))
    wide = source.choice((I64, I32)) if element is not I32 else I64
    g.assign(wide, builder.value(extend, wide, lane))


def reduction(g: _Generator) -> None:
    """To one word; or the two lanes of a v2f32 to their sum as an f64."""
    builder = g.builder
    if g.source.random() < 0.3:
        vector = g.operand(types.V2F32, 0.0)
        parts = [
            builder.value(
                op.FEXT,
                types.F64,
                builder.value(op.EXTRACT, types.F32, vector, Constant(I64, index)),
            )
            for index in g.source.choice(((0, 1), (1, 0), (1, 1)))
        ]
        g.assign(types.F64, builder.value(op.FADD, types.F64, *parts))
        return
    type_ = g.source.choice([t for t in INTEGER_VECTORS if t.element is not I64])
    g.assign(I64, builder.value(g.source.choice(REDUCTIONS), I64, g.operand(type_)))


def other_shape(g: _Generator) -> None:
    builder, choose = g.builder, g.source.choice
    pick = g.source.randrange(4)
    if pick == 0:
        first, second = g.operand(types.V4F32), g.operand(types.V4F32)
        g.assign(types.V8F32, builder.value(op.JOIN, types.V8F32, first, second))
    elif pick == 1:
        half = builder.value(choose((op.LOW, op.HIGH)), types.V4F32, g.operand(types.V8F32))
        g.assign(types.V4F32, half)
    else:
        from_ = choose(INTEGER_VECTORS)
        same = [t for t in (*INTEGER_VECTORS, I64) if t.bits == from_.bits]
        to = choose(same)
        value = g.operand(from_)
        if pick == 3 and from_.bits == 64:
            from_, to = I64, from_
            value = g.operand(I64)
        g.assign(to, builder.value(op.BITCAST, to, value))


def memory(g: _Generator, type_: Type) -> None:
    """Integer vectors in the integer half, float vectors in places of their own."""
    base: Operand = g.slot if g.source.random() < 0.6 else Symbol("memory")
    offset = FLOAT_MEMORY.get(type_.element, 0)
    if not type_.element.is_float:
        offset = g.source.randrange(0, 33 - type_.size)
    if g.source.random() < 0.5:
        g.builder.store(type_, g.operand(type_), base, offset)
    else:
        g.assign(type_, g.builder.load(type_, base, offset))


def keep(g: _Generator) -> None:
    """At a function's end: vectors that nothing else reads go to memory, so that they count."""
    for type_ in types.VECTORS:
        for name in g.variables.get(type_, []):
            offset = FLOAT_MEMORY.get(type_.element, 32 - type_.size)
            g.builder.store(type_, g.builder.read(name), Symbol("memory"), offset)


def observed(g: _Generator) -> list[Value]:
    """What vectors left in memory, for the hash of everything."""
    memory = Symbol("memory")
    places = [(I64, 0), (I64, 24), *((types.F32, at) for at in range(64, 80, 4)), (types.F64, 104)]
    return [g.builder.load(type_, memory, offset) for type_, offset in places]
