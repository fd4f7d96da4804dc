"""Calls that stand last become jumps where the convention lets them."""

from __future__ import annotations

import random

import pytest
from tests.support.execute import run_main

from callproof.codegen.backend import compile_module
from callproof.codegen.listing import Listing
from callproof.ir.interpret import Interpreter
from callproof.ir.parse import parse_module
from callproof.ir.text import print_module
from callproof.passes import tail_calls
from callproof.passes.pipeline import optimise
from callproof.source import CallproofError
from callproof.target import by_name


def last_instruction(text: str, target: str = "aarch64-linux") -> str:
    """The mnemonic and operand with which @f ends (its last `bl`, or its `b` or `br`)."""
    module = parse_module(text)
    compiled = compile_module(module, by_name(target), verify=True)
    (function,) = [one for one in compiled.functions if one.name == "f"]
    listing = Listing()
    listing.function(function, 0)
    lines = [line.split("//")[0].split() for line in listing.text().splitlines()]
    calls = [" ".join(words) for words in lines if words and words[0] in ("b", "bl", "br", "blr")]
    return calls[-1] if calls else ""


EIGHT = ", ".join(f"p{n}: i64" for n in range(8))
VALUES = ", ".join(f"%p{n}" for n in range(8))
ENTRY = ", ".join(f"%p{n}: i64" for n in range(8))


def test_a_tail_call_is_a_jump() -> None:
    text = (
        "declare @g(a: i64, b: f64) -> i64\nfunction @f(a: i64, b: f64) -> i64 {\n"
        "^e(%a: i64, %b: f64):\n  %r = tail call @g(%a, %b)\n  return %r\n}"
    )
    assert last_instruction(text) == "b g"


def test_a_pointer_is_in_a_register_that_the_epilogue_leaves_alone() -> None:
    text = (
        "declare @g()\nfunction @f(p: ptr, a: i64) {\n^e(%p: ptr, %a: i64):\n  call @g()\n"
        "  tail call_indirect %p(%a) : (a: i64)\n  return\n}"
    )
    assert last_instruction(text) == "br x9"


@pytest.mark.parametrize(
    ("parameters", "callee", "ending"),
    [
        (f"{EIGHT}, x: i64", f"{EIGHT}, x: i64", "b g"),
        (f"{EIGHT}", f"{EIGHT}, x: i64", "bl g"),  # no room for the ninth
        (f"{EIGHT}, x: i64", f"{EIGHT}, x: i64, y: i64, z: i64", "bl g"),
        (f"{EIGHT}, x: i64", f"{EIGHT}, x: i64, y: i64", "b g"),  # 16 bytes either way
    ],
)
def test_stack_arguments_must_fit(parameters: str, callee: str, ending: str) -> None:
    entry = ", ".join("%" + one for one in parameters.split(", "))
    given = ["%" + one.split(":")[0] for one in callee.split(", ")]
    known = {"%" + one.split(":")[0] for one in parameters.split(", ")}
    arguments = ", ".join(one if one in known else "7" for one in given)
    text = (
        f"declare @g({callee})\nfunction @f({parameters}) {{\n^e({entry}):\n"
        f"  tail call @g({arguments})\n  return\n}}"
    )
    assert last_instruction(text) == ending


@pytest.mark.parametrize(
    ("target", "ending"),
    [("aarch64-linux", "b g"), ("aarch64-windows", "b g"), ("aarch64-macos", "bl g")],
)
def test_each_convention_decides(target: str, ending: str) -> None:
    """Anonymous arguments are on the stack on Darwin, where this function has no room."""
    text = (
        "declare @g(a: i64, ...)\nfunction @f(a: i64, b: i64) {\n^e(%a: i64, %b: i64):\n"
        "  tail call @g(%a, %b) : (a: i64, ..., b: i64)\n  return\n}"
    )
    assert last_instruction(text, target) == ending


@pytest.mark.parametrize(
    "body",
    [
        # Something in the frame may still be looked at.
        "  %s = slot 8 align 8\n  %r = tail call @g(%s)\n  return %r\n",
        # Not the call's result.
        "  %r = tail call @g(%a)\n  return %a\n",
    ],
)
def test_what_is_allowed_but_wrong_stays_a_call(body: str) -> None:
    text = "declare @g(a: i64) -> i64\nfunction @f(a: i64) -> i64 {\n^e(%a: i64):\n" + body + "}"
    assert last_instruction(text) == "bl g"


def test_memory_results_and_copies_stay_calls() -> None:
    big = "{i64, i64, i64}"
    text = (
        f"declare @g(a: byval {big})\nfunction @f(a: byval {big}) {{\n^e(%a: ptr):\n"
        "  tail call @g(%a)\n  return\n}"
    )
    assert last_instruction(text) == "bl g"
    text = (
        f"declare @g() -> sret {big}\nfunction @f() -> sret {big} {{\n^e(%a: ptr):\n"
        "  tail call @g(%a)\n  return\n}"
    )
    assert last_instruction(text) == "bl g"


def test_the_pass_finds_them_behind_jumps_too() -> None:
    module = parse_module(
        "declare @g(a: i64) -> i64\nfunction @f(a: i64) -> i64 {\n^e(%a: i64):\n"
        "  %q = slt i64 %a, 0\n  branch %q, ^x, ^y\n^x:\n  %r = call @g(%a)\n  jump ^z(%r)\n"
        "^y:\n  %s = call @g(1)\n  %t = add i64 %s, 1\n  jump ^z(%t)\n^z(%v: i64):\n  return %v\n}"
    )
    assert tail_calls.run(module.functions["f"])
    text = print_module(module)
    assert text.count("tail call") == 1
    assert "tail call @g(%a" in text
    assert print_module(parse_module(text)) == text
    assert not tail_calls.run(module.functions["f"])


def test_only_calls_can_be_tail_calls() -> None:
    with pytest.raises(CallproofError, match="only calls can be tail calls"):
        parse_module("function @f(a: i64) -> i64 {\n^e(%a: i64):\n  %b = tail add i64 %a, 1\n"
                     "  return %b\n}")  # fmt: skip


def test_a_million_tail_calls_take_no_stack() -> None:
    module = parse_module(
        "function @even(n: i64) -> i64 {\n^e(%n: i64):\n  %q = eq i64 %n, 0\n"
        "  branch %q, ^x, ^y\n^x:\n  return 1\n^y:\n  %m = sub i64 %n, 1\n"
        "  %r = call @odd(%m)\n  return %r\n}\n"
        "function @odd(n: i64) -> i64 {\n^e(%n: i64):\n  %q = eq i64 %n, 0\n"
        "  branch %q, ^x, ^y\n^x:\n  return 0\n^y:\n  %m = sub i64 %n, 1\n"
        "  %r = call @even(%m)\n  return %r\n}\n"
        "function @main() -> i64 {\n^e:\n  %r = call @even(1000001)\n  return %r\n}"
    )
    optimise(module, 2)
    assert run_main(module) == 0  # its stack has a megabyte


def shuffling_module(seed: int) -> str:
    """@f hands its parameters on in another order, many times over, then they are summed up."""
    chooser = random.Random(seed)
    count = chooser.randint(1, 14)
    floats = [chooser.random() < 0.3 for _ in range(count)]
    types = ["f64" if one else "i64" for one in floats]
    places = list(range(count))
    order = places[:]
    chooser.shuffle(order)
    # Each goes to a place of its own type.
    for kind in (True, False):
        own = [place for place in places if floats[place] is kind]
        chosen = chooser.choices(own, k=len(own)) if chooser.random() < 0.3 else own[:]
        chooser.shuffle(chosen)
        for place, source in zip(own, chosen, strict=True):
            order[place] = source
    parameters = ", ".join(f"p{n}: {t}" for n, t in enumerate(types))
    entry = ", ".join(f"%p{n}: {t}" for n, t in enumerate(types))
    lines = [f"function @f(n: i64, {parameters}) -> i64 {{", f"^e(%n: i64, {entry}):"]
    lines += ["  %q = eq i64 %n, 0", "  branch %q, ^x, ^y", "^x:", "  %s0 = add i64 0, 0"]
    for n, is_float in enumerate(floats):
        lines.append(f"  %i{n} = {'ftosi i64' if is_float else 'add i64'} %p{n}"
                     + ("" if is_float else ", 0"))  # fmt: skip
        lines.append(f"  %m{n} = mul i64 %s{n}, 31")
        lines.append(f"  %s{n + 1} = add i64 %m{n}, %i{n}")
    lines += [f"  return %s{count}", "^y:"]
    if chooser.random() < 0.5:
        lines.append("  call @clobber()")
    lines.append("  %k = sub i64 %n, 1")
    handed = ", ".join(f"%p{n}" for n in order)
    lines += [f"  %r = tail call @f(%k, {handed})", "  return %r", "}"]
    lines += ["function @clobber() {", "^e:", "  return", "}"]
    lines += ["function @main() -> i64 {", "^e:"]
    lines += [f"  %c{n} = fadd f64 {n + 2}.0, 0.0" for n in places if floats[n]]
    given = ", ".join(f"%c{n}" if floats[n] else str(n + 2) for n in places)
    lines += [f"  %r = call @f(7, {given})", "  return %r", "}"]
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(60))
def test_arguments_that_change_places(seed: int) -> None:
    text = shuffling_module(seed)
    module = parse_module(text)
    expected = Interpreter(module).call("main")
    assert expected == [run_main(module, poison=bool(seed & 1))]
