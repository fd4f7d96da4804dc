"""The arithmetic of random programs in Python: words, lanes, and how they are printed."""

from __future__ import annotations

import struct
from collections.abc import Callable

INTEGER, FLOAT, PAIR, QUAD, FPAIR = "INTEGER", "FLOAT", "PAIR", "QUAD", "FPAIR"
VEC, FVEC = "VEC", "FVEC"
OCT, FQUAD, FOCT = "OCT", "FQUAD", "FOCT"
LANES = {PAIR: 2, QUAD: 4, FPAIR: 2, OCT: 8, FQUAD: 4, FOCT: 8}
BITS = {PAIR: 32, QUAD: 16, OCT: 8}  # of integer lanes


def wrap(value: int, bits: int = 64) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def quotient(a: int, b: int) -> int:
    if b == 0:
        return 0
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: int, b: int) -> int:
    return wrap(a - quotient(a, b) * b)


def shifted(a: int, count: int, left: bool) -> int:
    if not 0 <= count < 64:
        return 0
    return wrap(a << count if left else (a & (1 << 64) - 1) >> count)


def single(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def tame(value: float) -> float:
    """So that floats stay where both languages print the same digits."""
    return value if -1.0e6 < value < 1.0e6 else 0.5


def lanes(kind: str, values: list[int | float]) -> tuple[int | float, ...]:
    if kind not in BITS:
        return tuple(single(float(value)) for value in values)
    return tuple(wrap(int(value), BITS[kind]) for value in values)


def lanewise(
    kind: str, function: Callable[[float, float], float], a: object, b: object
) -> tuple[int | float, ...]:
    count = LANES[kind]
    first = a if isinstance(a, tuple) else lanes(kind, [a] * count)  # type: ignore[list-item]
    second = b if isinstance(b, tuple) else lanes(kind, [b] * count)  # type: ignore[list-item]
    return lanes(kind, [function(x, y) for x, y in zip(first, second, strict=True)])


def elementwise(name: str, a: list[float], b: list[float]) -> list[float]:
    """A new vector.  As the runtime does it: of equal floats (0.0 and -0.0) the second."""
    if name == "SUM":
        return [wrap(int(x) + int(y)) for x, y in zip(a, b, strict=True)]
    less = name == "MIN"
    return [x if (x < y if less else x > y) else y for x, y in zip(a, b, strict=True)]


def neighbours(
    kind: str, function: Callable[[float, float], float], a: tuple[float, ...], b: tuple[float, ...]
) -> tuple[int | float, ...]:
    """PAIRWISE_x of two packs."""
    both = [*a, *b]
    return lanes(kind, [function(x, y) for x, y in zip(both[::2], both[1::2], strict=True)])


def reduced(function: Callable[[float, float], float], pack: tuple[float, ...]) -> float:
    result = pack[0]
    for lane in pack[1:]:
        result = function(result, lane)
    return result


def shown(kind: str, value: object) -> str:
    if isinstance(value, list):
        return "".join(shown(FLOAT if kind == FVEC else INTEGER, one) + " " for one in value)
    if isinstance(value, tuple) and kind in (OCT, FQUAD, FOCT):
        return "".join(f"{lane:g} " if kind != OCT else f"{lane} " for lane in value)
    if isinstance(value, tuple):
        if kind == FPAIR:
            return "(" + ", ".join(f"{lane:g}" for lane in value) + ")"
        return "(" + ", ".join(map(str, value)) + ")"
    return f"{value:g}" if kind == FLOAT else str(value)


HELPERS = {
    one.__name__: one
    for one in (
        *(wrap, quotient, remainder, shifted, single, tame),
        *(lanes, lanewise, neighbours, reduced, elementwise, shown),
    )
}
