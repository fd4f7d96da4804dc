"""Aliases: what people and disassemblers write instead of the plain instruction.

Each function here makes an alias for rows of one shape: arguments -> text, or None
where the plain text is the usual one.  An alias is always the same instruction
word as the row's own text; Clang's assembler says so in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callproof.target.arm64.kinds import (
    CONDITION_NAMES,
    EXTEND_NAMES,
    SHIFT_NAMES,
    Argument,
    label_text,
    plain,
)
from callproof.target.arm64.registers import SP, XZR, name

Alias = Callable[[Sequence[Argument]], str | None]


def names(width: str, arguments: Sequence[Argument]) -> list[str]:
    return [name(a, width) for a in arguments if isinstance(a, int)]


def optional_shift(mnemonic: str, width: str, plain: str = "", discard: str = "") -> Alias:
    """`op d, n, m` without a shift of 0; `plain` where n is ZR, `discard` where d is ZR."""

    def alias(a: Sequence[Argument]) -> str | None:
        d, n, m = (name(r, width) for r in a[:3] if isinstance(r, int))
        shift = f", {SHIFT_NAMES[int(a[3])]} #{a[4]}" if a[3] or a[4] else ""
        if discard and a[0] == XZR:
            return f"{discard} {n}, {m}{shift}"
        if plain and a[1] == XZR:
            return f"{plain} {d}, {m}{shift}"
        return f"{mnemonic} {d}, {n}, {m}{shift}"

    return alias


def optional_extend(mnemonic: str, width: str, discard: str = "") -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        kind, amount = int(a[3]), int(a[4])
        d, n = name(int(a[0]), width), name(int(a[1]), width)
        m = name(int(a[2]), "x" if width == "x" and kind & 3 == 3 else "w")
        word = EXTEND_NAMES[kind]
        if kind == (3 if width == "x" else 2) and SP in (a[0], a[1]):
            word = "lsl"
            shown = f", lsl #{amount}" if amount else ""
        else:
            shown = f", {word}" + (f" #{amount}" if amount else "")
        if discard and a[0] == XZR:
            return f"{discard} {n}, {m}{shown}"
        return f"{mnemonic} {d}, {n}, {m}{shown}"

    return alias


def immediate(mnemonic: str, width: str, discard: str = "", move: bool = False) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        d, n = name(int(a[0]), width), name(int(a[1]), width)
        if move and a[2] == 0 and a[3] == 0 and SP in (a[0], a[1]):
            return f"mov {d}, {n}"
        shift = f", lsl #{a[3]}" if a[3] else ""
        shown = f"{plain(a[2])}{shift}"
        if discard and a[0] == XZR:
            return f"{discard} {n}, {shown}"
        return f"{mnemonic} {d}, {n}, {shown}"

    return alias


def bitfield(width: str, *, signed: bool) -> Alias:
    """SBFM and UBFM as the shifts, extensions and field moves that they are."""
    bits = 64 if width == "x" else 32
    letter = "s" if signed else "u"

    def alias(a: Sequence[Argument]) -> str | None:
        d, n, r, s = name(int(a[0]), width), name(int(a[1]), width), int(a[2]), int(a[3])
        w = name(int(a[1]), "w")
        if s == bits - 1:
            return f"{'asr' if signed else 'lsr'} {d}, {n}, #{r}"
        if not signed and s + 1 == r:
            return f"lsl {d}, {n}, #{bits - r}"
        if r == 0 and s in (7, 15) and (signed or width == "w"):
            return f"{letter}xt{'b' if s == 7 else 'h'} {d}, {w}"
        if r == 0 and s == 31 and signed:
            return f"sxtw {d}, {w}"
        if s < r:
            return f"{letter}bfiz {d}, {n}, #{bits - r}, #{s + 1}"
        return f"{letter}bfx {d}, {n}, #{r}, #{s - r + 1}"

    return alias


def insert(width: str) -> Alias:
    bits = 64 if width == "x" else 32

    def alias(a: Sequence[Argument]) -> str | None:
        d, n, r, s = name(int(a[0]), width), name(int(a[1]), width), int(a[2]), int(a[3])
        if s < r:
            return f"bfi {d}, {n}, #{bits - r}, #{s + 1}"
        return f"bfxil {d}, {n}, #{r}, #{s - r + 1}"

    return alias


def accumulate(width: str, plain: str) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        if a[3] != XZR:
            return None
        d, n, m = names(width, a[:3])
        return f"{plain} {d}, {n}, {m}"

    return alias


def conditional(width: str, setting: str, changing: str) -> Alias:
    """CSINC and CSINV: CSET and CSETM of the zero register, CINC and CINV of one register."""

    def alias(a: Sequence[Argument]) -> str | None:
        condition = int(a[3])
        if a[1] != a[2] or condition >= 14:
            return None
        opposite = CONDITION_NAMES[condition ^ 1]
        d, n, _ = names(width, a[:3])
        if a[1] == XZR:
            return f"{setting} {d}, {opposite}"
        return f"{changing} {d}, {n}, {opposite}"

    return alias


def move_wide(mnemonic: str, width: str) -> Alias:
    """MOVZ and MOVN as `mov` with the value that they make, where that is unambiguous."""
    bits = 64 if width == "x" else 32

    def alias(a: Sequence[Argument]) -> str | None:
        value, shift = a[1], a[2]
        if isinstance(value, str):
            return None
        d = name(int(a[0]), width)
        number: int | None = value << int(shift)
        if mnemonic == "movn":
            number = ~(value << int(shift))
            if bits == 32 and value == 0xFFFF:
                number = None
        if number is None or (value == 0 and shift):
            shown = f", lsl #{shift}" if shift else ""
            return f"{mnemonic} {d}, #{value}{shown}"
        return f"mov {d}, #{number}" if abs(number) < 1 << 16 else f"mov {d}, #{number:#x}"

    return alias


def keep(width: str) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        shift = f", lsl #{a[2]}" if a[2] else ""
        return f"movk {name(int(a[0]), width)}, {plain(a[1])}{shift}"

    return alias


def logical_move(width: str) -> Alias:
    """ORR with the zero register, unless `mov` would mean MOVZ or MOVN of that value."""
    bits = 64 if width == "x" else 32

    def alias(a: Sequence[Argument]) -> str | None:
        value = int(a[2])
        halves = [value >> shift & 0xFFFF for shift in range(0, bits, 16)]
        if a[1] != XZR or max(halves.count(0), halves.count(0xFFFF)) >= len(halves) - 1:
            return None
        return f"mov {name(int(a[0]), width)}, #{value:#x}"

    return alias


def test(width: str) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        if a[0] != XZR:
            return None
        return f"tst {name(int(a[1]), width)}, #{int(a[2]):#x}"

    return alias


def base_only(mnemonic: str, kind: str) -> Alias:
    """`[n]` instead of `[n, #0]`."""

    def alias(a: Sequence[Argument]) -> str | None:
        if a[-1] != 0 or isinstance(a[-1], str):
            return None
        return f"{mnemonic} {name(int(a[0]), kind)}, [{name(int(a[1]), 'x')}]"

    return alias


def indexed(mnemonic: str, kind: str, log2: int) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        t, n, m = name(int(a[0]), kind), name(int(a[1]), "x"), int(a[2])
        extend, shifted = int(a[3]), int(a[4])
        index = name(m, "x" if extend & 1 else "w")
        word = {2: "uxtw", 3: "lsl", 6: "sxtw", 7: "sxtx"}[extend]
        shown = f", {word} #{log2}" if shifted else f", {word}" if extend != 3 else ""
        return f"{mnemonic} {t}, [{n}, {index}{shown}]"

    return alias


def branch_condition(a: Sequence[Argument]) -> str:
    """`b.eq label`: the condition belongs to the mnemonic."""
    return f"b.{CONDITION_NAMES[int(a[0])]} {label_text(a[1])}"


def bit_branch(mnemonic: str) -> Alias:
    """TBZ and TBNZ name the W register for the bits below 32."""

    def alias(a: Sequence[Argument]) -> str:
        width = "x" if int(a[1]) > 31 else "w"
        return f"{mnemonic} {name(int(a[0]), width)}, #{a[1]}, {label_text(a[2])}"

    return alias


def plain_return(a: Sequence[Argument]) -> str | None:
    """`ret` alone is RET X30."""
    return "ret" if a[0] == 30 else None


HINTS = {0: "nop", 1: "yield", 2: "wfe", 3: "wfi", 4: "sev", 5: "sevl"}
BTI_TARGETS = ("bti", "bti c", "bti j", "bti jc")


def named_hint(a: Sequence[Argument]) -> str | None:
    return HINTS.get(int(a[0]))


def branch_target(a: Sequence[Argument]) -> str:
    """BTI by what may branch here: nothing said, call, jump, both."""
    return BTI_TARGETS[int(a[0])]


def full_system(mnemonic: str) -> Alias:
    """ISB and CLREX without their option of 15, which is the usual one."""
    return lambda a: mnemonic if a[0] == 15 else None
