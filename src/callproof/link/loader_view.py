"""What the loader reads of a linked program: `.dynsym`, `.dynamic`, program and section headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.link.dynamic import HEADERS, RELATIVE, name_of
from callproof.link.libraries import Import
from callproof.object import elf_format as elf
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link.dynamic import Dynamic
    from callproof.link.layout import Layout, OutputSection

ARRAYS = (
    ("preinit_array", elf.DT_PREINIT_ARRAY, elf.DT_PREINIT_ARRAYSZ),
    ("init_array", elf.DT_INIT_ARRAY, elf.DT_INIT_ARRAYSZ),
    ("fini_array", elf.DT_FINI_ARRAY, elf.DT_FINI_ARRAYSZ),
)


def symbols(dynamic: Dynamic, layout: Layout) -> bytes:
    """`.dynsym`: imports, then what others may find here, in the order of `.gnu.hash`."""
    section_numbers = {
        id(piece.section): number
        for number, output in enumerate(layout.outputs(), 1)
        for piece in output.pieces
    }
    rows = [bytes(elf.SYMBOL.size)]
    for one in (*dynamic.plain, *dynamic.hashed):
        imported = isinstance(one, Import)
        if isinstance(one, Import):
            symbol, weak, is_placed = one.symbol, one.is_weak, one.is_placed
        else:
            symbol, weak, is_placed = one, one.binding == "weak", True
        number, value, size = elf.SHN_UNDEF, 0, 0
        if is_placed:
            address = layout.address_of(symbol)
            if address is None:
                raise CallproofError(f"'{symbol.name}' is exported but was left out")
            value, size = address, symbol.size
            if symbol.section is None:
                number = elf.SHN_ABS
            elif not imported or symbol.section.kind != "code":
                number = section_numbers[id(symbol.section)]
            else:
                size = 0  # a PLT entry: the function itself is undefined here
            if symbol.kind == "tls":
                value -= layout.tls[0]
        info = (2 if weak else 1) << 4 | elf.KIND_NUMBERS[symbol.kind]
        other = elf.VISIBILITIES.index(symbol.visibility)
        name = dynamic.strings.add(name_of(one))
        rows.append(elf.SYMBOL.pack(name, info, other, number, value, size))
    return b"".join(rows)


def entries(dynamic: Dynamic, layout: Layout) -> list[tuple[int, int]]:
    """The rows of `.dynamic`; how many does not depend on addresses."""
    options, strings = dynamic.options, dynamic.strings
    rows = [(elf.DT_NEEDED, strings.add(name)) for name in dynamic.libraries]
    if options.rpath:
        rows.append((elf.DT_RUNPATH, strings.add(":".join(options.rpath))))
    for tag, name in ((elf.DT_INIT, "_init"), (elf.DT_FINI, "_fini")):
        found = dynamic.resolved.names.get(name)
        address = layout.address_of(found.symbol) if found is not None else None
        if address:
            rows.append((tag, address))
    for kind, start_tag, size_tag in ARRAYS:
        start, end = layout.bounds(kind)
        if end > start:
            rows += [(start_tag, start), (size_tag, end - start)]

    def table(name: str, *tags: tuple[int, int]) -> None:
        """Rows of a section, if there is one; -1 stands for its address, -2 for its size."""
        section = dynamic.sections.get(name)
        if section is not None:
            piece = layout.places[id(section)]
            given = {-1: piece.address, -2: piece.size}
            rows.extend((tag, given.get(value, value)) for tag, value in tags)

    table(".hash", (elf.DT_HASH, -1))
    table(".gnu.hash", (elf.DT_GNU_HASH, -1))
    table(".dynstr", (elf.DT_STRTAB, -1), (elf.DT_STRSZ, -2))
    table(".dynsym", (elf.DT_SYMTAB, -1), (elf.DT_SYMENT, elf.SYMBOL.size))
    rows.append((elf.DT_DEBUG, 0))
    table(
        ".rela.plt",
        (elf.DT_PLTRELSZ, -2),
        (elf.DT_PLTREL, elf.DT_RELA),
        (elf.DT_JMPREL, -1),
    )
    relative = sum(one.kind == RELATIVE and not one.is_doubtful for one in dynamic.relocations)
    table(
        ".rela.dyn",
        (elf.DT_RELA, -1),
        (elf.DT_RELASZ, -2),
        (elf.DT_RELAENT, elf.RELA.size),
        (elf.DT_RELACOUNT, relative),
    )
    table(".relr.dyn", (elf.DT_RELR, -1), (elf.DT_RELRSZ, -2), (elf.DT_RELRENT, 8))
    table(".gnu.version", (elf.DT_VERSYM, -1))
    table(".gnu.version_r", (elf.DT_VERNEED, -1), (elf.DT_VERNEEDNUM, len(dynamic.needs)))
    rows.append((elf.DT_FLAGS, elf.DF_BIND_NOW))
    rows.append((elf.DT_FLAGS_1, elf.DF_1_NOW | (elf.DF_1_PIE if dynamic.is_pie else 0)))
    rows.append((elf.DT_NULL, 0))
    return rows


def header_facts(
    dynamic: Dynamic, layout: Layout, output: OutputSection, type_: int
) -> tuple[int, int, int, int]:
    """Type, link, info and entry size of an output section's header."""
    facts = HEADERS.get(output.name)
    if facts is None:
        return type_, 0, 0, 0
    type_, linked, size = facts
    numbers = {one.name: number for number, one in enumerate(layout.outputs(), 1)}
    info = {
        ".dynsym": 1,
        ".gnu.version_r": len(dynamic.needs),
        ".rela.plt": numbers.get(".got.plt", 0),
    }
    return type_, numbers.get(linked, 0), info.get(output.name, 0), size


def program_headers(layout: Layout) -> tuple[list[bytes], list[bytes]]:
    """Those that stand before the loaded segments, and those behind them."""
    before: list[bytes] = []
    behind: list[bytes] = []
    start = elf.HEADER.size
    address = layout.options.base + start
    size = layout.headers_size - start
    before.append(elf.PROGRAM.pack(elf.PT_PHDR, elf.PF_R, start, address, address, size, size, 8))
    for output in layout.outputs():
        kind = {".interp": elf.PT_INTERP, ".dynamic": elf.PT_DYNAMIC}.get(output.name)
        if kind is None:
            continue
        flags = elf.PF_R | (elf.PF_W if kind == elf.PT_DYNAMIC else 0)
        place = (output.offset, output.address, output.address, output.size, output.size)
        row = elf.PROGRAM.pack(kind, flags, *place, output.alignment)
        (before if kind == elf.PT_INTERP else behind).append(row)
    return before, behind
