"""Selection rules: loads, stores, and the addresses that they and LEA fold.

An address is a base with a displacement, with an index times 1, 2, 4 or 8 besides, a
symbol by its distance from RIP, or an offset from RSP that the frame decides later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import Form, FrameReference, SymbolReference
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, SYMBOL, VALUE, Constant, Instruction, Symbol, Value
from callproof.ir.model import Operand as IrOperand
from callproof.source import CallproofError
from callproof.target.x64.instructions import FORMS
from callproof.target.x64.registers import RSP
from callproof.target.x64.values import RELATIVE, constant, constant_bytes, fits, use

if TYPE_CHECKING:
    from callproof.codegen.select import Selector


class Access:
    """The forms of one load, store or LEA by their way to address."""

    __slots__ = ("based", "indexed", "relative")

    def __init__(self, name: str) -> None:
        self.based: Form = FORMS[f"{name}_b"]
        self.indexed: Form = FORMS[f"{name}_x"]
        self.relative: Form = FORMS[f"{name}_p"]


VECTORS = {size: [v for v in types.VECTORS if v.size == size] for size in (8, 16)}
LOADS = {
    types.I8: Access("movzbl_m"),
    types.I16: Access("movzwl_m"),
    types.I32: Access("mov_l_rm"),
    types.I64: Access("mov_q_rm"),
    types.PTR: Access("mov_q_rm"),
    types.F32: Access("movss_xm"),
    types.F64: Access("movsd_xm"),
    **dict.fromkeys(VECTORS[8], Access("movsd_xm")),
    **dict.fromkeys(VECTORS[16], Access("movups_xm")),
}
STORES = {
    types.I8: Access("mov_b_mr"),
    types.I16: Access("mov_w_mr"),
    types.I32: Access("mov_l_mr"),
    types.I64: Access("mov_q_mr"),
    types.PTR: Access("mov_q_mr"),
    types.F32: Access("movss_mx"),
    types.F64: Access("movsd_mx"),
    **dict.fromkeys(VECTORS[8], Access("movsd_mx")),
    **dict.fromkeys(VECTORS[16], Access("movups_mx")),
}
STORES_IMMEDIATE = {
    bits: Access(f"mov_{w}_mi") for bits, w in ((8, "b"), (16, "w"), (32, "l"), (64, "q"))
}
NARROW = {op.STORE8: types.I8, op.STORE16: types.I16, op.STORE32: types.I32}
EXTENDING = {  # operation -> for results of 64 bits, of fewer
    op.LOAD_U8: (LOADS[types.I8], LOADS[types.I8]),
    op.LOAD_U16: (LOADS[types.I16], LOADS[types.I16]),
    op.LOAD_U32: (LOADS[types.I32], LOADS[types.I32]),
    op.LOAD_S8: (Access("movsbq_m"), Access("movsbl_m")),
    op.LOAD_S16: (Access("movswq_m"), Access("movswl_m")),
    op.LOAD_S32: (Access("movslq_m"), LOADS[types.I32]),
}


class Address:
    """What an address was taken apart into; `index` None for none, `scale` 0..3.

    `symbol`, or `slot`, or `base`; `displacement` fits 32 bits with whatever it is added to.
    """

    __slots__ = ("base", "displacement", "index", "scale", "slot", "symbol")

    def __init__(self) -> None:
        self.symbol = ""
        self.slot = -1
        self.base: IrOperand | None = None
        self.index: IrOperand | None = None
        self.scale = 0
        self.displacement = 0

    def arguments(self, s: Selector, forms: Access) -> tuple[Form, list[object]]:
        """The form that has this address, and its memory arguments."""
        if self.symbol:
            reference = SymbolReference(self.symbol, RELATIVE, self.displacement)
            return forms.relative, [reference]
        displacement: object = self.displacement
        if self.slot >= 0:
            base = RSP
            displacement = FrameReference("slot", self.slot, self.displacement)
        else:
            assert self.base is not None
            base = use(s, self.base)
        if self.index is None:
            return forms.based, [base, displacement]
        return forms.indexed, [base, use(s, self.index), self.scale, displacement]


def _scaled(s: Selector, operand: IrOperand) -> tuple[IrOperand, int]:
    """An index and its scale: `x << k` in one; if others want the shifted value, that too."""
    shift = s.definition(operand, op.SHL)
    if shift is not None:
        amount = constant(shift.operands[1])
        if amount is not None and 0 < amount <= 3 and shift.operands[0].kind == VALUE:
            return shift.operands[0], amount
    return operand, 0


def _is_slot(operand: IrOperand) -> Instruction | None:
    if operand.kind != VALUE:
        return None
    assert isinstance(operand, Value)
    definition = operand.definition
    return definition if definition is not None and definition.operation is op.SLOT else None


def take_apart(s: Selector, operand: IrOperand, offset: int) -> Address:
    """Everything of an address computation that an operand can do by itself.

    Sums that something else needs too are left alone: with an index the processor does not
    hand what was stored to the next load as fast (5 % of nbody).
    """
    found = Address()
    while True:
        total = s.only_use(operand, op.ADD)
        if total is None:
            break
        for base, addend in (total.operands, total.operands[::-1]):
            value = constant(addend)
            if value is not None and fits(value + offset) and base.kind != CONSTANT:
                operand, offset = base, offset + value
                break
        else:
            break
    if operand.kind == SYMBOL:
        assert isinstance(operand, Symbol)
        if fits(operand.offset + offset, 31):
            found.symbol = operand.name
            found.displacement = operand.offset + offset
            return found
    if not fits(offset):
        # Too far for a displacement: a constant in a register.
        found.base, found.index = operand, Constant(types.I64, offset)
        return found
    found.displacement = offset
    if total is not None:
        # An index with a shift first, then any.
        for base, addend in (total.operands, total.operands[::-1]):
            index, scale = _scaled(s, addend)
            if scale and base.kind != CONSTANT:
                found.index, found.scale = index, scale
                operand = base
                break
        else:
            first, second = total.operands
            if second.kind == VALUE and _is_slot(second) is None:
                operand, found.index = first, second
            elif first.kind == VALUE and _is_slot(first) is None:
                operand, found.index = second, first
    slot = _is_slot(operand)
    if slot is not None and fits(offset, 31):
        found.slot = s.slot(slot)
    else:
        found.base = operand
    return found


def _known(table: dict[types.Type, Access], type_: types.Type) -> Access:
    access = table.get(type_)
    if access is None:
        raise CallproofError(f"values of type {type_} are not supported yet on x86-64")
    return access


def load_access(i: Instruction) -> Access:
    assert i.type is not None
    if i.operation is op.LOAD:
        return _known(LOADS, i.type)
    return EXTENDING[i.operation][0 if i.type.bits == 64 else 1]


def load(s: Selector, i: Instruction) -> bool:
    result = s.register(i.result)
    form, place = take_apart(s, i.operands[0], i.offset).arguments(s, load_access(i))
    s.emit(form, result, *place)
    return True


def _stored_type(i: Instruction) -> types.Type:
    assert i.type is not None
    return i.type if i.operation is op.STORE else NARROW[i.operation]


def store_constant(s: Selector, i: Instruction) -> bool:
    """A number (also the bits of a float or of a small vector) from the instruction itself."""
    operand, type_ = i.operands[0], _stored_type(i)
    if operand.kind != CONSTANT or type_.bits > 64:
        return False
    if operand.type.is_float:
        assert isinstance(operand, Constant)
        value = int.from_bytes(constant_bytes(operand), "little", signed=True)
    else:
        value = int(operand.value)  # type: ignore[union-attr]
    value &= (1 << type_.bits) - 1
    value -= (value >> (type_.bits - 1)) << type_.bits
    if not fits(value):
        return False
    form, place = take_apart(s, i.operands[1], i.offset).arguments(s, STORES_IMMEDIATE[type_.bits])
    s.emit(form, *place, value)
    return True


def store(s: Selector, i: Instruction) -> bool:
    register = use(s, i.operands[0])
    access = _known(STORES, _stored_type(i))
    form, place = take_apart(s, i.operands[1], i.offset).arguments(s, access)
    s.emit(form, register, *place)
    return True


LOADING = (op.LOAD, op.LOAD_S8, op.LOAD_U8, op.LOAD_S16, op.LOAD_U16, op.LOAD_S32, op.LOAD_U32)
STORING = (op.STORE, op.STORE8, op.STORE16, op.STORE32)
RULES = [
    *(Rule(str(operation), operation, load) for operation in LOADING),
    *(Rule(f"{operation}_constant", operation, store_constant) for operation in STORING),
    *(Rule(str(operation), operation, store) for operation in STORING),
]
