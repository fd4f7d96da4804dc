"""Random values of our types: a C initialiser, and the bytes and mask by our own layout."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

from callproof.abi.types import Composite, Field, Floating, Integer, Pointer, ShortVector, Type


@dataclass
class Value:
    """`initialiser` for C; `data` where `mask` is 1 in each bit that has a meaning."""

    initialiser: str
    data: bytearray
    mask: bytearray


def _binary128(value: float) -> bytes:
    if value == 0:
        return bytes(16)
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    sign, exponent, fraction = bits >> 63, bits >> 52 & 0x7FF, bits & ((1 << 52) - 1)
    whole = sign << 127 | (exponent - 1023 + 16383) << 112 | fraction << 60
    return int(whole).to_bytes(16, "little")


def _x87(value: float) -> bytes:
    if value == 0:
        return bytes(10)
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    sign, exponent, fraction = bits >> 63, bits >> 52 & 0x7FF, bits & ((1 << 52) - 1)
    significand = 1 << 63 | fraction << 11
    return int(sign << 79 | (exponent - 1023 + 16383) << 64 | significand).to_bytes(10, "little")


class Values:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def of(self, type_: Type) -> Value:
        value = Value("", bytearray(type_.size), bytearray(type_.size))
        value.initialiser = self._fill(type_, 0, value)
        return value

    def _fill(self, type_: Type, offset: int, value: Value) -> str:
        if isinstance(type_, Composite):
            return self._composite(type_, offset, value)
        if isinstance(type_, ShortVector):
            parts = [
                self._fill(type_.element, offset + lane * type_.element.size, value)
                for lane in range(type_.lanes)
            ]
            return f"{{{', '.join(parts)}}}"
        if isinstance(type_, Floating):
            text, data = self._floating(type_)
        else:
            text, data = self._integral(type_)
        value.data[offset : offset + len(data)] = data
        value.mask[offset : offset + len(data)] = b"\xff" * len(data)
        return text

    def _integral(self, type_: Integer | Pointer) -> tuple[str, bytes]:
        if isinstance(type_, Pointer):
            number = self.random.getrandbits(47)
            return f"(void *){number:#x}UL", number.to_bytes(8, "little")
        if type_.boolean:
            number = self.random.getrandbits(1)
            return str(number), bytes((number,))
        number = self._number(type_.bits, type_.signed)
        return _literal(number, type_.bits), (number & ((1 << type_.bits) - 1)).to_bytes(
            type_.size, "little"
        )

    def _number(self, bits: int, signed: bool) -> int:
        number = self.random.getrandbits(bits)
        return number - (1 << bits) if signed and number >> (bits - 1) else number

    def _floating(self, type_: Floating) -> tuple[str, bytes]:
        """Numbers that every format holds exactly."""
        number = self.random.randint(-127, 127) / self.random.choice((1, 2, 4))
        if type_.brain:
            return repr(number), struct.pack("<f", number)[2:]
        if type_.bits == 16:
            return repr(number), struct.pack("<e", number)
        number += self.random.randint(-40, 40) * 8
        if type_.bits == 32:
            return repr(number), struct.pack("<f", number)
        number += self.random.randint(0, 1 << 20) * 1024
        if type_.bits == 64:
            return repr(number), struct.pack("<d", number)
        return f"{number!r}L", _x87(number) if type_.bits == 80 else _binary128(number)

    def _composite(self, type_: Composite, offset: int, value: Value) -> str:
        fields = [field for field in type_.fields if not field.is_padding]
        if type_.name == "_Complex":
            parts = [self._fill(field.type, offset + field.offset, value) for field in fields]
            suffix = "f" if type_.size == 8 else ""
            return f"__builtin_complex({parts[0]}{suffix}, {parts[1]}{suffix})"
        if type_.union:
            fields = [self.random.choice(fields)] if fields else []
        parts = [f".{field.name} = {self._field(field, offset, value)}" for field in fields]
        return f"{{{', '.join(parts)}}}"

    def _field(self, field: Field, offset: int, value: Value) -> str:
        place = offset + field.offset
        if field.bits is not None:
            return self._bit_field(field, place, value)
        if field.count == 1 and not field.array:
            return self._fill(field.type, place, value)
        parts = [
            self._fill(field.type, place + index * field.type.size, value)
            for index in range(field.count)
        ]
        return f"{{{', '.join(parts)}}}"

    def _bit_field(self, field: Field, place: int, value: Value) -> str:
        assert field.bits is not None and isinstance(field.type, Integer)
        number = self._number(field.bits, field.type.signed)
        raw = number & ((1 << field.bits) - 1)
        size = len(value.data)
        whole = int.from_bytes(value.data, "little")
        mask = int.from_bytes(value.mask, "little")
        shift = place * 8 + field.bit
        ones = ((1 << field.bits) - 1) << shift
        value.data[:] = (whole & ~ones | raw << shift).to_bytes(size, "little")
        value.mask[:] = (mask | ones).to_bytes(size, "little")
        return _literal(number, 64)


def _literal(number: int, bits: int) -> str:
    if bits <= 64:
        return f"(long){number & ((1 << 64) - 1):#x}UL" if bits == 64 else f"({number})"
    raw = number & ((1 << 128) - 1)
    return f"(((unsigned __int128){raw >> 64:#x}UL << 64) | {raw & ((1 << 64) - 1):#x}UL)"
