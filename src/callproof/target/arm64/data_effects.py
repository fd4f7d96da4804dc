"""The effects of branches and data processing: what depends on more than one field."""

from __future__ import annotations

from collections.abc import Callable

from callproof.target.arm64.effect_model import (
    ADD_IMMEDIATE,
    ADD_REGISTER,
    ADDRESS,
    BRANCH,
    CALL,
    CALL_REGISTER,
    COMPARE,
    CONSTANT,
    HIGH,
    JUMP,
    JUMP_REGISTER,
    LANES,
    LOW,
    MOVE,
    MOVK,
    OTHER_STORE,
    PLAIN,
    RETURN,
    SELECT,
    SP_BIT,
    TRAP,
    UNKNOWN,
    Builder,
    Effect,
    sign,
)
from callproof.target.arm64.immediates import decode_bitmask
from callproof.target.arm64.operand_masks import general_mask, vector_mask

BUILDERS: dict[str, Builder] = {}


def _builder(kind: str) -> Callable[[Builder], Builder]:
    def register(function: Builder) -> Builder:
        BUILDERS[kind] = function
        return function

    return register


def _simple(kind: int) -> Builder:
    def build(word: int, effect: Effect) -> None:
        del word
        effect.kind = kind

    return build


BUILDERS["plain"] = lambda word, effect: None
BUILDERS["trap"] = _simple(TRAP)
BUILDERS["exception_return"] = _simple(TRAP)
BUILDERS["scalable"] = BUILDERS["unknown"] = _simple(UNKNOWN)


def _lanes(word: int, effect: Effect) -> None:
    if word >> 30 & 1:
        effect.kind = LANES


BUILDERS["lanes"] = _lanes
BUILDERS["select"] = _simple(SELECT)
BUILDERS["other_store"] = _simple(OTHER_STORE)


def _jump(kind: int, shift: int, bits: int) -> Builder:
    def build(word: int, effect: Effect) -> None:
        effect.kind = kind
        effect.a = 4 * sign(word >> shift & ((1 << bits) - 1), bits)

    return build


BUILDERS["jump"] = _jump(JUMP, 0, 26)
BUILDERS["jump19"] = _jump(JUMP, 5, 19)
BUILDERS["call"] = _jump(CALL, 0, 26)
BUILDERS["branch19"] = _jump(BRANCH, 5, 19)
BUILDERS["branch14"] = _jump(BRANCH, 5, 14)


def _through_register(kind: int) -> Builder:
    def build(word: int, effect: Effect) -> None:
        effect.kind = kind
        effect.a = word >> 5 & 31
        # braaz and the like have no modifier, and SP as a modifier is no use that matters.
        effect.reads = general_mask(effect.a)

    return build


BUILDERS["indirect_jump"] = _through_register(JUMP_REGISTER)
BUILDERS["indirect_call"] = _through_register(CALL_REGISTER)
BUILDERS["return"] = _through_register(RETURN)


@_builder("return_signed")
def _return_signed(word: int, effect: Effect) -> None:
    del word
    effect.kind, effect.a, effect.reads = RETURN, 30, 1 << 30


@_builder("system_call")
def _system_call(word: int, effect: Effect) -> None:
    """Linux keeps everything but X0; Darwin also returns in X1 and the carry flag.  Which
    arguments are read depends on the call, so nothing is said of them."""
    del word
    effect.writes = 1


@_builder("monitor_call")
def _monitor_call(word: int, effect: Effect) -> None:
    """SMCCC 1.1 and later: results in X0-X3 and, for the older ones, X0-X17 may change."""
    del word
    effect.writes = (1 << 18) - 1


@_builder("hint")
def _hint(word: int, effect: Effect) -> None:
    """Signing and authenticating keep what a pointer stands for; the link stays the link."""
    number = word >> 5 & 127
    if number in (8, 10, 12, 14):  # pacia1716 and the like
        effect.reads |= 1 << 16 | 1 << 17
        effect.writes |= 1 << 17


@_builder("adr")
def _adr(word: int, effect: Effect) -> None:
    distance = sign((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
    _address(word, effect, distance, 0)


@_builder("adrp")
def _adrp(word: int, effect: Effect) -> None:
    distance = sign((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21) << 12
    _address(word, effect, distance, 1)


def _address(word: int, effect: Effect, distance: int, page: int) -> None:
    if word & 31 != 31:
        effect.kind, effect.a, effect.b, effect.c = ADDRESS, word & 31, distance, page


@_builder("add_immediate")
def _add_immediate(word: int, effect: Effect) -> None:
    if not word >> 31:
        return
    value = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
    effect.kind = ADD_IMMEDIATE
    effect.a, effect.b = word & 31, word >> 5 & 31
    effect.c = -value if word >> 30 & 1 else value


@_builder("compare_immediate")
def _compare_immediate(word: int, effect: Effect) -> None:
    """Kept apart so that the bounds of jump tables are found; a plain instruction else."""


@_builder("compare_register")
def _compare_register(word: int, effect: Effect) -> None:
    n, m, d = word >> 5 & 31, word >> 16 & 31, word & 31
    if word >> 21 & 1 and n == 31 and d == 31 and word >> 30 & 1 and m != 31:
        effect.kind, effect.a, effect.b = COMPARE, SP_BIT, m
    elif not word >> 21 & 1 and n == m and word >> 30 & 1:
        effect.reads = 0  # x - x, whatever x is


@_builder("logical_immediate")
def _logical_immediate(word: int, effect: Effect) -> None:
    if word >> 5 & 31 != 31 or word >> 29 & 3 != 1:
        return
    width = 64 if word >> 31 else 32
    value = decode_bitmask(word >> 22 & 1, word >> 16 & 63, word >> 10 & 63, width)
    if value is not None and word & 31 != 31:
        effect.kind, effect.a, effect.b = CONSTANT, word & 31, value


@_builder("move_wide")
def _move_wide(word: int, effect: Effect) -> None:
    if word & 31 == 31:
        return
    value = (word >> 5 & 0xFFFF) << (16 * (word >> 21 & 3))
    if word >> 29 & 3 == 0:
        value ^= (1 << 64) - 1 if word >> 31 else (1 << 32) - 1
    effect.kind, effect.a, effect.b = CONSTANT, word & 31, value


@_builder("movk")
def _movk(word: int, effect: Effect) -> None:
    if word & 31 == 31:
        return
    shift = 16 * (word >> 21 & 3)
    effect.kind, effect.a = MOVK, word & 31
    effect.b, effect.c = (word >> 5 & 0xFFFF) << shift, ((1 << 64) - 1) ^ 0xFFFF << shift


@_builder("bitfield")
def _bitfield(word: int, effect: Effect) -> None:
    """`lsl` is a step of jump tables; everything else is plain."""


def _move(effect: Effect, *pairs: tuple[int, int]) -> None:
    effect.kind, effect.pairs = MOVE, pairs


@_builder("logical_or")
def _logical_or(word: int, effect: Effect) -> None:
    n, m, d = word >> 5 & 31, word >> 16 & 31, word & 31
    if word & 0xFC00 or word >> 22 & 3 or 31 in (m, d):
        return
    if n == 31 or n == m:
        _move(effect, (d, m))
        effect.c = 1 - (word >> 31)


@_builder("extract_bits")
def _extract_bits(word: int, effect: Effect) -> None:
    """A register rotated in place is still what it was: tools are asked for things by
    sequences of such rotations (Valgrind's client requests)."""
    n, m, d = word >> 5 & 31, word >> 16 & 31, word & 31
    if n == m == d != 31:
        effect.merges = 1 << d


@_builder("cancels")
def _eor(word: int, effect: Effect) -> None:
    if word >> 5 & 31 == word >> 16 & 31 and not word & 0xFC00 and not word >> 22 & 3:
        effect.reads = 0  # x ^ x, whatever x is


@_builder("cancels_vector")
@_builder("cancels_scalar")
def _cancels_vector(word: int, effect: Effect) -> None:
    if word >> 5 & 31 == word >> 16 & 31:
        effect.reads = 0
    elif word >> 28 & 1 == 0:
        _lanes(word, effect)


def _add_register(sign: int) -> Builder:
    def build(word: int, effect: Effect) -> None:
        n, m, d = word >> 5 & 31, word >> 16 & 31, word & 31
        extended = bool(word >> 21 & 1)
        if not word >> 31:
            if not extended and sign < 0 and n == m and not word & 0xFC00:
                effect.reads = 0
            return
        if m == 31 or (not extended and 31 in (n, d)):
            return
        effect.kind = ADD_REGISTER
        effect.a, effect.b, effect.c, effect.e = d, n, m, sign
        if extended:
            option, amount = word >> 13 & 7, word >> 10 & 7
            effect.d = amount if option in (3, 7) else -1 - amount - 8 * option
        else:
            plain = word >> 22 & 3 == 0
            effect.d = word >> 10 & 63 if plain else -1 - 8 * 99
        if sign < 0 and n == m and effect.d == 0 and not extended:
            effect.kind, effect.reads = PLAIN, 0

    return build


BUILDERS["add_register"] = _add_register(1)
BUILDERS["sub_register"] = _add_register(-1)


@_builder("move_scalar")
def _move_scalar(word: int, effect: Effect) -> None:
    """`fmov d, d`; the high half becomes zero (it is in `writes` and in no pair)."""
    _move(effect, (LOW + (word & 31), LOW + (word >> 5 & 31)))


@_builder("move_from_general")
@_builder("move_to_general")
@_builder("move_to_high")
@_builder("move_of_high")
def _move_between(word: int, effect: Effect) -> None:
    """64 bits between a general register and half a vector register; XZR is no source."""
    half = HIGH if effect.group.endswith("high half") else LOW
    d, n = word & 31, word >> 5 & 31
    if word >> 16 & 1:
        if n != 31:
            _move(effect, (half + d, n))
    elif d != 31:
        _move(effect, (d, half + n))


@_builder("move_vector")
def _move_vector(word: int, effect: Effect) -> None:
    n, m, d = word >> 5 & 31, word >> 16 & 31, word & 31
    if n != m:
        _lanes(word, effect)
        return
    pairs = [(LOW + d, LOW + n)]
    if word >> 30 & 1:
        pairs.append((HIGH + d, HIGH + n))
    _move(effect, *pairs)


# --- lanes --------------------------------------------------------------------------------------


def _lane(imm5: int, number: int) -> int:
    """The half of a vector that an element lies in; imm5 holds size and index."""
    if not imm5 & 15:
        return vector_mask(number, both=True)  # reserved
    size = (imm5 & -imm5).bit_length() - 1
    index = imm5 >> (size + 1)
    return 1 << (HIGH if index << size >= 8 else LOW) + number


@_builder("lane_to_scalar")
def _lane_read(word: int, effect: Effect) -> None:
    effect.reads |= _lane(word >> 16 & 31, word >> 5 & 31)


@_builder("lane_to_general")
def _lane_to_general(word: int, effect: Effect) -> None:
    _lane_read(word, effect)
    if word >> 16 & 15 == 8 and word & 31 != 31:  # a whole half: a copy
        _move(effect, (word & 31, effect.reads.bit_length() - 1))


def _insert(word: int, effect: Effect) -> None:
    imm5 = word >> 16 & 31
    mask = _lane(imm5, word & 31)
    effect.writes |= mask
    if imm5 & 15 != 8:  # smaller than a half: the rest of the half remains
        effect.reads |= mask
        effect.merges |= mask


@_builder("insert_general")
def _insert_general(word: int, effect: Effect) -> None:
    _insert(word, effect)
    if word >> 16 & 15 == 8 and word >> 5 & 31 != 31:
        _move(effect, (effect.writes.bit_length() - 1, word >> 5 & 31))


@_builder("insert_element")
def _insert_element(word: int, effect: Effect) -> None:
    _insert(word, effect)
    imm5 = word >> 16 & 31
    if imm5 & 15:
        offset = word >> 11 & 15
        effect.reads |= 1 << (HIGH if offset >= 8 else LOW) + (word >> 5 & 31)


@_builder("extract")
def _extract(word: int, effect: Effect) -> None:
    n, m, start = word >> 5 & 31, word >> 16 & 31, word >> 11 & 15
    if not word >> 30 & 1:
        effect.reads |= 1 << LOW + n | (1 << LOW + m if start else 0)
        return
    effect.reads |= 1 << HIGH + n | (1 << LOW + n if start < 8 else 0)
    if start:
        effect.reads |= 1 << LOW + m | (1 << HIGH + m if start > 8 else 0)


@_builder("table")
def _table(word: int, effect: Effect) -> None:
    for index in range((word >> 13 & 3) + 1):
        effect.reads |= vector_mask(((word >> 5) + index) & 31, both=True)
