"""From a resolved Sox program to one module of IR: constants, globals, functions, tables.

The whole program, its modules included, is one module of IR.  Every function takes
its closure and a value (two words) for each parameter and gives a value; beside it stands
a `$spread` with one signature for all, by which the runtime calls anything.  What is
called, and how, is decided in `lower_calls.py`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from callproof.abi.signature import Signature
from callproof.abi.types import VALUE
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.debug import DebugFunction, DebugModule
from callproof.ir.model import Address, Datum, Function, Module, Operand, Symbol
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.runtime.sox_entries import ENTRIES, native_symbol
from callproof.source import Span
from callproof.sox import nodes as ast
from callproof.sox.debug_info import result_of, show_globals
from callproof.sox.flow import Flow
from callproof.sox.lower_statements import FunctionLowering
from callproof.sox.signatures import (
    GLOBALS,
    LOADING,
    SPREAD,
    Typed,
    entry_signature,
    fnv1a,
    typed,
)
from callproof.sox.slots import Slots
from callproof.sox.symbols import ClassInfo, FunctionInfo, GlobalInfo, LocalInfo, Program
from callproof.sox.symbols import Module as SoxModule
from callproof.sox.values import word

CLOSURE_BYTES = layout.CLOSURE_CAPTURES
STRING_PADDING = 8  # bytes that can be read where a string's are


def typed_symbol(symbol: str) -> str:
    """The name of the entry for direct calls, by that of the one for all others."""
    return f"{symbol}$typed"


class ProgramLowering:
    """What all functions of the program share."""

    def __init__(
        self,
        program: Program,
        test: str = "",
        benchmarks: bool = False,
        debug: DebugModule | None = None,
    ) -> None:
        self.program = program
        self.flow = Flow(program, test, benchmarks)
        self.slots = Slots(self.flow)
        self.test = test
        self.benchmarks = benchmarks
        self.module = Module(program.script.source.name)
        self._strings: dict[bytes, str] = {}
        self.texts: dict[tuple[str, int], bytes] = {}  # of literals, by symbol and offset
        self._c_strings: dict[bytes, str] = {}
        self._symbols: dict[FunctionInfo, str] = {}
        self._names: dict[str, int] = {}
        self._slots: dict[object, int] = {}
        self._typed: dict[FunctionInfo, Typed | None] = {}
        self._signatures: dict[FunctionInfo, Signature] = {}
        self._closures: dict[FunctionInfo, bool] = {}
        self._caches = 0
        self.module.debug = debug
        self.trace_names = self.module.trace_names
        self.calls: list[tuple[Span, str]] = []  # for --log-calls
        self.local_functions: dict[LocalInfo, FunctionInfo] = {}
        self.defined: set[GlobalInfo] = set()  # by the script so far
        self.importer_signature = Signature((), VALUE)
        self.pending: list[FunctionInfo] = []

    def run(self) -> Module:
        self.pending.append(self.program.script.function)
        for module in self.program.modules:
            if not module.is_script:
                self.importer(module)
        while self.pending:
            self.function(self.pending.pop())
        self.globals()
        self.script_path()
        return self.module

    # --- names and data ---------------------------------------------------------------------

    def symbol(self, function: FunctionInfo) -> str:
        """The symbol of a function's entry; it is lowered if it was not yet."""
        found = self._symbols.get(function)
        if found is None:
            if function is self.program.script.function:
                found = "sox_script"
            else:
                owner = f"{function.owner.name}." if function.owner is not None else ""
                name = f"{owner}{function.name or function.kind}"
                number = self._names.get(name, 0)
                self._names[name] = number + 1
                found = f"sox:{name}" + (f".{number}" if number else "")
            self._symbols[function] = found
            self.pending.append(function)
        return found

    def declare(self, symbol: str) -> Signature:
        """A runtime function's signature, made known to the module."""
        signature = ENTRIES[symbol].signature
        self.module.declarations.setdefault(symbol, signature)
        return signature

    def add(self, datum: Datum) -> str:
        self.module.data[datum.name] = datum
        return datum.name

    def c_string(self, text: bytes) -> str:
        symbol = self._c_strings.get(text)
        if symbol is None:
            symbol = self._c_strings[text] = f"sox.text.{len(self._c_strings)}"
            self.add(Datum(symbol, text.replace(b"\0", b"") + b"\0", alignment=1))
        return symbol

    def string(self, text: bytes) -> str:
        """A string object in constant data."""
        symbol = self._strings.get(text)
        if symbol is None:
            symbol = self._strings[text] = f"sox.string.{len(self._strings)}"
            data = struct.pack(
                "<BBHIQQQ", layout.STRING, layout.STATIC, 0, fnv1a(text), len(text), 0, 0
            )
            padded = (text + b"\0").ljust(STRING_PADDING, b"\0")
            bytes_symbol = self.add(Datum(f"{symbol}.bytes", padded, alignment=1))
            datum = Datum(symbol, data, alignment=16)
            datum.addresses.append(Address(layout.STRING_BYTES, bytes_symbol))
            self.add(datum)
        return symbol

    def string_object(self, text: bytes) -> Symbol:
        """A literal's value: strings of less than two bytes are those of the runtime."""
        if len(text) > 1:
            found = Symbol(self.string(text))
        elif text:
            found = Symbol("sox_bytes", layout.STRING_SIZE * text[0])
        else:
            found = Symbol("sox_empty")
        if len(text) < 2:
            self.module.external_data.setdefault(found.name, 8)
        self.texts[found.name, found.offset] = text
        return found

    def name_string(self, name: str) -> str:
        return self.string(name.encode("latin-1"))

    def cache(self) -> str:
        """A property cache of its own."""
        self._caches += 1
        return self.add(
            Datum(
                f"sox.cache.{self._caches}",
                alignment=16,
                writable=True,
                zero_bytes=layout.CACHE_SIZE,
            )
        )

    def info(self, function: FunctionInfo) -> str:
        """The `struct function_info` of a function."""
        entry = self.symbol(function)
        symbol = f"{entry}$info"
        if symbol not in self.module.data:
            name = function.name or ("anonymous" if function.kind == "function" else "")
            flags = layout.FUNCTION_METHOD if function.receiver is not None else 0
            counts = (function.required, len(function.parameters), flags, 0)
            data = struct.pack("<Q4IQQ", 0, *counts, 0, 0)
            datum = Datum(symbol, data, alignment=8)
            datum.addresses += [
                Address(layout.INFO_NAME, self.c_string(name.encode("latin-1"))),
                Address(layout.INFO_ENTRY, entry),
                Address(layout.INFO_SPREAD, f"{entry}$spread"),
            ]
            self.add(datum)
        return symbol

    def static_closure(self, function: FunctionInfo) -> str:
        """A closure without captures, in constant data."""
        entry = self.symbol(function)
        symbol = f"{entry}$closure"
        if symbol not in self.module.data:
            data = struct.pack("<BBHI", layout.CLOSURE, layout.STATIC, 0, 0)
            datum = Datum(symbol, data + bytes(CLOSURE_BYTES - len(data)), alignment=16)
            datum.addresses += [
                Address(layout.CLOSURE_ENTRY, entry),
                Address(layout.CLOSURE_SPREAD, f"{entry}$spread"),
                Address(layout.CLOSURE_INFO, self.info(function)),
            ]
            self.add(datum)
        return symbol

    # --- globals ------------------------------------------------------------------------------

    def slot(self, key: object) -> int:
        """The offset in `sox_globals` of a global, or of a module's value."""
        found = self._slots.get(key)
        if found is None:
            found = self._slots[key] = len(self._slots) * layout.VALUE_SIZE
        return found

    def globals(self) -> None:
        data = bytearray()
        datum = Datum(GLOBALS, alignment=16, writable=True, exported=True)
        for key, offset in self._slots.items():
            tag = layout.UNDEFINED
            if isinstance(key, GlobalInfo) and key.is_native:
                tag = layout.NATIVE
                symbol = self.native(key.name)
                datum.addresses.append(Address(offset + layout.VALUE_PAYLOAD, symbol))
            data += struct.pack("<QQ", tag, 0)
        datum.data = bytes(data) or bytes(16)
        self.add(datum)
        if self.module.debug is not None:
            show_globals(self.module.debug, self.program.modules, self._slots)
        count = struct.pack("<Q", len(self._slots))
        self.add(Datum("sox_global_count", count, alignment=8, exported=True))

    def native(self, name: str) -> str:
        """The symbol of a native's object."""
        symbol = native_symbol(name)
        self.module.external_data.setdefault(symbol, 16)
        return symbol

    def script_path(self) -> None:
        """What programs find in `argv[1]`: the path as it was given."""
        path = self.program.script.path
        datum = Datum("sox_script_path", bytes(8), alignment=8, exported=True)
        if path is not None:
            datum.addresses.append(Address(0, self.c_string(os.fsencode(path))))
        self.add(datum)

    def wants_arguments(self, info: GlobalInfo) -> bool:
        """Whether a global gets its value, `argc` or `argv`, when the script begins."""
        return info.initial == "argument"

    # --- functions ----------------------------------------------------------------------------

    def direct_entry(self, info: FunctionInfo) -> str:
        """The symbol that direct calls use; see `typed`."""
        symbol = self.symbol(info)
        return symbol if self.typed(info) is None else typed_symbol(symbol)

    def entry_signature(self, info: FunctionInfo) -> Signature:
        """That of the entry that takes whole values."""
        found = self._signatures.get(info)
        if found is None:
            found = self._signatures[info] = entry_signature(info)
        return found

    def new_function(
        self, symbol: str, signature: Signature, source: str, info: FunctionInfo | None = None
    ) -> FunctionBuilder:
        """`info`: the function of the program whose body this is."""
        function = Function(symbol, signature, source)
        function.display_name = symbol.removeprefix("sox:").removesuffix("$typed")
        function.exported = symbol == "sox_script"
        self.module.functions[symbol] = function
        debug = self.module.debug
        if debug is None or info is None:
            return FunctionBuilder(function)
        from callproof.ir.debug_builder import DebugBuilder

        known = DebugFunction(function.display_name, source, info.line)
        known.result = result_of(self.typed(info))
        debug.functions[symbol] = known
        return DebugBuilder(function, known, debug.in_memory)

    def function(self, info: FunctionInfo) -> None:
        symbol = self.symbol(info)
        if symbol in self.module.functions:
            return
        source = info.module.source.name
        body, form = symbol, self.typed(info)
        if form is not None:
            body = typed_symbol(symbol)
            builder = self.new_function(body, form.signature, source, info)
        else:
            builder = self.new_function(symbol, self.entry_signature(info), source, info)
        FunctionLowering(self, builder, info).run()
        builder.finish()
        if info.kind == "script":
            self.trace_names[symbol] = b"script"
        else:
            self.trace_names[body] = info.name.encode("latin-1") + b"()"
            if form is not None:
                self.general_entry(form, symbol)
            if info.kind != "module":
                self.spread(info, symbol)

    def typed(self, info: FunctionInfo) -> Typed | None:
        """How direct calls enter the function, if not as all others."""
        if info not in self._typed:
            self._typed[info] = typed(self.flow, info, self.needs_closure(info))
        return self._typed[info]

    def only_method(
        self, classes: list[ClassInfo], name: str, count: int, *, fields: bool
    ) -> FunctionInfo | None:
        """What the name means for instances of all these classes, if it is one method.

        `fields`: a field of that name would come before it.  A method that needs its closure
        is called with it, which only the class has.
        """
        found = set()
        for info in classes:
            if fields and self.flow.held(("field", info, name)).tags:
                return None
            methods = self.flow.methods_of(info, name)
            if len(methods) != 1:
                return None
            found.add(methods[0])
        method = found.pop() if len(found) == 1 else None
        if method is None or self.needs_closure(method):
            return None
        return method if method.required <= count <= len(method.parameters) else None

    def known_super(self, node: ast.SuperInvoke) -> FunctionInfo | None:
        """The method that a call of `super` means, if there is only one."""
        classes = self.flow.meaning(node.parent).classes
        return self.only_method(classes, node.name, len(node.arguments), fields=False)

    def needs_closure(self, info: FunctionInfo) -> bool:
        """Whether the function reads what it captures.

        Not so if that is its superclass only, and its methods are known where it is asked
        for them.
        """
        known = self._closures.get(info)
        if known is None:
            self._closures[info] = True  # for whoever asks on the way there
            known = bool(info.captures) and not (
                len(info.captures) == 1
                and info.owner is not None
                and info.captures[0].local is info.owner.parent
                and not info.captures[0].passed_on
                and all(
                    isinstance(one, ast.SuperInvoke) and self.known_super(one) is not None
                    for one in info.supers
                )
            )
            self._closures[info] = known
        return known

    def general_entry(self, form: Typed, symbol: str) -> None:
        """The entry that takes whole values, for calls through the closure."""
        info = form.function
        builder = self.new_function(symbol, self.entry_signature(info), info.module.source.name)
        self_, *incoming = builder.entry.parameters
        passed: list[Operand] = [self_] if form.has_self else []
        if info.receiver is not None:
            passed.append(incoming[1])
            incoming = incoming[2:]
        for index, tag in enumerate(form.parameters):
            payload = incoming[2 * index + 1]
            if tag == layout.NUMBER:
                passed.append(builder.value(op.BITCAST, F64, payload))
            else:
                passed += [payload] if tag is not None else [incoming[2 * index], payload]
        results: list[Operand] = [*builder.call(typed_symbol(symbol), form.signature, passed)]
        if form.result == layout.NUMBER:
            results = [builder.value(op.BITCAST, I64, results[0])]
        builder.return_(*results if form.result is None else [word(form.result), *results])
        builder.finish()

    def spread(self, info: FunctionInfo, entry: str) -> None:
        """All arguments from memory; those left out are UNDEFINED."""
        builder = self.new_function(f"{entry}$spread", SPREAD, info.module.source.name)
        self_, count, arguments = builder.entry.parameters
        receiver = 1 if info.receiver is not None else 0
        passed: list[Operand] = [self_]
        for index in range(receiver + len(info.parameters)):
            offset = index * layout.VALUE_SIZE
            if index < receiver + info.required:
                passed.append(builder.load(I64, arguments, offset))
                passed.append(builder.load(I64, arguments, offset + layout.VALUE_PAYLOAD))
                continue
            given, joined = builder.new_block("given"), builder.new_block("joined")
            tag, payload = ("tag", index), ("payload", index)
            builder.declare(tag, I64, "tag")
            builder.declare(payload, I64, "payload")
            builder.write(tag, word(layout.UNDEFINED))
            builder.write(payload, word(0))
            builder.branch(builder.value(op.UGT, I64, count, word(index)), given, joined)
            builder.start(given)
            builder.write(tag, builder.load(I64, arguments, offset))
            builder.write(payload, builder.load(I64, arguments, offset + layout.VALUE_PAYLOAD))
            builder.jump(joined)
            builder.start(joined)
            passed += [builder.read(tag), builder.read(payload)]
        builder.return_(*builder.call(entry, self.entry_signature(info), passed))
        builder.finish()

    # --- modules --------------------------------------------------------------------------------

    def importer_name(self, module: SoxModule) -> str:
        return f"sox.import.{self.program.modules.index(module)}"

    def importer(self, module: SoxModule) -> None:
        """A function that gives a module's value: run once, told if it is under way."""
        symbol = self.importer_name(module)
        builder = self.new_function(symbol, self.importer_signature, module.source.name)
        place = self.slot(module)
        address = Symbol(GLOBALS, place)
        tag = builder.load(I64, address)
        fresh, known, cycle, done = map(builder.new_block, ("fresh", "known", "cycle", "done"))
        builder.switch(tag, done, [(layout.UNDEFINED, fresh), (LOADING, cycle)])
        builder.start(done)
        builder.jump(known)
        builder.start(known)
        builder.return_(
            builder.load(I64, address), builder.load(I64, address, layout.VALUE_PAYLOAD)
        )
        builder.start(cycle)
        message = b"Circular import detected: '%s'" % module.key.encode("utf-8", "surrogateescape")
        builder.call("sox_fail", self.declare("sox_fail"), [Symbol(self.c_string(message))])
        builder.unreachable()
        builder.start(fresh)
        builder.store(I64, word(LOADING), address)
        signature = self.entry_signature(module.function)
        results = builder.call(self.symbol(module.function), signature, [word(0)])
        builder.store(I64, results[0], address)
        builder.store(I64, results[1], address, layout.VALUE_PAYLOAD)
        builder.return_(*results)
        builder.finish()


def lower(
    program: Program,
    test: str = "",
    benchmarks: bool = False,
    log: Callable[[str], None] | None = None,
    debug: DebugModule | None = None,
) -> Module:
    """The program's module of IR.

    `test` names the test function that runs instead of `main`; `benchmarks` asks for
    those behind it; `log` is told of every call site; `debug` is filled in.
    """
    lowering = ProgramLowering(program, test, benchmarks, debug)
    module = lowering.run()
    if log is not None:
        for span, text in sorted(lowering.calls, key=lambda one: (one[0].file.name, one[0].start)):
            log(f"{span.file.name}:{span.line}: {text}")
    return module


__all__ = ["ProgramLowering", "lower"]
