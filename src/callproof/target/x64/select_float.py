"""Selection rules: floating-point arithmetic (SSE2, scalar) and conversions.

No rule contracts a multiplication and an addition: both languages round each
operation by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import Form
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, Constant, Instruction
from callproof.target.x64 import pseudo
from callproof.target.x64.instructions import FORMS
from callproof.target.x64.select_compare import CMP, G, L
from callproof.target.x64.select_integer import CMOV, MOV_64, commutative
from callproof.target.x64.values import constant_bytes, extended, pooled, two_address, use

if TYPE_CHECKING:
    from callproof.codegen.select import Selector


def by_type(name: str, suffix: str = "") -> dict[types.Type, Form]:
    """The double and single forms of a name with `?` for the width."""
    return {
        types.F64: FORMS[name.replace("?", "sd") + suffix],
        types.F32: FORMS[name.replace("?", "ss") + suffix],
    }


BINARY = {
    operation: by_type(f"{name}?")
    for operation, name in ((op.FADD, "add"), (op.FSUB, "sub"), (op.FMUL, "mul"), (op.FDIV, "div"))
}
BINARY_POOLED = {
    operation: by_type(f"{name}?", "_xm_p")
    for operation, name in ((op.FADD, "add"), (op.FSUB, "sub"), (op.FMUL, "mul"), (op.FDIV, "div"))
}
SQRT = {types.F64: pseudo.KEEPING["sqrtsd"], types.F32: pseudo.KEEPING["sqrtss"]}
MASKED = {op.FNEG: FORMS["xorps_xm_p"], op.FABS: FORMS["andps_xm_p"]}
MASKS = {  # 16 bytes, as the processor wants them aligned
    (op.FNEG, 64): (1 << 63 | 1 << 127).to_bytes(16, "little"),
    (op.FNEG, 32): b"\0\0\0\x80" * 4,
    (op.FABS, 64): ((1 << 63) - 1 | ((1 << 63) - 1) << 64).to_bytes(16, "little"),
    (op.FABS, 32): b"\xff\xff\xff\x7f" * 4,
}
FEXT, FTRUNC = pseudo.KEEPING["cvtss2sd"], pseudo.KEEPING["cvtsd2ss"]
MOVES = {  # bits -> to general, to float
    64: (FORMS["movq_rx"], FORMS["movq_xr"]),
    32: (FORMS["movd_rx"], FORMS["movd_xr"]),
}
COPY = FORMS["movaps"]


def binary(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    first, second = i.operands
    if i.operation.commutative and first.kind == CONSTANT:
        first, second = second, first
    if second.kind == CONSTANT:
        assert isinstance(second, Constant)
        form = BINARY_POOLED[i.operation][i.type]
        two_address(s, form, s.register(i.result), use(s, first), pooled(constant_bytes(second)))
        return True
    form = BINARY[i.operation][i.type]
    if i.operation.commutative:
        return commutative(s, i, form)
    left, right = use(s, first), use(s, second)
    two_address(s, form, s.register(i.result), left, right)
    return True


def masked(s: Selector, i: Instruction) -> bool:
    """Change the sign bit by a mask."""
    assert i.type is not None
    mask = pooled(MASKS[i.operation, i.type.element.bits])
    two_address(s, MASKED[i.operation], s.register(i.result), use(s, i.operands[0]), mask)
    return True


def square_root(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    s.emit(SQRT[i.type], s.register(i.result), use(s, i.operands[0]))
    return True


def from_signed(s: Selector, i: Instruction) -> bool:
    assert i.type is not None
    operand = i.operands[0]
    form = pseudo.FROM_INTEGER[i.type.bits, 64 if operand.type.bits == 64 else 32]
    s.emit(form, s.register(i.result), extended(s, operand, is_signed=True))
    return True


def to_signed(s: Selector, i: Instruction) -> bool:
    """The conversion saturates to 64 bits; then to the narrow type's limits."""
    type_, operand = i.type, i.operands[0]
    assert type_ is not None
    form = pseudo.TO_INTEGER[operand.type.bits, i.operation is op.FLOORTOSI]
    if type_.bits == 64:
        s.emit(form, s.register(i.result), use(s, operand))
        return True
    value = s.new_register(types.I64)
    s.emit(form, value, use(s, operand))
    limit = 1 << (type_.bits - 1)
    for index, (bound, condition) in enumerate(((limit - 1, G), (-limit, L))):
        register = use(s, Constant(types.I64, bound))
        limited = s.register(i.result) if index else s.new_register(types.I64)
        s.emit(CMP[0], value, register)
        two_address(s, CMOV[0], limited, condition, value, register)
        value = limited
    return True


def extend(s: Selector, i: Instruction) -> bool:
    s.emit(FEXT, s.register(i.result), use(s, i.operands[0]))
    return True


def round_(s: Selector, i: Instruction) -> bool:
    s.emit(FTRUNC, s.register(i.result), use(s, i.operands[0]))
    return True


def bitcast(s: Selector, i: Instruction) -> bool:
    """Between the register files MOVQ, within one a copy."""
    to, operand = i.type, i.operands[0]
    assert to is not None
    if to.is_float == operand.type.is_float:
        s.emit(COPY if to.is_float else MOV_64, s.register(i.result), use(s, operand))
        return True
    moves = MOVES.get(to.bits)
    if moves is None:
        return False
    s.emit(moves[to.is_float], s.register(i.result), use(s, operand))
    return True


RULES = [
    *(Rule(str(operation), operation, binary) for operation in BINARY),
    *(Rule(str(operation), operation, masked) for operation in MASKED),
    Rule("fsqrt", op.FSQRT, square_root),
    Rule("sitof", op.SITOF, from_signed),
    *(Rule(str(operation), operation, to_signed) for operation in (op.FTOSI, op.FLOORTOSI)),
    Rule("fext", op.FEXT, extend),
    Rule("ftrunc", op.FTRUNC, round_),
    Rule("bitcast", op.BITCAST, bitcast),
]
