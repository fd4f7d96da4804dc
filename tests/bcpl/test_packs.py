"""Packs in SIMD registers: which instructions a function is, and what it is in the IR."""

from __future__ import annotations

from pathlib import Path

import pytest

from callproof import driver
from callproof.bcpl.frontend import compile_to_ir
from callproof.ir.parse import parse_module
from callproof.ir.text import print_function, print_module
from callproof.ir.verify import verify
from callproof.passes.pipeline import optimise
from callproof.source import Diagnostics, SourceFile


def assembly(text: str, function: str, folder: Path) -> list[str]:
    """The instructions of a function at -O2, without its return."""
    source = folder / "program.bcl"
    source.write_text(f"{text}\nLET START() BE $( $)\n")
    compilation = driver.compile_file(source, driver.Options(level=2, verify=True, inlining=False))
    lines = [line.split("//")[0].strip() for line in compilation.listing(function).splitlines()]
    lines = [line for line in lines if line and not line.endswith(":") and line[0] != "."]
    assert lines.pop() == "ret"
    return lines


ARRANGED = {"PAIR": "2s", "FPAIR": "2s", "QUAD": "4h", "OCT": "8b", "FQUAD": "4s"}


@pytest.mark.parametrize("kind", ARRANGED)
@pytest.mark.parametrize("operator", ["+", "-", "*", "/"])
def test_one_instruction_for_all_lanes(kind: str, operator: str, tmp_path: Path) -> None:
    lines = assembly(f"LET f(a AS {kind}, b AS {kind}) = a {operator} b", "f", tmp_path)
    arrangement, is_float = ARRANGED[kind], kind[0] == "F"
    name = {"+": "add", "-": "sub", "*": "mul", "/": "div"}[operator]
    if operator == "/" and not is_float:  # NEON divides no integers
        assert sum(line.startswith("sdiv") for line in lines) == int(arrangement[0])
        return
    wanted = f"{'f' if is_float else ''}{name} v0.{arrangement}, v0.{arrangement}, v1.{arrangement}"
    assert lines == [wanted]


INSTRUCTIONS = [
    ("FOCT", "a * b", ["fmul v0.4s, v0.4s, v2.4s", "fmul v1.4s, v1.4s, v3.4s"]),
    ("PAIR", "-a", ["neg v0.2s, v0.2s"]),
    ("FQUAD", "-a", ["fneg v0.4s, v0.4s"]),
    ("PAIR", "a + 7", ["movi v1.2s, #7", "add v0.2s, v0.2s, v1.2s"]),
    ("FPAIR", "a * 2.0", ["fmov v1.2s, #2.00000000", "fmul v0.2s, v0.2s, v1.2s"]),
    ("PAIR", "a.second", ["smov x0, v0.s[1]"]),
    ("OCT", "a.|7|", ["smov x0, v0.b[7]"]),
    ("FPAIR", "a.second", ["mov s0, v0.s[1]", "fcvt d0, s0"]),
    ("PAIR", "PAIR(a.second, a.first)", ["dup v1.2s, v0.s[1]", "mov v1.s[1], v0.s[0]"]),
    ("PAIR", "SUM(a)", ["saddlp v0.1d, v0.2s", "fmov x0, d0"]),
    ("QUAD", "SUM(a)", ["saddlv s0, v0.4h", "smov x0, v0.s[0]"]),
    ("OCT", "MAX(a)", ["smaxv b0, v0.8b", "smov x0, v0.b[0]"]),
    ("FPAIR", "SUM(a)", ["fcvtl v0.2d, v0.2s", "faddp d0, v0.2d"]),
    ("PAIR", "MIN(a, b)", ["smin v0.2s, v0.2s, v1.2s"]),
    ("FQUAD", "MAX(a, b)", ["fcmgt v2.4s, v0.4s, v1.4s", "bsl v2.16b, v0.16b, v1.16b"]),
    ("QUAD", "PAIRWISE_ADD(a, b)", ["addp v0.4h, v0.4h, v1.4h"]),
    ("FQUAD", "PAIRWISE_ADD(a, b)", ["faddp v0.4s, v0.4s, v1.4s"]),
    ("OCT", "PAIRWISE_MIN(a, b)", ["sminp v0.8b, v0.8b, v1.8b"]),
    ("PAIR", "a = b", ["fmov x8, d0", "fmov x9, d1", "cmp x8, x9", "cset x0, eq"]),
]


@pytest.mark.parametrize(("kind", "expression", "wanted"), INSTRUCTIONS)
def test_instructions(kind: str, expression: str, wanted: list[str], tmp_path: Path) -> None:
    lines = assembly(f"LET f(a AS {kind}, b AS {kind}) = {expression}", "f", tmp_path)
    copies = [line for line in lines if line not in wanted]
    assert [line for line in lines if line in wanted] == wanted, lines
    assert all(line.startswith(("mov v0.16b", "fmov d0")) for line in copies), lines


def test_a_vector_loop_does_two_pairs_at_once(tmp_path: Path) -> None:
    text = "LET f(a AS FPAIRS, b AS FPAIRS) = a * b"
    lines = assembly(text, "FPAIRS * FPAIRS", tmp_path)
    start = lines.index("fmul v0.4s, v0.4s, v1.4s")
    assert [line.split()[0] for line in lines[start - 2 : start + 5]] == [
        *("ldr", "ldr", "fmul", "str", "add", "cmp", "b.lt")
    ]


def test_the_ir_of_packs() -> None:
    text = "LET f(a AS PAIR, b AS FOCT, n) AS FOCT = b * FLOAT(a.|1| + n)\nLET START() BE $( $)"
    module = compile_to_ir(SourceFile("test.bcl", text), Diagnostics())
    verify(module)
    optimise(module, 1, verify_each=True)
    shown = print_function(module.functions["f"], module)
    # Of its line numbers nothing is said here.
    lines = [line.split("!")[0].strip() for line in shown.splitlines()]
    assert lines[0] == (
        "local function @f(a: v2i32, b: {v4f32, v4f32}, n: i64) -> {v4f32, v4f32} "
        'source "test.bcl" {'
    )
    for part in ("join v8f32", "extract i32 %a", "sext i64", "splat v8f32", "fmul v8f32", "high"):
        assert any(part in line for line in lines), part
    again = print_module(module)
    assert print_module(parse_module(again)) == again


def test_function_values_take_words() -> None:
    """Direct calls and C callbacks use vectors; the value's code takes words and calls it."""
    text = (
        "EXTERNAL ROUTINE give(f: POINTER)\nLET f(a AS PAIR) AS FQUAD = FQUAD(a.first, 0, 0, 0)\n"
        "LET START() BE $( LET g = f  give(f)  f(PAIR(1, 2))  WRITEN(g = f) $)"
    )
    module = compile_to_ir(SourceFile("test.bcl", text), Diagnostics())
    verify(module)
    assert str(module.functions["f"].signature.result) == "v4f32"
    words = module.functions["f$words"].signature
    assert [str(one.type) for one in words.parameters] == ["i64"]
    assert str(words.result) == "i64"
    start = print_function(module.functions["START"], module)
    assert "call @give(@f)" in start
    assert "@f$words" in start
