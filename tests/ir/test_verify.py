"""The verifier: one broken rule a case."""

from __future__ import annotations

import pytest

from callproof.ir.model import Constant
from callproof.ir.parse import parse_module
from callproof.ir.types import I64
from callproof.ir.verify import verify
from callproof.source import CallproofError

CASES = [
    ("^e(%a: i64):\n  %b = fadd f64 %a, 1.0\n  return %a", "operand %a.0 is i64, not f64"),
    ("^e(%a: i64):\n  %b = add f64 1.0, 1.0\n  return %a", "is for integers, not f64"),
    ("^e(%a: i64):\n  %b = sext i64 %a\n  return %a", "no conversion from i64 to i64"),
    ("^e(%a: i64):\n  return", "returns 0 values, the signature says 1"),
    ("^e(%a: i64):\n  jump ^x\n^x:\n  jump ^e", "jumps to the entry"),
    ("^e(%a: i64, %b: i64):\n  return %a", "the signature says"),
    (
        "^e(%a: i64):\n  branch %a, ^x, ^y\n^x:\n  %b = add i64 %a, 1\n  jump ^y\n^y:\n  return %b",
        "the definition of %b.1 does not dominate this use",
    ),
    ("^e(%a: i64):\n  %b = add i64 %c, 1\n  %c = add i64 %a, 1\n  return %b", "used before"),
    ("^e(%a: i64):\n  jump ^x\n^x(%b: i64):\n  return %b", "passes 0 arguments to ^x"),
    ("^e(%a: i64):\n  %r = call @f(%a, %a)\n  return %r", "passes 2 values"),
    ("^e(%a: i64):\n  switch %a, ^x [1: ^x, 1: ^x]\n^x:\n  return %a", "two cases are equal"),
    ("^e(%a: i64):\n  %b = load_s32 i16 %a\n  return %a", "i16 is too narrow"),
    ("^e(%a: i64):\n  %b = add i64 @nowhere, 1\n  return %b", "@nowhere is neither defined"),
]


@pytest.mark.parametrize(("body", "message"), CASES)
def test_broken_rules(body: str, message: str) -> None:
    module = parse_module(f"function @f(a: i64) -> i64 {{\n{body}\n}}")
    with pytest.raises(CallproofError) as caught:
        verify(module)
    assert message in str(caught.value)


def test_a_block_must_end_with_one_terminator() -> None:
    module = parse_module("function @f() {\n^e:\n  return\n}")
    block = module.functions["f"].blocks[0]
    block.instructions.append(block.instructions[0])
    with pytest.raises(CallproofError, match="'return' is not at the end"):
        verify(module)
    block.instructions = []
    with pytest.raises(CallproofError, match="the block is empty"):
        verify(module)


def test_constants_must_fit_their_type() -> None:
    module = parse_module("function @f() -> i64 {\n^e:\n  return 1\n}")
    module.functions["f"].blocks[0].instructions[0].operands[0] = Constant(I64, 1 << 63)
    with pytest.raises(CallproofError, match="out of range"):
        verify(module)


def test_all_problems_are_reported_together() -> None:
    body = "^e(%a: i64):\n  %b = fadd f64 %a, 1.0\n  %c = fadd f64 %a, 1.0\n  return %a"
    with pytest.raises(CallproofError) as caught:
        verify(parse_module(f"function @f(a: i64) -> i64 {{\n{body}\n}}"))
    assert len(caught.value.diagnostics) == 2
