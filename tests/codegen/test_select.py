"""Instruction selection: IR text in, assembly out; and no rule that nothing reaches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.execute import run_main
from tests.support.random_ir import Size, random_module

from callproof.codegen.backend import compile_module
from callproof.codegen.listing import Listing
from callproof.ir import operations as op
from callproof.ir.interpret import Interpreter, Trap
from callproof.ir.model import Instruction
from callproof.ir.parse import parse_module
from callproof.ir.types import HALVES
from callproof.ir.vectors import REDUCTIONS
from callproof.passes.pipeline import optimise
from callproof.target import by_name
from callproof.target.arm64.target import ALL_RULES

TARGET = by_name("aarch64-linux")


def assembly(text: str) -> list[str]:
    """The instructions of the last function, without directives and comments."""
    module = parse_module(text)
    compiled = compile_module(module, TARGET, verify=True)
    listing = Listing()
    listing.function(compiled.functions[-1], 0)
    lines = [line.split("//")[0].strip() for line in listing.text().splitlines()]
    return [
        line
        for line in lines
        if line and not line.startswith((".section", ".p2", ".g", ".t", ".size"))
    ][1:]


def body(instructions: str, signature: str = "(a: i64, b: i64, c: i64) -> i64") -> list[str]:
    """Assembly of a leaf function `^entry(%a, %b, %c)` without its `ret`."""
    lines = assembly(
        f"function @f{signature} {{\n^e(%a: i64, %b: i64, %c: i64):\n{instructions}\n}}"
    )
    assert lines[-1] == "ret"
    return lines[:-1]


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ("%r = add i64 %a, 5\nreturn %r", "add x0, x0, #5"),
        ("%r = add i64 %a, -5\nreturn %r", "sub x0, x0, #5"),
        ("%r = add i64 %a, 8192\nreturn %r", "add x0, x0, #2, lsl #12"),
        ("%m = mul i64 %a, %b\n%r = add i64 %m, %c\nreturn %r", "madd x0, x0, x1, x2"),
        ("%m = mul i64 %a, %b\n%r = sub i64 %c, %m\nreturn %r", "msub x0, x0, x1, x2"),
        ("%s = shl i64 %b, 3\n%r = add i64 %a, %s\nreturn %r", "add x0, x0, x1, lsl #3"),
        ("%r = sub i64 0, %a\nreturn %r", "neg x0, x0"),
        ("%r = and i64 %a, 255\nreturn %r", "and x0, x0, #0xff"),
        ("%n = xor i64 %b, -1\n%r = and i64 %a, %n\nreturn %r", "bic x0, x0, x1"),
        ("%r = xor i64 %a, -1\nreturn %r", "mvn x0, x0"),
        ("%r = shl i64 %a, 4\nreturn %r", "lsl x0, x0, #4"),
        ("%r = lshr i64 %a, 64\nreturn %r", "mov x0, xzr"),
        ("%r = srem i64 %a, %b\nreturn %r", "sdiv x8, x0, x1; msub x0, x8, x1, x0"),
        ("%r = sdiv i64 %a, 2\nreturn %r", "add x8, x0, x0, lsr #63; asr x0, x8, #1"),
        ("%r = srem i64 %a, 2\nreturn %r",
         "add x8, x0, x0, lsr #63; asr x8, x8, #1; sub x0, x0, x8, lsl #1"),
        ("%r = slt i64 %a, %b\nreturn %r", "cmp x0, x1; cset x0, lt"),
        ("%q = eq i64 %a, -3\n%r = select i64 %q, %b, %c\nreturn %r",
         "cmn x0, #3; csel x0, x1, x2, eq"),
        ("%s = shl i64 %b, 3\n%p = add i64 %a, %s\n%r = load i64 %p\nreturn %r",
         "ldr x0, [x0, x1, lsl #3]"),
        ("%r = load i64 %a + 24\nreturn %r", "ldr x0, [x0, #24]"),
        ("%r = load i64 %a - 8\nreturn %r", "ldur x0, [x0, #-8]"),
        ("%r = load_s32 i64 %a + 4\nreturn %r", "ldrsw x0, [x0, #4]"),
        ("store i64 0, %a\nreturn %b", "str xzr, [x0]; mov x0, x1"),
        ("return 81985529216486895", "mov x0, #0xcdef; movk x0, #0x89ab, lsl #16; "
         "movk x0, #0x4567, lsl #32; movk x0, #0x123, lsl #48"),
        ("return -2", "mov x0, #-2"),
    ],
)  # fmt: skip
def test_patterns(instructions: str, expected: str) -> None:
    lines = body(instructions)
    assert [normal(line) for line in lines] == [normal(line) for line in expected.split("; ")]


def normal(line: str) -> str:
    """Numbers in one base."""
    import re

    return re.sub(r"#(-?\w+)", lambda match: f"#{int(match[1], 0)}", line)


def test_compare_and_branch_is_one_instruction_where_there_is_one() -> None:
    def branches(condition: str) -> list[str]:
        text = f"{condition}\nbranch %q, ^x, ^y\n^x:\nreturn %b\n^y:\nreturn %c"
        return [line for line in body(text) if line.startswith(("b.", "cb", "tb", "cmp"))]

    assert branches("%q = eq i64 %a, 0") == ["cbnz x0, .L0_2"]
    assert branches("%q = slt i64 %a, 0") == ["tbz x0, #63, .L0_2"]
    assert branches("%m = and i64 %a, 8\n%q = ne i64 %m, 0") == ["tbz w0, #3, .L0_2"]
    assert branches("%q = slt i64 %a, %b") == ["cmp x0, x1", "b.ge .L0_2"]


def test_argument_cycles_take_three_moves() -> None:
    lines = assembly(
        "declare @g(x: i64, y: i64) -> i64\n"
        "function @f(a: i64, b: i64) -> i64 {\n"
        "^e(%a: i64, %b: i64):\n  %r = call @g(%b, %a)\n  return %r\n}"
    )
    call = lines.index("bl g")
    assert lines[call - 3 : call] == ["mov x16, x0", "mov x0, x1", "mov x1, x16"]


def test_values_of_both_files_survive_a_call_in_preserved_registers() -> None:
    lines = assembly(
        "declare @g()\nfunction @f(n: i64, x: f64) -> f64 {\n^e(%n: i64, %x: f64):\n"
        "  call @g()\n  %y = sitof f64 %n\n  %r = fadd f64 %x, %y\n  return %r\n}"
    )
    call = lines.index("bl g")
    assert {"mov x19, x0", "fmov d8, d0"} <= set(lines[:call])
    assert "scvtf d0, x19" in lines[call:]
    assert {"ldr x19, [sp, #16]", "ldr d8, [sp, #24]"} <= set(lines[call:])


def test_stack_arguments_are_stored_in_order() -> None:
    types = ", ".join(f"p{i}: i64" for i in range(10))
    arguments = ", ".join(str(i) for i in range(10))
    lines = assembly(
        f"declare @g({types})\nfunction @f() {{\n^e:\n  call @g({arguments})\n  return\n}}"
    )
    stores = [line for line in lines if line.startswith("str") and "[sp" in line]
    assert [line.split("[")[1] for line in stores] == ["sp]", "sp, #8]"]


def test_a_sixteen_byte_value_returns_in_two_registers() -> None:
    lines = assembly(
        "declare @make() -> {u64, u64}\n"
        "function @f() -> {u64, u64} {\n^e:\n"
        "  %t, %p = call @make()\n  %q = add i64 %p, 1\n  return %t, %q\n}"
    )
    assert "add x1, x1, #1" in lines


def test_large_frames_are_reached() -> None:
    lines = assembly(
        "declare @g(p: ptr)\nfunction @f(a: i64) -> i64 {\n^e(%a: i64):\n"
        '  %big = slot 100000 align 8 "big"\n  store i64 %a, %big + 99992\n'
        "  call @g(%big)\n  %r = load i64 %big + 99992\n  return %r\n}"
    )
    assert "sub sp, sp, #24, lsl #12" in lines
    assert any(line.startswith("str x0, [x17") for line in lines)


ARITHMETIC = {*op.ALL[: op.FSQRT.index + 1], op.SMIN, op.SMAX, op.FMIN, op.FMAX}


def test_without_arithmetic_of_vectors_there_are_lanes() -> None:
    """A target that has none of it computes the same."""

    def lacks(i: Instruction) -> bool:
        vector = i.type is not None and i.type.lanes > 1 and i.type not in HALVES
        return i.operation in REDUCTIONS or (vector and i.operation in ARITHMETIC)

    without = replace(TARGET, lacks=lacks)
    for seed in range(10):
        module = random_module(seed, size=Size())
        try:
            (expected,) = Interpreter(module, limit=100_000).call("main")
        except Trap:
            continue
        optimise(module, seed % 3)
        assert run_main(module, target=without, poison=bool(seed & 1)) == expected, seed


def test_every_rule_is_reached() -> None:
    """A rule that no program can reach is dead weight, or stands behind one that hides it."""
    hits: dict[str, int] = {}
    for seed in range(120):
        module = random_module(seed, size=Size())
        optimise(module, seed % 3)
        compile_module(module, TARGET, hits=hits)
        if len(hits) == len(ALL_RULES):
            break
    extra = parse_module(
        "function @f(a: i64, x: f64) -> f64 {\n^e(%a: i64, %x: f64):\n"
        "  %m = fmul f64 %x, %x\n  %n = fneg f64 %m\n  %b = bitcast f64 %a\n"
        "  %s = fadd f64 %n, %b\n  %q = slt i64 %a, 0\n  branch %q, ^t, ^u\n"
        "^t:\n  unreachable\n^u:\n  %k = and i64 %a, 4\n  %l = ne i64 %k, 0\n"
        "  branch %l, ^v, ^w\n^v:\n  return %s\n^w:\n  return %x\n}"
    )
    compile_module(extra, TARGET, hits=hits)
    wide = parse_module(
        "function @f(a: v2i64) -> v2i64 {\n^e(%a: v2i64):\n"
        "  %b = smin v2i64 %a, <1, 2>\n  %c = smax v2i64 %b, <-3, -4>\n  return %c\n}"
    )
    compile_module(wide, TARGET, hits=hits)
    negated = parse_module(
        "function @f(a: v2f64) -> v2f64 {\n^e(%a: v2f64):\n  %b = fneg v2f64 %a\n  return %b\n}"
    )
    compile_module(negated, TARGET, hits=hits)
    halves = parse_module(
        "function @f(a: i64) -> i64 {\n^e(%a: i64):\n  %b = sdiv i64 %a, 2\n"
        "  %c = srem i64 %b, 2\n  return %c\n}"
    )
    compile_module(halves, TARGET, hits=hits)
    for operation in ("add", "sub", "and", "or", "xor"):
        for inner in ("shl i64 %b, 7", "xor i64 %b, -1", "mul i64 %b, 5"):
            pattern = parse_module(
                "function @f(a: i64, b: i64) -> i64 {\n^e(%a: i64, %b: i64):\n"
                f"  %i = {inner}\n  %r = {operation} i64 %a, %i\n  return %r\n}}"
            )
            compile_module(pattern, TARGET, hits=hits)
    word = parse_module(
        "function @f(a: i64, b: i64) -> i64 {\n^e(%a: i64, %b: i64):\n"
        "  %x = xor i64 %a, %b\n  %r = and i64 %x, 4294967295\n  return %r\n}"
    )
    compile_module(word, TARGET, hits=hits)
    assert {rule.name for rule in ALL_RULES} - set(hits) == set()


def test_rule_names_are_unique() -> None:
    names = [rule.name for rule in ALL_RULES]
    assert len(names) == len(set(names))
