"""Inlining: which calls go, what stands in their place, and what remembers them."""

from __future__ import annotations

import re

import pytest

from callproof.ir.interpret import Interpreter
from callproof.ir.model import Module
from callproof.ir.operations import CALL
from callproof.ir.parse import parse_module
from callproof.ir.text import print_function, print_module
from callproof.ir.verify import verify
from callproof.passes import inline
from callproof.passes.pipeline import optimise


def inlined(text: str, level: int = 1) -> Module:
    """The module after inlining alone."""
    module = parse_module(text)
    inliner = inline.Inliner(module, level)
    for function in inliner.order:
        inliner.run(function)
        inliner.finished(function)
    inliner.remove_unused()
    verify(module)
    return module


def body(module: Module, name: str) -> list[str]:
    lines = print_function(module.functions[name], module).splitlines()[1:-1]
    return [re.sub(r"%(\w+)\.\d+", r"%\1", " ".join(line.split())) for line in lines]


def calls(module: Module, name: str) -> list[str]:
    blocks = module.functions[name].blocks
    return [i.callee for block in blocks for i in block.instructions if i.operation is CALL]


TWICE = """\
local function @twice(x: i64) -> i64 {
^e(%x: i64):
  %r = add i64 %x, %x !3
  return %r !3
}
function @f(a: i64) -> i64 {
^e(%a: i64):
  %p = call @twice(%a) !7
  %q = call @twice(%p) !8
  return %q !9
}
"""


def test_a_small_function_is_copied_to_each_call_and_deleted() -> None:
    module = inlined(TWICE)
    assert list(module.functions) == ["f"]
    assert body(module, "f") == [
        "^e(%a: i64):",
        "jump ^in0.e !7",
        "^in0.e:",
        "%4 = add i64 %a, %a !3 in @twice !7".replace("%4", body(module, "f")[3].split()[0]),
        f"jump ^in0.behind({body(module, 'f')[3].split()[0]}) !3 in @twice !7",
        "^in0.behind(%p: i64):",
        "jump ^in1.e !8",
        "^in1.e:",
        f"{body(module, 'f')[8].split()[0]} = add i64 %p, %p !3 in @twice !8",
        f"jump ^in1.behind({body(module, 'f')[8].split()[0]}) !3 in @twice !8",
        "^in1.behind(%q: i64):",
        "return %q !9",
    ]
    assert Interpreter(module).call("f", [5]) == [20]


def test_places_of_inlined_code_round_trip() -> None:
    text = print_module(inlined(TWICE))
    assert "!3 in @twice !8" in text
    assert print_module(parse_module(text)) == text


def test_inlined_through_two_levels_the_place_tells_both() -> None:
    outer = "function @g(a: i64) -> i64 {\n^e(%a: i64):\n%r = call @f(%a) !20\nreturn %r\n}\n"
    module = inlined(TWICE.replace("function @f", "local function @f") + outer)
    assert list(module.functions) == ["g"]
    assert any("!3 in @twice !8 in @f !20" in line for line in body(module, "g"))


def test_exported_functions_stay() -> None:
    assert "twice" in inlined(TWICE.replace("local ", "")).functions


def test_functions_whose_address_is_taken_stay() -> None:
    module = inlined("data @table align 8 readonly @twice\n" + TWICE)
    assert calls(module, "f") == []
    assert "twice" in module.functions


def large(name: str, lines: int) -> str:
    sums = "\n".join(f"%s{n + 1} = mul i64 %s{n}, %x" for n in range(lines))
    return (
        f"local function @{name}(x: i64) -> i64 {{\n^e(%x: i64):\n%s0 = add i64 %x, 1\n"
        f"{sums}\nreturn %s{lines}\n}}\n"
    )


def test_a_large_function_is_inlined_only_where_it_is_called_once() -> None:
    once = "function @f(a: i64) -> i64 {\n^e(%a: i64):\n%p = call @big(%a)\nreturn %p\n}\n"
    assert list(inlined(large("big", 100) + once).functions) == ["f"]
    again = once.replace("@f(", "@g(")
    module = inlined(large("big", 100) + once + again)
    assert (calls(module, "f"), calls(module, "g")) == (["big"], ["big"])


LOOP = """\
function @f(n: i64) -> i64 {
^e(%n: i64):
  %x = call @middle(%n)
  jump ^l(%n, %x)
^l(%i: i64, %s: i64):
  %y = call @middle(%s)
  %j = sub i64 %i, 1
  branch %j, ^l(%j, %y), ^d
^d:
  %z = call @middle(%y)
  return %z
}
"""


def test_in_loops_larger_functions_are_inlined() -> None:
    module = inlined(large("middle", 20) + LOOP)
    assert calls(module, "f") == ["middle", "middle"]
    before = parse_module(large("middle", 20) + LOOP)
    assert Interpreter(module).call("f", [3]) == Interpreter(before).call("f", [3])


RECURSIVE = """\
function @sum(n: i64) -> i64 {
^e(%n: i64):
  branch %n, ^more, ^done
^more:
  %m = sub i64 %n, 1
  %s = call @sum(%m) !4
  %r = add i64 %s, %n
  return %r
^done:
  return 0
}
"""


@pytest.mark.parametrize(("level", "copies"), [(1, 1), (2, 2)])
def test_a_recursive_function_is_put_into_itself_once_at_level_2(level: int, copies: int) -> None:
    module = inlined(RECURSIVE, level)
    assert calls(module, "sum") == ["sum"]
    assert "\n".join(body(module, "sum")).count("sub i64") == copies
    assert Interpreter(module).call("sum", [10]) == [55]


def test_a_circle_of_calls_is_not_followed_forever() -> None:
    text = ""
    for one, other in (("even", "odd"), ("odd", "even")):
        text += (
            f"local function @{one}(n: i64) -> i64 {{\n^e(%n: i64):\nbranch %n, ^m, ^d\n^m:\n"
            f"%k = sub i64 %n, 1\n%r = call @{other}(%k)\nreturn %r\n^d:\n"
            f"return {int(one == 'even')}\n}}\n"
        )
    text += "function @f() -> i64 {\n^e:\n%r = call @even(10)\nreturn %r\n}\n"
    for level in (1, 2):
        module = parse_module(text)
        optimise(module, level, verify_each=True)
        assert Interpreter(module).call("f") == [1]


@pytest.mark.parametrize(
    ("signature", "entry", "call"),
    [
        ("(x: i64, ...)", "%x: i64", "call @g(%a)"),
        ("(x: byval {i64, i64, i64})", "%x: ptr", "call @g(%a)"),
    ],
)
def test_variadic_and_by_value_are_refused(signature: str, entry: str, call: str) -> None:
    text = f"local function @g{signature} {{\n^e({entry}):\nstore i64 1, %x\nreturn\n}}\n"
    text += f"function @f(a: ptr) {{\n^e(%a: ptr):\n{call}\nreturn\n}}\n"
    assert calls(inlined(text), "f") == ["g"]


def test_calls_on_the_way_to_an_error_stay() -> None:
    text = TWICE.replace("return %q !9", "unreachable")
    assert calls(inlined(text), "f") == ["twice", "twice"]


def test_what_asks_for_its_frame_stays_a_function() -> None:
    text = "declare @brk()\n" + TWICE.replace("%r = add", "call @brk()\n%r = add")
    module = parse_module(text)
    module.observers = frozenset(("brk",))
    optimise(module, 2)
    assert calls(module, "f") == ["twice", "twice"]


def test_slots_of_all_copies_are_one() -> None:
    text = """\
local function @g(x: i64) -> i64 {
^e(%x: i64):
  %s = slot 16 align 8 "room"
  store i64 %x, %s + 8
  %r = load i64 %s + 8
  return %r
}
function @f(a: i64) -> i64 {
^e(%a: i64):
  %p = call @g(%a)
  %q = call @g(7)
  %r = add i64 %p, %q
  return %r
}
"""
    module = inlined(text, 2)
    lines = body(module, "f")
    assert [line for line in lines if " slot " in line] == [lines[1]]
    assert lines[1].startswith('%s = slot 16 align 8 "room"')
    assert Interpreter(module).call("f", [5]) == [12]


def test_a_call_through_a_known_address_is_a_call() -> None:
    text = TWICE.replace(
        "%q = call @twice(%p) !8", "%q = call_indirect @twice(%p) : (x: i64) -> i64"
    )
    module = inlined(text)
    assert calls(module, "f") == []
    assert Interpreter(module).call("f", [1]) == [4]


def test_what_is_to_be_kept_is_a_function() -> None:
    module = parse_module(TWICE)
    module.kept = frozenset(("twice",))
    optimise(module, 2)
    assert calls(module, "f") == ["twice", "twice"]


def test_a_function_that_goes_into_its_only_caller_is_not_optimised_before() -> None:
    caller = "function @f(a: i64) -> i64 {\n^e(%a: i64):\n%p = call @big(%a)\nreturn %p\n}\n"
    shown: list[str] = []
    module = parse_module(large("big", 100) + caller)
    optimise(module, 1, print_after="all", show=shown.append)
    assert list(module.functions) == ["f"]
    assert not any("; after gvn" in text and "@big(" in text for text in shown)
    assert Interpreter(module).call("f", [1]) == [2]


def test_a_function_whose_only_caller_is_too_large_is_optimised_after_it() -> None:
    sums = "\n".join(f"%t{n + 1} = udiv i64 %t{n}, %p" for n in range(2990))
    caller = (
        "function @f(a: i64) -> i64 {\n^e(%a: i64):\n%p = call @big(%a)\n%t0 = add i64 %p, 1\n"
        f"{sums}\nreturn %t2990\n}}\n"
    )
    callee = large("big", 100).replace("return", "%unused = mul i64 %x, %x\nreturn")
    module = parse_module(callee + caller)
    optimise(module, 1)
    assert calls(module, "f") == ["big"]
    assert not any("unused" in line for line in body(module, "big"))
