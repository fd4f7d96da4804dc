"""`.eh_frame`: which code each FDE covers, and the landing pads of its exception table.

The format is that of the Linux Standard Base 5.0, 10.6; of the language-specific data
only the call sites are read (Itanium C++ ABI, exception handling tables).  What cannot be
read is left out: function starts come from other sources too.
"""

from __future__ import annotations

from dataclasses import dataclass

from callproof.check.image import Frame, Image

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
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift > 63:
                raise _Damaged
        if signed and byte & 0x40:
            value -= 1 << shift
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


def _cie(cursor: _Cursor, end: int) -> _Cie:
    cie = _Cie()
    cursor.number(1)
    zero = cursor.data.find(b"\0", cursor.position, end)
    if zero < 0:
        raise _Damaged
    augmentation = cursor.data[cursor.position : zero].decode("latin-1")
    cursor.position = zero + 1
    cursor.leb()
    cursor.leb(signed=True)
    cursor.leb()
    if not augmentation.startswith("z"):
        return cie
    cie.augmented = True
    cursor.leb()
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
            frames += _fde(image, cursor, cie)
        except _Damaged:
            continue
    return frames


def _fde(image: Image, cursor: _Cursor, cie: _Cie) -> list[Frame]:
    start = cursor.encoded(cie.pointer)
    size = cursor.encoded(cie.pointer & 0x0F)
    if image.code_at(start) is None or not 0 < size < 1 << 40:
        return []
    frame = Frame(start, start + size, cie.signal)
    if cie.augmented:
        cursor.leb()
        if cie.lsda != OMIT:
            table = cursor.encoded(cie.lsda)
            try:
                frame.pads = _landing_pads(image, table, start) if table else []
            except _Damaged:
                frame.pads = []
    return [frame]


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
