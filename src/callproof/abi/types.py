"""Types as a calling convention sees them: size, alignment, register class, fields.

Sizes and alignments are in bytes.  These are facts about data that has been laid
out already (`abi/layout.py` does that); which register a value travels in is
decided by a convention's algorithm alone.  AAPCS64 2024Q3, section 5 ("Data types
and alignment") and System V x86-64 1.0, section 3.1.2, are the sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from callproof.source import CallproofError


@dataclass(frozen=True, slots=True)
class Integer:
    """An integral type of 8, 16, 32, 64 or 128 bits; `boolean` for C's `_Bool` (0 or 1)."""

    bits: int
    signed: bool = True
    boolean: bool = False

    @property
    def size(self) -> int:
        return self.bits // 8

    @property
    def alignment(self) -> int:
        return self.bits // 8

    def __str__(self) -> str:
        return "bool" if self.boolean else f"{'i' if self.signed else 'u'}{self.bits}"


@dataclass(frozen=True, slots=True)
class Pointer:
    """A data or code pointer of 64 bits."""

    @property
    def size(self) -> int:
        return 8

    @property
    def alignment(self) -> int:
        return 8

    def __str__(self) -> str:
        return "ptr"


@dataclass(frozen=True, slots=True)
class Floating:
    """A floating-point format: IEEE binary of 16, 32, 64, 128 bits, or x87's of 80 (in 16 bytes).

    `brain` makes 16 bits bfloat16 instead of binary16.
    """

    bits: int
    brain: bool = False

    @property
    def size(self) -> int:
        return 16 if self.bits == 80 else self.bits // 8

    @property
    def alignment(self) -> int:
        return self.size

    def __str__(self) -> str:
        return "bf16" if self.brain else f"f{self.bits}"


@dataclass(frozen=True, slots=True)
class ShortVector:
    """A vector of 64 or 128 bits that lives in one SIMD and floating-point register."""

    element: Integer | Floating
    lanes: int

    @property
    def size(self) -> int:
        return self.element.size * self.lanes

    @property
    def alignment(self) -> int:
        return self.size

    def __str__(self) -> str:
        return f"v{self.lanes}{self.element}"


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a composite at its byte offset; `count` elements if it is an `array`.

    For a bit-field `bits` is its width and `bit` its first bit's number in the byte at
    `offset`; `type` is the declared type.  Unnamed bit-fields are kept (`name` '', `bits`
    0 for those of no width): they hold no value, but can make a union no HFA.
    """

    name: str
    type: Type
    offset: int
    count: int = 1
    bits: int | None = None
    bit: int = 0
    array: bool = False

    @property
    def is_padding(self) -> bool:
        """An unnamed bit-field."""
        return self.bits is not None and not self.name


@dataclass(frozen=True, slots=True)
class Composite:
    """A structure or union, laid out: its fields carry their offsets.

    `natural_alignment` is what its members alone ask for (AAPCS64 5.10: before an
    alignment given for the whole type), 0 if it is the same as `alignment`.
    `required_alignment` is what attributes in it ask for; Microsoft's packing respects it.
    """

    name: str
    fields: tuple[Field, ...]
    size: int
    alignment: int
    union: bool = False
    natural_alignment: int = 0
    required_alignment: int = dataclass_field(default=0, compare=False)

    @property
    def unadjusted_alignment(self) -> int:
        return self.natural_alignment or self.alignment

    def __str__(self) -> str:
        """The type in the IR's text form: `{i32, f64}`, or with all offsets where those
        do not follow from the members (see `ir/text.py`)."""
        if not self.union and self.fields and all(f.bits is None for f in self.fields):
            members = [(field.type, field.count) for field in self.fields]
            plain = _structure(members)
            if plain == (self.size, self.alignment, tuple(f.offset for f in self.fields)):
                shown = (f"{t} * {n}" if n != 1 else str(t) for t, n in members)
                if not self.natural_alignment:
                    return f"{{{', '.join(shown)}}}"
        natural = f" natural {self.natural_alignment}" if self.natural_alignment else ""
        parts = [
            f"{field.offset}{f'.{field.bit}' if field.bits is not None else ''}: {field.type}"
            + (f" * {field.count}" if field.count != 1 else "")
            + (f" : {field.bits}" if field.bits is not None else "")
            + (" unnamed" if field.is_padding else "")
            for field in self.fields
        ]
        word = "union" if self.union else "struct"
        return f"{word} {self.size} align {self.alignment}{natural} {{{', '.join(parts)}}}"


Scalar = Integer | Pointer | Floating | ShortVector
Type = Scalar | Composite

BOOL = Integer(8, signed=False, boolean=True)
I8, I16, I32, I64, I128 = (Integer(bits) for bits in (8, 16, 32, 64, 128))
U8, U16, U32, U64, U128 = (Integer(bits, signed=False) for bits in (8, 16, 32, 64, 128))
F16, F32, F64, F128 = (Floating(bits) for bits in (16, 32, 64, 128))
BF16, X87 = Floating(16, brain=True), Floating(80)
POINTER = Pointer()


def round_up(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def _structure(members: list[tuple[Type, int]]) -> tuple[int, int, tuple[int, ...]]:
    """Size, alignment and offsets with natural alignment and tail padding."""
    offset, alignment, offsets = 0, 1, []
    for type_, count in members:
        offset = round_up(offset, type_.alignment)
        offsets.append(offset)
        offset += type_.size * count
        alignment = max(alignment, type_.alignment)
    return round_up(offset, alignment), alignment, tuple(offsets)


def structure(*members: Type, name: str = "", names: tuple[str, ...] = ()) -> Composite:
    """A C structure of these members in order, with natural alignment and tail padding."""
    return structure_of([(member, 1) for member in members], name, names)


def structure_of(
    members: list[tuple[Type, int]], name: str = "", names: tuple[str, ...] = ()
) -> Composite:
    """Like `structure`, for members with array sizes."""
    size, alignment, offsets = _structure(members)
    fields = tuple(
        Field(names[index] if names else f"f{index}", member, offset, count, array=count != 1)
        for index, ((member, count), offset) in enumerate(zip(members, offsets, strict=True))
    )
    return Composite(name, fields, size, alignment)


VALUE = structure(U64, U64, name="value", names=("tag", "payload"))
"""Sox's 16-byte tagged value: two words, so it takes a register pair or 16 bytes of stack."""

MOST_LEAVES = 1 << 16


def walk(type_: Type, base: int = 0) -> Iterator[tuple[int, Field | None, Scalar]]:
    """Offset, innermost field and type of each scalar inside, in order of declaration.

    The alternatives of a union come one after another.  Lazy: arrays may be huge.
    """
    if not isinstance(type_, Composite):
        yield base, None, type_
        return
    for field in type_.fields:
        inner = field.type
        if field.is_padding:
            continue
        if not isinstance(inner, Composite):
            for index in range(field.count):
                yield base + field.offset + index * inner.size, field, inner
        elif inner.fields:
            for index in range(field.count):
                yield from walk(inner, base + field.offset + index * inner.size)


def leaves(type_: Type, base: int = 0) -> list[tuple[int, Scalar]]:
    """The scalars inside a type with their byte offsets, in order; a scalar is its own leaf.

    In the IR a parameter or result of type `type_` that is not passed in memory is that
    many SSA values.  Raises `CallproofError` for what has no such list: unions,
    bit-fields, and more than 65536 scalars.
    """
    if not isinstance(type_, Composite):
        return [(base, type_)]
    found: list[tuple[int, Scalar]] = []
    _leaves(type_, base, found)
    return found


def _leaves(type_: Composite, base: int, found: list[tuple[int, Scalar]]) -> None:
    if type_.union and type_.fields:
        raise CallproofError(f"a union ({type_}) is not a list of values; pass it in memory")
    for field in type_.fields:
        if field.bits is not None:
            raise CallproofError("bit-fields are not a list of values; pass them in memory")
        if field.count > MOST_LEAVES or len(found) > MOST_LEAVES:
            raise CallproofError(f"more than {MOST_LEAVES} values in one; pass them in memory")
        for index in range(field.count):
            place = base + field.offset + index * field.type.size
            if isinstance(field.type, Composite):
                if field.type.fields:
                    _leaves(field.type, place, found)
            else:
                found.append((place, field.type))
