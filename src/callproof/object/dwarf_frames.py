"""`.debug_frame`: how a debugger gets from a function to its caller (DWARF 5, 6.4)."""

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
FRAME_SECTION = ".debug_frame"


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


def frame_section(
    functions: list[FunctionFrame],
    entry: FrameRow,
    return_address: int,
    code_unit: int,
    address_relocation: str,
    offset_relocation: str,
) -> Section:
    """One CIE, which says what holds at each function's `entry`, and an FDE a function."""
    initial = _definition(entry) + b"".join(_offset(one, at) for one, at in entry.saved)
    data = bytearray(
        _record(
            pack("<IBBBB", NO_CIE, 4, 0, 8, 0)
            + uleb(code_unit)
            + sleb(DATA_UNIT)
            + uleb(return_address)
            + initial
        )
    )
    relocations = []
    for function in functions:
        start = len(data)
        program = _program(function.rows, entry, code_unit)
        data += _record(pack("<IQQ", 0, 0, function.size) + program)
        section = Symbol(FRAME_SECTION, kind="section")
        relocations.append(Relocation(start + 4, offset_relocation, section))
        relocations.append(Relocation(start + 8, address_relocation, function.symbol))
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
