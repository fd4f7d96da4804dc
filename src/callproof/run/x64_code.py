"""How long an x86-64 instruction is and whether it calls or returns; nothing else of it.

The emulator's block hook tells where blocks start and end, and here the last instruction
of a block is told, by reading the block from its start: backwards the encoding is
ambiguous (`75 C3` jumps by -61, and its last byte alone is RET).

Facts: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2
(prefixes, ModRM, VEX, EVEX) and appendix A (the opcode maps).
"""

from __future__ import annotations

from collections.abc import Iterator

from callproof.run.loader import Image

OTHER, CALL, RETURN, REPEATED, VECTOR = range(5)

# What follows an opcode: the bytes of its immediate, and whether ModRM comes first.
MODRM = 0x100
BY_OPERAND, WIDE, FAR_ADDRESS, TEST = 0x20, 0x21, 0x22, 0x23  # sizes that prefixes decide
BAD = -1

PREFIXES = frozenset((0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3))
REX = range(0x40, 0x50)
STRINGS = frozenset((*range(0x6C, 0x70), *range(0xA4, 0xA8), *range(0xAA, 0xB0)))
RETURNS = (0xC3, 0xC2)
LONGEST = 15


def _map(rest: int, *rows: tuple[int, tuple[int, ...] | range]) -> tuple[int, ...]:
    forms = [rest] * 256
    for form, opcodes in rows:
        for opcode in opcodes:
            forms[opcode] = form
    return tuple(forms)


_ALU = range(0, 0x40, 8)
ONE_BYTE = _map(
    0,
    (MODRM, tuple(base + kind for base in _ALU for kind in range(4))),
    (1, tuple(base + 4 for base in _ALU)),
    (BY_OPERAND, tuple(base + 5 for base in _ALU)),
    (BAD, tuple(base + kind for base in _ALU for kind in (6, 7))),
    (BAD, (0x60, 0x61, 0x82, 0x9A, 0xCE, 0xD4, 0xD5, 0xD6, 0xEA)),
    (MODRM, (0x63, *range(0x84, 0x90), *range(0xD0, 0xD4), *range(0xD8, 0xE0), 0xFE, 0xFF)),
    (MODRM | BY_OPERAND, (0x69, 0x81, 0xC7)),
    (MODRM | 1, (0x6B, 0x80, 0x83, 0xC0, 0xC1, 0xC6)),
    (BY_OPERAND, (0x68, 0xA9)),
    (1, (0x6A, *range(0x70, 0x80), 0xA8, *range(0xB0, 0xB8), 0xCD, *range(0xE0, 0xE8), 0xEB)),
    (4, (0xE8, 0xE9)),
    (WIDE, range(0xB8, 0xC0)),
    (FAR_ADDRESS, range(0xA0, 0xA4)),
    (2, (0xC2, 0xCA)),
    (3, (0xC8,)),
    (MODRM | TEST, (0xF6, 0xF7)),
)
TWO_BYTES = _map(
    MODRM,
    (0, (5, 6, 7, 8, 9, 0x0B, 0x0E, *range(0x30, 0x38), 0x77, *range(0xC8, 0xD0))),
    (0, (0xA0, 0xA1, 0xA2, 0xA8, 0xA9, 0xAA)),
    (4, range(0x80, 0x90)),
    (1, range(0x20, 0x24)),  # control registers: ModRM is always of two registers
    (MODRM | 1, (0x0F, *range(0x70, 0x74), 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6)),
    (BAD, (0x04, 0x0A, 0x0C, 0x24, 0x25, 0x26, 0x27, 0x36, 0x39, 0x3B, *range(0x3C, 0x40))),
)
MAPS = {1: TWO_BYTES, 2: _map(MODRM), 3: _map(MODRM | 1)}


def _modrm_size(code: bytes, at: int) -> int:
    """The bytes of ModRM, SIB and displacement."""
    byte = code[at]
    mode, low = byte >> 6, byte & 7
    if mode == 3:
        return 1
    size = 1
    if low == 4:
        size += 1
        low = code[at + 1] & 7
    if mode == 0:
        return size + (4 if low == 5 else 0)
    return size + (1 if mode == 1 else 4)


def instruction(code: bytes, start: int) -> tuple[int, int] | None:
    """The length and kind of the instruction at an offset; None if it is none, or is cut off."""
    try:
        found = _instruction(code, start)
    except IndexError:
        return None
    if found is None or found[0] > LONGEST or start + found[0] > len(code):
        return None
    return found


def _instruction(code: bytes, start: int) -> tuple[int, int] | None:
    at = start
    narrow = short = repeated = False
    while code[at] in PREFIXES:
        narrow |= code[at] == 0x66
        short |= code[at] == 0x67
        repeated |= code[at] >= 0xF2
        at += 1
    rex = 0
    if code[at] in REX:
        rex = code[at]
        at += 1
    opcode = code[at]
    vector = _vector(code, at)
    if vector is not None:
        at, forms = vector
        opcode = code[at]
    elif opcode != 0x0F:
        forms = ONE_BYTE
    elif code[at + 1] in (0x38, 0x3A):
        forms = MAPS[2 if code[at + 1] == 0x38 else 3]
        at += 2
        opcode = code[at]
    else:
        forms = TWO_BYTES
        at += 1
        opcode = code[at]
    form = forms[opcode]
    if form == BAD:
        return None
    at += 1
    field = 0
    if form & MODRM:
        field = code[at] >> 3 & 7
        at += _modrm_size(code, at)
    immediate = form & 0xFF
    if immediate >= BY_OPERAND:
        by_operand = 2 if narrow and not rex & 8 else 4
        immediate = {
            BY_OPERAND: by_operand,
            WIDE: 8 if rex & 8 else by_operand,
            FAR_ADDRESS: 4 if short else 8,
            TEST: 0 if field > 1 else 1 if opcode == 0xF6 else by_operand,
        }[immediate]
    kind = OTHER
    if vector is not None:
        kind = VECTOR
    elif forms is ONE_BYTE:
        if opcode == 0xE8 or (opcode == 0xFF and field == 2):
            kind = CALL
        elif opcode in RETURNS:
            kind = RETURN
        elif repeated and opcode in STRINGS:
            kind = REPEATED
    return at + immediate - start, kind


def _vector(code: bytes, at: int) -> tuple[int, tuple[int, ...]] | None:
    """Where the opcode behind a VEX or EVEX prefix is, and its map; None without one."""
    lead = code[at]
    if lead == 0xC5:
        return at + 2, TWO_BYTES
    if lead not in (0xC4, 0x62):
        return None
    width, mask = (3, 0x1F) if lead == 0xC4 else (4, 7)
    return at + width, MAPS.get(code[at + 1] & mask, MAPS[2])


def instructions(code: bytes) -> Iterator[tuple[int, int, int]]:
    """Offset, length and kind of one instruction after the other, while they can be read."""
    at = 0
    while at < len(code):
        found = instruction(code, at)
        if found is None:
            return
        yield at, *found
        at += found[0]


def classify(image: Image, start: int, end: int) -> int:
    """The kind of the last instruction of a block."""
    kind, reached = OTHER, 0
    for offset, length, kind_ in instructions(image.code(start, end - start)):
        kind, reached = kind_, offset + length
    return kind if reached == end - start else OTHER


def call_site(image: Image, address: int) -> int | None:
    """The address of the call that returns to an address; None if no call ends there."""
    for length in range(8, 1, -1):
        if instruction(image.code(address - length, length), 0) == (length, CALL):
            return address - length
    return None


def text_of(code: bytes) -> str:
    """The bytes of the first instruction, in hexadecimal; none if it cannot be told."""
    found = instruction(code, 0)
    return code[: found[0]].hex(" ") if found is not None else code[:4].hex(" ")


__all__ = ["call_site", "classify", "instruction", "instructions", "text_of"]
