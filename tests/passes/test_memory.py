"""Loads of what is known, stores that nobody reads."""

from __future__ import annotations

import re

import pytest

from callproof.ir.parse import parse_module
from callproof.ir.text import print_function
from callproof.ir.verify import verify
from callproof.passes import memory

HEADER = """\
declare @out(a: ptr)
data @words align 8 readonly "\\01\\00\\00\\00\\ff\\ff\\ff\\ff" @words+4
data @counter align 8 writable zero 24
data @other align 8 writable zero 24
"""


def after(body: str) -> list[str]:
    """Lines of the function @f(a, b, x), with a slot %s, behind the slot."""
    text = HEADER + "function @f(a: ptr, b: i64, x: f64) -> i64 {\n"
    text += f"^e(%a: ptr, %b: i64, %x: f64):\n%s = slot 32 align 8\n{body}\n}}\n"
    module = parse_module(text)
    function = module.functions["f"]
    memory.run(function, module)
    verify(module)
    lines = print_function(function, module).splitlines()[3:-1]
    return [re.sub(r"%(\w+)\.\d+", r"%\1", " ".join(line.split())) for line in lines]


def loads(body: str) -> int:
    return sum(" load" in line for line in after(body))


def stores(body: str) -> int:
    return sum(line.startswith("store") for line in after(body))


@pytest.mark.parametrize(
    ("body", "last"),
    [
        ("store i64 %b, %a + 8\n%r = load i64 %a + 8\nreturn %r", "return %b"),
        ("%q = add ptr %a, 8\nstore i64 %b, %q\n%r = load i64 %a + 8\nreturn %r", "return %b"),
        ("store i64 %b, %s\ncall @out(%a)\n%r = load i64 %s\nreturn %r", "return %b"),
        ("store i64 %b, %s\nstore i64 1, %a\n%r = load i64 %s\nreturn %r", "return %b"),
        ("store i64 %b, @counter\nstore i64 1, @other\n%r = load i64 @counter\nreturn %r",
         "return %b"),
        ("%p = load i64 %a\n%q = load i64 %p\n%o = load i64 %a\n%r = load i64 %o\n%t = sub i64 "
         "%q, %r\nreturn %t", "return %t"),
        ("%r = load_u16 i64 @words\nreturn %r", "return 1"),
        ("%r = load_s32 i64 @words + 4\nreturn %r", "return -1"),
        ("%r = load_u32 i64 @words + 4\nreturn %r", "return 4294967295"),
        ("%r = load i64 @words + 8\nreturn %r", "return @words+4"),
    ],
)  # fmt: skip
def test_known_loads(body: str, last: str) -> None:
    lines = after(body)
    assert lines[-1] == last
    assert sum(" load" in line for line in lines) == (2 if "%t" in last else 0)


@pytest.mark.parametrize(
    "body",
    [
        "store i64 %b, %a\nstore i64 1, %b\n%r = load i64 %a\nreturn %r",  # may be the same
        "store i64 %b, %a\nstore8 i64 1, %a + 7\n%r = load i64 %a\nreturn %r",
        "store i64 %b, @counter\ncall @out(%a)\n%r = load i64 @counter\nreturn %r",
        "store i64 %b, @counter\nstore i64 1, %a\n%r = load i64 @counter\nreturn %r",
        "store i64 %b, %s\ncall @out(%s)\n%r = load i64 %s\nreturn %r",
        "store i64 %b, %s\n%i = add ptr %s, %b\nstore i64 1, %i\n%r = load i64 %s\nreturn %r",
        "store i64 %b, %s\n%i = add ptr %b, %s\n%j = add i64 %i, %b\nstore i64 1, %j\n"
        "%r = load i64 %s\nreturn %r",
        "store i64 %s, %a\nstore i64 %b, %s\nstore i64 1, %b\n%r = load i64 %s\nreturn %r",
        "%r = load i64 @words + 1\nreturn %r",  # part of an address
        "%r = load i64 @counter\nreturn %r",
        "store i64 %b, %a\n%w = load_u8 i64 %a\nreturn %w",
    ],
)
def test_what_may_have_changed_is_loaded(body: str) -> None:
    assert loads(body) == 1


def test_bits_stored_as_another_type() -> None:
    lines = after("store f64 %x, %a\n%r = load i64 %a\nreturn %r")
    assert lines[-2:] == ["%r = bitcast i64 %x", "return %r"]


def test_on_both_ways_to_a_join() -> None:
    body = "branch %b, ^y, ^n\n^y:\nstore i64 {}, %s\njump ^j\n^n:\nstore i64 5, %s\njump ^j\n"
    body += "^j:\n%r = load i64 %s\nreturn %r"
    assert after(body.format(5))[-1] == "return 5"
    assert after(body.format(6))[-1] == "return %r"


def test_into_a_loop_that_does_not_write_there() -> None:
    body = "store i64 %b, %a\njump ^l(9)\n^l(%i: i64):\n%v = load i64 %a\n{}\n%j = sub i64 %i, %v\n"
    body += "branch %j, ^l(%j), ^d\n^d:\nreturn %v"
    assert loads(body.format("store i64 %i, %a + 8")) == 0
    assert loads(body.format("store i64 %i, %b")) == 1
    assert loads(body.format("call @out(%a)")) == 1


def test_a_loop_that_is_entered_in_two_places_is_not_believed() -> None:
    body = "store i64 %b, %a\nbranch %b, ^l, ^m\n^l:\n%v = load i64 %a\njump ^m\n"
    body += "^m:\nstore i64 1, %a\nbranch %b, ^l, ^d\n^d:\nreturn 0"
    assert loads(body) == 1


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("store i64 1, %a\nstore i64 2, %a\nreturn 0", 1),
        ("store32 i64 1, %a + 4\nstore i64 2, %a\nreturn 0", 1),
        ("store i64 1, %a\nstore32 i64 2, %a\nreturn 0", 2),
        ("store i64 1, %a\n%r = load i64 %b\nstore i64 2, %a\nreturn %r", 2),
        ("store i64 1, %a\ncall @out(%b)\nstore i64 2, %a\nreturn 0", 2),
        ("store i64 1, %s\ncall @out(%a)\nreturn 0", 0),  # a slot that is never read
        ("store i64 1, %s\ncall @out(%s)\nstore i64 2, %s\nreturn 0", 2),
        ("store i64 1, %s + 8\n%r = load i64 %s\nstore i64 %r, %s + 16\nreturn %r", 1),
        ("store i64 1, %a\nbranch %b, ^y, ^n\n^y:\nstore i64 2, %a\nreturn 0\n^n:\nreturn 0", 2),
    ],
)
def test_dead_stores(body: str, left: int) -> None:
    assert stores(body) == left
