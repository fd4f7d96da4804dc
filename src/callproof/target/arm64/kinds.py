"""How operands of ARM64 instructions are encoded, decoded and printed.

A kind knows the values that one operand may have, the bits that stand for each
and its assembly text.  It knows nothing of instructions; rows put its fields in
their places (see `table.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callproof.codegen.machine import FLOAT, GENERAL
from callproof.target.arm64 import immediates
from callproof.target.arm64.registers import SP, V0, XZR, name

Argument = int | str

CONDITION_NAMES = "eq ne hs lo mi pl vs vc hi ls ge lt gt le al nv".split()
SHIFT_NAMES = "lsl lsr asr ror".split()
EXTEND_NAMES = "uxtb uxth uxtw uxtx sxtb sxth sxtw sxtx".split()


class Kind:
    """A way to encode and print one operand; `fields` is how many fields it fills.

    encode   argument -> tuple of field values; raises ValueError with the reason
    decode   tuple of field values -> argument, or None for a reserved encoding
    text     argument -> assembly text
    """

    __slots__ = ("decode", "encode", "fields", "name", "register_class", "text")

    def __init__(
        self,
        kind: str,
        encode: Callable[[int], tuple[int, ...]],
        decode: Callable[[tuple[int, ...]], int | None],
        text: Callable[[Argument], str],
        *,
        register_class: int = -1,
        fields: int = 1,
    ) -> None:
        self.name = kind
        self.encode = encode
        self.decode = decode
        self.text = text
        self.register_class = register_class
        self.fields = fields


KINDS: dict[str, Kind] = {}


def _general(kind: str, *, sp: bool) -> None:
    width = kind[0]

    def encode(argument: int) -> tuple[int, ...]:
        if 0 <= argument < 31:
            return (argument,)
        if argument == (SP if sp else XZR):
            return (31,)
        raise ValueError(f"register {argument} cannot stand for a '{kind}' operand")

    def decode(fields: tuple[int, ...]) -> int:
        return fields[0] if fields[0] < 31 else SP if sp else XZR

    KINDS[kind] = Kind(
        kind,
        encode,
        decode,
        lambda a: a if isinstance(a, str) else name(a, width),
        register_class=GENERAL,
    )


for _kind in ("x", "w"):
    _general(_kind, sp=False)
    _general(f"{_kind}sp", sp=True)


def _float(kind: str, suffix: str = "", limit: int = 32) -> None:
    prefix = kind if not suffix else "v"

    def encode(argument: int) -> tuple[int, ...]:
        if V0 <= argument < V0 + limit:
            return (argument - V0,)
        raise ValueError(f"register {argument} cannot stand for a '{kind}' operand")

    KINDS[kind] = Kind(
        kind,
        encode,
        lambda fields: fields[0] + V0,
        lambda a: a if isinstance(a, str) else name(a, prefix) + suffix,
        register_class=FLOAT,
    )


for _kind in "bhsdq":
    _float(_kind)
ARRANGEMENTS = ("8b", "16b", "4h", "8h", "2s", "4s", "1d", "2d")
for _arrangement in ARRANGEMENTS:
    _float(f"v{_arrangement}", f".{_arrangement}")
for _element in "bhsd":
    _float(f"v{_element}", f".{_element}")  # an element, its index follows


def plain(argument: Argument) -> str:
    return argument if isinstance(argument, str) else f"#{argument}"


def _refuse(reason: str) -> tuple[int, ...]:
    raise ValueError(reason)


def _number(kind: str, low: int, high: int, scale: int = 1, bits: int = 0) -> None:
    """Integers low..high in steps of `scale`; `bits` > 0 for two's complement fields."""

    def encode(argument: int) -> tuple[int, ...]:
        if not low <= argument <= high or argument % scale:
            step = f" in steps of {scale}" if scale > 1 else ""
            raise ValueError(f"{argument} is not in {low}..{high}{step}")
        field = argument // scale
        return (field & ((1 << bits) - 1) if bits else field,)

    def decode(fields: tuple[int, ...]) -> int:
        field = fields[0]
        if bits and field >> (bits - 1):
            field -= 1 << bits
        return field * scale

    KINDS[kind] = Kind(kind, encode, decode, plain)


for _bits in (1, 2, 3, 4, 5, 6, 7, 12, 16):
    _number(f"u{_bits}", 0, (1 << _bits) - 1)
for _scale in (1, 2, 4, 8, 16):
    _number(f"offset{_scale}", 0, 4095 * _scale, _scale)
    _number(f"pair{_scale}", -64 * _scale, 63 * _scale, _scale, bits=7)
KINDS["amount4"] = Kind(
    "amount4",
    lambda a: (a,) if 0 <= a <= 4 else _refuse(f"{a} is not in 0..4"),
    lambda fields: fields[0] if fields[0] <= 4 else None,
    plain,
)
_number("simm9", -256, 255, bits=9)
_number("hw", 0, 48, 16)
_number("hw32", 0, 16, 16)
_number("lsl12", 0, 12, 12)
for _bits in (26, 19, 14):
    _number(f"label{_bits}", -(4 << (_bits - 1)), (4 << (_bits - 1)) - 4, 4, bits=_bits)


def label_text(argument: Argument) -> str:
    return argument if isinstance(argument, str) else f".{argument:+d}"


for _bits in (26, 19, 14):
    KINDS[f"label{_bits}"].text = label_text


def _split_label(kind: str, scale: int) -> None:
    def encode(argument: int) -> tuple[int, ...]:
        if argument % scale or not -(1 << 20) <= argument // scale < 1 << 20:
            raise ValueError(f"the distance {argument} is out of reach")
        value = argument // scale & 0x1FFFFF
        return value & 3, value >> 2

    def decode(fields: tuple[int, ...]) -> int:
        value = fields[1] << 2 | fields[0]
        return (value - (1 << 21) if value >> 20 else value) * scale

    KINDS[kind] = Kind(kind, encode, decode, label_text, fields=2)


_split_label("adr", 1)
_split_label("adrp", 4096)


def _named(kind: str, names: Sequence[str]) -> None:
    def encode(argument: int) -> tuple[int, ...]:
        if not 0 <= argument < len(names):
            raise ValueError(f"{argument} is not in 0..{len(names) - 1}")
        return (argument,)

    KINDS[kind] = Kind(
        kind,
        encode,
        lambda fields: fields[0] if fields[0] < len(names) else None,
        lambda a: a if isinstance(a, str) else names[a],
    )


_named("cond", CONDITION_NAMES)
_named("shift3", SHIFT_NAMES[:3])
_named("shift4", SHIFT_NAMES)
_named("extend", EXTEND_NAMES)


def _index_extend() -> None:
    """The extension of an index register: 2 uxtw, 3 lsl, 6 sxtw, 7 sxtx."""
    names = {2: "uxtw", 3: "lsl", 6: "sxtw", 7: "sxtx"}

    def encode(argument: int) -> tuple[int, ...]:
        if argument not in names:
            raise ValueError(f"{argument} is none of uxtw (2), lsl (3), sxtw (6), sxtx (7)")
        return (argument,)

    KINDS["index"] = Kind(
        "index",
        encode,
        lambda fields: fields[0] if fields[0] in names else None,
        lambda a: a if isinstance(a, str) else names[a],
    )


_index_extend()


def _bitmask(kind: str, width: int) -> None:
    def encode(argument: int) -> tuple[int, ...]:
        fields = immediates.encode_bitmask(argument, width)
        if fields is None:
            raise ValueError(f"{argument:#x} is not a logical immediate of {width} bits")
        return fields if width == 64 else fields[1:]

    def decode(fields: tuple[int, ...]) -> int | None:
        n, immr, imms = fields if width == 64 else (0, *fields)
        return immediates.decode_bitmask(n, immr, imms, width)

    KINDS[kind] = Kind(
        kind,
        encode,
        decode,
        lambda a: a if isinstance(a, str) else f"#{a:#x}",
        fields=3 if width == 64 else 2,
    )


_bitmask("mask64", 64)
_bitmask("mask32", 32)


def _split(kind: str, low_bits: int, limit: int) -> None:
    """A number whose high part stands in the first field and low part in the second."""

    def encode(argument: int) -> tuple[int, ...]:
        if not 0 <= argument < limit:
            raise ValueError(f"{argument} is not in 0..{limit - 1}")
        return argument >> low_bits, argument & ((1 << low_bits) - 1)

    KINDS[kind] = Kind(
        kind, encode, lambda fields: fields[0] << low_bits | fields[1], plain, fields=2
    )


_split("bit", 5, 64)
_split("u8v", 5, 256)
_split("fp8v", 5, 256)
_number("fp8", 0, 255)
KINDS["fp8v"].text = KINDS["fp8"].text = lambda a: (
    a if isinstance(a, str) else f"#{immediates.decode_fp8(a):.8f}"
)


def _lane(kind: str, log2_size: int) -> None:
    """An element index in the 5-bit imm5 field, whose lowest set bit tells the size."""
    limit = 16 >> log2_size

    def encode(argument: int) -> tuple[int, ...]:
        if not 0 <= argument < limit:
            raise ValueError(f"element {argument} is not in 0..{limit - 1}")
        return (argument,)

    KINDS[kind] = Kind(kind, encode, lambda fields: fields[0], lambda a: f"[{a}]")


for _log2, _element in enumerate("bhsd"):
    _lane(f"lane_{_element}", _log2)


def _twice(kind: str, plain_kind: Kind) -> None:
    """One register in two fields; the encodings where they differ are another row's."""
    KINDS[kind] = Kind(
        kind,
        lambda register: plain_kind.encode(register) * 2,
        lambda fields: plain_kind.decode(fields[:1]) if fields[0] == fields[1] else None,
        plain_kind.text,
        register_class=plain_kind.register_class,
        fields=2,
    )


_twice("v16b_twice", KINDS["v16b"])


def _system_register() -> None:
    """A system register as o0:op1:CRn:CRm:op2, 15 bits, by the name that always works."""

    def text(argument: Argument) -> str:
        if isinstance(argument, str):
            return argument
        o0, op1, op2 = argument >> 14, argument >> 11 & 7, argument & 7
        return f"s{2 + o0}_{op1}_c{argument >> 7 & 15}_c{argument >> 3 & 15}_{op2}"

    _number("system", 0, 0x7FFF)
    KINDS["system"].text = text


_system_register()

# Limits of DMB and DSB (DDI 0487, C6.2, "DMB"); the other numbers have no names.
BARRIERS = {
    **{1: "oshld", 2: "oshst", 3: "osh", 5: "nshld", 6: "nshst", 7: "nsh"},
    **{9: "ishld", 10: "ishst", 11: "ish", 13: "ld", 14: "st", 15: "sy"},
}
_number("barrier", 0, 15)
KINDS["barrier"].text = lambda a: BARRIERS.get(a, f"#{a}") if isinstance(a, int) else a


def _right_shift(bits: int) -> None:
    """Vector right shifts by 1..bits: the field counts down from the element's size."""

    def encode(argument: int) -> tuple[int, ...]:
        if not 1 <= argument <= bits:
            raise ValueError(f"{argument} is not in 1..{bits}")
        return (bits - argument,)

    KINDS[f"right{bits}"] = Kind(f"right{bits}", encode, lambda fields: bits - fields[0], plain)


for _bits in (8, 16, 32, 64):
    _right_shift(_bits)
