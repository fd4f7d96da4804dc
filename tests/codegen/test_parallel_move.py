"""Parallel moves: exhaustively over small cases, by properties over large ones."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callproof.codegen.machine import FIRST_VIRTUAL, FLOAT, GENERAL, MachineInstruction, Move
from callproof.codegen.parallel_move import sequence
from callproof.source import InternalError
from callproof.target.arm64.pseudo import CONSTANT

SCRATCH = (16, 17)
SCRATCH_FLOAT = (63,)


def run(pairs: list[tuple[int, int]], kind: int = GENERAL) -> list[Move]:
    """Sequence `destination := source` pairs, each moving a value of its own."""
    moves = [Move(s, d, FIRST_VIRTUAL + i) for i, (d, s) in enumerate(pairs)]
    return sequence(moves, SCRATCH, SCRATCH_FLOAT, [kind] * len(pairs), [8] * len(pairs))


def check(pairs: list[tuple[int, int]], kind: int = GENERAL) -> list[Move]:
    """Done in order, the steps have the effect of reading all and then writing all."""
    steps = run(pairs, kind)
    state = {location: f"old {location}" for pair in pairs for location in pair}
    expected = dict(state)
    for destination, source in pairs:
        expected[destination] = state[source]
    for step in steps:
        assert step.source >= 0 or step.destination >= 0, "a move from memory to memory"
        state[step.destination] = state[step.source]
    for scratch in (*SCRATCH, *SCRATCH_FLOAT):
        state.pop(scratch, None)
    assert state == expected, (pairs, steps)
    return steps


def cycles(pairs: list[tuple[int, int]]) -> int:
    """Cycles of more than one location in which nothing else reads."""
    sources = dict(pairs)
    found = 0
    for start in sources:
        location, seen = start, []
        while location in sources and location not in seen:
            seen.append(location)
            location = sources[location]
        if location == start and len(seen) > 1 and start == min(seen):
            readers = sum(source in seen for source in sources.values())
            found += readers == len(seen)
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_all_functions_of_a_few_registers(count: int) -> None:
    for sources in itertools.product(range(count), repeat=count):
        pairs = list(enumerate(sources))
        steps = check(pairs)
        needed = sum(destination != source for destination, source in pairs)
        assert len(steps) <= needed + cycles(pairs)


@pytest.mark.parametrize("kind", [GENERAL, FLOAT])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_all_functions_with_some_locations_in_memory(count: int, kind: int) -> None:
    base = 32 if kind == FLOAT else 0
    for in_memory in itertools.product((False, True), repeat=count):
        places = [~i if memory else base + i for i, memory in enumerate(in_memory)]
        for sources in itertools.product(range(count), repeat=count):
            check([(places[d], places[s]) for d, s in enumerate(sources)], kind)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_large_groups(data: st.DataObject) -> None:
    places = [*range(16), *(~i for i in range(10))]
    destinations = data.draw(st.lists(st.sampled_from(places), unique=True, max_size=26))
    check([(d, data.draw(st.sampled_from(places))) for d in destinations])


def test_exchange_takes_three_moves() -> None:
    assert [(s.destination, s.source) for s in run([(0, 1), (1, 0)])] == [(16, 0), (0, 1), (1, 16)]


def test_a_chain_needs_no_scratch() -> None:
    assert [(s.destination, s.source) for s in run([(1, 0), (2, 1), (3, 2)])] == [
        (3, 2),
        (2, 1),
        (1, 0),
    ]


def test_rematerialisation_comes_when_all_reading_is_done() -> None:
    constant = MachineInstruction(CONSTANT, [], [42])
    moves = [Move(0, 0, FIRST_VIRTUAL, constant), Move(0, 1, FIRST_VIRTUAL + 1)]
    steps = sequence(moves, SCRATCH, SCRATCH_FLOAT, [GENERAL] * 2, [8] * 2)
    assert [step.destination for step in steps] == [1, 0]


def test_rematerialisation_into_memory_goes_through_a_scratch_register() -> None:
    constant = MachineInstruction(CONSTANT, [], [42])
    for kind, scratch in ((GENERAL, 16), (FLOAT, 63)):
        (made, stored) = sequence(
            [Move(0, ~3, FIRST_VIRTUAL, constant)], SCRATCH, SCRATCH_FLOAT, [kind], [8]
        )
        assert (made.destination, made.rematerialise) == (scratch, constant)
        assert (stored.source, stored.destination, stored.rematerialise) == (scratch, ~3, None)


def test_two_moves_to_one_place_are_refused() -> None:
    with pytest.raises(InternalError, match="two parallel moves write location 1"):
        run([(1, 0), (1, 2)])
