"""Which registers, or halves of them, an operand of a group stands for (see `groups.py`)."""

from __future__ import annotations

from collections.abc import Callable

from callproof.target.arm64.effect_model import HIGH, LOW


def half_of(word: int) -> int:
    return HIGH if word >> 30 & 1 else LOW


def vector_mask(number: int, *, both: bool) -> int:
    return 1 << LOW + number | (1 << HIGH + number if both else 0)


def general_mask(number: int) -> int:
    return 0 if number == 31 else 1 << number


def _element(word: int) -> int:
    """The register and half of a by-element operand (DDI 0487, C4.1.96, "by element")."""
    size = word >> 22 & 3
    opcode = word >> 12 & 15
    dot = opcode in (14, 15) and not word >> 29 & 1  # sdot, usdot, bfdot; size 3 is bfmlal
    # Elements of 16 bits need the bit M for their index; only V0-V15 can be named then.
    four = size == 1 or (size == 0 and not dot) or (size == 2 and _is_fmlal(word))
    if size == 1 and (_is_complex(word) or dot):
        four = False
    elif size == 3 and opcode == 15:
        four = True
    number = word >> 16 & (15 if four else 31)
    return 1 << (HIGH if word >> 11 & 1 else LOW) + number


def _is_fmlal(word: int) -> bool:
    scalar, opcode = word >> 28 & 1, word >> 12 & 15
    return not scalar and opcode in ((8, 12) if word >> 29 & 1 else (0, 4))


def _is_complex(word: int) -> bool:
    return word >> 28 & 1 == 0 and word >> 29 & 1 == 1 and word >> 12 & 9 == 1


READERS: dict[str, Callable[[int, int], int]] = {
    "X": lambda word, n: general_mask(n),
    "P": lambda word, n: 1 << n,
    "S": lambda word, n: 1 << LOW + n,
    "L": lambda word, n: 1 << LOW + n,
    "H": lambda word, n: 1 << HIGH + n,
    "V": lambda word, n: vector_mask(n, both=True),
    "Q": lambda word, n: vector_mask(n, both=bool(word >> 30 & 1)),
    "U": lambda word, n: 1 << half_of(word) + n,
    "E": lambda word, n: _element(word),
    # zip1 takes the low halves of full registers, zip2 the high ones.
    "Z": lambda word, n: 1 << (HIGH if word >> 30 & 1 and word >> 14 & 1 else LOW) + n,
}
WRITERS: dict[str, Callable[[int, int], int]] = {
    "X": lambda word, n: general_mask(n),
    "P": lambda word, n: 1 << n,
    "S": lambda word, n: vector_mask(n, both=True),
    "H": lambda word, n: 1 << HIGH + n,
    "V": lambda word, n: vector_mask(n, both=True),
    "Q": lambda word, n: vector_mask(n, both=True),
    "N": lambda word, n: 1 << HIGH + n if word >> 30 & 1 else vector_mask(n, both=True),
}
