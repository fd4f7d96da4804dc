"""Relocation: the values of addresses put into code and data.

S is the symbol's address, A the addend, P the place; Page(x) = x & ~0xFFF, as in
the ELF supplement for AArch64 (2024Q3, 5.7).  Thread-local offsets are from the
thread pointer: variant 1, the image begins at least 16 bytes behind it, at the first
address that is as far from a multiple of its alignment as the image's own is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from struct import Struct
from typing import TYPE_CHECKING

from callproof.link import got_arm64, tls_arm64
from callproof.link.arm64_fields import DATA, INSTRUCTIONS, OutOfRange, adrp, imm12, page
from callproof.link.image import Room, make_image, plain_room
from callproof.link.tombstones import empty_range, tombstone
from callproof.link.veneers import BRANCHES
from callproof.object.columns import ColumnSection
from callproof.object.model import Relocation, Section
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link.batch import Batch
    from callproof.link.layout import Layout, Piece
    from callproof.link.places import Places
    from callproof.link.resolve import Resolved

WORD, DOUBLE = Struct("<I"), Struct("<Q")
NOP = 0xD503201F
NO_SLOT = "nothing that is loaded has such an access to the GOT"
GotKey = tuple[str, "int | str", int]

GOT_RELOCATIONS = frozenset(
    (
        "R_AARCH64_ADR_GOT_PAGE",
        "R_AARCH64_LD64_GOT_LO12_NC",
        "R_AARCH64_LD64_GOTPAGE_LO15",
        "R_AARCH64_GOT_LD_PREL19",
    )
)
TLS_GOT_RELOCATIONS = frozenset(
    (
        "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21",
        "R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC",
        "R_AARCH64_TLSIE_LD_GOTTPREL_PREL19",
    )
)
# These end the sequences that get the address of a thread-local from __tls_get_addr.
TLS_CALLS = ("R_AARCH64_TLSGD_ADD_LO12_NC", "R_AARCH64_TLSLD_ADD_LO12_NC")
# Types whose instruction takes S + A and P alone.
PLAIN = {
    name: INSTRUCTIONS[name]
    for name in (
        "R_AARCH64_CALL26",
        "R_AARCH64_JUMP26",
        "R_AARCH64_ADR_PREL_PG_HI21",
        "R_AARCH64_ADD_ABS_LO12_NC",
        *(f"R_AARCH64_LDST{bits}_ABS_LO12_NC" for bits in (8, 16, 32, 64, 128)),
    )
}


@cache
def is_thread_local(type_: str) -> bool:
    """Whether relocations of a type are to thread-local variables."""
    return "TLS" in type_ or "TPOFF" in type_  # with DTPOFF and GOTTPOFF


def slot_key(resolved: Resolved, relocation: Relocation, thread: bool) -> GotKey:
    """What a slot of the GOT holds: an address, or a thread-local offset, of which symbol.

    On AArch64 the addend is added to the symbol, on x86-64 to the slot's address.
    """
    symbol = resolved.meaning(relocation.symbol)
    kind = "tls" if thread else "address"
    addend = relocation.addend if resolved.machine == "aarch64" else 0
    return kind, relocation.symbol.name if symbol is None else id(symbol), addend


def needed_got_slots(resolved: Resolved, sections: list[Section]) -> dict[GotKey, None]:
    """The GOT's slots, in order of first use."""
    if resolved.machine == "x86_64":
        from callproof.link import relocate_x64

        return relocate_x64.needed_got_slots(resolved, sections)
    slots: dict[GotKey, None] = {}
    types = GOT_RELOCATIONS | TLS_GOT_RELOCATIONS | tls_arm64.SEQUENCES
    for section, relocations in resolved.relocations_of(sections, types):
        if id(section) in resolved.live:
            relaxed = got_arm64.relaxed(resolved, section, relocations)
            for relocation in relocations:
                if relocation.offset in relaxed:
                    continue
                thread = relocation.type in TLS_GOT_RELOCATIONS
                thread |= tls_arm64.is_loaded(resolved, relocation)
                if thread or relocation.type in GOT_RELOCATIONS:
                    slots[slot_key(resolved, relocation, thread)] = None
    return slots


def _relocator(layout: Layout) -> Relocator:
    if layout.resolved.machine == "x86_64":
        from callproof.link.relocate_x64 import X64Relocator

        return X64Relocator(layout)
    return Relocator(layout)


def relocate(layout: Layout, room: Room = plain_room) -> None:
    """Make the image, apply all relocations, fill the GOT, write the veneers."""
    relocator = _relocator(layout)
    make_image(layout, room)
    left: dict[int, list[int] | None] = {}
    if layout.columns is not None:
        left = _batch(layout, layout.columns).run()
    for output in layout.outputs():
        for piece in output.pieces:
            _relocate(layout, relocator, piece, left)
        if output.kind == "code" and layout.veneers is not None:
            output.veneers = [
                (address, _veneer(address, target))
                for address, target in layout.veneers.planned()
                if output.address <= address < output.address + output.size
            ]
    if layout.dynamic is not None:
        layout.dynamic.finish(layout)
    for pieces in layout.unloaded.values():
        for piece in pieces:
            _relocate(layout, relocator, piece, left, loaded=False)


def _relocate(
    layout: Layout,
    relocator: Relocator,
    piece: Piece,
    left: dict[int, list[int] | None],
    *,
    loaded: bool = True,
) -> None:
    """What is to be done in a section one by one; `left` has it for those with columns."""
    section = piece.section
    if layout.columns is not None and layout.columns.source[section.number]:
        if section.number not in left:
            return
        rows = left[section.number]
        piece.data = layout.columns.view(piece)
        if rows is None:
            piece.data[:] = section.data
            relocations = section.relocations
        else:
            assert isinstance(section, ColumnSection)
            relocations = section.decoded(sorted(rows))
    else:
        relocations = section.relocations
    if not relocations:
        return
    relocator.begin(piece, relocations)
    if loaded:
        relocator.apply_all(piece, relocations)
        return
    for relocation in relocations:
        relocator.apply(piece, relocation, loaded=False)


def _batch(layout: Layout, places: Places) -> Batch:
    from callproof.link.batch import Batch

    if layout.resolved.machine == "x86_64":
        from callproof.link.batch_x64 import X64Rules

        return Batch(layout, places, X64Rules())
    from callproof.link.batch_arm64 import Arm64Rules

    return Batch(layout, places, Arm64Rules(layout.options.reach))


def _veneer(address: int, target: int) -> bytes:
    try:
        first = adrp(0x90000010, target, address)
    except OutOfRange:
        raise CallproofError(f"a veneer at {address:#x} does not reach {target:#x}") from None
    add = imm12(0x91000210, target)
    return WORD.pack(first) + WORD.pack(add) + WORD.pack(0xD61F0200)


class Relocator:
    """Applies AArch64 relocations; `relocate_x64.py` has the other machine's."""

    __slots__ = ("got_filled", "known", "layout", "piece", "relaxed", "thread_offset")

    piece: Piece

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.thread_offset = self.thread_pointer()
        self.got_filled: set[GotKey] = set()
        # id(symbol of a reference) -> its address, where that is all there is to know of it.
        self.known: dict[int, int] = {}
        self.relaxed = got_arm64.NONE

    def thread_pointer(self) -> int:
        """What to add to a thread-local's address for its offset from the thread pointer."""
        start, _, _, alignment = self.layout.tls
        return 16 + (start - 16) % alignment - start

    def begin(self, piece: Piece, relocations: Sequence[Relocation]) -> None:
        """Called before a section's relocations are applied; at least those of the GOT and of
        thread-locals are among these."""
        self.piece = piece
        self.relaxed = got_arm64.relaxed(self.layout.resolved, piece.section, relocations)

    def fail(self, piece: Piece, relocation: Relocation, why: str) -> CallproofError:
        resolved = self.layout.resolved
        owner = resolved.owner.get(id(piece.section))
        where = resolved.elsewhere(relocation.symbol, owner)
        return CallproofError(
            f"{owner.name if owner else '?'}: {piece.section.name}+{relocation.offset:#x}: "
            f"{relocation.type} to '{relocation.symbol.name}'{where}: {why}"
        )

    def value(self, piece: Piece, relocation: Relocation, loaded: bool) -> int | None:
        """S; None for a weak name without definition, or (in debug data) for what was left out."""
        folded = self.layout.resolved.folded
        known = self.known.get(id(relocation.symbol))
        if known is not None and (loaded or not folded) and not is_thread_local(relocation.type):
            return known
        symbol = self.layout.resolved.meaning(relocation.symbol)
        if symbol is None:
            address = self.layout.linker_symbol(relocation.symbol.name)
            if address is None and loaded and relocation.symbol.binding != "weak":
                raise self.fail(piece, relocation, "it is not defined anywhere")
            return address
        if not symbol.is_defined and symbol.binding == "local" and symbol.name:
            raise self.fail(piece, relocation, "a local symbol without definition")
        section = symbol.section
        if not loaded and id(section) in folded and piece.section.name != ".debug_line":
            return None  # lines are kept: breakpoints at any of the functions are to be hit
        if loaded and section is not None:
            is_thread = section.kind in ("tdata", "tbss")
            if is_thread != is_thread_local(relocation.type):
                what = "is thread-local, which this reference is not made for"
                if not is_thread:
                    what = "is not thread-local, but this reference is made for that"
                raise self.fail(piece, relocation, f"it {what}")
        if symbol.kind == "section" and id(symbol.section) in self.layout.resolved.moved:
            # The addend tells which part of the section is meant, and parts move alone.
            assert symbol.section is not None
            offset = symbol.value + relocation.addend
            address = self.layout.address_in(symbol.section, offset)
            if address is not None:
                address -= relocation.addend
        else:
            address = self.layout.address_of(symbol)
            if address is not None and not is_thread_local(relocation.type):
                self.known[id(relocation.symbol)] = address
        if address is None and loaded:
            raise self.fail(piece, relocation, "its section was discarded")
        return address

    def apply_all(self, piece: Piece, relocations: Sequence[Relocation]) -> None:
        """All relocations of a loaded section; the commonest ones without ceremony.

        What is plain gives the same as `apply`, and whatever is not in order is left to it.
        """
        known, reach, start = self.known, self.layout.options.reach, piece.address
        data = piece.data
        last = len(data) - 4
        for relocation in relocations:
            address = known.get(id(relocation.symbol))
            plain = PLAIN.get(relocation.type)
            offset = relocation.offset
            if address is None or plain is None or offset > last:
                self.apply(piece, relocation)
                continue
            value, place = address + relocation.addend, start + offset
            if relocation.type in BRANCHES and (
                not -reach <= value - place < reach or relocation.symbol.name == "__tls_get_addr"
            ):
                self.apply(piece, relocation)
                continue
            try:
                word = plain(WORD.unpack_from(data, offset)[0], value, place)
            except OutOfRange:
                self.apply(piece, relocation)  # tells it
                continue
            WORD.pack_into(data, offset, word)

    def apply(self, piece: Piece, relocation: Relocation, *, loaded: bool = True) -> None:
        type_ = relocation.type
        if type_ == "R_AARCH64_NONE":
            return
        address = self.value(piece, relocation, loaded)
        place = piece.address + relocation.offset
        data = piece.data
        width = DATA.get(type_)
        size = width[0] if width else 4
        if relocation.offset + size > len(data):
            raise self.fail(piece, relocation, "it reaches beyond its section")
        if width is not None:
            value = (address or 0) + relocation.addend
            if address is None and not loaded:
                value = 0 if width[1] else tombstone(piece.section, size)
                empty_range(piece.section, data, relocation.offset)
            if width[1] and address is not None:
                value -= place
            self.store(piece, relocation, size, value)
            return
        (word,) = WORD.unpack_from(data, relocation.offset)
        try:
            word = self.instruction(piece, relocation, word, address, place)
        except OutOfRange:
            target = f"{address:#x}" if address is not None else "an undefined name"
            raise self.fail(piece, relocation, f"{target} is out of reach of {place:#x}") from None
        WORD.pack_into(data, relocation.offset, word)

    def store(self, piece: Piece, relocation: Relocation, size: int, value: int) -> None:
        bits = 8 * size
        if size < 8 and not -(1 << (bits - 1)) <= value < 1 << bits:
            raise self.fail(piece, relocation, f"{value:#x} does not fit {bits} bits")
        self.put(piece, relocation.offset, size, value)

    def put(self, piece: Piece, offset: int, size: int, value: int) -> None:
        raw = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        piece.data[offset : offset + size] = raw

    def instruction(
        self,
        piece: Piece,
        relocation: Relocation,
        word: int,
        address: int | None,
        place: int,
    ) -> int:
        type_ = relocation.type
        value = (address or 0) + relocation.addend
        if tls_arm64.is_loaded(self.layout.resolved, relocation):
            return tls_arm64.load(self, relocation, value, place)
        if type_.startswith("R_AARCH64_TLSDESC_"):
            offset = value if address is None else self.thread(value)
            return self.relaxed_descriptor(piece, relocation, word, offset)
        if type_ in BRANCHES:
            if relocation.symbol.name == "__tls_get_addr" and self.is_tls_call(piece, relocation):
                return 0xD53BD041  # mrs x1, tpidr_el0; an `add x0, x1, x0` follows
            if address is None:
                return NOP  # a call of an undefined weak function goes on behind it
            symbol = self.layout.resolved.meaning(relocation.symbol)
            if symbol is not None and self.layout.veneers is not None:
                veneer = self.layout.veneers.target(piece, symbol, relocation.addend)
                reach = self.layout.options.reach
                if veneer is not None and not -reach <= value - place < reach:
                    value = veneer
        elif relocation.offset in self.relaxed and type_ in got_arm64.DIRECT:
            if type_ == got_arm64.LOAD:
                word = got_arm64.add_instead(word)
            type_ = got_arm64.DIRECT[type_]
        elif type_ in GOT_RELOCATIONS or type_ in TLS_GOT_RELOCATIONS:
            thread = type_ in TLS_GOT_RELOCATIONS
            value = self.slot(relocation, value, thread=thread, weak=address is None)
            if type_ == "R_AARCH64_LD64_GOTPAGE_LO15":
                got = self.layout.linker_symbol("_GLOBAL_OFFSET_TABLE_")
                value -= page(got or 0)
        elif type_.startswith("R_AARCH64_TLSLE_"):
            value = value if address is None else self.thread(value)
        elif "_DTPREL_" in type_:
            value -= self.layout.tls[0]
        elif type_.startswith(("R_AARCH64_TLSGD_", "R_AARCH64_TLSLD_")):
            offset = value if address is None else self.thread(value)
            if type_.startswith("R_AARCH64_TLSLD_"):
                offset = self.thread(self.layout.tls[0])
            return self.relaxed_call(piece, relocation, word, offset)
        apply = INSTRUCTIONS.get(type_)
        if apply is None:
            raise self.fail(piece, relocation, "this relocation is not supported")
        return apply(word, value, place)

    def thread(self, address: int) -> int:
        return address + self.thread_offset

    def slot(
        self, relocation: Relocation, value: int, *, thread: bool = False, weak: bool = False
    ) -> int:
        """The address of a GOT slot, filled with the value on first use.

        `weak`: the name is undefined, and the value therefore no place in the thread's image.
        """
        key = slot_key(self.layout.resolved, relocation, thread)
        address = self.layout.got.get(key)
        if address is None:
            raise self.fail(self.piece, relocation, NO_SLOT)
        if key not in self.got_filled:
            self.got_filled.add(key)
            section = self.layout.got_section
            assert section is not None
            piece = self.layout.places[id(section)]
            content = self.thread(value) if thread and not weak else value
            DOUBLE.pack_into(piece.data, address - piece.address, content & (1 << 64) - 1)
        return address

    def is_tls_call(self, piece: Piece, call: Relocation) -> bool:
        """Whether a call of __tls_get_addr ends a sequence that was made one without call.

        The ABI has a NOP behind it, whose place the addition takes.
        """
        offset = call.offset
        before = [
            r for r in piece.section.relocations if r.offset == offset - 4 and r.type in TLS_CALLS
        ]
        if not before:
            return False
        if bytes(piece.data[offset + 4 : offset + 8]) != WORD.pack(NOP):
            raise self.fail(piece, call, "no NOP behind the call")
        WORD.pack_into(piece.data, offset + 4, 0x8B000020)  # add x0, x1, x0
        return True

    def relaxed_call(self, piece: Piece, relocation: Relocation, word: int, offset: int) -> int:
        """`adrp x0; add x0, x0`, the argument of __tls_get_addr, made the offset itself."""
        if not 0 <= offset < 1 << 32:
            raise OutOfRange
        kind = relocation.type.rpartition("_TLS")[2][3:]
        if kind == "ADR_PAGE21" and word & 0x9F00001F == 0x90000000:
            return 0xD2A00000 | (offset >> 16) << 5  # movz x0, #hi, lsl #16
        if kind == "ADD_LO12_NC" and word & 0xFFC003FF == 0x91000000:
            return 0xF2800000 | (offset & 0xFFFF) << 5  # movk x0, #lo
        raise self.fail(piece, relocation, f"unexpected in a TLS sequence ({word:#010x})")

    def relaxed_descriptor(
        self, piece: Piece, relocation: Relocation, word: int, offset: int
    ) -> int:
        """A TLS descriptor's call sequence, relaxed to the offset itself in X0."""
        if not 0 <= offset < 1 << 32:
            raise OutOfRange
        kind = relocation.type.removeprefix("R_AARCH64_TLSDESC_")
        if kind == "ADR_PAGE21":
            return 0xD2A00000 | (offset >> 16) << 5  # movz x0, #hi, lsl #16
        if kind == "LD64_LO12":
            return 0xF2800000 | (offset & 0xFFFF) << 5  # movk x0, #lo
        if kind in ("ADD_LO12", "CALL"):
            return NOP
        raise self.fail(piece, relocation, f"unexpected in a TLS sequence ({word:#010x})")


__all__ = ["GotKey", "Relocator", "needed_got_slots", "relocate", "slot_key"]
