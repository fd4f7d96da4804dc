"""Selection rules: comparisons, choices and branches.

A comparison whose reader is a branch or a select in the same block sets the
flags just before it; otherwise CSET makes it 0 or 1.  Nothing that selection or
the allocator puts between the two changes the flags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import ZERO_REGISTER, Form, plain
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, Instruction, Symbol
from callproof.ir.model import Operand as IrOperand
from callproof.target.arm64.instructions import FORMS
from callproof.target.arm64.select_integer import (
    CSEL,
    LSL,
    SUBS_IMM,
    arithmetic_immediate,
    both,
    constant,
    width,
)
from callproof.target.arm64.values import extended, use, use_or_zero

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

SUBS, ADDS_IMM = both("subs_?_shift"), both("adds_?_imm")
CSINC_X = FORMS["csinc_x"]
CBZ, CBNZ = both("cbz_?"), both("cbnz_?")
TBZ, TBNZ = FORMS["tbz"], FORMS["tbnz"]
B, B_COND, BRK = FORMS["b"], FORMS["b_cond"], FORMS["brk"]
FCMP = {types.F32: FORMS["fcmp_s"], types.F64: FORMS["fcmp_d"]}
FCMP_ZERO = {types.F32: FORMS["fcmp_s_zero"], types.F64: FORMS["fcmp_d_zero"]}
FCSEL = {types.F32: FORMS["fcsel_s"], types.F64: FORMS["fcsel_d"]}

EQ, NE, HS, LO, MI, PL, VS, VC, HI, LS, GE, LT, GT, LE = range(14)
INDEX_LSL = 3  # the `option` of a 64-bit index register
UNREACHABLE_TRAP = 0xCA11  # the immediate of the BRK behind code that cannot be reached

CONDITIONS = {
    op.EQ: EQ,
    op.NE: NE,
    op.SLT: LT,
    op.SLE: LE,
    op.SGT: GT,
    op.SGE: GE,
    op.ULT: LO,
    op.ULE: LS,
    op.UGT: HI,
    op.UGE: HS,
    # After FCMP an unordered result sets C and V only: MI, LS, GT, GE and EQ are false then.
    op.FEQ: EQ,
    op.FNE: NE,
    op.FLT: MI,
    op.FLE: LS,
    op.FGT: GT,
    op.FGE: GE,
}
MIRRORED = {EQ: EQ, NE: NE, LT: GT, LE: GE, GT: LT, GE: LE, LO: HI, LS: HS, HI: LO, HS: LS}
FLOAT_COMPARISONS = frozenset((op.FEQ, op.FNE, op.FLT, op.FLE, op.FGT, op.FGE))
UNSIGNED = frozenset((op.ULT, op.ULE, op.UGT, op.UGE, op.EQ, op.NE))


def set_flags(s: Selector, comparison: Instruction) -> int:
    """Emit the flag-setting instruction; the condition under which the comparison holds."""
    condition = CONDITIONS[comparison.operation]
    type_ = comparison.type
    assert type_ is not None
    first, second = comparison.operands
    if comparison.operation in FLOAT_COMPARISONS:
        if second.kind == CONSTANT and second.value == 0:  # type: ignore[union-attr]
            s.emit(FCMP_ZERO[type_], use(s, first))
        else:
            s.emit(FCMP[type_], use(s, first), use(s, second))
        return condition
    if first.kind == CONSTANT and second.kind != CONSTANT:
        first, second, condition = second, first, MIRRORED[condition]
    signed = comparison.operation not in UNSIGNED
    value = constant(second)
    if value is not None and first.kind != CONSTANT:
        if type_.bits < 32 and not signed:
            value &= (1 << type_.bits) - 1
        for forms, immediate in ((SUBS_IMM, value), (ADDS_IMM, -value)):
            # CMN's carry differs from CMP's for 0 only, and 0 is taken by CMP.
            encoded = arithmetic_immediate(immediate)
            if encoded is not None:
                register = extended(s, first, signed=signed)
                s.emit(width(forms, type_), ZERO_REGISTER, register, *encoded)
                return condition
    left, right = extended(s, first, signed=signed), extended(s, second, signed=signed)
    s.emit(width(SUBS, type_), ZERO_REGISTER, left, right, LSL, 0)
    return condition


def condition_of(s: Selector, operand: IrOperand) -> int:
    """Set the flags for 'operand is not 0'; folds the comparison that made it."""
    comparison = s.comparison(operand)
    if comparison is not None:
        return set_flags(s, comparison)
    if operand.kind == CONSTANT:
        s.emit(SUBS[0], ZERO_REGISTER, use_or_zero(s, operand), ZERO_REGISTER, LSL, 0)
    else:
        s.emit(SUBS_IMM[0], ZERO_REGISTER, use(s, operand), 0, 0)
    return NE


# --- comparisons as values -------------------------------------------------------------


def compare(s: Selector, i: Instruction) -> bool:
    """CSET is CSINC of the zero register under the opposite condition."""
    result = s.register(i.result)
    condition = set_flags(s, i)
    s.emit(CSINC_X, result, ZERO_REGISTER, ZERO_REGISTER, condition ^ 1)
    return True


# --- select ------------------------------------------------------------------------------


def select_integer(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    if i.type.is_float:
        return False
    then, otherwise = use_or_zero(s, i.operands[1]), use_or_zero(s, i.operands[2])
    condition = condition_of(s, i.operands[0])
    s.emit(width(CSEL, i.type), s.register(i.result), then, otherwise, condition)
    return True


def select_float(s: Selector, i: Instruction) -> bool:
    form = FCSEL.get(i.type)  # type: ignore[arg-type]
    if form is None:
        return False
    then, otherwise = use(s, i.operands[1]), use(s, i.operands[2])
    condition = condition_of(s, i.operands[0])
    s.emit(form, s.register(i.result), then, otherwise, condition)
    return True


# --- terminators ---------------------------------------------------------------------------


def jump(s: Selector, i: Instruction) -> bool:
    target = i.targets[0]
    block = s.machine_block(target.block)
    machine_block = s.machine_block(s.block)
    machine_block.arguments = [use(s, argument) for argument in target.arguments]
    s.append(plain(B, (), (block,)))
    return True


def switch(s: Selector, i: Instruction) -> bool:
    """Through a table of distances from its own start; the index is in range."""
    table = s.jump_table(i)
    start = use(s, Symbol(table.symbol))
    distance, place = s.new_register(types.I64), s.new_register(types.PTR)
    s.emit(FORMS["ldrsw_reg"], distance, start, use(s, i.operands[0]), INDEX_LSL, 1)
    s.emit(FORMS["add_x_shift"], place, start, distance, 0, 0)
    s.emit(FORMS["br"], place).table = table
    return True


def _branch(s: Selector, i: Instruction, form: Form, *arguments: object) -> None:
    then, otherwise = (s.machine_block(target.block) for target in i.targets)
    s.emit(form, *arguments, then)
    s.append(plain(B, (), (otherwise,)))


def _compared_with_zero(s: Selector, i: Instruction) -> tuple[Instruction, IrOperand] | None:
    """A foldable integer comparison of at least 32 bits whose second operand is 0."""
    comparison = s.comparison(i.operands[0])
    if (
        comparison is None
        or comparison.type is None
        or comparison.type.is_float
        or comparison.type.bits < 32
        or constant(comparison.operands[1]) != 0
    ):
        return None
    return comparison, comparison.operands[0]


def branch_on_bit(s: Selector, i: Instruction) -> bool:
    """Branch on (x & 2**k) being 0 or not: TBZ, TBNZ."""
    operand, forms = i.operands[0], (TBNZ, TBZ)
    found = _compared_with_zero(s, i)
    if found is not None:
        comparison, operand = found
        if comparison.operation is op.EQ:
            forms = (TBZ, TBNZ)
        elif comparison.operation is not op.NE:
            return False
    masked = s.only_use(operand, op.AND)
    if masked is None:
        return False
    mask = constant(masked.operands[1])
    if mask is None:
        return False
    mask &= (1 << operand.type.bits) - 1
    if mask == 0 or mask & (mask - 1):
        return False
    _branch(s, i, forms[0], use(s, masked.operands[0]), mask.bit_length() - 1)
    return True


def branch_on_sign(s: Selector, i: Instruction) -> bool:
    """Branch on x < 0 or x >= 0: the sign bit."""
    found = _compared_with_zero(s, i)
    if found is None:
        return False
    comparison, operand = found
    if comparison.operation is op.SLT:
        form = TBNZ
    elif comparison.operation is op.SGE:
        form = TBZ
    else:
        return False
    _branch(s, i, form, use(s, operand), operand.type.bits - 1)
    return True


def branch_on_zero(s: Selector, i: Instruction) -> bool:
    """Branch on x = 0 or x ~= 0: CBZ, CBNZ."""
    found = _compared_with_zero(s, i)
    if found is None:
        return False
    comparison, operand = found
    if comparison.operation is op.EQ:
        forms = CBZ
    elif comparison.operation is op.NE:
        forms = CBNZ
    else:
        return False
    _branch(s, i, width(forms, operand.type), use(s, operand))
    return True


def branch_on_comparison(s: Selector, i: Instruction) -> bool:
    comparison = s.comparison(i.operands[0])
    if comparison is None:
        return False
    _branch(s, i, B_COND, set_flags(s, comparison))
    return True


def branch_on_value(s: Selector, i: Instruction) -> bool:
    """A word decides: not 0 takes the first target."""
    _branch(s, i, width(CBNZ, i.operands[0].type), use(s, i.operands[0]))
    return True


def trap(s: Selector, i: Instruction) -> bool:
    del i
    s.emit(BRK, UNREACHABLE_TRAP)
    return True


RULES = [
    *(Rule(f"compare_{operation}", operation, compare) for operation in CONDITIONS),
    Rule("select_integer", op.SELECT, select_integer),
    Rule("select_float", op.SELECT, select_float),
    Rule("jump", op.JUMP, jump),
    Rule("switch", op.SWITCH, switch),
    Rule("branch_on_bit", op.BRANCH, branch_on_bit),
    Rule("branch_on_sign", op.BRANCH, branch_on_sign),
    Rule("branch_on_zero", op.BRANCH, branch_on_zero),
    Rule("branch_on_comparison", op.BRANCH, branch_on_comparison),
    Rule("branch_on_value", op.BRANCH, branch_on_value),
    Rule("trap", op.UNREACHABLE, trap),
]
