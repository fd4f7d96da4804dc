"""x86-64 code at the edges of the operations, against the interpreter.

Where the processor differs from the IR (division by 0 and of the least number, shift
counts beyond the width, conversions that do not fit, unordered comparisons), each
operation meets each pair of edge values, as a value, and as a constant where that has a
rule of its own.
"""

from __future__ import annotations

import struct

import pytest
from tests.support.execute_x64 import NATIVE, run_main_x64

from callproof.ir.interpret import Interpreter
from callproof.ir.model import Module
from callproof.ir.parse import parse_module
from callproof.passes.pipeline import optimise

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host")

BINARY = "add sub mul sdiv udiv srem urem and or xor shl lshr ashr".split()
COMPARISONS = "eq ne slt sle sgt sge ult ule ugt uge".split()
FLOAT_COMPARISONS = "feq fne flt fle fgt fge".split()
FLOAT_BINARY = "fadd fsub fmul fdiv".split()


# Beside powers of two, up to what an instruction holds.
LONG_FACTORS: dict[int, tuple[int, ...]] = {
    8: (),
    32: (2**30 + 1, 2**31 - 1),
    64: (2**30 + 1, 2**31 - 1, 2**31 + 1),
}


def integers(bits: int) -> list[int]:
    top = 1 << (bits - 1)
    found = [0, 1, -1, 2, -2, 3, 7, bits - 1, bits, bits + 1, top - 1, -top, -top + 1, 100]
    return sorted({(n + top) % (2 * top) - top for n in found})


FLOATS = [
    *(0.0, -0.0, 1.5, -1.5, 2.75, -2.75, 9.3e18, -9.3e18, 2147483647.5, -2147483648.5, 1e30),
    *(9223372036854774784.0, -9223372036854775808.0, float("inf"), float("-inf"), float("nan")),
]


def quoted(data: bytes) -> str:
    return '"' + "".join(f"\\{byte:02x}" for byte in data) + '"'


class Program:
    """Functions of one or two values of a type, and a `main` that mixes what they give.

    `main` calls each of `pairs` with each pair of the values, each of `singles` with each.
    """

    def __init__(self, type_: str, values: list[bytes]) -> None:
        self.type = type_
        self.values = values
        self.functions: list[str] = []
        self.pairs: list[str] = []
        self.singles: list[str] = []

    def pair(self, body: str) -> None:
        name = f"pair{len(self.pairs)}"
        self.pairs.append(name)
        head = f"function @{name}(a: {self.type}, b: {self.type}) -> i64 {{"
        self.functions.append(f"{head}\n^e(%a: {self.type}, %b: {self.type}):\n{body}\n}}\n")

    def single(self, body: str) -> None:
        name = f"single{len(self.singles)}"
        self.singles.append(name)
        head = f"function @{name}(a: {self.type}) -> i64 {{"
        self.functions.append(f"{head}\n^e(%a: {self.type}):\n{body}\n}}\n")

    def calls(self, names: list[str], start: str, arguments: str) -> tuple[str, str]:
        """Code that mixes in the results of functions, and the value that has them all."""
        lines, last = [], start
        for name in names:
            lines.append(f"  %c{name} = call @{name}({arguments})")
            lines.append(f"  %m{name} = mul i64 {last}, 31")
            lines.append(f"  %h{name} = xor i64 %m{name}, %c{name}")
            last = f"%h{name}"
        return "\n".join(lines), last

    def module(self) -> Module:
        size, count = len(self.values[0]), len(self.values)
        outer, after_outer = self.calls(self.singles, "%h", "%a")
        inner, after_inner = self.calls(self.pairs, "%g", "%a, %b")
        return parse_module(
            "".join(self.functions)
            + f"""data @values align 16 readonly {quoted(b"".join(self.values))}
function @main() -> i64 {{
^e:
  jump ^outer(0, 7)
^outer(%i: i64, %h: i64):
  %x = mul i64 %i, {size}
  %p = add i64 @values, %x
  %a = load {self.type} %p
{outer}
  jump ^inner(0, {after_outer})
^inner(%j: i64, %g: i64):
  %y = mul i64 %j, {size}
  %q = add i64 @values, %y
  %b = load {self.type} %q
{inner}
  %k = add i64 %j, 1
  %more = slt i64 %k, {count}
  branch %more, ^again, ^next
^again:
  jump ^inner(%k, {after_inner})
^next:
  %n = add i64 %i, 1
  %on = slt i64 %n, {count}
  branch %on, ^on, ^end
^on:
  jump ^outer(%n, {after_inner})
^end:
  return {after_inner}
}}
"""
        )


def compare(program: Program) -> None:
    (expected,) = Interpreter(program.module()).call("main")
    module = program.module()
    optimise(module, 1)
    assert run_main_x64(module) == expected


@pytest.mark.parametrize("bits", [8, 32, 64])
def test_integers(bits: int) -> None:
    type_, values = f"i{bits}", integers(bits)
    program = Program(type_, [value.to_bytes(bits // 8, "little", signed=True) for value in values])
    widen = "  return %r" if bits == 64 else "  %w = sext i64 %r\n  return %w"
    for operation in BINARY:
        program.pair(f"  %r = {operation} {type_} %a, %b\n{widen}")
        for value in values:
            for text in (f"%a, {value}", f"{value}, %a"):
                program.single(f"  %r = {operation} {type_} {text}\n{widen}")
    for factor in (5, 6, 7, 15, 17, 31, 33, 63, 65, 127, *LONG_FACTORS[bits]):
        program.single(f"  %r = mul {type_} %a, {factor}\n{widen}")
        program.single(f"  %m = mul {type_} %a, {factor}\n  %r = sub {type_} %m, %a\n{widen}")
    for operation in COMPARISONS:
        test = f"  %q = {operation} {type_} %a, %b\n"
        program.pair(f"{test}  return %q")
        program.pair(f"{test}  branch %q, ^x, ^y\n^x:\n  return 11\n^y:\n  return 22")
        program.pair(f"{test}  %r = select i64 %q, 33, 44\n  return %r")
        for value in values:
            program.single(f"  %q = {operation} {type_} %a, {value}\n  return %q")
    for wide in (16, 32, 64):
        if wide > bits:
            for operation in ("sext", "zext"):
                last = "" if wide == 64 else "  %s = sext i64 %r\n"
                result = "%r" if wide == 64 else "%s"
                program.single(f"  %r = {operation} i{wide} %a\n{last}  return {result}")
    compare(program)


@pytest.mark.parametrize("type_", ["f32", "f64"])
def test_floats(type_: str) -> None:
    single = type_ == "f32"
    program = Program(type_, [struct.pack("<f" if single else "<d", value) for value in FLOATS])
    for operation in FLOAT_COMPARISONS:
        test = f"  %q = {operation} {type_} %a, %b\n"
        program.pair(f"{test}  return %q")
        program.pair(f"{test}  branch %q, ^x, ^y\n^x:\n  return 1\n^y:\n  return 2")
        program.pair(f"{test}  %r = select i64 %q, 5, 6\n  return %r")
        program.pair(
            f"{test}  %s = select {type_} %q, %a, %b\n"
            f"  %r = flt {type_} %s, {type_} 1.0\n  return %r"
        )
    for operation in ("ftosi", "floortosi"):
        for bits in (8, 16, 32, 64):
            widen = "  return %r" if bits == 64 else "  %w = sext i64 %r\n  return %w"
            program.single(f"  %r = {operation} i{bits} %a\n{widen}")
    # The sign of a NaN that an operation makes is the machine's: it is not looked at.
    clean = (
        f"  %n = fne {type_} %v, %v\n  %u = select {type_} %n, {type_} 42.0, %v\n"
        f"  %r = bitcast {'i32' if single else 'i64'} %u\n"
    )
    clean += "  %w = zext i64 %r\n  return %w" if single else "  return %r"
    for operation in ("fneg", "fabs", "fsqrt"):
        program.single(f"  %v = {operation} {type_} %a\n{clean}")
    there, back, other = ("fext", "ftrunc", "f64") if single else ("ftrunc", "fext", "f32")
    program.single(f"  %x = {there} {other} %a\n  %v = {back} {type_} %x\n{clean}")
    for operation in FLOAT_BINARY:
        program.pair(f"  %v = {operation} {type_} %a, %b\n{clean}")
        program.single(f"  %v = {operation} {type_} %a, {type_} 2.5\n{clean}")
        program.single(f"  %v = {operation} {type_} {type_} 2.5, %a\n{clean}")
    compare(program)


@pytest.mark.parametrize("bits", [32, 64])
def test_integers_become_floats(bits: int) -> None:
    values = [value.to_bytes(bits // 8, "little", signed=True) for value in integers(bits)]
    program = Program(f"i{bits}", values)
    for to, back in (("f32", "i32"), ("f64", "i64")):
        widen = "  %w = zext i64 %r\n  return %w" if to == "f32" else "  return %r"
        program.single(f"  %v = sitof {to} %a\n  %r = bitcast {back} %v\n{widen}")
    program.pair("  return 1")
    compare(program)
