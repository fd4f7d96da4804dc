"""AArch64's relocations for many rows at once; `arm64_fields.py` has them for one.

The same rules on arrays: S + A is `v`, P is `p`, the instruction `w`; each gives the new
instructions and which values fit.
"""

from __future__ import annotations

from collections.abc import Callable

from callproof.link.arm64_fields import ADR_KEPT, BRANCH_FIELDS, DATA, IMM12_KEPT
from callproof.link.batch import Rules, Words
from callproof.link.places import Flags, Longs
from callproof.link.veneers import BRANCHES
from callproof.object import elf_format as elf

NUMBERS = elf.RELOCATION_NUMBERS["aarch64"]
# Of sequences of which one relocation changes other instructions than its own.
ORDERED = ("R_AARCH64_TLSGD_", "R_AARCH64_TLSLD_", "R_AARCH64_TLSDESC_")
Changed = tuple[Longs, Flags]
Change = Callable[[Longs, Longs, Longs], Changed]


def _fits(value: Longs, bits: int) -> Flags:
    return (value >= -(1 << (bits - 1))) & (value < 1 << (bits - 1))


def _adr(w: Longs, value: Longs) -> Changed:
    new = w & ADR_KEPT | (value & 3) << 29 | (value >> 2 & 0x7FFFF) << 5
    return new, _fits(value, 21)


def _adrp(w: Longs, v: Longs, p: Longs) -> Changed:
    return _adr(w, (v >> 12) - (p >> 12))


def _branch(bits: int, shift: int) -> Change:
    mask = (1 << bits) - 1

    def change(w: Longs, v: Longs, p: Longs) -> Changed:
        distance = v - p
        fits = _fits(distance >> 2, bits) & (distance & 3 == 0)
        return w & ~(mask << shift) | (distance >> 2 & mask) << shift, fits

    return change


def _load_store(log2: int) -> Change:
    def change(w: Longs, v: Longs, p: Longs) -> Changed:
        del p
        fits = v & ((1 << log2) - 1) == 0
        return w & IMM12_KEPT | (v & 0xFFF) >> log2 << 10, fits

    return change


INSTRUCTIONS: dict[str, Change] = {
    **{name: _branch(bits, shift) for name, (bits, shift) in BRANCH_FIELDS.items()},
    "R_AARCH64_ADR_PREL_LO21": lambda w, v, p: _adr(w, v - p),
    "R_AARCH64_ADR_PREL_PG_HI21": _adrp,
    "R_AARCH64_ADR_PREL_PG_HI21_NC": _adrp,
    "R_AARCH64_ADD_ABS_LO12_NC": _load_store(0),
    **{f"R_AARCH64_LDST{8 << log2}_ABS_LO12_NC": _load_store(log2) for log2 in range(5)},
}


class Arm64Rules(Rules):
    """`reach`: how far a branch goes without a veneer."""

    __slots__ = ("changes", "is_branch", "reach")

    def __init__(self, reach: int) -> None:
        super().__init__("aarch64")
        self.reach = reach
        self.changes = {NUMBERS[name]: change for name, change in INSTRUCTIONS.items()}
        self.is_branch = {NUMBERS[name] for name in BRANCHES} & set(self.changes)
        for number in self.changes:
            self.size[number] = 4
        for name, (size, relative) in DATA.items():
            number = NUMBERS[name]
            self.size[number] = self.extent[number] = size
            self.is_data[number] = True
            self.relative[number] = relative
            # As signed or as unsigned numbers, whichever they are meant to be.
            self.ranges[number] = -(1 << (8 * size - 1)), 1 << 8 * size
        for name, number in NUMBERS.items():
            self.ordered[number] = name.startswith(ORDERED)

    def fields(self, words: Words, type_: int, value: Longs, place: Longs, at: Longs) -> Flags:
        change = self.changes.get(type_)
        if change is None:
            return super().fields(words, type_, value, place, at)
        new, fits = change(words.get(at), value, place)
        if type_ in self.is_branch:
            fits &= (value - place >= -self.reach) & (value - place < self.reach)
        if fits.all():
            words.put(at, 4, new)
        else:
            words.put(at[fits], 4, new[fits])
        return fits
