"""Where values are stored that are in memory for a part of their lives: assembly to read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.execute import run_main
from tests.support.execute_x64 import NATIVE, run_main_x64
from tests.target.x64.test_select_x64 import assembly

from callproof.ir.interpret import Interpreter
from callproof.ir.model import Module
from callproof.ir.parse import parse_module

SLOW = """
function @slow(n: i64) -> f64 {
^entry(%n: i64):
  %r = sitof f64 %n
  return %r
}
"""
LOOP = """
function @f(limit: f64, p: ptr) -> f64 {
^entry(%limit: f64, %p: ptr):
  jump ^turn(f64 0.0, 0)
^turn(%i: f64, %k: i64):
  %fast = slt i64 %k, 40
  branch %fast, ^quick, ^call
^quick:
  %k1 = add i64 %k, 3
  jump ^again(%k1)
^call:
  %s = call @slow(%k)
  %z = ftosi i64 %s
  %k2 = add i64 %z, 1
  jump ^again(%k2)
^again(%k3: i64):
  %next = fadd f64 %i, 1.0
  %more = flt f64 %next, %limit
  branch %more, ^turn(%next, %k3), ^done
^done:
  return %next
}
"""
MAIN = """
function @main() -> i64 {
^entry:
  %r = call @f(f64 60.0, 0)
  %n = ftosi i64 %r
  return %n
}
"""


def test_a_loop_s_value_is_stored_where_the_rare_call_is() -> None:
    """System V has no preserved float register: the turns without a call must not pay."""
    lines = assembly(SLOW + LOOP)
    stores = [i for i, line in enumerate(lines) if line.startswith("movsd") and "(%rsp" in line]
    call = next(i for i, line in enumerate(lines) if line.startswith("callq"))
    back = next(i for i, line in enumerate(lines) if line.startswith("ret"))
    assert stores and call > back  # the slow way stands last
    assert all(index > back for index in stores)


@pytest.mark.parametrize("run", [run_main, run_main_x64], ids=["arm64", "x86-64"])
def test_the_value_comes_back(run: Callable[[Module], int]) -> None:
    if run is run_main_x64 and not NATIVE:
        pytest.skip("needs an x86-64 Linux host")
    text = SLOW + LOOP + MAIN
    (expected,) = Interpreter(parse_module(text)).call("main")
    assert run(parse_module(text)) == expected == 60


def test_a_store_in_each_of_two_rare_calls() -> None:
    """The argument is stored in both, and not on the way that makes neither."""
    lines = assembly(
        SLOW
        + """
function @g(x: f64, k: i64) -> f64 {
^entry(%x: f64, %k: i64):
  %fast = slt i64 %k, 40
  branch %fast, ^quick, ^call
^quick:
  %k1 = add i64 %k, 3
  jump ^first(%k1)
^call:
  %s = call @slow(%k)
  %z = ftosi i64 %s
  jump ^first(%z)
^first(%m: i64):
  %again = slt i64 %m, 50
  branch %again, ^short, ^long
^short:
  %m1 = add i64 %m, 7
  jump ^last(%m1)
^long:
  %t = call @slow(%m)
  %y = ftosi i64 %t
  jump ^last(%y)
^last(%n: i64):
  %f = sitof f64 %n
  %r = fadd f64 %f, %x
  return %r
}
"""
    )
    back = lines.index("retq")
    stores = [i for i, line in enumerate(lines) if line.startswith("movsd %") and "(%r" in line]
    assert len(stores) == 2 and min(stores) > back
