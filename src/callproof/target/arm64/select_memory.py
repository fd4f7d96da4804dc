"""Selection rules: loads, stores, stack slots, and the addresses they fold.

An address is a base register with an unsigned scaled or a signed unscaled
offset, a base with a (shifted) index register, a symbol's low 12 bits, or an
offset from SP that the frame decides later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import GENERAL, Form, FrameReference, SymbolReference
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import SYMBOL, VALUE, Constant, Instruction, Symbol, Value
from callproof.ir.model import Operand as IrOperand
from callproof.target.arm64.instructions import FORMS
from callproof.target.arm64.registers import SP
from callproof.target.arm64.select_integer import constant
from callproof.target.arm64.values import rematerialisable, use, use_stored

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

ADRP = FORMS["adrp"]
PAGE = "R_AARCH64_ADR_PREL_PG_HI21"
LO12 = {
    1: "R_AARCH64_LDST8_ABS_LO12_NC",
    2: "R_AARCH64_LDST16_ABS_LO12_NC",
    4: "R_AARCH64_LDST32_ABS_LO12_NC",
    8: "R_AARCH64_LDST64_ABS_LO12_NC",
    16: "R_AARCH64_LDST128_ABS_LO12_NC",
}
EXTEND_LSL = 3  # the `option` of a 64-bit index register


class Access:
    """The forms of one load or store: scaled, unscaled and register offset; its size in bytes."""

    __slots__ = ("index", "scaled", "size", "unscaled")

    def __init__(self, name: str, size: int) -> None:
        self.scaled: Form = FORMS[f"{name}_uimm"]
        self.unscaled: Form = FORMS[f"{name}_unscaled"]
        self.index: Form = FORMS[f"{name}_reg"]
        self.size = size


LOADS = {
    types.I8: Access("ldrb", 1),
    types.I16: Access("ldrh", 2),
    types.I32: Access("ldr_w", 4),
    types.I64: Access("ldr_x", 8),
    types.PTR: Access("ldr_x", 8),
    types.F32: Access("ldr_s", 4),
    types.F64: Access("ldr_d", 8),
} | {
    vector: Access(*(("ldr_d", 8) if vector.size == 8 else ("ldr_q", 16)))
    for vector in types.VECTORS
    if vector.size <= 16
}
STORES = {
    types.I8: Access("strb", 1),
    types.I16: Access("strh", 2),
    types.I32: Access("str_w", 4),
    types.I64: Access("str_x", 8),
    types.PTR: Access("str_x", 8),
    types.F32: Access("str_s", 4),
    types.F64: Access("str_d", 8),
} | {
    vector: Access(*(("str_d", 8) if vector.size == 8 else ("str_q", 16)))
    for vector in types.VECTORS
    if vector.size <= 16
}
NARROW_STORES = {
    op.STORE8: STORES[types.I8],
    op.STORE16: STORES[types.I16],
    op.STORE32: STORES[types.I32],
}
ZERO_EXTENDING = {
    op.LOAD_U8: LOADS[types.I8],
    op.LOAD_U16: LOADS[types.I16],
    op.LOAD_U32: LOADS[types.I32],
}
SIGN_EXTENDING_64 = {
    op.LOAD_S8: Access("ldrsb_x", 1),
    op.LOAD_S16: Access("ldrsh_x", 2),
    op.LOAD_S32: Access("ldrsw", 4),
}
SIGN_EXTENDING_32 = {op.LOAD_S8: Access("ldrsb_w", 1), op.LOAD_S16: Access("ldrsh_w", 2)}


def load_access(i: Instruction) -> Access:
    operation, type_ = i.operation, i.type
    assert type_ is not None
    if operation is op.LOAD:
        return LOADS[type_]
    if operation in ZERO_EXTENDING:
        return ZERO_EXTENDING[operation]
    if type_.bits == 64:
        return SIGN_EXTENDING_64[operation]
    return SIGN_EXTENDING_32.get(operation) or LOADS[types.I32]


def store_access(i: Instruction) -> Access:
    if i.operation is op.STORE:
        assert i.type is not None
        return STORES[i.type]
    return NARROW_STORES[i.operation]


# --- the ways to address, from the most specific on -------------------------------------


def in_slot(s: Selector, i: Instruction, address: IrOperand) -> FrameReference | None:
    if address.kind != VALUE:
        return None
    assert isinstance(address, Value)
    definition = address.definition
    if definition is None or definition.operation is not op.SLOT:
        return None
    return FrameReference("slot", s.slot(definition), i.offset)


def to_symbol(s: Selector, i: Instruction, address: IrOperand, size: int) -> SymbolReference | None:
    """A symbol of this module whose alignment is known to suit a scaled low-12 offset."""
    if address.kind != SYMBOL:
        return None
    assert isinstance(address, Symbol)
    datum = s.module.data.get(address.name)
    distance = address.offset + i.offset
    if datum is None or datum.alignment % size or distance % size:
        return None
    return SymbolReference(address.name, LO12[size], distance)


def with_index(
    s: Selector, i: Instruction, address: IrOperand, size: int
) -> tuple[IrOperand, IrOperand, int] | None:
    """base + index or base + (index << log2 size), nothing added.

    A sum or shift with other uses too is done again here: several accesses may need it no
    other way.
    """
    if i.offset:
        return None
    total = s.definition(address, op.ADD)
    if (
        total is None
        or not s.only_addresses(total.result)
        or any(constant(operand) is not None for operand in total.operands)
    ):
        return None
    for base, index in (total.operands[::-1], total.operands):
        shift = s.definition(index, op.SHL)
        if shift is not None and size > 1 and constant(shift.operands[1]) == size.bit_length() - 1:
            return base, shift.operands[0], 1
        # The first operand is asked for its shift before the second stands unshifted.
    for base, index in (total.operands, total.operands[::-1]):
        if s.definition(base, op.SHL) is None:
            return base, index, 0
    return None


def _transfer(
    s: Selector, i: Instruction, forms: Access, transferred: int, address: IrOperand
) -> None:
    """Load or store a register by the best addressing mode for the address."""
    size = forms.size
    slot = in_slot(s, i, address)
    if slot is not None:
        s.emit(forms.scaled, transferred, SP, slot)
        return
    symbol = to_symbol(s, i, address, size)
    if symbol is not None:
        page = s.machine.new_register(GENERAL)
        rematerialisable(s, page, ADRP, SymbolReference(symbol.name, PAGE, symbol.addend))
        s.emit(forms.scaled, transferred, page, symbol)
        return
    indexed = with_index(s, i, address, size)
    if indexed is not None:
        base, index, shifted = indexed
        s.emit(forms.index, transferred, use(s, base), use(s, index), EXTEND_LSL, shifted)
        return
    base, offset = _base_and_offset(s, address, i.offset)
    if 0 <= offset < 4096 * size and offset % size == 0:
        s.emit(forms.scaled, transferred, use(s, base), offset)
    elif -256 <= offset < 256:
        s.emit(forms.unscaled, transferred, use(s, base), offset)
    else:
        distance = use(s, Constant(types.I64, offset))
        s.emit(forms.index, transferred, use(s, base), distance, EXTEND_LSL, 0)


def _base_and_offset(s: Selector, address: IrOperand, offset: int) -> tuple[IrOperand, int]:
    """Fold the addition of a constant to the address, where nothing else needs the sum."""
    total = s.only_use(address, op.ADD)
    if total is not None:
        for base, addend in (total.operands, total.operands[::-1]):
            value = constant(addend)
            if value is not None and -(1 << 40) < value + offset < 1 << 40:
                return base, value + offset
    return address, offset


# --- the rules ---------------------------------------------------------------------------


def load(s: Selector, i: Instruction) -> bool:
    _transfer(s, i, load_access(i), s.register(i.result), i.operands[0])
    return True


def store(s: Selector, i: Instruction) -> bool:
    register = use_stored(s, i.operands[0])
    _transfer(s, i, store_access(i), register, i.operands[1])
    return True


RULES = [
    *(
        Rule(str(operation), operation, load)
        for operation in (
            op.LOAD,
            op.LOAD_S8,
            op.LOAD_U8,
            op.LOAD_S16,
            op.LOAD_U16,
            op.LOAD_S32,
            op.LOAD_U32,
        )
    ),
    *(
        Rule(str(operation), operation, store)
        for operation in (op.STORE, op.STORE8, op.STORE16, op.STORE32)
    ),
]
