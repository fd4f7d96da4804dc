"""Addresses of a Mach-O program: input sections into output sections into segments.

    __PAGEZERO     4 GiB that nothing may touch
    __TEXT         the header, code, stubs, read-only data, how frames are left
    __DATA_CONST   what only the loader writes: the GOT, constants with addresses in them
    __DATA         data, zero-filled data
    __LINKEDIT     what the loader reads (macho_linkedit.py)

Segments begin at multiples of 16 KiB, Apple's page, in memory and in the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from callproof.link.macho_libraries import Library
from callproof.link.resolve import Resolved
from callproof.object import macho_format as macho
from callproof.object.macho_read import THREAD_VARIABLES
from callproof.object.model import Section, Symbol
from callproof.source import CallproofError

PAGE = 0x4000
BASE = 1 << 32  # of __TEXT, behind __PAGEZERO
STUB_SIZE = 12
LIMIT = 1 << 31  # of a program: ADRP reaches 4 GiB to either side, compact tables 2^32
HEADER_SYMBOLS = frozenset(("_mh_execute_header", "__dso_handle"))

TEXT, DATA_CONST, DATA = "__TEXT", "__DATA_CONST", "__DATA"
CODE = macho.ATTR_PURE_INSTRUCTIONS | macho.ATTR_SOME_INSTRUCTIONS
# (segment, section) -> flags, in the order of the file.
SECTIONS: dict[tuple[str, str], int] = {
    (TEXT, "__text"): CODE,
    (TEXT, "__stubs"): CODE | macho.S_SYMBOL_STUBS,
    (TEXT, "__const"): 0,
    (TEXT, "__cstring"): macho.S_CSTRING_LITERALS,
    (TEXT, "__unwind_info"): 0,
    (DATA_CONST, "__got"): macho.S_NON_LAZY_SYMBOL_POINTERS,
    (DATA_CONST, "__mod_init_func"): macho.S_MOD_INIT,
    (DATA_CONST, "__mod_term_func"): macho.S_MOD_TERM,
    (DATA_CONST, "__const"): 0,
    (DATA, "__data"): 0,
    (DATA, "__thread_vars"): macho.S_THREAD_LOCAL_VARIABLES,
    (DATA, "__thread_data"): macho.S_THREAD_LOCAL_REGULAR,
    (DATA, "__thread_bss"): macho.S_THREAD_LOCAL_ZEROFILL,
    (DATA, "__bss"): macho.S_ZEROFILL,
}
PROTECTION = {
    TEXT: macho.VM_READ | macho.VM_EXECUTE,
    DATA_CONST: macho.VM_READ | macho.VM_WRITE,
    DATA: macho.VM_READ | macho.VM_WRITE,
}
BY_KIND = {
    "code": (TEXT, "__text"),
    "rodata": (TEXT, "__const"),
    "init_array": (DATA_CONST, "__mod_init_func"),
    "fini_array": (DATA_CONST, "__mod_term_func"),
    "data": (DATA, "__data"),
    "tdata": (DATA, "__thread_data"),
    "tbss": (DATA, "__thread_bss"),
    "bss": (DATA, "__bss"),
}
# What each thread has a copy of: one piece of memory to the loader, from the first to the last.
THREAD_TEMPLATE = ((DATA, "__thread_data"), (DATA, "__thread_bss"))
DESCRIPTOR_SIZE = 24  # function, key, offset in the template; the loader fills in the first two
ZERO_FILLED = frozenset((macho.S_ZEROFILL, macho.S_THREAD_LOCAL_ZEROFILL))
NOT_LOADED = frozenset(("debug", "other", "note"))


@dataclass(slots=True)
class Piece:
    """An input section at its place; `data` is its own, relocated copy (empty for bss)."""

    section: Section
    size: int
    address: int = 0
    data: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Output:
    """A section of the program; `reserved` as its kind wants it (indirect symbols, stub size)."""

    segment: str
    name: str
    flags: int
    pieces: list[Piece] = field(default_factory=list)
    address: int = 0
    offset: int = 0
    size: int = 0
    alignment: int = 1
    reserved: tuple[int, int] = (0, 0)

    @property
    def in_file(self) -> bool:
        return self.flags & macho.SECTION_TYPE not in ZERO_FILLED

    def content(self) -> bytes:
        data = bytearray(self.size if self.in_file else 0)
        for piece in self.pieces:
            at = piece.address - self.address
            data[at : at + len(piece.data)] = piece.data
        return bytes(data)


@dataclass(slots=True)
class Segment:
    """Sizes are multiples of a page, in the file and in memory."""

    name: str
    outputs: list[Output]
    address: int = 0
    memory_size: int = 0
    offset: int = 0
    file_size: int = 0


@dataclass(frozen=True, slots=True)
class Import:
    """A name that the `library` of that number (from 1) gives; `weak`: the program can do
    without."""

    name: str
    weak: bool = False
    library: int = 1


@dataclass(slots=True)
class Program:
    """Everything placed.

    places   id(section) -> its piece
    libraries  that are loaded with it; libSystem is the first
    imports  by name, in order of first use
    stubs    names of imports that are called -> number of their stub
    slots    names (imports, and weak ones that nobody has) -> number of their slot in the GOT
    """

    resolved: Resolved
    segments: list[Segment] = field(default_factory=list)
    places: dict[int, Piece] = field(default_factory=dict)
    libraries: list[Library] = field(default_factory=list)
    imports: dict[str, Import] = field(default_factory=dict)
    stubs: dict[str, int] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)
    stubs_section: Section | None = None
    got_section: Section | None = None
    unwind_section: Section | None = None

    def outputs(self) -> list[Output]:
        return [output for segment in self.segments for output in segment.outputs]

    def output_at(self, address: int) -> tuple[int, Output]:
        """The section's number (from 1) and the section that holds an address, or its end."""
        found = None
        for number, output in enumerate(self.outputs(), 1):
            if output.address <= address <= output.address + output.size:
                found = (number, output)
                if address < output.address + output.size:
                    break
        if found is None:
            raise CallproofError(f"no section of the program holds {address:#x}")
        return found

    def address_of(self, symbol: Symbol) -> int | None:
        """The address of a definition; None if its section is not in the program."""
        if symbol.section is None:
            return symbol.value if symbol.absolute else None
        piece = self.places.get(id(symbol.section))
        return None if piece is None else piece.address + symbol.value

    def thread_template(self) -> int | None:
        """Where the thread-local variables' first values begin; None if there are none."""
        places = (
            one.address for one in self.outputs() if (one.segment, one.name) in THREAD_TEMPLATE
        )
        return next(places, None)

    def stub_address(self, name: str) -> int:
        assert self.stubs_section is not None
        return self.places[id(self.stubs_section)].address + STUB_SIZE * self.stubs[name]

    def slot_address(self, name: str) -> int:
        assert self.got_section is not None
        return self.places[id(self.got_section)].address + 8 * self.slots[name]


def has_addresses(section: Section) -> bool:
    """Whether the loader has to write to a section."""
    return any(one.type == "R_AARCH64_ABS64" for one in section.relocations)


def place_of(section: Section) -> tuple[str, str] | None:
    """Segment and section for an input section; None: it is not loaded."""
    if section.kind in NOT_LOADED:
        return None
    place = BY_KIND.get(section.kind)
    if place is None:
        raise CallproofError(f"section {section.name}: programs for macOS with {section.kind}")
    if section.kind == "rodata" and has_addresses(section):
        return DATA_CONST, "__const"
    if section.name in ("__DATA,__const", "__DATA_CONST,__const"):
        return DATA_CONST, "__const"
    if section.name == THREAD_VARIABLES:
        return DATA, "__thread_vars"
    if section.name == "__TEXT,__cstring":
        return TEXT, "__cstring"
    return place


def lay_out(program: Program, headers_size: int) -> None:
    """Make the output sections of all kept input sections, and give them addresses."""
    outputs: dict[tuple[str, str], Output] = {}
    resolved = program.resolved
    sections = [section for file in resolved.files for section in file.sections]
    sections += resolved.commons
    own = {
        id(program.stubs_section): (TEXT, "__stubs"),
        id(program.got_section): (DATA_CONST, "__got"),
        id(program.unwind_section): (TEXT, "__unwind_info"),
    }
    for section in sections:
        if id(section) not in resolved.live:
            continue
        place = own.get(id(section)) or place_of(section)
        if place is None:
            continue
        if section.alignment > PAGE:
            owner = resolved.owner.get(id(section))
            raise CallproofError(
                f"{owner.name if owner else ''}: section {section.name} wants an alignment of "
                f"{section.alignment}, more than a page of {PAGE}"
            )
        output = outputs.setdefault(place, Output(*place, SECTIONS[place]))
        piece = Piece(section, len(section.data) if output.in_file else section.size)
        output.pieces.append(piece)
        output.alignment = max(output.alignment, section.alignment)
        program.places[id(section)] = piece
    template = [outputs[place] for place in THREAD_TEMPLATE if place in outputs]
    for output in template:  # its start has to suit all of it
        output.alignment = max(one.alignment for one in template)
    variables = outputs.get((DATA, "__thread_vars"))
    if variables is not None:
        variables.alignment = 8  # compilers say 1 and mean that of their words
    order = list(SECTIONS)
    ordered = sorted(outputs, key=order.index)
    for name in PROTECTION:
        inside = [outputs[key] for key in ordered if key[0] == name]
        if inside or name == TEXT:
            program.segments.append(Segment(name, inside))
    _place(program, headers_size)


def _place(program: Program, headers_size: int) -> None:
    address, offset = BASE, 0
    for segment in program.segments:
        segment.address, segment.offset = address, offset
        position = address + (headers_size if segment.name == TEXT else 0)
        file_end = position
        for output in segment.outputs:
            position = -(-position // output.alignment) * output.alignment
            output.address = position
            output.offset = offset + position - address if output.in_file else 0
            for piece in output.pieces:
                alignment = piece.section.alignment
                position = -(-position // alignment) * alignment
                piece.address = position
                position += piece.size
            output.size = position - output.address
            if output.in_file:
                file_end = position
        segment.memory_size = -(-(position - address) // PAGE) * PAGE
        segment.file_size = -(-(file_end - address) // PAGE) * PAGE
        address += segment.memory_size
        offset += segment.file_size
    if address - BASE > LIMIT:
        pieces = program.places.values()
        section = max(pieces, key=lambda piece: piece.size).section
        owner = program.resolved.owner.get(id(section))
        raise CallproofError(
            f"the program is too large: it ends at {address:#x}; its largest is section "
            f"{section.name} of {owner.name if owner else 'the linker'}"
        )
