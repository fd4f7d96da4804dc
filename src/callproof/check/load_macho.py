"""Linked Mach-O files for ARM64 as images: segments, symbols, function starts, stubs."""

from __future__ import annotations

from struct import Struct

from callproof.check.image import Image, Region
from callproof.check.load_object import add_symbol
from callproof.object import macho_format as macho
from callproof.object.elf_read import Reader, string_at
from callproof.object.macho_commands import load_commands, section_headers, segment_fields

LC_DYSYMTAB, LC_FUNCTION_STARTS, LC_MAIN = 0xB, 0x26, 0x80000028
DYSYMTAB = Struct("<20I")
LINKEDIT_DATA = Struct("<4I")
MAIN = Struct("<2I2Q")
S_SYMBOL_STUBS = 0x8
N_WEAK_DEF = macho.N_WEAK_DEF


def image_of_macho(data: bytes | memoryview, name: str) -> Image:
    """Raises `CallproofError` with the file and offset for what is no such file."""
    return _Linked(Reader(data, name)).image


class _Linked:
    __slots__ = ("base", "image", "indirect", "names", "reader", "stubs")

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        header = reader.unpack(macho.HEADER, 0, "the Mach-O header")
        if header[1] != macho.CPU_ARM64:
            raise reader.fail(f"this is code for CPU type {header[1]:#x}, not for ARM64", 4)
        self.image = Image(reader.name)
        self.base: int | None = None
        self.names: list[str] = []
        self.indirect = (0, 0)
        self.stubs: list[tuple[int, int, int, int]] = []  # address, size, first, bytes each
        starts = None
        main = None
        for command, offset, length in load_commands(reader, header[4], header[5]):
            if command == macho.LC_SEGMENT_64:
                self.segment(offset, length)
            elif command == macho.LC_SYMTAB:
                self.symbols(*reader.unpack(macho.SYMTAB, offset, "the symbols")[2:])
            elif command == LC_DYSYMTAB:
                fields = reader.unpack(DYSYMTAB, offset, "the dynamic symbols")
                self.indirect = (fields[14], fields[15])
            elif command == LC_FUNCTION_STARTS:
                starts = reader.unpack(LINKEDIT_DATA, offset, "the function starts")[2:]
            elif command == LC_MAIN:
                main = reader.unpack(MAIN, offset, "the entry point")[2]
        self.image.finish()
        if not any(region.executable for region in self.image.regions):
            raise reader.fail("no code is in this file")
        if main is not None and self.base is not None:
            self.image.entry = self.base + main
        if starts is not None:
            self.function_starts(*starts)
        self.name_stubs()

    def segment(self, offset: int, length: int) -> None:
        reader = self.reader
        fields = segment_fields(reader, offset)
        if _text(fields[2]) == "__TEXT":
            assert isinstance(fields[3], int)
            self.base = fields[3]
        for header in section_headers(reader, offset, length):
            address, size, start = (int(n) for n in header[2:5])
            flags, first, each = (int(n) for n in header[8:11])
            kind = flags & macho.SECTION_TYPE
            if kind in (macho.S_ZEROFILL, macho.S_GB_ZEROFILL) or not size:
                continue
            code = bool(flags & (macho.ATTR_PURE_INSTRUCTIONS | macho.ATTR_SOME_INSTRUCTIONS))
            shown = f"{_text(header[1])},{_text(header[0])}"
            content = bytes(reader.slice(start, size, f"section {shown}"))
            self.image.regions.append(Region(address, content, code, shown))
            if kind == S_SYMBOL_STUBS and each:
                self.stubs.append((address, size, first, each))

    def symbols(self, offset: int, count: int, strings: int, strings_size: int) -> None:
        reader = self.reader
        names = bytes(reader.slice(strings, strings_size, "the string table"))
        table = reader.slice(offset, count * macho.NLIST.size, "the symbol table")
        for name_offset, type_, _, _, value in macho.NLIST.iter_unpack(table):
            name = (string_at(names, name_offset) or "").removeprefix("_")
            self.names.append(name)
            if type_ & macho.N_STAB or type_ & macho.N_TYPE != macho.N_SECT:
                continue
            binding = "global" if type_ & macho.N_EXT else "local"
            add_symbol(self.image, name, value, 0, "function", binding, False)

    def function_starts(self, offset: int, size: int) -> None:
        data = self.reader.slice(offset, size, "the function starts")
        address, value, shift = self.base or 0, 0, 0
        for byte in data:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte & 0x80:
                if shift > 63:
                    raise self.reader.fail("a function start is no number", offset)
                continue
            if value == 0:
                break
            address += value
            self.image.starts.add(address)
            value = shift = 0

    def name_stubs(self) -> None:
        offset, count = self.indirect
        table = self.reader.slice(offset, 4 * count, "the indirect symbols")
        words = memoryview(bytes(table)).cast("I")
        for address, size, first, each in self.stubs:
            for index in range(min(size // each, max(0, count - first))):
                number = words[first + index]
                if number < len(self.names):
                    self.image.externs[address + index * each] = self.names[number]


def _text(raw: object) -> str:
    assert isinstance(raw, bytes)
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
