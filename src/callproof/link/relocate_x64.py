"""Relocation for x86-64 (psABI 1.0, section 4.4): fields of whole bytes, and relaxation.

S is the symbol's address, A the addend, P the place, G the address of the GOT's slot.
Thread-local offsets are variant 2: the image ends at the thread pointer.

A load of an address from the GOT that this link knows becomes the address itself
(psABI, B.2): `mov foo@GOTPCREL(%rip), %r` a `lea`, a call or jump through the GOT a direct
one.  The others get a slot.  Thread-local accesses are relaxed in `tls_x64.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING

from callproof.link import tls_x64
from callproof.link.relocate import NO_SLOT, GotKey, Relocator, slot_key
from callproof.link.resolve import TLS_QUERY, Resolved
from callproof.link.tombstones import empty_range, tombstone
from callproof.object.model import Relocation, Section

if TYPE_CHECKING:
    from callproof.link.layout import Layout, Piece

UNSIGNED, SIGNED, EITHER = range(3)

# type -> (bytes, relative to P, which values fit)
FIELDS = {
    "R_X86_64_64": (8, False, EITHER),
    "R_X86_64_PC64": (8, True, EITHER),
    "R_X86_64_32": (4, False, UNSIGNED),
    "R_X86_64_32S": (4, False, SIGNED),
    "R_X86_64_PC32": (4, True, SIGNED),
    "R_X86_64_PLT32": (4, True, SIGNED),
    "R_X86_64_16": (2, False, EITHER),
    "R_X86_64_PC16": (2, True, SIGNED),
    "R_X86_64_8": (1, False, EITHER),
    "R_X86_64_PC8": (1, True, SIGNED),
    "R_X86_64_TPOFF32": (4, False, SIGNED),
    "R_X86_64_TPOFF64": (8, False, EITHER),
    "R_X86_64_DTPOFF32": (4, False, SIGNED),
    "R_X86_64_DTPOFF64": (8, False, EITHER),
    "R_X86_64_GOTPCREL": (4, True, SIGNED),
    "R_X86_64_GOTPCRELX": (4, True, SIGNED),
    "R_X86_64_REX_GOTPCRELX": (4, True, SIGNED),
    "R_X86_64_GOTTPOFF": (4, True, SIGNED),
    "R_X86_64_TLSGD": (4, False, SIGNED),
    "R_X86_64_TLSLD": (4, False, SIGNED),
    "R_X86_64_GOTPC32_TLSDESC": (4, False, SIGNED),
    # Of the large code model: places relative to the GOT.
    "R_X86_64_GOTPC32": (4, True, SIGNED),
    "R_X86_64_GOTPC64": (8, True, EITHER),
    "R_X86_64_GOTOFF64": (8, False, EITHER),
    "R_X86_64_PLTOFF64": (8, False, EITHER),
    "R_X86_64_GOT64": (8, False, EITHER),
    "R_X86_64_GOTPCREL64": (8, True, EITHER),
    "R_X86_64_SIZE32": (4, False, UNSIGNED),
    "R_X86_64_SIZE64": (8, False, EITHER),
}
GOT = frozenset(
    (
        "R_X86_64_GOTPCREL",
        "R_X86_64_GOTPCRELX",
        "R_X86_64_REX_GOTPCRELX",
        "R_X86_64_GOTPCREL64",
        "R_X86_64_GOT64",
    )
)
GOT_BASE = frozenset(("R_X86_64_GOTPC32", "R_X86_64_GOTPC64"))
FROM_GOT = frozenset(("R_X86_64_GOTOFF64", "R_X86_64_PLTOFF64", "R_X86_64_GOT64"))
SIZES = frozenset(("R_X86_64_SIZE32", "R_X86_64_SIZE64"))
RELAXABLE = frozenset(("R_X86_64_GOTPCRELX", "R_X86_64_REX_GOTPCRELX"))
TLS_GOT = frozenset(("R_X86_64_GOTTPOFF",))
TLS = frozenset(("R_X86_64_TPOFF32", "R_X86_64_TPOFF64"))
TLS_IN_IMAGE = frozenset(("R_X86_64_DTPOFF32", "R_X86_64_DTPOFF64"))  # debug information has it

PLAIN = ("R_X86_64_PC32", "R_X86_64_PLT32")  # S + A - P, whatever is there
DISTANCE = Struct("<i")
GOT_NAME = "_GLOBAL_OFFSET_TABLE_"
MOV_LOAD, LEA = 0x8B, 0x8D
CALL_INDIRECT, JUMP_INDIRECT = b"\xff\x15", b"\xff\x25"
# A call is padded by an address-size prefix, a jump by the NOP before it.
DIRECT = {CALL_INDIRECT: b"\x67\xe8", JUMP_INDIRECT: b"\x90\xe9"}


def is_relaxed(resolved: Resolved, section: Section, relocation: Relocation) -> bool:
    """Whether an access to the GOT becomes a direct one; the same answer before and after layout.

    An undefined weak name keeps its slot, which holds 0.
    """
    offset = relocation.offset
    if relocation.type not in RELAXABLE or offset < 2 or relocation.addend != -4:
        return False
    symbol = resolved.meaning(relocation.symbol)
    if symbol is None or symbol.absolute or resolved.imported(symbol) is not None:
        return False
    opcode = bytes(section.data[offset - 2 : offset])
    return opcode in DIRECT or (opcode[0] == MOV_LOAD and opcode[1] & 0xC7 == 5)


def needed_got_slots(resolved: Resolved, sections: list[Section]) -> dict[GotKey, None]:
    """The GOT's slots, in order of first use."""
    slots: dict[GotKey, None] = {}
    types = TLS_GOT | GOT | tls_x64.LOADED
    for section, relocations in resolved.relocations_of(sections, types):
        if id(section) not in resolved.live:
            continue
        for relocation in relocations:
            type_ = relocation.type
            if type_ in TLS_GOT:
                if not tls_x64.is_relaxed(resolved, section, relocation):
                    slots[slot_key(resolved, relocation, True)] = None
            elif type_ in tls_x64.LOADED and tls_x64.is_loaded(resolved, relocation):
                slots[slot_key(resolved, relocation, True)] = None
            elif relocation.symbol.name == TLS_QUERY and (
                relocation.offset in tls_x64.consumed_calls(section, section.relocations)
            ):
                continue
            elif type_ in GOT and not is_relaxed(resolved, section, relocation):
                slots[slot_key(resolved, relocation, False)] = None
    return slots


class X64Relocator(Relocator):
    __slots__ = ("consumed", "has_calls")

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        # Offsets of the calls of __tls_get_addr that were rewritten with what is before them.
        self.consumed: frozenset[int] = frozenset()
        resolved = layout.resolved
        self.has_calls = TLS_QUERY in resolved.names or TLS_QUERY in resolved.asked

    def thread_pointer(self) -> int:
        """The image's end, rounded up as musl and lld do, lies at the thread pointer."""
        start, _, size, alignment = self.layout.tls
        return -(start + size + (-(start + size)) % alignment)

    def begin(self, piece: Piece, relocations: Sequence[Relocation]) -> None:
        self.piece = piece
        if self.has_calls:
            self.consumed = tls_x64.consumed_calls(piece.section, relocations)

    def got(self, relocation: Relocation) -> int:
        """The GOT's address."""
        address = self.layout.linker_symbol(GOT_NAME)
        own = self.layout.resolved.names.get(GOT_NAME)
        if address is None and own is not None:
            address = self.layout.address_of(own.symbol)
        if address is None:
            raise self.fail(self.piece, relocation, NO_SLOT)
        return address

    def apply_all(self, piece: Piece, relocations: Sequence[Relocation]) -> None:
        known, start, data = self.known, piece.address, piece.data
        last = len(data) - 4
        for relocation in relocations:
            address = known.get(id(relocation.symbol))
            offset = relocation.offset
            if address is None or relocation.type not in PLAIN or offset > last or self.consumed:
                self.apply(piece, relocation)
                continue
            value = address + relocation.addend - start - offset
            if -(1 << 31) <= value < 1 << 31:
                DISTANCE.pack_into(data, offset, value)
            else:
                self.apply(piece, relocation)  # tells it

    def apply(self, piece: Piece, relocation: Relocation, *, loaded: bool = True) -> None:
        type_ = relocation.type
        offset = relocation.offset
        if type_ == "R_X86_64_NONE" or offset in self.consumed:
            return
        if type_ == "R_X86_64_TLSDESC_CALL":
            if not tls_x64.relax_call(piece.data, offset):
                raise self.fail(piece, relocation, "unexpected in a TLS sequence")
            return
        field = FIELDS.get(type_)
        if field is None:
            raise self.fail(piece, relocation, "this relocation is not supported")
        size, relative, fits = field
        if offset + size > len(piece.data):
            raise self.fail(piece, relocation, "it reaches beyond its section")
        address = self.value(piece, relocation, loaded)
        place = piece.address + offset
        if address is None and not loaded:
            self.put(piece, offset, size, 0 if relative else tombstone(piece.section, size))
            empty_range(piece.section, piece.data, offset)
            return
        if type_ in tls_x64.SEQUENCES:
            self.relax_sequence(piece, relocation, address)
            return
        value = self.operand(piece, relocation, address, loaded)
        if value is None:
            return
        value += relocation.addend - (place if relative else 0)
        bits = 8 * size
        low = 0 if fits == UNSIGNED else -(1 << (bits - 1))
        high = 1 << (bits - 1 if fits == SIGNED else bits)
        if not low <= value < high:
            target = f"{address:#x}" if address is not None else "an undefined name"
            raise self.fail(piece, relocation, f"{target} is out of reach of {place:#x}")
        self.put(piece, offset, size, value)

    def operand(
        self, piece: Piece, relocation: Relocation, address: int | None, loaded: bool
    ) -> int | None:
        """What the field holds, without addend and place; None if it was written already."""
        type_, offset = relocation.type, relocation.offset
        value = address or 0
        if type_ in TLS or (type_ in TLS_IN_IMAGE and loaded):
            # Offsets in the image are used with what TLSLD got, which is the thread pointer now.
            return value if address is None else self.thread(value)
        if type_ in TLS_IN_IMAGE:
            return value - self.layout.tls[0]
        if type_ in TLS_GOT:
            if tls_x64.is_relaxed(self.layout.resolved, piece.section, relocation):
                if not tls_x64.relax_load(piece.data, offset):
                    raise self.fail(piece, relocation, "unexpected in a TLS sequence")
                self.put(piece, offset, 4, value if address is None else self.thread(value))
                return None
            return self.slot(relocation, value, thread=True, weak=address is None)
        if type_ in GOT:
            if not is_relaxed(self.layout.resolved, piece.section, relocation):
                base = self.got(relocation) if type_ in FROM_GOT else 0
                return self.slot(relocation, value) - base
            before = bytes(piece.data[offset - 2 : offset])
            piece.data[offset - 2 : offset] = DIRECT.get(before, bytes((LEA, before[1])))
        elif type_ in GOT_BASE:
            value = self.got(relocation)
        elif type_ in FROM_GOT:
            value -= self.got(relocation)
        elif type_ in SIZES:
            symbol = self.layout.resolved.meaning(relocation.symbol)
            value = 0 if symbol is None else symbol.size
        return value

    def relax_sequence(self, piece: Piece, relocation: Relocation, address: int | None) -> None:
        """A call of __tls_get_addr or of a descriptor, made the offset that this link knows."""
        if tls_x64.is_loaded(self.layout.resolved, relocation):
            slot = self.slot(relocation, 0, thread=True)
            if not tls_x64.load_sequence(piece.data, relocation, slot - piece.address):
                raise self.fail(piece, relocation, "unexpected in a TLS sequence")
            return
        offset = 0 if address is None else self.thread(address)
        if not -(1 << 31) <= offset < 1 << 31:
            raise self.fail(piece, relocation, f"a thread-local offset of {offset:#x}")
        if not tls_x64.relax_sequence(piece.data, relocation, offset):
            raise self.fail(piece, relocation, "unexpected in a TLS sequence")
