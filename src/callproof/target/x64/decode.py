"""Machine code back into rows of the instruction table: what the encoder can write, no more.

The same rows lead both ways: each row's code is put under its prefix, REX.W and opcode bytes
(all conditions and registers that lie in the opcode, all lengths of an immediate), and what
follows is read as the row says.  What no row has is None: the caller must not guess how long
it is.  Redundant encodings of a row (a long displacement, REX bits without a meaning) are
read, as linkers and other assemblers make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from callproof.target.x64.instructions import ROWS
from callproof.target.x64.table import (
    BASE,
    IMMEDIATE_BYTES,
    INDEX,
    PC_RELATIVE,
    RSP,
    Pattern,
    Row,
)

MANDATORY = frozenset((0x66, 0xF2, 0xF3))
TWO_BYTES = 0x0F
SIB, NO_BASE = 4, 5
REGISTER_FORM = 3  # of the ModRM byte's upper two bits
XMM_FIRST = 32
# Immediates that may be shorter or have an opcode of their own: see `table.py`.
ACCUMULATOR_TEST = 0xA9
SHIFT_BY_ONE, SHORTER = 0x10, 2

Key = tuple[int, bool, bytes]  # mandatory prefix or 0, REX.W, opcode bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction: its row, the arguments as `Row.bytes_of` takes them, its bytes' number."""

    row: Row
    arguments: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True)
class _Choice:
    """One opcode of a row.  `in_opcode`: the register or condition that lies in it; `modrm`:
    whether such a byte follows; `immediate`: its bytes, 0 for none; `value`: the immediate
    where no byte holds it; `fixed_rm`: the register where no byte names it, else -1."""

    row: Row
    pattern: Pattern
    in_opcode: int
    modrm: bool
    immediate: int
    value: int = 0
    fixed_rm: int = -1


Candidates = dict[tuple[int, str], _Choice]  # by the digit (-1: none) and how memory is addressed


def _opcodes(row: Row, pattern: Pattern) -> list[tuple[bytes, _Choice]]:
    """Every opcode that the row's instructions can have."""
    places, how, code = pattern.places, pattern.immediate, pattern.opcode
    modrm = "rm" in places or "reg" in places or "mem" in places
    if "cond" in places:
        size = {"rel8": 1, "rel32": 4}.get(how, 0)
        return [
            (_plus(code, n), _Choice(row, pattern, n, modrm and not size, size)) for n in range(16)
        ]
    if "op" in places:
        size = IMMEDIATE_BYTES.get(how, 0)
        return [(_plus(code, n), _Choice(row, pattern, n, False, size)) for n in range(8)]
    if how in ("rel8", "rel32"):
        return [(code, _Choice(row, pattern, 0, False, 1 if how == "rel8" else 4))]
    if how == "i1/ib":
        return [
            (code, _Choice(row, pattern, 0, True, 1)),
            (_plus(code, SHIFT_BY_ONE), _Choice(row, pattern, 0, True, 0, value=1)),
        ]
    if how == "id/acc":
        accumulator = _Choice(row, pattern, 0, False, 4, fixed_rm=0)
        return [
            (code, _Choice(row, pattern, 0, True, 4)),
            (bytes((ACCUMULATOR_TEST,)), accumulator),
        ]
    if how in ("ib/id", "ib/id*"):
        found = [
            (code, _Choice(row, pattern, 0, True, 4)),
            (_plus(code, SHORTER), _Choice(row, pattern, 0, True, 1)),
        ]
        if how == "ib/id" and not row.memory:
            short = bytes((pattern.extension << 3 | 5,))
            found.append((short, _Choice(row, pattern, 0, False, 4, fixed_rm=0)))
        return found
    return [(code, _Choice(row, pattern, 0, modrm, IMMEDIATE_BYTES.get(how, 0)))]


def _plus(code: bytes, number: int) -> bytes:
    return code[:-1] + bytes((code[-1] + number,))


@cache
def _table() -> dict[Key, Candidates]:
    table: dict[Key, Candidates] = {}
    for row in ROWS.values():
        pattern = row.pattern
        prefix = pattern.prefix[0] if pattern.prefix else 0
        for code, choice in _opcodes(row, pattern):
            extension = pattern.extension if choice.modrm else -1
            candidates = table.setdefault((prefix, pattern.wide, code), {})
            kind = (extension, row.memory)
            assert kind not in candidates, f"{row.form.name} and another row are {code.hex()}"
            candidates[kind] = choice
    return table


class _Truncated(Exception):
    """The code ends inside an instruction."""


@dataclass(slots=True)
class _Reader:
    code: bytes
    at: int

    def byte(self) -> int:
        if self.at >= len(self.code):
            raise _Truncated
        self.at += 1
        return self.code[self.at - 1]

    def signed(self, size: int) -> int:
        field = self.code[self.at : self.at + size]
        if len(field) < size:
            raise _Truncated
        self.at += size
        return int.from_bytes(field, "little", signed=True)


def decode(code: bytes, at: int = 0) -> Decoded | None:
    """The instruction at an offset; None if no row of the table is it, or it is cut off."""
    reader = _Reader(code, at)
    try:
        return _decode(reader, at)
    except _Truncated:
        return None


def _decode(reader: _Reader, start: int) -> Decoded | None:
    prefix, rex = 0, 0
    byte = reader.byte()
    if byte in MANDATORY:
        prefix, byte = byte, reader.byte()
    if byte & 0xF0 == 0x40:
        rex, byte = byte, reader.byte()
    opcode = bytes((byte, reader.byte())) if byte == TWO_BYTES else bytes((byte,))
    candidates = _table().get((prefix, bool(rex & 8), opcode))
    if candidates is None:
        return None
    choice = candidates.get((-1, ""))
    values: dict[str, int] = {}
    memory: tuple[int, ...] = ()
    if choice is None or choice.modrm:
        modrm = reader.byte()
        digit = modrm >> 3 & 7
        variant = ""
        if modrm >> 6 == REGISTER_FORM:
            values["rm"] = modrm & 7 | (rex & 1) << 3
        else:
            address = _address(reader, modrm, rex)
            if address is None:
                return None
            variant, memory = address
        choice = candidates.get((digit, variant)) or candidates.get((-1, variant))
        if choice is None or not choice.modrm:
            return None
        if choice.pattern.extension < 0:
            values["reg"] = digit | (rex & 4) << 1
    elif choice.fixed_rm >= 0:
        values["rm"] = choice.fixed_rm
    row, places = choice.row, choice.pattern.places
    if "op" in places:
        values["op"] = choice.in_opcode | (rex & 1) << 3
    if "cond" in places:
        values["cond"] = choice.in_opcode
    field = reader.signed(choice.immediate) if choice.immediate else choice.value
    size = reader.at - start
    if "imm" in places:
        values["imm"] = field & 0xFF if choice.pattern.immediate == "ub" else field
        if choice.pattern.immediate == "i1/ib" and not 0 <= field < (64 if rex & 8 else 32):
            return None
    if "rel" in places:
        if rex:
            return None  # means nothing, but is no jump of the table's length
        values["rel"] = field + size
    arguments = _arguments(row, places, values, memory, rex)
    return None if arguments is None else Decoded(row, arguments, size)


def _arguments(
    row: Row, places: dict[str, int], values: dict[str, int], memory: tuple[int, ...], rex: int
) -> tuple[int, ...] | None:
    found = [0] * len(row.kinds)
    for place, index in places.items():
        if place == "mem":
            found[index : index + len(memory)] = memory
            continue
        value = values.get(place)
        if value is None:
            return None
        kind = row.kinds[index]
        if kind == "r8" and 4 <= value < 8 and not rex:
            return None  # AH, CH, DH, BH
        found[index] = value + XMM_FIRST if kind == "x" else value
    return tuple(found)


def _address(reader: _Reader, modrm: int, rex: int) -> tuple[str, tuple[int, ...]] | None:
    """How memory is addressed, and the arguments of that; None for what has no row."""
    mod, low = modrm >> 6, modrm & 7
    if mod == 0 and low == NO_BASE:
        return PC_RELATIVE, (reader.signed(4),)
    base, index, scale = low | (rex & 1) << 3, RSP, 0
    if low == SIB:
        sib = reader.byte()
        scale = sib >> 6
        index = sib >> 3 & 7 | (rex & 2) << 2
        if mod == 0 and sib & 7 == NO_BASE:
            return None  # no base
        base = sib & 7 | (rex & 1) << 3
    displacement = reader.signed((0, 1, 4)[mod]) if mod else 0
    if index == RSP:
        return (BASE, (base, displacement)) if not scale else None
    return INDEX, (base, index, scale, displacement)


__all__ = ["Decoded", "decode"]
