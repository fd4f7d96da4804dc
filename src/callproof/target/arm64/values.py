"""Getting an operand into a register: constants, addresses, extended narrow integers.

An i8, i16 or i32 lives in the low bits of its register; what the bits above hold
is undefined (AAPCS64 leaves it so for arguments, too).  Rules that depend on
them extend first.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from callproof.codegen.machine import (
    FLOAT,
    GENERAL,
    ZERO_REGISTER,
    Form,
    FrameReference,
    MachineInstruction,
    SymbolReference,
    plain,
)
from callproof.ir import types
from callproof.ir.model import CONSTANT, SYMBOL, VALUE, Constant, Symbol
from callproof.ir.model import Operand as IrOperand
from callproof.ir.operations import EXTRACT, SLOT
from callproof.ir.vectors import lanes_of
from callproof.target.arm64 import pseudo
from callproof.target.arm64.immediates import encode_fp8, move_immediate
from callproof.target.arm64.instructions import FORMS

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

MOV_X, MOV_W = FORMS["mov_x"], FORMS["mov_w"]
FMOV_D_IMM, FMOV_S_IMM = FORMS["fmov_d_imm"], FORMS["fmov_s_imm"]
FMOV_D_X, FMOV_S_W = FORMS["fmov_d_x"], FORMS["fmov_s_w"]
SBFM_X, UBFM_X, SBFM_W, UBFM_W = (FORMS[n] for n in ("sbfm_x", "ubfm_x", "sbfm_w", "ubfm_w"))

MOVI_ZERO = FORMS["movi_v2d_zero"]
ELEMENT_LETTERS = {8: "b", 16: "h", 32: "s", 64: "d"}
ARRANGEMENT = {
    type_: f"v{type_.lanes}{ELEMENT_LETTERS[type_.element.bits]}"
    for type_ in types.VECTORS
    if type_.size <= 16
}
"""How the forms for a vector end: v2s, v4s, v2d ..."""

POOL_PREFIX = ".Lconstant."
"""Symbols of pooled float constants: the rest of the name is their bytes in hexadecimal."""


def use(s: Selector, operand: IrOperand) -> int:
    """The register that holds an operand; constants and addresses are made here."""
    if operand.kind == VALUE:
        definition = operand.definition  # type: ignore[union-attr]
        if definition is not None and definition.operation is SLOT:
            register = s.machine.new_register(GENERAL, definition.slot_name)
            return rematerialisable(
                s, register, pseudo.SLOT_ADDRESS, FrameReference("slot", s.slot(definition))
            )
        lowest = s.definition(operand, EXTRACT)
        if lowest is not None and operand.type.is_float and lowest.operands[1].value == 0:  # type: ignore[union-attr]
            return use(s, lowest.operands[0])  # its register's low bits are this float
        return s.register(operand)  # type: ignore[arg-type]
    if operand.kind == SYMBOL:
        assert isinstance(operand, Symbol)
        register = s.machine.new_register(GENERAL)
        reference = SymbolReference(operand.name, "", operand.offset)
        return rematerialisable(s, register, pseudo.ADDRESS, reference)
    assert isinstance(operand, Constant)
    if operand.type.lanes > 1:
        return vector_constant(s, operand)
    if operand.type.is_float:
        return float_constant(s, operand)
    return integer_constant(s, int(operand.value))


def use_or_zero(s: Selector, operand: IrOperand) -> int:
    """Like `use`, but XZR for the constant 0: for operands where 31 means the zero register."""
    if operand.kind == CONSTANT and operand.value == 0 and not operand.type.is_float:  # type: ignore[union-attr]
        return ZERO_REGISTER
    return use(s, operand)


def use_stored(s: Selector, operand: IrOperand) -> int:
    """The register of a value that is only stored: XZR for an integer 0."""
    return use(s, operand) if operand.type.is_float else use_or_zero(s, operand)


def rematerialisable(s: Selector, register: int, form: Form, argument: object) -> int:
    """Emit a definition that the allocator may repeat anywhere instead of spilling."""
    instruction = MachineInstruction(form, None, (argument,), (register,), 1)
    s.append(instruction)
    s.machine.rematerialise[register] = instruction
    return register


def integer_constant(s: Selector, value: int) -> int:
    register = s.machine.new_register(GENERAL)
    if len(move_immediate(value, 64)) <= 2:
        return rematerialisable(s, register, pseudo.CONSTANT, value)
    # Three or four instructions: a reload is no slower than making it again.
    made = plain(pseudo.CONSTANT, (register,), (value,))
    s.append(made)
    s.machine.movable[register] = made
    return register


def float_constant(s: Selector, constant: Constant) -> int:
    value = float(constant.value)
    single = constant.type is types.F32
    register = s.machine.new_register(FLOAT)
    data = struct.pack("<f" if single else "<d", value)
    if not any(data):
        form = FMOV_S_W if single else FMOV_D_X
        zero = plain(form, (register, ZERO_REGISTER))
        s.append(zero)
        s.machine.rematerialise[register] = zero
        return register
    encoded = encode_fp8(value)
    if encoded is not None:
        return rematerialisable(s, register, FMOV_S_IMM if single else FMOV_D_IMM, encoded)
    form = pseudo.FLOAT32_CONSTANT if single else pseudo.FLOAT_CONSTANT
    reference = SymbolReference(POOL_PREFIX + data.hex(), "")
    return rematerialisable(s, register, form, reference)


def vector_constant(s: Selector, constant: Constant) -> int:
    """MOVI and FMOV where all lanes are one small number, else a load."""
    type_ = constant.type
    register = s.machine.new_register(FLOAT, "", type_.size)
    if constant.value == 0:
        zero = plain(MOVI_ZERO, (register,))
        s.append(zero)
        s.machine.rematerialise[register] = zero
        return register
    lanes = lanes_of(constant.value, type_)
    first, name = lanes[0], ARRANGEMENT[type_]
    if len(set(lanes)) == 1:
        if type_.element.is_float:
            encoded = encode_fp8(float(first))
            if encoded is not None:
                return rematerialisable(s, register, FORMS[f"fmov_{name}_imm"], encoded)
        elif type_.element is types.I8 or (0 <= first < 256 and type_.element is not types.I64):
            return rematerialisable(s, register, FORMS[f"movi_{name}"], int(first) & 255)
    data = (int(constant.value) & ((1 << type_.bits) - 1)).to_bytes(type_.size, "little")
    form = pseudo.VECTOR_CONSTANT if type_.size == 16 else pseudo.FLOAT_CONSTANT
    return rematerialisable(s, register, form, SymbolReference(POOL_PREFIX + data.hex(), ""))


def extended(s: Selector, operand: IrOperand, *, signed: bool) -> int:
    """A register whose low 32 bits (64 for i64) hold the operand extended from its type."""
    type_ = operand.type
    if type_.bits >= 32:
        return use_or_zero(s, operand)
    if operand.kind == CONSTANT:
        value = int(operand.value)  # type: ignore[union-attr]
        if not signed:
            value &= (1 << type_.bits) - 1
        return use_or_zero(s, Constant(types.I64, value))
    register = s.new_register(types.I32)
    s.emit(SBFM_W if signed else UBFM_W, register, use(s, operand), 0, type_.bits - 1)
    return register
