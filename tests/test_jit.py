"""Functions compiled into this process and called from Python."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import callproof
from callproof.source import CallproofError
from tests.support.execute_x64 import NATIVE

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host")

TEXT = """
declare @strlen(text: ptr) -> u64
data @counter align 8 writable zero 8

function @mean(a: f64, b: f64) -> f64 {
^e(%a: f64, %b: f64):
  %s = fadd f64 %a, %b
  %r = fmul f64 %s, f64 0.5
  return %r
}
function @count(by: i32) -> i64 {
^e(%by: i32):
  %old = load i64 @counter
  %wide = sext i64 %by
  %new = add i64 %old, %wide
  store i64 %new, @counter
  return %new
}
function @length(text: ptr) -> u64 {
^e(%text: ptr):
  %n = call @strlen(%text)
  %r = add i64 %n, 1
  return %r
}
function @many(a: i8, b: u16, c: i64, d: i64, e: i64, f: i64, g: i64, h: f32, i: i8) -> i64 {
^e(%a: i8, %b: i16, %c: i64, %d: i64, %e: i64, %f: i64, %g: i64, %h: f32, %i: i8):
  %x = sext i64 %a
  %y = zext i64 %b
  %z = sub i64 %x, %y
  %u = ftosi i64 %h
  %v = mul i64 %g, %u
  %w = sext i64 %i
  %p = add i64 %z, %v
  %r = add i64 %p, %w
  return %r
}
function @pair() -> {i64, i64} {
^e:
  return 1, 2
}
"""


@pytest.mark.parametrize("level", [0, 2])
def test_calls_from_python(level: int) -> None:
    program = callproof.compile(TEXT, level=level, verify=True)
    assert program.function("mean")(3.0, 4.5) == 3.75
    count = program.function("count")
    length = program.function("length")
    many = program.function("many")
    del program
    gc.collect()
    assert [count(5), count(-7)] == [5, -2]
    assert length(b"twelve bytes") == 13
    assert many(-3, 60000, 1, 2, 3, 4, 1000, 2.5, -100) == -3 - 60000 + 2000 - 100


def test_code_is_not_writable_and_data_not_executable() -> None:
    program = callproof.compile(TEXT)
    for name, wanted in (("count", "r-xp"), ("counter", "rw-p")):
        address = program._addresses[name]
        for line in Path("/proc/self/maps").read_text().splitlines():
            low, high = (int(text, 16) for text in line.split()[0].split("-"))
            if low <= address < high:
                assert line.split()[1] == wanted
                break
        else:
            raise AssertionError(f"{name} is nowhere")


def test_a_newbcpl_function(tmp_path: Path) -> None:
    path = tmp_path / "fib.bcl"
    path.write_text(
        "LET fib(n) = n < 2 -> n, fib(n - 1) + fib(n - 2)\nLET START() BE { LET x = fib(1) }\n"
    )
    assert callproof.compile(path).function("fib")(20) == 6765


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (TEXT, "meen", "no function 'meen'; did you mean 'mean'"),
        (TEXT, "pair", "the result of pair: no Python value stands for a {i64, i64}"),
        ("declare @absent_()\nfunction @f() {\n^e:\n  call @absent_()\n  return\n}", "f",
         "this process has no absent_"),
        ("function @f( {", "f", "expected"),
    ],
)  # fmt: skip
def test_what_cannot_be_called_is_told(text: str, name: str, message: str) -> None:
    with pytest.raises(CallproofError) as caught:
        callproof.compile(text).function(name)
    assert message in str(caught.value)
