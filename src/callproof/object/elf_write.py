"""Writing ELF64 relocatable objects.  Equal input gives equal bytes."""

from __future__ import annotations

from callproof.object import elf_format as elf
from callproof.object.model import ObjectFile, Section, Symbol
from callproof.source import InternalError

# kind -> (section type, flags)
SECTION_FACTS = {
    "code": (elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_EXECINSTR),
    "data": (elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_WRITE),
    "rodata": (elf.SHT_PROGBITS, elf.SHF_ALLOC),
    "bss": (elf.SHT_NOBITS, elf.SHF_ALLOC | elf.SHF_WRITE),
    "tdata": (elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_WRITE | elf.SHF_TLS),
    "tbss": (elf.SHT_NOBITS, elf.SHF_ALLOC | elf.SHF_WRITE | elf.SHF_TLS),
    "init_array": (elf.SHT_INIT_ARRAY, elf.SHF_ALLOC | elf.SHF_WRITE),
    "fini_array": (elf.SHT_FINI_ARRAY, elf.SHF_ALLOC | elf.SHF_WRITE),
    "preinit_array": (elf.SHT_PREINIT_ARRAY, elf.SHF_ALLOC | elf.SHF_WRITE),
    "note": (elf.SHT_NOTE, elf.SHF_ALLOC),
    "debug": (elf.SHT_PROGBITS, 0),
    "other": (elf.SHT_PROGBITS, 0),
}


class StringTable:
    """A section of NUL-terminated strings; equal strings are stored once."""

    __slots__ = ("_offsets", "data")

    def __init__(self) -> None:
        self.data = bytearray(1)
        self._offsets = {"": 0}

    def add(self, text: str) -> int:
        offset = self._offsets.get(text)
        if offset is None:
            offset = self._offsets[text] = len(self.data)
            self.data += text.encode(errors="surrogateescape") + b"\0"  # as it was read
        return offset


def write_elf(file: ObjectFile) -> bytes:
    """The bytes of an ELF64 relocatable object."""
    sections = list(file.sections)
    numbers = {id(section): index + 1 for index, section in enumerate(sections)}
    locals_ = [symbol for symbol in file.symbols if symbol.binding == "local"]
    others = [symbol for symbol in file.symbols if symbol.binding != "local"]
    ordered = locals_ + others
    symbol_numbers = {id(symbol): index + 1 for index, symbol in enumerate(ordered)}

    names, strings = StringTable(), StringTable()
    symbols = bytearray(elf.SYMBOL.size)
    for symbol in ordered:
        symbols += _symbol(symbol, strings, numbers)

    relocation_types = elf.RELOCATION_NUMBERS[file.machine]
    headers = [bytes(elf.SECTION.size)]
    body = bytearray(elf.HEADER.size)

    def place(data: bytes | bytearray | memoryview, alignment: int) -> int:
        body.extend(bytes(-len(body) % max(alignment, 1)))
        offset = len(body)
        body.extend(data)
        return offset

    relocated: list[tuple[Section, int]] = []
    for section in sections:
        type_, flags = SECTION_FACTS[section.kind]
        is_empty = type_ == elf.SHT_NOBITS
        offset = place(b"" if is_empty else section.data, section.alignment)
        size = section.size if is_empty else len(section.data)
        headers.append(
            elf.SECTION.pack(
                names.add(section.name),
                section.elf_type or type_,
                flags | section.flags,
                0,
                offset,
                size,
                0,
                0,
                section.alignment,
                section.entry_size,
            )
        )
        if section.relocations:
            relocated.append((section, numbers[id(section)]))
    symbol_table = len(sections) + len(relocated) + 1
    for section, number in relocated:
        data = bytearray()
        for relocation in section.relocations:
            info = symbol_numbers.get(id(relocation.symbol))
            if info is None:
                raise InternalError(
                    f"{section.name} refers to '{relocation.symbol.name}', unlisted"
                )
            data += elf.RELA.pack(
                relocation.offset,
                info << 32 | relocation_types[relocation.type],
                relocation.addend,
            )
        headers.append(
            elf.SECTION.pack(
                names.add(f".rela{section.name}"),
                elf.SHT_RELA,
                elf.SHF_INFO_LINK,
                0,
                place(data, 8),
                len(data),
                symbol_table,
                number,
                8,
                elf.RELA.size,
            )
        )
    headers.append(
        elf.SECTION.pack(
            names.add(".symtab"),
            elf.SHT_SYMTAB,
            0,
            0,
            place(symbols, 8),
            len(symbols),
            symbol_table + 1,
            len(locals_) + 1,
            8,
            elf.SYMBOL.size,
        )
    )
    for name, table in ((".strtab", strings), (".shstrtab", names)):
        name_offset = names.add(name)
        headers.append(
            elf.SECTION.pack(
                name_offset,
                elf.SHT_STRTAB,
                0,
                0,
                place(table.data, 1),
                len(table.data),
                0,
                0,
                1,
                0,
            )
        )
    start = place(b"".join(headers), 8)
    body[: elf.HEADER.size] = elf.HEADER.pack(
        elf.IDENT,
        elf.ET_REL,
        elf.MACHINES[file.machine],
        1,
        0,
        0,
        start,
        file.flags,
        elf.HEADER.size,
        0,
        0,
        elf.SECTION.size,
        len(headers),
        len(headers) - 1,
    )
    return bytes(body)


def _symbol(symbol: Symbol, strings: StringTable, numbers: dict[int, int]) -> bytes:
    if symbol.section is not None:
        section = numbers[id(symbol.section)]
        if section >= elf.SHN_LORESERVE:
            raise InternalError("more than 65 279 sections in one object")
    elif symbol.absolute:
        section = elf.SHN_ABS
    elif symbol.common:
        section = elf.SHN_COMMON
    else:
        section = elf.SHN_UNDEF
    info = elf.BINDING_NUMBERS[symbol.binding] << 4 | elf.KIND_NUMBERS[symbol.kind]
    other = elf.VISIBILITIES.index(symbol.visibility) | symbol.other & ~3
    size = symbol.common or symbol.size
    return elf.SYMBOL.pack(strings.add(symbol.name), info, other, section, symbol.value, size)
