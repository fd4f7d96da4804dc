"""Types as a calling convention sees them: size, alignment, register class, fields.

Sizes and alignments are in bytes.  AAPCS64 2024Q3, section 5 ("Data types and
alignment") is the source of the figures.  These are facts about data; which
register a value travels in is decided by a convention's algorithm alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Integer:
    """An integral type of 8, 16, 32, 64 or 128 bits."""

    bits: int
    signed: bool = True

    @property
    def size(self) -> int:
        return self.bits // 8

    @property
    def alignment(self) -> int:
        return self.bits // 8

    def __str__(self) -> str:
        return f"{'i' if self.signed else 'u'}{self.bits}"


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
    """An IEEE 754 binary format of 16, 32, 64 or 128 bits."""

    bits: int

    @property
    def size(self) -> int:
        return self.bits // 8

    @property
    def alignment(self) -> int:
        return self.bits // 8

    def __str__(self) -> str:
        return f"f{self.bits}"


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
    """A member of a composite at its byte offset; `count` > 1 for an array member."""

    name: str
    type: Type
    offset: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Composite:
    """A structure, laid out: its fields carry their offsets."""

    name: str
    fields: tuple[Field, ...]
    size: int
    alignment: int

    def __str__(self) -> str:
        inside = ", ".join(str(member.type) for member in self.fields)
        return f"{{{inside}}}"


Scalar = Integer | Pointer | Floating | ShortVector
Type = Scalar | Composite

I8, I16, I32, I64, I128 = (Integer(bits) for bits in (8, 16, 32, 64, 128))
U8, U16, U32, U64 = (Integer(bits, signed=False) for bits in (8, 16, 32, 64))
F32, F64 = Floating(32), Floating(64)
POINTER = Pointer()


def structure(*members: Type, name: str = "", names: tuple[str, ...] = ()) -> Composite:
    """A C structure of these members in order, with natural alignment and tail padding."""
    offset, alignment, fields = 0, 1, []
    for index, member in enumerate(members):
        offset = -(-offset // member.alignment) * member.alignment
        fields.append(Field(names[index] if names else f"f{index}", member, offset))
        offset += member.size
        alignment = max(alignment, member.alignment)
    size = -(-offset // alignment) * alignment
    return Composite(name, tuple(fields), size, alignment)


VALUE = structure(U64, U64, name="value", names=("tag", "payload"))
"""Sox's 16-byte tagged value: two words, so it takes a register pair or 16 bytes of stack."""


def leaves(type_: Type, base: int = 0) -> list[tuple[int, Scalar]]:
    """The scalars inside a type with their byte offsets, in order; a scalar is its own leaf.

    In the IR a parameter or result of type `type_` is that many SSA values.
    """
    if not isinstance(type_, Composite):
        return [(base, type_)]
    found = []
    for member in type_.fields:
        for index in range(member.count):
            found += leaves(member.type, base + member.offset + index * member.type.size)
    return found
