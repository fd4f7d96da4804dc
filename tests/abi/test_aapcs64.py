"""AAPCS64's assignment, one line per rule: types in, places out."""

from __future__ import annotations

import pytest

from callproof.abi import AAPCS64, InRegister, OnStack, Parameter, Signature, plan
from callproof.abi.types import (
    F32,
    F64,
    I8,
    I32,
    I64,
    I128,
    POINTER,
    VALUE,
    ShortVector,
    Type,
    structure,
)

NAMED: dict[str, Type] = {
    "i8": I8,
    "i32": I32,
    "i64": I64,
    "i128": I128,
    "ptr": POINTER,
    "f32": F32,
    "f64": F64,
    "value": VALUE,
    "v4f32": ShortVector(F32, 4),
    "hfa3": structure(F32, F32, F32),
    "hfa2d": structure(F64, F64),
    "big": structure(I64, I64, I64),
    "mixed": structure(I64, F64),
    "small": structure(I8, I8, I8),
}


def places(types: str, result: str = "") -> str:
    parameters = tuple(Parameter(NAMED[name], f"p{i}") for i, name in enumerate(types.split()))
    answer = plan(Signature(parameters, NAMED[result] if result else None), AAPCS64)
    assignments = [answer.result] if result else answer.parameters
    texts = []
    for assignment in assignments:
        assert assignment is not None
        text = "+".join(
            (
                f"v{part.location.register - 32}"
                if part.location.register >= 32
                else f"x{part.location.register}"
            )
            if isinstance(part.location, InRegister)
            else f"[{part.location.offset}]"
            for part in assignment.parts
        )
        texts.append(("&" if assignment.indirect else "") + text)
    return " ".join(texts)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        # C.9 and C.1: the two register files are counted separately.
        ("i64 f64 i64 f64 ptr f32", "x0 v0 x1 v1 x2 v2"),
        # C.13, C.16: the ninth goes to the stack, eight bytes each whatever the size.
        ("i64 " * 8 + "i8 i64 i32", "x0 x1 x2 x3 x4 x5 x6 x7 [0] [8] [16]"),
        ("f64 " * 8 + "f32 f64 i64", "v0 v1 v2 v3 v4 v5 v6 v7 [0] [8] x0"),
        # C.12: a two-word composite takes consecutive registers, at any number ...
        ("i64 value i64", "x0 x1+x2 x3"),
        # ... and is never split: C.13 closes the registers for what follows (C.14, C.15).
        ("i64 " * 7 + "value i64", "x0 x1 x2 x3 x4 x5 x6 [0]+[8] [16]"),
        # C.10, C.11: natural alignment 16 rounds NGRN up to even.
        ("i64 i128 i64", "x0 x2+x3 x4"),
        ("i64 " * 7 + "i128 i64", "x0 x1 x2 x3 x4 x5 x6 [0]+[8] [16]"),
        ("i64 " * 9 + "i128", "x0 x1 x2 x3 x4 x5 x6 x7 [0] [16]+[24]"),
        # C.2, C.3: an HFA takes one V register a member, or the stack as a whole.
        ("hfa3 f32 hfa2d", "v0+v1+v2 v3 v4+v5"),
        ("f64 " * 6 + "hfa3 f64", "v0 v1 v2 v3 v4 v5 [0]+[4]+[8] [16]"),
        # C.4: 16-byte vectors are aligned on the stack.
        ("f64 " * 9 + "v4f32", "v0 v1 v2 v3 v4 v5 v6 v7 [0] [16]"),
        # B.4: more than 16 bytes travel by reference; B.5: small ones by their rounded size.
        ("big mixed small", "&x0 x1+x2 x3"),
    ],
)
def test_parameters(types: str, expected: str) -> None:
    assert places(types) == expected


@pytest.mark.parametrize(
    ("type_name", "expected"),
    [
        ("i64", "x0"),
        ("f64", "v0"),
        ("value", "x0+x1"),
        ("hfa3", "v0+v1+v2"),
        ("big", "&x8"),
    ],
)
def test_results(type_name: str, expected: str) -> None:
    assert places("", result=type_name) == expected


def test_stack_area_is_a_multiple_of_sixteen() -> None:
    signature = Signature(tuple(Parameter(I64) for _ in range(9)))
    answer = plan(signature, AAPCS64)
    assert answer.stack_bytes == 16
    assert answer.parameters[8].parts[0].location == OnStack(0, 8)


def test_every_register_but_the_platform_ones_is_saved_by_somebody() -> None:
    assert AAPCS64.caller_saved & AAPCS64.callee_saved == 0
    assert AAPCS64.caller_saved | AAPCS64.callee_saved == (1 << 64) - 1
