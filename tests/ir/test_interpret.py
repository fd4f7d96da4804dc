"""The interpreter: the meaning of each operation, by example."""

from __future__ import annotations

import math

import pytest

from callproof.ir.interpret import Interpreter, Number, Trap
from callproof.ir.parse import parse_module
from callproof.ir.verify import verify


def value(line: str, type_: str = "i64") -> Number:
    module = parse_module(f"function @f() -> {type_} {{\n^e:\n  %r = {line}\n  return %r\n}}")
    verify(module)
    (result,) = Interpreter(module).call("f")
    return result


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("add i64 9223372036854775807, 1", -(1 << 63)),
        ("sdiv i64 -7, 2", -3),
        ("sdiv i64 -9223372036854775808, -1", -(1 << 63)),
        ("sdiv i64 5, 0", 0),
        ("srem i64 5, 0", 5),
        ("srem i64 -7, 2", -1),
        ("udiv i64 -1, 2", (1 << 63) - 1),
        ("shl i64 1, 64", 0),
        ("shl i64 1, -1", 0),
        ("lshr i64 -1, 63", 1),
        ("ashr i64 -8, 100", -1),
        ("ult i64 1, -1", 1),
        ("slt i64 1, -1", 0),
        ("feq f64 0.0, -0.0", 1),
        ("fne f64 0x7ff8000000000000, 1.0", 1),
        ("flt f64 0x7ff8000000000000, 1.0", 0),
        ("ftosi i64 f64 -2.9", -2),
        ("floortosi i64 f64 -2.1", -3),
        ("ftosi i64 f64 1e300", (1 << 63) - 1),
        ("ftosi i64 f64 0x7ff8000000000000", 0),
        ("zext i64 i8 -1", 255),
        ("sext i64 i8 -1", -1),
        ("select i64 7, 1, 2", 1),
    ],
)
def test_operations(line: str, result: int) -> None:
    assert value(line) == result


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("fdiv f64 1.0, -0.0", -math.inf),
        ("fadd f64 1e308, 1e308", math.inf),
        ("fneg f64 0.0", -0.0),
        ("fsqrt f64 2.0", math.sqrt(2)),
        ("sitof f64 i64 -3", -3.0),
    ],
)
def test_floats(line: str, result: float) -> None:
    found = value(line, "f64")
    assert isinstance(found, float)
    assert found.hex() == result.hex()


def test_singles_round_once() -> None:
    assert value("fadd f32 16777216.0, 1.0", "f32") == 16777216.0
    assert value("sitof f32 i64 16777217", "f32") == 16777216.0
    assert value("sitof f32 i64 9007199791611905", "f32") == 9007200328482816.0


def run(text: str, name: str = "f", *arguments: Number) -> list[Number]:
    module = parse_module(text)
    verify(module)
    return Interpreter(module, depth=200_000).call(name, arguments)


def test_recursion_may_be_deep() -> None:
    text = (
        "function @f(n: i64) -> i64 {\n^e(%n: i64):\n  branch %n, ^m, ^z\n^m:\n"
        "  %p = add i64 %n, -1\n  %r = call @f(%p)\n  %s = add i64 %r, 1\n  return %s\n"
        "^z:\n  return 0\n}"
    )
    assert run(text, "f", 50_000) == [50_000]


def test_calls_through_values_and_several_results() -> None:
    text = (
        "function @pair(a: i64) -> {u64, u64} {\n^e(%a: i64):\n  return %a, 7\n}\n"
        "function @f() -> i64 {\n^e:\n  %p = add i64 @pair, 0\n"
        "  %x, %y = call_indirect %p(5) : (a: i64) -> {u64, u64}\n  %r = mul i64 %x, %y\n"
        "  return %r\n}"
    )
    assert run(text) == [35]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("%r = load i64 64\n  return", "where there is no memory"),
        ("%s = slot 8 align 8\n  %r = load i64 %s + 4\n  return", "where there is no memory"),
        ("call_indirect 4660() : ()\n  return", "0x1234, which is no function"),
        ("unreachable", "unreachable code of @f is reached"),
        ("call @f()\n  return", "the stack overflows"),
        ("jump ^l\n^l:\n  jump ^l", "more than"),
    ],
)
def test_traps(body: str, message: str) -> None:
    module = parse_module(f"function @f() {{\n^e:\n  {body}\n}}")
    with pytest.raises(Trap, match=message):
        Interpreter(module, limit=100_000, depth=1000).call("f")
