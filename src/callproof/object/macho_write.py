"""Writing Mach-O relocatable objects for ARM64 macOS.

Takes the sections of our model, by kind, and puts those of one kind into one section of
Mach-O; each begins at a symbol, so that linkers may leave out or move what belongs to one
(MH_SUBSECTIONS_VIA_SYMBOLS).  C names get their underscore.  Facts: Apple's <mach-o/loader.h>,
nlist.h, reloc.h, arm64/reloc.h.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import pack_into

from callproof.object import macho_format as macho
from callproof.object.elf_write import StringTable
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.source import CallproofError, InternalError

MINIMUM_MACOS = 12 << 16
"""12.0, as 16.8.8 bits: the first whose loader follows offset-based chained fixups."""

CODE_FLAGS = macho.ATTR_PURE_INSTRUCTIONS | macho.ATTR_SOME_INSTRUCTIONS
COMPACT_SECTION = "__LD,__compact_unwind"
# kind -> (segment, section, flags), in order of the file; zero-filled sections come last.
PLACES: dict[str, tuple[str, str, int]] = {
    "code": ("__TEXT", "__text", CODE_FLAGS),
    "rodata": ("__TEXT", "__const", 0),
    "relocated": ("__DATA", "__const", 0),  # rodata with addresses in it: the loader writes them
    "data": ("__DATA", "__data", 0),
    "init_array": ("__DATA", "__mod_init_func", macho.S_MOD_INIT),
    "fini_array": ("__DATA", "__mod_term_func", macho.S_MOD_TERM),
    "unwind": ("__LD", "__compact_unwind", macho.ATTR_DEBUG),
    "debug": ("__DWARF", "", macho.ATTR_DEBUG),
    "bss": ("__DATA", "__bss", macho.S_ZEROFILL),
}
WIDTHS = {"R_AARCH64_ABS64": 8, "R_AARCH64_PREL64": 8, "R_AARCH64_ABS32": 4, "R_AARCH64_PREL32": 4}
CODE_TYPES = {
    "R_AARCH64_CALL26": macho.BRANCH26,
    "R_AARCH64_JUMP26": macho.BRANCH26,
    "R_AARCH64_ADR_PREL_PG_HI21": macho.PAGE21,
    "R_AARCH64_ADD_ABS_LO12_NC": macho.PAGEOFF12,
    **{f"R_AARCH64_LDST{8 << log2}_ABS_LO12_NC": macho.PAGEOFF12 for log2 in range(5)},
    "R_AARCH64_ADR_GOT_PAGE": macho.GOT_LOAD_PAGE21,
    "R_AARCH64_LD64_GOT_LO12_NC": macho.GOT_LOAD_PAGEOFF12,
}
RELATIVE_TYPES = frozenset((macho.BRANCH26, macho.PAGE21, macho.GOT_LOAD_PAGE21))
GOT_TYPES = frozenset((macho.GOT_LOAD_PAGE21, macho.GOT_LOAD_PAGEOFF12))
PRIVATE = ".L"  # our names that no other object and no debugger wants to know


@dataclass(slots=True)
class _Output:
    """A section of the file: our sections in it with their offsets."""

    segment: str
    name: str
    flags: int
    parts: list[tuple[Section, int]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    relocations: bytearray = field(default_factory=bytearray)
    size: int = 0
    alignment: int = 1
    address: int = 0
    offset: int = 0
    relocations_offset: int = 0

    @property
    def in_file(self) -> bool:
        return self.flags & macho.SECTION_TYPE != macho.S_ZEROFILL

    def add(self, section: Section) -> None:
        start = -(-self.size // section.alignment) * section.alignment
        self.parts.append((section, start))
        self.alignment = max(self.alignment, section.alignment)
        extent = len(section.data) if self.in_file else section.size
        if self.in_file:
            self.data += bytes(start - len(self.data)) + section.data
        self.size = start + extent


def _place(section: Section) -> tuple[str, str, int] | None:
    """Where a section goes; None: it is for ELF's readers only."""
    kind = section.kind
    if section.name == COMPACT_SECTION:
        kind = "unwind"
    elif kind == "rodata" and any(one.type == "R_AARCH64_ABS64" for one in section.relocations):
        kind = "relocated"
    elif kind == "debug":
        name = "__" + section.name.removeprefix(".")
        return "__DWARF", name[:16], macho.ATTR_DEBUG
    if kind in ("other", "note"):
        return None
    found = PLACES.get(kind)
    if found is None:
        raise CallproofError(f"section {section.name}: Mach-O objects with {kind} are not written")
    return found


def write_macho(file: ObjectFile) -> bytes:
    """The bytes of a relocatable object.

    Raises `CallproofError` for what the format cannot say (addends of more than 24 bits).
    """
    return _Writer(file).write()


class _Writer:
    __slots__ = ("file", "first_symbol", "numbers", "outputs", "placed", "symbols")

    def __init__(self, file: ObjectFile) -> None:
        self.file = file
        self.outputs: list[_Output] = []
        self.placed: dict[int, tuple[_Output, int]] = {}  # id(section) -> (output, offset)
        self.symbols: list[Symbol] = []
        self.numbers: dict[int, int] = {}  # id(symbol) -> its number
        self.first_symbol: dict[int, Symbol] = {}  # id(section) -> a symbol at its start

    def write(self) -> bytes:
        through_got(self.file)
        self._arrange()
        self._number_symbols()
        for output in self.outputs:
            for section, start in output.parts:
                for relocation in section.relocations:
                    self._relocate(output, section, start, relocation)
        return self._assemble()

    def _arrange(self) -> None:
        found: dict[tuple[str, str, int], _Output] = {}
        for section in self.file.sections:
            place = _place(section)
            if place is not None:
                output = found.setdefault(place, _Output(*place))
                output.add(section)
                self.placed[id(section)] = (output, output.parts[-1][1])
        order = {(segment, name): at for at, (segment, name, _) in enumerate(PLACES.values())}
        debug = order["__DWARF", ""]
        self.outputs = sorted(
            found.values(), key=lambda one: order.get((one.segment, one.name), debug)
        )
        address = 0
        for output in self.outputs:
            address = -(-address // output.alignment) * output.alignment
            output.address = address
            address += output.size

    def _number_symbols(self) -> None:
        """Local ones first, then those that are defined, then those that are not."""
        ranks: tuple[list[Symbol], list[Symbol], list[Symbol]] = ([], [], [])
        for symbol in self.file.symbols:
            section = symbol.section
            if symbol.kind in ("section", "file"):
                continue
            if section is not None and id(section) not in self.placed:
                continue
            if section is not None and not symbol.value:
                self.first_symbol.setdefault(id(section), symbol)
            ranks[_rank(symbol)].append(symbol)
        self.symbols = [symbol for rank in ranks for symbol in rank]
        self.numbers = {id(symbol): number for number, symbol in enumerate(self.symbols)}

    # --- relocations ---------------------------------------------------------------------

    def _fail(self, section: Section, relocation: Relocation, why: str) -> CallproofError:
        return CallproofError(
            f"{self.file.name}: {section.name}+{relocation.offset:#x}: {relocation.type} to "
            f"'{relocation.symbol.name}': {why}"
        )

    def _relocate(
        self, output: _Output, section: Section, start: int, relocation: Relocation
    ) -> None:
        at = start + relocation.offset
        symbol, addend = relocation.symbol, relocation.addend
        width = WIDTHS.get(relocation.type)
        if width is None:
            self._code(output, section, at, relocation)
            return
        target = self.placed.get(id(symbol.section)) if symbol.section is not None else None
        if symbol.kind == "section" and target is None:
            raise self._fail(section, relocation, "its section is not written")
        if target is not None and target[0].segment == "__DWARF":
            # Debuggers count from the section's start: nothing is left to a linker.
            value = target[1] + symbol.value + addend
            if "PREL" in relocation.type:
                raise self._fail(section, relocation, "a distance to debug information")
            self._store(output, section, relocation, at, width, value)
            return
        if "PREL" in relocation.type:
            addend += self._difference(output, section, relocation, at, width)
        elif width != 8:
            raise self._fail(section, relocation, "an address needs 8 bytes")
        # Debug information has addresses as places in a section: debuggers read it unlinked.
        if target is not None and (symbol.kind == "section" or section.kind == "debug"):
            addend += target[0].address + target[1] + symbol.value
            number, external = self.outputs.index(target[0]) + 1, False
        else:
            number, external = self._number(section, relocation, symbol), True
        self._store(output, section, relocation, at, width, addend)
        output.relocations += _entry(at, number, width, False, external, macho.UNSIGNED)

    def _difference(
        self, output: _Output, section: Section, relocation: Relocation, at: int, width: int
    ) -> int:
        """The first half of a difference, from a symbol of this section; what is to be added
        because the distance is counted from the place and not from that symbol."""
        base = self.first_symbol.get(id(section))
        if base is None:
            raise self._fail(section, relocation, "no symbol is at the section's start")
        number = self._number(section, relocation, base)
        output.relocations += _entry(at, number, width, False, True, macho.SUBTRACTOR)
        return -relocation.offset

    def _store(
        self,
        output: _Output,
        section: Section,
        relocation: Relocation,
        at: int,
        width: int,
        value: int,
    ) -> None:
        bits = 8 * width
        if not -(1 << (bits - 1)) <= value < 1 << bits:
            raise self._fail(section, relocation, f"{value:#x} does not fit {bits} bits")
        output.data[at : at + width] = (value & ((1 << bits) - 1)).to_bytes(width, "little")

    def _code(self, output: _Output, section: Section, at: int, relocation: Relocation) -> None:
        type_ = CODE_TYPES.get(relocation.type)
        if type_ is None:
            raise self._fail(section, relocation, "Mach-O has no such relocation")
        number = self._number(section, relocation, relocation.symbol)
        addend = relocation.addend
        if addend:
            if type_ in GOT_TYPES or not -(1 << 23) <= addend < 1 << 23:
                raise self._fail(section, relocation, f"the addend {addend:#x} cannot be said")
            packed = addend & 0xFFFFFF
            output.relocations += _entry(at, packed, 4, False, False, macho.ADDEND)
        relative = type_ in RELATIVE_TYPES
        output.relocations += _entry(at, number, 4, relative, True, type_)

    def _number(self, section: Section, relocation: Relocation, symbol: Symbol) -> int:
        number = self.numbers.get(id(symbol))
        if number is None:
            raise InternalError(f"{section.name}: '{symbol.name}' is not in the symbol table")
        return number

    # --- the file ------------------------------------------------------------------------

    def _assemble(self) -> bytes:
        count = len(self.outputs)
        segment_size = macho.SEGMENT.size + count * macho.SECTION.size
        commands_size = (
            segment_size + macho.BUILD_VERSION.size + macho.SYMTAB.size + macho.DYSYMTAB.size
        )
        start = macho.HEADER.size + commands_size
        largest = max((output.alignment for output in self.outputs), default=1)
        body = bytearray(-(-start // largest) * largest)
        base = len(body)
        memory = 0
        for output in self.outputs:
            memory = output.address + output.size
            if output.in_file:
                body += bytes(base + output.address - len(body)) + output.data
                output.offset = base + output.address
        file_size = len(body) - base
        for output in self.outputs:
            if output.relocations:
                body += bytes(-len(body) % 8)
                output.relocations_offset = len(body)
                body += output.relocations
        body += bytes(-len(body) % 8)
        strings = StringTable()
        symbols_offset = len(body)
        for symbol in self.symbols:
            body += self._nlist(symbol, strings)
        strings_offset = len(body)
        body += strings.data
        body += bytes(-len(body) % 8)
        strings_size = len(body) - strings_offset
        macho.HEADER.pack_into(
            body,
            0,
            macho.MAGIC_64,
            macho.CPU_ARM64,
            macho.CPU_SUBTYPE_ALL,
            macho.MH_OBJECT,
            4,
            commands_size,
            macho.MH_SUBSECTIONS_VIA_SYMBOLS,
            0,
        )
        everything = macho.VM_READ | macho.VM_WRITE | macho.VM_EXECUTE
        at = macho.HEADER.size
        macho.SEGMENT.pack_into(
            body,
            at,
            macho.LC_SEGMENT_64,
            segment_size,
            b"",
            0,
            memory,
            base,
            file_size,
            everything,
            everything,
            count,
            0,
        )
        at += macho.SEGMENT.size
        for output in self.outputs:
            macho.SECTION.pack_into(body, at, *_section_header(output))
            at += macho.SECTION.size
        version = (macho.PLATFORM_MACOS, MINIMUM_MACOS, MINIMUM_MACOS, 0)
        size = macho.BUILD_VERSION.size
        macho.BUILD_VERSION.pack_into(body, at, macho.LC_BUILD_VERSION, size, *version)
        at += size
        macho.SYMTAB.pack_into(
            body,
            at,
            macho.LC_SYMTAB,
            macho.SYMTAB.size,
            symbols_offset,
            len(self.symbols),
            strings_offset,
            strings_size,
        )
        at += macho.SYMTAB.size
        ranks = [_rank(symbol) for symbol in self.symbols]
        firsts = [0, ranks.count(0), ranks.count(0) + ranks.count(1)]
        pack_into("<2I", body, at, macho.LC_DYSYMTAB, macho.DYSYMTAB.size)
        for rank, first in enumerate(firsts):
            pack_into("<2I", body, at + 8 + 8 * rank, first, ranks.count(rank))
        return bytes(body)

    def _nlist(self, symbol: Symbol, strings: StringTable) -> bytes:
        name = strings.add(external_name(symbol))
        type_, section, value = macho.N_UNDF, 0, 0
        if symbol.section is not None:
            output, start = self.placed[id(symbol.section)]
            section = self.outputs.index(output) + 1
            if section > 255:
                raise CallproofError(f"{self.file.name}: more than 255 sections")
            type_, value = macho.N_SECT, output.address + start + symbol.value
        elif symbol.absolute:
            type_, value = macho.N_ABS, symbol.value
        desc = 0
        if symbol.common:
            value, desc = symbol.common, (max(symbol.value, 1).bit_length() - 1) << 8
        elif symbol.binding == "weak":
            desc = macho.N_WEAK_DEF if symbol.is_defined else macho.N_WEAK_REF
        if symbol.binding != "local":
            type_ |= macho.N_EXT
            if symbol.visibility in ("hidden", "internal") and symbol.is_defined:
                type_ |= macho.N_PEXT
        return macho.NLIST.pack(name, type_, section, desc, value)


def external_name(symbol: Symbol) -> str:
    """As Mach-O has it: `_name`; a private name with the `l` that linkers leave out."""
    if symbol.binding == "local" and symbol.name.startswith(PRIVATE):
        return "l_" + symbol.name.removeprefix(PRIVATE)
    return "_" + symbol.name


def _rank(symbol: Symbol) -> int:
    if symbol.binding == "local":
        return 0
    return 1 if symbol.section is not None or symbol.absolute else 2


def _entry(at: int, number: int, width: int, relative: bool, external: bool, type_: int) -> bytes:
    log2 = width.bit_length() - 1
    packed = number | relative << 24 | log2 << 25 | external << 27 | type_ << 28
    return macho.RELOCATION.pack(at, packed)


def _section_header(output: _Output) -> tuple[bytes | int, ...]:
    return (
        output.name.encode(),
        output.segment.encode(),
        output.address,
        output.size,
        output.offset,
        output.alignment.bit_length() - 1,
        output.relocations_offset,
        len(output.relocations) // macho.RELOCATION.size,
        output.flags,
        0,
        0,
        0,
    )


PAGE, ADD = "R_AARCH64_ADR_PREL_PG_HI21", "R_AARCH64_ADD_ABS_LO12_NC"
GOT_PAGE, GOT_LOAD = "R_AARCH64_ADR_GOT_PAGE", "R_AARCH64_LD64_GOT_LO12_NC"
IMMEDIATE = 0xFFF << 10


def through_got(file: ObjectFile, wanted: frozenset[int] | None = None) -> None:
    """Let code that makes the address of what is not defined here load it, in place.

    A library's function or datum may be anywhere, so `adrp, add` becomes `adrp, ldr` with the
    GOT's slot; linkers turn that back for what they find near.  A section that uses the address
    in another way too (a load right from it, an addend) is left alone: only what is linked
    with it can be meant.  `wanted`: ids of the symbols; None: all that are undefined.
    """
    for section in file.sections:
        if section.kind != "code":
            continue
        groups: dict[int, list[Relocation]] = {}
        for relocation in section.relocations:
            symbol = relocation.symbol
            is_meant = not symbol.is_defined if wanted is None else id(symbol) in wanted
            if is_meant and relocation.type not in ("R_AARCH64_CALL26", "R_AARCH64_JUMP26"):
                groups.setdefault(id(symbol), []).append(relocation)
        for group in groups.values():
            if any(one.type not in (PAGE, ADD) or one.addend for one in group):
                continue
            code = bytearray(section.data)
            for one in group:
                if one.type == PAGE:
                    one.type = GOT_PAGE
                    continue
                word = int.from_bytes(code[one.offset : one.offset + 4], "little")
                if word & 0xFFC00000 != 0x91000000:
                    raise InternalError(f"{section.name}+{one.offset:#x}: no ADD of an address")
                word = 0xF9400000 | word & 0x3FF  # add x, y, lo12 -> ldr x, [y, slot]
                code[one.offset : one.offset + 4] = word.to_bytes(4, "little")
                one.type = GOT_LOAD
            section.data = bytes(code)
