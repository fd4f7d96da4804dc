"""The text form: everything prints and parses back; mistakes are told with their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.cases import HEADER, Generator, source_of

from callproof.abi import AAPCS64, DARWIN64, parse, plan
from callproof.abi.signature import in_memory
from callproof.ir.model import Constant
from callproof.ir.parse import parse_module
from callproof.ir.text import print_module, signature_text
from callproof.ir.types import F64
from callproof.source import CallproofError

EVERYTHING = """\
declare @out(text: ptr)
declare @pair() -> {u64, u64}
declare @printf(format: ptr, ...) -> i32
data @words align 8 readonly "\\01\\00quote\\22\\5c" @out @words+4 "end"
data @counter align 16 writable exported zero 24

function @Point::CREATE(this: i64, x: f64) -> i64 display "Point.CREATE" source "a b.bcl" {
^entry(%this.0: i64, %x.1: f64):
  %slot.2 = slot 24 align 8 "three words"                !7
  store f64 %x.1, %slot.2 + 8                            !8
  store32 i64 %this.0, %slot.2 - 4
  %3 = load_s8 i64 @words+5
  %tag.4, %5 = call @pair()
  call @out(@words+2)
  %6 = call_indirect %5(%tag.4, f64 -0.0) : (a: i64, f64) -> i64
  %7 = select i64 %6, %3, -1
  %8 = bitcast i64 %x.1
  %9 = feq f64 %x.1, 0x7ff8000000000000
  switch %7, ^other [-2: ^loop(%8, 4), 9: ^other]
^loop(%i.10: i64, %n.11: i64):
  %12 = sub i64 %i.10, 1
  branch %12, ^loop(%12, %n.11), ^done
^other:
  unreachable
^done:
  return %n.11
}

local function @"odd name"() {
^e:
  return
}
"""


def test_everything_round_trips() -> None:
    module = parse_module(EVERYTHING)
    assert print_module(module) == EVERYTHING
    assert module.functions["Point::CREATE"].source_name == "a b.bcl"
    assert not module.functions["odd name"].exported


@given(st.floats(allow_nan=True))
def test_every_float_round_trips(value: float) -> None:
    text = f"function @f() -> f64 {{\n^e:\n  return f64 {value!r}\n}}\n"
    module = parse_module(
        text.replace("inf", "0x7ff0000000000000")
        .replace("-0x", "0xf")
        .replace("0xf7ff0000000000000", "0xfff0000000000000")
        .replace("nan", "0x7ff8000000000000")
    )
    constant = module.functions["f"].blocks[0].instructions[0].operands[0]
    again = parse_module(print_module(module)).functions["f"].blocks[0].instructions[0].operands[0]
    assert isinstance(constant, Constant)
    assert isinstance(again, Constant)
    assert constant.key() == again.key()
    assert constant.key() == Constant(F64, value).key() or value != value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("function @f() {\n^e:\n  jump ^x\n}", "^x is jumped to but not defined"),
        ("function @f() {\n^e:\n  return %a\n}", "<ir>:3:10: error: %a is used but not defined"),
        ("function @f() {\n^e:\n  %a = ad i64 1, 2\n}", ":3:8: error: there is no operation 'ad'"),
        ("function @f() {\n^e:\n  %a = add i65 1, 2\n}", "'i65' is no type"),
        ("function @f() {\n^e:\n  %a = add i8 300, 2\n}", "300 does not fit i8"),
        ("function @f() {\n^e:\n  call @g()\n  return\n}", "@g is neither defined nor declared"),
        ("function @f() {\n^e:\n  %a = store i64 1, 2\n}", "'store' has 0 results, not 1"),
        ("function @f(", "expected a type, found 'end of text'"),
        ("data @d align 8 { }", "expected 'readonly', found '{'"),
        ("?", "<ir>:1:1: error: unexpected character"),
    ],
)  # fmt: skip
def test_mistakes_are_told(text: str, message: str) -> None:
    with pytest.raises(CallproofError) as caught:
        parse_module(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_signatures_mean_the_same_after_a_round_trip(seed: int) -> None:
    """Random C types: the plans of all conventions are those of the types before."""
    generator = Generator(seed)
    for _ in range(120):
        source = source_of(generator.case(), "s")
        text = HEADER + source.declarations + "\n" + source.prototype("f") + ";"
        arguments = ", ".join(source.anonymous) if source.anonymous else None
        prototype = parse(text, arguments=arguments)
        for convention in (AAPCS64, DARWIN64):
            before = in_memory(prototype.signature(convention.model))
            module = parse_module(f"declare @f{signature_text(before)}\n")
            after = module.declarations["f"]
            assert signature_text(after) == signature_text(before)
            first, second = plan(before, convention), plan(after, convention)
            assert [a.parts for a in first.parameters] == [a.parts for a in second.parameters]
            assert (first.result and first.result.parts) == (second.result and second.result.parts)
            assert first.stack_bytes == second.stack_bytes


def test_an_array_of_words_is_not_a_value() -> None:
    module = parse_module("declare @f(a: {u64, u64 * 3}, b: {u64, u64})\n")
    sizes = [parameter.type.size for parameter in module.declarations["f"].parameters]
    assert sizes == [32, 16]
