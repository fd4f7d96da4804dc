"""Reading ELF64 relocatable objects from anybody; nothing in the input is trusted."""

from __future__ import annotations

from struct import Struct

from callproof.object import elf_format as elf
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.source import CallproofError


class Reader:
    """Bounds-checked access to a file's bytes; also `macho_read`'s."""

    __slots__ = ("claimed", "data", "name")

    def __init__(self, data: bytes | memoryview, name: str) -> None:
        self.data = memoryview(data)
        self.name = name
        self.claimed = 0

    def fail(self, message: str, offset: int | None = None) -> CallproofError:
        place = "" if offset is None else f" (at offset {offset:#x})"
        return CallproofError(f"{self.name}: {message}{place}")

    def slice(self, offset: int, size: int, what: str) -> memoryview:
        if offset < 0 or size < 0 or offset + size > len(self.data):
            raise self.fail(
                f"{what} of {size} bytes reaches beyond the end of the file "
                f"({len(self.data)} bytes)",
                offset,
            )
        return self.data[offset : offset + size]

    def claim(self, offset: int, size: int, what: str) -> memoryview:
        """A slice that is nobody else's: all of them together are no larger than the file.

        Else a small file could ask for any amount of work, by naming the same bytes often.
        """
        data = self.slice(offset, size, what)
        self.claimed += size
        if self.claimed > len(self.data):
            raise self.fail(f"{what} lies over other sections", offset)
        return data

    def unpack(self, form: Struct, offset: int, what: str) -> tuple[int, ...]:
        return form.unpack(self.slice(offset, form.size, what))


BITCODE = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")


def string_at(table: bytes, offset: int) -> str | None:
    """The NUL-terminated string at an offset of a string table; None if it is not inside."""
    if not 0 <= offset < max(len(table), 1):
        return None
    end = table.find(b"\0", offset)
    if end < 0:
        return "" if not table else None
    return table[offset:end].decode("utf-8", "surrogateescape")


def read_elf(data: bytes | memoryview, name: str, *, columns: bool = False) -> ObjectFile:
    """Parse a relocatable object.  Raises `CallproofError` with the file and offset.

    `columns`: its tables are to stay as they are, if that can be (see `columns.py`).
    """
    if columns:
        from callproof.object.elf_columns import read_columns

        found = read_columns(memoryview(data), name)
        if found is not None:
            return found
    reader = Reader(data, name)
    if bytes(reader.data[:4]) in BITCODE:
        raise reader.fail("LLVM bitcode (-flto), which needs its compiler: compile without -flto")
    if bytes(reader.data[:4]) != elf.MAGIC:
        raise reader.fail("not an ELF file", 0)
    header = reader.unpack(elf.HEADER, 0, "the ELF header")
    ident = bytes(reader.data[:16])
    if ident[4] != 2 or ident[5] != 1:
        raise reader.fail("not a 64-bit little-endian ELF file", 4)
    (
        type_,
        machine,
        _,
        _,
        _,
        section_offset,
        flags,
        _,
        _,
        _,
        entry,
        count,
        names_index,
    ) = header[1:]
    if type_ != elf.ET_REL:
        raise reader.fail("not a relocatable object (.o)", 16)
    if machine not in elf.MACHINE_NAMES:
        raise reader.fail(f"machine {machine} is neither AArch64 nor x86-64", 18)
    if count == 0 and section_offset == 0:
        return ObjectFile(name, elf.MACHINE_NAMES[machine])
    if entry != elf.SECTION.size:
        raise reader.fail(f"section headers of {entry} bytes", 58)
    if count == 0:  # many sections: the number stands in the first header
        count = reader.unpack(elf.SECTION, section_offset, "the first section header")[5]
    table = reader.slice(section_offset, count * elf.SECTION.size, "the section header table")
    headers = list(elf.SECTION.iter_unpack(table))
    if names_index == elf.SHN_XINDEX and headers:
        names_index = headers[0][6]
    if names_index >= len(headers):
        raise reader.fail(f"section {names_index}, that of the section names, does not exist", 62)
    return _Object(reader, headers, names_index, elf.MACHINE_NAMES[machine], flags).read()


class _Object:
    __slots__ = ("by_number", "file", "headers", "names", "reader")

    def __init__(
        self,
        reader: Reader,
        headers: list[tuple[int, ...]],
        names_index: int,
        machine: str,
        flags: int,
    ) -> None:
        self.reader = reader
        self.headers = headers
        self.file = ObjectFile(reader.name, machine, flags=flags)
        self.by_number: dict[int, Section] = {}
        self.names = self.contents(names_index, "the section names")

    def contents(self, number: int, what: str) -> bytes:
        header = self.headers[number]
        if header[1] == elf.SHT_NOBITS:
            raise self.reader.fail(f"{what} has no contents")
        return bytes(self.reader.slice(header[4], header[5], what))

    def section_name(self, number: int) -> str:
        name = string_at(self.names, self.headers[number][0])
        if name is None:
            raise self.reader.fail(f"section {number}: its name lies outside the section names")
        return name

    def read(self) -> ObjectFile:
        reader = self.reader
        symbol_tables = []
        relocations = []
        groups = []
        linked: list[tuple[Section, int]] = []
        extended = None
        for number, header in enumerate(self.headers):
            type_, flags, offset, size, link, info, alignment, entry_size = (
                header[1],
                header[2],
                header[4],
                header[5],
                header[6],
                header[7],
                header[8],
                header[9],
            )
            if type_ in (elf.SHT_NULL, elf.SHT_STRTAB) or number == 0:
                continue
            if type_ == elf.SHT_SYMTAB_SHNDX:
                extended = number
                continue
            if type_ == elf.SHT_SYMTAB:
                symbol_tables.append(number)
            elif type_ == elf.SHT_RELA:
                relocations.append((number, info))
            elif type_ == elf.SHT_REL:
                raise reader.fail(f"section {number}: relocations without addends (SHT_REL)")
            elif type_ == elf.SHT_CREL:
                raise reader.fail(f"section {number}: compact relocations (SHT_CREL)")
            elif type_ == elf.SHT_GROUP:
                groups.append(number)
            else:
                name = self.section_name(number)
                if alignment & (alignment - 1) or alignment > 1 << 32:
                    raise reader.fail(f"section {name}: alignment {alignment}")
                if flags & elf.SHF_COMPRESSED:
                    continue  # only debug information is ever compressed
                is_empty = type_ == elf.SHT_NOBITS
                if is_empty and size > 1 << 40:
                    raise reader.fail(f"section {name} wants {size} bytes of memory")
                data = b"" if is_empty else reader.claim(offset, size, f"section {name}")
                section = Section(
                    name,
                    section_kind(name, type_, flags),
                    data,
                    max(alignment, 1),
                    size,
                    flags=flags,
                    elf_type=type_,
                    entry_size=entry_size,
                )
                self.by_number[number] = section
                self.file.sections.append(section)
                if flags & elf.SHF_LINK_ORDER:
                    linked.append((section, link))
        for section, link in linked:
            section.linked_to = self.by_number.get(link)
        if len(symbol_tables) > 1:
            raise reader.fail("two symbol tables")
        symbols = self.symbols(symbol_tables[0], extended) if symbol_tables else []
        self.file.symbols = [symbol for symbol in symbols if symbol.kind != "file"][1:]
        for number in groups:
            self.group(number, symbols)
        for number, target in relocations:
            self.relocations(number, target, symbols)
        return self.file

    def symbols(self, number: int, extended: int | None) -> list[Symbol]:
        """`extended` holds the section numbers that do not fit into the table (SHN_XINDEX)."""
        reader = self.reader
        wide = b"" if extended is None else self.contents(extended, "the wide section numbers")
        header = self.headers[number]
        if not 0 < header[6] < len(self.headers):
            raise reader.fail(f"symbol table: its names are in section {header[6]}, which is not")
        strings = self.contents(header[6], "the symbol names")
        table = reader.slice(header[4], header[5], "the symbol table")
        if len(table) % elf.SYMBOL.size:
            raise reader.fail(f"the symbol table has {len(table)} bytes", header[4])
        symbols = []
        for index, row in enumerate(elf.SYMBOL.iter_unpack(table)):
            name_offset, info, other, section, value, size = row
            name = string_at(strings, name_offset)
            if name is None:
                raise reader.fail(f"symbol {index}: its name lies outside the symbol names")
            binding = elf.BINDINGS.get(info >> 4)
            kind = elf.KINDS.get(info & 15)
            if binding is None or kind is None:
                raise reader.fail(f"symbol {index} '{name}': binding or type {info:#x} is unknown")
            symbol = Symbol(
                name,
                value=value,
                size=size,
                binding=binding,
                kind=kind,
                visibility=elf.VISIBILITIES[other & 3],
                other=other & ~3,
            )
            is_wide = section == elf.SHN_XINDEX and 4 * index + 4 <= len(wide)
            if is_wide:
                section = int.from_bytes(wide[4 * index : 4 * index + 4], "little")
            elif name == "__gnu_lto_slim":
                raise reader.fail("GCC's intermediate code (-flto): compile without -flto")
            if section == elf.SHN_ABS and not is_wide:
                symbol.absolute = True
            elif section in elf.COMMONS and not is_wide:
                if value & (value - 1) or value > 1 << 32:
                    raise reader.fail(f"symbol '{name}' wants an alignment of {value}")
                symbol.common = max(size, 1)
                symbol.kind = "tls" if kind == "tls" else "object"
            elif section >= elf.SHN_LORESERVE and not is_wide:
                raise reader.fail(f"symbol '{name}': section number {section:#x} is not supported")
            elif section != elf.SHN_UNDEF:
                symbol.section = self.by_number.get(section)
                if symbol.section is None:
                    if section >= len(self.headers):
                        raise reader.fail(
                            f"symbol '{name}' lies in section {section}, which is not"
                        )
                    symbol.absolute = True  # in a section that nobody loads, such as a group
                elif value >> 62:
                    raise reader.fail(f"symbol '{name}' lies {value:#x} bytes behind its section")
                elif not symbol.name and kind == "section":
                    symbol.name = symbol.section.name
            symbols.append(symbol)
        return symbols

    def group(self, number: int, symbols: list[Symbol]) -> None:
        header = self.headers[number]
        data = self.contents(number, "a section group")
        if len(data) % 4 or len(data) < 4:
            raise self.reader.fail(f"section {number}: a group of {len(data)} bytes", header[4])
        words = memoryview(data).cast("I")
        if not words[0] & elf.GRP_COMDAT:
            return
        if header[7] >= len(symbols):
            raise self.reader.fail(f"section {number}: the group's symbol does not exist")
        for member in words[1:]:
            section = self.by_number.get(member)
            if section is not None:
                section.group = symbols[header[7]].name

    def relocations(self, number: int, target: int, symbols: list[Symbol]) -> None:
        reader = self.reader
        section = self.by_number.get(target)
        if section is None:
            if target >= len(self.headers):
                raise reader.fail(f"section {number} relocates section {target}, which is not")
            return
        header = self.headers[number]
        table = reader.claim(header[4], header[5], f"the relocations of {section.name}")
        if len(table) % elf.RELA.size:
            raise reader.fail(f"relocations of {section.name}: {len(table)} bytes", header[4])
        names = elf.RELOCATION_NAMES[self.file.machine]
        limit = len(section.data)
        for offset, info, addend in elf.RELA.iter_unpack(table):
            index, type_ = info >> 32, info & 0xFFFFFFFF
            if index >= len(symbols):
                raise reader.fail(f"{section.name}+{offset:#x}: symbol {index} does not exist")
            if offset >= limit:
                raise reader.fail(f"{section.name}+{offset:#x}: a relocation beyond the section")
            name = names.get(type_)
            if name is None:
                raise reader.fail(f"{section.name}+{offset:#x}: relocation type {type_} is unknown")
            section.relocations.append(Relocation(offset, name, symbols[index], addend))


def section_kind(name: str, type_: int, flags: int) -> str:
    if not flags & elf.SHF_ALLOC or flags & elf.SHF_EXCLUDE:
        return "debug" if name.startswith(".debug") else "other"
    if type_ in ARRAYS:
        return ARRAYS[type_]
    for prefix, kind in OLD_ARRAYS:
        if name == prefix or name.startswith(prefix + "."):
            return kind
    is_empty = type_ == elf.SHT_NOBITS
    if flags & elf.SHF_TLS:
        return "tbss" if is_empty else "tdata"
    if type_ == elf.SHT_NOTE:
        return "note"
    if flags & elf.SHF_EXECINSTR:
        return "code"
    if flags & elf.SHF_WRITE:
        return "bss" if is_empty else "data"
    return "bss" if is_empty else "rodata"


ARRAYS = {
    elf.SHT_INIT_ARRAY: "init_array",
    elf.SHT_FINI_ARRAY: "fini_array",
    elf.SHT_PREINIT_ARRAY: "preinit_array",
}
OLD_ARRAYS = ((".init_array", "init_array"), (".fini_array", "fini_array"))
