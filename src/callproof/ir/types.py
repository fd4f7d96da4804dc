"""The types of SSA values.

`i64` and `ptr` are the same 64 bits in the same register class: wherever one is
expected the other is accepted (BCPL makes no difference, and casts would only
hide expressions from value numbering).  All other types must agree exactly.
"""

from __future__ import annotations

from callproof.abi import types as abi
from callproof.source import CallproofError


class Type:
    """An SSA type; the instances below are the only ones, compared by identity.

    `size` in bytes; `is_float` says which register file: True = SIMD and FP.  A vector
    has `lanes` of the type `element`, lane 0 in the low bits; a scalar is its own element.
    `shape` is equal of types that hold the same bits (i64 and ptr).
    """

    __slots__ = ("bits", "element", "is_float", "is_integer", "lanes", "name", "shape", "size")

    def __init__(
        self, name: str, bits: int, *, is_float: bool, lanes: int = 1, element: Type | None = None
    ) -> None:
        self.name = name
        self.bits = bits
        self.size = bits // 8
        self.is_float = is_float
        self.is_integer = not is_float
        self.lanes = lanes
        self.element = element or self
        self.shape = (bits, is_float, lanes)

    def __repr__(self) -> str:
        return self.name


I8 = Type("i8", 8, is_float=False)
I16 = Type("i16", 16, is_float=False)
I32 = Type("i32", 32, is_float=False)
I64 = Type("i64", 64, is_float=False)
PTR = Type("ptr", 64, is_float=False)
F32 = Type("f32", 32, is_float=True)
F64 = Type("f64", 64, is_float=True)


def _vector(lanes: int, element: Type) -> Type:
    return Type(
        f"v{lanes}{element.name}", lanes * element.bits, is_float=True, lanes=lanes, element=element
    )


V8I8, V4I16, V2I32, V2F32 = _vector(8, I8), _vector(4, I16), _vector(2, I32), _vector(2, F32)
V16I8, V8I16, V4I32, V2I64 = _vector(16, I8), _vector(8, I16), _vector(4, I32), _vector(2, I64)
V4F32, V2F64 = _vector(4, F32), _vector(2, F64)
V8F32 = _vector(8, F32)
"""No register holds it: `passes/legalise_vectors.py` makes two v4f32 of it."""

VECTORS = (V8I8, V4I16, V2I32, V2F32, V16I8, V8I16, V4I32, V2I64, V4F32, V2F64, V8F32)
BY_NAME: dict[str, Type] = {
    type_.name: type_ for type_ in (I8, I16, I32, I64, PTR, F32, F64, *VECTORS)
}
HALVES = {V8F32: V4F32}
"""The type of each half of a vector that is split."""


def compatible(first: Type, second: Type) -> bool:
    """Whether a value of one type may stand where the other is expected."""
    return first is second or (
        first.bits == 64 and second.bits == 64 and not first.is_float and not second.is_float
    )


def of_scalar(scalar: abi.Scalar) -> Type:
    """The SSA type that holds one scalar of a signature; narrow integers keep their width."""
    if isinstance(scalar, abi.Integer):
        found = BY_NAME.get(f"i{scalar.bits}")
    elif isinstance(scalar, abi.Floating) and scalar.brain:
        found = None
    else:
        found = BY_NAME.get(str(scalar))
    if found is None:
        raise CallproofError(f"no SSA type holds a {scalar}; pass it in memory (byval, sret)")
    return found
