"""Dominators, loops and weights of machine functions, beside their definitions."""

from __future__ import annotations

import pytest
from tests.support.random_machine import MACHINES, random_function

from callproof.codegen.flow import HEAVIER, Flow
from callproof.codegen.machine import MachineFunction


def graph(*successors: list[int]) -> Flow:
    function = MachineFunction("graph")
    blocks = [function.new_block(str(index)) for index in range(len(successors))]
    for block, following in zip(blocks, successors, strict=True):
        block.successors = [blocks[index] for index in following]
    return Flow(function)


def test_a_nest_of_loops() -> None:
    flow = graph([1], [2], [3, 2], [4, 1], [5], [])
    assert flow.header == [-1, 1, 2, 1, -1, -1]
    assert flow.outer == {1: -1, 2: 1}
    assert flow.weight == [1, HEAVIER, HEAVIER**2, HEAVIER, 1, 1]
    assert (flow.preheader(1), flow.preheader(2)) == (0, 1)


def test_what_leaves_a_loop_is_not_in_it_though_it_stands_in_its_midst() -> None:
    flow = graph([1], [2, 3], [], [1])
    assert flow.header == [-1, 1, -1, 1]
    assert flow.dominates(1, 2)
    assert not flow.dominates(3, 2)


def test_a_cycle_with_two_entries_is_no_loop() -> None:
    flow = graph([1, 2], [2], [1])
    assert flow.header == [-1, -1, -1]
    assert not flow.dominates(1, 2)


def test_a_loop_that_is_entered_from_two_sides_has_no_block_in_front_of_it() -> None:
    flow = graph([1, 2], [3], [3], [3, 4], [])
    assert flow.header[3] == 3
    assert flow.preheader(3) == -1


@pytest.mark.parametrize("seed", range(80))
def test_random_functions_by_the_definition_of_dominance(seed: int) -> None:
    """A block dominates another if without it nothing leads there; a loop is what can
    reach its header without leaving what the header dominates."""
    function = random_function(seed, MACHINES["ARM64-like"], blocks=14, length=1)
    flow = Flow(function)
    blocks = function.blocks

    def reached(start: int, without: int) -> set[int]:
        seen, pending = set(), [start] if start != without else []
        while pending:
            index = pending.pop()
            if index not in seen:
                seen.add(index)
                pending += [s.index for s in blocks[index].successors if s.index != without]
        return seen

    dominated = [{other.index for other in blocks} - reached(0, block.index) for block in blocks]
    in_order = all(min(p) < i for i, p in enumerate(flow.predecessors) if i)
    for block in blocks:
        for other in blocks:
            truth = other.index in dominated[block.index]
            if in_order:
                assert flow.dominates(block.index, other.index) == truth
            elif flow.dominates(block.index, other.index):
                assert truth
    for index in range(len(blocks)):
        around = {
            header
            for header in range(len(blocks))
            if in_order
            and index in dominated[header]
            and any(
                latch in dominated[header]
                and latch in reached(index, -1 if index == header else header)
                for latch in flow.predecessors[header]
            )
        }
        assert {header for header in range(len(blocks)) if flow.contains(header, index)} == around
