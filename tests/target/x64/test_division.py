"""Division by constants: the reciprocals by arithmetic, and their code against Python."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.execute_x64 import NATIVE

import callproof
from callproof.target.x64.reciprocal import reciprocal
from callproof.target.x64.select_division import DIVISIONS

OPERATIONS = [str(operation) for operation in DIVISIONS]


def near(divisor: int, largest: int) -> set[int]:
    """Dividends where a quotient changes, up to the largest."""
    last = largest // divisor * divisor
    found = {0, 1, divisor - 1, divisor, divisor + 1, last - 1, last, last + 1}
    found |= {largest, largest - 1, largest // 2, largest // 2 + 1, largest // 3}
    return {n for n in found if 0 <= n <= largest}


def divisors(bits: int) -> list[int]:
    """Small ones, and around powers of 2 and 10, in signed form of so many bits."""
    top = 1 << (bits - 1)
    found = {*range(-20, 21), top - 1, top - 2, -top, -top + 1, top // 3, 641, 6700417, 1000003}
    for power in range(bits):
        found |= {sign * ((1 << power) + n) for sign in (1, -1) for n in (-1, 0, 1)}
    found |= {10**n for n in range(1, 20)}
    return sorted(n for n in found if -top <= n < top)


def dividends(divisor: int, bits: int) -> list[int]:
    """In signed form; quotients of signed and of unsigned division change there."""
    top = 1 << (bits - 1)
    positive = near(max(1, abs(divisor)), top) | near(max(1, divisor % (2 * top)), 2 * top - 1)
    found = {sign * n for n in positive for sign in (1, -1)} | {-top, top - 1}
    return sorted({(n + top) % (2 * top) - top for n in found})


@given(st.integers(2, 2**64 - 1), st.sampled_from((31, 32, 63, 64)), st.data())
@settings(max_examples=300, deadline=None)
def test_reciprocals(divisor: int, bits: int, data: st.DataObject) -> None:
    largest = (1 << bits) - (bits in (32, 64))  # a signed dividend may be -2**31
    divisor = max(2, divisor % largest)
    found = reciprocal(divisor, largest, 32 if bits < 33 else 64)
    assert found.multiplier < 1 << (33 if bits < 33 else 65)
    for n in (*near(divisor, largest), data.draw(st.integers(0, largest))):
        assert n * found.multiplier >> found.power == n // divisor
        if n:
            assert (-n * found.multiplier >> found.power) + 1 == -(n // divisor)


def expected(operation: str, a: int, b: int, bits: int) -> int:
    """Python's answer by the IR's rules, in signed form."""
    top = 1 << (bits - 1)
    if operation[0] == "u":
        a, b = a % (2 * top), b % (2 * top)
    quotient = 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    found = quotient if operation.endswith("div") else a - quotient * b
    return (found + top) % (2 * top) - top


@pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host")
@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_all_divisors_of_interest(bits: int) -> None:
    chosen = divisors(bits)
    if bits == 8:
        chosen = list(range(-128, 128, 3))
    type_ = f"i{bits}"
    widen = "" if bits == 64 else "  %w = sext i64 %r\n"
    result = "%r" if bits == 64 else "%w"
    text = [
        f"function @{operation}{n}(a: i64) -> i64 {{\n^e(%a: i64):\n"
        + ("" if bits == 64 else f"  %t = trunc {type_} %a\n")
        + f"  %r = {operation} {type_} {'%a' if bits == 64 else '%t'}, {divisor}\n{widen}"
        + f"  return {result}\n}}\n"
        for n, divisor in enumerate(chosen)
        for operation in OPERATIONS
    ]
    compiled = callproof.compile("".join(text))
    compared = 0
    for n, divisor in enumerate(chosen):
        values = dividends(divisor, bits)
        for operation in OPERATIONS:
            function = compiled.function(f"{operation}{n}")
            for value in values:
                # What stands above a narrow number must not matter.
                above = value if bits == 64 else value % (1 << bits) | 0x55 << bits
                what = (operation, type_, value, divisor)
                assert function(above) == expected(operation, value, divisor, bits), what
                compared += 1
    assert compared > 3_000
