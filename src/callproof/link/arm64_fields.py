"""Where AArch64's relocations put their values: fields of instructions, and data.

Page(x) = x & ~0xFFF; S + A and the place P as in the ELF supplement (2024Q3, 5.7).  A value
that does not fit its field raises `OutOfRange`.
"""

from __future__ import annotations

from collections.abc import Callable

# What an instruction keeps where ADR and ADRP have their value, and where an imm12 is.
ADR_KEPT, IMM12_KEPT = 0x9F00001F, 0xFFC003FF
# Distances of branches, in words: bits of the field, and the field's lowest bit.
BRANCH_FIELDS = {
    "R_AARCH64_CALL26": (26, 0),
    "R_AARCH64_JUMP26": (26, 0),
    "R_AARCH64_CONDBR19": (19, 5),
    "R_AARCH64_LD_PREL_LO19": (19, 5),
    "R_AARCH64_TSTBR14": (14, 5),
}


class OutOfRange(Exception):
    """The value does not fit the field."""


def page(address: int) -> int:
    return address & ~0xFFF


def _fits(value: int, bits: int) -> int:
    """Check a signed field; the value cut to its width."""
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise OutOfRange
    return value & ((1 << bits) - 1)


def _adr(word: int, value: int) -> int:
    value = _fits(value, 21)
    return word & ADR_KEPT | (value & 3) << 29 | value >> 2 << 5


def adrp(word: int, value: int, place: int) -> int:
    return _adr(word, (page(value) - page(place)) >> 12)


def imm12(word: int, value: int) -> int:
    return word & IMM12_KEPT | (value & 0xFFF) << 10


def _branch(bits: int, shift: int) -> Callable[[int, int, int], int]:
    mask = (1 << bits) - 1

    def apply(word: int, value: int, place: int) -> int:
        distance = value - place
        if distance & 3:
            raise OutOfRange
        return word & ~(mask << shift) | _fits(distance >> 2, bits) << shift

    return apply


def _lo15(word: int, value: int) -> int:
    """An offset of doublewords, up to 32 KiB."""
    if not 0 <= value < 1 << 15 or value & 7:
        raise OutOfRange
    return word & IMM12_KEPT | value >> 3 << 10


def _load_store(log2: int) -> Callable[[int, int, int], int]:
    def apply(word: int, value: int, place: int) -> int:
        del place
        if value & ((1 << log2) - 1):
            raise OutOfRange
        return imm12(word, (value & 0xFFF) >> log2)

    return apply


def _move_wide(shift: int, *, check: bool) -> Callable[[int, int, int], int]:
    def apply(word: int, value: int, place: int) -> int:
        del place
        if check and value >> (shift + 16) not in (0,):
            raise OutOfRange
        return word & ~(0xFFFF << 5) | (value >> shift & 0xFFFF) << 5

    return apply


def _move_signed(shift: int) -> Callable[[int, int, int], int]:
    """MOVZ of the value or MOVN of its complement, by its sign."""

    def apply(word: int, value: int, place: int) -> int:
        del place
        if not -(1 << (shift + 16)) <= value < 1 << (shift + 16):
            raise OutOfRange
        word = word & ~(1 << 30) if value < 0 else word | 1 << 30
        bits = ~value if value < 0 else value
        return word & ~(0xFFFF << 5) | (bits >> shift & 0xFFFF) << 5

    return apply


def _move_relative(shift: int, *, check: bool) -> Callable[[int, int, int], int]:
    signed, plain = _move_signed(shift), _move_wide(shift, check=False)

    def apply(word: int, value: int, place: int) -> int:
        return (signed if check else plain)(word, value - place, place)

    return apply


def _hi12(word: int, value: int, place: int) -> int:
    del place
    if not 0 <= value < 1 << 24:
        raise OutOfRange
    return imm12(word, value >> 12)


def _lo12_checked(log2: int) -> Callable[[int, int, int], int]:
    inner = _load_store(log2)

    def apply(word: int, value: int, place: int) -> int:
        if not 0 <= value < 1 << 12:
            raise OutOfRange
        return inner(word, value, place)

    return apply


# type -> (instruction word, S + A, P) -> instruction word
INSTRUCTIONS: dict[str, Callable[[int, int, int], int]] = {
    **{name: _branch(bits, shift) for name, (bits, shift) in BRANCH_FIELDS.items()},
    "R_AARCH64_ADR_PREL_LO21": lambda w, v, p: _adr(w, v - p),
    "R_AARCH64_ADR_PREL_PG_HI21": adrp,
    "R_AARCH64_ADR_PREL_PG_HI21_NC": adrp,
    "R_AARCH64_ADD_ABS_LO12_NC": lambda w, v, p: imm12(w, v),
    "R_AARCH64_LDST8_ABS_LO12_NC": _load_store(0),
    "R_AARCH64_LDST16_ABS_LO12_NC": _load_store(1),
    "R_AARCH64_LDST32_ABS_LO12_NC": _load_store(2),
    "R_AARCH64_LDST64_ABS_LO12_NC": _load_store(3),
    "R_AARCH64_LDST128_ABS_LO12_NC": _load_store(4),
    "R_AARCH64_MOVW_UABS_G0": _move_wide(0, check=True),
    "R_AARCH64_MOVW_UABS_G0_NC": _move_wide(0, check=False),
    "R_AARCH64_MOVW_UABS_G1": _move_wide(16, check=True),
    "R_AARCH64_MOVW_UABS_G1_NC": _move_wide(16, check=False),
    "R_AARCH64_MOVW_UABS_G2": _move_wide(32, check=True),
    "R_AARCH64_MOVW_UABS_G2_NC": _move_wide(32, check=False),
    "R_AARCH64_MOVW_UABS_G3": _move_wide(48, check=False),
    "R_AARCH64_MOVW_SABS_G0": _move_signed(0),
    "R_AARCH64_MOVW_SABS_G1": _move_signed(16),
    "R_AARCH64_MOVW_SABS_G2": _move_signed(32),
    "R_AARCH64_MOVW_PREL_G0": _move_relative(0, check=True),
    "R_AARCH64_MOVW_PREL_G0_NC": _move_relative(0, check=False),
    "R_AARCH64_MOVW_PREL_G1": _move_relative(16, check=True),
    "R_AARCH64_MOVW_PREL_G1_NC": _move_relative(16, check=False),
    "R_AARCH64_MOVW_PREL_G2": _move_relative(32, check=True),
    "R_AARCH64_MOVW_PREL_G2_NC": _move_relative(32, check=False),
    "R_AARCH64_MOVW_PREL_G3": _move_relative(48, check=False),
    # These get the address of the GOT slot instead of S + A.
    "R_AARCH64_ADR_GOT_PAGE": adrp,
    "R_AARCH64_LD64_GOT_LO12_NC": _load_store(3),
    "R_AARCH64_GOT_LD_PREL19": _branch(19, 5),
    "R_AARCH64_TLSIE_LD_GOTTPREL_PREL19": _branch(19, 5),
    # This one gets the slot's distance from the GOT's page.
    "R_AARCH64_LD64_GOTPAGE_LO15": lambda w, v, p: _lo15(w, v),
    "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21": adrp,
    "R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC": _load_store(3),
    # These get the offset from the thread pointer.
    "R_AARCH64_TLSLE_ADD_TPREL_HI12": _hi12,
    "R_AARCH64_TLSLE_ADD_TPREL_LO12": _lo12_checked(0),
    "R_AARCH64_TLSLE_ADD_TPREL_LO12_NC": lambda w, v, p: imm12(w, v),
    "R_AARCH64_TLSLE_MOVW_TPREL_G2": _move_signed(32),
    "R_AARCH64_TLSLE_MOVW_TPREL_G1": _move_signed(16),
    "R_AARCH64_TLSLE_MOVW_TPREL_G1_NC": _move_wide(16, check=False),
    "R_AARCH64_TLSLE_MOVW_TPREL_G0": _move_signed(0),
    "R_AARCH64_TLSLE_MOVW_TPREL_G0_NC": _move_wide(0, check=False),
    # These get the offset in the thread-local image.
    "R_AARCH64_TLSLD_ADD_DTPREL_HI12": _hi12,
    "R_AARCH64_TLSLD_ADD_DTPREL_LO12": _lo12_checked(0),
    "R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC": lambda w, v, p: imm12(w, v),
} | {
    f"R_AARCH64_{model}_LDST{8 << log2}_{offset}_LO12{suffix}": make(log2)
    for model, offset in (("TLSLE", "TPREL"), ("TLSLD", "DTPREL"))
    for log2 in range(5)
    for suffix, make in (("", _lo12_checked), ("_NC", _load_store))
}
# type -> (bytes, relative to P)
DATA = {
    "R_AARCH64_ABS64": (8, False),
    "R_AARCH64_ABS32": (4, False),
    "R_AARCH64_ABS16": (2, False),
    "R_AARCH64_PREL64": (8, True),
    "R_AARCH64_PREL32": (4, True),
    "R_AARCH64_PREL16": (2, True),
    "R_AARCH64_PLT32": (4, True),
}
