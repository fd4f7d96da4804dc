"""Orders, dominators and loops of random control flow, beside their definitions; what is kept."""

from __future__ import annotations

import random

import pytest

from callproof.abi.signature import Signature
from callproof.ir.dominance import Dominators, edge_counts, reverse_postorder
from callproof.ir.model import Block, Function, Instruction, Target
from callproof.ir.operations import JUMP
from callproof.ir.parse import parse_module
from callproof.ir.shape import Shape
from callproof.passes import pipeline
from callproof.source import InternalError


def random_function(seed: int) -> Function:
    """Blocks that only jump, to up to three others; also into the middle of loops."""
    chance = random.Random(seed)
    function = Function("f", Signature((), None))
    blocks = [function.new_block(f"b{n}") for n in range(chance.randint(2, 10))]
    for block in blocks:
        jump = Instruction(JUMP, None, [], [])
        following = [chance.choice(blocks[1:]) for _ in range(chance.choice((0, 1, 1, 2, 2, 3)))]
        jump.targets = [Target(one) for one in following]
        block.instructions.append(jump)
    return function


def recursive_order(block: Block, seen: set[Block], found: list[Block]) -> list[Block]:
    seen.add(block)
    for target in reversed(block.terminator.targets):
        if target.block not in seen:
            recursive_order(target.block, seen, found)
    found.append(block)
    return found


def reached_without(function: Function, missing: Block | None) -> set[Block]:
    found: set[Block] = set()
    pending = [function.entry]
    while pending:
        block = pending.pop()
        if block is not missing and block not in found:
            found.add(block)
            pending += block.successors()
    return found


@pytest.mark.parametrize("group", range(4))
def test_random_functions_by_the_definitions(group: int) -> None:
    for seed in range(group * 50, group * 50 + 50):
        function = random_function(seed)
        order = reverse_postorder(function)
        assert order == recursive_order(function.entry, set(), [])[::-1]
        edges = [one for block in order for one in block.successors()]
        assert edge_counts(function) == {block: edges.count(block) for block in order}
        tree = Dominators(function)
        for position, block in enumerate(order):
            lost = set(order) - reached_without(function, block)
            dominated = {order[n] for n in range(len(order)) if tree.dominates(position, n)}
            assert dominated == lost, (seed, block)
            expected = [n for n, one in enumerate(order) for to in one.successors() if to is block]
            assert tree.predecessors[position] == expected
            if position:
                above = tree.idom[position]
                assert tree.dominates(above, position) and position in tree.children[above]
        place = tree.index
        assert tree.has_cycles == any(place[to] <= place[b] for b in order for to in b.successors())


CHOICE = """\
function @f(n: i64) -> i64 {
^e(%n: i64):
  branch %n, ^a, ^b
^a:
  %k = mul i64 %n, %n
  return %k
^b:
  return 7
}
"""


def test_a_shape_is_found_once_until_it_is_forgotten() -> None:
    function = parse_module(CHOICE).functions["f"]
    shape = Shape(function)
    tree = shape.tree()
    assert not shape.has_loops() and shape.tree() is tree and shape.is_true()
    function.entry.terminator.targets.reverse()  # another order of the blocks
    assert shape.tree() is tree and not shape.is_true()
    shape.forget()
    assert shape.tree() is not tree and shape.is_true()


def test_a_pass_that_does_not_forget_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(function: Function, shape: Shape | None = None) -> bool:
        function.entry.terminator.targets.reverse()
        return True

    passes = [(name, careless if name == "gvn" else run) for name, run in pipeline.ONCE]
    monkeypatch.setattr(pipeline, "ONCE", passes)
    with pytest.raises(InternalError, match="after gvn, @f: its shape"):
        pipeline.optimise(parse_module(CHOICE), 1, verify_each=True)
