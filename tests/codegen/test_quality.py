"""What code generation does to be fast: assembly for one case each, and that it is right."""

from __future__ import annotations

import pytest
from tests.codegen.test_select import assembly, body
from tests.support.execute import run_main

from callproof.ir.interpret import Interpreter
from callproof.ir.parse import parse_module

NUMBERS = (0, 1, -1, 7, 1 << 31, (1 << 32) - 1, 1 << 32, -(1 << 63), (1 << 63) - 1, 123456789012345)


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ("%r = mul i64 %a, 33\nreturn %r", "add x0, x0, x0, lsl #5"),
        ("%r = mul i64 %a, -7\nreturn %r", "sub x0, x0, x0, lsl #3"),
        ("%x = xor i64 %a, %b\n%r = and i64 %x, 4294967295\nreturn %r", "eor w0, w0, w1"),
        ("%x = mul i64 %a, %b\n%r = and i64 %x, 4294967295\nreturn %r", "mul w0, w0, w1"),
        ("%s = shl i64 %b, 3\n%p = add i64 %a, %s\n%v = load i64 %p\n%w = add i64 %v, %c\n"
         "store i64 %w, %p\nreturn %w",
         "ldr x8, [x0, x1, lsl #3]; add x8, x8, x2; str x8, [x0, x1, lsl #3]; mov x0, x8"),
    ],
)  # fmt: skip
def test_patterns(instructions: str, expected: str) -> None:
    assert body(instructions) == expected.split("; ")


@pytest.mark.parametrize(
    "expression",
    [
        "mul i64 %a, 3", "mul i64 %a, 5", "mul i64 %a, -1", "mul i64 %a, -3", "mul i64 %a, 65537",
        "mul i64 %a, -9223372036854775807", "mul i64 %a, 4611686018427387905",
        *(f"{name} i64 %a, %b\n  %r = and i64 %x, 4294967295"
          for name in ("add", "sub", "mul", "and", "or", "xor")),
    ],
)  # fmt: skip
def test_results(expression: str) -> None:
    """All numbers go into one sum, in which each has its own weight."""
    name = "x" if "%r" in expression else "r"
    text = (
        "function @f(a: i64, b: i64) -> i64 {\n^e(%a: i64, %b: i64):\n"
        f"  %{name} = {expression}\n  return %r\n}}\n"
        "function @main() -> i64 {\n^e:\n  %s0 = add i64 0, 0\n"
    )
    count = 0
    for a in NUMBERS:
        for b in (3, -5, 1 << 33):
            text += f"  %v{count} = call @f({a}, {b})\n  %m{count} = mul i64 %s{count}, 31\n"
            text += f"  %s{count + 1} = add i64 %m{count}, %v{count}\n"
            count += 1
    text += f"  return %s{count}\n}}\n"
    (expected,) = Interpreter(parse_module(text)).call("main")
    assert run_main(parse_module(text)) == expected


LOOP = """
function @f(n: i64) -> i64 {
^e(%n: i64):
  jump ^loop(0, 0)
^loop(%i: i64, %sum: i64):
  %a = mul i64 %i, 1000003
  %s = add i64 %sum, %a
  %j = add i64 %i, 1
  %q = slt i64 %j, %n
  branch %q, ^loop(%j, %s), ^out
^out:
  return %s
}
"""


def test_a_loop_makes_no_constants_and_moves_nothing() -> None:
    lines = assembly(LOOP)
    start, end = lines.index(".L0_1:"), lines.index("b.lt .L0_1")
    assert [line.split()[0] for line in lines[start + 1 : end]] == ["madd", "add", "cmp"]


def test_a_variable_that_crosses_a_call_in_a_loop_stays_in_one_register() -> None:
    lines = assembly(
        "declare @g(x: i64)\nfunction @f(n: i64) {\n^e(%n: i64):\n  jump ^loop(%n)\n"
        "^loop(%i: i64):\n  call @g(%i)\n  %j = sub i64 %i, 1\n"
        "  %q = ne i64 %j, 0\n  branch %q, ^loop(%j), ^out\n^out:\n  return\n}"
    )
    start, end = lines.index(".L0_1:"), lines.index("cbnz x19, .L0_1")
    assert lines[start + 1 : end] == ["mov x0, x19", "bl g", "sub x19, x19, #1"]


def test_equal_addresses_are_made_once() -> None:
    lines = assembly(
        "data @d align 8 writable zero 8\nfunction @f() {\n^e:\n  %a = load i64 @d\n"
        "  %b = add i64 %a, 1\n  store i64 %b, @d\n  return\n}"
    )
    assert sum(line.startswith("adrp") for line in lines) == 1


def test_a_comparison_is_made_again_for_a_branch_in_another_block() -> None:
    lines = body(
        "%q = slt i64 %a, %b\nbranch %q, ^x, ^y\n^x:\n  %c1 = add i64 %c, 1\n  jump ^z(%c1)\n"
        "^y:\n  jump ^z(%c)\n^z(%v: i64):\n  branch %q, ^t, ^u\n^t:\n  return %v\n"
        "^u:\n  %w = add i64 %v, %a\n  return %w"
    )
    assert sum(line.startswith("cmp") for line in lines) == 2
    assert not any(line.startswith("cset") for line in lines)


EARLY_EXIT = """
declare @g(x: i64) -> i64
function @f(n: i64) -> i64 {
^e(%n: i64):
  %q = slt i64 %n, 2
  branch %q, ^few, ^many
^few:
  return %n
^many:
  %m = sub i64 %n, 1
  %a = call @g(%m)
  %b = call @g(%n)
  %s = add i64 %a, %b
  return %s
}
"""


def test_a_path_without_calls_makes_no_frame() -> None:
    lines = assembly(EARLY_EXIT)
    assert lines[0] == "cmp x0, #2"
    assert lines[lines.index("stp x29, x30, [sp, #-32]!") + 2].startswith("stp x19, x20")
    assert lines.count("ldp x29, x30, [sp], #32") == 1
    assert lines.count("ret") == 2


def test_where_paths_meet_again_the_frame_is_gone() -> None:
    lines = assembly(
        "declare @g(x: i64)\nfunction @f(n: i64) -> i64 {\n^e(%n: i64):\n"
        "  %q = slt i64 %n, 2\n  branch %q, ^meet, ^many\n^many:\n  call @g(%n)\n"
        "  call @g(%n)\n  jump ^meet\n^meet:\n  return 5\n}"
    )
    assert lines[:2] == ["cmp x0, #2", "b.lt .L0_3"]
    assert lines[-4:] == ["ldp x29, x30, [sp], #32", ".L0_3:", "mov x0, #5", "ret"]


def test_a_call_in_a_loop_has_its_frame_made_before_the_loop() -> None:
    lines = assembly(
        "declare @g(x: i64)\nfunction @f(n: i64) {\n^e(%n: i64):\n"
        "  %z = eq i64 %n, 0\n  branch %z, ^out, ^start\n^start:\n  jump ^loop(%n)\n"
        "^loop(%i: i64):\n  %q = eq i64 %i, 7\n  branch %q, ^call, ^next\n"
        "^call:\n  call @g(%i)\n  jump ^next\n^next:\n  %j = sub i64 %i, 1\n"
        "  %r = ne i64 %j, 0\n  branch %r, ^loop(%j), ^out\n^out:\n  return\n}"
    )
    assert lines[0].startswith("cbz x0")
    push = next(index for index, line in enumerate(lines) if line.startswith("stp x29"))
    assert push < next(index for index, line in enumerate(lines) if line.endswith(":"))
