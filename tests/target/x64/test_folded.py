"""Memory as an operand: in arithmetic, in comparisons, and changed in place."""

from __future__ import annotations

import pytest
from tests.support.execute_x64 import NATIVE, run_main_x64
from tests.target.x64.test_select_x64 import TARGET, assembly, body

from callproof.codegen.backend import compile_module
from callproof.ir.interpret import Interpreter
from callproof.ir.parse import parse_module
from callproof.passes.pipeline import optimise
from callproof.target.x64.select_folded import RULES

CONVERSIONS = "cvtss2sd cvtsd2ss sqrtsd sqrtss".split()
INTEGERS = "add sub and or xor mul".split()
FLOATS = "fadd fsub fmul fdiv".split()
NUMBERS = (1, -1, 127, -129, 0x7FFFFFFF, -0x80000000)
COMPARISONS = "eq ne slt sle sgt sge ult ule ugt uge".split()


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ("%l = load i64 %b + 8\n%r = add i64 %a, %l\nreturn %r",
         "addq 8(%rsi), %rdi; movq %rdi, %rax"),
        ("%l = load i64 %b\n%r = xor i64 %l, %a\nreturn %r",
         "xorq (%rsi), %rdi; movq %rdi, %rax"),
        ("%l = load i64 %b\n%t = add i64 %l, %a\nstore i64 %t, %b\nreturn %c",
         "addq %rdi, (%rsi); movq %rdx, %rax"),
        ("%l = load i64 %b + 16\n%t = add i64 %l, 1\nstore i64 %t, %b + 16\nreturn %c",
         "addq $1, 16(%rsi); movq %rdx, %rax"),
        ("%l = load_s32 i64 %b\n%t = sub i64 %l, 300\nstore32 i64 %t, %b\nreturn %c",
         "subl $300, (%rsi); movq %rdx, %rax"),
        ("%l = load i64 @m + 8\n%t = and i64 %l, 1000\nstore i64 %t, @m + 8\nreturn %a",
         "andq $1000, m+8(%rip); movq %rdi, %rax"),
        # What lies between may have changed it.
        ("%l = load i64 %b\nstore i64 %a, %c\n%r = add i64 %a, %l\nreturn %r",
         "movq (%rsi), %rax; movq %rdi, (%rdx); addq %rdi, %rax"),
        ("%l = load i64 %b\n%t = add i64 %l, %a\nstore i64 %a, %c\nstore i64 %t, %b\nreturn %c",
         "movq %rdi, %rax; addq (%rsi), %rax; movq %rdi, (%rdx); movq %rax, (%rsi); "
         "movq %rdx, %rax"),
        # Another place, or a value that is wanted twice.
        ("%l = load i64 %b\n%t = or i64 %l, 5\nstore i64 %t, %b + 8\nreturn %c",
         "movq (%rsi), %rax; orq $5, %rax; movq %rax, 8(%rsi); movq %rdx, %rax"),
        ("%l = load i64 %b\n%r = sub i64 %a, %l\n%s = mul i64 %r, %l\nreturn %s",
         "movq (%rsi), %rax; subq %rax, %rdi; imulq %rax, %rdi; movq %rdi, %rax"),
        ("%l = load i64 %b\n%q = slt i64 %a, %l\n%r = select i64 %q, %a, %c\nreturn %r",
         "cmpq (%rsi), %rdi; cmovl %rdi, %rdx; movq %rdx, %rax"),
        ("%l = load_u8 i64 %b\n%q = eq i64 %l, 200\nreturn %q",
         "cmpb $-56, (%rsi); sete %al; movzbl %al, %eax"),
        ("%s = shl i64 %c, 3\n%p = add i64 %b, %s\n%l = load i64 %p\n%t = add i64 %l, %a\n"
         "store i64 %t, %p\nreturn %s",
         "shlq $3, %rdx; leaq (%rsi,%rdx), %rax; addq %rdi, (%rax); movq %rdx, %rax"),
        # Of the low word alone: 32 bits.
        ("%t = xor i64 %a, %b\n%r = and i64 %t, 4294967295\nreturn %r",
         "xorl %esi, %edi; movq %rdi, %rax"),
        ("%l = load_s32 i64 %b\n%t = add i64 %a, %l\n%r = and i64 %t, 4294967295\nreturn %r",
         "addl (%rsi), %edi; movq %rdi, %rax"),
        ("%s = shl i64 %a, 2\n%p = add i64 @m, %s\n%l = load_s32 i64 %p\nreturn %l",
         "leaq m(%rip), %rax; movslq (%rax,%rdi,4), %rax"),
    ],
)  # fmt: skip
def test_patterns(instructions: str, expected: str) -> None:
    assert body(instructions) == expected.split("; ")


def test_a_conversion_does_not_wait_for_its_register_s_upper_bytes() -> None:
    lines = assembly(
        "function @f(x: f32, y: f32) -> f64 {\n^e(%x: f32, %y: f32):\n  %a = fext f64 %y\n"
        "  %b = fsqrt f64 %a\n  %c = fadd f64 %a, %b\n  return %c\n}"
    )
    converted = [line.split() for line in lines]
    other = [
        i for i, words in enumerate(converted) if "2" in words[0] and words[1][:-1] != words[2]
    ]
    assert other
    for i in other:
        assert converted[i - 1] == ["xorps", f"{converted[i][2]},", converted[i][2]]


def test_floats_are_compared_with_memory() -> None:
    lines = assembly(
        "function @f(p: ptr, x: f64) -> i64 {\n^e(%p: ptr, %x: f64):\n  %l = load f64 %p\n"
        "  %q = fgt f64 %x, %l\n  %r = flt f64 %x, 4.0\n  %s = add i64 %q, %r\n  return %s\n}"
    )
    assert "ucomisd (%rdi), %xmm0" in lines


class Program:
    """Functions of a pointer and two words, that read and change 64 bytes; `main` hashes all."""

    def __init__(self) -> None:
        self.functions: list[str] = []

    def add(self, text: str) -> None:
        number = len(self.functions)
        self.functions.append(
            f"function @f{number}(p: ptr, x: i64, n: i64) -> i64 {{\n"
            f"^e(%p: ptr, %x: i64, %n: i64):\n  %i = trunc i32 %x\n  %d = sitof f64 %x\n"
            f"  %g = ftrunc f32 %d\n{text}}}\n"
        )

    def text(self) -> str:
        lines, last = [], "%h"
        for number in range(len(self.functions)):
            lines.append(
                f"  %c{number} = call @f{number}(@memory, %x, %n)\n"
                f"  %m{number} = mul i64 {last}, 31\n  %h{number} = xor i64 %m{number}, %c{number}"
            )
            last = f"%h{number}"
        words = (3, -5, 1 << 40, -(1 << 33), 0x3FF8000000000000, 0x4014000000000000, 200, 7)
        data = b"".join(word.to_bytes(8, "little", signed=True) for word in words)
        quoted = "".join(f"\\{byte:02x}" for byte in data)
        end = "".join(
            f"  %w{n} = load i64 @memory + {8 * n}\n  %y{n} = mul i64 {f'%z{n - 1}' if n else last}"
            f", 31\n  %z{n} = xor i64 %y{n}, %w{n}\n"
            for n in range(8)
        )
        return (
            "".join(self.functions)
            + f'data @memory align 16 writable "{quoted}"\n'
            + "function @main() -> i64 {\n^e:\n  jump ^l(0, 7)\n^l(%n: i64, %h: i64):\n"
            + "  %t = mul i64 %n, 1234567891\n  %x = sub i64 %t, 2000000000\n"
            + "\n".join(lines)
            + f"\n  %k = add i64 %n, 1\n  %more = slt i64 %k, 5\n"
            f"  branch %more, ^l(%k, {last}), ^x\n^x:\n{end}  return %z7\n}}\n"
        )


def everything() -> Program:
    program = Program()
    for operation in INTEGERS:
        for type_, value in (("i64", "%x"), ("i32", "%i")):
            widen = "" if type_ == "i64" else "  %w = sext i64 %r\n"
            result = "%r" if type_ == "i64" else "%w"
            load = "  %a = and i64 %n, 3\n  %b = shl i64 %a, 3\n  %q = add i64 %p, %b\n" + (
                f"  %l = load {type_} %q + 8\n"
            )
            for operands in (f"{value}, %l", f"%l, {value}"):
                program.add(
                    f"{load}  %r = {operation} {type_} {operands}\n{widen}  return {result}\n"
                )
            for other in (value, *NUMBERS):
                changed = f"{load}  %r = {operation} {type_} %l, {other}\n"
                program.add(f"{changed}  store {type_} %r, %q + 8\n  return %n\n")
        for other in ("%x", "9", "99999"):  # by symbol; the second is at another place
            changed = f"  %l = load i64 @memory + 16\n  %r = {operation} i64 %l, {other}\n"
            program.add(f"{changed}  store i64 %r, @memory + 16\n  return %n\n")
            program.add(f"{changed}  store i64 %r, @memory + 24\n  return %n\n")
        for other in ("%x", "%n", *NUMBERS):
            for how in ("load_s32", "load_u32"):
                program.add(
                    f"  %l = {how} i64 %p + 4\n  %r = {operation} i64 %l, {other}\n"
                    f"  store32 i64 %r, %p + 4\n  return %n\n"
                )
                program.add(
                    f"  %l = {how} i64 %p + 4\n  %r = {operation} i64 %l, {other}\n"
                    f"  %w = and i64 %r, 4294967295\n  return %w\n"
                )
        for operands in ("%x, %n", "%n, %x", "%x, %x"):
            program.add(
                f"  %r = {operation} i64 {operands}\n  %w = and i64 %r, 4294967295\n  return %w\n"
            )
    for operation in COMPARISONS:
        for load, type_, value in (
            *(("load i64", "i64", "%x"), ("load i32", "i32", "%i")),
            *(("load_s32 i64", "i64", "%x"), ("load_u8 i64", "i64", "%x")),
            *(("load_u32 i64", "i64", "%x"),),
        ):
            for operands in (f"{value}, %l", f"%l, {value}", "%l, 200", "%l, -5", "%l, 3", "%l, 0"):
                program.add(
                    f"  %l = {load} %p + 48\n  %q = {operation} {type_} {operands}\n"
                    "  branch %q, ^a, ^b\n^a:\n  return 1\n^b:\n  return %q\n"
                )
    for operation in FLOATS:
        for type_, value, at in (("f64", "%d", 32), ("f32", "%g", 36)):
            for operands in (f"{value}, %l", f"%l, {value}"):
                program.add(
                    f"  %l = load {type_} %p + {at}\n  %r = {operation} {type_} {operands}\n"
                    f"  %k = ftosi i64 %r\n  return %k\n"
                )
    for operation in "feq fne flt fle fgt fge".split():
        for type_, value, at in (("f64", "%d", 40), ("f32", "%g", 44)):
            for operands in (f"{value}, %l", f"%l, {value}", f"%l, {type_} 1.5"):
                program.add(
                    f"  %l = load {type_} %p + {at}\n  %q = {operation} {type_} {operands}\n"
                    f"  return %q\n"
                )
    return program


def test_every_rule_is_reached() -> None:
    hits: dict[str, int] = {}
    compile_module(parse_module(everything().text()), TARGET, hits=hits)
    assert not {rule.name for rule in RULES} - set(hits)


@pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host")
def test_all_of_it_computes_what_the_interpreter_does() -> None:
    text = everything().text()
    (expected,) = Interpreter(parse_module(text)).call("main")
    for level in (0, 1):
        module = parse_module(text)
        optimise(module, level)
        assert run_main_x64(module, poison=bool(level)) == expected, level
