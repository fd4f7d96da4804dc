"""`.debug_frame` and `.eh_frame`: how one gets from a function to its caller.

The first is for debuggers (DWARF 5, 6.4), the second is loaded with the program, for who
unwinds its stack while it runs (LSB 5.0, 10.6); it is the same but for how records begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack

from callproof.object.leb128 import sleb, uleb
from callproof.object.model import Relocation, Section, Symbol

DATA_UNIT = -8
DW_CFA_ADVANCE_LOC, DW_CFA_OFFSET, DW_CFA_RESTORE = 0x40, 0x80, 0xC0
DW_CFA_ADVANCE_LOC1, DW_CFA_ADVANCE_LOC2, DW_CFA_ADVANCE_LOC4 = 0x02, 0x03, 0x04
DW_CFA_OFFSET_EXTENDED, DW_CFA_RESTORE_EXTENDED, DW_CFA_UNDEFINED = 0x05, 0x06, 0x07
DW_CFA_DEF_CFA, DW_CFA_DEF_CFA_REGISTER, DW_CFA_DEF_CFA_OFFSET = 0x0C, 0x0D, 0x0E
NO_CIE = 0xFFFFFFFF
FRAME_SECTION, LOADED_SECTION = ".debug_frame", ".eh_frame"
PC_RELATIVE_4 = 0x1B  # DW_EH_PE_pcrel | DW_EH_PE_sdata4


@dataclass(frozen=True, slots=True)
class FrameRow:
    """From `offset` on: the CFA is register `base` + `distance` (DWARF's numbers); `saved`:
    registers and where their old values are, in bytes from the CFA; `lost`: those that have
    none any more."""

    offset: int
    base: int
    distance: int
    saved: tuple[tuple[int, int], ...]
    lost: frozenset[int] = frozenset()


@dataclass(slots=True)
class FunctionFrame:
    """Rows in order; the first is at 0."""

    symbol: Symbol
    size: int
    rows: list[FrameRow]


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What all functions of a target share: what holds at their `entry`, the return
    address's number, the unit of code offsets, and relocations: an address, an offset in a
    section, a distance of four bytes."""

    entry: FrameRow
    return_address: int
    code_unit: int
    address: str
    offset: str
    relative: str

    @property
    def numbers(self) -> bytes:
        return uleb(self.code_unit) + sleb(DATA_UNIT)

    @property
    def initial(self) -> bytes:
        saved = b"".join(_offset(one, at) for one, at in self.entry.saved)
        return _definition(self.entry) + saved


def loaded_section(functions: list[FunctionFrame], facts: FrameFacts) -> Section:
    """`.eh_frame`: one CIE, and an FDE a function."""
    head = pack("<IB", 0, 1) + b"zR\0" + facts.numbers + uleb(facts.return_address)
    data = bytearray(_record(head + uleb(1) + bytes((PC_RELATIVE_4,)) + facts.initial))
    relocations = []
    for function in functions:
        start = len(data)
        program = _program(function.rows, facts.entry, facts.code_unit)
        data += _record(pack("<IiIB", start + 4, 0, function.size, 0) + program)
        relocations.append(Relocation(start + 8, facts.relative, function.symbol))
    return Section(LOADED_SECTION, "rodata", bytes(data), alignment=8, relocations=relocations)


def frame_section(functions: list[FunctionFrame], facts: FrameFacts) -> Section:
    """`.debug_frame`: one CIE, and an FDE a function."""
    head = pack("<IBBBB", NO_CIE, 4, 0, 8, 0) + facts.numbers
    data = bytearray(_record(head + uleb(facts.return_address) + facts.initial))
    relocations = []
    for function in functions:
        start = len(data)
        program = _program(function.rows, facts.entry, facts.code_unit)
        data += _record(pack("<IQQ", 0, 0, function.size) + program)
        section = Symbol(FRAME_SECTION, kind="section")
        relocations.append(Relocation(start + 4, facts.offset, section))
        relocations.append(Relocation(start + 8, facts.address, function.symbol))
    return Section(FRAME_SECTION, "debug", bytes(data), alignment=8, relocations=relocations)


def _record(body: bytes) -> bytes:
    """With its length before it, and DW_CFA_nop behind it up to a multiple of 8."""
    body += bytes(-(4 + len(body)) % 8)
    return pack("<I", len(body)) + body


def _definition(row: FrameRow) -> bytes:
    return bytes((DW_CFA_DEF_CFA,)) + uleb(row.base) + uleb(row.distance)


def _offset(register: int, at: int) -> bytes:
    steps = uleb(at // DATA_UNIT)
    if register < 64:
        return bytes((DW_CFA_OFFSET | register,)) + steps
    return bytes((DW_CFA_OFFSET_EXTENDED,)) + uleb(register) + steps


def _restore(register: int) -> bytes:
    if register < 64:
        return bytes((DW_CFA_RESTORE | register,))
    return bytes((DW_CFA_RESTORE_EXTENDED,)) + uleb(register)


def _advance(steps: int) -> bytes:
    if not steps:
        return b""
    if steps < 64:
        return bytes((DW_CFA_ADVANCE_LOC | steps,))
    if steps < 1 << 8:
        return pack("<BB", DW_CFA_ADVANCE_LOC1, steps)
    if steps < 1 << 16:
        return pack("<BH", DW_CFA_ADVANCE_LOC2, steps)
    return pack("<BI", DW_CFA_ADVANCE_LOC4, steps)


def _program(rows: list[FrameRow], entry: FrameRow, code_unit: int) -> bytes:
    """The differences from row to row."""
    out = bytearray()
    last = entry
    for row in rows:
        out += _advance((row.offset - last.offset) // code_unit)
        if row.base != last.base and row.distance != last.distance:
            out += _definition(row)
        elif row.base != last.base:
            out += bytes((DW_CFA_DEF_CFA_REGISTER,)) + uleb(row.base)
        elif row.distance != last.distance:
            out += bytes((DW_CFA_DEF_CFA_OFFSET,)) + uleb(row.distance)
        before, now = dict(last.saved), dict(row.saved)
        for register, at in row.saved:
            if before.get(register) != at or register in last.lost:
                out += _offset(register, at)
        for register in sorted(row.lost - last.lost):
            out += bytes((DW_CFA_UNDEFINED,)) + uleb(register)
        gone = (set(before) | last.lost) - set(now) - row.lost
        out += b"".join(_restore(register) for register in sorted(gone))
        last = row
    return bytes(out)
