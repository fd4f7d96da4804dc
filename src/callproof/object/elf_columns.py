"""Reading large ELF64 objects as columns (numpy): every row is checked, few become objects.

`read_columns` takes what compilers write.  Whatever is rarer than that, or not in order, it
leaves to `elf_read.read_elf`, which says what is wrong and where, or makes objects of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from callproof.object import elf_format as elf
from callproof.object.columns import ColumnObject, ColumnSection
from callproof.object.elf_read import section_kind

if TYPE_CHECKING:
    from callproof.object.columns import Rows

HEADERS = np.dtype(
    [
        *(("name", "<u4"), ("type", "<u4"), ("flags", "<u8"), ("address", "<u8")),
        *(("offset", "<u8"), ("size", "<u8"), ("link", "<u4"), ("info", "<u4")),
        *(("alignment", "<u8"), ("entry", "<u8")),
    ]
)
SYMBOLS = np.dtype(
    [
        *(("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2")),
        *(("value", "<u8"), ("size", "<u8")),
    ]
)
RELA = np.dtype([("offset", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])

LEAVE = frozenset((elf.SHT_REL, elf.SHT_CREL, elf.SHT_SYMTAB_SHNDX))
TABLES = frozenset((elf.SHT_NULL, elf.SHT_STRTAB, elf.SHT_SYMTAB, elf.SHT_RELA, elf.SHT_GROUP))
# Names of which `section_kind` knows more than type and flags.
NAMED = (".debug", ".init_array", ".fini_array")
LTO = b"__gnu_lto_slim"
NO_ROWS: Rows = np.zeros(0, RELA)


def table_of(numbers: Iterable[int], size: int) -> NDArray[np.bool_]:
    """Which numbers are among some."""
    table = np.zeros(size, np.bool_)
    table[list(numbers)] = True
    return table


# Which `info` of a symbol is known; which types of relocations are.
KNOWN_INFO = table_of([b << 4 | k for b in elf.BINDINGS for k in elf.KINDS], 256)
KNOWN_TYPES = {
    machine: table_of(names, max(names) + 1) for machine, names in elf.RELOCATION_NAMES.items()
}


def read_columns(data: memoryview, name: str) -> ColumnObject | None:
    """The object; None for one that `read_elf` is to read, or to refuse."""
    if len(data) < elf.HEADER.size:
        return None
    header = elf.HEADER.unpack_from(data, 0)
    ident, type_, machine, _, _, _, start, flags, _, _, _, entry, count, names = header
    if ident[:6] != elf.IDENT[:6] or type_ != elf.ET_REL or machine not in elf.MACHINE_NAMES:
        return None
    if entry != elf.SECTION.size or not 0 < names < count or start > len(data):
        return None
    if start + count * elf.SECTION.size > len(data):
        return None
    headers = np.frombuffer(data, HEADERS, count, start)
    is_inside = (headers["offset"] <= len(data)) & (headers["size"] <= len(data))
    is_inside &= headers["offset"] + headers["size"] <= len(data)
    if not (is_inside | (headers["type"] == elf.SHT_NOBITS))[1:].all():
        return None
    reader = _Reader(data, ColumnObject(name, elf.MACHINE_NAMES[machine], flags), headers)
    if not reader.read(names):
        return None
    reader.file.forget()
    return reader.file


class _Reader:
    """The steps of reading; each gives False where `read_elf` is to go on."""

    __slots__ = ("by_number", "claimed", "data", "file", "headers", "types")

    def __init__(self, data: memoryview, file: ColumnObject, headers: Rows) -> None:
        self.data = data
        self.file = file
        self.headers = headers
        self.types: list[int] = headers["type"].tolist()
        self.types[0] = elf.SHT_NULL  # whatever the first header says
        self.by_number: list[ColumnSection | None] = [None] * len(headers)
        self.claimed = 0
        file.view = data

    def bytes_of(self, number: int) -> bytes:
        header = self.headers[number]
        offset, size = int(header["offset"]), int(header["size"])
        return bytes(self.data[offset : offset + size])

    def read(self, names: int) -> bool:
        types = self.types
        if types[names] != elf.SHT_STRTAB or not LEAVE.isdisjoint(types):
            return False
        return (
            self.sections(self.bytes_of(names))
            and types.count(elf.SHT_SYMTAB) == 1
            and self.symbols(types.index(elf.SHT_SYMTAB))
            and self.groups()
            and self.rows()
        )

    def sections(self, names: bytes) -> bool:
        if not names or names[-1]:
            return False
        file, kinds, by_number = self.file, dict[tuple[int, int], str](), self.by_number
        add = file.sections.append
        linked: list[tuple[ColumnSection, int]] = []
        numbers = [number for number, type_ in enumerate(self.types) if type_ not in TABLES]
        headers = self.headers[numbers]
        alignment = headers["alignment"]
        is_odd = (alignment & (alignment - 1) != 0) | (alignment > 1 << 32)
        if (is_odd | (headers["name"] >= len(names))).any():
            return False
        text = names.decode() if names.isascii() else ""
        for number, row in zip(numbers, headers.tolist(), strict=True):
            name_at, type_, flags, _, offset, size, link, _, alignment, entry_size = row
            if flags & elf.SHF_COMPRESSED:
                continue  # only debug information is ever compressed
            if type_ == elf.SHT_NOBITS:
                if size > 1 << 40:
                    return False
                offset = -1
            else:
                self.claimed += size
            name = (
                text[name_at : text.find("\0", name_at)]
                if text
                else names[name_at : names.find(b"\0", name_at)].decode("utf-8", "surrogateescape")
            )
            kind = kinds.get((type_, flags))
            if kind is None or name.startswith(NAMED):
                kind = section_kind(name, type_, flags)
                if not name.startswith(NAMED):
                    kinds[type_, flags] = kind
            section = ColumnSection(
                file, name, kind, offset, size, alignment or 1, flags, type_, entry_size
            )
            by_number[number] = section
            add(section)
            if flags & elf.SHF_LINK_ORDER:
                linked.append((section, link))
        for section, link in linked:
            section.linked_to = by_number[link] if link < len(by_number) else None
        return self.claimed <= len(self.data)

    def symbols(self, number: int) -> bool:
        header = self.headers[number]
        offset, size, link, first = (int(header[one]) for one in ("offset", "size", "link", "info"))
        if not 0 < link < len(self.headers) or size % SYMBOLS.itemsize:
            return False
        if self.types[link] != elf.SHT_STRTAB:
            return False
        file = self.file
        table = file.table = np.frombuffer(self.data, SYMBOLS, size // SYMBOLS.itemsize, offset)
        strings = file.strings = self.bytes_of(link)
        if not strings or strings[-1] or LTO in strings or not 0 < first <= len(table):
            return False
        info, section, value = table["info"], table["section"], table["value"]
        is_odd = ~KNOWN_INFO[info] | (table["name"] >= len(strings)) | (value >> 62 != 0)
        is_odd[:first] |= info[:first] >> 4 != 0
        is_odd[first:] |= info[first:] >> 4 == 0
        outer_names = np.minimum(table["name"][first:], len(strings) - 1)
        is_odd[first:] |= np.frombuffer(strings, np.uint8)[outer_names] == 0  # without a name
        highest = int(section.max())
        if highest >= len(self.headers):
            is_special = section >= elf.SHN_LORESERVE
            is_odd |= ~is_special & (section >= len(self.headers))
            is_common = (section == elf.SHN_COMMON) | (section == elf.SHN_X86_64_LCOMMON)
            is_odd |= is_special & (section != elf.SHN_ABS) & ~is_common
            is_odd |= is_common & ((value & (value - 1) != 0) | (value > 1 << 32))
        if is_odd.any():
            return False
        homes = np.full(len(self.headers) + 1, -1, np.int32)
        homes[[at for at, one in enumerate(self.by_number) if one is not None]] = np.arange(
            len(file.sections)
        )
        file.homes = homes[np.minimum(section, len(self.headers))]
        file.has_choices = bool((info & 15 == 10).any())
        file.outer = file.made(first)
        return True

    def groups(self) -> bool:
        for number, type_ in enumerate(self.types):
            if type_ != elf.SHT_GROUP:
                continue
            data, info = self.bytes_of(number), int(self.headers["info"][number])
            if len(data) % 4 or len(data) < 4 or info >= len(self.file.table):
                return False
            words = memoryview(data).cast("I")
            if not words[0] & elf.GRP_COMDAT:
                continue
            for member in words[1:]:
                section = self.by_number[member] if member < len(self.by_number) else None
                if section is not None:
                    section.group = self.file.symbol(info).name
        return True

    def rows(self) -> bool:
        """All relocations, one table behind the other; most writers lay them out so."""
        file = self.file
        places: list[tuple[int, int]] = []
        total = end = 0
        tables = self.headers[[at for at, type_ in enumerate(self.types) if type_ == elf.SHT_RELA]]
        if (tables["info"] >= len(self.by_number)).any() or (tables["size"] % RELA.itemsize).any():
            return False
        shown = (tables["offset"].tolist(), tables["size"].tolist(), tables["info"].tolist())
        for offset, size, target in zip(*shown, strict=True):
            section = self.by_number[target]
            if section is None or not size:
                continue
            if section.count:
                return False  # two tables of one section
            self.claimed += size
            section.first, section.count = total, size // RELA.itemsize
            total += section.count
            file.relocated.append(section)
            if places and offset == end:
                places[-1] = places[-1][0], places[-1][1] + size
            else:
                places.append((offset, size))
            end = offset + size
        if self.claimed > len(self.data):
            return False
        if len(places) == 1:
            file.rows = np.frombuffer(self.data, RELA, total, places[0][0])
        elif places:
            joined = b"".join([self.data[at : at + size] for at, size in places])
            file.rows = np.frombuffer(joined, RELA)
        else:
            file.rows = NO_ROWS
            return True
        known = KNOWN_TYPES[file.machine]
        types = file.rows["type"]
        if int(types.max()) >= len(known) or not known[types].all():
            return False
        sizes = [one.size if one.start >= 0 else 0 for one in file.relocated]
        counts = [one.count for one in file.relocated]
        limits = np.array(sizes, np.uint64).repeat(counts)
        is_odd = (file.rows["offset"] >= limits) | (file.rows["symbol"] >= len(file.table))
        return not is_odd.any()
