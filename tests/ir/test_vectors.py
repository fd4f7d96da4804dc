"""Vectors in the IR: text, rules, values, folding; what the passes that take them apart leave."""

from __future__ import annotations

import math
import struct

import pytest

from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.interpret import Interpreter, evaluate
from callproof.ir.model import CONSTANT, Function, Module
from callproof.ir.parse import parse_module
from callproof.ir.text import print_module
from callproof.ir.types import HALVES, VECTORS, Type
from callproof.ir.vectors import lanes_of, of_lanes
from callproof.ir.verify import verify
from callproof.passes import fold, legalise_vectors
from callproof.source import CallproofError
from callproof.target import by_name


def module_of(body: str, result: str = "i64", parameters: str = "") -> Module:
    return parse_module(f"function @f({parameters}) -> {result} {{\n{body}\n}}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("%v = add v2f32 <1.0, 2.0>, <1.0, 2.0>", "is for integers, not v2f32"),
        ("%v = fadd v2i32 <1, 2>, <1, 2>", "is for floats, not v2i32"),
        ("%v = eq v2i32 <1, 2>, <1, 2>", "compares scalars only"),
        ("%v = smin i32 1, 2", "is for vectors, not i32"),
        ("%v = smin v2f32 <1.0, 2.0>, <1.0, 2.0>", "is not for v2f32"),
        ("%v = fmin v2i32 <1, 2>, <1, 2>", "is not for v2i32"),
        ("%v = extract i32 v2i32 <1, 2>, 2", "v2i32 has no lane"),
        ("%v = extract i16 v2i32 <1, 2>, 1", "the lanes of v2i32 are i32, not i16"),
        ("%v = insert v2i32 <1, 2>, -1, 5", "v2i32 has no lane"),
        ("%v = insert v2i32 <1, 2>, 1, i64 5", "is i64, not i32"),
        ("%v = splat v2i32 i64 5", "is i64, not i32"),
        ("%v = sum_lanes i64 v2f32 <1.0, 2.0>", "cannot make i64 of v2f32"),
        ("%v = sum_lanes i32 v2i32 <1, 2>", "cannot make i32 of v2i32"),
        ("%v = low v2f32 v4f32 <1.0, 2.0, 3.0, 4.0>", "v2f32 is no half of v4f32"),
        ("%v = join v8f32 v2f32 <1.0, 2.0>, v2f32 <1.0, 2.0>", "is v2f32, not v4f32"),
        ("%v = bitcast v4i32 v2i32 <1, 2>", "no conversion from v2i32 to v4i32"),
    ],
)
def test_broken_rules(body: str, message: str) -> None:
    with pytest.raises(CallproofError) as caught:
        verify(module_of(f"^e:\n  {body}\n  return 1"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("%v = add v2i32 <1>, <1, 2>", "v2i32 has 2 lanes, not 1"),
        ("%v = add v2i32 <1, 2, 3>, <1, 2>", "v2i32 has 2 lanes, not 3"),
        ("%v = add v8i8 <300, 1, 2, 3, 4, 5, 6, 7>, 0", "300 does not fit i8"),
        ("%v = fadd v2f32 <1.0e99, 1.0>, 0", "a lane does not fit f32"),
    ],
)
def test_mistakes_in_the_text(body: str, message: str) -> None:
    with pytest.raises(CallproofError) as caught:
        module_of(f"^e:\n  {body}\n  return 1")
    assert message in str(caught.value)


@pytest.mark.parametrize("type_", VECTORS, ids=str)
def test_constants_round_trip(type_: Type) -> None:
    lanes: list[int | float] = [(-1) ** n * (n + 1) for n in range(type_.lanes)]
    if type_.element.is_float:
        lanes = [lane / 4 for lane in lanes]
    assert lanes_of(of_lanes(lanes, type_), type_) == lanes
    values = [of_lanes(lanes, type_), 0, -1, 1 << (type_.bits - 2)]
    if type_.element is types.F32:
        values.append(of_lanes([math.inf, *lanes[1:]], type_))
        values.append(struct.unpack("<i", struct.pack("<I", 0x7FC01234))[0])
    for value in values:
        lane = type_.lanes - 1
        text = print_module(
            module_of(
                f"^e:\n  %v = bitcast {type_} {type_} {value & (1 << type_.bits) - 1:#x}\n"
                f"  %x = extract {type_.element} %v, {lane}\n  return 0"
            )
        )
        again = parse_module(text)
        assert print_module(again) == text
        first = again.functions["f"].blocks[0].instructions[0].operands[0]
        assert first.kind == CONSTANT
        assert first.value == value  # type: ignore[union-attr]


def lanewise(operation: op.Operation, type_: Type, *operands: list[int | float]) -> list[object]:
    values = [of_lanes(operand, type_) for operand in operands]
    return list(lanes_of(evaluate(operation, type_, values, type_), type_))


def test_values() -> None:
    v2i32, v2f32, v8i8 = types.V2I32, types.V2F32, types.V8I8
    assert lanewise(op.ADD, v2i32, [2**31 - 1, 5], [1, -7]) == [-(2**31), -2]
    assert lanewise(op.SDIV, v2i32, [-7, 5], [2, 0]) == [-3, 0]
    assert lanewise(op.EVENS, v2i32, [1, 2], [3, 4]) == [1, 3]
    assert lanewise(op.ODDS, v2i32, [1, 2], [3, 4]) == [2, 4]
    # Of what cannot be ordered the second operand is taken.
    found = lanewise(op.FMIN, v2f32, [math.nan, 0.0], [1.0, -0.0])
    assert found[0] == 1.0
    assert math.copysign(1.0, found[1]) == -1.0  # type: ignore[arg-type]
    bytes_ = of_lanes([100] * 8, v8i8)
    assert evaluate(op.SUM_LANES, types.I64, [bytes_], v8i8) == 800
    low = of_lanes([1, 2, 3, 4], types.V4F32)
    both = evaluate(op.JOIN, types.V8F32, [low, low], types.V4F32)
    assert lanes_of(both, types.V8F32) == [1, 2, 3, 4] * 2
    assert evaluate(op.HIGH, types.V4F32, [both], types.V8F32) == low


FOLDED = [
    ("%v = insert v2i32 %a, 1, 7\n  %x = extract i32 %v, 1", "7"),
    ("%w = insert v2i32 %a, 1, 7\n  %v = insert v2i32 %w, 0, 3\n  %x = extract i32 %v, 1", "7"),
    ("%v = splat v2i32 9\n  %x = extract i32 %v, 1", "9"),
    ("%v = add v2i32 <1, 2>, <3, 4>\n  %x = extract i32 %v, 1", "6"),
]


@pytest.mark.parametrize(("body", "value"), FOLDED)
def test_lanes_fold(body: str, value: str) -> None:
    module = module_of(f"^e(%a: v2i32):\n  {body}\n  return %x", "i32", "a: v2i32")
    fold.run(module.functions["f"])
    verify(module)
    (operand,) = module.functions["f"].blocks[0].terminator.operands
    assert repr(operand) == f"i32 {value}"


@pytest.mark.parametrize(
    "expression",
    ["add v2i32 %a, <0, 4294967295>", "mul v2i32 %a, <1, 0>", "mul v2i32 %a, <4, 0>",
     "sub v2i32 %a, <1, 0>", "shl v2i32 %a, <0, 1>", "sdiv v2i32 %a, <1, 0>"],
)  # fmt: skip
def test_rules_for_numbers_leave_vectors_alone(expression: str) -> None:
    """The bits of these constants look like small numbers, but they are no uniform lanes."""
    text = f"^e(%a: v2i32):\n  %b = {expression}\n  %x = bitcast i64 %b\n  return %x"
    module = module_of(text, "i64", "a: v2i32")
    arguments = [of_lanes([-7, 1000001], types.V2I32)]
    before = Interpreter(module).call("f", arguments)
    fold.run(module.functions["f"])
    verify(module)
    assert Interpreter(module).call("f", arguments) == before


def operations_of(function: Function) -> set[tuple[str, str]]:
    return {
        (i.operation.name, str(i.type)) for block in function.blocks for i in block.instructions
    }


def test_wide_vectors_become_halves_everywhere() -> None:
    module = module_of(
        "^e(%a: v4f32, %n: i64):\n  %w = join v8f32 %a, %a\n  jump ^l(%w, %n)\n"
        "^l(%v: v8f32, %k: i64):\n  %d = fadd v8f32 %v, %v\n  %m = sub i64 %k, 1\n"
        "  branch %m, ^l(%d, %m), ^x(%d)\n"
        "^x(%y: v8f32):\n  %h = high v4f32 %y\n  return %h",
        "v4f32",
        "a: v4f32, n: i64",
    )
    verify(module)
    arguments = [of_lanes([1, 2, 3, 4], types.V4F32), 3]
    before = Interpreter(module).call("f", arguments)
    assert lanes_of(before[0], types.V4F32) == [8, 16, 24, 32]
    function = module.functions["f"]
    assert legalise_vectors.run(function)
    verify(module)
    for block in function.blocks:
        assert not any(value.type in HALVES for value in block.parameters)
    assert not any("v8f32" in type_ for _, type_ in operations_of(function))
    assert Interpreter(module).call("f", arguments) == before
    assert not legalise_vectors.run(function)


def test_what_registers_cannot_do_is_done_by_lanes() -> None:
    text = (
        "^e(%a: v4i16, %b: v4i16):\n  %q = sdiv v4i16 %a, %b\n  %s = shl v4i16 %q, %b\n"
        "  %t = shl v4i16 %s, <1, 1, 1, 1>\n  return %t"
    )
    module = module_of(text, "v4i16", "a: v4i16, b: v4i16")
    arguments = [of_lanes(lanes, types.V4I16) for lanes in ([-7, 100, -32768, 5], [2, 0, -1, 17])]
    before = Interpreter(module).call("f", arguments)
    function = module.functions["f"]
    assert legalise_vectors.run(function)
    verify(module)
    left = operations_of(function)
    assert ("sdiv", "v4i16") not in left
    assert ("shl", "v4i16") in left  # the one by a constant
    assert Interpreter(module).call("f", arguments) == before


def test_each_target_says_what_it_lacks() -> None:
    """The least lane: NEON has it, SSE2 does not; sums of 64-bit lanes neither has."""
    text = (
        "^e(%a: v4i32, %b: v2i64):\n  %m = smax_lanes i64 %a\n  %n = smin_lanes i64 %b\n"
        "  %s = sum_lanes i64 %b\n  %c = smin v2i64 %b, <5, 5>\n  %d = extract i64 %c, 1\n"
        "  %t = add i64 %m, %n\n  %u = add i64 %t, %s\n  %v = add i64 %u, %d\n  return %v"
    )
    arguments = [of_lanes([-7, 100, -32768, 5], types.V4I32), of_lanes([-9, 1 << 40], types.V2I64)]
    left = {}
    for name in ("aarch64-linux", "x86_64-linux"):
        module = module_of(text, "i64", "a: v4i32, b: v2i64")
        before = Interpreter(module).call("f", arguments)
        function = module.functions["f"]
        assert legalise_vectors.run(function, by_name(name).lacks)
        verify(module)
        assert Interpreter(module).call("f", arguments) == before
        left[name] = {operation for operation, _ in operations_of(function)}
    assert "smax_lanes" in left["aarch64-linux"] - left["x86_64-linux"]
    assert "smin" in left["aarch64-linux"] - left["x86_64-linux"]
    assert not {"sum_lanes", "smin_lanes"} & (left["aarch64-linux"] | left["x86_64-linux"])
