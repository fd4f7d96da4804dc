"""Selection rules: floating-point arithmetic and conversions.

No rule contracts a multiplication and an addition: both languages round each
operation by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import ZERO_REGISTER, Form
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import Constant, Instruction
from callproof.ir.model import Operand as IrOperand
from callproof.target.arm64.instructions import FORMS
from callproof.target.arm64.select_compare import GT, LT, SUBS
from callproof.target.arm64.select_integer import CSEL, LSL, MOV
from callproof.target.arm64.values import extended, use, use_or_zero

if TYPE_CHECKING:
    from callproof.codegen.select import Selector


def by_type(name: str) -> dict[types.Type, Form]:
    """The double and single forms of a name with `?` for the width."""
    return {types.F64: FORMS[name.replace("?", "d")], types.F32: FORMS[name.replace("?", "s")]}


BINARY = {
    op.FADD: by_type("fadd_?"),
    op.FSUB: by_type("fsub_?"),
    op.FMUL: by_type("fmul_?"),
    op.FDIV: by_type("fdiv_?"),
}
UNARY = {op.FNEG: by_type("fneg_?"), op.FABS: by_type("fabs_?"), op.FSQRT: by_type("fsqrt_?")}
FNMUL = by_type("fnmul_?")
FROM_SIGNED = {
    (float_, bits): FORMS[f"scvtf_{f}_{x}"]
    for float_, f in ((types.F64, "d"), (types.F32, "s"))
    for bits, x in ((64, "x"), (32, "w"))
}
TO_SIGNED = {
    (operation, float_, bits): FORMS[f"{name}_{x}_{f}"]
    for operation, name in ((op.FTOSI, "fcvtzs"), (op.FLOORTOSI, "fcvtms"))
    for float_, f in ((types.F64, "d"), (types.F32, "s"))
    for bits, x in ((64, "x"), (32, "w"))
}
FEXT, FTRUNC = FORMS["fcvt_d_s"], FORMS["fcvt_s_d"]
MOVES = {64: (FORMS["fmov_x_d"], FORMS["fmov_d_x"]), 32: (FORMS["fmov_w_s"], FORMS["fmov_s_w"])}
FLOAT_COPIES = {64: FORMS["fmov_d"], 32: FORMS["fmov_s"], 128: FORMS["mov_v16b"]}


def binary(s: Selector, i: Instruction) -> bool:
    form = BINARY[i.operation].get(i.type)  # type: ignore[arg-type]
    if form is None:
        return False
    s.emit(form, s.register(i.result), use(s, i.operands[0]), use(s, i.operands[1]))
    return True


def scalar(s: Selector, operand: IrOperand) -> int:
    """A register whose low bits are the operand: lane 0 of a vector is read where it is."""
    taken = s.definition(operand, op.EXTRACT)
    if taken is not None and taken.operands[1].value == 0:  # type: ignore[union-attr]
        return use(s, taken.operands[0])
    return use(s, operand)


def negated_product(s: Selector, i: Instruction) -> bool:
    """-(a * b) in one FNMUL: the sign of a product may be flipped before or after rounding."""
    product = s.only_use(i.operands[0], op.FMUL)
    form = FNMUL.get(i.type)  # type: ignore[arg-type]
    if product is None or form is None:
        return False
    s.emit(form, s.register(i.result), use(s, product.operands[0]), use(s, product.operands[1]))
    return True


def unary(s: Selector, i: Instruction) -> bool:
    form = UNARY[i.operation].get(i.type)  # type: ignore[arg-type]
    if form is None:
        return False
    s.emit(form, s.register(i.result), use(s, i.operands[0]))
    return True


def from_signed(s: Selector, i: Instruction) -> bool:
    operand = i.operands[0]
    bits = 64 if operand.type.bits == 64 else 32
    form = FROM_SIGNED[i.type, bits]  # type: ignore[index]
    s.emit(form, s.register(i.result), extended(s, operand, signed=True))
    return True


def to_signed(s: Selector, i: Instruction) -> bool:
    type_, operand = i.type, i.operands[0]
    assert type_ is not None
    if type_.bits < 32:
        return False
    form = TO_SIGNED[i.operation, operand.type, type_.bits]
    s.emit(form, s.register(i.result), use(s, operand))
    return True


def to_signed_narrow(s: Selector, i: Instruction) -> bool:
    """The conversion saturates to 32 bits; then to the narrow type's limits."""
    type_, operand = i.type, i.operands[0]
    assert type_ is not None
    value = s.new_register(types.I32)
    s.emit(TO_SIGNED[i.operation, operand.type, 32], value, use(s, operand))
    limit = 1 << (type_.bits - 1)
    for index, (bound, condition) in enumerate(((limit - 1, GT), (-limit, LT))):
        register = use(s, Constant(types.I64, bound))
        limited = s.register(i.result) if index else s.new_register(types.I32)
        s.emit(SUBS[1], ZERO_REGISTER, value, register, LSL, 0)
        s.emit(CSEL[1], limited, register, value, condition)
        value = limited
    return True


def extend(s: Selector, i: Instruction) -> bool:
    s.emit(FEXT, s.register(i.result), scalar(s, i.operands[0]))
    return True


def round_(s: Selector, i: Instruction) -> bool:
    s.emit(FTRUNC, s.register(i.result), use(s, i.operands[0]))
    return True


def bitcast(s: Selector, i: Instruction) -> bool:
    """Between the register files FMOV, within one a copy."""
    to, operand = i.type, i.operands[0]
    assert to is not None
    from_ = operand.type
    if to.is_float == from_.is_float:
        form = FLOAT_COPIES[to.bits] if to.is_float else MOV[0]
        source = use(s, operand) if to.is_float else use_or_zero(s, operand)
        s.emit(form, s.register(i.result), source)
        return True
    moves = MOVES.get(to.bits)
    if moves is None:
        return False
    source = use(s, operand) if from_.is_float else use_or_zero(s, operand)
    s.emit(moves[to.is_float], s.register(i.result), source)
    return True


RULES = [
    *(Rule(str(operation), operation, binary) for operation in BINARY),
    Rule("negated_product", op.FNEG, negated_product),
    *(Rule(str(operation), operation, unary) for operation in UNARY),
    Rule("sitof", op.SITOF, from_signed),
    *(
        Rule(f"{operation}{suffix}", operation, rule)
        for operation in (op.FTOSI, op.FLOORTOSI)
        for suffix, rule in (("", to_signed), ("_narrow", to_signed_narrow))
    ),
    Rule("fext", op.FEXT, extend),
    Rule("ftrunc", op.FTRUNC, round_),
    Rule("bitcast", op.BITCAST, bitcast),
]
