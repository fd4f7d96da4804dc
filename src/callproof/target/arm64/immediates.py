"""Immediates of ARM64: logical bit masks, 8-bit floats, and constants by MOV sequences."""

from __future__ import annotations

import struct
from functools import lru_cache


def encode_bitmask(value: int, width: int) -> tuple[int, int, int] | None:
    """(N, immr, imms) of a logical immediate (Arm ARM, DecodeBitMasks), None if it is not one.

    A logical immediate is an element of 2, 4 ... 64 bits, repeated; the element is
    a run of ones, rotated.
    """
    if not 0 < value < (1 << width) - 1:
        return None
    size = width
    while size > 2:
        half = size // 2
        mask = (1 << half) - 1
        if value & mask != value >> half & mask:
            break
        size = half
    element = value & ((1 << size) - 1)
    ones = element.bit_count()
    # Rotate until the run of ones sits at the bottom; the rotation is where it starts.
    run = (1 << ones) - 1
    for rotation in range(size):
        rotated = (element >> rotation | element << (size - rotation)) & ((1 << size) - 1)
        if rotated == run:
            immr = (size - rotation) % size
            imms = (~(size * 2 - 1) & 0x3F) | (ones - 1)
            return int(size == 64), immr, imms
    return None


def decode_bitmask(n: int, immr: int, imms: int, width: int) -> int | None:
    """The value of a logical immediate, None for a reserved encoding."""
    length = (n << 6 | (~imms & 0x3F)).bit_length() - 1
    if length < 1 or 1 << length > width:
        return None
    size = 1 << length
    ones = (imms & (size - 1)) + 1
    if ones == size:
        return None
    rotation = immr & (size - 1)
    run = (1 << ones) - 1
    element = (run >> rotation | run << (size - rotation)) & ((1 << size) - 1)
    return sum(element << position for position in range(0, width, size))


def decode_fp8(encoded: int) -> float:
    """The value of an 8-bit floating-point immediate (VFPExpandImm)."""
    sign = -1.0 if encoded & 0x80 else 1.0
    exponent = (encoded >> 4 & 3) + 1 if not encoded & 0x40 else (encoded >> 4 & 3) - 3
    return sign * (1 + (encoded & 0xF) / 16) * 2.0**exponent


_FP8 = {struct.pack("<d", decode_fp8(encoded)): encoded for encoded in range(256)}


def encode_fp8(value: float) -> int | None:
    """The 8-bit immediate of FMOV that gives exactly this value, None if there is none."""
    return _FP8.get(struct.pack("<d", value))


@lru_cache(maxsize=4096)
def move_immediate(value: int, width: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The shortest sequence that makes a constant: (form, arguments after the register).

    One MOVZ, MOVN or ORR with a logical immediate; else MOVZ or MOVN and a MOVK for
    each half word that is still wrong.  `value` may be given signed or unsigned.
    """
    suffix = "x" if width == 64 else "w"
    value &= (1 << width) - 1
    halves = [value >> shift & 0xFFFF for shift in range(0, width, 16)]
    zeros, ones = halves.count(0), halves.count(0xFFFF)
    base, first = (0xFFFF, "movn") if ones > zeros else (0, "movz")
    wrong = [(half, 16 * index) for index, half in enumerate(halves) if half != base]
    if len(wrong) > 1 and encode_bitmask(value, width) is not None:
        return ((f"orr_{suffix}_imm", (ZERO, value)),)
    if not wrong:
        wrong = [(base, 0)]
    half, shift = wrong[0]
    start = half if first == "movz" else half ^ 0xFFFF
    sequence: list[tuple[str, tuple[int, ...]]] = [(f"{first}_{suffix}", (start, shift))]
    sequence += [(f"movk_{suffix}", (half, shift)) for half, shift in wrong[1:]]
    return tuple(sequence)


ZERO = 64  # the zero register, ORR's first source here
