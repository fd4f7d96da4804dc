"""What one ARM64 instruction word does to registers, stack and control flow.

`effect_of(word)` is remembered per word, as code repeats itself; `columns.py` has the same
for whole sections.  The facts come from the groups in `groups.py`; `data_effects.py` and
`memory_effects.py` have only the parts that depend on more than one field.  Words that no
group covers, and scalable vector code, get the kind UNKNOWN: what they do is not known, and
nothing may be concluded from them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from callproof.target.arm64 import data_effects, memory_effects
from callproof.target.arm64.effect_model import (
    ADD_IMMEDIATE,
    ADD_REGISTER,
    ADDRESS,
    BRANCH,
    CALL,
    CALL_REGISTER,
    COMPARE,
    CONSTANT,
    FIRST_CONTROL,
    FLAGS,
    FLAGS_BIT,
    HIGH,
    INDEXED_LOAD,
    JUMP,
    JUMP_REGISTER,
    LANES,
    LOAD,
    LOW,
    MERGE,
    MOVE,
    MOVK,
    OTHER_STORE,
    PLAIN,
    REGISTERS,
    RETURN,
    SELECT,
    SP_BIT,
    SP_MASK,
    STORE,
    TRAP,
    UNKNOWN,
    Builder,
    Effect,
    Transfer,
)
from callproof.target.arm64.groups import GROUPS, Group
from callproof.target.arm64.operand_masks import READERS, WRITERS

__all__ = [
    "ADDRESS",
    "ADD_IMMEDIATE",
    "ADD_REGISTER",
    "BRANCH",
    "CALL",
    "CALL_REGISTER",
    "COMPARE",
    "CONSTANT",
    "FIRST_CONTROL",
    "FLAGS",
    "FLAGS_BIT",
    "HIGH",
    "INDEXED_LOAD",
    "JUMP",
    "JUMP_REGISTER",
    "LANES",
    "LOAD",
    "LOW",
    "MERGE",
    "MOVE",
    "MOVK",
    "OTHER_STORE",
    "PLAIN",
    "REGISTERS",
    "RETURN",
    "SELECT",
    "SP_BIT",
    "SP_MASK",
    "STORE",
    "TRAP",
    "UNKNOWN",
    "Builder",
    "Effect",
    "Transfer",
    "classify",
    "effect_of",
    "group_of",
]

BUILDERS: dict[str, Builder] = data_effects.BUILDERS | memory_effects.BUILDERS


def _classes() -> tuple[npt.NDArray[np.int16], dict[int, list[int]]]:
    """By the top 11 bits of a word: its group (-1: none, -2: see the candidates)."""
    table = np.full(2048, -1, np.int16)
    candidates: dict[int, list[int]] = {}
    for top in range(2048):
        word = top << 21
        fitting = []
        for number, group in enumerate(GROUPS):
            if (word ^ group.value) & group.mask & 0xFFE00000 == 0:
                fitting.append(number)
                if not group.mask & 0x1FFFFF:
                    break
        if fitting and not GROUPS[fitting[0]].mask & 0x1FFFFF:
            table[top] = fitting[0]
        elif fitting:
            table[top] = -2
            candidates[top] = fitting
    return table, candidates


TABLE, CANDIDATES = _classes()


def group_of(word: int) -> int:
    """The number of the word's group, or -1."""
    found = int(TABLE[word >> 21])
    if found != -2:
        return found
    for number in CANDIDATES[word >> 21]:
        group = GROUPS[number]
        if word & group.mask == group.value:
            return number
    return -1


def classify(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.int16]:
    """The groups of many words at once (-1: no group)."""
    top = words >> np.uint32(21)
    groups: npt.NDArray[np.int16] = TABLE[top]
    (places,) = np.nonzero(groups == -2)
    if len(places):
        rest = words[places]
        found = np.full(len(rest), -1, np.int16)
        numbers = sorted({n for fitting in CANDIDATES.values() for n in fitting})
        open_ = np.arange(len(rest))
        for number in numbers:  # in the order of the groups, so that the first fit counts
            group = GROUPS[number]
            fits = (rest[open_] & np.uint32(group.mask)) == np.uint32(group.value)
            found[open_[fits]] = number
            open_ = open_[~fits]
            if not len(open_):
                break
        groups[places] = found
    return groups


def _base(word: int, group: Group) -> Effect:
    effect = Effect(PLAIN, group.name)
    for role, kind, shift in group.operands:
        number = word >> shift & 31
        if role == "r":
            effect.reads |= READERS[kind](word, number)
        elif role == "w":
            effect.writes |= WRITERS[kind](word, number)
        else:
            # Merged into: the whole is read and written; the checker treats it as one value.
            mask = READERS[kind](word, number)
            effect.reads |= mask
            effect.merges |= mask
            effect.writes |= WRITERS[kind](word, number)
    if group.reads_flags:
        effect.reads |= FLAGS
    if group.writes_flags:
        effect.writes |= FLAGS
    return effect


@cache
def effect_of(word: int) -> Effect:
    """The effect of an instruction word."""
    number = group_of(word)
    if number < 0:
        return Effect(UNKNOWN, "unallocated")
    group = GROUPS[number]
    effect = _base(word, group)
    BUILDERS[group.kind](word, effect)
    return effect
