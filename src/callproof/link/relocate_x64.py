"""Relocation for x86-64 (psABI 1.0, section 4.4): fields of whole bytes, and relaxation.

S is the symbol's address, A the addend, P the place, G the address of the GOT's slot.
Thread-local offsets are variant 2: the image ends at the thread pointer.

A load of an address from the GOT that this link knows becomes the address itself
(psABI, B.2): `mov foo@GOTPCREL(%rip), %r` a `lea`, a call or jump through the GOT a direct
one.  The others, and thread-local offsets (`GOTTPOFF`), get a slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.link.relocate import GotKey, Relocator, slot_key
from callproof.link.resolve import Resolved
from callproof.object.model import Relocation, Section

if TYPE_CHECKING:
    from callproof.link.layout import Piece

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
}
GOT = frozenset(("R_X86_64_GOTPCREL", "R_X86_64_GOTPCRELX", "R_X86_64_REX_GOTPCRELX"))
RELAXABLE = frozenset(("R_X86_64_GOTPCRELX", "R_X86_64_REX_GOTPCRELX"))
TLS_GOT = frozenset(("R_X86_64_GOTTPOFF",))
TLS = frozenset(("R_X86_64_TPOFF32", "R_X86_64_TPOFF64"))
TLS_IN_IMAGE = frozenset(("R_X86_64_DTPOFF32", "R_X86_64_DTPOFF64"))  # debug information has it

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
    for section in sections:
        if id(section) not in resolved.live:
            continue
        for relocation in section.relocations:
            type_ = relocation.type
            if type_ in TLS_GOT or (type_ in GOT and not is_relaxed(resolved, section, relocation)):
                slots[slot_key(resolved, relocation, type_ in TLS_GOT)] = None
    return slots


class X64Relocator(Relocator):
    __slots__ = ()

    def thread_pointer(self) -> int:
        """The image's end, rounded up as musl and lld do, lies at the thread pointer."""
        start, _, size, alignment = self.layout.tls
        return -(start + size + (-(start + size)) % alignment)

    def apply(self, piece: Piece, relocation: Relocation, *, loaded: bool = True) -> None:
        type_ = relocation.type
        if type_ == "R_X86_64_NONE":
            return
        field = FIELDS.get(type_)
        if field is None:
            raise self.fail(piece, relocation, "this relocation is not supported")
        size, relative, fits = field
        offset = relocation.offset
        if offset + size > len(piece.data):
            raise self.fail(piece, relocation, "it reaches beyond its section")
        address = self.value(piece, relocation, loaded)
        place = piece.address + offset
        value = address or 0
        if address is None and not loaded:
            self.put(piece, offset, size, 0)  # debug information about code that was left out
            return
        if type_ in TLS:
            value = self.thread(value)
        elif type_ in TLS_IN_IMAGE:
            value -= self.layout.tls[0]
        elif type_ in TLS_GOT:
            value = self.slot(relocation, value, thread=True)
        elif type_ in GOT:
            if is_relaxed(self.layout.resolved, piece.section, relocation):
                before = bytes(piece.data[offset - 2 : offset])
                piece.data[offset - 2 : offset] = DIRECT.get(before, bytes((LEA, before[1])))
            else:
                value = self.slot(relocation, value)
        value += relocation.addend - (place if relative else 0)
        bits = 8 * size
        low = 0 if fits == UNSIGNED else -(1 << (bits - 1))
        high = 1 << (bits - 1 if fits == SIGNED else bits)
        if not low <= value < high:
            target = f"{address:#x}" if address is not None else "an undefined name"
            raise self.fail(piece, relocation, f"{target} is out of reach of {place:#x}")
        self.put(piece, offset, size, value)
