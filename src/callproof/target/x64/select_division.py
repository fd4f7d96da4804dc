"""Selection rules: quotients and remainders of integers.

By a constant: powers of two are shifts, other divisors multiplications by the reciprocal
(`reciprocal.py`), of which a division instruction takes several times as long.  32 bits
(and fewer, extended) have their whole product in 64; 64 bits take the upper half of the
product in RDX:RAX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import DEF, LATE, REGISTER, USE, MachineInstruction
from callproof.codegen.machine import Operand as Register
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import Instruction
from callproof.target.x64 import pseudo
from callproof.target.x64.instructions import FORMS
from callproof.target.x64.reciprocal import reciprocal
from callproof.target.x64.registers import RAX, RDX
from callproof.target.x64.select_integer import (
    IMUL,
    IMUL_IMM,
    LOGICAL,
    LOGICAL_IMM,
    MOV_32,
    NEG,
    SHIFT_IMM,
    SUB,
    times,
    width,
)
from callproof.target.x64.values import (
    constant,
    extended,
    fits,
    integer_constant,
    two_address,
)

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

MULTIPLY_WIDE = {True: FORMS["imul_q_wide"], False: FORMS["mul_q_wide"]}
MOVSLQ, COPY = FORMS["movslq"], FORMS["mov_q_rr"]
WORD = types.I64


def _shift(s: Selector, operation: op.Operation, type_: types.Type, value: int, by: int) -> int:
    """A register with the shifted value; the value's own for 0."""
    if by == 0:
        return value
    made = s.new_register(type_)
    two_address(s, width(SHIFT_IMM[operation], type_), made, value, by)
    return made


def _sum(s: Selector, type_: types.Type, first: int, second: int) -> int:
    made = s.new_register(type_)
    s.emit(pseudo.ADD_REGISTERS[_bits(type_)], made, first, second)
    return made


def _difference(s: Selector, type_: types.Type, first: int, second: int) -> int:
    made = s.new_register(type_)
    two_address(s, width(SUB, type_), made, first, second)
    return made


def _bits(type_: types.Type) -> int:
    return 64 if type_.bits == 64 else 32


# --- powers of two ------------------------------------------------------------------------


def _masked(s: Selector, type_: types.Type, result: int, value: int, mask: int) -> None:
    if fits(mask):
        two_address(s, width(LOGICAL_IMM[op.AND], type_), result, value, mask)
    else:
        two_address(s, width(LOGICAL[op.AND], type_), result, value, integer_constant(s, mask))


def divide_by_power(s: Selector, i: Instruction) -> bool:
    """Unsigned by a power of two: a shift or a mask."""
    type_, divisor = i.type, constant(i.operands[1])
    assert type_ is not None
    if divisor is None:
        return False
    divisor &= (1 << type_.bits) - 1
    if divisor == 0 or divisor & (divisor - 1):
        return False
    source = extended(s, i.operands[0], is_signed=False)
    result = s.register(i.result)
    if i.operation is op.UDIV:
        form = width(SHIFT_IMM[op.LSHR], type_)
        two_address(s, form, result, source, divisor.bit_length() - 1)
    else:
        _masked(s, type_, result, source, divisor - 1)
    return True


def signed_by_power(s: Selector, i: Instruction) -> bool:
    """By 2**k or -2**k: negative dividends get 2**k - 1 added, then shift or clear low bits."""
    type_, divisor = i.type, constant(i.operands[1])
    assert type_ is not None
    size = abs(divisor) if divisor is not None else 0
    if divisor is None or size < 2 or size & (size - 1):
        return False
    power, bits = size.bit_length() - 1, _bits(type_)
    source = extended(s, i.operands[0], is_signed=True)
    result = s.register(i.result)
    sign = _shift(s, op.ASHR, type_, source, bits - 1) if power > 1 else source
    biased = _sum(s, type_, _shift(s, op.LSHR, type_, sign, bits - power), source)
    if i.operation is op.SREM:
        multiple = s.new_register(type_)
        _masked(s, type_, multiple, biased, -size)
        two_address(s, width(SUB, type_), result, source, multiple)
        return True
    form = width(SHIFT_IMM[op.ASHR], type_)
    if divisor > 0:
        two_address(s, form, result, biased, power)
    else:
        two_address(s, width(NEG, type_), result, _shift(s, op.ASHR, type_, biased, power))
    return True


# --- other constants ------------------------------------------------------------------------


def _upper_half(s: Selector, value: int, factor: int, *, is_signed: bool) -> int:
    """The upper 64 bits of a product with a constant of 64 bits."""
    made = s.new_register(WORD)
    multiplier = integer_constant(s, factor)
    s.append(
        MachineInstruction(
            MULTIPLY_WIDE[is_signed],
            [
                Register(value, USE),
                Register(multiplier, USE, RAX),
                Register(made, DEF, RDX),
            ],
            clobbers=1 << RAX | 1 << RDX,
        )
    )
    return made


def _product(s: Selector, value: int, factor: int) -> int:
    """The product, which fits 64 bits."""
    made = s.new_register(WORD)
    if fits(factor):
        s.emit(IMUL_IMM[0], made, value, factor)
    else:
        two_address(s, IMUL[0], made, value, integer_constant(s, factor))
    return made


def _unsigned_quotient(s: Selector, type_: types.Type, value: int, divisor: int) -> int:
    if type_.bits < 64:
        found = reciprocal(divisor, (1 << 32) - 1, 32)
        if found.multiplier < 1 << 32:
            return _shift(s, op.LSHR, WORD, _product(s, value, found.multiplier), found.power)
        # One bit too many: the dividend once more.
        upper = _shift(s, op.LSHR, WORD, _product(s, value, found.multiplier - (1 << 32)), 32)
        return _shift(s, op.LSHR, WORD, _sum(s, WORD, upper, value), found.power - 32)
    found = reciprocal(divisor, (1 << 64) - 1, 64)
    before = 0
    if found.multiplier >> 64 and divisor & 1 == 0:
        before = (divisor & -divisor).bit_length() - 1
        found = reciprocal(divisor >> before, (1 << (64 - before)) - 1, 64)
    if found.multiplier >> 64 == 0:
        value = _shift(s, op.LSHR, WORD, value, before)
        upper = _upper_half(s, value, found.multiplier, is_signed=False)
        return _shift(s, op.LSHR, WORD, upper, found.power - 64)
    # (upper + value) >> n, whose sum may have 65 bits: half of the difference first.
    upper = _upper_half(s, value, found.multiplier - (1 << 64), is_signed=False)
    half = _shift(s, op.LSHR, WORD, _difference(s, WORD, value, upper), 1)
    return _shift(s, op.LSHR, WORD, _sum(s, WORD, half, upper), found.power - 65)


def _signed_quotient(s: Selector, type_: types.Type, value: int, divisor: int) -> int:
    """The value has its type's sign in all 64 bits."""
    size = abs(divisor)
    if type_.bits < 64:
        found = reciprocal(size, 1 << 31, 32)
        below = _shift(s, op.ASHR, WORD, _product(s, value, found.multiplier), found.power)
    else:
        found = reciprocal(size, 1 << 63, 64)
        factor = found.multiplier
        if factor >> 63:
            upper = _upper_half(s, value, factor - (1 << 64), is_signed=True)
            upper = _sum(s, WORD, upper, value)
        else:
            upper = _upper_half(s, value, factor, is_signed=True)
        below = _shift(s, op.ASHR, WORD, upper, found.power - 64)
    if divisor > 0:
        return _sum(s, WORD, below, _shift(s, op.LSHR, WORD, value, 63))
    return _difference(s, WORD, _shift(s, op.ASHR, WORD, value, 63), below)


def divide_by_constant(s: Selector, i: Instruction) -> bool:
    type_, divisor = i.type, constant(i.operands[1])
    assert type_ is not None
    is_signed = i.operation in (op.SDIV, op.SREM)
    if divisor is None:
        return False
    if not is_signed:
        divisor &= (1 << type_.bits) - 1
    if abs(divisor) < 2:
        return False
    dividend = extended(s, i.operands[0], is_signed=is_signed)
    result = s.register(i.result)
    value = dividend
    if type_.bits < 64:
        value = s.new_register(WORD)
        s.emit(MOVSLQ if is_signed else MOV_32, value, dividend)
    remains = i.operation in (op.SREM, op.UREM)
    if remains:
        divisor = abs(divisor)  # the remainder has the dividend's sign
    quotient = (_signed_quotient if is_signed else _unsigned_quotient)(s, type_, value, divisor)
    if not remains:
        s.emit(COPY, result, quotient)
        return True
    multiple = s.new_register(type_)
    factor = divisor - (1 << 32) if type_.bits < 64 and divisor >> 31 else divisor
    if fits(factor):
        times(s, type_, multiple, quotient, factor)
    else:
        two_address(s, IMUL[0], multiple, quotient, integer_constant(s, factor))
    two_address(s, width(SUB, type_), result, dividend, multiple)
    return True


# --- anything ---------------------------------------------------------------------------------


def divide(s: Selector, i: Instruction) -> bool:
    """RAX by the operand; what the processor refuses is sorted out by the expansion."""
    assert i.type is not None
    is_signed = i.operation in (op.SDIV, op.SREM)
    first = extended(s, i.operands[0], is_signed=is_signed)
    second = extended(s, i.operands[1], is_signed=is_signed)
    wanted = RAX if i.operation in (op.SDIV, op.UDIV) else RDX
    instruction = MachineInstruction(
        pseudo.DIVIDE[is_signed, 64 if i.type.bits == 64 else 32],
        [
            # It must outlast both results, so it is in neither's register.
            Register(second, USE, REGISTER, LATE),
            Register(first, USE, RAX),
            Register(s.register(i.result), DEF, wanted),
        ],
        clobbers=1 << RAX | 1 << RDX,
    )
    s.append(instruction)
    return True


DIVISIONS = (op.SDIV, op.UDIV, op.SREM, op.UREM)
RULES = [
    *(
        Rule(f"{operation}_by_power", operation, rule)
        for operation, rule in (
            (op.UDIV, divide_by_power),
            (op.UREM, divide_by_power),
            (op.SDIV, signed_by_power),
            (op.SREM, signed_by_power),
        )
    ),
    *(Rule(f"{operation}_by_constant", operation, divide_by_constant) for operation in DIVISIONS),
    *(Rule(str(operation), operation, divide) for operation in DIVISIONS),
]
