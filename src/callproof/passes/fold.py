"""Constant folding and algebraic simplification of integers; floats fold only exactly.

Folding uses the interpreter's own arithmetic, so a folded result is the computed one.
Each rule looks at one instruction and gives either an operand that replaces its
result, or changes the instruction in place.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from callproof.ir import operations as op
from callproof.ir.interpret import evaluate
from callproof.ir.model import (
    CONSTANT,
    SYMBOL,
    VALUE,
    Constant,
    Function,
    Instruction,
    Operand,
    Symbol,
)
from callproof.ir.shape import Shape, shape_of
from callproof.ir.ssa import replace_operands
from callproof.ir.types import F32, I64
from callproof.ir.vectors import VECTOR_OPERATIONS, zero

OFFSET_LIMIT = 1 << 31
FLOAT_ARITHMETIC = (op.FADD, op.FSUB, op.FMUL, op.FDIV)
LARGEST_F32 = (2.0 - 2.0**-23) * 2.0**127
NEGATED = {
    op.EQ: op.NE,
    op.NE: op.EQ,
    op.SLT: op.SGE,
    op.SGE: op.SLT,
    op.SGT: op.SLE,
    op.SLE: op.SGT,
    op.ULT: op.UGE,
    op.UGE: op.ULT,
    op.UGT: op.ULE,
    op.ULE: op.UGT,
    op.FEQ: op.FNE,
    op.FNE: op.FEQ,
}
MIRRORED = {
    op.EQ: op.EQ,
    op.NE: op.NE,
    op.SLT: op.SGT,
    op.SGT: op.SLT,
    op.SLE: op.SGE,
    op.SGE: op.SLE,
    op.ULT: op.UGT,
    op.UGT: op.ULT,
    op.ULE: op.UGE,
    op.UGE: op.ULE,
}


def run(function: Function, shape: Shape | None = None) -> bool:
    replacements: dict[int, Operand] = {}
    changed = False

    def current(operand: Operand) -> Operand:
        while operand.kind == VALUE:
            other = replacements.get(operand.number)  # type: ignore[union-attr]
            if other is None:
                break
            operand = other
        return operand

    # Definitions come before uses in this order, so one round sees most of what it makes.
    shape = shape_of(function, shape)
    for block in shape.order():
        for instruction in block.instructions:
            if instruction.operation not in RULES:
                continue
            table = RULES_WITHOUT_CONSTANTS
            operands = instruction.operands
            for index, operand in enumerate(operands):
                if operand.kind == VALUE:
                    if operand.number in replacements:  # type: ignore[union-attr]
                        operands[index] = operand = current(operand)
                        if operand.kind == CONSTANT:
                            table = RULES
                elif operand.kind == CONSTANT:
                    table = RULES
            rules = table.get(instruction.operation)
            if rules is None:
                continue
            for rule in rules:
                answer = rule(instruction)
                if answer is None:
                    continue
                changed = True
                if instruction.operation is op.BRANCH:  # its targets may have changed places
                    shape.forget()
                if answer is not IN_PLACE:
                    replacements[instruction.results[0].number] = answer
                    break
                if table.get(instruction.operation) is not rules:
                    break
    replace_operands(function, replacements)
    return changed


IN_PLACE: Operand = Constant(I64, 0)  # what a rule returns that changed its instruction


def number(operand: Operand) -> int | None:
    """The value of an integer constant (no vector: its value is the bits of all lanes)."""
    if (
        operand.kind == CONSTANT
        and type(operand.value) is int  # type: ignore[union-attr]
        and operand.type.lanes == 1
    ):
        return operand.value  # type: ignore[union-attr]
    return None


def defined_by(operand: Operand, operation: op.Operation) -> Instruction | None:
    if operand.kind != VALUE:
        return None
    definition = operand.definition  # type: ignore[union-attr]
    return definition if definition is not None and definition.operation is operation else None


# --- rules -----------------------------------------------------------------------------------


def constants(i: Instruction) -> Operand | None:
    """All operands are numbers: so is the result."""
    for operand in i.operands:
        if operand.kind != CONSTANT:
            return None
    if i.type is None:
        return None
    values = [operand.value for operand in i.operands]  # type: ignore[union-attr]
    result = evaluate(i.operation, i.type, values, i.operands[0].type)
    return Constant(i.results[0].type, result)


def constant_second(i: Instruction) -> Operand | None:
    """Of commutative operations and comparisons the constant stands second."""
    first, second = i.operands
    if first.kind != CONSTANT or second.kind == CONSTANT:
        return None
    if not i.operation.commutative:
        mirrored = MIRRORED.get(i.operation)
        if mirrored is None:
            return None
        i.operation = mirrored
    i.operands = [second, first]
    return IN_PLACE


def neutral(i: Instruction) -> Operand | None:
    """x + 0, x - 0, x | 0, x ^ 0, x << 0, x >> 0, x & -1, x * 1, x / 1."""
    second = number(i.operands[1])
    if second is None:
        return None
    if second == 0 and i.operation in ZERO_IS_NEUTRAL:
        return i.operands[0]
    if second == 1 and i.operation in (op.MUL, op.SDIV, op.UDIV):
        return i.operands[0]
    if second == -1 and i.operation is op.AND:
        return i.operands[0]
    return None


ZERO_IS_NEUTRAL = frozenset((op.ADD, op.SUB, op.OR, op.XOR, op.SHL, op.LSHR, op.ASHR))


def absorbing(i: Instruction) -> Operand | None:
    """x * 0, x & 0, x | -1, x / 0."""
    second = number(i.operands[1])
    if second == 0 and i.operation in (op.MUL, op.AND, op.SDIV, op.UDIV):
        return i.operands[1]
    if second == -1 and i.operation is op.OR:
        return i.operands[1]
    return None


def same_operands(i: Instruction) -> Operand | None:
    """x - x, x ^ x, x & x, x | x, and comparisons of an integer with itself."""
    first, second = i.operands
    if first is not second:
        return None
    if i.operation in (op.SUB, op.XOR):
        return zero(i.results[0].type)
    if i.operation in (op.AND, op.OR):
        return first
    if i.operation in (op.EQ, op.SLE, op.SGE, op.ULE, op.UGE):
        return Constant(I64, 1)
    if i.operation in (op.NE, op.SLT, op.SGT, op.ULT, op.UGT):
        return Constant(I64, 0)
    return None


def multiply_by_power(i: Instruction) -> Operand | None:
    """x * 2**k is x << k."""
    factor = number(i.operands[1])
    if factor is None or factor <= 1 or factor & (factor - 1):
        return None
    i.operation = op.SHL
    i.operands = [i.operands[0], Constant(i.operands[1].type, factor.bit_length() - 1)]
    return IN_PLACE


def unsigned_by_power(i: Instruction) -> Operand | None:
    """x udiv 2**k is x lshr k, x urem 2**k is x & 2**k - 1."""
    divisor = number(i.operands[1])
    if divisor is None or i.type is None:
        return None
    divisor &= (1 << i.type.bits) - 1
    if divisor < 2 or divisor & (divisor - 1):
        return None
    value = divisor.bit_length() - 1
    if i.operation is op.UREM:
        value = divisor - 1
    i.operation = op.LSHR if i.operation is op.UDIV else op.AND
    i.operands = [i.operands[0], _integer(i, value)]
    return IN_PLACE


def subtract_constant(i: Instruction) -> Operand | None:
    """x - c is x + -c, so that constants gather in additions."""
    amount = number(i.operands[1])
    if amount is None or i.operands[0].kind == CONSTANT:
        return None
    assert i.type is not None
    i.operation = op.ADD
    i.operands = [i.operands[0], _integer(i, -amount)]
    return IN_PLACE


def _integer(i: Instruction, value: int) -> Constant:
    type_ = i.type
    assert type_ is not None
    value &= (1 << type_.bits) - 1
    if value >> (type_.bits - 1):
        value -= 1 << type_.bits
    return Constant(type_, value)


def gather_constants(i: Instruction) -> Operand | None:
    """(x + a) + b is x + (a + b); likewise for *, &, |, ^."""
    second = number(i.operands[1])
    inner = defined_by(i.operands[0], i.operation)
    if second is None or inner is None:
        return None
    first = number(inner.operands[1])
    if first is None or inner.operands[0].kind == CONSTANT:
        return None
    assert i.type is not None
    total = evaluate(i.operation, i.type, [first, second], i.type)
    i.operands = [inner.operands[0], Constant(i.operands[1].type, total)]
    return IN_PLACE


def doubled(i: Instruction) -> Operand | None:
    """x * 2.0 is x + x, to the last bit."""
    for one, other in (i.operands, i.operands[::-1]):
        if other.kind == CONSTANT and other.value == 2.0 and other.type.lanes == 1:  # type: ignore[union-attr]
            i.operation = op.FADD
            i.operands = [one, one]
            return IN_PLACE
    return None


def symbol_plus_constant(i: Instruction) -> Operand | None:
    first, amount = i.operands[0], number(i.operands[1])
    if first.kind != SYMBOL or amount is None or abs(amount) >= OFFSET_LIMIT:
        return None
    assert isinstance(first, Symbol)
    return Symbol(first.name, first.offset + amount)


def comparison_of_truth(i: Instruction) -> Operand | None:
    """(a < b) ~= 0 is a < b; (a < b) = 0 is a >= b (for floats = and ~= only)."""
    if number(i.operands[1]) != 0 or i.operands[0].kind != VALUE:
        return None
    inner = i.operands[0].definition  # type: ignore[union-attr]
    if inner is None or not inner.operation.compares:
        return None
    if i.operation is op.NE:
        return i.operands[0]
    negated = NEGATED.get(inner.operation)
    if negated is None:
        return None
    i.operation, i.type = negated, inner.type
    i.operands = list(inner.operands)
    return IN_PLACE


def select_known(i: Instruction) -> Operand | None:
    condition = i.operands[0]
    if condition.kind == CONSTANT:
        return i.operands[1] if condition.value != 0 else i.operands[2]  # type: ignore[union-attr]
    if i.operands[1] is i.operands[2]:
        return i.operands[1]
    return None


def extracted(i: Instruction) -> Operand | None:
    """A lane of a vector that was put there by `insert` or `splat`."""
    vector, index = i.operands[0], number(i.operands[1])
    while True:
        made = defined_by(vector, op.SPLAT)
        if made is not None:
            return made.operands[0]
        made = defined_by(vector, op.INSERT)
        if made is None:
            break
        if number(made.operands[1]) == index:
            return made.operands[2]
        vector = made.operands[0]
    if vector is i.operands[0]:
        return None
    i.operands = [vector, i.operands[1]]
    return constants(i) or IN_PLACE


def half_of_joined(i: Instruction) -> Operand | None:
    joined = defined_by(i.operands[0], op.JOIN)
    return joined.operands[i.operation is op.HIGH] if joined is not None else None


def joined_halves(i: Instruction) -> Operand | None:
    """The two halves of one vector joined again."""
    low, high = defined_by(i.operands[0], op.LOW), defined_by(i.operands[1], op.HIGH)
    if low is None or high is None or low.operands[0] is not high.operands[0]:
        return None
    return low.operands[0]


def there_and_back(i: Instruction) -> Operand | None:
    """A value widened and narrowed again is itself."""
    for widening in (op.SEXT, op.ZEXT) if i.operation is op.TRUNC else (op.FEXT,):
        wide = defined_by(i.operands[0], widening)
        if wide is not None and wide.operands[0].type is i.type:
            return wide.operands[0]
    return None


def single_precision(i: Instruction) -> Operand | None:
    """One operation on widened numbers, rounded to their own precision, is that precision's
    operation: 53 bits are at least 2 * 24 + 2, so rounding twice is as rounding once (Figueroa,
    "When is double rounding innocuous?", 1995; also for results below the normal numbers).
    """
    definition = i.operands[0].definition if i.operands[0].kind == VALUE else None  # type: ignore[union-attr]
    if i.type is not F32 or definition is None or definition.operation not in FLOAT_ARITHMETIC:
        return None
    narrow: list[Operand] = []
    for operand in definition.operands:
        widened = defined_by(operand, op.FEXT)
        if widened is not None:
            narrow.append(widened.operands[0])
            continue
        value = operand.value if operand.kind == CONSTANT else None  # type: ignore[union-attr]
        if not isinstance(value, float) or abs(value) > LARGEST_F32:
            return None
        if struct.unpack("f", struct.pack("f", value))[0] != value:
            return None
        narrow.append(Constant(F32, value))
    i.operation = definition.operation
    i.operands = narrow
    return IN_PLACE


def address_offset(i: Instruction) -> Operand | None:
    """A constant added to an address moves into the access."""
    total = defined_by(i.operands[-1], op.ADD)
    if total is None:
        return None
    amount = number(total.operands[1])
    if amount is None or abs(i.offset + amount) >= OFFSET_LIMIT:
        return None
    i.operands[-1] = total.operands[0]
    i.offset += amount
    return IN_PLACE


def branch_condition(i: Instruction) -> Operand | None:
    """A branch on x ~= 0 is one on x; on (compared) = 0 the targets change places."""
    condition = i.operands[0]
    for operation in (op.NE, op.EQ):
        test = defined_by(condition, operation)
        if test is None or number(test.operands[1]) != 0 or test.type is None:
            continue
        if test.type.bits != 64 or test.operands[0].kind != VALUE:
            continue
        inner = test.operands[0].definition  # type: ignore[union-attr]
        if inner is None or not inner.operation.compares:
            continue
        i.operands = [test.operands[0]]
        if operation is op.EQ:
            i.targets.reverse()
        return IN_PLACE
    return None


def stored_bits(i: Instruction) -> Operand | None:
    """What is stored as other bits of the same size is stored as what it is."""
    cast = defined_by(i.operands[0], op.BITCAST)
    if cast is None or cast.operands[0].kind != VALUE:
        return None
    i.operands[0] = cast.operands[0]
    i.type = cast.operands[0].type
    return IN_PLACE


def cast_again(i: Instruction) -> Operand | None:
    """The same bits seen as a third type; or as what they were at first."""
    cast = defined_by(i.operands[0], op.BITCAST)
    if cast is None:
        return None
    first = cast.operands[0]
    if first.type is i.type:
        return first
    i.operands[0] = first
    return IN_PLACE


Rule = Callable[[Instruction], Operand | None]
FLOAT_FOLDED = (op.FADD, op.FSUB, op.FMUL, op.FDIV, op.FNEG, op.FABS, op.FSQRT)
FLOAT_COMPARED = (op.FEQ, op.FNE, op.FLT, op.FLE, op.FGT, op.FGE)
CONVERTED = (op.SITOF, op.FTOSI, op.FLOORTOSI, op.FEXT, op.FTRUNC, op.SEXT, op.ZEXT)
INTEGER_COMPARED = tuple(MIRRORED)

RULES: dict[op.Operation, tuple[Rule, ...]] = {
    op.ADD: (constants, constant_second, neutral, gather_constants, symbol_plus_constant),
    op.SUB: (constants, neutral, same_operands, subtract_constant),
    op.MUL: (
        constants,
        constant_second,
        neutral,
        absorbing,
        gather_constants,
        multiply_by_power,
    ),
    op.SDIV: (constants, neutral, absorbing),
    op.UDIV: (constants, neutral, absorbing, unsigned_by_power),
    op.SREM: (constants,),
    op.UREM: (constants, unsigned_by_power),
    op.AND: (constants, constant_second, neutral, absorbing, same_operands, gather_constants),
    op.OR: (constants, constant_second, neutral, absorbing, same_operands, gather_constants),
    op.XOR: (constants, constant_second, neutral, same_operands, gather_constants),
    op.SHL: (constants, neutral),
    op.LSHR: (constants, neutral),
    op.ASHR: (constants, neutral),
    op.SELECT: (select_known,),
    op.BRANCH: (branch_condition,),
    **dict.fromkeys(INTEGER_COMPARED, (constants, constant_second, same_operands)),
    op.NE: (constants, constant_second, same_operands, comparison_of_truth),
    op.EQ: (constants, constant_second, same_operands, comparison_of_truth),
    **dict.fromkeys(FLOAT_FOLDED, (constants,)),
    op.FMUL: (constants, doubled),
    **dict.fromkeys(FLOAT_COMPARED, (constants,)),
    **dict.fromkeys(CONVERTED, (constants,)),
    op.BITCAST: (constants, cast_again),
    op.TRUNC: (constants, there_and_back),
    op.FTRUNC: (constants, there_and_back, single_precision),
    **dict.fromkeys(VECTOR_OPERATIONS, (constants,)),
    op.EXTRACT: (constants, extracted),
    **dict.fromkeys((op.LOW, op.HIGH), (constants, half_of_joined)),
    op.JOIN: (constants, joined_halves),
    **{operation: (address_offset,) for operation in op.ALL if operation.reads},
    **dict.fromkeys((op.STORE, op.STORE8, op.STORE16, op.STORE32), (address_offset,)),
    op.STORE: (address_offset, stored_bits),
}

OF_CONSTANTS = frozenset(
    (
        *(constants, constant_second, neutral, absorbing, gather_constants, symbol_plus_constant),
        *(subtract_constant, multiply_by_power, unsigned_by_power, comparison_of_truth, doubled),
    )
)
"""Rules that have nothing to say where no operand is a constant."""

RULES_WITHOUT_CONSTANTS = {
    operation: left
    for operation, rules in RULES.items()
    if (left := tuple(rule for rule in rules if rule not in OF_CONSTANTS))
}
