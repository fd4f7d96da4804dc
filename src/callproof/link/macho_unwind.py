"""`__unwind_info`: for each function of a program how its frame is left.

Made of the objects' `__LD,__compact_unwind`: function, length, encoding.  The table has two
levels; ours are "regular" pages of (offset from the program's start, encoding), as many as
needed, and an index of the pages.  A function with handlers of exceptions names its
personality routine by the number of a slot of the GOT, and has a row in a table of its own
that leads to its call sites (LSDA, in `__gcc_except_tab`).  Facts:
<mach-o/compact_unwind_encoding.h>.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from struct import Struct

from callproof.link.macho_layout import BASE, HANDLERS, Program
from callproof.link.macho_relocate import program_name
from callproof.link.resolve import Resolved
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
LSDA_ENTRY = Struct("<2I")  # function offset, offset of its LSDA
MOST_PERSONALITIES = 3  # two bits, and 0 means none
PERSONALITY_SHIFT = 28
PERSONALITY_AT, LSDA_AT = 16, 24


@dataclass(frozen=True, slots=True)
class Row:
    """A function by a symbol and an offset from it, its size in bytes, its encoding; what
    handles exceptions in it, and where that reads how."""

    symbol: Symbol
    addend: int
    size: int
    encoding: int
    personality: Relocation | None = None
    handlers: Relocation | None = None


def attach_handlers(resolved: Resolved) -> None:
    """What handles a function's exceptions is kept with the function (see `collect`)."""
    for file in resolved.files:
        for section in file.sections:
            if section.name != COMPACT_SECTION:
                continue
            size = macho.COMPACT_UNWIND.size
            functions = {
                one.offset // size: one.symbol.section
                for one in section.relocations
                if one.offset % size == 0
            }
            for one in section.relocations:
                function = functions.get(one.offset // size)
                if one.offset % size in (PERSONALITY_AT, LSDA_AT) and function is not None:
                    resolved.attached.setdefault(id(function), []).append(one)


def read_rows(program: Program) -> list[Row]:
    """The rows of all functions that are kept.

    Raises `CallproofError` for functions with handlers of C++ exceptions whose frames compact
    rows do not describe: the longer descriptions are not linked.
    """
    rows = []
    for file in program.resolved.files:
        for section in file.sections:
            if section.name == COMPACT_SECTION:
                rows += _rows_of(program, file, section)
    return rows


def _rows_of(program: Program, file: ObjectFile, section: Section) -> list[Row]:
    size = macho.COMPACT_UNWIND.size
    if len(section.data) % size:
        raise CallproofError(f"{file.name}: {section.name} is no table of {size} bytes a row")
    targets: dict[int, Relocation] = {one.offset: one for one in section.relocations}
    has_handlers = any(one.name == HANDLERS and one.data for one in file.sections)
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
        personality, handlers = targets.get(at + PERSONALITY_AT), targets.get(at + LSDA_AT)
        is_long = encoding & macho.UNWIND_MODE_MASK == macho.UNWIND_DWARF
        # Of a long description the row does not say whether there are handlers.
        if has_handlers and (is_long or (handlers is not None and personality is None)):
            raise CallproofError(
                f"{file.name}: '{target.symbol.name}' may handle exceptions, and its frame is "
                "described by __eh_frame only, which is not linked for macOS "
                "(-fno-asynchronous-unwind-tables makes compact descriptions)"
            )
        where = None if handlers is None else program.resolved.meaning(handlers.symbol)
        if handlers is not None and not _is_inside(where, handlers.addend):
            raise CallproofError(
                f"{file.name}: {section.name}+{at + LSDA_AT:#x}: the table of handlers of "
                f"'{target.symbol.name}' does not lie in its section"
            )
        if is_long:
            encoding = 0  # what it says is in __eh_frame, which is not kept
            personality = None
        encoding &= ~macho.UNWIND_HAS_LSDA
        if handlers is not None:
            encoding |= macho.UNWIND_HAS_LSDA
        rows.append(Row(symbol, target.addend, length, encoding, personality, handlers))
    return rows


def _is_inside(symbol: Symbol | None, addend: int) -> bool:
    if symbol is None or symbol.section is None:
        return False
    return 0 <= symbol.value + addend < len(symbol.section.data)


def most_size(rows: list[Row]) -> int:
    """Bytes that the table takes at most: a gap may follow each function."""
    entries = 2 * len(rows)
    pages = -(-entries // ROWS_A_PAGE)
    index = HEADER.size + 4 * MOST_PERSONALITIES + (pages + 1) * INDEX_ENTRY.size
    handlers = sum(row.handlers is not None for row in rows) * LSDA_ENTRY.size
    return index + handlers + pages * PAGE_HEADER.size + entries * ENTRY.size


def unwind_table(program: Program, rows: list[Row]) -> bytes:
    """The table, when everything has its address.

    Raises `CallproofError` for more personality routines than the format has room for.
    """
    places = []
    personalities: dict[str, int] = {}
    handlers: dict[int, int] = {}
    for row in rows:
        address = program.address_of(row.symbol)
        if address is None:
            continue
        start, encoding = address + row.addend - BASE, row.encoding
        if row.personality is not None:
            name = program_name(program, row.personality.symbol)
            number = personalities.setdefault(name, len(personalities) + 1)
            encoding |= number << PERSONALITY_SHIFT
        if row.handlers is not None:
            meaning = program.resolved.meaning(row.handlers.symbol)
            table = None if meaning is None else program.address_of(meaning)
            if table is None:
                raise CallproofError(f"'{row.symbol.name}' handles exceptions by what is left out")
            handlers[start] = table + row.handlers.addend - BASE
        places.append((start, row.size, encoding))
    if len(personalities) > MOST_PERSONALITIES:
        raise CallproofError(
            f"{len(personalities)} functions that handle exceptions "
            f"({', '.join(personalities)}); the format has room for {MOST_PERSONALITIES}"
        )
    places.sort()
    entries: list[tuple[int, int]] = []
    for (start, size, encoding), (following, _, _) in pairwise([*places, (1 << 32, 0, 0)]):
        entries.append((start, encoding))
        if start + size < following:
            entries.append((start + size, 0))  # of what comes there, nothing is known
    merged = entries[:1]
    for entry in entries[1:]:
        # Handlers are looked up by where their function begins.
        if entry[1] != merged[-1][1] or entry[1] & macho.UNWIND_HAS_LSDA:
            merged.append(entry)
    pages = [merged[at : at + ROWS_A_PAGE] for at in range(0, len(merged), ROWS_A_PAGE)]
    slots = [program.slot_address(name) - BASE for name in personalities]
    index = HEADER.size + 4 * len(slots)
    lsda = index + (len(pages) + 1) * INDEX_ENTRY.size
    position = lsda + len(handlers) * LSDA_ENTRY.size
    out = bytearray(HEADER.pack(1, HEADER.size, 0, HEADER.size, len(slots), index, len(pages) + 1))
    out += b"".join(slot.to_bytes(4, "little") for slot in slots)
    ordered = sorted(handlers.items())
    for page in pages:
        before = sum(start < page[0][0] for start in handlers)
        out += INDEX_ENTRY.pack(page[0][0], position, lsda + before * LSDA_ENTRY.size)
        position += PAGE_HEADER.size + len(page) * ENTRY.size
    last = max((start + size for start, size, _ in places), default=0)
    out += INDEX_ENTRY.pack(last, 0, lsda + len(handlers) * LSDA_ENTRY.size)
    out += b"".join(LSDA_ENTRY.pack(*row) for row in ordered)
    for page in pages:
        out += PAGE_HEADER.pack(REGULAR_PAGE, PAGE_HEADER.size, len(page))
        out += b"".join(ENTRY.pack(*entry) for entry in page)
    return bytes(out)
