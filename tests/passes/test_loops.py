"""The passes over loops: IR text in, IR text out."""

from __future__ import annotations

import pytest
from tests.passes.test_passes import after, leaf

from callproof.ir.dominance import Dominators
from callproof.ir.interpret import Interpreter
from callproof.ir.loops import Loops
from callproof.ir.model import Function
from callproof.ir.parse import parse_module
from callproof.passes import (
    dce,
    if_convert,
    licm,
    loop_tests,
    ranges,
    rotate,
    simplify_cfg,
    strength_reduction,
    unroll,
)
from callproof.passes.aliases import Memory

DATA = (
    "data @hidden align 8 writable zero 64\n"
    "data @shown align 8 writable zero 64\n"
    'data @fixed align 8 readonly "12345678"\n'
    "declare @g(p: ptr)\n"
)


def loop(body: str, before: str = "", turns: int = 8) -> str:
    """A loop of %i from 0, over %s, which `body` makes %t of; %a is a pointer or a number."""
    return leaf(
        f"{before}\njump ^l(0, 0)\n^l(%i: i64, %s: i64):\n{body}\n%j = add i64 %i, 1\n"
        f"%c = slt i64 %j, {turns}\nbranch %c, ^l(%j, %t), ^o\n^o:\nreturn %t"
    )


def moved(text: str) -> list[str]:
    """What licm puts before the loop, with memory known."""
    module = parse_module(text)
    memory = Memory(module)
    lines = after(lambda function: licm.run(function, memory), text)
    return lines[1 : next(n for n, line in enumerate(lines) if line.startswith("jump"))]


# --- the analysis ---------------------------------------------------------------------------


def test_loops_and_their_depths() -> None:
    text = (
        "function @f(a: i64) {\n^e(%a: i64):\n jump ^outer\n^outer:\n jump ^inner\n"
        "^inner:\n branch %a, ^inner, ^next\n^next:\n branch %a, ^outer, ^alone\n"
        "^alone:\n branch %a, ^alone, ^end\n^end:\n return\n}"
    )
    (function,) = parse_module(text).functions.values()
    tree = Dominators(function)
    loops = Loops(tree.predecessors, tree.idom)
    names = [block.name for block in tree.order]
    found = [(names[one.header], one.depth, {names[n] for n in one.blocks}) for one in loops.loops]
    assert sorted(found) == [
        ("alone", 1, {"alone"}),
        ("inner", 2, {"inner"}),
        ("outer", 1, {"outer", "inner", "next"}),
    ]
    assert loops.innermost[names.index("end")] is None


def test_a_cycle_with_two_entries_is_no_loop() -> None:
    text = (
        "function @f(a: i64) {\n^e(%a: i64):\n branch %a, ^x, ^y\n^x:\n branch %a, ^y, ^o\n"
        "^y:\n branch %a, ^x, ^o\n^o:\n return\n}"
    )
    (function,) = parse_module(text).functions.values()
    tree = Dominators(function)
    assert not Loops(tree.predecessors, tree.idom).loops


# --- licm ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("%m = mul i64 %a, %b\n%t = add i64 %s, %m", ["%m = mul i64 %a, %b"]),
        (
            "%m = mul i64 %a, %b\n%n = xor i64 %m, 5\n%t = add i64 %s, %n",
            ["%m = mul i64 %a, %b", "%n = xor i64 %m, 5"],
        ),
        ("%m = mul i64 %a, %i\n%t = add i64 %s, %m", []),
        # Parts of other instructions: an operand's shift, an access's sum, a branch's test.
        ("%m = shl i64 %a, 3\n%t = add i64 %s, %m", []),
        ("%p = add i64 %a, %b\nstore i64 %s, %p\n%t = add i64 %s, 1", []),
        ("%p = add i64 %a, %b\nstore i64 %p, %p\n%t = add i64 %s, 1", ["%p = add i64 %a, %b"]),
        # A part that is needed by what moves.
        (
            "%m = shl i64 %a, 3\n%n = add i64 %m, %b\n%t = xor i64 %s, %n",
            ["%m = shl i64 %a, 3", "%n = add i64 %m, %b"],
        ),
    ],
)
def test_licm_moves_what_saves_an_instruction(body: str, lines: list[str]) -> None:
    assert moved(loop(body)) == lines


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("%v = load i64 @hidden\nstore i64 %s, %b\n%t = add i64 %s, %v", ["%v = load i64 @hidden"]),
        ("%v = load i64 @hidden\nstore i64 %s, @hidden\n%t = add i64 %s, %v", []),
        (
            "%v = load i64 @hidden\nstore i64 %s, @hidden + 8\n%t = add i64 %s, %v",
            ["%v = load i64 @hidden"],
        ),
        ("%v = load i64 @shown\nstore i64 %s, %b\n%t = add i64 %s, %v", []),
        ("%v = load i64 %a\n%t = add i64 %s, %v", ["%v = load i64 %a"]),
        ("%v = load i64 %a\nstore i64 %s, %b\n%t = add i64 %s, %v", []),
        ("%v = load i64 @hidden\ncall @g(%b)\n%t = add i64 %s, %v", []),
        ("%v = load i64 @fixed\ncall @g(%b)\n%t = add i64 %s, %v", ["%v = load i64 @fixed"]),
    ],
)
def test_licm_moves_loads_that_nothing_changes(body: str, lines: list[str]) -> None:
    text = DATA + loop(body, before="call @g(@shown)")
    assert [line for line in moved(text) if "call" not in line] == lines


def test_licm_leaves_loads_that_may_not_be_reached() -> None:
    """Behind a branch the pointer may be no pointer; a datum is always there."""
    body = (
        "branch %i, ^x, ^y(%s)\n^x:\n%v = load i64 {}\n%u = add i64 %s, %v\njump ^y(%u)\n"
        "^y(%t: i64):"
    )
    assert moved(DATA + loop(body.format("%b"))) == []
    assert moved(DATA + loop(body.format("@hidden"))) == ["%v = load i64 @hidden"]


def test_licm_leaves_two_loops_at_once_and_no_more_than_it_may() -> None:
    text = leaf(
        "jump ^k(0)\n^k(%k: i64):\n%m = mul i64 %a, %b\njump ^l(0)\n^l(%i: i64):\n"
        "%n = mul i64 %m, %m\n%o = mul i64 %n, %k\nstore i64 %o, %b\n%j = add i64 %i, 1\n"
        "%c = slt i64 %j, 9\nbranch %c, ^l(%j), ^p\n^p:\n%h = add i64 %k, 1\n"
        "%d = slt i64 %h, 9\nbranch %d, ^k(%h), ^o\n^o:\nreturn %h"
    )
    lines = after(licm.run, text)
    assert lines[1:4] == ["%m = mul i64 %a, %b", "%n = mul i64 %m, %m", "jump ^k(0)"]
    assert lines[5:7] == ["%o = mul i64 %n, %k", "jump ^l(0)"]


# --- strength reduction and tests ----------------------------------------------------------------


def reduced(text: str) -> list[str]:
    def run(function: Function) -> bool:
        for step in (strength_reduction.run, dce.run, loop_tests.run):
            step(function)
        return True

    return after(run, text)


def test_an_index_of_the_access_s_size_gets_a_base() -> None:
    body = "%w = add i64 %i, %b\n%y = shl i64 %w, 3\n%p = add i64 %a, %y\n"
    lines = reduced(loop(body + "%v = load i64 %p\n%t = add i64 %s, %v", turns=9))
    assert "shl i64 %b, 3" in lines[1]
    assert "add ptr %a" in lines[2]
    inside = lines[5:]
    assert "shl i64 %i, 3" in inside[0]  # which the access does in passing
    assert sum(" = add " in line for line in inside) == 3


def test_other_strides_get_a_pointer_and_the_test_compares_it() -> None:
    body = "%w = mul i64 %i, 480\n%p = add i64 %a, %w\n%v = load i64 %p\n%t = add i64 %s, %v"
    lines = reduced(loop(body, turns=10))
    text = "\n".join(lines)
    assert "mul" not in text
    assert "slt" not in text
    assert "i64 4800" in text  # where the pointer ends
    assert "i64 480\n" in text


def test_a_variable_that_is_needed_keeps_its_test() -> None:
    body = "%w = mul i64 %i, 480\n%p = add i64 %a, %w\nstore i64 %i, %p\n%t = add i64 %s, 1"
    lines = reduced(loop(body))
    assert any("slt" in line for line in lines)
    assert not any("mul" in line for line in lines)


# --- unrolling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("turns", "copies"), [(60, 4), (9, 3), (10, 2), (7, 1), (3, 3)])
def test_turns_that_are_put_together(turns: int, copies: int) -> None:
    text = loop("store i64 %s, %a\n%t = add i64 %s, %i", turns=turns)
    lines = after(lambda function: unroll.run(function) and dce.run(function), text)
    assert sum("store" in line for line in lines) == copies
    assert sum("slt" in line for line in lines) == (copies != turns)
    # The last copy tests; a loop that is copied whole is none any more.
    assert any("branch" in line for line in lines) == (copies != turns)


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 6, 7, 8, 12, 60])
@pytest.mark.parametrize("test", ["slt i64 %j, {}", "sle i64 %i, {} - 2", "ne i64 %j, {}"])
def test_unrolled_loops_give_the_same(turns: int, test: str) -> None:
    written = test.format(turns) if "-" not in test else f"sle i64 %i, {turns - 2}"
    text = (
        "function @main() -> i64 {\n^e:\njump ^l(0, 1)\n^l(%i: i64, %s: i64):\n"
        "%m = mul i64 %s, 3\n%t = add i64 %m, %i\n%j = add i64 %i, 1\n"
        f"%c = {written}\nbranch %c, ^l(%j, %t), ^o\n^o:\n%r = xor i64 %t, %j\nreturn %r\n}}"
    )
    (expected,) = Interpreter(parse_module(text)).call("main")
    module = parse_module(text)
    unroll.run(module.functions["main"])
    assert Interpreter(module).call("main") == [expected]


# --- rotation and selection ----------------------------------------------------------------------


def test_a_head_that_asks_is_copied_behind_the_turn() -> None:
    text = leaf(
        "jump ^h(0)\n^h(%i: i64):\n%c = slt i64 %i, %b\nbranch %c, ^l, ^o\n"
        "^l:\nstore i64 %i, %a\n%j = add i64 %i, 1\njump ^h(%j)\n^o:\nreturn %i"
    )

    def run(function: object) -> bool:
        rotate.run(function)  # type: ignore[arg-type]
        return simplify_cfg.run(function)  # type: ignore[arg-type]

    lines = after(run, text)
    assert sum("slt" in line for line in lines) == 2
    assert sum(line.startswith("jump") for line in lines) <= 1
    for bound in (0, 1, 5):
        module = parse_module(text.replace("store i64 %i, %a\n", ""))
        run(module.functions["f"])
        assert Interpreter(module).call("f", [0, bound, 0.0]) == [bound]


def test_a_head_with_a_call_stays() -> None:
    text = "declare @g() -> i64\n" + leaf(
        "jump ^h\n^h:\n%c = call @g()\nbranch %c, ^l, ^o\n^l:\njump ^h\n^o:\nreturn 0"
    )
    assert sum("call" in line for line in after(rotate.run, text)) == 1


def test_a_choice_becomes_a_select() -> None:
    text = leaf(
        "%c = slt i64 %a, %b\nbranch %c, ^t, ^o(%a)\n^t:\n%w = add i64 %a, 1\njump ^o(%w)\n"
        "^o(%r: i64):\nreturn %r"
    )
    lines = after(if_convert.run, text)
    assert lines[1:3] == ["%c = slt i64 %a, %b", "%w = add i64 %a, 1"]
    assert lines[3].endswith("= select i64 %c, %w, %a")
    for values in ([1, 2], [2, 1]):
        module = parse_module(text)
        if_convert.run(module.functions["f"])
        assert Interpreter(module).call("f", [*values, 0.0]) == [2]


@pytest.mark.parametrize(
    "inside", ["%w = sdiv i64 %a, %b", "%w = load i64 %a", "%w = shl i64 %a, %b"]
)
def test_what_is_dear_or_may_fail_stays_behind_its_branch(inside: str) -> None:
    text = leaf(
        f"%c = slt i64 %a, %b\nbranch %c, ^t, ^o(%a)\n^t:\n{inside}\njump ^o(%w)\n"
        "^o(%r: i64):\nreturn %r"
    )
    assert not any("select" in line for line in after(if_convert.run, text))


# --- ranges -------------------------------------------------------------------------------------


def decided(body: str, turns: int = 60) -> list[str]:
    """The lines of a loop, %i from 0 to turns - 1, after range analysis."""
    return after(ranges.run, loop(body, turns=turns))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("%q = slt i64 %i, 0\n%t = add i64 %s, %q", "%t = add i64 %s, 0"),
        ("%q = ult i64 %i, 60\n%t = add i64 %s, %q", "%t = add i64 %s, 1"),
        ("%q = ult i64 %i, 59\n%t = add i64 %s, %q", "%t = add i64 %s, %q"),
        ("%m = mul i64 %i, 3\n%q = sgt i64 %m, 177\n%t = add i64 %s, %q", "%t = add i64 %s, 0"),
        ("%m = mul i64 %i, 3\n%q = sge i64 %m, 177\n%t = add i64 %s, %q", "%t = add i64 %s, %q"),
        ("%t = sdiv i64 %i, 8", "%t = lshr i64 %i, 3"),
        ("%t = srem i64 %i, 8", "%t = and i64 %i, 7"),
        ("%t = sdiv i64 %a, 8", "%t = sdiv i64 %a, 8"),
        ("%u = sub i64 %i, 1\n%t = srem i64 %u, 8", "%t = srem i64 %u, 8"),
        ("%u = load_u8 i64 %a\n%q = sle i64 %u, 255\n%t = add i64 %s, %q", "%t = add i64 %s, 1"),
        # What wraps may be anything.
        (
            "%u = add i64 %a, 1\n%q = sgt i64 %u, %a\n%t = add i64 %s, %q",
            "%t = add i64 %s, %q",
        ),
    ],
)
def test_ranges_decide(body: str, line: str) -> None:
    assert line in decided(body)


def test_branches_narrow_what_they_compare() -> None:
    text = leaf(
        "%c = slt i64 %a, 0\nbranch %c, ^n, ^p\n^n:\n%d = sdiv i64 %a, 4\nreturn %d\n"
        "^p:\n%e = sdiv i64 %a, 4\n%f = ult i64 %a, %b\nbranch %f, ^u, ^v\n"
        "^u:\n%g = sge i64 %a, 0\nreturn %g\n^v:\nbranch %c, ^u, ^w\n^w:\nreturn %e"
    )
    lines = after(ranges.run, text)
    assert "%d = sdiv i64 %a, 4" in lines
    assert "%e = lshr i64 %a, 2" in lines
    assert "branch 0, ^u, ^w" in lines


def test_what_a_branch_tells_ends_with_its_block() -> None:
    text = leaf(
        "%c = slt i64 %a, 5\nbranch %c, ^x, ^y\n^x:\n%d = slt i64 %a, 9\nstore i64 %d, %b\n"
        "jump ^y\n^y:\n%e = slt i64 %a, 9\nreturn %e"
    )
    lines = after(ranges.run, text)
    assert "store i64 1, %b" in lines
    assert lines[-1] == "return %e"
