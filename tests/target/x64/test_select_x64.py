"""Instruction selection for x86-64: IR text in, assembly out; and no rule that nothing reaches."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.execute_x64 import NATIVE, run_main_x64
from tests.support.random_ir import Size, random_module
from tests.target.x64.test_table import CC

from callproof import driver
from callproof.codegen.backend import compile_module
from callproof.codegen.listing import Listing
from callproof.ir.parse import parse_module
from callproof.object.elf_read import read_elf
from callproof.passes.pipeline import optimise
from callproof.target import by_name
from callproof.target.x64.select_folded import RULES as FOLDED
from callproof.target.x64.target import ALL_RULES

TARGET = by_name("x86_64-linux")
ROOT = Path(__file__).parent.parent.parent.parent
PROGRAMS = sorted((ROOT / "tests" / "programs" / "bcpl").glob("*.bcl"))[::6]


def assembly(text: str) -> list[str]:
    """The instructions of the last function, without directives and comments."""
    module = parse_module(text)
    compiled = compile_module(module, TARGET, verify=True)
    listing = Listing(assembly=TARGET.assembly)
    listing.function(compiled.functions[-1], 0)
    lines = [line.split("#")[0].strip() for line in listing.text().splitlines()]
    return [
        " ".join(line.split())
        for line in lines
        if line and not line.startswith((".section", ".p2", ".g", ".t", ".size"))
    ][1:]


def body(instructions: str) -> list[str]:
    """Assembly of a leaf function `^entry(%a, %b, %c)` without its `retq`."""
    lines = assembly(
        "function @f(a: i64, b: i64, c: i64) -> i64 {\n^e(%a: i64, %b: i64, %c: i64):\n"
        f"{instructions}\n}}"
    )
    assert lines[-1] == "retq"
    return lines[:-1]


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ("%r = add i64 %a, 5\nreturn %r", "leaq 5(%rdi), %rax"),
        ("%r = add i64 %a, %b\nreturn %r", "leaq (%rdi,%rsi), %rax"),
        ("%s = shl i64 %b, 3\n%r = add i64 %a, %s\nreturn %r", "leaq (%rdi,%rsi,8), %rax"),
        ("%s = shl i64 %b, 2\n%t = add i64 %a, %s\n%r = add i64 %t, -7\nreturn %r",
         "leaq -7(%rdi,%rsi,4), %rax"),
        ("%r = mul i64 %a, 9\nreturn %r", "leaq (%rdi,%rdi,8), %rax"),
        ("%r = mul i64 %a, 100\nreturn %r", "imulq $100, %rdi, %rax"),
        ("%r = mul i64 %a, 33\nreturn %r",
         "movq %rdi, %rax; shlq $5, %rax; addq %rdi, %rax"),
        ("%r = mul i64 %a, 31\nreturn %r",
         "movq %rdi, %rax; shlq $5, %rax; subq %rdi, %rax"),
        ("%r = mul i64 %a, -1\nreturn %r", "imulq $-1, %rdi, %rax"),
        ("%r = and i64 %a, 4294967295\nreturn %r", "movl %edi, %eax"),
        ("%r = and i64 %a, 255\nreturn %r", "movzbl %dil, %eax"),
        ("%r = slt i64 %a, %b\nreturn %r", "cmpq %rsi, %rdi; setl %al; movzbl %al, %eax"),
        ("%s = shl i64 %b, 3\n%p = add i64 %a, %s\n%r = load i64 %p + 16\nreturn %r",
         "movq 16(%rdi,%rsi,8), %rax"),
        ("%r = load_s32 i64 %a + 4\nreturn %r", "movslq 4(%rdi), %rax"),
        ("store i64 7, %a + 8\nreturn %b", "movq $7, 8(%rdi); movq %rsi, %rax"),
        ("return -2", "movq $-2, %rax"),
        ("return 4294967295", "movl $4294967295, %eax"),
        ("return 81985529216486895", "movabsq $81985529216486895, %rax"),
        ("%r = udiv i64 %a, 8\nreturn %r", "shrq $3, %rdi; movq %rdi, %rax"),
        ("%r = sdiv i64 %a, 2\nreturn %r",
         "movq %rdi, %rax; shrq $63, %rax; addq %rdi, %rax; sarq $1, %rax"),
        ("%r = udiv i64 %a, 10\nreturn %r",
         "movabsq $-3689348814741910323, %rax; mulq %rdi; shrq $3, %rdx; movq %rdx, %rax"),
    ],
)  # fmt: skip
def test_patterns(instructions: str, expected: str) -> None:
    assert body(instructions) == expected.split("; ")


def test_a_comparison_is_folded_into_its_branch() -> None:
    def branches(condition: str) -> list[str]:
        text = f"{condition}\nbranch %q, ^x, ^y\n^x:\nreturn %b\n^y:\nreturn %c"
        return [line for line in body(text) if line.startswith(("j", "cmp", "test", "set"))]

    assert branches("%q = eq i64 %a, 0") == ["testq %rdi, %rdi", "jne .L0_2"]
    assert branches("%m = and i64 %a, 8\n%q = ne i64 %m, 0") == ["testl $8, %edi", "je .L0_2"]
    assert branches("%q = slt i64 %a, %b") == ["cmpq %rsi, %rdi", "jge .L0_2"]


def test_frames_have_a_record_where_there_are_calls() -> None:
    lines = assembly(
        "declare @g()\nfunction @f(n: i64, x: f64) -> f64 {\n^e(%n: i64, %x: f64):\n"
        "  call @g()\n  %y = sitof f64 %n\n  %r = fadd f64 %x, %y\n  return %r\n}"
    )
    assert lines[:3] == ["pushq %rbp", "movq %rsp, %rbp", "pushq %rbx"]
    assert lines[-3:] == ["popq %rbx", "popq %rbp", "retq"]
    call = lines.index("callq g")
    # No XMM register survives a call: the float waits in memory.
    assert any(line.startswith("movsd %xmm0, ") for line in lines[:call])


def test_variadic_calls_count_their_vector_registers() -> None:
    lines = assembly(
        "declare @printf(format: ptr, ...) -> i32\nfunction @f(x: f64) {\n^e(%x: f64):\n"
        "  %r = call @printf(0, %x) : (format: ptr, ..., x: f64) -> i32\n  return\n}"
    )
    assert "movl $1, %eax" in lines[: lines.index("callq printf")]


def test_branches_grow_with_their_distance() -> None:
    """The same loop around little and around much code: a byte of distance, or four."""

    def loop(count: int) -> list[bytes]:
        work = "".join(f"  %v{n + 1} = xor i64 %v{n}, {n + 200}\n" for n in range(count))
        module = parse_module(
            f"function @f(a: i64) -> i64 {{\n^e(%a: i64):\n  jump ^l(%a)\n^l(%v0: i64):\n{work}"
            f"  %q = sgt i64 %v{count}, 0\n  branch %q, ^again, ^out\n^again:\n"
            f"  jump ^l(%v{count})\n^out:\n  return %v{count}\n}}\n"
        )
        (function,) = compile_module(module, TARGET, verify=True).functions
        return [
            function.code[line.offset : line.offset + line.size]
            for block in function.blocks
            for line in block.lines
            if line.form.control in ("branch", "jump")
        ]

    assert {len(code) for code in loop(4)} == {2}
    assert max(len(code) for code in loop(60)) >= 5


@pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host")
@pytest.mark.parametrize("extra", [0, 1])
def test_more_than_registers_hold(extra: int) -> None:
    """Values of both files alive across calls, and stack arguments, one of 16 bytes aligned."""
    count = 20
    many = ", ".join(f"p{n}: i64" for n in range(9 + extra))
    entry = ", ".join(f"%p{n}: i64" for n in range(9 + extra))
    sums = "".join(f"  %s{n + 1} = add i64 %s{n}, %p{n}\n" for n in range(9 + extra))
    values = "".join(f"  %v{n} = mul i64 %a, {n + 3}\n" for n in range(count))
    floats = "".join(f"  %f{n} = sitof f64 %v{n}\n" for n in range(count))
    arguments = ", ".join(f"%v{n}" for n in range(9 + extra))
    total = "".join(
        f"  %i{n} = ftosi i64 %f{n}\n  %t{n + 1} = add i64 %t{n}, %i{n}\n"
        f"  %u{n + 1} = xor i64 %u{n}, %v{n}\n"
        for n in range(count)
    )
    text = (
        f"function @g({many}) -> i64 {{\n^e({entry}):\n  %s0 = add i64 %p0, 0\n{sums}"
        f"  return %s{9 + extra}\n}}\n"
        f"function @main() -> i64 {{\n^e:\n  %a = call @g({', '.join('5' * (9 + extra))})\n"
        f"{values}{floats}  %r = call @g({arguments})\n  %t0 = add i64 %r, 0\n"
        f"  %u0 = add i64 %r, 1\n{total}  %x = xor i64 %t{count}, %u{count}\n  return %x\n}}\n"
    )
    from callproof.ir.interpret import Interpreter

    (expected,) = Interpreter(parse_module(text)).call("main")
    assert run_main_x64(parse_module(text), poison=True) == expected


def test_every_rule_is_reached() -> None:
    hits: dict[str, int] = {}
    for seed in range(60):
        module = random_module(seed, size=Size(vectors=False))
        optimise(module, seed % 3)
        compile_module(module, TARGET, hits=hits)
        if len(hits) >= len(ALL_RULES) - 2:
            break
    text = (
        "function @f(a: i64, b: i64) -> i64 {\n^e(%a: i64, %b: i64):\n  %n = xor i64 %a, -1\n"
        "  %c = load_s8 i64 %a\n  %d = load_s32 i64 %a\n  %s = shl i64 %b, 2\n"
        "  %t = add i64 %n, %s\n  %u = add i64 %c, %d\n  %v = mul i64 %t, %u\n"
        "  %w = lshr i64 %v, %b\n  %z = bitcast f64 %w\n  %k = ftosi i64 %z\n"
        "  %q = eq i64 %k, 7\n  branch %q, ^x, ^y\n^x:\n  unreachable\n^y:\n"
        "  %g = xor i64 %v, %a\n  %h = and i64 %g, 4294967295\n  return %h\n}\n"
    )
    compile_module(parse_module(text), TARGET, hits=hits)
    unreached = {rule.name for rule in ALL_RULES if rule not in FOLDED} - set(hits)
    assert not unreached


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_clang_assembles_the_listing_to_our_bytes(path: Path, tmp_path: Path) -> None:
    options = driver.Options(level=1, target="x86_64-linux")
    compilation = driver.compile_file(path, options)
    source, output = tmp_path / "listing.s", tmp_path / "listing.o"
    source.write_text(compilation.listing())
    done = subprocess.run(
        [*CC, "-c", source, "-o", output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:2000]
    theirs = read_elf(output.read_bytes(), "listing.o")
    for emitted in compilation.compiled.functions:
        section = theirs.section(".text." + emitted.name.replace(":", "_"))
        assert section is not None
        code = bytearray(section.data)
        for relocation in emitted.relocations:
            if relocation.symbol == emitted.name:  # the assembler knows that distance itself
                code[relocation.offset : relocation.offset + 4] = bytes(4)
        assert bytes(code) == emitted.code, emitted.name
