"""`__unwind_info`: for each function of a program how its frame is left.

Made of the objects' `__LD,__compact_unwind`: function, length, encoding.  The table has two
levels; ours are "regular" pages of (offset from the program's start, encoding), as many as
needed, and an index of the pages.  Facts: <mach-o/compact_unwind_encoding.h>.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from struct import Struct

from callproof.link.macho_layout import BASE, Program
from callproof.object import macho_format as macho
from callproof.object.macho_write import COMPACT_SECTION
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.source import CallproofError

HEADER = Struct("<7I")  # version; common encodings, personalities, index: (offset, count) each
INDEX_ENTRY = Struct("<3I")  # function offset, page's offset, offset of its LSDAs
PAGE_HEADER = Struct("<I2H")  # kind, offset of the entries, count
ENTRY = Struct("<2I")  # function offset, encoding
REGULAR_PAGE = 2
ROWS_A_PAGE = (4096 - PAGE_HEADER.size) // ENTRY.size
HANDLERS = "__TEXT,__gcc_except_tab"
PERSONALITY_AT, LSDA_AT = 16, 24


@dataclass(frozen=True, slots=True)
class Row:
    """A function by a symbol and an offset from it, its size in bytes, its encoding."""

    symbol: Symbol
    addend: int
    size: int
    encoding: int


def read_rows(program: Program) -> list[Row]:
    """The rows of all functions that are kept.

    Raises `CallproofError` for functions with handlers of C++ exceptions, whose tables are
    not linked.
    """
    rows = []
    for file in program.resolved.files:
        for section in file.sections:
            if section.name == HANDLERS and section.data:
                raise _handles(file, "its code")
            if section.name == COMPACT_SECTION:
                rows += _rows_of(program, file, section)
    return rows


def _rows_of(program: Program, file: ObjectFile, section: Section) -> list[Row]:
    size = macho.COMPACT_UNWIND.size
    if len(section.data) % size:
        raise CallproofError(f"{file.name}: {section.name} is no table of {size} bytes a row")
    targets: dict[int, Relocation] = {one.offset: one for one in section.relocations}
    rows = []
    for at in range(0, len(section.data), size):
        target = targets.get(at)
        if target is None:
            raise CallproofError(f"{file.name}: {section.name}+{at:#x} names no function")
        symbol = program.resolved.meaning(target.symbol)
        if symbol is None or symbol.section is None:
            continue
        if symbol is not target.symbol or id(symbol.section) not in program.resolved.live:
            continue  # another definition counts, or it was left out
        _, length, encoding, _, _ = macho.COMPACT_UNWIND.unpack_from(section.data, at)
        start = symbol.value + target.addend
        if not 0 <= start <= start + length <= max(symbol.section.size, len(symbol.section.data)):
            raise CallproofError(
                f"{file.name}: {section.name}+{at:#x}: '{target.symbol.name}' of {length} bytes "
                "does not lie in its section"
            )
        if at + PERSONALITY_AT in targets or at + LSDA_AT in targets:
            raise _handles(file, f"'{target.symbol.name}'")
        if encoding & macho.UNWIND_MODE_MASK == macho.UNWIND_DWARF:
            encoding = 0  # what it says is in __eh_frame, which is not kept
        rows.append(Row(symbol, target.addend, length, encoding))
    return rows


def _handles(file: ObjectFile, what: str) -> CallproofError:
    return CallproofError(
        f"{file.name}: {what} handles exceptions, whose tables are not linked for macOS"
    )


def most_size(rows: list[Row]) -> int:
    """Bytes that the table takes at most: a gap may follow each function."""
    entries = 2 * len(rows)
    pages = -(-entries // ROWS_A_PAGE)
    index = HEADER.size + (pages + 1) * INDEX_ENTRY.size
    return index + pages * PAGE_HEADER.size + entries * ENTRY.size


def unwind_table(program: Program, rows: list[Row]) -> bytes:
    """The table, when everything has its address."""
    places = []
    for row in rows:
        address = program.address_of(row.symbol)
        if address is not None:
            places.append((address + row.addend - BASE, row.size, row.encoding))
    places.sort()
    entries: list[tuple[int, int]] = []
    for (start, size, encoding), (following, _, _) in pairwise([*places, (1 << 32, 0, 0)]):
        entries.append((start, encoding))
        if start + size < following:
            entries.append((start + size, 0))  # of what comes there, nothing is known
    merged = entries[:1]
    for entry in entries[1:]:
        if entry[1] != merged[-1][1]:
            merged.append(entry)
    pages = [merged[at : at + ROWS_A_PAGE] for at in range(0, len(merged), ROWS_A_PAGE)]
    index_end = HEADER.size + (len(pages) + 1) * INDEX_ENTRY.size
    out = bytearray(HEADER.pack(1, HEADER.size, 0, HEADER.size, 0, HEADER.size, len(pages) + 1))
    position = index_end
    for page in pages:
        out += INDEX_ENTRY.pack(page[0][0], position, index_end)
        position += PAGE_HEADER.size + len(page) * ENTRY.size
    last = max((start + size for start, size, _ in places), default=0)
    out += INDEX_ENTRY.pack(last, 0, index_end)
    for page in pages:
        out += PAGE_HEADER.pack(REGULAR_PAGE, PAGE_HEADER.size, len(page))
        out += b"".join(ENTRY.pack(*entry) for entry in page)
    return bytes(out)
