"""The text form of the IR, printed; `parse.py` reads it back to the same thing.

    declare @bcpl_writen(value: i64)
    declare data @stdout align 8

    data @greeting align 8 readonly "Hi\\00" @table+8      ; bytes and addresses in order
    data @counter align 8 writable zero 8

    function @Point::CREATE(this: i64, x: i64) -> i64 display "Point.CREATE" {
    ^entry(%this.0: i64, %x.1: i64):
      %2 = add i64 %x.1, 5                          !12
      store i64 %2, %this.0 + 8                      !12
      %r.3 = call @f(%2, f64 1.5)
      %4 = call_indirect %this.0(%2) : (x: i64) -> i64
      %5 = slt i64 %2, 10
      branch %5, ^then(%2), ^else
    ...

`!12` is the source line; `!12 in @f !30` that of the function @f, inlined at the call in line
30 (and so on outward).  A bare number takes the type of its place; elsewhere
constants carry theirs (`f64 1.5`), those of vectors their lanes (`v2i32 <1, -2>`).
`%name.7` is the value number 7; hand-written text may leave the number away. Composites in
signatures are `{u64, u64}`, with arrays `{i32 * 3}`, and with explicit offsets where they
do not follow from the members, bit-fields with their first bit and width: `struct 4 align 2
{0: u8, 1.3: i16 : 5}`, `union 8 align 8 {0: i64, 0: f32}`. `p: byval {f32, f32}` says that
the IR's value is the address of an object that the callee gets a copy of; `-> sret {…}`
that the result goes to memory whose address is the first argument.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from math import isfinite

from callproof.abi.signature import Signature
from callproof.ir import operations as op
from callproof.ir.model import (
    CONSTANT,
    VALUE,
    Constant,
    Datum,
    Function,
    Instruction,
    Module,
    Operand,
    Symbol,
    Target,
)
from callproof.ir.places import calls_of
from callproof.ir.types import I64, PTR, Type
from callproof.ir.vectors import REDUCTIONS, lanes_of

_PLAIN = re.compile(r"[A-Za-z_.$][A-Za-z0-9_.$:]*\Z")
LINE_COLUMN = 56


def _symbol(name: str) -> str:
    return f"@{name}" if _PLAIN.match(name) else f"@{_quote(name.encode())}"


def _quote(data: bytes) -> str:
    parts = []
    for byte in data:
        if 32 <= byte < 127 and byte not in (34, 92):
            parts.append(chr(byte))
        else:
            parts.append(f"\\{byte:02x}")
    return f'"{"".join(parts)}"'


def _float_text(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016x}"
    return repr(value)


def _constant(constant: Constant) -> str:
    value = constant.value
    if constant.type.lanes > 1:
        lanes = lanes_of(value, constant.type)
        if all(not isinstance(lane, float) or isfinite(lane) for lane in lanes):
            return f"<{', '.join(map(str, lanes))}>"
        return f"{int(value) & ((1 << constant.type.bits) - 1):#x}"  # NaNs keep their bits
    return _float_text(value) if isinstance(value, float) else str(value)


def operand_text(operand: Operand, expected: Type | None = None) -> str:
    """An operand; a constant without its type where that is the expected one."""
    if operand.kind == VALUE:
        return repr(operand)
    if operand.kind == CONSTANT:
        assert isinstance(operand, Constant)
        text = _constant(operand)
        return text if operand.type is expected else f"{operand.type} {text}"
    assert isinstance(operand, Symbol)
    name = _symbol(operand.name)
    return f"{name}{operand.offset:+d}" if operand.offset else name


def signature_text(signature: Signature) -> str:
    parts = []
    for index, parameter in enumerate(signature.parameters):
        if index == signature.variadic_from:
            parts.append("...")
        name = f"{parameter.name}: " if parameter.name else ""
        byval = "byval " if parameter.in_memory else ""
        parts.append(f"{name}{byval}{parameter.type}")
    if signature.variadic_from == len(signature.parameters):
        parts.append("...")
    sret = "sret " if signature.result_in_memory else ""
    result = f" -> {sret}{signature.result}" if signature.result is not None else ""
    return f"({', '.join(parts)}){result}"


def _arguments(operands: Iterable[Operand]) -> str:
    return ", ".join(operand_text(operand, I64) for operand in operands)


def _target(target: Target) -> str:
    arguments = f"({_arguments(target.arguments)})" if target.arguments else ""
    return f"^{target.block.name}{arguments}"


def _offset(instruction: Instruction) -> str:
    offset = instruction.offset
    if not offset:
        return ""
    return f" + {offset}" if offset > 0 else f" - {-offset}"


def instruction_text(instruction: Instruction, module: Module | None = None) -> str:
    """One instruction without its line; calls of unknown functions carry a signature."""
    operation, type_ = instruction.operation, instruction.type
    results = ", ".join(repr(value) for value in instruction.results)
    name = f"tail {operation.name}" if instruction.tail else operation.name
    start = f"{results} = {name}" if results else name
    operands = instruction.operands
    if operation is op.CALL or operation is op.CALL_INDIRECT:
        signature = instruction.signature
        assert signature is not None
        if operation is op.CALL:
            known = module.signature_of(instruction.callee) if module else None
            text = f"{start} {_symbol(instruction.callee)}({_arguments(operands)})"
            return text if known == signature else f"{text} : {signature_text(signature)}"
        callee = operand_text(operands[0], I64)
        return f"{start} {callee}({_arguments(operands[1:])}) : {signature_text(signature)}"
    if operation is op.JUMP:
        return f"{start} {_target(instruction.targets[0])}"
    if operation is op.BRANCH:
        first, second = instruction.targets
        return f"{start} {operand_text(operands[0], I64)}, {_target(first)}, {_target(second)}"
    if operation is op.SWITCH:
        cases = ", ".join(
            f"{case}: {_target(target)}"
            for case, target in zip(instruction.cases, instruction.targets[1:], strict=True)
        )
        selector = operand_text(operands[0], I64)
        return f"{start} {selector}, {_target(instruction.targets[0])} [{cases}]"
    if operation is op.RETURN:
        return f"{start} {_arguments(operands)}".rstrip()
    if operation is op.UNREACHABLE:
        return start
    if operation is op.SLOT:
        name = f" {_quote(instruction.slot_name.encode())}" if instruction.slot_name else ""
        return f"{start} {instruction.size} align {instruction.alignment}{name}"
    assert type_ is not None
    shown = ", ".join(
        operand_text(operand, wanted)
        for operand, wanted in zip(operands, operand_types(operation, type_), strict=True)
    )
    return f"{start} {type_} {shown}{_offset(instruction)}"


def operand_types(operation: op.Operation, type_: Type) -> list[Type | None]:
    """The type that each operand has if the instruction is of `type_`; None: its own."""
    if operation.reads:
        return [PTR]
    if operation.effect:
        return [type_, PTR]
    special = SPECIAL_OPERANDS.get(operation)
    return special(type_) if special is not None else [type_] * operation.arity


CONVERSIONS = frozenset(
    (
        op.SITOF,
        op.FTOSI,
        op.FLOORTOSI,
        op.FEXT,
        op.FTRUNC,
        op.BITCAST,
        op.SEXT,
        op.ZEXT,
        op.TRUNC,
    )
)
SPECIAL_OPERANDS: dict[op.Operation, Callable[[Type], list[Type | None]]] = {
    **dict.fromkeys(CONVERSIONS, lambda type_: [None]),
    **dict.fromkeys(REDUCTIONS, lambda type_: [None]),
    op.SELECT: lambda type_: [I64, type_, type_],
    op.SPLAT: lambda type_: [type_.element],
    op.EXTRACT: lambda type_: [None, I64],
    op.INSERT: lambda type_: [type_, I64, type_.element],
    op.LOW: lambda type_: [None],
    op.HIGH: lambda type_: [None],
    op.JOIN: lambda type_: [None, None],
}


def _place(function: Function, place: int) -> str:
    (callee, line), *outer = calls_of(function.sites, place)
    text = f"!{line}"
    for outer_callee, outer_line in outer:
        site = f"{_symbol(callee)} !{outer_line}"
        text += f" in {site}"
        callee = outer_callee
    return text


def print_function(function: Function, module: Module | None = None) -> str:
    lines = []
    display = ""
    if function.display_name != function.name:
        display = f" display {_quote(function.display_name.encode())}"
    local = "" if function.exported else "local "
    source = f" source {_quote(function.source_name.encode())}" if function.source_name else ""
    signature = signature_text(function.signature)
    lines.append(f"{local}function {_symbol(function.name)}{signature}{display}{source} {{")
    for block in function.blocks:
        parameters = ", ".join(f"{value!r}: {value.type}" for value in block.parameters)
        lines.append(f"^{block.name}({parameters}):" if parameters else f"^{block.name}:")
        for instruction in block.instructions:
            text = "  " + instruction_text(instruction, module)
            if instruction.line:
                text = f"{text:<{LINE_COLUMN}} {_place(function, instruction.line)}"
            lines.append(text)
    lines.append("}")
    return "\n".join(lines) + "\n"


def _datum_text(datum: Datum) -> str:
    access = "writable" if datum.writable else "readonly"
    flags = (" exported" if datum.exported else "") + (" only_read" if datum.only_read else "")
    start = f"data {_symbol(datum.name)} align {datum.alignment} {access}{flags}"
    if datum.zero_bytes:
        return f"{start} zero {datum.zero_bytes}"
    parts = []
    position = 0
    for address in sorted(datum.addresses, key=lambda a: a.offset):
        if address.offset > position:
            parts.append(_quote(datum.data[position : address.offset]))
        addend = f"{address.addend:+d}" if address.addend else ""
        parts.append(_symbol(address.symbol) + addend)
        position = address.offset + 8
    if position < len(datum.data) or not parts:
        parts.append(_quote(datum.data[position:]))
    return f"{start} {' '.join(parts)}"


def print_module(module: Module) -> str:
    """The whole module as text that `parse_module` reads back."""
    parts = [
        f"declare {_symbol(name)}{signature_text(signature)}\n"
        for name, signature in module.declarations.items()
    ]
    parts += [
        f"declare data {_symbol(name)} align {alignment}\n"
        for name, alignment in module.external_data.items()
    ]
    parts += [_datum_text(datum) + "\n" for datum in module.data.values()]
    parts += ["\n" + print_function(function, module) for function in module.functions.values()]
    return "".join(parts)
