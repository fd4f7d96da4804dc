"""Linked ELF files (executables, shared objects) as images; nothing in them is trusted.

Section headers are used where there are any; a file without them is read by its
segments, and then functions come from dynamic symbols and calls.
"""

from __future__ import annotations

from callproof.check.frames import read_frames
from callproof.check.image import Image, Region
from callproof.check.load_object import VARIANT_PCS, add_symbol
from callproof.object import elf_format as elf
from callproof.object.elf_read import Reader, string_at
from callproof.run.functions import SECTION

SHT_DYNSYM = 11
MOST_HEADERS = 100_000
# By machine: relocations that put an address of this image, or a symbol's, into a pointer.
RELATIVE = {"aarch64": (1027, 1032), "x86_64": (8, 37)}
SYMBOLIC = {"aarch64": (257, 1025, 1026), "x86_64": (1, 6, 7)}
PROPERTY_FEATURE_1, BTI = 0xC0000000, 1
LANGUAGES = {".gopclntab": "go", ".note.go.buildid": "go", ".go.buildinfo": "go"}
GHC_RUNTIME = b"(GHC version %s for %s)"  # in a message of its run-time system, if stripped
MARKERS = (("caml_startup", "ocaml"), ("hs_init", "ghc"), ("runtime.morestack", "go"))


def image_of_elf(data: bytes | memoryview, name: str) -> Image:
    """Raises `CallproofError` with the file and offset for what is no such file."""
    return _Linked(Reader(data, name)).image


class _Linked:
    __slots__ = ("headers", "image", "names", "reader")

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        header = reader.unpack(elf.HEADER, 0, "the ELF header")
        (
            type_,
            machine,
            _,
            entry,
            ph_offset,
            sh_offset,
            _,
            _,
            ph_size,
            ph_count,
            sh_size,
            count,
            names,
        ) = header[1:]
        name = elf.MACHINE_NAMES.get(machine, f"machine {machine}")
        if name not in RELATIVE:
            raise reader.fail(f"this is code for {name}, not for AArch64 or x86-64", 18)
        if type_ not in (elf.ET_EXEC, elf.ET_DYN):
            raise reader.fail(f"an ELF file of type {type_} holds no code to check", 16)
        self.image = Image(reader.name, entry=entry or None, machine=name)
        self.headers: list[tuple[int, ...]] = []
        if sh_offset and sh_size == elf.SECTION.size:
            self.section_headers(sh_offset, count)
        self.names = b""
        if names == elf.SHN_XINDEX and self.headers:
            names = self.headers[0][6]
        if names < len(self.headers):
            self.names = self.content(names)
        loaded = self.segments(ph_offset, ph_size, ph_count)
        self.sections(loaded)
        self.image.finish()
        if not any(region.executable for region in self.image.regions):
            raise reader.fail("no code is in this file (a file of debug information only?)")
        self.tables()
        self.recognise()

    @property
    def is_arm(self) -> bool:
        return self.image.machine == "aarch64"

    def section_headers(self, offset: int, count: int) -> None:
        if count == 0:
            count = self.reader.unpack(elf.SECTION, offset, "the first section header")[5]
        if count > MOST_HEADERS:
            raise self.reader.fail(f"{count} section headers", offset)
        table = self.reader.slice(offset, count * elf.SECTION.size, "the section header table")
        self.headers = list(elf.SECTION.iter_unpack(table))

    def content(self, number: int) -> bytes:
        header = self.headers[number]
        if header[1] == elf.SHT_NOBITS:
            return b""
        return bytes(self.reader.slice(header[4], header[5], f"section {number}"))

    def name(self, number: int) -> str:
        return string_at(self.names, self.headers[number][0]) or f"section {number}"

    def segments(self, offset: int, size: int, count: int) -> list[tuple[int, bytes, bool]]:
        if count == 0:
            return []
        if size != elf.PROGRAM.size:
            raise self.reader.fail(f"program headers of {size} bytes", 54)
        table = self.reader.slice(offset, count * size, "the program header table")
        found = []
        for type_, flags, start, address, _, file_size, _, _ in elf.PROGRAM.iter_unpack(table):
            if type_ == elf.PT_LOAD and file_size:
                data = bytes(self.reader.slice(start, file_size, "a segment"))
                found.append((address, data, bool(flags & elf.PF_X)))
        return found

    def sections(self, loaded: list[tuple[int, bytes, bool]]) -> None:
        regions = self.image.regions
        for number, header in enumerate(self.headers):
            type_, flags, address, size = header[1], header[2], header[3], header[5]
            if not flags & elf.SHF_ALLOC or flags & elf.SHF_TLS or not size:
                continue
            if type_ in (elf.SHT_NOBITS, elf.SHT_NULL):
                continue
            code = bool(flags & elf.SHF_EXECINSTR)
            regions.append(Region(address, self.content(number), code, self.name(number)))
        if not any(region.executable for region in regions):
            regions.clear()
            for address, data, code in loaded:
                regions.append(Region(address, data, code, "segment"))

    def tables(self) -> None:
        for number, header in enumerate(self.headers):
            type_ = header[1]
            if type_ in (elf.SHT_SYMTAB, SHT_DYNSYM):
                self.symbols(number)
        for number, header in enumerate(self.headers):
            if header[1] == elf.SHT_RELA and header[2] & elf.SHF_ALLOC:
                self.relocations(number)
        for number, header in enumerate(self.headers):
            name = self.name(number)
            if name == ".eh_frame" and header[1] != elf.SHT_NOBITS and self.is_arm:
                self.image.frames += read_frames(self.image, self.content(number), header[3])
            elif name in (".init_array", ".fini_array") and header[1] != elf.SHT_NOBITS:
                words = self.content(number)
                for at in range(0, len(words) - 7, 8):
                    self.pointer(int.from_bytes(words[at : at + 8], "little"))
            elif name == ".note.gnu.property" and self.is_arm:
                self.property(self.content(number))
            elif name == SECTION:
                self.image.records = self.content(number)

    def rows(self, number: int) -> list[tuple[str, tuple[int, ...]]]:
        header = self.headers[number]
        strings = self.content(header[6]) if 0 < header[6] < len(self.headers) else b""
        table = self.content(number)
        table = table[: len(table) // elf.SYMBOL.size * elf.SYMBOL.size]
        return [(string_at(strings, row[0]) or "", row) for row in elf.SYMBOL.iter_unpack(table)]

    def symbols(self, number: int) -> None:
        image = self.image
        known = {(label.address, label.name) for label in image.labels}
        for name, (_, info, other, section, value, size) in self.rows(number):
            kind = elf.KINDS.get(info & 15, "none")
            binding = elf.BINDINGS.get(info >> 4, "local")
            if section == elf.SHN_UNDEF or image.region_at(value) is None:
                continue
            name = name.split("@", 1)[0]
            if (value, name) in known:
                continue
            known.add((value, name))
            add_symbol(image, name, value, size, kind, binding, bool(other & VARIANT_PCS))

    def pointer(self, address: int) -> None:
        if self.image.code_at(address) is not None:
            self.image.pointers.add(address)

    def relocations(self, number: int) -> None:
        header = self.headers[number]
        names = self.rows(header[6]) if 0 < header[6] < len(self.headers) else []
        table = self.content(number)
        table = table[: len(table) // elf.RELA.size * elf.RELA.size]
        for offset, info, addend in elf.RELA.iter_unpack(table):
            type_, index = info & 0xFFFFFFFF, info >> 32
            if type_ in RELATIVE[self.image.machine]:
                self.pointer(addend)
            elif type_ in SYMBOLIC[self.image.machine] and 0 < index < len(names):
                name, row = names[index]
                if row[3] != elf.SHN_UNDEF:
                    self.pointer(row[4] + addend)
                self.image.slots[offset] = name.split("@", 1)[0]

    def property(self, data: bytes) -> None:
        position = 16
        while position + 12 <= len(data):
            type_ = int.from_bytes(data[position : position + 4], "little")
            size = int.from_bytes(data[position + 4 : position + 8], "little")
            if type_ == PROPERTY_FEATURE_1:
                self.image.claims_bti = bool(data[position + 8] & BTI)
            position += 8 + -(-size // 8) * 8

    def recognise(self) -> None:
        for number in range(len(self.headers)):
            self.image.language = self.image.language or LANGUAGES.get(self.name(number), "")
        if not self.image.language:
            names = {label.name for label in self.image.labels}
            for marker, language in MARKERS:
                if marker in names:
                    self.image.language = language
            if any(name.startswith("caml") and name.endswith("__frametable") for name in names):
                self.image.language = "ocaml"  # a plugin, which has no startup code of its own
            elif any(name.endswith("_con_info") for name in names) or self.has(GHC_RUNTIME):
                self.image.language = "ghc"

    def has(self, text: bytes) -> bool:
        """Whether some data that is no code holds a text."""
        return any(text in region.data for region in self.image.regions if not region.executable)
