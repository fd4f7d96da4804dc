"""The call trace, and the violations that it reports."""

from __future__ import annotations

import struct

import pytest

from callproof.abi import AAPCS64, Parameter, Signature, plan
from callproof.abi.types import F32, F64, I32, I64, POINTER, U8, VALUE, Type, structure
from callproof.run.functions import FunctionRecord, record_of
from callproof.run.trace import format_scalar
from tests.run.programs import EXIT, assembly, c_program, execute, function


def record(
    name: str, display: str, *parameters: tuple[str, Type], result: Type | None = None
) -> FunctionRecord:
    signature = Signature(tuple(Parameter(type_, label) for label, type_ in parameters), result)
    return record_of(name, display, plan(signature, AAPCS64))


START = record("_start", "_start")


def traced(text: str, *records: FunctionRecord) -> tuple[list[str], int]:
    ran = execute(assembly(text, [START, *records]), trace=True)
    return ran.trace.splitlines(), ran.status


def called(setup: str) -> str:
    return function("_start", f"{setup}\n    bl f\n    mov x0, #5\n{EXIT}")


RETURN = function("f", "    ret")


# --- what is shown ----------------------------------------------------------------------------


def test_arguments_by_name_and_the_result() -> None:
    text = called("    mov x0, #0x4000\n    mov x1, #100\n    mov x2, #-200")
    create = record("f", "Point::CREATE", ("this", POINTER), ("x", I64), ("y", I64), result=POINTER)
    lines, status = traced(text + RETURN, create)
    assert lines == ["Point::CREATE(this=0x4000, x=100, y=-200)", "-> 0x4000"]
    assert status == 5


def test_types_are_shown_as_what_they_are() -> None:
    setup = """
    fmov d0, #-2.5
    fmov s1, #0.5
    mov  x0, #-1
    mov  w1, #-7
    mov  x2, #1
    mov  x3, #255"""
    parameters: list[tuple[str, Type]] = [
        ("a", F64), ("b", F32), ("c", U8), ("d", I32), ("e", VALUE), ("f", structure(F64, F64)),
    ]  # fmt: skip
    lines, _ = traced(called(setup) + RETURN, record("f", "f", *parameters, result=F64))
    assert lines == ["f(a=-2.5, b=0.5, c=255, d=-7, e={1, 255}, f={0, 0})", "-> -2.5"]


def test_arguments_on_the_stack() -> None:
    setup = "    sub sp, sp, #16\n    mov x0, #9\n    mov x1, #-10\n    stp x0, x1, [sp]\n"
    setup += "\n".join(f"    mov x{n}, #{n + 1}" for n in range(8))
    parameters = [(f"p{n}", I64) for n in range(1, 11)]
    lines, _ = traced(called(setup) + RETURN, record("f", "f", *parameters))
    expected = ", ".join(f"p{n}={n}" for n in range(1, 10))
    assert lines == [f"f({expected}, p10=-10)", "-> (nothing)"]


def test_a_large_argument_is_an_address() -> None:
    large = structure(I64, I64, I64)
    lines, _ = traced(called("    mov x0, #0x7000") + RETURN, record("f", "f", ("p", large)))
    assert lines[0] == "f(p=&0x7000)"


FACTORIAL = function("_start", f"    mov x0, #3\n    bl f\n{EXIT}") + function(
    "f",
    """
    cbz x0, one
    stp x29, x30, [sp, #-32]!
    mov x29, sp
    str x19, [sp, #16]
    mov x19, x0
    sub x0, x0, #1
    bl  f
    mul x0, x0, x19
    ldr x19, [sp, #16]
    ldp x29, x30, [sp], #32
    ret
one:
    mov x0, #1
    ret""",
)


def test_recursion_is_indented() -> None:
    lines, status = traced(FACTORIAL, record("f", "fact", ("n", I64), result=I64))
    assert lines == [
        "fact(n=3)",
        "  fact(n=2)",
        "    fact(n=1)",
        "      fact(n=0)",
        "      -> 1",
        "    -> 1",
        "  -> 2",
        "-> 6",
    ]
    assert status == 6


def test_tracing_and_poisoning_together() -> None:
    program = assembly(FACTORIAL, [START, record("f", "fact", ("n", I64), result=I64)])
    ran = execute(program, trace=True, poison=True)
    assert ran.trace.splitlines()[-1] == "-> 6"
    assert (ran.status, ran.result.violations) == (6, 0)
    assert ran.result.poisoned == 8


def test_callees_without_a_record_are_named_once_and_their_own_calls_left_out() -> None:
    text = (
        called("")
        + function("f", "    mov x20, x30\n    bl g\n    ret x20")
        + function("g", "    ret")
    )
    lines, _ = traced(text.replace("x20", "x17"))
    assert lines == ["f(...)"]


def test_without_any_records_all_calls_are_shown() -> None:
    ran = execute(c_program(), "sort", trace=True)
    lines = ran.trace.splitlines()
    assert (ran.out, ran.status) == ("1 3 5 7 9 \n", 0)
    assert "main(...)" in lines
    assert any(line.strip() == "compare(...)" and line.startswith("    ") for line in lines)
    assert not any("!!!" in line for line in lines)


def test_longjmp_leaves_frames() -> None:
    ran = execute(c_program(), "jumps", trace=True)
    lines = [line.strip() for line in ran.trace.splitlines()]
    assert ran.status == 0
    # Three rounds of jump(1), jump(2), jump(3), each called n + 1 times, all left at once.
    assert lines.count("jump(...)") == 2 + 3 + 4
    assert lines.count("-> (left by a jump out of jump)") == 2 + 3 + 4
    depth = {len(line) - len(line.lstrip()) for line in ran.trace.splitlines() if "setjmp" in line}
    assert len(depth) == 1


# --- violations -------------------------------------------------------------------------------

GENERAL = [f"x{n}" for n in range(19, 30)]
FLOATS = [f"d{n}" for n in range(8, 16)]


def test_each_register_that_is_not_preserved_is_reported() -> None:
    calls = "".join(f"    bl break_{name}\n" for name in GENERAL + FLOATS)
    text = function("_start", f"    fmov d31, #1.0\n{calls}    mov x0, #0\n{EXIT}")
    for name in GENERAL:
        text += function(f"break_{name}", f"    add {name}, {name}, #1\n    ret")
    for name in FLOATS:
        text += function(f"break_{name}", f"    fmov {name}, #1.0\n    ret")
    records = [record(f"break_{name}", f"Breaks::{name}") for name in GENERAL + FLOATS]
    lines, status = traced(text, *records)
    found = [line for line in lines if line.startswith("!!!")]
    one = {"x": "0x1", "d": "0x3ff0000000000000"}
    assert [line.split(" to _start")[0] for line in found] == [
        f"!!! Breaks::{name} does not preserve {name}: 0x0 at the call, "
        f"{one[name[0]]} at the return"
        for name in GENERAL + FLOATS
    ]
    assert status == 3


@pytest.mark.parametrize("change", ["sub sp, sp, #16", "add sp, sp, #32"])
def test_a_changed_stack_pointer_is_reported(change: str) -> None:
    text = function("_start", f"    sub sp, sp, #64\n    bl f\n    mov x0, #0\n{EXIT}")
    lines, status = traced(text + function("f", f"    {change}\n    ret"), record("f", "f"))
    assert "f does not preserve sp: 0x" in lines[-1]
    assert status == 3


def test_only_the_function_at_fault_is_blamed() -> None:
    """g loses X19; f around it neither saves X19 nor is told off, but for its own X20 it is."""
    text = called("    mov x19, #1\n    mov x20, #2") + function(
        "f",
        """
    stp x29, x30, [sp, #-16]!
    mov x20, #8
    bl  g
    bl  g
    ldp x29, x30, [sp], #16
    ret""",
    )
    text += function("g", "    mov x19, #9\n    ret")
    lines, status = traced(text, record("f", "f"), record("g", "g"))
    found = [line.split(" at the return")[0] for line in lines if line.startswith("!!!")]
    assert found == [
        "!!! g does not preserve x19: 0x1 at the call, 0x9",
        "!!! f does not preserve x20: 0x2 at the call, 0x8",
    ]
    assert status == 3


def test_a_violation_by_code_without_a_record_is_reported_at_our_call() -> None:
    text = called("") + function("f", "    mov x28, #3\n    ret")
    lines, status = traced(text)
    assert lines[0] == "f(...)"
    assert lines[1].startswith("!!! f does not preserve x28: 0x0 at the call, 0x3 at the return to")
    assert status == 3


def test_what_need_not_be_preserved_is_not_reported() -> None:
    """The upper half of V8, and all that is caller-saved."""
    change = "    mov x9, #1\n    mov x15, #1\n    mov v8.d[1], x9\n    movi v16.2d, #-1\n    ret"
    lines, status = traced(called("") + function("f", change), record("f", "f"))
    assert lines == ["f()", "-> (nothing)"]
    assert status == 5


def test_saved_and_restored_registers_are_preserved() -> None:
    body = """
    stp x29, x30, [sp, #-48]!
    stp x19, x28, [sp, #16]
    stp d8, d15, [sp, #32]
    mov x19, #-1
    mov x28, #-1
    movi v8.2d, #-1
    movi v15.2d, #-1
    ldp d8, d15, [sp, #32]
    ldp x19, x28, [sp, #16]
    ldp x29, x30, [sp], #48
    ret"""
    lines, status = traced(called("    mov x19, #4") + function("f", body), record("f", "f"))
    assert lines == ["f()", "-> (nothing)"]
    assert status == 5


def test_vectors_are_shown_by_lanes() -> None:
    assert format_scalar("v2i32", struct.pack("<ii", 1, -2)) == "<1, -2>"
    assert format_scalar("v4f32", struct.pack("<4f", 0.5, 1, -2, 1e9)) == "<0.5, 1, -2, 1e+09>"
    assert format_scalar("v8i8", bytes((1, 2, 3, 4, 5, 6, 7, 255))) == "<1, 2, 3, 4, 5, 6, 7, -1>"
