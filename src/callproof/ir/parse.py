"""The text form of the IR, read back.  What it looks like is in `text.py`."""

from __future__ import annotations

import re
import struct

from callproof.abi import types as abi
from callproof.abi.signature import Parameter, Signature
from callproof.ir import operations as op
from callproof.ir.model import (
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
from callproof.ir.places import LINE_MASK, Site, inlined
from callproof.ir.text import operand_types
from callproof.ir.types import BY_NAME, I64, PTR, Type
from callproof.ir.vectors import constant as vector_constant
from callproof.source import CallproofError, Diagnostic, SourceFile, Span

SCALARS: dict[str, abi.Scalar] = {
    str(scalar): scalar
    for scalar in (
        *(abi.BOOL, abi.I8, abi.I16, abi.I32, abi.I64, abi.I128),
        *(abi.U8, abi.U16, abi.U32, abi.U64, abi.U128, abi.POINTER),
        *(abi.F16, abi.F32, abi.F64, abi.F128, abi.BF16, abi.X87),
    )
}

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
        self.sites: dict[Site, int] = {}
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
        datum.only_read = self.accept("only_read")
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
        self.values, self.blocks, self.waiting, self.sites = {}, {}, [], {}
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
            instruction.line = self.place()
        return instruction

    def line(self) -> int:
        start = self.tokens[self.at][2]
        text = self.take("line", "a line ('!12')")
        number = int(text[1:])
        if number > LINE_MASK:
            raise self.error("no file has so many lines", start, start + len(text))
        return number

    def place(self) -> int:
        """A line, and the calls that it was inlined by, innermost first."""
        lines, callees = [self.line()], []
        while self.accept("in"):
            callees.append(_symbol_name(self.take("symbol")))
            lines.append(self.line())
        function = self.function
        place = lines.pop()
        while callees:
            site = Site(callees.pop(), function.source_name, place)
            if site not in self.sites:
                self.sites[site] = len(function.sites)
                function.sites.append(site)
            place = inlined(lines.pop(), self.sites[site])
        return place

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
