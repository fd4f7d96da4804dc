"""The text form of the IR: what it prints parses back to the same thing.

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

`!12` is the source line.  A bare number takes the type of its place; elsewhere
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

from callproof.abi import types as abi
from callproof.abi.signature import Parameter, Signature
from callproof.ir import operations as op
from callproof.ir.model import (
    CONSTANT,
    VALUE,
    Address,
    Block,
    Constant,
    Datum,
    Function,
    Instruction,
    Module,
    Operand,
    Symbol,
    Target,
    Value,
    result_leaves,
)
from callproof.ir.types import BY_NAME, I64, PTR, Type
from callproof.ir.vectors import REDUCTIONS, lanes_of
from callproof.ir.vectors import constant as vector_constant
from callproof.source import CallproofError, Diagnostic, SourceFile, Span

_PLAIN = re.compile(r"[A-Za-z_.$][A-Za-z0-9_.$:]*\Z")
LINE_COLUMN = 56
SCALARS: dict[str, abi.Scalar] = {
    str(scalar): scalar
    for scalar in (
        *(abi.BOOL, abi.I8, abi.I16, abi.I32, abi.I64, abi.I128),
        *(abi.U8, abi.U16, abi.U32, abi.U64, abi.U128, abi.POINTER),
        *(abi.F16, abi.F32, abi.F64, abi.F128, abi.BF16, abi.X87),
    )
}

# --- printing ------------------------------------------------------------------------------


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
                text = f"{text:<{LINE_COLUMN}} !{instruction.line}"
            lines.append(text)
    lines.append("}")
    return "\n".join(lines) + "\n"


def _datum_text(datum: Datum) -> str:
    access = "writable" if datum.writable else "readonly"
    exported = " exported" if datum.exported else ""
    start = f"data {_symbol(datum.name)} align {datum.alignment} {access}{exported}"
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


# --- parsing ---------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|;[^\n]*)
      | (?P<line>!\d+)
      | (?P<symbol>@(?:"(?:[^"\\\n]|\\[0-9a-f]{2})*"|[A-Za-z_.$][A-Za-z0-9_.$:]*))
      | (?P<value>%[A-Za-z0-9_.$]+)
      | (?P<block>\^[A-Za-z0-9_.$]+)
      | (?P<string>"(?:[^"\\\n]|\\[0-9a-f]{2})*")
      | (?P<number>[-+]?(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[-+]?\d+)?))
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>->|\.\.\.|[-+*(){}\[\],:=<>])""",
    re.VERBOSE,
)


def _unquote(text: str) -> bytes:
    return re.sub(
        rb"\\([0-9a-f]{2})", lambda match: bytes((int(match[1], 16),)), text[1:-1].encode()
    )


def _symbol_name(text: str) -> str:
    return _unquote(text[1:]).decode() if text[1] == '"' else text[1:]


class _Parser:
    def __init__(self, text: str, name: str) -> None:
        self.source = SourceFile(name, text)
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.error("unexpected character", position, position + 1)
            if match.lastgroup != "space":
                self.tokens.append((match.lastgroup or "", match.group(), position))
            position = match.end()
        self.tokens.append(("end", "end of text", len(text)))
        self.at = 0
        self.module = Module(name)
        self.function = Function("", Signature())
        self.values: dict[str, Value] = {}
        self.blocks: dict[str, Block] = {}
        self.pending_calls: list[tuple[Instruction, int]] = []
        self.waiting: list[tuple[list[Operand], int, str, int]] = []

    def error(self, message: str, start: int, end: int | None = None) -> CallproofError:
        span = Span(self.source, start, end if end is not None else start + 1)
        return CallproofError(Diagnostic("error", message, span))

    # --- tokens -----------------------------------------------------------------------

    def kind(self) -> str:
        return self.tokens[self.at][0]

    def text(self) -> str:
        return self.tokens[self.at][1]

    def fail(self, wanted: str) -> CallproofError:
        _, text, start = self.tokens[self.at]
        return self.error(f"expected {wanted}, found '{text}'", start, start + len(text))

    def take(self, kind: str, wanted: str = "") -> str:
        found, text, _ = self.tokens[self.at]
        if found != kind:
            raise self.fail(wanted or f"a {kind}")
        self.at += 1
        return text

    def accept(self, text: str) -> bool:
        if self.tokens[self.at][1] == text and self.kind() != "string":
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.fail(f"'{text}'")

    def integer(self) -> int:
        start = self.tokens[self.at][2]
        text = self.take("number", "an integer")
        try:
            return int(text, 0)
        except ValueError:
            raise self.error("expected an integer", start, start + len(text)) from None

    # --- the module ----------------------------------------------------------------------

    def module_text(self) -> Module:
        while self.kind() != "end":
            if self.accept("declare"):
                is_data = self.accept("data")
                name = _symbol_name(self.take("symbol"))
                if is_data:
                    self.expect("align")
                    self.module.external_data[name] = self.integer()
                else:
                    self.module.declarations[name] = self.signature()
            elif self.accept("data"):
                self.datum()
            else:
                exported = not self.accept("local")
                self.expect("function")
                self.function_text(exported)
        for call, start in self.pending_calls:
            signature = self.module.signature_of(call.callee)
            if signature is None:
                raise self.error(f"@{call.callee} is neither defined nor declared", start)
            call.signature = signature
            wanted = len(result_leaves(signature))
            if len(call.results) != wanted:
                raise self.error(
                    f"@{call.callee} has {wanted} result values, not {len(call.results)}", start
                )
            for value, type_ in zip(call.results, result_leaves(signature), strict=True):
                value.type = type_
        return self.module

    def abi_type(self) -> abi.Type:
        if self.accept("{"):
            members: list[tuple[abi.Type, int]] = []
            while not self.accept("}"):
                if members:
                    self.expect(",")
                type_ = self.abi_type()
                members.append((type_, self.integer() if self.accept("*") else 1))
            if members == [(abi.U64, 1)] * 2:
                return abi.VALUE
            return abi.structure_of(members)
        start = self.tokens[self.at][2]
        name = self.take("word", "a type")
        if name in ("struct", "union"):
            return self.composite(name == "union")
        if name in SCALARS:
            return SCALARS[name]
        match = re.fullmatch(r"v(\d+)(\w+)", name)
        element = SCALARS.get(match[2]) if match else None
        if match is None or not isinstance(element, abi.Integer | abi.Floating):
            raise self.error(f"'{name}' is no type", start, start + len(name))
        return abi.ShortVector(element, int(match[1]))

    def composite(self, union: bool) -> abi.Composite:
        """`12 align 4 natural 2 {0: u8, 2: i32 * 2, 10.3: i32 : 5}` after `struct`."""
        size = self.integer()
        self.expect("align")
        alignment = self.integer()
        natural = self.integer() if self.accept("natural") else 0
        self.expect("{")
        fields: list[abi.Field] = []
        while not self.accept("}"):
            if fields:
                self.expect(",")
            offset, _, bit = self.take("number", "an offset").partition(".")
            self.expect(":")
            type_ = self.abi_type()
            count = self.integer() if self.accept("*") else 1
            bits = self.integer() if self.accept(":") else None
            name = "" if bits is not None and self.accept("unnamed") else f"f{len(fields)}"
            fields.append(
                abi.Field(name, type_, int(offset), count, bits, int(bit or 0), array=count != 1)
            )
        return abi.Composite("", tuple(fields), size, alignment, union, natural)

    def signature(self) -> Signature:
        parameters: list[Parameter] = []
        variadic: int | None = None
        self.expect("(")
        while not self.accept(")"):
            if parameters or variadic is not None:
                self.expect(",")
            if self.accept("..."):
                variadic = len(parameters)
                continue
            name = ""
            if self.kind() == "word" and self.tokens[self.at + 1][1] == ":":
                name = self.take("word")
                self.expect(":")
            in_memory = self.accept("byval")
            parameters.append(Parameter(self.abi_type(), name, in_memory))
        result, result_in_memory = None, False
        if self.accept("->"):
            result_in_memory = self.accept("sret")
            result = self.abi_type()
        return Signature(tuple(parameters), result, variadic, result_in_memory)

    def datum(self) -> None:
        name = _symbol_name(self.take("symbol"))
        self.expect("align")
        datum = Datum(name, alignment=self.integer())
        datum.writable = self.accept("writable")
        if not datum.writable:
            self.expect("readonly")
        datum.exported = self.accept("exported")
        if self.accept("zero"):
            datum.zero_bytes = self.integer()
        data = bytearray()
        while self.kind() in ("string", "symbol"):
            if self.kind() == "string":
                data += _unquote(self.take("string"))
                continue
            symbol = _symbol_name(self.take("symbol"))
            addend = self.integer() if self.kind() == "number" else 0
            datum.addresses.append(Address(len(data), symbol, addend))
            data += bytes(8)
        datum.data = bytes(data)
        self.module.data[name] = datum

    # --- functions -----------------------------------------------------------------------

    def function_text(self, exported: bool) -> None:
        start = self.tokens[self.at][2]
        name = _symbol_name(self.take("symbol"))
        if name in self.module.functions:
            raise self.error(f"@{name} is defined twice", start)
        function = self.function = Function(name, self.signature())
        function.exported = exported
        if self.accept("display"):
            function.display_name = _unquote(self.take("string")).decode()
        if self.accept("source"):
            function.source_name = _unquote(self.take("string")).decode()
        self.expect("{")
        self.values, self.blocks, self.waiting = {}, {}, []
        defined: set[str] = set()
        while not self.accept("}"):
            self.block(defined)
        for label, block in self.blocks.items():
            if label not in defined:
                raise self.error(f"^{block.name} is jumped to but not defined", start)
        for operands, index, text, place in self.waiting:
            value = self.values.get(text)
            if value is None:
                raise self.error(f"{text} is used but not defined", place, place + len(text))
            operands[index] = value
        function.next_number = 1 + max((v.number for v in self.values.values()), default=-1)
        used: set[int] = set()
        for value in self.values.values():
            if value.number < 0 or value.number in used:
                value.number = function.next_number
                function.next_number += 1
            used.add(value.number)
        self.module.functions[name] = function

    def reference(self, label: str) -> Block:
        return self.blocks.setdefault(label, Block(label))

    def block(self, defined: set[str]) -> None:
        start = self.tokens[self.at][2]
        label = self.take("block", "a block ('^name:')")[1:]
        if label in defined:
            raise self.error(f"^{label} is defined twice", start)
        defined.add(label)
        block = self.reference(label)
        self.function.blocks.append(block)
        if self.accept("("):
            while not self.accept(")"):
                if block.parameters:
                    self.expect(",")
                value = self.define(self.take("value"))
                self.expect(":")
                value.type = self.type()
                value.block = block
                block.parameters.append(value)
        self.expect(":")
        while self.kind() not in ("block", "end") and self.text() != "}":
            block.instructions.append(self.instruction())

    def define(self, text: str) -> Value:
        if text in self.values:
            start = self.tokens[self.at - 1][2]
            raise self.error(f"{text} is defined twice", start, start + len(text))
        name, _, number = text[1:].rpartition(".")
        if not number.isdigit():
            name, number = text[1:], ""
        value = Value(int(number) if number else -1, I64, name)
        self.values[text] = value
        return value

    def type(self) -> Type:
        start = self.tokens[self.at][2]
        name = self.take("word", "a type")
        found = BY_NAME.get(name)
        if found is None:
            raise self.error(f"'{name}' is no type", start, start + len(name))
        return found

    def operand(self, operands: list[Operand], expected: Type | None) -> None:
        """Append an operand; a value that is defined later is filled in at the end."""
        kind, text, start = self.tokens[self.at]
        if kind == "value":
            self.at += 1
            value = self.values.get(text)
            if value is None:
                self.waiting.append((operands, len(operands), text, start))
                operands.append(Constant(I64, 0))
            else:
                operands.append(value)
            return
        if kind == "symbol":
            self.at += 1
            signed = self.kind() == "number" and self.text()[0] in "+-"
            operands.append(Symbol(_symbol_name(text), self.integer() if signed else 0))
            return
        if kind == "word":
            expected = self.type()
            kind, text, start = self.tokens[self.at]
        if text == "<" and expected is not None and expected.lanes > 1:
            operands.append(self.vector(expected))
            return
        if kind != "number":
            raise self.fail("an operand")
        if expected is None:
            raise self.error("a constant needs its type here", start, start + len(text))
        self.at += 1
        operands.append(self.constant(text, expected, start))

    def vector(self, type_: Type) -> Constant:
        """`<1, 2, 3, 4>`"""
        start = self.tokens[self.at][2]
        self.expect("<")
        lanes: list[int | float] = []
        while not self.accept(">"):
            if lanes:
                self.expect(",")
            place = self.tokens[self.at][2]
            lanes.append(self.constant(self.take("number"), type_.element, place).value)
        if len(lanes) != type_.lanes:
            raise self.error(f"{type_} has {type_.lanes} lanes, not {len(lanes)}", start)
        try:
            return vector_constant(type_, lanes)
        except OverflowError:
            raise self.error(f"a lane does not fit {type_.element}", start) from None

    def constant(self, text: str, type_: Type, start: int) -> Constant:
        if type_.is_float and type_.lanes == 1:
            if text.startswith("0x"):
                bits = struct.pack("<Q", int(text, 16))
                return Constant(type_, struct.unpack("<d", bits)[0])
            return Constant(type_, float(text))
        try:
            value = int(text, 0)
        except ValueError:
            raise self.error(f"'{text}' is no {type_}", start, start + len(text)) from None
        if not -(1 << (type_.bits - 1)) <= value < 1 << type_.bits:
            raise self.error(f"{text} does not fit {type_}", start, start + len(text))
        if value >> (type_.bits - 1) == 1:
            value -= 1 << type_.bits
        return Constant(type_, value)

    def operands(self, *expected: Type | None) -> list[Operand]:
        found: list[Operand] = []
        for index, wanted in enumerate(expected):
            if index:
                self.expect(",")
            self.operand(found, wanted)
        return found

    def arguments(self) -> list[Operand]:
        found: list[Operand] = []
        self.expect("(")
        while not self.accept(")"):
            if found:
                self.expect(",")
            self.operand(found, I64)
        return found

    def target(self) -> Target:
        block = self.reference(self.take("block")[1:])
        return Target(block, self.arguments() if self.text() == "(" else [])

    def instruction(self) -> Instruction:
        names = []
        while self.kind() == "value":
            names.append(self.take("value"))
            if not self.accept(","):
                break
        if names:
            self.expect("=")
        start = self.tokens[self.at][2]
        word = self.take("word", "an operation")
        tail = word == "tail"
        if tail:
            start = self.tokens[self.at][2]
            word = self.take("word", "an operation")
        operation = op.BY_NAME.get(word)
        if operation is None:
            raise self.error(f"there is no operation '{word}'", start, start + len(word))
        if tail and operation is not op.CALL and operation is not op.CALL_INDIRECT:
            raise self.error("only calls can be tail calls", start, start + len(word))
        instruction = self.body(operation)
        instruction.tail = tail
        instruction.results = self.results(instruction, names, start)
        if self.kind() == "line":
            instruction.line = int(self.take("line")[1:])
        return instruction

    def results(self, instruction: Instruction, names: list[str], start: int) -> list[Value]:
        values = []
        operation = instruction.operation
        types: list[Type]
        if operation is op.CALL and instruction.signature is None:
            self.pending_calls.append((instruction, start))
            types = [I64] * len(names)  # set when all signatures are known
        elif operation is op.CALL or operation is op.CALL_INDIRECT:
            assert instruction.signature is not None
            types = result_leaves(instruction.signature)
        elif operation.effect:
            types = []
        elif operation.compares:
            types = [I64]
        else:
            assert instruction.type is not None
            types = [instruction.type]
        if len(types) != len(names):
            raise self.error(f"'{operation}' has {len(types)} results, not {len(names)}", start)
        for name, type_ in zip(names, types, strict=True):
            value = self.define(name)
            value.type = type_
            value.definition = instruction
            values.append(value)
        return values

    def body(self, operation: op.Operation) -> Instruction:
        if operation is op.CALL:
            name = _symbol_name(self.take("symbol"))
            instruction = Instruction(operation, None, self.arguments(), [])
            instruction.callee = name
            if self.accept(":"):
                instruction.signature = self.signature()
            return instruction
        if operation is op.CALL_INDIRECT:
            callee = self.operands(I64)
            instruction = Instruction(operation, None, callee, [])
            self.expect("(")
            while not self.accept(")"):
                if len(callee) > 1:
                    self.expect(",")
                self.operand(callee, I64)
            self.expect(":")
            instruction.signature = self.signature()
            return instruction
        if operation.terminator:
            return self.terminator(operation)
        if operation is op.SLOT:
            instruction = Instruction(operation, PTR, [], [])
            instruction.size = self.integer()
            self.expect("align")
            instruction.alignment = self.integer()
            if self.kind() == "string":
                instruction.slot_name = _unquote(self.take("string")).decode()
            return instruction
        type_ = self.type()
        operands = self.operands(*operand_types(operation, type_))
        instruction = Instruction(operation, type_, operands, [])
        if operation.reads or operation.effect:
            if self.accept("+"):
                instruction.offset = self.integer()
            elif self.accept("-"):
                instruction.offset = -self.integer()
        return instruction

    def terminator(self, operation: op.Operation) -> Instruction:
        instruction = Instruction(operation, None, [], [])
        if operation is op.JUMP:
            instruction.targets = [self.target()]
        elif operation is op.BRANCH:
            self.operand(instruction.operands, I64)
            self.expect(",")
            instruction.targets = [self.target()]
            self.expect(",")
            instruction.targets.append(self.target())
        elif operation is op.SWITCH:
            self.operand(instruction.operands, I64)
            self.expect(",")
            instruction.targets = [self.target()]
            instruction.cases = []
            self.expect("[")
            while not self.accept("]"):
                if instruction.cases:
                    self.expect(",")
                instruction.cases.append(self.integer())
                self.expect(":")
                instruction.targets.append(self.target())
        elif operation is op.RETURN:
            while self.kind() in ("value", "symbol", "number") or self.text() in BY_NAME:
                self.operand(instruction.operands, I64)
                if not self.accept(","):
                    break
        return instruction


def parse_module(text: str, name: str = "<ir>") -> Module:
    """Read a module back.  Raises `CallproofError` with the place of the first mistake."""
    return _Parser(text, name).module_text()
