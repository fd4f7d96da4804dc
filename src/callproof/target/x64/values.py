"""Getting an operand into a register: constants, addresses, extended narrow integers.

An i8, i16 or i32 lives in the low bits of its register; what the bits above hold is
undefined (as the psABI leaves it for most arguments).  Rules that depend on them extend
first.  Nothing here changes the flags: the allocator may repeat it anywhere.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from callproof.codegen.machine import (
    DEF,
    FLOAT,
    GENERAL,
    SAME_AS,
    USE,
    Form,
    FrameReference,
    MachineInstruction,
    Operand,
    SymbolReference,
    plain,
)
from callproof.ir import types
from callproof.ir.model import CONSTANT, SYMBOL, VALUE, Constant, Symbol, Value
from callproof.ir.model import Operand as IrOperand
from callproof.ir.operations import SLOT
from callproof.target.x64 import pseudo
from callproof.target.x64.instructions import FORMS
from callproof.target.x64.registers import RSP

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

MOV_32, MOV_SIGNED, MOV_64 = FORMS["mov_l_ri"], FORMS["mov_q_ri"], FORMS["movabs"]
LEA_SYMBOL, LEA_BASE = FORMS["lea_q_p"], FORMS["lea_q_b"]
LOAD_CONSTANT = {4: FORMS["movss_xm_p"], 8: FORMS["movsd_xm_p"], 16: FORMS["movups_xm_p"]}
EXTEND = {
    (True, 8): FORMS["movsbl"],
    (True, 16): FORMS["movswl"],
    (False, 8): FORMS["movzbl"],
    (False, 16): FORMS["movzwl"],
}
RELATIVE = "R_X86_64_PC32"

POOL_PREFIX = ".Lconstant."
"""Symbols of pooled float constants: the rest of the name is their bytes in hexadecimal."""


def constant(operand: IrOperand) -> int | None:
    """The value of an integer constant, signed by its type; None for anything else."""
    if operand.kind == CONSTANT:
        value = operand.value  # type: ignore[union-attr]
        if type(value) is int:
            return signed(value, operand.type.bits)
    return None


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def fits(value: int | None, bits: int = 32) -> bool:
    return value is not None and -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def two_address(s: Selector, form: Form, result: int, *arguments: object) -> MachineInstruction:
    """Emit a form whose 'use_def' operand starts as that argument and becomes `result`."""
    operands: list[Operand] = []
    immediates: list[object] = []
    tied = -1
    for spec, argument in zip(form.operands, arguments, strict=True):
        if not spec.is_register:
            immediates.append(argument)
            continue
        if spec.role == "use_def":
            tied = len(operands)
        assert isinstance(argument, int)
        operands.append(Operand(argument, USE))
    assert tied >= 0, form.name
    operands.append(Operand(result, DEF, SAME_AS + tied))
    instruction = MachineInstruction(form, operands, immediates)
    s.append(instruction)
    return instruction


def use(s: Selector, operand: IrOperand) -> int:
    """The register that holds an operand; constants and addresses are made here."""
    if operand.kind == VALUE:
        assert isinstance(operand, Value)
        definition = operand.definition
        if definition is not None and definition.operation is SLOT:
            register = s.machine.new_register(GENERAL, definition.slot_name)
            made = plain(LEA_BASE, (register, RSP), (FrameReference("slot", s.slot(definition)),))
            return _remade(s, register, made)
        return s.register(operand)
    if operand.kind == SYMBOL:
        assert isinstance(operand, Symbol)
        reference = SymbolReference(operand.name, RELATIVE, operand.offset)
        return _made(s, GENERAL, LEA_SYMBOL, reference)
    assert isinstance(operand, Constant)
    if operand.type.is_float:
        return float_constant(s, operand)
    return integer_constant(s, int(operand.value))


def _remade(s: Selector, register: int, made: MachineInstruction) -> int:
    """Emit a definition that the allocator may repeat anywhere instead of spilling."""
    s.append(made)
    s.machine.rematerialise[register] = made
    return register


def _made(s: Selector, register_class: int, form: Form, *immediates: object, size: int = 8) -> int:
    register = s.machine.new_register(register_class, size=size)
    return _remade(s, register, plain(form, (register,), immediates))


def integer_constant(s: Selector, value: int) -> int:
    value = signed(value, 64)
    if 0 <= value < 1 << 32:
        return _made(s, GENERAL, MOV_32, value)
    return _made(s, GENERAL, MOV_SIGNED if fits(value) else MOV_64, value)


def constant_bytes(operand: Constant) -> bytes:
    """The bytes of a float or vector in memory."""
    type_ = operand.type
    if type_.lanes > 1:
        return (int(operand.value) & ((1 << type_.bits) - 1)).to_bytes(type_.size, "little")
    return struct.pack("<f" if type_ is types.F32 else "<d", float(operand.value))


def pooled(data: bytes) -> SymbolReference:
    """Read-only memory with these bytes, aligned to their number."""
    return SymbolReference(POOL_PREFIX + data.hex(), RELATIVE)


def float_constant(s: Selector, operand: Constant) -> int:
    data = constant_bytes(operand)
    size = max(8, len(data))
    if not any(data):
        return _made(s, FLOAT, pseudo.ZERO_FLOAT, size=size)
    return _made(s, FLOAT, LOAD_CONSTANT[len(data)], pooled(data), size=size)


def extended(s: Selector, operand: IrOperand, *, is_signed: bool) -> int:
    """A register whose low 32 bits (64 for i64) hold the operand extended from its type."""
    type_ = operand.type
    if type_.bits >= 32:
        return use(s, operand)
    value = constant(operand)
    if value is not None:
        return integer_constant(s, value if is_signed else value & ((1 << type_.bits) - 1))
    register = s.new_register(types.I32)
    s.emit(EXTEND[is_signed, type_.bits], register, use(s, operand))
    return register


def lives_on(s: Selector, operand: IrOperand) -> bool:
    """Whether code behind this instruction has asked for the operand (selection goes backwards).

    A guess where loops are involved; it only decides between equally correct forms.
    """
    return operand.kind == VALUE and s.is_requested(operand)  # type: ignore[arg-type]
