"""From the resolved, typed program to a module of IR: data, classes, functions.

A word is an i64, a FLOAT an f64.  User functions are local symbols under their own
names; methods are `Class::method`; the one exported symbol is `bcpl_start`, which
initialises the globals and calls START.
"""

from __future__ import annotations

import struct

from callproof.abi.signature import Signature
from callproof.bcpl import nodes as ast
from callproof.bcpl.external import ExternalInfo
from callproof.bcpl.lower_statements import FunctionLowering
from callproof.bcpl.symbols import FLOAT, ClassInfo, FunctionInfo, ProgramInfo, Variable
from callproof.bcpl.types import Inference
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import Address, Datum, Function, Instruction, Module
from callproof.runtime.entries import SHARE_STDIO
from callproof.source import Diagnostics, SourceFile


class ModuleLowering:
    """What the functions of one module share: strings, tables, declarations."""

    def __init__(
        self,
        source: SourceFile,
        info: ProgramInfo,
        locals_of: dict[object, list[Variable]],
        inference: Inference,
        diagnostics: Diagnostics,
    ) -> None:
        self.source = source
        self.info = info
        self.locals_of = locals_of
        self.inference = inference
        self.diagnostics = diagnostics
        self.module = Module(source.name)
        self._strings: dict[str, str] = {}
        self._c_strings: dict[str, str] = {}

    def run(self) -> Module:
        for variable, number in self.info.statics:
            self.global_datum(variable, number)
        for variables, _ in self.info.globals:
            for variable in variables:
                self.global_datum(variable, 0)
        for info in self.info.classes.values():
            self.vtable(info)
        for function in self.info.functions:
            self.function(function)
        self.start()
        return self.module

    def declare(self, symbol: str, signature: Signature) -> None:
        """Make a runtime function known to the module."""
        self.module.declarations.setdefault(symbol, signature)

    def declare_external(self, info: ExternalInfo) -> None:
        """Make a C function known, and where the linker's message shall send its reader."""
        self.declare(info.symbol, info.signature())
        self.module.origins.setdefault(info.symbol, info.origin())

    def global_datum(self, variable: Variable, number: int | float) -> None:
        if number == 0:
            datum = Datum(variable.symbol, alignment=8, writable=True, zero_bytes=8)
        else:
            form = "<d" if isinstance(number, float) else "<q"
            datum = Datum(variable.symbol, struct.pack(form, number), alignment=8, writable=True)
        self.module.data[variable.symbol] = datum

    def string(self, text: str) -> str:
        """The symbol of a string's datum; its characters begin 8 bytes behind it."""
        symbol = self._strings.get(text)
        if symbol is None:
            symbol = self._strings[text] = f"string.{len(self._strings)}"
            codes = [ord(character) for character in text]
            data = struct.pack("<q", len(codes))
            data += struct.pack(f"<{len(codes) + 1}i", *codes, 0)
            self.module.data[symbol] = Datum(symbol, data, alignment=8)
        return symbol

    def c_string(self, text: str) -> str:
        """The symbol of a string as C has it: UTF-8 with a zero byte behind it."""
        symbol = self._c_strings.get(text)
        if symbol is None:
            symbol = self._c_strings[text] = f"cstring.{len(self._c_strings)}"
            data = text.encode("utf-8", errors="replace") + b"\0"
            self.module.data[symbol] = Datum(symbol, data, alignment=1)
        return symbol

    def table(self, elements: list[ast.Expression]) -> str:
        """The symbol of a static vector's datum; word 0 stands 8 bytes behind it."""
        symbol = f"table.{len(self.module.data)}"
        data = bytearray(struct.pack("<q", len(elements)))
        datum = Datum(symbol, alignment=8)
        for element in elements:
            if isinstance(element, ast.StringLiteral):
                datum.addresses.append(Address(len(data), self.string(element.value), 8))
                data += bytes(8)
            elif isinstance(element, ast.FloatLiteral):
                data += struct.pack("<d", element.value)
            elif isinstance(element, ast.IntegerLiteral):
                data += struct.pack("<q", element.value)
        datum.data = bytes(data)
        self.module.data[symbol] = datum
        return symbol

    def vtable(self, info: ClassInfo) -> None:
        datum = Datum(info.vtable, bytes(8 * len(info.slots)), alignment=8)
        for index, method in enumerate(info.slots):
            if method is not None:
                datum.addresses.append(Address(8 * index, method.symbol))
        self.module.data[info.vtable] = datum

    def function(self, info: FunctionInfo) -> None:
        function = Function(info.symbol, info.signature(), self.source.name)
        function.display_name = info.name
        function.exported = False
        self.module.functions[info.symbol] = function
        builder = FunctionBuilder(function)
        lowering = FunctionLowering(self, builder, info)
        lowering.parameters()
        body = info.declaration.body
        builder.line = info.declaration.name_span.line
        if isinstance(body, ast.Expression):
            wanted = FLOAT if info.result is FLOAT else body.type
            value = lowering.converted(body, FLOAT if info.result is FLOAT else wanted)
            builder.return_(value)
        else:
            lowering.statement(body)
            if not builder.is_terminated:
                lowering.return_nothing()
        builder.finish()

    def start(self) -> None:
        """`bcpl_start`: the globals in order, then START."""
        function = Function("bcpl_start", Signature(), self.source.name)
        self.module.functions["bcpl_start"] = function
        builder = FunctionBuilder(function)
        lowering = FunctionLowering(self, builder, None)
        for variables, values in self.info.globals:
            numbers = []
            for variable, value in zip(variables, values, strict=True):
                builder.line = value.span.line
                numbers.append(lowering.converted(value, variable.type))
            for variable, number in zip(variables, numbers, strict=True):
                lowering.write_variable(variable, number)
        start = self.info.start
        if start is not None:
            builder.line = start.declaration.name_span.line
            builder.call(start.symbol, start.signature(), [])
        builder.return_()
        if self.module.origins:
            self.share_stdio(builder)
        builder.finish()

    def share_stdio(self, builder: FunctionBuilder) -> None:
        """Only a program that calls C pays for C's buffers: the call brings them along."""
        self.declare(SHARE_STDIO.symbol, SHARE_STDIO.signature)
        call = Instruction(op.CALL, None, [], [])
        call.callee, call.signature = SHARE_STDIO.symbol, SHARE_STDIO.signature
        builder.entry.instructions.insert(0, call)
