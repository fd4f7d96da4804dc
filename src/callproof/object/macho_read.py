"""Reading Mach-O relocatable objects for ARM64; nothing in the input is trusted.

The result is in the terms of our model: relocation types get the names of the ELF
supplement, C names lose their underscore, and addends that Mach-O keeps in the
section's bytes are taken out of them, so that `link/` works on such objects as on any.
"""

from __future__ import annotations

from bisect import bisect_right

from callproof.object import macho_format as macho
from callproof.object.elf_read import Reader, string_at
from callproof.object.macho_commands import load_commands, section_headers
from callproof.object.model import ObjectFile, Relocation, Section, Symbol

MOST_ALIGNMENT = 15  # log2 bytes, as Apple's linker has it
PLAIN = {
    macho.PAGE21: "R_AARCH64_ADR_PREL_PG_HI21",
    macho.GOT_LOAD_PAGE21: "R_AARCH64_ADR_GOT_PAGE",
    macho.GOT_LOAD_PAGEOFF12: "R_AARCH64_LD64_GOT_LO12_NC",
}
ABSOLUTE = {4: "R_AARCH64_ABS32", 8: "R_AARCH64_ABS64"}
RELATIVE = {4: "R_AARCH64_PREL32", 8: "R_AARCH64_PREL64"}
# Of a variable's descriptor in `THREAD_VARIABLES`, which is called for its address.
TLV_PAGE, TLV_LOAD = "ARM64_TLVP_LOAD_PAGE21", "ARM64_TLVP_LOAD_PAGEOFF12"
THREAD_LOCAL = {macho.TLVP_LOAD_PAGE21: TLV_PAGE, macho.TLVP_LOAD_PAGEOFF12: TLV_LOAD}
THREAD_VARIABLES = "__DATA,__thread_vars"
THREAD_KINDS = {
    macho.S_THREAD_LOCAL_REGULAR: "tdata",
    macho.S_THREAD_LOCAL_ZEROFILL: "tbss",
    macho.S_THREAD_LOCAL_VARIABLES: "data",
    macho.S_THREAD_LOCAL_POINTERS: "",
    macho.S_THREAD_LOCAL_INITIALISERS: "",
}
# Segments and sections that no program refers to when it runs.
DESCRIPTIONS = {"__DWARF": "debug", "__LD": "other", "__LLVM": "other"}


def is_macho(data: bytes | memoryview) -> bool:
    """Whether the first bytes are those of a 64-bit Mach-O file or of a fat one."""
    start = bytes(data[:4])
    return start in (
        macho.MAGIC_64.to_bytes(4, "little"),
        macho.FAT_MAGIC.to_bytes(4, "big"),
    )


def read_macho(
    data: bytes | memoryview,
    name: str,
    *,
    strip_underscore: bool = True,
    thread_locals: bool = False,
) -> ObjectFile:
    """Parse a relocatable object, or the ARM64 part of a fat one.

    `strip_underscore` takes the underscore off names, which Apple's C compilers put there.
    Without `thread_locals` objects with such variables are refused: for who does not know that
    the calls for their addresses change fewer registers.  Raises `CallproofError` with the
    file, what and where.
    """
    reader = Reader(data, name)
    if bytes(reader.data[:4]) == macho.FAT_MAGIC.to_bytes(4, "big"):
        reader = arm64_slice(reader)
    header = reader.unpack(macho.HEADER, 0, "the Mach-O header")
    magic, cpu, _, file_type, commands, commands_size = header[:6]
    if magic != macho.MAGIC_64:
        raise reader.fail("not a 64-bit little-endian Mach-O file", 0)
    if cpu != macho.CPU_ARM64:
        raise reader.fail(f"CPU type {cpu:#x} is not ARM64", 4)
    if file_type != macho.MH_OBJECT:
        raise reader.fail("not a relocatable object (.o)", 12)
    return _Object(reader, strip_underscore, thread_locals).read(commands, commands_size)


def arm64_slice(reader: Reader) -> Reader:
    """The part of a fat file for ARM64; raises `CallproofError` if there is none."""
    _, count = reader.unpack(macho.FAT_HEADER, 0, "the fat header")
    table = reader.slice(
        macho.FAT_HEADER.size, count * macho.FAT_ARCH.size, "the list of architectures"
    )
    for cpu, _, offset, size, _ in macho.FAT_ARCH.iter_unpack(table):
        if cpu == macho.CPU_ARM64:
            return Reader(reader.slice(offset, size, "the ARM64 part"), reader.name)
    raise reader.fail("the fat file has no part for ARM64")


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


class _Object:
    __slots__ = ("addresses", "file", "pending", "reader", "strip", "symbols", "threads")

    def __init__(self, reader: Reader, strip: bool, threads: bool) -> None:
        self.reader = reader
        self.strip = strip
        self.threads = threads
        self.file = ObjectFile(reader.name, "aarch64", format="mach-o")
        self.addresses: list[int] = []  # of each section, in the object's own address space
        self.symbols: list[Symbol | None] = []  # by index in the symbol table
        self.pending: list[tuple[int, int, int]] = []  # section index, reloff, nreloc

    def read(self, commands: int, size: int) -> ObjectFile:
        reader = self.reader
        symbol_table = None
        for command, offset, length in load_commands(reader, commands, size):
            if command == macho.LC_SEGMENT_64:
                for header in section_headers(reader, offset, length):
                    self.section(header)
            elif command == macho.LC_SYMTAB:
                symbol_table = reader.unpack(macho.SYMTAB, offset, "the symbol table command")
        if symbol_table is not None:
            self.symbol_table(*symbol_table[2:])
        for index, relocations, count in self.pending:
            self.relocations(index, relocations, count)
        return self.file

    # --- sections ------------------------------------------------------------------------

    def section(self, header: tuple[bytes | int, ...]) -> None:
        reader = self.reader
        assert isinstance(header[0], bytes) and isinstance(header[1], bytes)
        section_name, segment = _text(header[0]), _text(header[1])
        address, size, offset, align, relocations, count, flags = (int(n) for n in header[2:9])
        name = f"{segment},{section_name}"
        if align > MOST_ALIGNMENT:
            raise reader.fail(f"section {name} wants an alignment of 2**{align}")
        kind = self.kind(segment, section_name, flags)
        section = Section(name, kind, alignment=1 << align)
        if kind in ("bss", "tbss"):
            section.size = size
        else:
            section.data = reader.claim(offset, size, f"section {name}")
        self.file.sections.append(section)
        self.addresses.append(address)
        if count:
            self.pending.append((len(self.file.sections) - 1, relocations, count))

    def kind(self, segment: str, name: str, flags: int) -> str:
        type_ = flags & macho.SECTION_TYPE
        if segment in DESCRIPTIONS:
            return DESCRIPTIONS[segment]
        if flags & macho.ATTR_DEBUG:
            return "debug"
        if type_ in THREAD_KINDS:
            kind = THREAD_KINDS[type_] if self.threads else ""
            is_named = f"{segment},{name}" == THREAD_VARIABLES
            if not kind or is_named != (type_ == macho.S_THREAD_LOCAL_VARIABLES):
                raise self.reader.fail(
                    f"section {segment},{name} has thread-local variables, which are not supported"
                )
            return kind
        if type_ in (macho.S_ZEROFILL, macho.S_GB_ZEROFILL):
            return "bss"
        if type_ == macho.S_MOD_INIT:
            return "init_array"
        if type_ == macho.S_MOD_TERM:
            return "fini_array"
        if flags & (macho.ATTR_PURE_INSTRUCTIONS | macho.ATTR_SOME_INSTRUCTIONS):
            return "code"
        if name == "__eh_frame":
            return "other"
        return "rodata" if segment == "__TEXT" else "data"

    # --- symbols -------------------------------------------------------------------------

    def symbol_table(self, offset: int, count: int, strings: int, strings_size: int) -> None:
        reader = self.reader
        names = bytes(reader.slice(strings, strings_size, "the string table"))
        table = reader.slice(offset, count * macho.NLIST.size, "the symbol table")
        for number, entry in enumerate(macho.NLIST.iter_unpack(table)):
            symbol = self.symbol(number, names, *entry)
            self.symbols.append(symbol)
            if symbol is not None:
                self.file.symbols.append(symbol)
        self.sizes()

    def symbol(
        self,
        number: int,
        names: bytes,
        name_offset: int,
        type_: int,
        section: int,
        desc: int,
        value: int,
    ) -> Symbol | None:
        reader = self.reader
        if type_ & macho.N_STAB:
            return None  # for debuggers
        name = string_at(names, name_offset)
        if name is None:
            raise reader.fail(f"symbol {number}: its name lies outside the string table")
        external = bool(type_ & macho.N_EXT)
        if self.strip:
            name = name.removeprefix("_")
        symbol = Symbol(name, binding="global" if external else "local")
        if type_ & macho.N_PEXT:
            symbol.visibility = "hidden"
            symbol.binding = "global"
        kind = type_ & macho.N_TYPE
        if kind == macho.N_SECT:
            if not 1 <= section <= len(self.file.sections):
                raise reader.fail(f"symbol '{name}' is in section {section}, which does not exist")
            symbol.section = self.file.sections[section - 1]
            symbol.value = value - self.addresses[section - 1]
            extent = max(symbol.section.size, len(symbol.section.data))
            if not 0 <= symbol.value <= extent:
                raise reader.fail(f"symbol '{name}' lies outside its section")
            symbol.kind = "function" if symbol.section.kind == "code" else "object"
            if desc & macho.N_WEAK_DEF:
                symbol.binding = "weak"
        elif kind == macho.N_ABS:
            symbol.absolute, symbol.value = True, value
        elif kind == macho.N_UNDF:
            if value:
                symbol.common = value
                symbol.size = value
                symbol.value = 1 << (desc >> 8 & 0xF)
                symbol.kind = "object"
            elif desc & macho.N_WEAK_REF:
                symbol.binding = "weak"
        else:
            raise reader.fail(f"symbol '{name}' is of type {kind:#x}, which is not supported")
        return symbol

    def sizes(self) -> None:
        """Mach-O does not say them: to the next symbol, or to the end of the section."""
        by_section: dict[int, list[int]] = {}
        for symbol in self.file.symbols:
            if symbol.section is not None:
                by_section.setdefault(id(symbol.section), []).append(symbol.value)
        for places in by_section.values():
            places.sort()
        for symbol in self.file.symbols:
            if symbol.section is not None:
                places = by_section[id(symbol.section)]
                at = bisect_right(places, symbol.value)
                extent = max(symbol.section.size, len(symbol.section.data))
                symbol.size = (places[at] if at < len(places) else extent) - symbol.value

    # --- relocations -----------------------------------------------------------------------

    def relocations(self, index: int, offset: int, count: int) -> None:
        reader = self.reader
        section = self.file.sections[index]
        if section.kind in ("bss", "tbss"):
            raise reader.fail(f"section {section.name} has no bytes, but relocations")
        table = reader.claim(
            offset, count * macho.RELOCATION.size, f"the relocations of {section.name}"
        )
        data = bytearray(section.data)
        addend: int | None = None
        subtrahend: tuple[int, Symbol] | None = None
        for address, packed in macho.RELOCATION.iter_unpack(table):
            number, length = packed & 0xFFFFFF, 1 << (packed >> 25 & 3)
            external, type_ = bool(packed >> 27 & 1), packed >> 28
            if type_ == macho.ADDEND:
                addend = number - (1 << 24) if number >> 23 else number
                continue
            if address < 0 or address + length > len(data):
                raise reader.fail(f"a relocation lies outside section {section.name}", address)
            if type_ == macho.POINTER_TO_GOT and section.kind == "other":
                continue  # of a frame's handler of exceptions: nobody reads these sections
            if type_ == macho.SUBTRACTOR:
                subtrahend = (address, self.target(number, external, section)[0])
                continue
            if type_ == macho.UNSIGNED:
                relocation = self.data_relocation(
                    section, data, address, length, number, external, subtrahend
                )
            else:
                relocation = self.code_relocation(
                    section, data, address, type_, number, external, addend or 0
                )
            section.relocations.append(relocation)
            addend = subtrahend = None
        section.data = bytes(data)

    def target(self, number: int, external: bool, section: Section) -> tuple[Symbol, int]:
        """What a relocation refers to, and what is to be subtracted from an address there."""
        if external:
            if number >= len(self.symbols) or self.symbols[number] is None:
                raise self.reader.fail(
                    f"a relocation of {section.name} refers to symbol {number}, "
                    "which does not exist"
                )
            symbol = self.symbols[number]
            assert symbol is not None
            return symbol, 0
        if not 1 <= number <= len(self.file.sections):
            raise self.reader.fail(
                f"a relocation of {section.name} refers to section {number}, which does not exist"
            )
        return self.section_symbol(number - 1), self.addresses[number - 1]

    def section_symbol(self, index: int) -> Symbol:
        section = self.file.sections[index]
        for symbol in reversed(self.file.symbols):
            if symbol.kind == "section" and symbol.section is section:
                return symbol
        symbol = Symbol("", section, binding="local", kind="section")
        self.file.symbols.append(symbol)
        return symbol

    def data_relocation(
        self,
        section: Section,
        data: bytearray,
        address: int,
        length: int,
        number: int,
        external: bool,
        subtrahend: tuple[int, Symbol] | None,
    ) -> Relocation:
        """The addend lies in the section's bytes; of a section's address, as an address."""
        if length not in ABSOLUTE:
            raise self.reader.fail(f"section {section.name}: an address in {length} bytes", address)
        symbol, base = self.target(number, external, section)
        stored = int.from_bytes(data[address : address + length], "little", signed=True)
        data[address : address + length] = bytes(length)
        if subtrahend is None:
            return Relocation(address, ABSOLUTE[length], symbol, stored - base)
        place, other = subtrahend
        if place != address:
            raise self.reader.fail(f"section {section.name}: half a difference", place)
        if other.section is not section:
            raise self.reader.fail(
                f"section {section.name}: a difference from '{other.name}', "
                "which is in another section, is not supported",
                address,
            )
        # minuend - other = (minuend - place) + (place - other), and both of these are here.
        return Relocation(address, RELATIVE[length], symbol, stored - base + address - other.value)

    def code_relocation(
        self,
        section: Section,
        data: bytearray,
        address: int,
        type_: int,
        number: int,
        external: bool,
        addend: int,
    ) -> Relocation:
        reader = self.reader
        shown = macho.RELOCATION_NAMES[type_] if type_ < len(macho.RELOCATION_NAMES) else type_
        if not external:
            raise reader.fail(
                f"section {section.name}: a {shown} relocation without a symbol", address
            )
        if address % 4 or address + 4 > len(data):
            raise reader.fail(f"section {section.name}: no instruction is at a relocation", address)
        symbol, _ = self.target(number, external, section)
        word = int.from_bytes(data[address : address + 4], "little")
        if type_ == macho.BRANCH26:
            name = "R_AARCH64_CALL26" if word >> 31 else "R_AARCH64_JUMP26"
        elif type_ == macho.PAGEOFF12:
            name = _page_offset(word)
        elif type_ in PLAIN:
            name = PLAIN[type_]
        elif type_ in THREAD_LOCAL and self.threads:
            name = THREAD_LOCAL[type_]
        else:
            raise reader.fail(
                f"section {section.name}: relocation {shown} is not supported", address
            )
        return Relocation(address, name, symbol, addend)


def _page_offset(word: int) -> str:
    """By the instruction: ADD, or a load or store whose immediate is scaled by its size."""
    if word & 0x3B000000 != 0x39000000:
        return "R_AARCH64_ADD_ABS_LO12_NC"
    size = 1 << (word >> 30)
    if word >> 26 & 1 and word >> 23 & 1 and size == 1:
        size = 16  # Q registers: size 0, opc 1x
    return f"R_AARCH64_LDST{8 * size}_ABS_LO12_NC"
