"""Selection rules: comparisons, choices and branches.

A comparison whose reader is a branch or a select in the same block sets the flags just
before it; otherwise SETcc makes it 0 or 1.  Nothing that the allocator puts between the
two changes the flags, and what selection needs in registers is asked for before them.

UCOMISD of unordered operands sets ZF, PF and CF; so 'above' and 'above or equal' are
false then, and 'less' is 'above' the other way round; equality needs two flags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import plain
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, Constant, Instruction, Symbol
from callproof.ir.model import Operand as IrOperand
from callproof.target.x64 import pseudo
from callproof.target.x64.instructions import FORMS
from callproof.target.x64.pseudo import FLOAT_EQUAL, FLOAT_NOT_EQUAL
from callproof.target.x64.select_folded import compare_memory, compare_memory_with
from callproof.target.x64.select_integer import CMOV, CMP_IMM, both, width, with_constant
from callproof.target.x64.values import (
    constant,
    constant_bytes,
    extended,
    fits,
    pooled,
    two_address,
    use,
)

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

CMP, TEST, TEST_IMM = both("cmp_?_rr"), both("test_?_rr"), both("test_?_ri")
JUMP, BRANCH, TRAP = FORMS["jmp_short"], FORMS["j_short"], FORMS["ud2"]
UCOMI = {types.F32: FORMS["ucomiss"], types.F64: FORMS["ucomisd"]}
UCOMI_POOLED = {types.F32: FORMS["ucomiss_xm_p"], types.F64: FORMS["ucomisd_xm_p"]}

B, AE, E, NE, BE, A, P, L, GE, LE, G = 2, 3, 4, 5, 6, 7, 10, 12, 13, 14, 15
CONDITIONS = {
    op.EQ: E,
    op.NE: NE,
    op.SLT: L,
    op.SLE: LE,
    op.SGT: G,
    op.SGE: GE,
    op.ULT: B,
    op.ULE: BE,
    op.UGT: A,
    op.UGE: AE,
    op.FEQ: FLOAT_EQUAL,
    op.FNE: FLOAT_NOT_EQUAL,
    op.FGT: A,
    op.FGE: AE,
    op.FLT: A,  # with the operands exchanged
    op.FLE: AE,
}
EXCHANGED = frozenset((op.FLT, op.FLE))
MIRRORED = {E: E, NE: NE, L: G, LE: GE, G: L, GE: LE, B: A, BE: AE, A: B, AE: BE}
FLOAT_COMPARISONS = frozenset((op.FEQ, op.FNE, op.FLT, op.FLE, op.FGT, op.FGE))
UNSIGNED = frozenset((op.ULT, op.ULE, op.UGT, op.UGE, op.EQ, op.NE))


def set_flags(s: Selector, comparison: Instruction) -> int:
    """Emit the flag-setting instruction; the condition under which the comparison holds."""
    condition = CONDITIONS[comparison.operation]
    type_ = comparison.type
    assert type_ is not None
    first, second = comparison.operands
    if comparison.operation in FLOAT_COMPARISONS:
        if comparison.operation in EXCHANGED:
            first, second = second, first
        if compare_memory(s, type_, first, second):
            return condition
        one = use(s, first)
        if second.kind == CONSTANT:
            assert isinstance(second, Constant)
            s.emit(UCOMI_POOLED[type_], one, pooled(constant_bytes(second)))
        else:
            s.emit(UCOMI[type_], one, use(s, second))
        return condition
    if first.kind == CONSTANT and second.kind != CONSTANT:
        first, second, condition = second, first, MIRRORED[condition]
    is_signed = comparison.operation not in UNSIGNED
    value = constant(second)
    if value is not None and first.kind != CONSTANT:
        if type_.bits < 32 and not is_signed:
            value &= (1 << type_.bits) - 1
        if value == 0 and condition in (E, NE) and _test_mask(s, first):
            return condition
        equality = condition in (E, NE)
        if compare_memory_with(s, type_, first, value, equality=equality):
            return condition
        if fits(value):
            register = extended(s, first, is_signed=is_signed)
            if value == 0:
                s.emit(width(TEST, type_), register, register)
            else:
                s.emit(width(CMP_IMM, type_), register, value)
            return condition
    if compare_memory(s, type_, first, second):
        return condition
    if compare_memory(s, type_, second, first):
        return MIRRORED[condition]
    left = extended(s, first, is_signed=is_signed)
    right = extended(s, second, is_signed=is_signed)
    s.emit(width(CMP, type_), left, right)
    return condition


def _test_mask(s: Selector, operand: IrOperand) -> bool:
    """`x & mask` against 0 without the AND's result."""
    masked = s.only_use(operand, op.AND)
    if masked is None:
        return False
    found = with_constant(masked)
    if found is None:
        return False
    value = found[1] & ((1 << operand.type.bits) - 1)
    if not 0 <= value < 1 << 31:
        return False
    s.emit(TEST_IMM[1], use(s, found[0]), value)
    return True


def condition_of(s: Selector, operand: IrOperand) -> int:
    """Set the flags for 'operand is not 0'; folds the comparison that made it."""
    comparison = s.comparison(operand)
    if comparison is not None:
        return set_flags(s, comparison)
    if operand.kind != CONSTANT and _test_mask(s, operand):
        return NE
    register = use(s, operand)
    s.emit(TEST[0], register, register)
    return NE


# --- comparisons as values -------------------------------------------------------------


def compare(s: Selector, i: Instruction) -> bool:
    result = s.register(i.result)
    s.emit(pseudo.SET, set_flags(s, i), result)
    return True


# --- select ------------------------------------------------------------------------------


def select_integer(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    if i.type.is_float:
        return False
    then, otherwise = use(s, i.operands[1]), use(s, i.operands[2])
    condition = condition_of(s, i.operands[0])
    form, result = width(CMOV, i.type), s.register(i.result)
    if condition < FLOAT_EQUAL:
        two_address(s, form, result, condition, otherwise, then)
        return True
    # Not equal or unordered: the other value, twice.
    if condition == FLOAT_EQUAL:
        then, otherwise = otherwise, then
    middle = s.new_register(i.type)
    two_address(s, form, middle, NE, otherwise, then)
    two_address(s, form, result, P, middle, then)
    return True


def select_float(s: Selector, i: Instruction) -> bool:
    then, otherwise = use(s, i.operands[1]), use(s, i.operands[2])
    condition = condition_of(s, i.operands[0])
    two_address(s, pseudo.FLOAT_SELECT, s.register(i.result), condition, otherwise, then)
    return True


# --- terminators ---------------------------------------------------------------------------


def jump(s: Selector, i: Instruction) -> bool:
    target = i.targets[0]
    block = s.machine_block(target.block)
    machine_block = s.machine_block(s.block)
    machine_block.arguments = [use(s, argument) for argument in target.arguments]
    s.append(plain(JUMP, (), (block,)))
    return True


def switch(s: Selector, i: Instruction) -> bool:
    """Through a table of distances from its own start; the index is in range."""
    table = s.jump_table(i)
    start = use(s, Symbol(table.symbol))
    distance, place = s.new_register(types.I64), s.new_register(types.PTR)
    s.emit(FORMS["movslq_m_x"], distance, start, use(s, i.operands[0]), 2, 0)
    s.emit(FORMS["lea_q_x"], place, start, distance, 0, 0)
    s.emit(FORMS["jmp_r"], place).table = table
    return True


def branch(s: Selector, i: Instruction) -> bool:
    """A word decides, or the comparison that made it: not 0 takes the first target."""
    condition = condition_of(s, i.operands[0])
    then, otherwise = (s.machine_block(target.block) for target in i.targets)
    if condition == FLOAT_EQUAL:
        conditions = [(NE, otherwise), (P, otherwise)]
        last = then
    elif condition == FLOAT_NOT_EQUAL:
        conditions = [(NE, then), (P, then)]
        last = otherwise
    else:
        conditions, last = [(condition, then)], otherwise
    for code, block in conditions:
        s.append(
            plain(
                BRANCH,
                (),
                (
                    code,
                    block,
                ),
            )
        )
    s.append(plain(JUMP, (), (last,)))
    return True


def trap(s: Selector, i: Instruction) -> bool:
    del i
    s.emit(TRAP)
    return True


RULES = [
    *(Rule(f"compare_{operation}", operation, compare) for operation in CONDITIONS),
    Rule("select_integer", op.SELECT, select_integer),
    Rule("select_float", op.SELECT, select_float),
    Rule("jump", op.JUMP, jump),
    Rule("switch", op.SWITCH, switch),
    Rule("branch", op.BRANCH, branch),
    Rule("trap", op.UNREACHABLE, trap),
]
