"""Selection rules: memory as an operand of arithmetic, comparisons and what is stored back.

A load that one instruction uses can be part of it where nothing with an effect lies between
(`Selector.loaded`).  Operands of memory have the width of the load, so 64 bits or 32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import Form
from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, Instruction, Symbol
from callproof.ir.model import Operand as IrOperand
from callproof.ir.operations import Operation
from callproof.target.x64.select_memory import Access, take_apart
from callproof.target.x64.values import constant, fits, two_address, use

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

WIDTHS = {types.I64: "q", types.PTR: "q", types.I32: "l"}
INTEGERS = {op.ADD: "add", op.SUB: "sub", op.AND: "and", op.OR: "or", op.XOR: "xor"}
FLOATS = {op.FADD: "add", op.FSUB: "sub", op.FMUL: "mul", op.FDIV: "div"}
SCALARS = {types.F64: "sd", types.F32: "ss"}


def _by_type(
    names: dict[Operation, str], letters: dict[types.Type, str], name: str
) -> dict[tuple[Operation, types.Type], Access]:
    return {
        (operation, type_): Access(name.format(stem, letter))
        for operation, stem in names.items()
        for type_, letter in letters.items()
    }


# What is read: (operation, type) -> the forms whose second operand is memory.
READING = {
    **_by_type({**INTEGERS, op.MUL: "imul"}, WIDTHS, "{}_{}_rm"),
    **_by_type(FLOATS, SCALARS, "{}{}_xm"),
}
CHANGING = _by_type(INTEGERS, WIDTHS, "{}_{}_mr")
CHANGING_BY_BYTE = _by_type(INTEGERS, WIDTHS, "{}_{}_mi8")
CHANGING_BY_NUMBER = _by_type(INTEGERS, WIDTHS, "{}_{}_mi")
COMPARING = {type_: Access(f"cmp_{letter}_rm") for type_, letter in WIDTHS.items()} | {
    type_: Access(f"ucomi{letters}_xm") for type_, letters in SCALARS.items()
}
COMPARING_NUMBER = {
    bits: (Access(f"cmp_{letter}_mi8"), Access(f"cmp_{letter}_mi"))
    for bits, letter in ((64, "q"), (32, "l"))
}
COMPARE_BYTE = Access("cmp_b_mi")
# What stores back the low 32 bits, and the loads that widened them.
NARROW_LOADS = (op.LOAD_S32, op.LOAD_U32)


def place(s: Selector, load: Instruction, forms: Access) -> tuple[Form, list[object]]:
    """The form with the load's address, and its memory arguments."""
    return take_apart(s, load.operands[0], load.offset).arguments(s, forms)


def loaded(s: Selector, operand: IrOperand, type_: types.Type) -> Instruction | None:
    """The load that makes an operand of this type, to be done by its user."""
    load = s.loaded(operand)
    return load if load is not None and types.compatible(load.result.type, type_) else None


def with_memory(s: Selector, i: Instruction) -> bool:
    type_ = i.type
    assert type_ is not None
    forms = READING.get((i.operation, type_))
    if forms is None:
        return False
    pairs = [(i.operands[0], i.operands[1])]
    if i.operation.commutative:
        pairs.append((i.operands[1], i.operands[0]))
    for other, operand in pairs:
        if other.kind == CONSTANT:
            continue
        load = loaded(s, operand, type_)
        if load is not None:
            result, register = s.register(i.result), use(s, other)
            form, arguments = place(s, load, forms)
            two_address(s, form, result, register, *arguments)
            return True
    return False


def low_word_with_memory(s: Selector, i: Instruction) -> bool:
    """(x op a word of memory) & #XFFFFFFFF: 32 bits of both are enough."""
    if i.type is not types.I64 or constant(i.operands[1]) != 0xFFFF_FFFF:
        return False
    for operation in (*INTEGERS, op.MUL):
        inner = s.only_use(i.operands[0], operation)
        if inner is None:
            continue
        pairs = [(inner.operands[0], inner.operands[1])]
        if operation.commutative:
            pairs.append((inner.operands[1], inner.operands[0]))
        for other, operand in pairs:
            load = _word(s, operand)
            if load is not None and other.kind != CONSTANT:
                result, register = s.register(i.result), use(s, other)
                form, arguments = place(s, load, READING[operation, types.I32])
                two_address(s, form, result, register, *arguments)
                return True
    return False


def _word(s: Selector, operand: IrOperand) -> Instruction | None:
    """The load of 32 bits that makes an operand, to be done by its user."""
    for operation in NARROW_LOADS:
        load = s.loaded(operand, operation)
        if load is not None:
            return load
    return None


# --- changed in place ---------------------------------------------------------------------------


def _same_address(store: Instruction, load: Instruction) -> bool:
    one, other = store.operands[1], load.operands[0]
    if store.offset != load.offset:
        return False
    if isinstance(one, Symbol) and isinstance(other, Symbol):
        return (one.name, one.offset) == (other.name, other.offset)
    return one is other


def changed_in_place(s: Selector, i: Instruction) -> bool:
    """m := m op x, in one instruction."""
    value = i.operands[0]
    narrow = i.operation is op.STORE32
    type_ = types.I32 if narrow else i.type
    assert type_ is not None
    for operation in INTEGERS:
        changed = s.only_use(value, operation)
        if changed is not None:
            break
    else:
        return False
    if (changed.operation, type_) not in CHANGING:
        return False
    pairs = [(changed.operands[0], changed.operands[1])]
    if changed.operation.commutative:
        pairs.append((changed.operands[1], changed.operands[0]))
    for operand, other in pairs:
        load = _stored_back(s, operand, type_, narrow)
        if load is not None and _same_address(i, load):
            _change(s, load, changed.operation, type_, other)
            return True
    return False


def _change(
    s: Selector, load: Instruction, operation: Operation, type_: types.Type, other: IrOperand
) -> None:
    key, number = (operation, type_), constant(other)
    if number is not None and type_ is types.I32:
        number = (number & 0xFFFFFFFF) - ((number & 0x80000000) << 1)
    if number is not None and fits(number):
        forms = (CHANGING_BY_BYTE if fits(number, 8) else CHANGING_BY_NUMBER)[key]
        form, arguments = place(s, load, forms)
        s.emit(form, *arguments, number)
        return
    register = use(s, other)
    form, arguments = place(s, load, CHANGING[key])
    s.emit(form, register, *arguments)


def _stored_back(
    s: Selector, operand: IrOperand, type_: types.Type, narrow: bool
) -> Instruction | None:
    load = _word(s, operand) if narrow else None
    return load if load is not None else loaded(s, operand, type_)


# --- comparisons --------------------------------------------------------------------------------


def compare_memory(s: Selector, type_: types.Type, first: IrOperand, second: IrOperand) -> bool:
    """Set the flags by a register and memory, if the second operand is a load."""
    forms = COMPARING.get(type_)
    load = loaded(s, second, type_)
    if forms is None or load is None or first.kind == CONSTANT:
        return False
    register = use(s, first)
    form, arguments = place(s, load, forms)
    s.emit(form, register, *arguments)
    return True


def compare_memory_with(
    s: Selector, type_: types.Type, first: IrOperand, value: int, *, equality: bool
) -> bool:
    """Set the flags by memory and a number of at most 32 bits."""
    forms = COMPARING_NUMBER.get(type_.bits)
    if forms is None:
        return False
    load = loaded(s, first, type_)
    if load is None and type_.bits == 64:
        byte = s.loaded(first, op.LOAD_U8)
        if byte is not None and equality and 0 <= value < 256:
            form, arguments = place(s, byte, COMPARE_BYTE)
            s.emit(form, *arguments, value - (value >> 7 << 8))
            return True
        load, forms = s.loaded(first, op.LOAD_S32), COMPARING_NUMBER[32]
        if load is None and equality and 0 <= value < 1 << 31:
            load = s.loaded(first, op.LOAD_U32)
    if load is None or not fits(value):
        return False
    form, arguments = place(s, load, forms[not fits(value, 8)])
    s.emit(form, *arguments, value)
    return True


RULES = [
    *(
        Rule(f"{operation}_memory", operation, with_memory)
        for operation in (*INTEGERS, op.MUL, *FLOATS)
    ),
    Rule("low_word_memory", op.AND, low_word_with_memory),
    Rule("store_changed", op.STORE, changed_in_place),
    Rule("store32_changed", op.STORE32, changed_in_place),
]
