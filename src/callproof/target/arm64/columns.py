"""What many instruction words do at once: the facts of `effects.py` as columns.

Words are sorted by their encoding group; each group is decoded by a few array operations
that come from its row in `groups.py`.  Kinds of groups that are rare in code have no array
form: their words go through `effect_of`, once for each different word.  A test compares all
columns with `effect_of` over every group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from callproof.target.arm64 import effect_model as e
from callproof.target.arm64.effects import classify, effect_of
from callproof.target.arm64.groups import GROUPS, Group

Words = npt.NDArray[np.uint32]
Bits = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int32]
ONE, LOW32 = np.uint64(1), (1 << 64) - 1
U32 = np.uint64(32)


@dataclass(slots=True)
class Columns:
    """One entry for each word.

    kind            as `Effect.kind`
    reads, writes   bits 0..63 of the register sets: X0-X30, SP, low halves of V0-V31
    reads_high, writes_high  bits 64 and up: high halves, and NZCV at bit 32
    distance        of direct branches and calls, in bytes
    base            of a LOAD or STORE (register number, -1: none), with its offset and size
                    in bytes and what is added to the base
    sp_change       what is added to SP, where that is a constant
    """

    kind: npt.NDArray[np.uint8]
    reads: Bits
    reads_high: Bits
    writes: Bits
    writes_high: Bits
    distance: Numbers
    base: npt.NDArray[np.int8]
    offset: Numbers
    size: npt.NDArray[np.int16]
    add: Numbers
    sp_change: Numbers


class _Part:
    """The words of one group, and the columns for them as far as they are known."""

    __slots__ = (
        "add",
        "base",
        "distance",
        "kind",
        "offset",
        "reads",
        "reads_high",
        "size",
        "slow",
        "sp_change",
        "words",
        "writes",
        "writes_high",
    )

    def __init__(self, words: Words) -> None:
        count = len(words)
        self.words = words
        self.kind = np.full(count, e.PLAIN, np.uint8)
        self.reads = np.zeros(count, np.uint64)
        self.reads_high = np.zeros(count, np.uint64)
        self.writes = np.zeros(count, np.uint64)
        self.writes_high = np.zeros(count, np.uint64)
        zero = np.zeros(count, np.int32)
        self.distance = self.offset = self.add = self.sp_change = zero
        self.size = np.zeros(count, np.int16)
        self.base = np.full(count, -1, np.int8)
        self.slow: npt.NDArray[np.bool_] | None = None

    def field(self, shift: int, width: int = 5) -> Words:
        return (self.words >> np.uint32(shift)) & np.uint32((1 << width) - 1)

    def bit(self, shift: int) -> npt.NDArray[np.bool_]:
        result: npt.NDArray[np.bool_] = (self.words & np.uint32(1 << shift)) != 0
        return result

    def number(self, shift: int, width: int) -> Numbers:
        """A signed field."""
        left = 32 - shift - width
        moved = (self.words << np.uint32(left)).view(np.int32)
        result: Numbers = moved >> np.int32(32 - width)
        return result


def _one(number: Words) -> Bits:
    return ONE << number.astype(np.uint64)


def _general(number: Words) -> Bits:
    """The register's bit; none for the zero register."""
    return _one(number) & np.uint64(0x7FFFFFFF)


# Operand kind -> (the part of its mask in bits 0..63, that in the bits above); see groups.py.
Masks = Callable[[_Part, Words], tuple[Bits | None, Bits | None]]


def _low(number: Words) -> Bits:
    return _one(number) << U32


def _q(part: _Part, n: Words) -> tuple[Bits, Bits]:
    one = _one(n)
    return one << U32, np.where(part.bit(30), one, np.uint64(0))


def _u(part: _Part, n: Words) -> tuple[Bits, Bits]:
    one, high = _one(n), part.bit(30)
    return np.where(high, np.uint64(0), one << U32), np.where(high, one, np.uint64(0))


def _z(part: _Part, n: Words) -> tuple[Bits, Bits]:
    one, high = _one(n), part.bit(30) & part.bit(14)
    return np.where(high, np.uint64(0), one << U32), np.where(high, one, np.uint64(0))


def _n(part: _Part, n: Words) -> tuple[Bits, Bits]:
    one = _one(n)
    return np.where(part.bit(30), np.uint64(0), one << U32), one


def _both(part: _Part, n: Words) -> tuple[Bits, Bits]:
    one = _one(n)
    return one << U32, one


READ_MASKS: dict[str, Masks] = {
    "X": lambda part, n: (_general(n), None),
    "P": lambda part, n: (_one(n), None),
    "S": lambda part, n: (_low(n), None),
    "L": lambda part, n: (_low(n), None),
    "H": lambda part, n: (None, _one(n)),
    "V": _both,
    "Q": _q,
    "U": _u,
    "Z": _z,
}
WRITE_MASKS: dict[str, Masks] = {
    "X": lambda part, n: (_general(n), None),
    "P": lambda part, n: (_one(n), None),
    "H": lambda part, n: (None, _one(n)),
    "S": _both,
    "V": _both,
    "Q": _both,
    "N": _n,
}


def _operands(part: _Part, group: Group) -> None:
    for role, kind, shift in group.operands:
        number = part.field(shift)
        if role != "w":
            low, high = READ_MASKS[kind](part, number)
            if low is not None:
                part.reads |= low
            if high is not None:
                part.reads_high |= high
        if role != "r":
            low, high = WRITE_MASKS[kind](part, number)
            if low is not None:
                part.writes |= low
            if high is not None:
                part.writes_high |= high
    flags = np.uint64(e.FLAGS >> 64)
    if group.reads_flags:
        part.reads_high |= flags
    if group.writes_flags:
        part.writes_high |= flags


# --- the kinds of groups ------------------------------------------------------------------------

Vector = Callable[[_Part], None]
KINDS: dict[str, Vector] = {"plain": lambda part: None}
KINDS["bitfield"] = KINDS["compare_immediate"] = KINDS["plain"]


def _simple(kind: int) -> Vector:
    def build(part: _Part) -> None:
        part.kind[:] = kind

    return build


for _name, _kind in (
    ("trap", e.TRAP),
    ("exception_return", e.TRAP),
    ("scalable", e.UNKNOWN),
    ("unknown", e.UNKNOWN),
    ("select", e.SELECT),
    ("other_store", e.OTHER_STORE),
):
    KINDS[_name] = _simple(_kind)


def _jump(kind: int, shift: int, width: int) -> Vector:
    def build(part: _Part) -> None:
        part.kind[:] = kind
        part.distance = part.number(shift, width) * np.int32(4)

    return build


KINDS["jump"] = _jump(e.JUMP, 0, 26)
KINDS["jump19"] = _jump(e.JUMP, 5, 19)
KINDS["call"] = _jump(e.CALL, 0, 26)
KINDS["branch19"] = _jump(e.BRANCH, 5, 19)
KINDS["branch14"] = _jump(e.BRANCH, 5, 14)


def _through_register(kind: int) -> Vector:
    def build(part: _Part) -> None:
        part.kind[:] = kind
        part.reads = _general(part.field(5))

    return build


KINDS["indirect_jump"] = _through_register(e.JUMP_REGISTER)
KINDS["indirect_call"] = _through_register(e.CALL_REGISTER)
KINDS["return"] = _through_register(e.RETURN)


def _lanes(part: _Part) -> None:
    part.kind[part.bit(30)] = e.LANES


def _unless_zero(kind: int) -> Vector:
    def build(part: _Part) -> None:
        part.kind[part.field(0) != 31] = kind

    return build


KINDS["lanes"] = _lanes
KINDS["adr"] = KINDS["adrp"] = _unless_zero(e.ADDRESS)
KINDS["move_wide"] = _unless_zero(e.CONSTANT)
KINDS["movk"] = _unless_zero(e.MOVK)


def _add_immediate(part: _Part) -> None:
    wide = part.bit(31)
    part.kind[wide] = e.ADD_IMMEDIATE
    number = part.field(10, 12).astype(np.int32) << np.where(part.bit(22), 12, 0)
    number = np.where(part.bit(30), -number, number).astype(np.int32)
    moves_sp = wide & (part.field(0) == 31) & (part.field(5) == 31)
    part.sp_change = np.where(moves_sp, number, np.int32(0))


def _logical_immediate(part: _Part) -> None:
    part.slow = (part.field(5) == 31) & (part.field(29, 2) == 1)  # `mov` of a bit mask


def _logical_or(part: _Part) -> None:
    n, m, d = part.field(5), part.field(16), part.field(0)
    plain = ((part.words & np.uint32(0xC0FC00)) == 0) & (m != 31) & (d != 31)
    part.kind[plain & ((n == 31) | (n == m))] = e.MOVE


def _cancels(part: _Part) -> None:
    same = (part.field(5) == part.field(16)) & ((part.words & np.uint32(0xC0FC00)) == 0)
    part.reads[same] = 0


def _cancels_vector(part: _Part) -> None:
    same = part.field(5) == part.field(16)
    part.reads[same] = 0
    part.reads_high[same] = 0
    part.kind[~same & ~part.bit(28) & part.bit(30)] = e.LANES


def _move_vector(part: _Part) -> None:
    same = part.field(5) == part.field(16)
    part.kind[part.bit(30)] = e.LANES
    part.kind[same] = e.MOVE


def _compare_register(part: _Part) -> None:
    n, m, d = part.field(5), part.field(16), part.field(0)
    minus, extended = part.bit(30), part.bit(21)
    part.kind[extended & (n == 31) & (d == 31) & minus & (m != 31)] = e.COMPARE
    part.reads[~extended & (n == m) & minus] = 0


def _add_register(minus: bool) -> Vector:
    def build(part: _Part) -> None:
        n, m, d = part.field(5), part.field(16), part.field(0)
        extended = part.bit(21)
        zero = (m == 31) | (~extended & ((n == 31) | (d == 31)))
        chosen = part.bit(31) & ~zero
        unshifted = (part.words & np.uint32(0xFC00)) == 0
        if minus:
            same = ~extended & (n == m) & unshifted
            wide = chosen & same & (part.field(22, 2) == 0)
            part.reads[(same & ~part.bit(31)) | wide] = 0
            chosen &= ~wide
        part.kind[chosen] = e.ADD_REGISTER

    return build


KINDS["add_immediate"] = _add_immediate
KINDS["logical_immediate"] = _logical_immediate
KINDS["logical_or"] = _logical_or
KINDS["cancels"] = _cancels
KINDS["cancels_vector"] = KINDS["cancels_scalar"] = _cancels_vector
KINDS["move_scalar"] = _simple(e.MOVE)
KINDS["move_vector"] = _move_vector
KINDS["compare_register"] = _compare_register
KINDS["add_register"] = _add_register(False)
KINDS["sub_register"] = _add_register(True)


def _access(
    part: _Part,
    load: npt.NDArray[np.bool_],
    mode: Words,
    distance: Numbers,
    size: npt.NDArray[np.int16],
    low: Bits,
    high: Bits,
) -> None:
    """`mode` 1 adds after the access, 3 before it; `low` and `high`: what is transferred."""
    part.kind = np.where(load, np.uint8(e.LOAD), np.uint8(e.STORE))
    nothing = np.uint64(0)
    part.reads |= np.where(load, nothing, low)
    part.reads_high |= np.where(load, nothing, high)
    part.writes |= np.where(load, low, nothing)
    # A load of d or less clears the high half.
    part.writes_high |= np.where(load, (low >> U32) | high, nothing)
    base = part.field(5)
    part.base = base.astype(np.int8)
    part.offset = np.where(mode == 1, np.int32(0), distance)
    part.add = np.where((mode == 1) | (mode == 3), distance, np.int32(0))
    part.writes |= np.where(part.add != 0, _one(base), nothing)
    part.sp_change = np.where(base == 31, part.add, np.int32(0))
    part.size = size


def _pair(part: _Part) -> None:
    opc, vector = part.field(30, 2), part.bit(26)
    part.slow = vector & (opc == 3)
    size = np.where(vector, 4 << opc, np.where(opc < 2, 4, 8)).astype(np.int16)
    t, t2 = part.field(0), part.field(10)
    general = _general(t) | _general(t2)
    low = np.where(vector, _low(t) | _low(t2), general)
    high = np.where(vector & (opc == 2), _one(t) | _one(t2), np.uint64(0))
    distance = part.number(15, 7) * size.astype(np.int32)
    _access(part, part.bit(22), part.field(23, 2), distance, size * np.int16(2), low, high)


def _single(part: _Part) -> None:
    size_field, vector, opc = part.field(30, 2), part.bit(26), part.field(22, 2)
    whole = vector & (opc >= 2)
    part.slow = whole & (size_field != 0)
    size = np.where(whole, 16, 1 << size_field).astype(np.int16)
    load = np.where(vector, (opc & np.uint32(1)) != 0, opc != 0)
    scaled = part.bit(24)
    mode = np.where(scaled, np.uint32(0), part.field(10, 2))
    near = part.number(12, 9)
    far = part.field(10, 12).astype(np.int32) * size.astype(np.int32)
    t = part.field(0)
    low = np.where(vector, _low(t), _general(t))
    high = np.where(whole, _one(t), np.uint64(0))
    _access(part, load, mode, np.where(scaled, far, near), size, low, high)


def _indexed(part: _Part) -> None:
    vector, opc = part.bit(26), part.field(22, 2)
    t, m = part.field(0), part.field(16)
    load = np.where(vector, (opc & np.uint32(1)) != 0, opc != 0)
    nothing = np.uint64(0)
    low = np.where(vector, _low(t), _general(t))
    high = np.where(vector & ((opc >= 2) | load), _one(t), nothing)
    part.reads |= np.where(load, nothing, low)
    part.reads_high |= np.where(load, nothing, high)
    part.writes |= np.where(load, low, nothing)
    part.writes_high |= np.where(load, high, nothing)
    part.kind[~load] = e.OTHER_STORE
    part.kind[load & ~vector & (t != 31) & (m != 31)] = e.INDEXED_LOAD


KINDS["pair"] = _pair
KINDS["single"] = _single
KINDS["indexed"] = _indexed
VECTORISED = [
    group.kind in KINDS
    and all(
        kind in (WRITE_MASKS if role == "w" else READ_MASKS) for role, kind, _ in group.operands
    )
    for group in GROUPS
]
FIELDS = tuple(Columns.__slots__)


def columns_of(words: Words) -> Columns:
    """The columns of any number of words."""
    count = len(words)
    result = Columns(
        np.full(count, e.UNKNOWN, np.uint8),
        np.zeros(count, np.uint64),
        np.zeros(count, np.uint64),
        np.zeros(count, np.uint64),
        np.zeros(count, np.uint64),
        np.zeros(count, np.int32),
        np.full(count, -1, np.int8),
        np.zeros(count, np.int32),
        np.zeros(count, np.int16),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
    )
    groups = classify(words)
    order = np.argsort(groups, kind="stable")
    edges = np.searchsorted(groups[order], np.arange(len(GROUPS) + 1))
    slow = []
    for number in np.nonzero(np.diff(edges))[0].tolist():
        places = order[edges[number] : edges[number + 1]]
        if not VECTORISED[number]:
            slow.append(places)
            continue
        part = _Part(words[places])
        group = GROUPS[number]
        _operands(part, group)
        KINDS[group.kind](part)
        if part.slow is not None and part.slow.any():
            slow.append(places[part.slow])
        for field in FIELDS:
            getattr(result, field)[places] = getattr(part, field)
    if slow:
        _one_by_one(words, np.concatenate(slow), result)
    return result


def _one_by_one(words: Words, places: npt.NDArray[np.intp], result: Columns) -> None:
    different, which = np.unique(words[places], return_inverse=True)
    rows = [row_of(word) for word in different.tolist()]
    for field, values in zip(FIELDS, zip(*rows, strict=True), strict=True):
        column = getattr(result, field)
        column[places] = np.array(values, column.dtype)[which]


def row_of(word: int) -> tuple[int, ...]:
    """The columns of one word, by `effect_of`."""
    effect = effect_of(word)
    kind = effect.kind
    access = kind in (e.LOAD, e.STORE)
    of_sp = effect.a == e.SP_BIT
    moves_sp = of_sp and (access or (kind == e.ADD_IMMEDIATE and effect.b == e.SP_BIT))
    direct = kind in (e.JUMP, e.BRANCH, e.CALL)
    return (
        kind,
        effect.reads & LOW32,
        effect.reads >> 64,
        effect.writes & LOW32,
        effect.writes >> 64,
        effect.a if direct else 0,
        effect.a if access else -1,
        effect.b if access else 0,
        effect.d if access else 0,
        effect.c if access else 0,
        effect.c if moves_sp else 0,
    )
