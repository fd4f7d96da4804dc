"""Liveness: what is alive at the ends of blocks, and the live ranges with their holes."""

from __future__ import annotations

import pytest
from tests.support.random_machine import (
    BRANCH,
    JUMP,
    MACHINES,
    OPERATE,
    RETURN,
    random_function,
)

from callproof.codegen.liveness import Ranges, live_in_sets, members
from callproof.codegen.machine import (
    DEF,
    EARLY,
    GENERAL,
    LATE,
    REGISTER,
    SAME_AS,
    USE,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    Operand,
)


def new(function: MachineFunction) -> int:
    return function.new_register(GENERAL)


def op(block: MachineBlock, *operands: Operand) -> None:
    block.instructions.append(MachineInstruction(OPERATE, list(operands), [0]))


def jump(block: MachineBlock, to: MachineBlock, *arguments: int) -> None:
    block.instructions.append(MachineInstruction(JUMP, [], [0]))
    block.successors = [to]
    block.arguments = list(arguments)


def branch(block: MachineBlock, condition: int, to: MachineBlock, other: MachineBlock) -> None:
    block.instructions.append(MachineInstruction(BRANCH, [Operand(condition, USE)], [0]))
    block.instructions.append(MachineInstruction(JUMP, [], [0]))
    block.successors = [to, other]


def leave(block: MachineBlock, *uses: int) -> None:
    block.instructions.append(MachineInstruction(RETURN, [Operand(u, USE) for u in uses], [0]))


def counting_loop() -> tuple[MachineFunction, dict[str, int]]:
    """n and one are made; i runs from n down in a loop; k is only alive after it."""
    function = MachineFunction("loop")
    entry, header, body, done = (function.new_block(n) for n in ("entry", "head", "body", "done"))
    n, k, i, j = (new(function) for _ in range(4))
    op(entry, Operand(n, DEF))
    op(entry, Operand(k, DEF))
    jump(entry, header, n)
    header.parameters = [i]
    branch(header, i, body, done)
    op(body, Operand(i, USE), Operand(j, DEF))
    jump(body, header, j)
    leave(done, k)
    return function, {"n": n, "k": k, "i": i, "j": j}


def test_what_is_used_after_a_loop_is_alive_all_through_it() -> None:
    function, v = counting_loop()
    live_in, live_out = live_in_sets(function)
    assert [members(bits) for bits in live_in] == [[], [v["k"]], [v["k"], v["i"]], [v["k"]]]
    # Arguments are used at the end of their block; parameters begin with theirs.
    assert [members(bits) for bits in live_out] == [[v["k"]], [v["k"], v["i"]], [v["k"]], []]


def test_ranges_end_where_they_are_read_and_begin_where_they_are_written() -> None:
    function, v = counting_loop()
    ranges = Ranges(function)
    # Numbers: entry 0 (1, 2, 3), head 4 (5, 6), body 7 (8, 9), done 10 (11).
    assert ranges.starts == [0, 4, 7, 10]
    assert ranges.ranges[v["n"]] == [(4 * 1 + 2, 4 * 4)]
    assert ranges.ranges[v["k"]] == [(4 * 2 + 2, 4 * 11 + 2)]
    assert ranges.ranges[v["i"]] == [(4 * 4, 4 * 8 + 2)]
    assert ranges.ranges[v["j"]] == [(4 * 8 + 2, 4 * 10)]


def test_a_value_that_only_one_arm_reads_has_a_hole_at_the_other() -> None:
    function = MachineFunction("arms")
    entry, left, right, after = (function.new_block(n) for n in ("e", "l", "r", "a"))
    c, x = new(function), new(function)
    op(entry, Operand(c, DEF), Operand(x, DEF))
    branch(entry, c, right, left)
    leave(left)  # x is not alive here
    op(right, Operand(x, USE))
    jump(right, after)
    leave(after)
    assert Ranges(function).ranges[x] == [(4 + 2, 4 * 4), (4 * 6, 4 * 7 + 2)]


@pytest.mark.parametrize(
    ("use", "until"),
    [
        (lambda v: Operand(v, USE), 2),
        (lambda v: Operand(v, USE, REGISTER, LATE), 3),
        (lambda v: Operand(v, USE, 0), 1),  # the moves before the instruction read it
        (lambda v: Operand(v, USE, 0, LATE), 3),
    ],
)
def test_where_in_the_instruction_a_use_ends(use, until) -> None:  # type: ignore[no-untyped-def]
    function = MachineFunction("use")
    block = function.new_block("b")
    v = new(function)
    op(block, Operand(v, DEF))
    op(block, use(v))
    leave(block)
    assert Ranges(function).ranges[v] == [(4 + 2, 8 + until)]


@pytest.mark.parametrize(
    ("definition", "start"),
    [
        (lambda v: Operand(v, DEF), 2),
        (lambda v: Operand(v, DEF, REGISTER, EARLY), 1),
        (lambda v: Operand(v, DEF, SAME_AS), 1),
        (lambda v: Operand(v, DEF, 0), 4),  # reserved until then; the next moves copy it on
    ],
)
def test_where_in_the_instruction_a_definition_starts(definition, start) -> None:  # type: ignore[no-untyped-def]
    function = MachineFunction("definition")
    block = function.new_block("b")
    a, v = new(function), new(function)
    op(block, Operand(a, DEF))
    op(block, Operand(a, USE), definition(v))
    leave(block, v)
    assert Ranges(function).ranges[v] == [(8 + start, 12 + 2)]


def test_an_unused_definition_still_takes_its_register() -> None:
    function = MachineFunction("unused")
    block = function.new_block("b")
    v = new(function)
    op(block, Operand(v, DEF))
    leave(block)
    assert Ranges(function).ranges[v] == [(4 + 2, 4 + 3)]


@pytest.mark.parametrize("seed", range(60))
def test_random_functions_by_the_definition_of_liveness(seed: int) -> None:
    """A value is alive where a path leads to a use without passing its definition."""
    function = random_function(seed, MACHINES["ARM64-like"], blocks=8, length=4)
    live_in, _ = live_in_sets(function)
    defined = {
        operand.register: block.index
        for block in function.blocks
        for instruction in block.instructions
        for operand in instruction.operands
        if operand.role == DEF
    }
    defined.update((p, block.index) for block in function.blocks for p in block.parameters)
    predecessors: list[list[int]] = [[] for _ in function.blocks]
    for block in function.blocks:
        for successor in block.successors:
            predecessors[successor.index].append(block.index)
    expected: list[set[int]] = [set() for _ in function.blocks]
    for block in function.blocks:
        used = set(block.arguments) | {
            operand.register
            for instruction in block.instructions
            for operand in instruction.operands
            if operand.role == USE and operand.register in defined
        }
        for register in used:
            pending = [block.index]
            while pending:
                index = pending.pop()
                if defined[register] != index and register not in expected[index]:
                    expected[index].add(register)
                    pending += predecessors[index]
    assert [set(members(bits)) for bits in live_in] == expected
