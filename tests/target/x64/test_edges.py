"""x86-64 code at the edges of the operations, against the interpreter.

Where the processor differs from the IR (division by 0 and of the least number, shift
counts beyond the width, conversions that do not fit, unordered comparisons), each
operation meets each pair of edge values, as a value, and as a constant where that has a
rule of its own.
"""

from __future__ import annotations

import pytest
from tests.support.execute_x64 import NATIVE, run_main_x64

from callproof.ir.interpret import Interpreter
from callproof.ir.model import Module
from callproof.ir.text import parse_module
from callproof.passes.pipeline import optimise

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host")

BINARY = "add sub mul sdiv udiv srem urem and or xor shl lshr ashr".split()
COMPARISONS = "eq ne slt sle sgt sge ult ule ugt uge".split()
FLOAT_COMPARISONS = "feq fne flt fle fgt fge".split()
FLOAT_BINARY = "fadd fsub fmul fdiv".split()


def integers(bits: int) -> list[int]:
    top = 1 << (bits - 1)
    found = [0, 1, -1, 2, -2, 3, 7, bits - 1, bits, bits + 1, top - 1, -top, -top + 1, 100]
    return sorted({(n + top) % (2 * top) - top for n in found})


FLOATS = {
    "f64": "0.0 -0.0 1.5 -1.5 2.999 -2.999 9.3e18 -9.3e18 2147483647.5 -2147483648.5 1e300 -1e300"
    " 9223372036854774784.0 -9223372036854775808.0 inf -inf nan",
    "f32": "0.0 -0.0 1.5 -1.5 2.75 -2.75 9.3e18 -9.3e18 2147483648.0 -2147483648.0 inf -inf nan",
}
MIX = "  %m{n} = mul i64 %h{last}, 31\n  %h{n} = xor i64 %m{n}, {value}\n"


class Program:
    """Functions, and a `main` that mixes what they give into one word."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.body: list[str] = []
        self.count = 0

    def call(self, callee: str, arguments: str) -> None:
        self.count += 1
        n = self.count
        self.body.append(f"  %c{n} = call @{callee}({arguments})\n")
        self.body.append(MIX.format(n=n, last=n - 1, value=f"%c{n}"))

    def module(self) -> Module:
        start = "function @main() -> i64 {\n^e:\n  %h0 = add i64 7, 0\n"
        end = f"  return %h{self.count}\n}}\n"
        return parse_module("".join([*self.functions, start, *self.body, end]))


def compare(program: Program) -> None:
    (expected,) = Interpreter(program.module()).call("main")
    for level in (0, 1):
        module = program.module()
        optimise(module, level)
        assert run_main_x64(module) == expected, level


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("operation", [*BINARY, *COMPARISONS])
def test_integers(operation: str, bits: int) -> None:
    type_, values = f"i{bits}", integers(bits)
    program = Program()
    compares = operation in COMPARISONS
    widen = "" if bits == 64 or compares else "  %w = sext i64 %r\n"
    result = "%w" if widen else "%r"
    head = "function @{name}(a: {t}, b: {t}) -> i64 {{\n^e(%a: {t}, %b: {t}):\n"
    end = f"{widen}  return {result}\n}}\n"
    names = ["f"]
    program.functions.append(
        head.format(name="f", t=type_) + f"  %r = {operation} {type_} %a, %b\n{end}"
    )
    for number, value in enumerate(values):
        for which, text in (("r", f"%a, {value}"), ("l", f"{value}, %b")):
            names.append(f"{which}{number}")
            program.functions.append(
                head.format(name=names[-1], t=type_) + f"  %r = {operation} {type_} {text}\n{end}"
            )
    if compares:  # by a branch and by a choice
        program.functions.append(
            head.format(name="b", t=type_) + f"  %q = {operation} {type_} %a, %b\n"
            "  branch %q, ^x, ^y\n^x:\n  return 11\n^y:\n  return 22\n}\n"
        )
        program.functions.append(
            head.format(name="s", t=type_) + f"  %q = {operation} {type_} %a, %b\n"
            "  %r = select i64 %q, 33, 44\n  return %r\n}\n"
        )
        names += ["b", "s"]
    prefix = "" if bits == 64 else f"{type_} "
    for a in values:
        for b in values:
            program.call("f", f"{prefix}{a}, {prefix}{b}")
        for name in names[1:]:
            program.call(name, f"{prefix}{a}, {prefix}{values[a % len(values)]}")
    compare(program)


@pytest.mark.parametrize("type_", ["f32", "f64"])
def test_floats(type_: str) -> None:
    values = FLOATS[type_].split()
    program = Program()
    head = f"function @{{0}}(a: {type_}, b: {type_}) -> i64 {{{{\n^e(%a: {type_}, %b: {type_}):\n"
    for operation in FLOAT_COMPARISONS:
        test = f"  %q = {operation} {type_} %a, %b\n"
        program.functions += [
            head.format(f"{operation}_v") + f"{test}  return %q\n}}\n",
            head.format(f"{operation}_b") + f"{test}  branch %q, ^x, ^y\n"
            "^x:\n  return 1\n^y:\n  return 2\n}\n",
            head.format(f"{operation}_s") + f"{test}  %r = select i64 %q, 5, 6\n  return %r\n}}\n",
            head.format(f"{operation}_f") + f"{test}  %s = select {type_} %q, %a, %b\n"
            f"  %r = flt {type_} %s, {type_} 1.0\n  return %r\n}}\n",
        ]
    for a in values:
        for b in values:
            for operation in FLOAT_COMPARISONS:
                for way in "vbsf":
                    program.call(f"{operation}_{way}", f"{type_} {a}, {type_} {b}")
    compare(program)


@pytest.mark.parametrize("type_", ["f32", "f64"])
def test_conversions_and_arithmetic(type_: str) -> None:
    values = FLOATS[type_].split()
    program = Program()
    one = f"(a: {type_}) -> i64 {{\n^e(%a: {type_}):\n"
    names = []
    for operation in ("ftosi", "floortosi"):
        for bits in (8, 16, 32, 64):
            names.append(f"{operation}{bits}")
            widen = "  %w = sext i64 %r\n  return %w\n" if bits < 64 else "  return %r\n"
            program.functions.append(
                f"function @{names[-1]}{one}  %r = {operation} i{bits} %a\n{widen}}}\n"
            )
    integer = "i64" if type_ == "f64" else "i32"
    widen = "  %w = zext i64 %r\n  return %w\n" if type_ == "f32" else "  return %r\n"
    # The sign of a NaN that an operation makes is the machine's: it is not looked at.
    clean = (
        f"  %n = fne {type_} %v, %v\n  %u = select {type_} %n, {type_} 42.0, %v\n"
        f"  %r = bitcast {integer} %u\n{widen}}}\n"
    )
    for operation in ("fneg", "fabs", "fsqrt"):
        names.append(operation)
        program.functions.append(f"function @{operation}{one}  %v = {operation} {type_} %a\n{clean}")
    other = "f32" if type_ == "f64" else "f64"
    names.append("resized")
    there, back = ("ftrunc", "fext") if type_ == "f64" else ("fext", "ftrunc")
    program.functions.append(
        f"function @resized{one}  %x = {there} {other} %a\n  %v = {back} {type_} %x\n{clean}"
    )
    two = f"(a: {type_}, b: {type_}) -> i64 {{\n^e(%a: {type_}, %b: {type_}):\n"
    for operation in FLOAT_BINARY:
        program.functions.append(f"function @{operation}{two}  %v = {operation} {type_} %a, %b\n{clean}")
        for name, text in (("r", f"%a, {type_} 2.5"), ("l", f"{type_} 2.5, %a")):
            names.append(f"{operation}{name}")
            program.functions.append(
                f"function @{names[-1]}{one}  %v = {operation} {type_} {text}\n{clean}"
            )
    for bits in (8, 16, 32, 64):
        program.functions.append(
            f"function @from{bits}(a: i{bits}) -> i64 {{\n^e(%a: i{bits}):\n"
            f"  %v = sitof {type_} %a\n{clean}"
        )
        prefix = "" if bits == 64 else f"i{bits} "
        if bits >= 32:
            for value in integers(bits):
                program.call(f"from{bits}", f"{prefix}{value}")
    for a in values:
        for name in names:
            program.call(name, f"{type_} {a}")
        for b in values:
            for operation in FLOAT_BINARY:
                program.call(operation, f"{type_} {a}, {type_} {b}")
    compare(program)
