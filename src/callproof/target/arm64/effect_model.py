"""The kinds of effects, and what belongs to each: the words that `effects.py` speaks in.

Sets of registers are integers: bits 0..30 are X0..X30, 31 is SP, 32..63 the low and 64..95
the high halves of V0..V31, 96 is NZCV.  The zero register has no bit.
"""

from __future__ import annotations

from collections.abc import Callable

SP_BIT, LOW, HIGH, FLAGS_BIT = 31, 32, 64, 96
SP_MASK, FLAGS = 1 << SP_BIT, 1 << FLAGS_BIT
REGISTERS = 97  # bits in a register set

(
    PLAIN,
    MOVE,
    CONSTANT,
    MOVK,
    ADD_IMMEDIATE,
    ADD_REGISTER,
    ADDRESS,
    LOAD,
    STORE,
    INDEXED_LOAD,
    OTHER_STORE,
    MERGE,
    COMPARE,
    SELECT,
    LANES,
    JUMP,
    BRANCH,
    CALL,
    CALL_REGISTER,
    JUMP_REGISTER,
    RETURN,
    TRAP,
    UNKNOWN,
) = range(23)
FIRST_CONTROL = JUMP

Transfer = tuple[int, int, int]
"""(bit of the register or half, offset in the accessed memory, bytes)."""


class Effect:
    """`kind` and what belongs to it:

    MOVE            pairs: (written bit, read bit) ...; c: 1 if only 32 bits are moved
    CONSTANT        a: the written bit, b: the value
    MOVK            a: the register, b: the bits put in, c: the mask of the bits kept
    ADD_IMMEDIATE   a: written, b: read, c: the number added
    ADD_REGISTER    a: written, b: read, c: read, d: left shift of c, e: 1 or -1;
                    d is -1 if c is extended otherwise
    ADDRESS         a: written, b: distance from the instruction, c: 1 if it counts from the page
    LOAD, STORE     a: base bit, b: offset of the access from the base, c: what the base gets
                    added (0: nothing), d: bytes in all, pairs: the transfers
    INDEXED_LOAD    a: written, b: base, c: index, d: bytes (negative: sign-extended)
    LANES           each half of what is written comes from the same halves of what is read
    SELECT          one of the registers read goes into the one written, as the flags say
    COMPARE         a: SP, b: the other bit
    JUMP BRANCH CALL  a: distance
    *_REGISTER, RETURN  a: the bit of the register with the target

    `reads` and `writes` are complete for all kinds; `merges` are written partly: the old
    value remains in the rest.
    """

    __slots__ = ("a", "b", "c", "d", "e", "group", "kind", "merges", "pairs", "reads", "writes")

    def __init__(self, kind: int, group: str) -> None:
        self.kind = kind
        self.group = group
        self.reads = self.writes = self.merges = 0
        self.a = self.b = self.c = self.d = self.e = 0
        self.pairs: tuple[tuple[int, ...], ...] = ()


Builder = Callable[[int, Effect], None]
"""Adds to the effect of a word what its group's operands do not say."""


def sign(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
