"""Selection rules: integer arithmetic, bits, shifts, division, extension.

Each function is one rule (see `codegen/target.py`): it emits and returns True, or
returns False untouched.  `s` is the selector, `i` the IR instruction.  Rules of
an operation are tried from the most to the least specific.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import ZERO_REGISTER, Form
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, Constant, Instruction
from callproof.ir.model import Operand as IrOperand
from callproof.target.arm64.immediates import encode_bitmask
from callproof.target.arm64.instructions import FORMS
from callproof.target.arm64.values import extended, use, use_or_zero

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

LSL, LSR = 0, 1
CONDITION_LS = 9  # unsigned lower or same


def both(name: str) -> tuple[Form, Form]:
    """The 64-bit and 32-bit forms of a name with `?` for the width."""
    return FORMS[name.replace("?", "x")], FORMS[name.replace("?", "w")]


def width(forms: tuple[Form, Form], type_: types.Type) -> Form:
    return forms[0] if type_.bits == 64 else forms[1]


ADD_IMM, SUB_IMM = both("add_?_imm"), both("sub_?_imm")
ADD, SUB = both("add_?_shift"), both("sub_?_shift")
MADD, MSUB = both("madd_?"), both("msub_?")
SDIV, UDIV = both("sdiv_?"), both("udiv_?")
LSLV, LSRV, ASRV = both("lslv_?"), both("lsrv_?"), both("asrv_?")
UBFM, SBFM = both("ubfm_?"), both("sbfm_?")
CSEL, SUBS_IMM = both("csel_?"), both("subs_?_imm")
MOV = both("mov_?")
LOGICAL_IMM = {op.AND: both("and_?_imm"), op.OR: both("orr_?_imm"), op.XOR: both("eor_?_imm")}
LOGICAL = {op.AND: both("and_?_shift"), op.OR: both("orr_?_shift"), op.XOR: both("eor_?_shift")}
LOGICAL_NOT = {op.AND: both("bic_?_shift"), op.OR: both("orn_?_shift"), op.XOR: both("eon_?_shift")}
LOW_WORDS = {op.ADD: ADD, op.SUB: SUB, op.MUL: MADD} | LOGICAL
ORN = both("orn_?_shift")


def constant(operand: IrOperand) -> int | None:
    """The integer value of a constant operand, None for anything else."""
    if operand.kind == CONSTANT:
        value = operand.value  # type: ignore[union-attr]
        if type(value) is int:
            return value
    return None


def arithmetic_immediate(value: int) -> tuple[int, int] | None:
    """(imm12, shift) if a non-negative value fits ADD and SUB (immediate)."""
    if 0 <= value < 1 << 12:
        return value, 0
    if 0 <= value < 1 << 24 and not value & 0xFFF:
        return value >> 12, 12
    return None


# --- add, sub, mul -------------------------------------------------------------------


def add_immediate(s: Selector, i: Instruction) -> bool:
    first, second = i.operands
    if first.kind == CONSTANT:
        first, second = second, first
    value = constant(second)
    if value is None or first.kind == CONSTANT:
        return False
    return _add_constant(s, i, first, value)


def sub_immediate(s: Selector, i: Instruction) -> bool:
    value = constant(i.operands[1])
    if value is None or i.operands[0].kind == CONSTANT:
        return False
    return _add_constant(s, i, i.operands[0], -value)


def _add_constant(s: Selector, i: Instruction, base: IrOperand, value: int) -> bool:
    assert i.type is not None
    positive = arithmetic_immediate(value)
    if positive is not None:
        s.emit(width(ADD_IMM, i.type), s.register(i.result), use(s, base), *positive)
        return True
    negative = arithmetic_immediate(-value)
    if negative is not None:
        s.emit(width(SUB_IMM, i.type), s.register(i.result), use(s, base), *negative)
        return True
    return False


def add_multiply(s: Selector, i: Instruction) -> bool:
    """a + b * c in one MADD."""
    for addend, factor in (i.operands, i.operands[::-1]):
        product = s.only_use(factor, op.MUL)
        if product is not None:
            _multiply_add(s, i, MADD, product, addend)
            return True
    return False


def sub_multiply(s: Selector, i: Instruction) -> bool:
    """a - b * c in one MSUB."""
    product = s.only_use(i.operands[1], op.MUL)
    if product is None:
        return False
    _multiply_add(s, i, MSUB, product, i.operands[0])
    return True


def _multiply_add(
    s: Selector,
    i: Instruction,
    forms: tuple[Form, Form],
    product: Instruction,
    addend: IrOperand | None,
) -> None:
    assert i.type is not None
    first = use_or_zero(s, product.operands[0])
    second = use_or_zero(s, product.operands[1])
    third = ZERO_REGISTER if addend is None else use_or_zero(s, addend)
    s.emit(width(forms, i.type), s.register(i.result), first, second, third)


def multiply_by_shift(s: Selector, i: Instruction) -> bool:
    """x * (2**k + 1) is x + (x << k), x * (1 - 2**k) is x - (x << k): one instruction."""
    assert i.type is not None
    factor, operand = constant(i.operands[1]), i.operands[0]
    if factor is None:
        factor, operand = constant(operand), i.operands[1]
    if factor is None or operand.kind == CONSTANT:
        return False
    form, power = (ADD, factor - 1) if factor > 0 else (SUB, 1 - factor)
    shift = power.bit_length() - 1
    if power < 2 or power & (power - 1) or shift >= i.type.bits:
        return False
    source = use(s, operand)
    s.emit(width(form, i.type), s.register(i.result), source, source, LSL, shift)
    return True


def add_shifted(s: Selector, i: Instruction) -> bool:
    """a + (b << k) in one ADD (shifted register)."""
    for plain, shifted in (i.operands, i.operands[::-1]):
        if _shifted(s, i, width(ADD, i.type or types.I64), plain, shifted):
            return True
    return False


def sub_shifted(s: Selector, i: Instruction) -> bool:
    return _shifted(s, i, width(SUB, i.type or types.I64), *i.operands)


def _shifted(s: Selector, i: Instruction, form: Form, plain: IrOperand, other: IrOperand) -> bool:
    assert i.type is not None
    shift = s.only_use(other, op.SHL)
    if shift is None:
        return False
    amount = constant(shift.operands[1])
    if amount is None or not 0 <= amount < i.type.bits:
        return False
    first = use_or_zero(s, plain)
    s.emit(form, s.register(i.result), first, use(s, shift.operands[0]), LSL, amount)
    return True


def add_registers(s: Selector, i: Instruction) -> bool:
    return _two_registers(s, i, width(ADD, i.type or types.I64))


def sub_registers(s: Selector, i: Instruction) -> bool:
    """Also negation: 0 - x has XZR as its first operand."""
    return _two_registers(s, i, width(SUB, i.type or types.I64))


def _two_registers(s: Selector, i: Instruction, form: Form) -> bool:
    first, second = use_or_zero(s, i.operands[0]), use_or_zero(s, i.operands[1])
    s.emit(form, s.register(i.result), first, second, LSL, 0)
    return True


def multiply(s: Selector, i: Instruction) -> bool:
    _multiply_add(s, i, MADD, i, None)
    return True


# --- bits ----------------------------------------------------------------------------


def low_word(s: Selector, i: Instruction) -> bool:
    """The low 32 bits of a sum, product or the like: an instruction on W registers."""
    if constant(i.operands[1]) != 0xFFFFFFFF or i.type is not types.I64:
        return False
    for operation, forms in LOW_WORDS.items():
        inner = s.only_use(i.operands[0], operation)
        if inner is None or any(constant(operand) is not None for operand in inner.operands):
            continue
        registers = [use_or_zero(s, operand) for operand in inner.operands]
        last = (ZERO_REGISTER,) if operation is op.MUL else (LSL, 0)
        s.emit(forms[1], s.register(i.result), *registers, *last)
        return True
    return False


def logical_immediate(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    first, second = i.operands
    if first.kind == CONSTANT:
        first, second = second, first
    value = constant(second)
    if value is None or first.kind == CONSTANT:
        return False
    bits = 64 if i.type.bits == 64 else 32
    pattern = value & ((1 << bits) - 1)
    if encode_bitmask(pattern, bits) is None:
        return False
    form = width(LOGICAL_IMM[i.operation], i.type)
    s.emit(form, s.register(i.result), use(s, first), pattern)
    return True


def logical_not(s: Selector, i: Instruction) -> bool:
    """a & ~b, a | ~b, a ^ ~b."""
    assert i.type is not None
    for plain, other in (i.operands, i.operands[::-1]):
        inverted = s.only_use(other, op.XOR)
        if inverted is None or constant(inverted.operands[1]) != -1:
            continue
        first, second = use_or_zero(s, plain), use_or_zero(s, inverted.operands[0])
        form = width(LOGICAL_NOT[i.operation], i.type)
        s.emit(form, s.register(i.result), first, second, LSL, 0)
        return True
    return False


def bitwise_not(s: Selector, i: Instruction) -> bool:
    """x ^ -1 is MVN (ORN with the zero register)."""
    assert i.type is not None
    if constant(i.operands[1]) != -1:
        return False
    source = use_or_zero(s, i.operands[0])
    s.emit(width(ORN, i.type), s.register(i.result), ZERO_REGISTER, source, LSL, 0)
    return True


def logical_shifted(s: Selector, i: Instruction) -> bool:
    form = width(LOGICAL[i.operation], i.type or types.I64)
    return any(_shifted(s, i, form, *pair) for pair in (i.operands, i.operands[::-1]))


def logical_registers(s: Selector, i: Instruction) -> bool:
    return _two_registers(s, i, width(LOGICAL[i.operation], i.type or types.I64))


# --- shifts --------------------------------------------------------------------------


def shift_by_constant(s: Selector, i: Instruction) -> bool:
    """LSL, LSR and ASR by a constant are bit-field moves."""
    type_ = i.type
    assert type_ is not None
    amount = constant(i.operands[1])
    if amount is None:
        return False
    amount &= (1 << type_.bits) - 1  # counts are unsigned
    operation = i.operation
    result = s.register(i.result)
    if amount >= type_.bits:
        if operation is not op.ASHR:
            s.emit(width(MOV, type_), result, ZERO_REGISTER)
            return True
        amount = type_.bits - 1
    machine_bits = 64 if type_.bits == 64 else 32
    if operation is op.SHL:
        source = use_or_zero(s, i.operands[0])
        rotate = (machine_bits - amount) % machine_bits
        s.emit(width(UBFM, type_), result, source, rotate, machine_bits - 1 - amount)
    else:
        # A narrow type's own top bit is the last one moved: extension comes for free.
        forms = SBFM if operation is op.ASHR else UBFM
        source = use_or_zero(s, i.operands[0])
        s.emit(width(forms, type_), result, source, amount, type_.bits - 1)
    return True


def shift_left_or_logical(s: Selector, i: Instruction) -> bool:
    """The processor takes the count modulo the width; counts beyond it must give 0."""
    type_ = i.type
    assert type_ is not None
    if i.operation is op.ASHR:
        return False
    forms = LSLV if i.operation is op.SHL else LSRV
    value = (
        use_or_zero(s, i.operands[0])
        if i.operation is op.SHL
        else extended(s, i.operands[0], signed=False)
    )
    count = extended(s, i.operands[1], signed=False)
    shifted = s.new_register(type_)
    s.emit(width(forms, type_), shifted, value, count)
    s.emit(width(SUBS_IMM, type_), ZERO_REGISTER, _not_zero(s, count), _last_count(type_), 0)
    s.emit(width(CSEL, type_), s.register(i.result), shifted, ZERO_REGISTER, CONDITION_LS)
    return True


def shift_arithmetic(s: Selector, i: Instruction) -> bool:
    """Counts beyond the width act as the largest one."""
    type_ = i.type
    assert type_ is not None
    value = extended(s, i.operands[0], signed=True)
    count = extended(s, i.operands[1], signed=False)
    largest = use(s, Constant(types.I64, _last_count(type_)))
    limited = s.new_register(type_)
    s.emit(width(SUBS_IMM, type_), ZERO_REGISTER, _not_zero(s, count), _last_count(type_), 0)
    s.emit(width(CSEL, type_), limited, count, largest, CONDITION_LS)
    s.emit(width(ASRV, type_), s.register(i.result), value, limited)
    return True


def _last_count(type_: types.Type) -> int:
    return 63 if type_.bits == 64 else 31


def _not_zero(s: Selector, register: int) -> int:
    """SUBS (immediate) reads SP where others read XZR: a constant 0 needs a register."""
    return use(s, Constant(types.I64, 0)) if register == ZERO_REGISTER else register


# --- division ------------------------------------------------------------------------


def divide(s: Selector, i: Instruction) -> bool:
    """SDIV and UDIV give 0 for a division by zero, as the IR demands."""
    assert i.type is not None
    signed = i.operation is op.SDIV
    first = extended(s, i.operands[0], signed=signed)
    second = extended(s, i.operands[1], signed=signed)
    s.emit(width(SDIV if signed else UDIV, i.type), s.register(i.result), first, second)
    return True


def signed_by_two(s: Selector, i: Instruction) -> bool:
    """Negative dividends get 1 more, then the shift; for the remainder times 2 again.

    As many instructions as with SDIV, which takes several times as long.
    """
    type_ = i.type
    assert type_ is not None
    if constant(i.operands[1]) != 2 or i.operands[0].kind == CONSTANT:
        return False
    value, result = extended(s, i.operands[0], signed=True), s.register(i.result)
    last = _last_count(type_)
    biased = s.new_register(type_)
    s.emit(width(ADD, type_), biased, value, value, LSR, last)
    if i.operation is op.SDIV:
        s.emit(width(SBFM, type_), result, biased, 1, last)
        return True
    quotient = s.new_register(type_)
    s.emit(width(SBFM, type_), quotient, biased, 1, last)
    s.emit(width(SUB, type_), result, value, quotient, LSL, 1)
    return True


def remainder(s: Selector, i: Instruction) -> bool:
    """a - (a / b) * b; with b = 0 that is a."""
    assert i.type is not None
    signed = i.operation is op.SREM
    first = extended(s, i.operands[0], signed=signed)
    second = extended(s, i.operands[1], signed=signed)
    quotient = s.new_register(i.type)
    s.emit(width(SDIV if signed else UDIV, i.type), quotient, first, second)
    s.emit(width(MSUB, i.type), s.register(i.result), quotient, second, first)
    return True


# --- widths --------------------------------------------------------------------------


def sign_extend(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    source = use_or_zero(s, i.operands[0])
    last = i.operands[0].type.bits - 1
    s.emit(width(SBFM, i.type), s.register(i.result), source, 0, last)
    return True


def zero_extend(s: Selector, i: Instruction) -> bool:
    """A W instruction clears the upper half, whatever it does."""
    source = use_or_zero(s, i.operands[0])
    bits = i.operands[0].type.bits
    if bits == 32:
        s.emit(MOV[1], s.register(i.result), source)
    else:
        s.emit(UBFM[1], s.register(i.result), source, 0, bits - 1)
    return True


def truncate(s: Selector, i: Instruction) -> bool:
    """The upper bits of a narrow value are undefined, so this is a copy."""
    s.emit(MOV[0], s.register(i.result), use_or_zero(s, i.operands[0]))
    return True


RULES = [
    Rule("add_immediate", op.ADD, add_immediate),
    Rule("add_multiply", op.ADD, add_multiply),
    Rule("add_shifted", op.ADD, add_shifted),
    Rule("add_registers", op.ADD, add_registers),
    Rule("sub_immediate", op.SUB, sub_immediate),
    Rule("sub_multiply", op.SUB, sub_multiply),
    Rule("sub_shifted", op.SUB, sub_shifted),
    Rule("sub_registers", op.SUB, sub_registers),
    Rule("multiply_by_shift", op.MUL, multiply_by_shift),
    Rule("multiply", op.MUL, multiply),
    Rule("bitwise_not", op.XOR, bitwise_not),
    Rule("low_word", op.AND, low_word),
    *(
        Rule(f"{operation}_{rule.__name__.removeprefix('logical_')}", operation, rule)
        for operation in (op.AND, op.OR, op.XOR)
        for rule in (logical_immediate, logical_not, logical_shifted, logical_registers)
    ),
    *(
        Rule(f"{operation}_by_constant", operation, shift_by_constant)
        for operation in (op.SHL, op.LSHR, op.ASHR)
    ),
    Rule("shl_variable", op.SHL, shift_left_or_logical),
    Rule("lshr_variable", op.LSHR, shift_left_or_logical),
    Rule("ashr_variable", op.ASHR, shift_arithmetic),
    Rule("sdiv_by_two", op.SDIV, signed_by_two),
    Rule("srem_by_two", op.SREM, signed_by_two),
    Rule("sdiv", op.SDIV, divide),
    Rule("udiv", op.UDIV, divide),
    Rule("srem", op.SREM, remainder),
    Rule("urem", op.UREM, remainder),
    Rule("sext", op.SEXT, sign_extend),
    Rule("zext", op.ZEXT, zero_extend),
    Rule("trunc", op.TRUNC, truncate),
]
