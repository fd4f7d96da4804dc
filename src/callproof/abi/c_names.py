"""What a C declaration can mean beside our types, and the type names that need no header."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from pycparser import c_ast

from callproof.abi.types import (
    BF16,
    BOOL,
    F16,
    F32,
    F64,
    F128,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    Composite,
    Floating,
    Integer,
    Scalar,
    ShortVector,
    Type,
)


@dataclass(frozen=True, slots=True)
class Void:
    """`void`, and everything else that has no size: `what` says it in a message."""

    what: str = "void"
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Array:
    """`count` is None for `[]`."""

    element: CType
    count: int | None


@dataclass(frozen=True, slots=True)
class FunctionType:
    node: c_ast.FuncDecl


@dataclass(frozen=True, slots=True)
class Aligned:
    """A typedef with an alignment of its own, smaller or larger than the type's."""

    type: Type
    alignment: int

    def as_argument(self) -> Type:
        """A scalar is passed with its natural alignment; a composite remembers both."""
        inner = self.type
        if not isinstance(inner, Composite) or self.alignment == inner.alignment:
            return inner
        return dataclasses.replace(
            inner,
            alignment=self.alignment,
            natural_alignment=inner.unadjusted_alignment,
        )


@dataclass(frozen=True, slots=True)
class Flexible:
    """A structure with a flexible array member: it has a layout, but cannot be passed."""

    type: Composite
    member: str


CType = Type | Void | Array | FunctionType | Aligned | Flexible

_ELEMENTS: dict[str, Scalar] = {
    "int8": I8,
    "int16": I16,
    "int32": I32,
    "int64": I64,
    "uint8": U8,
    "uint16": U16,
    "uint32": U32,
    "uint64": U64,
    "float16": F16,
    "float32": F32,
    "float64": F64,
    "bfloat16": BF16,
}


def _neon() -> dict[str, CType]:
    found: dict[str, CType] = {}
    for name, element in _ELEMENTS.items():
        assert isinstance(element, Integer | Floating)
        for size in (8, 16):
            lanes = size // element.size
            found[f"{name}x{lanes}_t"] = ShortVector(element, lanes)
    return found


# What <stddef.h>, <stdint.h>, <stdbool.h>, <stdarg.h>, <arm_neon.h> and the compilers name.
BUILTINS: dict[str, CType] = {
    "bool": BOOL,
    "size_t": U64,
    "ssize_t": I64,
    "ptrdiff_t": I64,
    "intptr_t": I64,
    "uintptr_t": U64,
    "intmax_t": I64,
    "uintmax_t": U64,
    "int8_t": I8,
    "int16_t": I16,
    "int32_t": I32,
    "int64_t": I64,
    "uint8_t": U8,
    "uint16_t": U16,
    "uint32_t": U32,
    "uint64_t": U64,
    "__int128_t": I128,
    "__uint128_t": U128,
    "char16_t": U16,
    "char32_t": U32,
    "_Float16": F16,
    "__fp16": F16,
    "float16_t": F16,
    "__bf16": BF16,
    "bfloat16_t": BF16,
    "_Float32": F32,
    "_Float64": F64,
    "_Float128": F128,
    "__float128": F128,
    "float32_t": F32,
    "float64_t": F64,
    "FILE": Void("the incomplete type 'FILE'"),
    "__m64": ShortVector(I32, 2),
    "__m128": ShortVector(F32, 4),
    "__m128d": ShortVector(F64, 2),
    "__m128i": ShortVector(I64, 2),
    **_neon(),
}
BY_MODEL = ("wchar_t", "va_list", "__builtin_va_list", "__gnuc_va_list")
PRELUDE = f"typedef int {', '.join((*BUILTINS, *BY_MODEL))};"

# Attributes that say nothing about how a value travels.
HARMLESS = frozenset(
    "noreturn const pure nonnull malloc unused used deprecated format format_arg "
    "warn_unused_result visibility always_inline noinline nothrow cold hot leaf section alias "
    "alloc_size alloc_align returns_nonnull artificial gnu_inline may_alias weak sentinel "
    "returns_twice nonstring access cdecl flatten no_sanitize availability swift_name".split()
)
SPECIFIER_COUNTS = ("char", "short", "int", "long", "signed", "unsigned", "__signed")
