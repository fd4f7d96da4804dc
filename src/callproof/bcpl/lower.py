"""From the resolved, typed program to modules of IR: data, classes, functions.

A word is an i64, a FLOAT an f64, a pack a vector. User functions are symbols under their
own names; methods are `Class::method`. `bcpl_start`, which the runtime calls, initialises
the globals and calls START. A program of one source is one module, and all but that
symbol are local to it; of several sources each is a module that exports what it declares.
"""

from __future__ import annotations

import struct

from callproof.abi.signature import Signature
from callproof.bcpl.debug_info import DebugTypes
from callproof.bcpl.external import ExternalInfo
from callproof.bcpl.lower_data import DataLowering
from callproof.bcpl.lower_statements import FunctionLowering
from callproof.bcpl.lower_values import nothing_of
from callproof.bcpl.options import FrontEndOptions
from callproof.bcpl.symbols import ClassInfo, FunctionInfo, ProgramInfo, Variable
from callproof.bcpl.types import Inference
from callproof.bcpl.value_types import FLOAT
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.debug import DebugFunction, DebugGlobal, DebugModule
from callproof.ir.model import Address, Datum, Function, Instruction, Module, Symbol
from callproof.runtime.entries import BRK, SHARE_STDIO
from callproof.source import Diagnostics, SourceFile, Span


class ModuleLowering(DataLowering):
    """What the functions of one module share: strings, tables, declarations.

    `files`: whose declarations the module defines; None for all that there are.  `number`
    of the `modules` of the program it is.
    """

    def __init__(
        self,
        source: SourceFile,
        info: ProgramInfo,
        locals_of: dict[object, list[Variable]],
        inference: Inference,
        diagnostics: Diagnostics,
        options: FrontEndOptions,
        files: frozenset[SourceFile] | None = None,
        number: int = 0,
        modules: int = 1,
    ) -> None:
        super().__init__(Module(source.name))
        self.source = source
        self.info = info
        self.locals_of = locals_of
        self.inference = inference
        self.diagnostics = diagnostics
        self.options = options
        self.files = files
        self.number = number
        self.modules = modules
        self.debug_types = DebugTypes()
        if options.debug:
            self.module.debug = DebugModule("bcpl", options.in_memory)

    def run(self) -> Module:
        for variable, value in self.info.statics:
            if self.owns(variable.span):
                self.global_datum(variable, value)
        for variables, _ in self.info.globals:
            for variable in variables:
                if self.owns(variable.span):
                    self.global_datum(variable, 0)
        for info in self.info.classes.values():
            if self.owns(info.declaration.span):
                self.vtable(info)
        for function in self.info.functions:
            if self.owns(function.declaration.span):
                self.function(function)
        start = self.info.start
        if self.info.has_brk:
            self.module.observers = frozenset((BRK.symbol,))
            self.module.trace_prefix = f"bcpl.trace.{self.number}."
        if self.files is None or (start is not None and self.owns(start.declaration.span)):
            self.start()
        return self.module

    # --- what belongs to the module, and what to others -----------------------------------------

    def owns(self, span: Span) -> bool:
        return self.files is None or span.file in self.files

    @property
    def exports(self) -> bool:
        """Whether other modules of the program need what this one declares."""
        return self.files is not None

    def declare(self, symbol: str, signature: Signature) -> None:
        """Make a function of another module or of the runtime known."""
        self.module.declarations.setdefault(symbol, signature)

    def declare_external(self, info: ExternalInfo) -> None:
        """Make a C function known, and where the linker's message shall send its reader."""
        self.declare(info.symbol, info.signature())
        self.module.origins.setdefault(info.symbol, info.origin())

    def function_symbol(self, function: FunctionInfo) -> Symbol:
        if not self.owns(function.declaration.span):
            self.declare(function.symbol, function.signature())
        return Symbol(function.symbol)

    def value_symbol(self, function: FunctionInfo) -> Symbol:
        """The function as a value: code that takes packs as words."""
        if function.needs_adapter and not self.owns(function.declaration.span):
            self.declare(function.value_symbol, function.value_signature())
            return Symbol(function.value_symbol)
        self.function_symbol(function)
        return Symbol(function.value_symbol)

    def global_symbol(self, variable: Variable) -> Symbol:
        if not self.owns(variable.span):
            self.module.external_data[variable.symbol] = 8
        return Symbol(variable.symbol)

    def vtable_symbol(self, info: ClassInfo) -> Symbol:
        if not self.owns(info.declaration.span):
            self.module.external_data[info.vtable] = 8
        return Symbol(info.vtable)

    # --- definitions ---------------------------------------------------------------------------

    def global_datum(self, variable: Variable, value: int | float | str) -> None:
        datum = self.word_datum(variable.symbol, value)
        datum.exported = self.exports
        self.module.data[variable.symbol] = datum
        if self.module.debug is not None:
            type_, span = self.debug_types.element(variable.type), variable.span
            self.module.debug.globals.append(
                DebugGlobal(variable.name, type_, span.file.name, span.line, variable.symbol)
            )

    def vtable(self, info: ClassInfo) -> None:
        datum = Datum(info.vtable, bytes(8 * len(info.slots)), alignment=8)
        datum.exported = self.exports
        for index, method in enumerate(info.slots):
            if method is not None:
                self.function_symbol(method)
                datum.addresses.append(Address(8 * index, method.symbol))
        self.module.data[info.vtable] = datum

    def function(self, info: FunctionInfo) -> None:
        function = Function(info.symbol, info.signature(), info.declaration.span.file.name)
        function.display_name = info.name
        function.exported = self.exports
        if self.info.has_brk:
            place = f"{info.name} at {info.declaration.span.file.name}:"
            self.module.trace_names[info.symbol] = place.encode("utf-8", errors="replace")
        self.module.functions[info.symbol] = function
        FunctionLowering(self, self.builder(function, info), info).run()
        if info.used_as_value and info.class_info is None and info.needs_adapter:
            self.adapter(info)

    def builder(self, function: Function, info: FunctionInfo) -> FunctionBuilder:
        debug = self.module.debug
        if debug is None:
            return FunctionBuilder(function)
        from callproof.ir.debug_builder import DebugBuilder

        known = DebugFunction(info.name, function.source_name, info.declaration.name_span.line)
        known.result = self.debug_types.of(info.result)
        debug.functions[function.name] = known
        return DebugBuilder(function, known, debug.in_memory)

    def adapter(self, info: FunctionInfo) -> None:
        """The function for those who call it by its value: packs as words, in and out."""
        function = Function(
            info.value_symbol, info.value_signature(), info.declaration.span.file.name
        )
        function.display_name = f"{info.name} (as a value)"
        function.exported = self.exports
        self.module.functions[function.name] = function
        builder = FunctionBuilder(function)
        builder.line = info.declaration.name_span.line
        lowering = FunctionLowering(self, builder, None)
        arguments = [
            lowering.received(parameter.type, [value], True)
            for parameter, value in zip(info.parameters, builder.entry.parameters, strict=True)
        ]
        result = lowering.call_with(info.symbol, info, arguments)
        builder.return_(*lowering.passed(info.result, result, True))
        builder.finish()

    def start(self) -> None:
        """`bcpl_start`: the globals in order, then START."""
        function = Function("bcpl_start", Signature(), self.source.name)
        self.module.functions["bcpl_start"] = function
        self.roots()
        if self.info.has_brk:
            prefixes = [f"bcpl.trace.{number}." for number in range(self.modules)]
            self.module.trace_tables = "bcpl_trace_table", tuple(prefixes)
        builder = FunctionBuilder(function)
        lowering = FunctionLowering(self, builder, None)
        for variables, values in self.info.globals:
            builder.line = values[0].span.line
            numbers = lowering.first_values(variables, values, values[0].span)
            for variable, number in zip(variables, numbers, strict=True):
                lowering.write_variable(variable, number)
        start = self.info.start
        if start is not None:
            self.module.kept = frozenset((start.symbol,))
            builder.line = start.declaration.name_span.line
            lowering.call_with(start.symbol, start, [nothing_of(p.type) for p in start.parameters])
        builder.return_()
        others_may = self.exports and any(
            isinstance(meaning, ExternalInfo) for meaning in self.info.names.values()
        )
        if self.module.origins or others_may:
            self.share_stdio(builder)
        builder.finish()

    def roots(self) -> None:
        """Where the collector finds the global variables of all modules: `bcpl_roots`."""
        variables = [variable for variable, _ in self.info.statics]
        variables += [variable for group, _ in self.info.globals for variable in group]
        kept = [variable for variable in variables if variable.type is not FLOAT]
        table = Datum("bcpl_roots", bytes(8 * len(kept) or 8), alignment=8, exported=True)
        table.only_read = True
        for index, variable in enumerate(kept):
            self.global_symbol(variable)
            table.addresses.append(Address(8 * index, variable.symbol))
        count = Datum("bcpl_root_count", struct.pack("<q", len(kept)), alignment=8, exported=True)
        self.module.data[table.name] = table
        self.module.data[count.name] = count

    def share_stdio(self, builder: FunctionBuilder) -> None:
        """Only a program that calls C pays for C's buffers: the call brings them along."""
        self.declare(SHARE_STDIO.symbol, SHARE_STDIO.signature)
        call = Instruction(op.CALL, None, [], [])
        call.callee, call.signature = SHARE_STDIO.symbol, SHARE_STDIO.signature
        builder.entry.instructions.insert(0, call)
