"""LEB128: the variable-length integers of DWARF and of exception tables (DWARF 5, 7.6)."""

from __future__ import annotations

LONGEST = 10  # bytes of 64 bits in sevens


def uleb(value: int) -> bytes:
    """An unsigned number; `value` must not be negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sleb(value: int) -> bytes:
    """A signed number."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def read_uleb(data: bytes | bytearray | memoryview, at: int) -> tuple[int, int]:
    """The number at `at`, and where what follows it begins.

    Raises `ValueError` if the data ends before the number, or it has more than 64 bits.
    """
    value = shift = 0
    for position in range(at, min(at + LONGEST, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position + 1
    raise ValueError("a number has no end" if at + LONGEST > len(data) else "a number is too long")


def read_sleb(data: bytes | bytearray | memoryview, at: int) -> tuple[int, int]:
    """The same for a signed number."""
    value, end = read_uleb(data, at)
    bits = 7 * (end - at)
    return (value - (1 << bits) if value >> (bits - 1) else value), end
