"""Relocation of a Mach-O program: addresses into code, and what is left to the loader.

An address in data is a fixup: the loader adds how far the program was moved, or puts the
address of a library's function there.  Calls of libraries go through stubs, which load the
function's address from the GOT.  A load from the GOT of what the program itself has becomes
the address's computation, so that the GOT holds libraries' addresses only.

A thread-local variable is a descriptor, whose function gives the variable's address; code
loads the descriptor's address like one from the GOT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from callproof.link.arm64_fields import DATA, INSTRUCTIONS, OutOfRange
from callproof.link.macho_layout import (
    BASE,
    DESCRIPTOR_SIZE,
    HEADER_SYMBOLS,
    Import,
    Piece,
    Program,
)
from callproof.link.relocate import NOP, WORD
from callproof.link.resolve import Resolved
from callproof.object.macho_read import THREAD_VARIABLES, TLV_LOAD, TLV_PAGE
from callproof.object.macho_write import GOT_LOAD, GOT_PAGE, through_got
from callproof.object.model import Relocation, Section, Symbol
from callproof.source import CallproofError

BRANCHES = frozenset(("R_AARCH64_CALL26", "R_AARCH64_JUMP26"))
TLV_TYPES = {TLV_PAGE: GOT_PAGE, TLV_LOAD: GOT_LOAD}
GOT_TYPES = frozenset((GOT_PAGE, GOT_LOAD, *TLV_TYPES))
ABSOLUTE = "R_AARCH64_ABS64"
LARGEST_ADDEND = 0xFF  # of a bind: 8 bits


@dataclass(frozen=True, slots=True)
class Fixup:
    """At `address` the loader writes the address of `name` + `addend`; with no name, the
    program's own address `addend`, wherever it is then."""

    address: int
    name: str
    addend: int


def missing(resolved: Resolved, symbol: Symbol) -> bool:
    """Whether nothing in the program defines what a reference means."""
    meaning = resolved.meaning(symbol)
    return (meaning is None or not meaning.is_defined) and symbol.name not in HEADER_SYMBOLS


def find_imports(program: Program, system: Mapping[str, int]) -> None:
    """Which names come from which library, with their stubs and slots of the GOT, in order of
    use; `system`: all that there are, with the library's number."""
    resolved = program.resolved
    for file in resolved.files:
        absent = frozenset(id(one) for one in file.symbols if _is_absent(resolved, one))
        if absent:
            through_got(file, absent)
        for section in file.sections:
            if id(section) not in resolved.live:
                continue
            for relocation in section.relocations:
                if id(relocation.symbol) in absent:
                    _want(program, relocation, system)
    stubs = bytes(12 * len(program.stubs))
    if stubs:
        program.stubs_section = Section("__TEXT,__stubs", "code", stubs, alignment=4)
        resolved.make([program.stubs_section])
    if program.slots:
        got = bytes(8 * len(program.slots))
        program.got_section = Section("__DATA_CONST,__got", "data", got, alignment=8)
        resolved.make([program.got_section])


def _is_absent(resolved: Resolved, symbol: Symbol) -> bool:
    return not symbol.is_defined and bool(symbol.name) and missing(resolved, symbol)


def _want(program: Program, relocation: Relocation, system: Mapping[str, int]) -> None:
    name = program.resolved.wanted_name(relocation.symbol)
    is_there = name in system
    if is_there:
        is_weak = relocation.symbol.binding == "weak"
        known = program.imports.get(name)
        is_weak &= known is None or known.weak
        program.imports[name] = Import(name, is_weak, system[name])
    if relocation.type in BRANCHES:
        if is_there:
            program.stubs.setdefault(name, len(program.stubs))
            program.slots.setdefault(name, len(program.slots))
    elif relocation.type in GOT_TYPES:
        program.slots.setdefault(name, len(program.slots))


def relocate(program: Program) -> list[Fixup]:
    """Apply all relocations and write stubs and GOT; what the loader has to do, by address."""
    worker = _Relocator(program)
    for output in program.outputs():
        for piece in output.pieces:
            if output.in_file:
                piece.data = bytearray(piece.section.data)
    for output in program.outputs():
        for piece in output.pieces:
            for relocation in piece.section.relocations:
                worker.apply(piece, relocation)
    worker.stubs()
    for name in program.slots:
        if name in program.imports:
            worker.fixups.append(Fixup(program.slot_address(name), name, 0))
    return sorted(worker.fixups, key=lambda fixup: fixup.address)


class _Relocator:
    __slots__ = ("fixups", "program")

    def __init__(self, program: Program) -> None:
        self.program = program
        self.fixups: list[Fixup] = []

    def fail(self, piece: Piece, relocation: Relocation, why: str) -> CallproofError:
        owner = self.program.resolved.owner.get(id(piece.section))
        where = self.program.resolved.elsewhere(relocation.symbol, owner)
        return CallproofError(
            f"{owner.name if owner else '?'}: {piece.section.name}+{relocation.offset:#x}: "
            f"{relocation.type} to '{relocation.symbol.name}'{where}: {why}"
        )

    def value(self, piece: Piece, relocation: Relocation) -> int | None:
        """The address that a reference means; None for a library's and for a missing weak one."""
        symbol, program = relocation.symbol, self.program
        if not symbol.is_defined and symbol.name in HEADER_SYMBOLS:
            return BASE
        if missing(program.resolved, symbol):
            name = program.resolved.wanted_name(symbol)
            if name in program.imports:
                self.check_import(piece, relocation, program.imports[name])
                return None
            if symbol.binding == "weak":
                return None
            raise self.fail(piece, relocation, "it is not defined anywhere")
        meaning = program.resolved.meaning(symbol)
        address = None if meaning is None else program.address_of(meaning)
        if address is None:
            raise self.fail(piece, relocation, "its section is not in the program")
        self.check_thread_local(piece, relocation, meaning)
        return address

    def check_thread_local(
        self, piece: Piece, relocation: Relocation, meaning: Symbol | None
    ) -> None:
        """Variables of threads are referred to in their own way, by all of their files."""
        section = None if meaning is None else meaning.section
        is_variable = section is not None and section.name == THREAD_VARIABLES
        if (relocation.type in TLV_TYPES) != is_variable:
            what = "is thread-local, which this reference is not made for"
            if not is_variable:
                what = "is not thread-local, but this reference is made for that"
            raise self.fail(piece, relocation, f"it {what}")
        is_first_value = section is not None and section.kind in ("tdata", "tbss")
        if is_first_value and piece.section.name != THREAD_VARIABLES:
            raise self.fail(piece, relocation, "it is a thread-local variable's first value")

    def check_import(self, piece: Piece, relocation: Relocation, given: Import) -> None:
        """The same for a library's variable."""
        library = self.program.libraries[given.library - 1]
        is_variable = given.name in library.thread_locals
        if (relocation.type in TLV_TYPES) != is_variable:
            which = "thread-local" if is_variable else "not thread-local"
            raise self.fail(piece, relocation, f"it is {which} in {library.name}")

    def apply(self, piece: Piece, relocation: Relocation) -> None:
        address = self.value(piece, relocation)
        width = DATA.get(relocation.type)
        if relocation.offset + (width[0] if width else 4) > len(piece.data):
            raise self.fail(piece, relocation, "it reaches beyond its section")
        if relocation.type == ABSOLUTE:
            self.fixup(piece, relocation, address)
        elif width is not None:
            self.distance(piece, relocation, address, width)
        else:
            self.instruction(piece, relocation, address)

    def fixup(self, piece: Piece, relocation: Relocation, address: int | None) -> None:
        place = piece.address + relocation.offset
        if piece.section.name == THREAD_VARIABLES:
            part = relocation.offset % DESCRIPTOR_SIZE
            if part == DESCRIPTOR_SIZE - 8:
                self.thread_offset(piece, relocation, address)
                return
            if part or address is not None:
                raise self.fail(piece, relocation, "no descriptor of a variable is like this")
        if piece.section.kind == "code":
            raise self.fail(piece, relocation, "an address in code, which the loader cannot write")
        if place % 4:
            raise self.fail(piece, relocation, "the loader wants addresses at multiples of 4")
        name, value = "", relocation.addend
        if address is not None:
            value += address
            symbol = relocation.symbol
            meaning = self.program.resolved.meaning(symbol)
            if meaning is not None and meaning.absolute:
                piece.data[relocation.offset : relocation.offset + 8] = (
                    value & ((1 << 64) - 1)
                ).to_bytes(8, "little")
                return
            if not 0 <= value - BASE < 1 << 36:
                raise self.fail(piece, relocation, f"{value:#x} lies outside the program")
        else:
            name = self.program.resolved.wanted_name(relocation.symbol)
            if name not in self.program.imports:
                return  # weak, and nowhere: 0
            if not 0 <= value <= LARGEST_ADDEND:
                raise self.fail(piece, relocation, f"{value} bytes from a library's datum")
        self.fixups.append(Fixup(place, name, value))

    def thread_offset(self, piece: Piece, relocation: Relocation, address: int | None) -> None:
        """The address of a variable's first value becomes its offset from all of them."""
        meaning = self.program.resolved.meaning(relocation.symbol)
        section = None if meaning is None else meaning.section
        start = self.program.thread_template()
        if section is None or section.kind not in ("tdata", "tbss") or start is None:
            raise self.fail(piece, relocation, "it is no thread-local variable's first value")
        assert address is not None
        value = address + relocation.addend - start
        extent = max(section.size, len(section.data))
        assert meaning is not None
        if not 0 <= meaning.value + relocation.addend <= extent:
            raise self.fail(piece, relocation, "it lies outside its section")
        piece.data[relocation.offset : relocation.offset + 8] = value.to_bytes(8, "little")

    def distance(
        self, piece: Piece, relocation: Relocation, address: int | None, width: tuple[int, bool]
    ) -> None:
        size, relative = width
        if not relative:
            raise self.fail(piece, relocation, "an address takes 8 bytes")
        if address is None:
            raise self.fail(piece, relocation, "a distance to what is not in the program")
        value = address + relocation.addend - piece.address - relocation.offset
        if not -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
            raise self.fail(piece, relocation, f"{value:#x} does not fit {8 * size} bits")
        raw = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        piece.data[relocation.offset : relocation.offset + size] = raw

    def instruction(self, piece: Piece, relocation: Relocation, address: int | None) -> None:
        place, type_ = piece.address + relocation.offset, relocation.type
        (word,) = WORD.unpack_from(piece.data, relocation.offset)
        name = self.program.resolved.wanted_name(relocation.symbol)
        type_ = TLV_TYPES.get(type_, type_)
        apply = INSTRUCTIONS.get(type_)
        if apply is None:
            raise self.fail(piece, relocation, "this relocation is not supported")
        if type_ in GOT_TYPES and address is not None:
            apply = INSTRUCTIONS["R_AARCH64_ADR_PREL_PG_HI21"]
            if type_ == GOT_LOAD:
                if word & 0xFFC00000 != 0xF9400000:
                    raise self.fail(piece, relocation, f"not by an LDR of 64 bits ({word:#010x})")
                word = 0x91000000 | word & 0x3FF  # ldr x, [y, slot] -> add x, y, lo12
                apply = INSTRUCTIONS["R_AARCH64_ADD_ABS_LO12_NC"]
        elif address is None and type_ in BRANCHES:
            if name not in self.program.imports:
                # A call of a weak function that nobody has goes on behind it.
                WORD.pack_into(piece.data, relocation.offset, NOP)
                return
            address = self.program.stub_address(name)
        elif address is None and type_ in GOT_TYPES:
            address = self.program.slot_address(name)
        elif address is None:
            raise self.fail(
                piece, relocation, "a library's datum is used as if it were in the program"
            )
        try:
            word = apply(word, address + relocation.addend, place)
        except OutOfRange:
            raise self.fail(
                piece, relocation, f"{address:#x} is out of reach of {place:#x}"
            ) from None
        WORD.pack_into(piece.data, relocation.offset, word)

    def stubs(self) -> None:
        """adrp x16, slot; ldr x16, [x16, slot]; br x16: X16 is the linker's at calls."""
        program = self.program
        if program.stubs_section is None:
            return
        data = program.places[id(program.stubs_section)].data
        for name, number in program.stubs.items():
            place, slot = program.stub_address(name), program.slot_address(name)
            adrp = INSTRUCTIONS[GOT_PAGE](0x90000010, slot, place)
            ldr = INSTRUCTIONS[GOT_LOAD](0xF9400210, slot, place)
            for index, word in enumerate((adrp, ldr, 0xD61F0200)):
                WORD.pack_into(data, 12 * number + 4 * index, word)
