"""What is said of variables stays true whatever a pass does."""

from __future__ import annotations

import pytest

from callproof.ir import operations as op
from callproof.ir.debug import BaseType, DebugFunction, DebugModule, DebugVariable, Place
from callproof.ir.model import Function, Instruction, Module, Target, Value
from callproof.ir.parse import parse_module
from callproof.passes import simplify_cfg, thread_branches
from callproof.passes.debug_guard import Guard

WORD = BaseType("WORD", "signed", 8)
LOOP = """\
function @f(n: i64) -> i64 {
^entry(%n: i64):
  jump ^head(%n)
^head(%x: i64):
  %y = add i64 %x, -1
  branch %y, ^head(%y), ^done
^done:
  return %y
}
"""


def with_places(text: str, name: str) -> tuple[Module, Function, list[Place], Value]:
    """The function with a place at each instruction, at which variable v is the value `name`."""
    module = parse_module(text)
    function = module.functions["f"]
    debug = DebugFunction("f", "f.bcl", 1)
    function.debug, module.debug = debug, DebugModule("bcpl", functions={"f": debug})
    values = [value for block in function.blocks for value in block.parameters]
    values += [v for block in function.blocks for i in block.instructions for v in i.results]
    (value,) = [one for one in values if one.name == name]
    variable = DebugVariable("v", WORD, 1)
    for number, block in enumerate(function.blocks):
        for instruction in block.instructions:
            place = Place(10 + number)
            place.owner, place.scope = debug, debug.scope
            place.values = {variable: (value,)}
            debug.places.append(place)
            instruction.line = place
    return module, function, debug.places, value


def known(line: int) -> bool:
    assert isinstance(line, Place)
    return any(part is not None for parts in line.values.values() for part in parts)


def test_nothing_done_changes_nothing() -> None:
    _, function, places, _ = with_places(LOOP, "x")
    guard = Guard(function)
    guard.check(function)
    assert all(known(place) for place in places)


def test_copies_do_not_know_variables_and_what_moves_has_another_line() -> None:
    _, function, places, _ = with_places(LOOP, "x")
    head, done = function.blocks[1], function.blocks[2]
    guard = Guard(function)
    first = head.instructions[0]
    copied = Instruction(op.ADD, first.type, list(first.operands), [function.new_value(WORD_TYPE)])
    copied.line = first.line
    done.instructions.insert(0, copied)
    head.instructions.remove(first)
    function.entry.instructions.insert(0, first)
    guard.check(function)
    assert int(copied.line) == 11 and not known(copied.line)
    assert int(first.line) == 10, "it stands in the entry now"
    assert known(head.terminator.line) and all(known(place) for place in places)


WORD_TYPE = parse_module(LOOP).functions["f"].entry.parameters[0].type


def test_a_new_way_past_a_block_takes_all_values_back() -> None:
    _, function, places, _ = with_places(LOOP, "x")
    guard = Guard(function)
    done = function.blocks[2]
    function.entry.terminator.targets = [Target(done)]
    guard.check(function)
    assert not any(known(place) for place in places)


THREADED = """\
function @f(a: i64, b: i64) -> i64 {
^entry(%a: i64, %b: i64):
  branch %a, ^ask(1), ^other
^other:
  %c = mul i64 %b, %b
  jump ^ask(%c)
^ask(%p: i64):
  branch %p, ^yes, ^no
^yes:
  return 1
^no:
  return 2
}
"""
EMPTY = """\
function @f(a: i64, b: i64) -> i64 {
^entry(%a: i64, %b: i64):
  branch %a, ^middle(1), ^other
^other:
  %c = mul i64 %b, %b
  jump ^middle(%c)
^middle(%p: i64):
  jump ^end(%p)
^end(%q: i64):
  return %q
}
"""


@pytest.mark.parametrize(
    ("text", "run"), [(THREADED, thread_branches.run), (EMPTY, simplify_cfg.run)]
)
def test_values_of_skipped_blocks_are_forgotten(text: str, run: object) -> None:
    """Control no longer passes where p became what it is: it may be an old one."""
    _, function, places, _ = with_places(text, "p")
    assert run(function)  # type: ignore[operator]
    assert not any(known(place) for place in places)
    _, function, places, _ = with_places(text, "a")
    assert run(function)  # type: ignore[operator]
    assert all(known(place) for place in places), "what dominates all of it is as it was"
