"""Selection rules: integer arithmetic, bits, shifts, extension.

Each function is one rule (see `codegen/target.py`): it emits and returns True, or
returns False untouched.  `s` is the selector, `i` the IR instruction.  Rules of an
operation are tried from the most to the least specific.

Most instructions overwrite their first operand; of two that may be exchanged that is the
one that ends here.  LEA adds into a third register.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import DEF, SAME_AS, USE, Form, MachineInstruction
from callproof.codegen.machine import Operand as Register
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, VALUE, Constant, Instruction
from callproof.ir.model import Operand as IrOperand
from callproof.target.x64 import pseudo
from callproof.target.x64.instructions import FORMS
from callproof.target.x64.registers import RCX
from callproof.target.x64.select_memory import Access, take_apart
from callproof.target.x64.values import constant, extended, fits, lives_on, two_address, use

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

BELOW, BELOW_OR_EQUAL = 2, 6  # conditions


def both(name: str) -> tuple[Form, Form]:
    """The 64-bit and 32-bit forms of a name with `?` for the width."""
    return FORMS[name.replace("?", "q")], FORMS[name.replace("?", "l")]


def width(forms: tuple[Form, Form], type_: types.Type | None) -> Form:
    return forms[0] if type_ is not None and type_.bits == 64 else forms[1]


LEA = {64: Access("lea_q"), 32: Access("lea_l")}
ADD, SUB = both("add_?_rr"), both("sub_?_rr")
IMUL, IMUL_IMM, NEG, NOT = both("imul_?_rr"), both("imul_?_rri"), both("neg_?"), both("not_?")
LOGICAL = {op.AND: both("and_?_rr"), op.OR: both("or_?_rr"), op.XOR: both("xor_?_rr")}
LOGICAL_IMM = {op.AND: both("and_?_ri"), op.OR: both("or_?_ri"), op.XOR: both("xor_?_ri")}
AND_32_IMM = FORMS["and_l_ri"]
LOW_WORDS = {
    op.ADD: ADD[1],
    op.SUB: SUB[1],
    op.MUL: IMUL[1],
    **{operation: forms[1] for operation, forms in LOGICAL.items()},
}
SHIFT_IMM = {op.SHL: both("shl_?_i"), op.LSHR: both("shr_?_i"), op.ASHR: both("sar_?_i")}
SHIFT_CL = {op.SHL: both("shl_?_cl"), op.LSHR: both("shr_?_cl"), op.ASHR: both("sar_?_cl")}
CMP_IMM, CMOV = both("cmp_?_ri"), both("cmov_?")
MOV_64, MOV_32 = FORMS["mov_q_rr"], FORMS["mov_l_rr"]
MASKS = {0xFF: FORMS["movzbl"], 0xFFFF: FORMS["movzwl"], 0xFFFF_FFFF: MOV_32}
ZERO_EXTEND = {8: FORMS["movzbl"], 16: FORMS["movzwl"], 32: MOV_32}
SIGN_EXTEND = {
    (64, 8): FORMS["movsbq"],
    (64, 16): FORMS["movswq"],
    (64, 32): FORMS["movslq"],
    (32, 8): FORMS["movsbl"],
    (32, 16): FORMS["movswl"],
}


def with_constant(i: Instruction) -> tuple[IrOperand, int] | None:
    """The other operand and the value, where one of a commutative operation is a constant."""
    for one, other in (i.operands, i.operands[::-1]):
        value = constant(other)
        if value is not None and one.kind != CONSTANT:
            return one, value
    return None


# --- add, sub, mul -------------------------------------------------------------------


def add_constant(s: Selector, i: Instruction) -> bool:
    found = with_constant(i)
    return found is not None and _add_constant(s, i, *found)


def sub_constant(s: Selector, i: Instruction) -> bool:
    value = constant(i.operands[1])
    if value is None or i.operands[0].kind == CONSTANT:
        return False
    return _add_constant(s, i, i.operands[0], -value)


def _add_constant(s: Selector, i: Instruction, base: IrOperand, value: int) -> bool:
    if not fits(value):
        return False
    if s.only_use(base, op.ADD) is not None or base.kind != VALUE:
        _lea(s, i, base, value)  # a + b + c, or a + (b << k) + c
    else:
        form = pseudo.ADD_CONSTANT[_bits(i)]
        s.emit(form, s.register(i.result), use(s, base), value)
    return True


def _bits(i: Instruction) -> int:
    return 64 if i.type is not None and i.type.bits == 64 else 32


def _lea(s: Selector, i: Instruction, operand: IrOperand, offset: int) -> None:
    result = s.register(i.result)
    forms = LEA[_bits(i)]
    form, place = take_apart(s, operand, offset).arguments(s, forms)
    s.emit(form, result, *place)


def add_scaled(s: Selector, i: Instruction) -> bool:
    """a + (b << k) in one LEA."""
    for plain, other in (i.operands, i.operands[::-1]):
        shift = s.only_use(other, op.SHL)
        if shift is None or plain.kind == CONSTANT:
            continue
        amount = constant(shift.operands[1])
        if amount is not None and 0 < amount <= 3:
            forms = LEA[_bits(i)]
            base, index = use(s, plain), use(s, shift.operands[0])
            s.emit(forms.indexed, s.register(i.result), base, index, amount, 0)
            return True
    return False


def add_registers(s: Selector, i: Instruction) -> bool:
    first, second = (use(s, operand) for operand in i.operands)
    s.emit(pseudo.ADD_REGISTERS[_bits(i)], s.register(i.result), first, second)
    return True


def commutative(s: Selector, i: Instruction, form: Form) -> bool:
    """The operand that ends here gives its register to the result."""
    first, second = i.operands
    if (lives_on(s, first) and not lives_on(s, second)) or first.kind == CONSTANT:
        first, second = second, first
    result = s.register(i.result)
    two_address(s, form, result, use(s, first), use(s, second))
    return True


def negate(s: Selector, i: Instruction) -> bool:
    if constant(i.operands[0]) != 0:
        return False
    two_address(s, width(NEG, i.type), s.register(i.result), use(s, i.operands[1]))
    return True


def sub_registers(s: Selector, i: Instruction) -> bool:
    first, second = (use(s, operand) for operand in i.operands)
    two_address(s, width(SUB, i.type), s.register(i.result), first, second)
    return True


def _shifted(s: Selector, type_: types.Type | None, factor: int, power: int) -> int:
    """A register of factor * power (of 2)."""
    assert type_ is not None
    shifted = s.new_register(type_)
    two_address(s, width(SHIFT_IMM[op.SHL], type_), shifted, factor, power.bit_length() - 1)
    return shifted


def multiply_constant(s: Selector, i: Instruction) -> bool:
    found = with_constant(i)
    if found is None or not fits(found[1]):
        return False
    result = s.register(i.result)
    times(s, i.type, result, use(s, found[0]), found[1])
    return True


def times(s: Selector, type_: types.Type | None, result: int, factor: int, value: int) -> None:
    """result := factor * a constant of 32 bits.

    A shift and an addition take two cycles, a multiplication three.
    """
    bits = 64 if type_ is not None and type_.bits == 64 else 32
    if value > 0 and value & (value - 1) == 0:
        form = width(SHIFT_IMM[op.SHL], type_)
        two_address(s, form, result, factor, value.bit_length() - 1)
    elif value in (3, 5, 9):
        scale = (value - 1).bit_length() - 1
        s.emit(LEA[bits].indexed, result, factor, factor, scale, 0)
    elif value > 6 and (value - 1) & (value - 2) == 0:  # 17, 33, 65 ...
        shifted = _shifted(s, type_, factor, value - 1)
        s.emit(pseudo.ADD_REGISTERS[bits], result, shifted, factor)
    elif value > 6 and (value + 1) & value == 0:  # 7, 15, 31 ...
        shifted = _shifted(s, type_, factor, value + 1)
        two_address(s, width(SUB, type_), result, shifted, factor)
    else:
        s.emit(width(IMUL_IMM, type_), result, factor, value)


def multiply(s: Selector, i: Instruction) -> bool:
    return commutative(s, i, width(IMUL, i.type))


# --- bits ----------------------------------------------------------------------------


def low_word(s: Selector, i: Instruction) -> bool:
    """The low 32 bits of a sum, product or the like: an instruction on 32 bits clears the rest."""
    found = with_constant(i)
    if found is None or found[1] != 0xFFFF_FFFF or i.type is not types.I64:
        return False
    for operation, form in LOW_WORDS.items():
        inner = s.only_use(found[0], operation)
        if inner is None or any(operand.kind == CONSTANT for operand in inner.operands):
            continue
        first, second = inner.operands
        if operation.commutative and lives_on(s, first) and not lives_on(s, second):
            first, second = second, first
        two_address(s, form, s.register(i.result), use(s, first), use(s, second))
        return True
    return False


def and_mask(s: Selector, i: Instruction) -> bool:
    """Masks of whole bytes are zero extensions."""
    found = with_constant(i)
    if found is None:
        return False
    bits = i.type.bits if i.type is not None else 64
    form = MASKS.get(found[1] & ((1 << bits) - 1))
    if form is None:
        return False
    s.emit(form, s.register(i.result), use(s, found[0]))
    return True


def bitwise_not(s: Selector, i: Instruction) -> bool:
    found = with_constant(i)
    if found is None or found[1] != -1:
        return False
    two_address(s, width(NOT, i.type), s.register(i.result), use(s, found[0]))
    return True


def logical_constant(s: Selector, i: Instruction) -> bool:
    found = with_constant(i)
    if found is None:
        return False
    operand, value = found
    form = width(LOGICAL_IMM[i.operation], i.type)
    if i.operation is op.AND and 0 <= value < 1 << 32:
        form = AND_32_IMM  # it clears the upper half, as the mask does
    elif not fits(value):
        return False
    two_address(s, form, s.register(i.result), use(s, operand), value)
    return True


def logical_registers(s: Selector, i: Instruction) -> bool:
    return commutative(s, i, width(LOGICAL[i.operation], i.type))


# --- shifts --------------------------------------------------------------------------


def shift_by_constant(s: Selector, i: Instruction) -> bool:
    type_, operation = i.type, i.operation
    assert type_ is not None
    amount = constant(i.operands[1])
    if amount is None:
        return False
    amount &= (1 << type_.bits) - 1  # counts are unsigned
    result = s.register(i.result)
    if amount >= type_.bits:
        if operation is not op.ASHR:
            s.emit(MOV_64, result, use(s, Constant(types.I64, 0)))
            return True
        amount = type_.bits - 1
    if operation is op.SHL:
        source = use(s, i.operands[0])
    else:
        source = extended(s, i.operands[0], is_signed=operation is op.ASHR)
    two_address(s, width(SHIFT_IMM[operation], type_), result, source, amount)
    return True


def _last_count(type_: types.Type) -> int:
    return 63 if type_.bits == 64 else 31


def _shift_by_cl(
    s: Selector, i: Instruction, result: int, value: int, count: int
) -> MachineInstruction:
    operands = [
        Register(value, USE),
        Register(count, USE, RCX),
        Register(result, DEF, SAME_AS),
    ]
    return MachineInstruction(width(SHIFT_CL[i.operation], i.type), operands)


def _is_small(s: Selector, operand: IrOperand, last: int) -> bool:
    """Whether a count is masked so that it cannot reach the width."""
    masked = s.definition(operand, op.AND)
    if masked is None:
        return False
    found = with_constant(masked)
    return found is not None and 0 <= found[1] <= last


def shift_left_or_logical(s: Selector, i: Instruction) -> bool:
    """The processor takes the count modulo the width; counts beyond it must give 0."""
    type_ = i.type
    assert type_ is not None
    if i.operation is op.ASHR:
        return False
    if i.operation is op.SHL:
        value = use(s, i.operands[0])
    else:
        value = extended(s, i.operands[0], is_signed=False)
    count = extended(s, i.operands[1], is_signed=False)
    result = s.register(i.result)
    if _is_small(s, i.operands[1], _last_count(type_)):
        s.append(_shift_by_cl(s, i, result, value, count))
        return True
    shifted, mask = s.new_register(type_), s.new_register(types.I64)
    s.append(_shift_by_cl(s, i, shifted, value, count))
    s.emit(width(CMP_IMM, type_), count, _last_count(type_) + 1)
    s.emit(pseudo.CARRY_MASK, mask)
    two_address(s, LOGICAL[op.AND][0], result, shifted, mask)
    return True


def shift_arithmetic(s: Selector, i: Instruction) -> bool:
    """Counts beyond the width act as the largest one."""
    type_ = i.type
    assert type_ is not None
    value = extended(s, i.operands[0], is_signed=True)
    count = extended(s, i.operands[1], is_signed=False)
    result = s.register(i.result)
    if not _is_small(s, i.operands[1], _last_count(type_)):
        largest = use(s, Constant(types.I64, _last_count(type_)))
        limited = s.new_register(type_)
        s.emit(width(CMP_IMM, type_), count, _last_count(type_))
        two_address(s, width(CMOV, type_), limited, BELOW_OR_EQUAL, largest, count)
        count = limited
    s.append(_shift_by_cl(s, i, result, value, count))
    return True


# --- widths --------------------------------------------------------------------------


def sign_extend(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    bits = 64 if i.type.bits == 64 else 32
    form = SIGN_EXTEND[bits, i.operands[0].type.bits]
    s.emit(form, s.register(i.result), use(s, i.operands[0]))
    return True


def zero_extend(s: Selector, i: Instruction) -> bool:
    """A 32-bit instruction clears the upper half, whatever it does."""
    s.emit(ZERO_EXTEND[i.operands[0].type.bits], s.register(i.result), use(s, i.operands[0]))
    return True


def truncate(s: Selector, i: Instruction) -> bool:
    """The upper bits of a narrow value are undefined, so this is a copy."""
    s.emit(MOV_64, s.register(i.result), use(s, i.operands[0]))
    return True


LOGICAL_RULES = (logical_constant, logical_registers)
RULES = [
    Rule("add_scaled", op.ADD, add_scaled),
    Rule("add_constant", op.ADD, add_constant),
    Rule("add_registers", op.ADD, add_registers),
    Rule("negate", op.SUB, negate),
    Rule("sub_constant", op.SUB, sub_constant),
    Rule("sub_registers", op.SUB, sub_registers),
    Rule("multiply_constant", op.MUL, multiply_constant),
    Rule("multiply", op.MUL, multiply),
    Rule("low_word", op.AND, low_word),
    Rule("and_mask", op.AND, and_mask),
    Rule("bitwise_not", op.XOR, bitwise_not),
    *(
        Rule(f"{operation}_{rule.__name__.removeprefix('logical_')}", operation, rule)
        for operation in (op.AND, op.OR, op.XOR)
        for rule in LOGICAL_RULES
    ),
    *(
        Rule(f"{operation}_by_constant", operation, shift_by_constant)
        for operation in (op.SHL, op.LSHR, op.ASHR)
    ),
    Rule("shl_variable", op.SHL, shift_left_or_logical),
    Rule("lshr_variable", op.LSHR, shift_left_or_logical),
    Rule("ashr_variable", op.ASHR, shift_arithmetic),
    Rule("sext", op.SEXT, sign_extend),
    Rule("zext", op.ZEXT, zero_extend),
    Rule("trunc", op.TRUNC, truncate),
]
