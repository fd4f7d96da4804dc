"""Relocation: the values of addresses put into code and data.

S is the symbol's address, A the addend, P the place; Page(x) = x & ~0xFFF, as in
the ELF supplement for AArch64 (2024Q3, 5.7).  Thread-local offsets are from the
thread pointer: variant 1, the image begins at least 16 bytes behind it, at the first
address that is as far from a multiple of its alignment as the image's own is.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from callproof.link import got_arm64, tls_arm64
from callproof.link.veneers import BRANCHES
from callproof.object.model import Relocation, Section
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link.layout import Layout, Piece
    from callproof.link.resolve import Resolved

WORD, DOUBLE = Struct("<I"), Struct("<Q")
NOP = 0xD503201F
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
# Debug information about code that was left out: 0 and 0 would end a list of ranges.
ENDS_LIST = (".debug_ranges", ".debug_loc")


class OutOfRange(Exception):
    """The value does not fit the field."""


def _page(address: int) -> int:
    return address & ~0xFFF


def _fits(value: int, bits: int) -> int:
    """Check a signed field; the value cut to its width."""
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise OutOfRange
    return value & ((1 << bits) - 1)


def _adr(word: int, value: int) -> int:
    value = _fits(value, 21)
    return word & 0x9F00001F | (value & 3) << 29 | value >> 2 << 5


def _adrp(word: int, value: int, place: int) -> int:
    return _adr(word, (_page(value) - _page(place)) >> 12)


def _imm12(word: int, value: int) -> int:
    return word & 0xFFC003FF | (value & 0xFFF) << 10


def _branch(word: int, distance: int, bits: int, shift: int) -> int:
    if distance & 3:
        raise OutOfRange
    mask = (1 << bits) - 1
    return word & ~(mask << shift) | _fits(distance >> 2, bits) << shift


def _lo15(word: int, value: int) -> int:
    """An offset of doublewords, up to 32 KiB."""
    if not 0 <= value < 1 << 15 or value & 7:
        raise OutOfRange
    return word & 0xFFC003FF | value >> 3 << 10


def _load_store(log2: int) -> Callable[[int, int, int], int]:
    def apply(word: int, value: int, place: int) -> int:
        del place
        if value & ((1 << log2) - 1):
            raise OutOfRange
        return _imm12(word, (value & 0xFFF) >> log2)

    return apply


def _move_wide(shift: int, *, check: bool) -> Callable[[int, int, int], int]:
    def apply(word: int, value: int, place: int) -> int:
        del place
        if check and value >> (shift + 16) not in (0,):
            raise OutOfRange
        return word & ~(0xFFFF << 5) | (value >> shift & 0xFFFF) << 5

    return apply


def _move_signed(shift: int) -> Callable[[int, int, int], int]:
    """MOVZ of the value or MOVN of its complement, by its sign."""

    def apply(word: int, value: int, place: int) -> int:
        del place
        if not -(1 << (shift + 16)) <= value < 1 << (shift + 16):
            raise OutOfRange
        word = word & ~(1 << 30) if value < 0 else word | 1 << 30
        bits = ~value if value < 0 else value
        return word & ~(0xFFFF << 5) | (bits >> shift & 0xFFFF) << 5

    return apply


def _move_relative(shift: int, *, check: bool) -> Callable[[int, int, int], int]:
    signed, plain = _move_signed(shift), _move_wide(shift, check=False)

    def apply(word: int, value: int, place: int) -> int:
        return (signed if check else plain)(word, value - place, place)

    return apply


def _hi12(word: int, value: int, place: int) -> int:
    del place
    if not 0 <= value < 1 << 24:
        raise OutOfRange
    return _imm12(word, value >> 12)


def _lo12_checked(log2: int) -> Callable[[int, int, int], int]:
    inner = _load_store(log2)

    def apply(word: int, value: int, place: int) -> int:
        if not 0 <= value < 1 << 12:
            raise OutOfRange
        return inner(word, value, place)

    return apply


# type -> (instruction word, S + A, P) -> instruction word
INSTRUCTIONS: dict[str, Callable[[int, int, int], int]] = {
    "R_AARCH64_CALL26": lambda w, v, p: _branch(w, v - p, 26, 0),
    "R_AARCH64_JUMP26": lambda w, v, p: _branch(w, v - p, 26, 0),
    "R_AARCH64_CONDBR19": lambda w, v, p: _branch(w, v - p, 19, 5),
    "R_AARCH64_LD_PREL_LO19": lambda w, v, p: _branch(w, v - p, 19, 5),
    "R_AARCH64_TSTBR14": lambda w, v, p: _branch(w, v - p, 14, 5),
    "R_AARCH64_ADR_PREL_LO21": lambda w, v, p: _adr(w, v - p),
    "R_AARCH64_ADR_PREL_PG_HI21": _adrp,
    "R_AARCH64_ADR_PREL_PG_HI21_NC": _adrp,
    "R_AARCH64_ADD_ABS_LO12_NC": lambda w, v, p: _imm12(w, v),
    "R_AARCH64_LDST8_ABS_LO12_NC": _load_store(0),
    "R_AARCH64_LDST16_ABS_LO12_NC": _load_store(1),
    "R_AARCH64_LDST32_ABS_LO12_NC": _load_store(2),
    "R_AARCH64_LDST64_ABS_LO12_NC": _load_store(3),
    "R_AARCH64_LDST128_ABS_LO12_NC": _load_store(4),
    "R_AARCH64_MOVW_UABS_G0": _move_wide(0, check=True),
    "R_AARCH64_MOVW_UABS_G0_NC": _move_wide(0, check=False),
    "R_AARCH64_MOVW_UABS_G1": _move_wide(16, check=True),
    "R_AARCH64_MOVW_UABS_G1_NC": _move_wide(16, check=False),
    "R_AARCH64_MOVW_UABS_G2": _move_wide(32, check=True),
    "R_AARCH64_MOVW_UABS_G2_NC": _move_wide(32, check=False),
    "R_AARCH64_MOVW_UABS_G3": _move_wide(48, check=False),
    "R_AARCH64_MOVW_SABS_G0": _move_signed(0),
    "R_AARCH64_MOVW_SABS_G1": _move_signed(16),
    "R_AARCH64_MOVW_SABS_G2": _move_signed(32),
    "R_AARCH64_MOVW_PREL_G0": _move_relative(0, check=True),
    "R_AARCH64_MOVW_PREL_G0_NC": _move_relative(0, check=False),
    "R_AARCH64_MOVW_PREL_G1": _move_relative(16, check=True),
    "R_AARCH64_MOVW_PREL_G1_NC": _move_relative(16, check=False),
    "R_AARCH64_MOVW_PREL_G2": _move_relative(32, check=True),
    "R_AARCH64_MOVW_PREL_G2_NC": _move_relative(32, check=False),
    "R_AARCH64_MOVW_PREL_G3": _move_relative(48, check=False),
    # These get the address of the GOT slot instead of S + A.
    "R_AARCH64_ADR_GOT_PAGE": _adrp,
    "R_AARCH64_LD64_GOT_LO12_NC": _load_store(3),
    "R_AARCH64_GOT_LD_PREL19": lambda w, v, p: _branch(w, v - p, 19, 5),
    "R_AARCH64_TLSIE_LD_GOTTPREL_PREL19": lambda w, v, p: _branch(w, v - p, 19, 5),
    # This one gets the slot's distance from the GOT's page.
    "R_AARCH64_LD64_GOTPAGE_LO15": lambda w, v, p: _lo15(w, v),
    "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21": _adrp,
    "R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC": _load_store(3),
    # These get the offset from the thread pointer.
    "R_AARCH64_TLSLE_ADD_TPREL_HI12": _hi12,
    "R_AARCH64_TLSLE_ADD_TPREL_LO12": _lo12_checked(0),
    "R_AARCH64_TLSLE_ADD_TPREL_LO12_NC": lambda w, v, p: _imm12(w, v),
    "R_AARCH64_TLSLE_MOVW_TPREL_G2": _move_signed(32),
    "R_AARCH64_TLSLE_MOVW_TPREL_G1": _move_signed(16),
    "R_AARCH64_TLSLE_MOVW_TPREL_G1_NC": _move_wide(16, check=False),
    "R_AARCH64_TLSLE_MOVW_TPREL_G0": _move_signed(0),
    "R_AARCH64_TLSLE_MOVW_TPREL_G0_NC": _move_wide(0, check=False),
    # These get the offset in the thread-local image.
    "R_AARCH64_TLSLD_ADD_DTPREL_HI12": _hi12,
    "R_AARCH64_TLSLD_ADD_DTPREL_LO12": _lo12_checked(0),
    "R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC": lambda w, v, p: _imm12(w, v),
} | {
    f"R_AARCH64_{model}_LDST{8 << log2}_{offset}_LO12{suffix}": make(log2)
    for model, offset in (("TLSLE", "TPREL"), ("TLSLD", "DTPREL"))
    for log2 in range(5)
    for suffix, make in (("", _lo12_checked), ("_NC", _load_store))
}
# type -> (bytes, relative to P)
DATA = {
    "R_AARCH64_ABS64": (8, False),
    "R_AARCH64_ABS32": (4, False),
    "R_AARCH64_ABS16": (2, False),
    "R_AARCH64_PREL64": (8, True),
    "R_AARCH64_PREL32": (4, True),
    "R_AARCH64_PREL16": (2, True),
    "R_AARCH64_PLT32": (4, True),
}


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
    for section in sections:
        if id(section) in resolved.live:
            relaxed = got_arm64.relaxed(resolved, section)
            for relocation in section.relocations:
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


def relocate(layout: Layout) -> None:
    """Apply all relocations, fill the GOT, write the veneers."""
    relocator = _relocator(layout)
    for output in layout.outputs():
        if output.in_file:
            for piece in output.pieces:
                is_empty = piece.section.kind in ("bss", "tbss")
                piece.data = bytearray(piece.size if is_empty else piece.section.data)
    for output in layout.outputs():
        for piece in output.pieces:
            relocator.begin(piece)
            for relocation in piece.section.relocations:
                relocator.apply(piece, relocation)
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
            relocator.begin(piece)
            piece.data = bytearray(piece.section.data)
            for relocation in piece.section.relocations:
                relocator.apply(piece, relocation, loaded=False)


def _veneer(address: int, target: int) -> bytes:
    try:
        adrp = _adrp(0x90000010, target, address)
    except OutOfRange:
        raise CallproofError(f"a veneer at {address:#x} does not reach {target:#x}") from None
    add = _imm12(0x91000210, target)
    return WORD.pack(adrp) + WORD.pack(add) + WORD.pack(0xD61F0200)


class Relocator:
    """Applies AArch64 relocations; `relocate_x64.py` has the other machine's."""

    __slots__ = ("got_filled", "layout", "relaxed", "thread_offset")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.thread_offset = self.thread_pointer()
        self.got_filled: set[GotKey] = set()
        self.relaxed = got_arm64.NONE

    def thread_pointer(self) -> int:
        """What to add to a thread-local's address for its offset from the thread pointer."""
        start, _, _, alignment = self.layout.tls
        return 16 + (start - 16) % alignment - start

    def begin(self, piece: Piece) -> None:
        """Called before a section's relocations are applied."""
        self.relaxed = got_arm64.relaxed(self.layout.resolved, piece.section)

    def fail(self, piece: Piece, relocation: Relocation, why: str) -> CallproofError:
        owner = self.layout.resolved.owner.get(id(piece.section))
        return CallproofError(
            f"{owner.name if owner else '?'}: {piece.section.name}+{relocation.offset:#x}: "
            f"{relocation.type} to '{relocation.symbol.name}': {why}"
        )

    def value(self, piece: Piece, relocation: Relocation, loaded: bool) -> int | None:
        """S; None for a weak name without definition, or (in debug data) for what was left out."""
        symbol = self.layout.resolved.meaning(relocation.symbol)
        if symbol is None:
            address = self.layout.linker_symbol(relocation.symbol.name)
            if address is None and loaded and relocation.symbol.binding != "weak":
                raise self.fail(piece, relocation, "it is not defined anywhere")
            return address
        if not symbol.is_defined and symbol.binding == "local" and symbol.name:
            raise self.fail(piece, relocation, "a local symbol without definition")
        if symbol.kind == "section" and id(symbol.section) in self.layout.resolved.moved:
            # The addend tells which part of the section is meant, and parts move alone.
            assert symbol.section is not None
            offset = symbol.value + relocation.addend
            address = self.layout.address_in(symbol.section, offset)
            if address is not None:
                address -= relocation.addend
        else:
            address = self.layout.address_of(symbol)
        if address is None and loaded:
            raise self.fail(piece, relocation, "its section was discarded")
        return address

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
                # debug information about code that was left out
                value = 1 if piece.section.name in ENDS_LIST else 0
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
                value -= _page(got or 0)
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
        address = self.layout.got[key]
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
