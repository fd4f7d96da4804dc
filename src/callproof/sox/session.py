"""An interactive session: each entry is compiled, linked behind what is loaded, and run.

The session is one process.  Its program has the whole runtime and, in place of a script,
`sox_session` (`runtime/sox/session.c`), which receives code and runs it.  An entry is a
script of its own, compiled as ever, but that its globals are shared with all other entries,
hence late bound, and that its object is linked alone, against the addresses of what is in
memory already.  So nothing runs twice, and a run-time error ends only its entry.

Tables whose size a program knows (globals, rows for traces) have room for later entries.
"""

from __future__ import annotations

import io
import os
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import POINTER, VALUE
from callproof.codegen.traces import FUNCTION_ROW
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import Address, Constant, Datum, Function, Module
from callproof.ir.types import I64
from callproof.object.model import ObjectFile, Symbol
from callproof.runtime import sox_layout as layout
from callproof.runtime.sox_entries import ENTRIES, NATIVES, native_symbol
from callproof.source import CallproofError, Diagnostics
from callproof.sox import nodes as ast
from callproof.sox.lexer import SoxSource
from callproof.sox.lower import ProgramLowering
from callproof.sox.modules import Loader, SearchPlaces
from callproof.sox.parser import parse
from callproof.sox.signatures import GLOBALS
from callproof.sox.symbols import SCRIPT, GlobalInfo, Program
from callproof.sox.symbols import Module as SoxModule

if TYPE_CHECKING:
    from callproof.driver import Options
    from callproof.link.layout import Layout, OutputSection
    from callproof.run.emulator import Outcome

MOST_GLOBALS = 1 << 16
MOST_FUNCTIONS = 1 << 16
PAGE = 4096
# Behind the program and room for its small heap; in reach of its calls (128 MiB).
CODE_BASE = 0x0400_0000
CODE_SIZE = 48 << 20
TRACES, TRACE_COUNT, COUNT = "sox_trace_functions", "sox_trace_count", "sox_global_count"
OWN = ("sox_script", TRACES, TRACE_COUNT)  # what every entry defines for itself
WORDS = struct.Struct("<QQ")
ASSIGNMENTS = (ast.Assign, ast.Set, ast.SetIndex)
REQUESTS, ANSWERS = 3, 4  # descriptors, as in session.c


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes for an address of the process."""

    address: int
    data: bytes


@dataclass(slots=True)
class Entry:
    """What the process is to put where, and the address of the code to run."""

    pieces: list[Piece]
    start: int

    def request(self) -> bytes:
        """As `session.c` reads it."""
        parts = [WORDS.pack(len(self.pieces), self.start)]
        for piece in self.pieces:
            parts += [WORDS.pack(piece.address, len(piece.data)), piece.data]
        return b"".join(parts)


def base_module() -> Module:
    """The session's program: everything that entries may refer to, and tables with room."""
    module = Module("session")
    function = Function("sox_script", Signature((Parameter(POINTER, "self"),), VALUE), "session")
    module.functions[function.name] = function
    builder = FunctionBuilder(function)
    module.declarations["sox_session"] = ENTRIES["sox_session"].signature
    builder.call("sox_session", ENTRIES["sox_session"].signature, [])
    builder.return_(Constant(I64, layout.NIL), Constant(I64, 0))
    builder.finish()
    symbols = [*ENTRIES, *map(native_symbol, NATIVES)]
    everything = Datum("session.everything", bytes(8 * len(symbols)), alignment=8)
    everything.addresses = [Address(8 * number, name) for number, name in enumerate(symbols)]
    everything.exported = True
    for name, entry in ENTRIES.items():
        module.declarations[name] = entry.signature
    module.external_data.update({native_symbol(name): 16 for name in NATIVES})
    rows = [
        everything,
        _room(GLOBALS, MOST_GLOBALS * layout.VALUE_SIZE),
        _room(TRACES, MOST_FUNCTIONS * FUNCTION_ROW.size),
        Datum(COUNT, bytes(8), alignment=8, writable=True, exported=True),
        Datum(TRACE_COUNT, bytes(8), alignment=8, writable=True, exported=True),
        Datum("sox_script_path", bytes(8), alignment=8, exported=True),
        Datum("sox_session_code", WORDS.pack(CODE_BASE, CODE_SIZE), alignment=8, exported=True),
    ]
    module.data = {datum.name: datum for datum in rows}
    return module


def _room(name: str, size: int) -> Datum:
    return Datum(name, alignment=16, writable=True, zero_bytes=size, exported=True)


class EntryLowering(ProgramLowering):
    """One entry; what it shares with the others is in the session."""

    def __init__(self, program: Program, session: Session) -> None:
        super().__init__(program)
        self.session = session
        self._slots = dict(session.slots)
        self.names: dict[SoxModule, str] = {}

    @property
    def global_slots(self) -> dict[object, int]:
        return self._slots

    def wants_arguments(self, info: GlobalInfo) -> bool:
        return super().wants_arguments(info) and info not in self.session.slots

    def importer_name(self, module: SoxModule) -> str:
        known = self.session.importers.get(module)
        if known is not None:
            self.module.declarations[known] = self.importer_signature
            return known
        number = len(self.session.importers) + len(self.names)
        return self.names.setdefault(module, f"sox.session.import.{number}")

    def globals(self) -> None:
        """They are in the session's program."""
        self.module.external_data[GLOBALS] = 16

    def script_path(self) -> None:
        """There is none."""


class Session:
    """Compiles entries one after the other; knows what is where in the process."""

    def __init__(self, options: Options) -> None:
        """Links the program, whose bytes are `executable`."""
        from callproof.link.executable import write_executable

        self.options = options
        self.globals: dict[str, GlobalInfo] = {}
        self.slots: dict[object, int] = {}
        self.importers: dict[SoxModule, str] = {}
        self.loader = Loader(SearchPlaces(folders=options.module_path), Diagnostics())
        self.functions = 0
        self.next = CODE_BASE
        linked = self.link(self.compile(base_module()))
        self.executable = bytes(write_executable(linked))
        self.known = _addresses(linked)
        if linked.end() > CODE_BASE:
            raise CallproofError("the session's program does not fit before its code")

    def parse(self, text: bytes, name: str, diagnostics: Diagnostics) -> SoxModule:
        """The entry; of use only if `diagnostics` has no errors."""
        return parse(SoxSource(name, text), diagnostics, SCRIPT, session=self.globals)

    def compile(self, module: Module) -> ObjectFile:
        from callproof import driver
        from callproof.codegen.backend import compile_module
        from callproof.codegen.objects import build_object
        from callproof.target import by_name

        target = by_name(self.options.target)
        if self.options.verify:
            driver.verify_module(module, self.options)
        driver.optimise(module, self.options)
        compiled = compile_module(module, target, verify=self.options.verify)
        return build_object(module, compiled.functions, compiled.pool, target, module.name)

    def link(self, file: ObjectFile) -> Layout:
        from callproof.link import LinkOptions, link_layout
        from callproof.linked_with import with_runtime

        return link_layout(with_runtime([file], self.options), LinkOptions(collect_garbage=False))

    def entry(self, script: SoxModule) -> Entry:
        """Compile and link a parsed entry; the session knows its names from now on.

        The value of an expression at its end is printed, unless it is an assignment.
        Raises `CallproofError`.
        """
        from callproof.link import LinkOptions, link_layout

        script.main = None  # an entry's functions run when they are called
        body = script.function.body
        last = body[-1] if body else None
        if isinstance(last, ast.ExpressionStatement) and not isinstance(
            last.expression, ASSIGNMENTS
        ):
            body[-1] = ast.Print(last.span, last.line, last.expression)
        before = len(self.loader.modules)
        self.loader.program(script)
        fresh = [one for one in self.loader.modules[before:] if one is not script]
        lowering = EntryLowering(Program(script, [script, *fresh]), self)
        module = lowering.run()
        for name in lowering.names.values():
            module.functions[name].exported = True
        if len(lowering.global_slots) > MOST_GLOBALS:
            raise CallproofError(f"a session has at most {MOST_GLOBALS} globals")
        file = self.compile(module)
        wanted = [one.name for one in file.symbols if not one.is_defined]
        loaded = ObjectFile("session", file.machine)
        loaded.symbols = [
            Symbol(name, value=self.known[name], absolute=True)
            for name in wanted
            if name in self.known
        ]
        linked = link_layout(
            [file, loaded],
            LinkOptions("sox_script", collect_garbage=False, base=self.next, page=PAGE),
        )
        if linked.end() > CODE_BASE + CODE_SIZE:
            raise CallproofError(f"a session has room for {CODE_SIZE >> 20} MiB of code")
        return self.accept(lowering, linked)

    def accept(self, lowering: EntryLowering, linked: Layout) -> Entry:
        """The pieces of a linked entry; from now on what it defines belongs to the session."""
        pieces = [
            Piece(output.address, _content(output))
            for output in linked.outputs()
            if output.in_file and output.size
        ]
        rows = _datum(linked, TRACES)
        functions = self.functions + len(rows) // FUNCTION_ROW.size
        if functions > MOST_FUNCTIONS:
            raise CallproofError(f"a session has at most {MOST_FUNCTIONS} functions")
        fresh = [key for key in lowering.global_slots if key not in self.slots]
        place = self.known[GLOBALS] + len(self.slots) * layout.VALUE_SIZE
        pieces += [
            Piece(place, b"".join(map(self.initial, fresh))),
            Piece(self.known[COUNT], struct.pack("<Q", len(lowering.global_slots))),
            Piece(self.known[TRACES] + self.functions * FUNCTION_ROW.size, rows),
            Piece(self.known[TRACE_COUNT], struct.pack("<Q", functions)),
        ]
        addresses = _addresses(linked)
        self.functions = functions
        self.slots = dict(lowering.global_slots)
        self.importers.update(lowering.names)
        self.known.update((name, at) for name, at in addresses.items() if name not in OWN)
        self.next = -(-linked.end() // PAGE) * PAGE
        return Entry(pieces, addresses["sox_script"])

    def initial(self, key: object) -> bytes:
        """What is in a new slot."""
        if isinstance(key, GlobalInfo) and key.is_native:
            return WORDS.pack(layout.NATIVE, self.known[native_symbol(key.name)])
        return WORDS.pack(layout.UNDEFINED, 0)


def _addresses(linked: Layout) -> dict[str, int]:
    """Of all global names."""
    found = {}
    for name, definition in linked.resolved.names.items():
        address = linked.address_of(definition.symbol)
        if address is not None:
            found[name] = address
    return found


def _content(output: OutputSection) -> bytes:
    data = bytearray(output.size)
    placed = [(piece.address, bytes(piece.data)) for piece in output.pieces]
    for address, content in [*placed, *output.veneers]:
        start = address - output.address
        data[start : start + len(content)] = content
    return bytes(data)


def _datum(linked: Layout, name: str) -> bytes:
    """The relocated bytes of a datum that has a section of its own."""
    section = linked.resolved.names[name].symbol.section
    return bytes(linked.places[id(section)].data)


class Conversation(io.RawIOBase):
    """The session's end of both pipes: asked for bytes, it asks for the next entry.

    `next_entry` gets the status of the entry before, and gives None at the end.
    """

    def __init__(self, next_entry: Callable[[int], Entry | None]) -> None:
        super().__init__()
        self.next_entry = next_entry
        self.pending = b""
        self.status = 0

    def read(self, count: int = -1) -> bytes:
        if not self.pending:
            entry = self.next_entry(self.status)
            if entry is None:
                return b""
            self.pending = entry.request()
        taken = self.pending[:count] if count >= 0 else self.pending
        self.pending = self.pending[len(taken) :]
        return taken

    def write(self, data: object) -> int:
        answer = bytes(cast(bytes, data))
        self.status = answer[-1]
        return len(answer)

    def writable(self) -> bool:
        return True


def run(
    session: Session,
    next_entry: Callable[[int], Entry | None],
    arguments: Sequence[str] = (),
    name: str = "callproof",
) -> Outcome:
    """Run the session's process in the emulator; how it ended.

    `next_entry` is called in between, while the process waits.
    """
    from callproof.run.emulator import Emulator
    from callproof.run.limits import Limits
    from callproof.run.loader import load
    from callproof.run.process import open_file

    conversation = cast(BinaryIO, Conversation(next_entry))
    files = {number: open_file(None, number) for number in range(3)}
    files |= {number: open_file(conversation, number) for number in (REQUESTS, ANSWERS)}
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    image = load(session.executable, name)
    emulator = Emulator(image, arguments, os.environ, files=files, name=name, limits=Limits())
    return emulator.run()


__all__ = ["Entry", "Session", "run"]
