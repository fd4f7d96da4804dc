"""The passes: IR text in, IR text out."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callproof.ir import operations as op
from callproof.ir.interpret import Interpreter, evaluate
from callproof.ir.model import Function
from callproof.ir.parse import parse_module
from callproof.ir.text import print_function
from callproof.ir.types import F32, F64
from callproof.ir.verify import verify
from callproof.passes import (
    copy_propagation,
    dce,
    fold,
    gvn,
    lower_switch,
    simplify_cfg,
    split_edges,
    thread_branches,
)


def after(run: Callable[[Function], bool], text: str) -> list[str]:
    """Lines of the function's body after a pass, numbers of values stripped."""
    import re

    module = parse_module(text)
    (function,) = module.functions.values()
    run(function)
    verify(module)
    lines = print_function(function, module).splitlines()[1:-1]
    return [re.sub(r"%(\w+)\.\d+", r"%\1", " ".join(line.split())) for line in lines]


def leaf(body: str) -> str:
    header = "function @f(a: i64, b: i64, x: f64) -> i64 {\n^e(%a: i64, %b: i64, %x: f64):\n"
    return header + body + "\n}"


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("%r = add i64 2, 3\nreturn %r", "return 5"),
        ("%r = sdiv i64 7, 0\nreturn %r", "return 0"),
        ("%r = srem i64 -7, 2\nreturn %r", "return -1"),
        ("%r = shl i64 1, 64\nreturn %r", "return 0"),
        ("%r = ult i64 1, -1\nreturn %r", "return 1"),
        ("%r = ftosi i64 f64 -2.9\nreturn %r", "return -2"),
        ("%r = mul i64 %a, 1\nreturn %r", "return %a"),
        ("%r = sub i64 %a, %a\nreturn %r", "return 0"),
        ("%q = slt i64 %a, %b\n%r = ne i64 %q, 0\nreturn %r", "return %q"),
    ],
)
def test_fold_to_an_operand(body: str, result: str) -> None:
    assert after(fold.run, leaf(body))[-1] == result


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("%r = mul i64 %a, 8\nreturn %r", "%r = shl i64 %a, 3"),
        ("%r = udiv i64 %a, 1024\nreturn %r", "%r = lshr i64 %a, 10"),
        ("%r = urem i64 %a, 1024\nreturn %r", "%r = and i64 %a, 1023"),
        ("%r = sub i64 %a, 5\nreturn %r", "%r = add i64 %a, -5"),
        ("%s = add i64 %a, 5\n%r = add i64 %s, 7\nreturn %r", "%r = add i64 %a, 12"),
        ("%r = slt i64 3, %a\nreturn %r", "%r = sgt i64 %a, 3"),
        ("%q = slt i64 %a, %b\n%r = eq i64 %q, 0\nreturn %r", "%r = sge i64 %a, %b"),
        ("%v = bitcast v2i32 %a\n%r = bitcast v8i8 %v\nreturn 0", "%r = bitcast v8i8 %a"),
        ("%s = add i64 %a, 16\n%r = load i64 %s + 8\nreturn %r", "%r = load i64 %a + 24"),
    ],
)
def test_fold_in_place(body: str, line: str) -> None:
    assert line in after(fold.run, leaf(body))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("%v = fsub f64 %c, %d\n%s = ftrunc f32 %v", "%s = fsub f32 %a, %b"),
        ("%v = fdiv f64 %c, 8.5\n%s = ftrunc f32 %v", "%s = fdiv f32 %a, 8.5"),
        ("%v = fmul f64 %c, 0.1\n%s = ftrunc f32 %v", "%s = ftrunc f32 %v"),  # no f32
        ("%v = fadd f64 %c, 1e300\n%s = ftrunc f32 %v", "%s = ftrunc f32 %v"),
        ("%v = fadd f64 %x, %d\n%s = ftrunc f32 %v", "%s = ftrunc f32 %v"),
    ],
)
def test_one_operation_rounded_to_f32_is_done_in_f32(body: str, line: str) -> None:
    text = (
        "function @f(a: f32, b: f32, x: f64) -> f32 {\n^e(%a: f32, %b: f32, %x: f64):\n"
        f"%c = fext f64 %a\n%d = fext f64 %b\n{body}\nreturn %s\n}}"
    )
    assert line in after(fold.run, text)


PROCESSOR = {
    op.FADD: numpy.add,
    op.FSUB: numpy.subtract,
    op.FMUL: numpy.multiply,
    op.FDIV: numpy.divide,
}


@given(st.sampled_from(list(PROCESSOR)), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
@example(op.FDIV, 0x00000001, 0x3F7FFFFF)
@example(op.FMUL, 0x00FFFFFF, 0x3EFFFFFF)
@settings(max_examples=500)
def test_rounding_twice_is_rounding_once(operation: op.Operation, a: int, b: int) -> None:
    """What `single_precision` relies on, also near zero and at infinity; the processor's own
    single precision (NumPy's) is the judge."""
    first, second = numpy.array([a, b], dtype=numpy.uint32).view(numpy.float32)
    wide = evaluate(operation, F64, [float(first), float(second)], F64)
    twice = evaluate(op.FTRUNC, F32, [wide], F64)
    with numpy.errstate(all="ignore"):
        once = float(PROCESSOR[operation](first, second))
    if once == once:
        assert struct.pack("<f", once) == struct.pack("<f", twice)
    else:
        assert twice != twice


def test_floats_are_never_rearranged() -> None:
    body = "%y = fadd f64 %x, 0.0\n%z = fmul f64 %y, 1.0\n%q = flt f64 %z, %x\n"
    body += "%r = eq i64 %q, 0\nreturn %r"
    lines = after(fold.run, leaf(body))
    assert "%y = fadd f64 %x, 0.0" in lines  # -0.0 + 0.0 is 0.0
    assert "%r = eq i64 %q, 0" in lines  # not >=: both are false for a NaN


def test_gvn_shares_what_dominates() -> None:
    lines = after(
        gvn.run,
        leaf(
            "%s = add i64 %a, %b\n%t = add i64 %b, %a\n%q = slt i64 %s, %t\n"
            "branch %q, ^x, ^y\n^x:\n%u = add i64 %a, %b\nreturn %u\n^y:\nreturn %t"
        ),
    )
    assert lines.count("%s = add i64 %a, %b") == 1
    assert lines.count("return %s") == 2


def test_gvn_shares_loads_up_to_the_next_store() -> None:
    lines = after(
        gvn.run,
        leaf(
            "%s = load i64 %a\n%t = load i64 %a\nstore i64 %t, %b\n%u = load i64 %a\n"
            "%r = add i64 %t, %u\nreturn %r"
        ),
    )
    assert [line for line in lines if "load" in line] == ["%s = load i64 %a", "%u = load i64 %a"]


def test_dce_removes_unused_chains_and_parameters() -> None:
    text = leaf(
        "%s = add i64 %a, 1\n%t = mul i64 %s, %s\njump ^l(%a, 0)\n^l(%i: i64, %dead: i64):\n"
        "%n = add i64 %i, -1\n%d = add i64 %dead, 1\nbranch %n, ^l(%n, %d), ^e2\n"
        "^e2:\nreturn %n"
    )
    lines = after(dce.run, text)
    assert lines[1:3] == ["jump ^l(%a)", "^l(%i: i64):"]
    assert not [line for line in lines if "dead" in line or "mul" in line]


def test_dce_keeps_calls_and_stores() -> None:
    text = "declare @g() -> i64\n" + leaf("%r = call @g()\nstore i64 %a, %b\nreturn 0")
    assert after(dce.run, text)[1:3] == ["%r = call @g()", "store i64 %a, %b"]


def test_simplify_cfg_decides_merges_and_threads() -> None:
    text = leaf(
        "branch 1, ^x, ^y\n^x:\njump ^z(%a)\n^y:\njump ^z(%b)\n^z(%v: i64):\njump ^w\n"
        "^w:\n%r = add i64 %v, 1\nreturn %r"
    )
    assert after(simplify_cfg.run, text)[1:] == ["%r = add i64 %a, 1", "return %r"]


def test_simplify_cfg_keeps_infinite_loops() -> None:
    text = "function @f() {\n^e:\njump ^l\n^l:\njump ^m\n^m:\njump ^l\n}"
    assert after(simplify_cfg.run, text)[-1].startswith("jump")


def test_copy_propagation_removes_parameters_that_are_one_value() -> None:
    text = leaf(
        "jump ^l(%a, %b)\n^l(%v: i64, %w: i64):\n%n = add i64 %w, -1\nbranch %n, ^l(%v, %n), ^o\n"
        "^o:\nreturn %v"
    )
    lines = after(copy_propagation.run, text)
    assert "^l(%w: i64):" in lines
    assert lines[-1] == "return %a"


def test_sparse_switches_become_a_binary_search() -> None:
    cases = ", ".join(f"{1000 * i}: ^c{i}" for i in range(16))
    blocks = "\n".join(f"^c{i}:\nreturn {i}" for i in range(16))
    lines = after(lower_switch.run, leaf(f"switch %a, ^d [{cases}]\n{blocks}\n^d:\nreturn 99"))
    assert sum(" = eq " in line for line in lines) == 16
    assert sum(" = slt " in line for line in lines) == 7
    assert not [line for line in lines if line.startswith("switch")]


def test_cases_that_lie_close_together_become_a_table() -> None:
    wanted = [-3, -2, -1, 1, 2, 3, 4, 7, 1000, 5000]
    cases = ", ".join(f"{value}: ^c({value})" for value in wanted)
    text = leaf(f"switch %a, ^c(99) [{cases}]\n^c(%r: i64):\nreturn %r")
    lines = after(lower_switch.run, text)
    equal = [line.split(" = ")[1] for line in lines if " = eq " in line]
    assert equal == ["eq i64 %a, 1000", "eq i64 %a, 5000"]
    (bound,) = [line for line in lines if " = ult " in line]
    assert bound.endswith(", 11"), "from -3 to 7"
    (table,) = [line for line in lines if line.startswith("switch")]
    targets = [one.split(": ")[1].strip("]") for one in table.split("[")[1].split(", ")]
    assert len(targets) == 11
    assert len(set(targets)) == 9, "the holes 0, 5 and 6 share a block"
    assert targets[3] == targets[8] == targets[9]
    for value in (*wanted, 0, 5, 6, 8, -4, 999, 1 << 62, -(1 << 63)):
        expected = value if value in wanted else 99
        module = parse_module(text)
        lower_switch.run(module.functions["f"])
        assert Interpreter(module).call("f", [value, 0, 0.0]) == [expected]


def test_the_table_of_narrow_words() -> None:
    cases = ", ".join(f"{value}: ^c({value})" for value in range(-128, -116))
    text = f"function @f(a: i8) -> i64 {{\n^e(%a: i8):\nswitch %a, ^c(99) [{cases}]\n"
    module = parse_module(text + "^c(%r: i64):\nreturn %r\n}")
    lower_switch.run(module.functions["f"])
    verify(module)
    for value in (-128, -120, -117, -116, 127, 0, -1):
        expected = value if value < -116 else 99
        assert Interpreter(module).call("f", [value]) == [expected]


def test_edges_that_pass_arguments_get_blocks_of_their_own() -> None:
    text = leaf(
        "branch %a, ^l(%b), ^o\n^l(%v: i64):\n%n = add i64 %v, -1\nbranch %n, ^l(%n), ^o\n"
        "^o:\nreturn 0"
    )
    lines = after(split_edges.run, text)
    assert all("(" not in line for line in lines if line.startswith("branch"))
    assert sum(line.startswith("jump ^l(") for line in lines) == 2
    assert sum(line == "jump ^o" for line in lines) == 2, "critical edges are split, too"


@pytest.mark.parametrize(
    ("question", "where"),
    [
        ("", "jump ^yes(%a)"),
        ("%n = xor i64 %p, 1\n", "jump ^no(%b)"),
        ("%n = eq i64 %p, 1\n", "jump ^yes(%a)"),
        ("%n = ne i64 %p, 1\n", "jump ^no(%b)"),
    ],
)
def test_branches_decided_on_the_way(question: str, where: str) -> None:
    """Who gives a constant goes where it leads, with that jump's arguments."""
    asked = "%n" if question else "%p"
    body = f"""branch %a, ^known, ^other
^known:
jump ^ask(1, %a, %b)
^other:
jump ^ask(%b, %b, %a)
^ask(%p: i64, %q: i64, %r: i64):
{question}branch {asked}, ^yes(%q), ^no(%r)
^yes(%y: i64):
return %y
^no(%n2: i64):
return %n2"""
    lines = after(thread_branches.run, leaf(body))
    assert lines[lines.index("^known:") + 1] == where
    assert lines[lines.index("^other:") + 1] == "jump ^ask(%b, %b, %a)"


def test_branches_stay_where_their_parameters_are_used_behind() -> None:
    body = """branch %a, ^known, ^other
^known:
jump ^ask(1, %a)
^other:
jump ^ask(%b, %b)
^ask(%p: i64, %q: i64):
branch %p, ^yes, ^no
^yes:
return %q
^no:
return %b"""
    lines = after(thread_branches.run, leaf(body))
    assert lines[lines.index("^known:") + 1] == "jump ^ask(1, %a)"


def test_branches_in_a_circle_end() -> None:
    body = """jump ^ask(1)
^ask(%p: i64):
branch %p, ^ask(1), ^done
^done:
return %a"""
    lines = after(thread_branches.run, leaf(body))
    assert "branch %p, ^ask(1), ^done" in lines or "jump ^ask(1)" in lines
