"""`.eh_frame`: which code each FDE covers, and the landing pads of its exception table.

The format is that of the Linux Standard Base 5.0, 10.6; of the language-specific data
only the call sites are read (Itanium C++ ABI, exception handling tables).  What cannot be
read is left out: function starts come from other sources too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from callproof.check.image import Frame, Image
from callproof.object.leb128 import read_sleb, read_uleb

ABSOLUTE, PC_RELATIVE, DATA_RELATIVE = 0x00, 0x10, 0x30
OMIT = 0xFF
SIZES = {0x00: 8, 0x02: 2, 0x03: 4, 0x04: 8, 0x0A: 2, 0x0B: 4, 0x0C: 8}
MOST_CALL_SITES = 100_000


class _Damaged(Exception):
    """The bytes are no such table."""


class _Cursor:
    __slots__ = ("address", "data", "position")

    def __init__(self, data: bytes, address: int, position: int = 0) -> None:
        self.data = data
        self.address = address
        self.position = position

    def number(self, size: int, *, signed: bool = False) -> int:
        end = self.position + size
        if end > len(self.data):
            raise _Damaged
        value = int.from_bytes(self.data[self.position : end], "little", signed=signed)
        self.position = end
        return value

    def leb(self, *, signed: bool = False) -> int:
        read = read_sleb if signed else read_uleb
        try:
            value, self.position = read(self.data, self.position)
        except ValueError as error:
            raise _Damaged from error
        return value

    def encoded(self, encoding: int) -> int:
        """A pointer by DW_EH_PE; the indirect bit is not followed."""
        here = self.address + self.position
        form = encoding & 0x0F
        if form in (0x01, 0x09):
            value = self.leb(signed=form == 0x09)
        elif form in SIZES:
            value = self.number(SIZES[form], signed=form >= 0x09)
        else:
            raise _Damaged
        if value and encoding & 0x70 == PC_RELATIVE:
            value += here
        elif encoding & 0x70 not in (ABSOLUTE, PC_RELATIVE):
            raise _Damaged
        return value & (1 << 64) - 1


@dataclass(slots=True)
class _Cie:
    pointer: int = ABSOLUTE
    lsda: int = OMIT
    signal: bool = False
    augmented: bool = False
    unit: int = 1  # what the program's distances are counted in
    data_unit: int = 1
    program: bytes = b""


def _cie(cursor: _Cursor, end: int) -> _Cie:
    cie = _Cie()
    cursor.number(1)
    zero = cursor.data.find(b"\0", cursor.position, end)
    if zero < 0:
        raise _Damaged
    augmentation = cursor.data[cursor.position : zero].decode("latin-1")
    cursor.position = zero + 1
    cie.unit = cursor.leb()
    cie.data_unit = cursor.leb(signed=True)
    cursor.leb()
    if not augmentation.startswith("z"):
        cie.program = cursor.data[cursor.position : end] if not augmentation else b""
        return cie
    cie.augmented = True
    length = cursor.leb()
    cie.program = cursor.data[cursor.position + length : end]
    for letter in augmentation[1:]:
        if letter == "R":
            cie.pointer = cursor.number(1)
        elif letter == "L":
            cie.lsda = cursor.number(1)
        elif letter == "P":
            cursor.encoded(cursor.number(1) & 0x7F)
        elif letter == "S":
            cie.signal = True
        elif letter not in "BG":
            raise _Damaged
    return cie


def read_frames(image: Image, data: bytes, address: int) -> list[Frame]:
    """The FDEs of an `.eh_frame` section at `address` (already relocated)."""
    frames: list[Frame] = []
    cies: dict[int, _Cie] = {}
    position = 0
    while position + 4 <= len(data):
        cursor = _Cursor(data, address, position)
        length = cursor.number(4)
        start = cursor.position
        if length == 0:
            position = start
            continue
        end = start + length
        if length >= 0xFFFFFFF0 or end > len(data):
            break
        position = end
        try:
            pointer = cursor.number(4)
            if pointer == 0:
                cies[start - 4] = _cie(cursor, end)
                continue
            cie = cies.get(start - pointer)
            if cie is None:
                continue
            frames += _fde(image, cursor, cie, end)
        except _Damaged:
            continue
    return frames


def _fde(image: Image, cursor: _Cursor, cie: _Cie, last: int) -> list[Frame]:
    start = cursor.encoded(cie.pointer)
    size = cursor.encoded(cie.pointer & 0x0F)
    if image.code_at(start) is None or not 0 < size < 1 << 40:
        return []
    frame = Frame(start, start + size, cie.signal)
    if cie.augmented:
        length = cursor.leb()
        program = cursor.position + length
        if cie.lsda != OMIT:
            table = cursor.encoded(cie.lsda)
            try:
                frame.pads = _landing_pads(image, table, start) if table else []
            except _Damaged:
                frame.pads = []
        cursor.position = program
    frame.changes = row_changes(cie, cursor.data[cursor.position : last], start)
    return [frame]


CFA, LINK_SIGNED = -1, -2
"""Keys of a row beside register numbers: the CFA, and whether the return address is signed."""
_STEPS = {0x02: 1, 0x03: 2, 0x04: 4}  # DW_CFA_advance_loc1, 2, 4: bytes of the distance


def row_changes(cie: _Cie, program: bytes, start: int) -> frozenset[int]:
    """Where the unwinder's row for a function changes (DWARF 5, 6.4.2).

    Only instructions that save or move SP change rows as they are passed.  So where a row
    changes just behind a call, control does not come there from the call.
    """
    row: dict[int, tuple[int, ...]] = {}
    try:
        for _ in _rows(cie, cie.program, 0, row, {}):
            pass
        initial = dict(row)
        changes = set()
        place, before = start, dict(row)
        for place in _rows(cie, program, start, row, initial):
            if row != before and place != start:
                changes.add(place)
            before = dict(row)
    except _Damaged:
        return frozenset()
    return frozenset(changes)


def _rows(
    cie: _Cie,
    program: bytes,
    place: int,
    row: dict[int, tuple[int, ...]],
    initial: dict[int, tuple[int, ...]],
) -> Iterator[int]:
    """Goes through the instructions; yields the address of each row, once it is complete."""
    cursor = _Cursor(program, 0)
    kept: list[dict[int, tuple[int, ...]]] = []
    while cursor.position < len(program):
        code = cursor.number(1)
        top, low = code >> 6, code & 0x3F
        if top == 1 or code in _STEPS:
            yield place
            place += (low if top == 1 else cursor.number(_STEPS[code])) * cie.unit
        elif top == 2:  # offset
            row[low] = (cursor.leb() * cie.data_unit,)
        elif top == 3 or code == 0x06:  # restore
            register = low if top == 3 else cursor.leb()
            row.pop(register, None)
            if register in initial:
                row[register] = initial[register]
        elif code == 0x0A:
            kept.append(dict(row))
        elif code == 0x0B:
            if not kept:
                raise _Damaged
            row.clear()
            row.update(kept.pop())
        elif code == 0x0C:  # def_cfa
            row[CFA] = (cursor.leb(), cursor.leb())
        elif code == 0x0D:
            row[CFA] = (cursor.leb(), *row.get(CFA, (0, 0))[1:])
        elif code == 0x0E:
            row[CFA] = (*row.get(CFA, (0, 0))[:1], cursor.leb())
        elif code in (0x05, 0x09, 0x11, 0x14):  # offsets and registers, long forms
            register = cursor.leb()
            row[register] = (code, cursor.leb(signed=code == 0x11))
        elif code in (0x07, 0x08):
            row[cursor.leb()] = (code,)
        elif code == 0x2D:  # AArch64: the return address is signed, or no longer
            if row.pop(LINK_SIGNED, None) is None:
                row[LINK_SIGNED] = ()
        elif code == 0x2E:  # GNU_args_size
            cursor.leb()
        elif code != 0x00:
            raise _Damaged  # expressions and what is not known: no conclusions
    yield place


def _landing_pads(image: Image, table: int, start: int) -> list[tuple[int, int, int]]:
    region = image.region_at(table)
    if region is None:
        return []
    cursor = _Cursor(region.data, region.address, table - region.address)
    base = start
    encoding = cursor.number(1)
    if encoding != OMIT:
        base = cursor.encoded(encoding)
    if cursor.number(1) != OMIT:
        cursor.leb()
    encoding = cursor.number(1) & 0x0F
    end = cursor.leb() + cursor.position
    pads: list[tuple[int, int, int]] = []
    while cursor.position < end and len(pads) < MOST_CALL_SITES:
        begin = cursor.encoded(encoding)
        length = cursor.encoded(encoding)
        pad = cursor.encoded(encoding)
        cursor.leb()
        if pad:
            pads.append((start + begin, start + begin + length, base + pad))
    return pads
