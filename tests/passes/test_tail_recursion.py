"""Self calls that stand last become jumps, where nobody could tell."""

from __future__ import annotations

import pytest

from callproof.ir.interpret import Interpreter
from callproof.ir.model import Module
from callproof.ir.operations import CALL
from callproof.ir.parse import parse_module
from callproof.ir.verify import verify
from callproof.passes import tail_recursion

FACTORIAL = """\
function @f(n: i64, s: i64) -> i64 {
^e(%n: i64, %s: i64):
  branch %n, ^more, ^done
^more:
  %m = sub i64 %n, 1
  %t = mul i64 %s, %n
  %r = call @f(%m, %t)
  jump ^out(%r)
^done:
  jump ^out(%s)
^out(%v: i64):
  return %v
}
"""


def run(text: str) -> tuple[Module, int]:
    """The module, and how many calls are left."""
    module = parse_module(text)
    function = module.functions["f"]
    changed = tail_recursion.run(function, module)
    verify(module)
    left = [i for b in function.blocks for i in b.instructions if i.operation is CALL]
    assert changed == (len(left) < text.count("call @f"))
    return module, len(left)


def test_a_self_call_that_stands_last_is_a_jump() -> None:
    module, left = run(FACTORIAL)
    assert left == 0
    assert Interpreter(module, depth=1).call("f", [10, 1]) == [3628800]


def test_arguments_are_exchanged_at_once() -> None:
    text = FACTORIAL.replace("call @f(%m, %t)", "call @f(%s, %m)")
    text = text.replace("jump ^out(%s)", "jump ^out(%s)")
    for arguments in ([3, 5], [4, 4], [1, 9]):
        module, left = run(text)
        assert left == 0
        assert Interpreter(module).call("f", arguments) == (
            Interpreter(parse_module(text)).call("f", arguments)
        )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("jump ^out(%r)", "%q = add i64 %r, 1\n  jump ^out(%q)"),  # not last
        ("jump ^out(%r)", "return %m"),  # another value
        ("  branch", "  %x = slot 8 align 8\n  branch"),  # each activation has its own
    ],
)
def test_calls_that_stay(old: str, new: str) -> None:
    assert run(FACTORIAL.replace(old, new))[1] == 1


def test_walks_of_the_stack_show_each_call() -> None:
    module = parse_module(FACTORIAL)
    module.trace_names["f"] = b"f()"
    assert not tail_recursion.run(module.functions["f"], module)
