"""Constants that go out of loops, and what stays."""

from __future__ import annotations

import pytest
from tests.support.execute import run_main
from tests.support.execute_x64 import NATIVE, run_main_x64

from callproof.codegen import expand_calls
from callproof.codegen.backend import prepare
from callproof.codegen.constants import share_constants
from callproof.codegen.machine import MachineFunction
from callproof.codegen.select import select
from callproof.ir.parse import parse_module
from callproof.passes import dce
from callproof.target import by_name


def loop(body: str, head: str = "", result: str = "%s") -> str:
    """main counts from 0 to 9, and sums what `body` calls %v."""
    return (
        f"{head}function @main() -> i64 {{\n^e:\n  jump ^l(0, 0)\n^l(%i: i64, %s: i64):\n{body}\n"
        "  %t = add i64 %s, %v\n  %j = add i64 %i, 1\n  %c = slt i64 %j, 10\n"
        f"  branch %c, ^l(%j, %t), ^o\n^o:\n  return {result}\n}}"
    )


def hoisted(text: str, target_name: str = "aarch64-linux") -> MachineFunction:
    module = parse_module(text)
    (*_, function) = module.functions.values()
    dce.run(function)
    target = by_name(target_name)
    prepare(function, target)
    expand_calls.run(function, target.convention)
    machine = select(module, function, target)
    share_constants(machine)
    return machine


def forms(machine: MachineFunction, block: str) -> list[str]:
    (found,) = (one for one in machine.blocks if one.name == block)
    return [instruction.form.name for instruction in found.instructions]


def test_a_constant_is_made_once_before_the_loop() -> None:
    machine = hoisted(loop("  %u = mul i64 %i, 12345\n  %v = and i64 %u, 12345"))
    assert forms(machine, "e").count("constant") == 3  # with what the loop begins with
    assert "constant" not in forms(machine, "l")


def test_a_long_constant_too_though_it_is_not_made_again() -> None:
    machine = hoisted(loop("  %v = xor i64 %i, 81985529216486895"))
    assert "constant" not in forms(machine, "l")
    assert run_main(parse_module(loop("  %v = xor i64 %i, 81985529216486895"))) == sum(
        i ^ 81985529216486895 for i in range(9)
    )


def test_an_address_and_a_float() -> None:
    text = loop(
        "  %w = load i64 @table\n  %f = sitof f64 %w\n  %g = fmul f64 %f, 0.3\n  %v = ftosi i64 %g",
        'data @table align 8 writable "12345678"\n',
    )
    machine = hoisted(text)
    assert not {"adrp", "float_constant"} & set(forms(machine, "l"))


@pytest.mark.parametrize("target", ["aarch64-linux", "x86_64-linux"])
def test_an_argument_is_made_where_it_is_passed(target: str) -> None:
    """It takes an instruction to get into the argument's register in any case."""
    text = loop("  %v = call @g(77)", "declare @g(a: i64) -> i64\n")
    before, inside = forms(hoisted(text, target), "e"), forms(hoisted(text, target), "l")
    made = "constant" if target == "aarch64-linux" else "mov_l_ri"
    assert (before.count(made), inside.count(made)) == (2, 1)


def test_what_reads_the_flags_stays() -> None:
    """On x86-64 a comparison's result is made from nothing but the flags."""
    text = loop("  %v = sgt i64 %i, 5", result="%t")
    assert "set_word" in forms(hoisted(text, "x86_64-linux"), "l")
    assert run_main(parse_module(text)) == 4
    if NATIVE:
        assert run_main_x64(parse_module(text)) == 4
    assert "csinc_x" in forms(hoisted(text), "l")
