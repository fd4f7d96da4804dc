"""The layout of structures and unions as C compilers make it.

`layout` takes members as declared and gives a `Composite` with offsets.  Alignment
attributes and packing are those of GCC and Clang (AAPCS64 10.1.8 and the psABI
leave them to the compiler); bit-fields follow AAPCS64 10.1.8.2/.3, the psABI's
3.1.2, or Microsoft's rule, as the data model says.
"""

from __future__ import annotations

from dataclasses import dataclass

from callproof.abi.data_model import DataModel
from callproof.abi.types import Composite, Field, Integer, Type, round_up
from callproof.source import CallproofError

LARGEST = 1 << 48  # bytes; far more than any address space's object, far less than overflow


@dataclass(frozen=True, slots=True)
class Member:
    """One member as declared.

    `count` elements for an `array` (product of its dimensions), `bits` the width of a
    bit-field, `alignment` the strongest asked for by an attribute (0: none), `packed`
    by an attribute of its own.
    """

    name: str
    type: Type
    count: int = 1
    bits: int | None = None
    alignment: int = 0
    packed: bool = False
    array: bool = False


def layout(
    members: list[Member],
    model: DataModel,
    *,
    name: str = "",
    union: bool = False,
    packed: bool = False,
    alignment: int = 0,
    pack: int = 0,
) -> Composite:
    """A structure or union.

    packed      `__attribute__((packed))` on the type
    alignment   of the type by an attribute, 0 for none
    pack        the limit of `#pragma pack(n)`, 0 for none

    Raises `CallproofError` for bit-fields that are wider than their type, or of a type
    that has none, and for objects of more than 2**48 bytes.
    """
    builder = _Builder(model, union, packed, pack)
    for member in members:
        if member.bits is None:
            builder.plain(member)
        elif model.microsoft_bit_fields:
            builder.microsoft_bit_field(member)
        else:
            builder.bit_field(member)
        if builder.size_bits > LARGEST * 8:
            raise CallproofError(f"'{name or 'the structure'}' has more than 2**48 bytes")
    if model.microsoft_bit_fields and not members:
        builder.size_bits = 32  # an extension of Clang's; MSVC's C has no empty structures
    natural = builder.alignment
    whole = max(natural, alignment)
    size = round_up(-(-builder.size_bits // 8), whole)
    return Composite(
        name,
        tuple(builder.fields),
        size,
        whole,
        union,
        natural if natural != whole else 0,
        max(builder.required, alignment),
    )


class _Builder:
    """`end` is the first free bit; `size_bits` what the type needs so far."""

    __slots__ = (
        "alignment",
        "end",
        "fields",
        "model",
        "pack",
        "packed",
        "required",
        "size_bits",
        "union",
        "unit",
        "unit_left",
    )

    def __init__(self, model: DataModel, union: bool, packed: bool, pack: int) -> None:
        self.model = model
        self.union = union
        self.packed = packed
        self.pack = pack
        self.fields: list[Field] = []
        self.alignment = 1
        self.required = 0
        self.end = 0
        self.size_bits = 0
        self.unit = 0  # Microsoft's current bit-field unit in bits, 0 for none
        self.unit_left = 0

    def _member_alignment(self, member: Member) -> int:
        """Bytes; an attribute wins over packing, `#pragma pack` over an attribute (but not
        for Microsoft)."""
        natural = 1 if self.packed or member.packed else member.type.alignment
        inner = member.type.required_alignment if isinstance(member.type, Composite) else 0
        required = max(inner, member.alignment)
        if member.bits is None:
            self.required = max(self.required, required)
        if self.model.microsoft_bit_fields:
            return max(min(natural, self.pack) if self.pack else natural, required)
        wanted = max(natural, member.alignment)
        return min(wanted, self.pack) if self.pack else wanted

    def _add(self, member: Member, start: int, bits: int) -> None:
        """Record the member at bit `start`, which takes `bits` bits."""
        if member.bits is None:
            self.fields.append(
                Field(
                    member.name,
                    member.type,
                    start // 8,
                    member.count,
                    array=member.array or member.count != 1,
                )
            )
        else:
            self.fields.append(
                Field(member.name, member.type, start // 8, 1, member.bits, start % 8)
            )
        self.end = 0 if self.union else start + bits
        self.size_bits = max(self.size_bits, start + bits)

    def plain(self, member: Member) -> None:
        alignment = self._member_alignment(member)
        if self.unit and not self.union:
            self.end += self.unit_left
        self.unit = self.unit_left = 0
        self._add(member, round_up(self.end, alignment * 8), member.type.size * member.count * 8)
        self.alignment = max(self.alignment, alignment)

    def _check(self, member: Member) -> Integer:
        type_ = member.type
        assert member.bits is not None
        if not isinstance(type_, Integer) or type_.bits > 128:
            raise CallproofError(f"bit-field '{member.name}' is not of an integral type")
        if member.bits > (1 if type_.boolean else type_.bits):
            raise CallproofError(
                f"bit-field '{member.name}' of {member.bits} bits is wider than its type"
            )
        if member.bits == 0 and member.name:
            raise CallproofError(f"bit-field '{member.name}' has no bits, so it can have no name")
        if member.bits < 0:
            raise CallproofError(f"bit-field '{member.name}' has a negative width")
        return type_

    def bit_field(self, member: Member) -> None:
        """The container of the declared type may not be straddled, unless packed."""
        type_ = self._check(member)
        width = member.bits
        assert width is not None
        packed = self.packed or member.packed
        container = type_.bits
        alignment = type_.alignment * 8  # bits
        if width == 0:
            # Ends the run: the next member starts at a boundary of the declared type,
            # packed or not; only #pragma pack lessens it.
            boundary = max(alignment, member.alignment * 8)
            self._add(member, round_up(self.end, boundary), 0)
            if self.model.unnamed_align:
                self.alignment = max(self.alignment, self._limited(boundary // 8))
            return
        if packed:
            alignment = 8 if member.alignment else 1
        wanted = max(alignment, member.alignment * 8)
        if self.pack:
            wanted = min(wanted, self.pack * 8)
        start = self.end
        own = member.alignment * 8 if not self.pack else 0
        if own and not self.model.late_bit_alignment:
            start = round_up(start, own)
        if not packed and start % wanted + width > container:
            start = round_up(start, wanted)
        elif own:
            start = round_up(start, own)
        self._add(member, start, width)
        if member.name or self.model.unnamed_align:
            self.alignment = max(self.alignment, -(-wanted // 8))

    def _limited(self, alignment: int) -> int:
        return min(alignment, self.pack) if self.pack else alignment

    def microsoft_bit_field(self, member: Member) -> None:
        """A unit of the declared type, shared only with neighbours of the same size."""
        type_ = self._check(member)
        width = member.bits
        assert width is not None
        if width == 0:
            if self.unit and not self.union:
                # Only after a bit-field does a zero width mean anything.
                alignment = self._member_alignment(member)
                self.end = round_up(self.end + self.unit_left, alignment * 8)
                self.alignment = max(self.alignment, alignment)
            self.unit = self.unit_left = 0
            return
        alignment = self._member_alignment(member)
        if self.union or self.unit != type_.bits or self.unit_left < width:
            start = round_up(self.end + (0 if self.union else self.unit_left), alignment * 8)
            self.unit, self.unit_left = type_.bits, type_.bits
            self.size_bits = max(self.size_bits, start + type_.bits)
            if not self.union:  # where its alignment does not count
                self.alignment = max(self.alignment, alignment)
        else:
            start = self.end
        self._add(member, start, width)
        self.unit_left -= width
        if self.union:
            self.unit = self.unit_left = 0
