"""The effects of loads and stores: which bytes at which distance from which base.

A `LOAD` or `STORE` says
exactly where each register (or half of a V register) goes, so that a save and a restore
can be compared byte by byte; whatever cannot be said so is PLAIN (loads) or OTHER_STORE.
"""

from __future__ import annotations

from callproof.target.arm64.effect_model import (
    HIGH,
    INDEXED_LOAD,
    LOAD,
    LOW,
    OTHER_STORE,
    STORE,
    UNKNOWN,
    Builder,
    Effect,
    sign,
)

BUILDERS: dict[str, Builder] = {}


def _general(number: int, position: int, size: int) -> list[tuple[int, int, int]]:
    return [] if number == 31 else [(number, position, size)]


def _vector(number: int, position: int, size: int) -> list[tuple[int, int, int]]:
    if size == 16:
        return [(LOW + number, position, 8), (HIGH + number, position + 8, 8)]
    return [(LOW + number, position, size)]


def _finish(
    effect: Effect,
    load: bool,
    base: int,
    offset: int,
    add: int,
    transfers: list[tuple[int, int, int]],
    size: int,
) -> None:
    effect.kind = LOAD if load else STORE
    effect.a, effect.b, effect.c = base, offset, add
    effect.d = size
    effect.pairs = tuple(transfers)
    effect.reads |= 1 << base
    for bit, _, _ in transfers:
        if load:
            effect.writes |= 1 << bit
            if LOW <= bit < HIGH:
                effect.writes |= 1 << bit + 32  # a load of d or less clears the high half
        else:
            effect.reads |= 1 << bit
    if add:
        effect.writes |= 1 << base


def _pair(word: int, effect: Effect) -> None:
    opc, vector, load = word >> 30, word >> 26 & 1, bool(word >> 22 & 1)
    mode = word >> 23 & 3  # 0 no-allocate, 1 post, 2 offset, 3 pre
    size = 4 << opc if vector else 4 if opc < 2 else 8
    if vector and opc == 3:
        effect.kind = UNKNOWN  # reserved
        return
    distance = sign(word >> 15 & 127, 7) * size
    place = _vector if vector else _general
    first, second = word & 31, word >> 10 & 31
    transfers = place(first, 0, size) + place(second, size, size)
    if load and not vector and opc == 1:  # ldpsw: what arrives is not what was stored
        transfers = [(bit, position, -part) for bit, position, part in transfers]
    base = word >> 5 & 31
    offset = 0 if mode == 1 else distance
    _finish(effect, load, base, offset, distance if mode in (1, 3) else 0, transfers, 2 * size)


def _tag_pair(word: int, effect: Effect) -> None:
    """stgp: a pair of X registers, in steps of 16 bytes."""
    mode = word >> 23 & 3
    distance = sign(word >> 15 & 127, 7) * 16
    transfers = _general(word & 31, 0, 8) + _general(word >> 10 & 31, 8, 8)
    offset = 0 if mode == 1 else distance
    add = distance if mode in (1, 3) else 0
    _finish(effect, False, word >> 5 & 31, offset, add, transfers, 16)


def _single(word: int, effect: Effect) -> None:
    size_field, vector, opc = word >> 30, word >> 26 & 1, word >> 22 & 3
    if vector:
        size = 16 if opc >= 2 else 1 << size_field
        load = bool(opc & 1)
        if opc >= 2 and size_field:
            effect.kind = UNKNOWN
            return
    else:
        size = 1 << size_field
        load = opc != 0
    number, base = word & 31, word >> 5 & 31
    scaled = bool(word >> 24 & 1)
    mode = 0 if scaled else word >> 10 & 3
    distance = (word >> 10 & 0xFFF) * size if scaled else sign(word >> 12 & 511, 9)
    transfers = (_vector if vector else _general)(number, 0, size)
    if load and not vector and opc >= 2:  # sign-extended
        transfers = [(bit, position, -part) for bit, position, part in transfers]
    offset = 0 if mode == 1 else distance
    _finish(effect, load, base, offset, distance if mode in (1, 3) else 0, transfers, size)


def _indexed(word: int, effect: Effect) -> None:
    size_field, vector, opc = word >> 30, word >> 26 & 1, word >> 22 & 3
    number, base, index = word & 31, word >> 5 & 31, word >> 16 & 31
    if vector:
        both = opc >= 2
        mask = 1 << LOW + number | (1 << HIGH + number if both or opc & 1 else 0)
        if opc & 1:
            effect.writes |= mask
        else:
            effect.reads |= mask
            effect.kind = OTHER_STORE
        return
    if opc == 0:
        if number != 31:
            effect.reads |= 1 << number
        effect.kind = OTHER_STORE
        return
    if number == 31:
        return
    effect.writes |= 1 << number
    if index != 31:
        effect.kind = INDEXED_LOAD
        effect.a, effect.b, effect.c = number, base, index
        effect.d = -(1 << size_field) if opc >= 2 else 1 << size_field


# opcode of the multiple-structure group -> (registers, whether in order)
MULTIPLE = {0: (4, False), 2: (4, True), 4: (3, False), 6: (3, True), 7: (1, True)}
MULTIPLE |= {8: (2, False), 10: (2, True)}


def _structure(load: bool) -> Builder:
    def build(word: int, effect: Effect) -> None:
        if word >> 24 & 1:
            _one_element(word, effect, load)
        else:
            _whole(word, effect, load)

    return build


def _post_index(word: int, size: int) -> tuple[int, bool]:
    """What the base gets added, and whether that is known."""
    if not word >> 23 & 1:
        return 0, True
    return (size, True) if word >> 16 & 31 == 31 else (0, False)


def _whole(word: int, effect: Effect, load: bool) -> None:
    opcode = word >> 12 & 15
    if opcode not in MULTIPLE:
        effect.kind = UNKNOWN
        return
    count, in_order = MULTIPLE[opcode]
    size = 16 if word >> 30 & 1 else 8
    transfers = []
    for index in range(count):
        transfers += _vector(((word & 31) + index) & 31, index * size, size)
    base = word >> 5 & 31
    add, known = _post_index(word, count * size)
    if in_order and known:
        _finish(effect, load, base, 0, add, transfers, count * size)
        return
    if word >> 23 & 1:
        effect.writes |= 1 << base
    for bit, _, _ in transfers:
        if load:
            effect.writes |= 1 << bit | 1 << (bit % 32 + HIGH)
        else:
            effect.reads |= 1 << bit
    if not load:
        effect.kind = OTHER_STORE


def _one_element(word: int, effect: Effect, load: bool) -> None:
    quad, opcode, s = word >> 30 & 1, word >> 13 & 7, word >> 12 & 1
    count = 1 + (word >> 21 & 1) + 2 * (opcode & 1)
    base, size_field = word >> 5 & 31, word >> 10 & 3
    registers = [((word & 31) + index) & 31 for index in range(count)]
    if word >> 23 & 1:
        effect.writes |= 1 << base
    if opcode >= 6:  # ld1r and the like fill every lane
        for number in registers:
            effect.writes |= 1 << LOW + number | 1 << HIGH + number
        return
    whole_half = opcode >= 4 and size_field == 1
    half = HIGH if quad else LOW
    for number in registers:
        mask = 1 << half + number
        if not load:
            effect.reads |= mask
            continue
        effect.writes |= mask
        if not whole_half:
            effect.reads |= mask
            effect.merges |= mask
    if load:
        return
    effect.kind = OTHER_STORE
    add, known = _post_index(word, 8)
    if whole_half and count == 1 and known and not s:
        _finish(effect, False, base, 0, add, [(half + registers[0], 0, 8)], 8)


def _compare_and_swap_pair(word: int, effect: Effect) -> None:
    effect.kind = OTHER_STORE
    for number in (word >> 16 & 31, (word >> 16 & 31) + 1):
        if number < 31:
            effect.reads |= 1 << number
            effect.writes |= 1 << number
    for number in (word & 31, (word & 31) + 1):
        if number < 31:
            effect.reads |= 1 << number


BUILDERS["pair"] = _pair
BUILDERS["tag_pair"] = _tag_pair
BUILDERS["single"] = _single
BUILDERS["indexed"] = _indexed
BUILDERS["structure_load"] = _structure(True)
BUILDERS["structure_store"] = _structure(False)
BUILDERS["compare_and_swap_pair"] = _compare_and_swap_pair
