"""Dividing by a constant as multiplying by its reciprocal, rounded up to some power of 2.

With M = floor(2**w / d) + 1 and e = M * d - 2**w (1 <= e <= d), n * M / 2**w is n / d and
n * e / (d * 2**w) more.  While n * e < 2**w that is less than 1 / d, too little to reach
the next whole number, so floor(n * M / 2**w) is the quotient.  Of -n the same product's
floor is one less than the quotient, as it lies just below it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reciprocal:
    """`multiplier` / 2**`power`; `power` is at least the word's bits that it was made for."""

    multiplier: int
    power: int


def reciprocal(divisor: int, largest: int, word: int) -> Reciprocal:
    """The reciprocal with the least power >= `word` for dividends of 0 .. `largest`.

    divisor     at least 2
    """
    assert divisor >= 2 and largest >= 1
    power = word
    while True:
        multiplier = (1 << power) // divisor + 1
        if largest * (multiplier * divisor - (1 << power)) < 1 << power:
            return Reciprocal(multiplier, power)
        power += 1


__all__ = ["Reciprocal", "reciprocal"]
