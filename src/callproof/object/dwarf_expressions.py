"""DWARF expressions: where a value is (DWARF 5, 2.5 and 2.6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from callproof.object.leb128 import sleb, uleb

DW_OP_ADDR, DW_OP_DEREF, DW_OP_CONSTS, DW_OP_PLUS_UCONST = 0x03, 0x06, 0x11, 0x23
DW_OP_REG0, DW_OP_BREG0, DW_OP_REGX, DW_OP_FBREG, DW_OP_BREGX = 0x50, 0x70, 0x90, 0x91, 0x92
DW_OP_PIECE, DW_OP_CALL_FRAME_CFA, DW_OP_IMPLICIT_VALUE, DW_OP_STACK_VALUE = 0x93, 0x9C, 0x9E, 0x9F
SHORT_REGISTERS = 32

# Our numbers (codegen/machine.py) to DWARF's.  aarch64: DWARF for the Arm 64-bit
# Architecture, 4.1; x86-64: System V psABI, figure 3.36.
REGISTERS: dict[str, dict[int, int]] = {
    "aarch64": {**{n: n for n in range(32)}, **{32 + n: 64 + n for n in range(32)}},
    "x86_64": {
        **dict(zip((0, 2, 1, 3, 6, 7, 5, 4), range(8), strict=True)),
        **{n: n for n in range(8, 16)},
        **{32 + n: 17 + n for n in range(16)},
    },
}
# The registers of the stack pointer and of the frame's record, by our numbers.
STACK_POINTER = {"aarch64": 31, "x86_64": 4}
FRAME_POINTER = {"aarch64": 29, "x86_64": 5}


@dataclass(frozen=True, slots=True)
class Expression:
    """`addresses`: (offset in `data`, symbol's name, addend) of 8 bytes that are relocated."""

    data: bytes
    addresses: tuple[tuple[int, str, int], ...] = field(default=())

    def __add__(self, other: Expression) -> Expression:
        moved = tuple((len(self.data) + at, name, addend) for at, name, addend in other.addresses)
        return Expression(self.data + other.data, self.addresses + moved)


def register(number: int) -> Expression:
    """The value is in the register (DWARF's number)."""
    if number < SHORT_REGISTERS:
        return Expression(bytes((DW_OP_REG0 + number,)))
    return Expression(bytes((DW_OP_REGX,)) + uleb(number))


def based(number: int, offset: int) -> Expression:
    """The value is in memory at a register's value plus an offset."""
    if number < SHORT_REGISTERS:
        return Expression(bytes((DW_OP_BREG0 + number,)) + sleb(offset))
    return Expression(bytes((DW_OP_BREGX,)) + uleb(number) + sleb(offset))


def framed(offset: int) -> Expression:
    """The value is in memory at the frame base plus an offset."""
    return Expression(bytes((DW_OP_FBREG,)) + sleb(offset))


def address(symbol: str, addend: int = 0) -> Expression:
    """The value is in memory at the symbol."""
    return Expression(bytes((DW_OP_ADDR,)) + bytes(8), ((1, symbol, addend),))


def constant(value: int) -> Expression:
    """The value is this (signed) number."""
    return Expression(bytes((DW_OP_CONSTS,)) + sleb(value) + bytes((DW_OP_STACK_VALUE,)))


def implicit(data: bytes) -> Expression:
    """The value is these bytes."""
    return Expression(bytes((DW_OP_IMPLICIT_VALUE,)) + uleb(len(data)) + data)


def computed(place: Expression) -> Expression:
    """The value is the address that the expression gives, not what is there."""
    return place + Expression(bytes((DW_OP_STACK_VALUE,)))


def followed(place: Expression) -> Expression:
    """The value is in memory at the address that is at the place."""
    return place + Expression(bytes((DW_OP_DEREF,)))


def moved(place: Expression, offset: int) -> Expression:
    """The place that many bytes behind this one."""
    if not offset:
        return place
    return place + Expression(bytes((DW_OP_PLUS_UCONST,)) + uleb(offset))


def pieces(parts: list[tuple[Expression, int]]) -> Expression:
    """The value is in several places, each with so many bytes of it."""
    whole = Expression(b"")
    for part, size in parts:
        whole += part + Expression(bytes((DW_OP_PIECE,)) + uleb(size))
    return whole


FRAME_BASE = Expression(bytes((DW_OP_CALL_FRAME_CFA,)))
