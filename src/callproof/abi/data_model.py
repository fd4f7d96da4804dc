"""What C's types are on a platform: widths, formats, and the rules of bit-fields.

Sources: AAPCS64 2024Q3, section 10 ("Arm C and C++ language mappings"); Apple's
"Writing ARM64 code for Apple platforms"; Microsoft's "Overview of ARM64 ABI
conventions"; System V x86-64 psABI 1.0, 3.1.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from callproof.abi.types import F64, F128, X87, Floating


@dataclass(frozen=True, slots=True)
class DataModel:
    """The facts on which C's layouts differ between our platforms.

    long_bits              `long`
    wchar_bits, wchar_signed
    char_signed            plain `char`
    long_double            its format
    unnamed_align          unnamed and zero-width bit-fields align the structure too
    microsoft_bit_fields   a bit-field shares a unit only with neighbours of its type's size
    late_bit_alignment     a bit-field with an alignment of its own is aligned only if it does
                           not cross a unit anyway (Clang; GCC aligns it first)
    enum_signed            an enumeration without negative values is `int`, not `unsigned`
    """

    name: str
    long_bits: int
    wchar_bits: int
    wchar_signed: bool
    char_signed: bool
    long_double: Floating
    unnamed_align: bool = False
    microsoft_bit_fields: bool = False
    enum_signed: bool = False
    late_bit_alignment: bool = False


LINUX_ARM64 = DataModel(
    "aarch64-linux",
    long_bits=64,
    wchar_bits=32,
    wchar_signed=False,
    char_signed=False,
    long_double=F128,
    unnamed_align=True,
)
DARWIN_ARM64 = DataModel(
    "aarch64-macos",
    long_bits=64,
    wchar_bits=32,
    wchar_signed=True,
    char_signed=True,
    long_double=F64,
    late_bit_alignment=True,
)
WINDOWS_ARM64 = DataModel(
    "aarch64-windows",
    long_bits=32,
    wchar_bits=16,
    wchar_signed=False,
    char_signed=True,
    long_double=F64,
    microsoft_bit_fields=True,
    enum_signed=True,
)
LINUX_X64 = DataModel(
    "x86_64-linux",
    long_bits=64,
    wchar_bits=32,
    wchar_signed=True,
    char_signed=True,
    long_double=X87,
)
