"""A compiled module as an `ObjectFile`: a section per function and datum.

One section each lets the linker leave out what nobody refers to.  Two sections
that are not loaded describe the code: `.callproof.functions` (parameters and
where they travel; `run/` reads it to poison and to trace) and DWARF line tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from callproof.abi.plan import plan
from callproof.codegen.emit import EmittedFunction
from callproof.codegen.target import Frame, Target
from callproof.codegen.traces import trace_data
from callproof.ir.model import Datum, Module
from callproof.ir.places import line_in
from callproof.object.dwarf import FunctionLines, debug_sections, section_symbols
from callproof.object.macho_format import COMPACT_UNWIND
from callproof.object.macho_write import COMPACT_SECTION
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.run.functions import encode_records, record_of


@dataclass(slots=True)
class _Builder:
    module: Module
    target: Target
    file: ObjectFile
    symbols: dict[str, Symbol] = field(default_factory=dict)
    pending: list[tuple[Section, int, str, str, int]] = field(default_factory=list)

    def define(self, symbol: Symbol) -> None:
        self.symbols[symbol.name] = symbol
        self.file.symbols.append(symbol)

    def symbol(self, name: str) -> Symbol:
        """The symbol of that name, undefined if nothing here defines it."""
        symbol = self.symbols.get(name)
        if symbol is None:
            symbol = Symbol(name)
            self.define(symbol)
        return symbol

    def function(self, emitted: EmittedFunction, exported: bool) -> None:
        section = Section(
            f".text.{emitted.name}", "code", emitted.code, alignment=self.target.code_alignment
        )
        self.file.sections.append(section)
        self.define(
            Symbol(
                emitted.name,
                section,
                size=len(emitted.code),
                binding="global" if exported else "local",
                kind="function",
            )
        )
        for relocation in emitted.relocations:
            self.pending.append(
                (section, relocation.offset, relocation.type, relocation.symbol, relocation.addend)
            )

        for name, entries in emitted.tables:
            section = Section(f".rodata.{name}", "rodata", bytes(4 * len(entries)), alignment=4)
            self.file.sections.append(section)
            size = len(section.data)
            self.define(Symbol(name, section, size=size, binding="local", kind="object"))
            for number, block in enumerate(entries):
                # The distance from the table's start, not from the entry.
                place, addend = 4 * number, block.offset + 4 * number
                type_ = self.target.distance_relocation
                self.pending.append((section, place, type_, emitted.name, addend))

    def datum(self, datum: Datum) -> None:
        if datum.zero_bytes:
            section = Section(
                f".bss.{datum.name}", "bss", alignment=datum.alignment, size=datum.zero_bytes
            )
        elif datum.writable:
            section = Section(f".data.{datum.name}", "data", datum.data, alignment=datum.alignment)
        else:
            section = Section(
                f".rodata.{datum.name}", "rodata", datum.data, alignment=datum.alignment
            )
        self.file.sections.append(section)
        self.define(
            Symbol(
                datum.name,
                section,
                size=datum.zero_bytes or len(datum.data),
                binding="global" if datum.exported else "local",
                kind="object",
            )
        )
        for address in datum.addresses:
            self.pending.append(
                (
                    section,
                    address.offset,
                    self.target.address_relocation,
                    address.symbol,
                    address.addend,
                )
            )

    def pool(self, name: str, data: bytes) -> None:
        section = Section(f".rodata.cst{len(data)}{name}", "rodata", data, alignment=len(data))
        self.file.sections.append(section)
        self.define(Symbol(name, section, size=len(data), binding="local", kind="object"))

    def compact_unwind(
        self, functions: list[EmittedFunction], encode: Callable[[Frame], int]
    ) -> None:
        """Darwin's description of each function's frame, for its linkers."""
        rows = bytearray()
        section = Section(COMPACT_SECTION, "other", alignment=8)
        for emitted in functions:
            self.pending.append((section, len(rows), "R_AARCH64_ABS64", emitted.name, 0))
            rows += COMPACT_UNWIND.pack(0, len(emitted.code), encode(emitted.frame), 0, 0)
        section.data = bytes(rows)
        if rows:
            self.file.sections.append(section)

    def relocate(self) -> None:
        symbol_of = self.symbols.get
        for section, offset, type_, name, addend in self.pending:
            symbol = symbol_of(name) or self.symbol(name)
            section.relocations.append(Relocation(offset, type_, symbol, addend))


def _lines_of_its_file(emitted: EmittedFunction, source_name: str) -> list[tuple[int, int]]:
    """(byte offset, line) rows; what was inlined from another file has its call's line."""
    rows: list[tuple[int, int]] = []
    for offset, place in emitted.line_rows:
        line = line_in(emitted.sites, place, source_name)
        if line and (not rows or rows[-1][1] != line):
            rows.append((offset, line))
    return rows


def build_object(
    module: Module,
    functions: list[EmittedFunction],
    pool: dict[str, bytes],
    target: Target,
    source_name: str,
) -> ObjectFile:
    """All code and data of a module, with symbols, relocations and descriptions."""
    object_format = "mach-o" if target.name.endswith("-macos") else "elf"
    file = ObjectFile(source_name, target.machine, format=object_format)
    builder = _Builder(module, target, file)
    for emitted in functions:
        builder.function(emitted, module.functions[emitted.name].exported)
    traces = trace_data(module, functions) if module.trace_names else []
    for datum in [*module.data.values(), *traces]:
        builder.datum(datum)
    for name, data in pool.items():
        builder.pool(name, data)
    if target.compact_unwind is not None:
        builder.compact_unwind(functions, target.compact_unwind)
    builder.relocate()
    records = [
        record_of(
            emitted.name,
            emitted.display_name,
            plan(module.functions[emitted.name].signature, target.convention),
        )
        for emitted in functions
    ]
    # What is called outside is described too: its results are known, so is what it may change.
    records += [
        record_of(name, name, plan(signature, target.convention), external=True)
        for name, signature in module.declarations.items()
        if signature.variadic_from is None
    ]
    builder.file.sections.append(Section(".callproof.functions", "other", encode_records(records)))
    lines = [
        FunctionLines(
            builder.symbols[emitted.name],
            emitted.display_name,
            len(emitted.code),
            module.functions[emitted.name].source_name or source_name,
            _lines_of_its_file(emitted, module.functions[emitted.name].source_name),
        )
        for emitted in functions
    ]
    if module.debug is not None:
        from callproof.codegen.describe import described_sections

        sections = described_sections(module.debug, functions, lines, builder.symbols, target)
    else:
        sections = debug_sections(source_name, lines, target.machine)
    builder.file.sections += sections
    builder.file.symbols += section_symbols(sections)
    return builder.file
