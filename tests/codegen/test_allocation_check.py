"""The allocation checker: small wrong allocations by hand, and random damage.

Random damage has an independent judge: where the damaged code computes something
else than the code before allocation, the checker must have refused it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

import pytest
from tests.support.random_machine import (
    BRANCH,
    CALL,
    CONSTANT,
    JUMP,
    MACHINES,
    OPERATE,
    RETURN,
    Machine,
    random_function,
    run_allocated,
    run_virtual,
)

from callproof.codegen.allocate import allocate
from callproof.codegen.allocation_check import check
from callproof.codegen.machine import (
    ANY,
    DEF,
    EARLY,
    FLOAT,
    GENERAL,
    LATE,
    REGISTER,
    SAME_AS,
    STACK,
    USE,
    Allocation,
    Form,
    MachineFunction,
    MachineInstruction,
    Move,
    Operand,
    SpillSlot,
)
from callproof.source import InternalError

MACHINE = MACHINES["six registers"]  # 4, 5 and 37 are preserved
A, B, C = 128, 129, 130
WIDE, NARROW = 131, 132
EVERYTHING = sum(1 << r for group in MACHINE.file.allocatable for r in group)

Line = tuple[Form, list[Operand], list[int]]


def judge(
    *blocks: tuple[list[Line], list[int]],
    edits: dict[tuple[int, int], list[list[Move]]] | None = None,
    parameters: dict[int, list[int]] | None = None,
    arguments: dict[int, list[int]] | None = None,
    slots: tuple[int, ...] = (),
    used: int = EVERYTHING,
) -> str:
    """'' if the checker accepts, else its message.  A block: lines, and successors."""
    function = MachineFunction("f")
    for size, class_ in ((8, GENERAL), (8, GENERAL), (8, GENERAL), (16, FLOAT), (8, FLOAT)):
        function.new_register(class_, size=size)
    for _ in blocks:
        function.new_block("b")
    for index, (lines, successors) in enumerate(blocks):
        block = function.blocks[index]
        block.successors = [function.blocks[s] for s in successors]
        block.parameters = (parameters or {}).get(index, [])
        block.arguments = (arguments or {}).get(index, [])
        for which, operands, places in lines:
            clobbers = MACHINE.call_clobbers if which is CALL else 0
            instruction = MachineInstruction(which, operands, [0], clobbers=clobbers)
            instruction.allocation = places
            block.instructions.append(instruction)
            if which is CONSTANT:
                function.rematerialise[operands[0].register] = instruction
    allocation = Allocation(edits or {}, [SpillSlot(size) for size in slots], used)
    if edits:
        for groups in edits.values():
            for group in groups:
                for move in group:
                    if move.rematerialise is REMAKE:
                        move.rematerialise = function.rematerialise.get(C, REMAKE)
    try:
        check(function, allocation, MACHINE.file)
    except InternalError as error:
        return str(error)
    return ""


REMAKE = MachineInstruction(CONSTANT, [Operand(C, DEF)], [1])


def make(register: int, place: int, constraint: int = REGISTER) -> Line:
    return OPERATE, [Operand(register, DEF, constraint)], [place]


def use(register: int, place: int, constraint: int = REGISTER, timing: int = EARLY) -> Line:
    return OPERATE, [Operand(register, USE, constraint, timing)], [place]


END: Line = (RETURN, [], [])
GO: Line = (JUMP, [], [])
CALLING: Line = (CALL, [], [])


def straight(*lines: Line, **more: object) -> str:
    return judge(([*lines, END], []), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        # What is read
        ("", lambda: straight(make(A, 0), use(A, 0))),
        ("holds nothing known", lambda: straight(make(A, 0), use(A, 1))),
        ("reads v128 in 0, which holds v129", lambda: straight(make(A, 0), make(B, 0), use(A, 0))),
        # Calls
        ("", lambda: straight(make(A, 4), CALLING, use(A, 4))),
        ("holds nothing known", lambda: straight(make(A, 0), CALLING, use(A, 0))),
        ("holds nothing known", lambda: straight(make(WIDE, 37), CALLING, use(WIDE, 37))),
        (
            "v129 is in 1, which is clobbered",
            lambda: straight((CALL, [Operand(B, DEF)], [1])),
        ),
        ("", lambda: straight((CALL, [Operand(B, DEF, 1)], [1]), use(B, 1))),
        (
            "does not outlive",
            lambda: straight(make(A, 0), (CALL, [Operand(A, USE, REGISTER, LATE)], [0])),
        ),
        # Constraints
        ("must be in register 1", lambda: straight(make(A, 0), use(A, 0, 1))),
        ("must be in memory", lambda: straight(make(A, 0), use(A, 0, STACK))),
        ("must be in a register", lambda: straight(make(A, -1, ANY), use(A, -1), slots=(8,))),
        ("", lambda: straight(make(A, -1, ANY), use(A, -1, ANY), slots=(8,))),
        ("does not fit spill slot 0", lambda: straight(make(WIDE, -1, ANY), slots=(8,))),
        ("not allocatable", lambda: straight(make(A, 32))),
        (
            "must be where operand 0 is",
            lambda: straight(
                make(A, 0), (OPERATE, [Operand(A, USE), Operand(B, DEF, SAME_AS)], [0, 1])
            ),
        ),
        (
            "physical register 31 became 30",
            lambda: straight((OPERATE, [Operand(31, USE)], [30])),
        ),
        # Results
        (
            "two results in 0",
            lambda: straight((OPERATE, [Operand(A, DEF), Operand(B, DEF)], [0, 0])),
        ),
        (
            "overwritten in 0 before it is read",
            lambda: straight(
                make(A, 0), (OPERATE, [Operand(A, USE), Operand(B, DEF, REGISTER, EARLY)], [0, 0])
            ),
        ),
        ("not in the used registers", lambda: straight(make(A, 4), used=EVERYTHING - 16)),
        # Moves
        (
            "",
            lambda: straight(make(A, 0), use(A, 1), edits={(0, 1): [[Move(0, 1, A)]]}),
        ),
        (
            "two moves of one group",
            lambda: straight(
                make(A, 0), make(B, 1), edits={(0, 2): [[Move(0, 2, A), Move(1, 2, B)]]}
            ),
        ),
        (
            "which holds v129",  # moves of one group read first, those of two do not
            lambda: straight(
                make(A, 0),
                make(B, 1),
                use(A, 1),
                edits={(0, 2): [[Move(1, 0, B)], [Move(0, 1, A)]]},
            ),
        ),
        (
            "holds nothing known",  # eight of its sixteen bytes
            lambda: straight(
                (OPERATE, [Operand(WIDE, DEF)], [32]),
                use(WIDE, 33),
                edits={(0, 1): [[Move(32, -1, NARROW)], [Move(-1, 33, WIDE)]]},
                slots=(16,),
            ),
        ),
        (
            "made again by an instruction that does not make it",
            lambda: straight(make(A, 0), edits={(0, 1): [[Move(0, 1, A, REMAKE)]]}),
        ),
        (
            "",
            lambda: straight(
                (CONSTANT, [Operand(C, DEF)], [0]),
                CALLING,
                use(C, 0),
                edits={(0, 2): [[Move(0, 0, C, REMAKE)]]},
            ),
        ),
        (
            "before an instruction that is not there",
            lambda: straight(make(A, 0), edits={(0, 2): [[]]}),
        ),
    ],
)
def test_one_block(message: str, said: Callable[[], str]) -> None:
    answer = said()
    assert (re.search(re.escape(message), answer) is not None) if message else answer == ""


def test_the_message_says_where() -> None:
    assert straight(make(A, 0), use(A, 1)) == (
        "allocation of f is wrong: block 0 (b), instruction 1 (op): "
        "operand 0 reads v128 in 1, which holds nothing known"
    )


@pytest.mark.parametrize(("place", "right"), [(0, True), (1, False)])
def test_a_parameter_is_where_its_argument_is(place: int, right: bool) -> None:
    said = judge(
        ([make(A, 0), GO], [1]),
        ([use(B, place), END], []),
        arguments={0: [A]},
        parameters={1: [B]},
    )
    assert (said == "") == right


@pytest.mark.parametrize(("exchange", "right"), [(True, True), (False, False)])
def test_arguments_in_a_cycle(exchange: bool, right: bool) -> None:
    both = [Move(0, 1, A), Move(1, 0, B)]
    said = judge(
        ([make(C, 0), make(128, 1), GO], [1]),
        ([use(A, 0), use(B, 1), (BRANCH, [Operand(A, USE)], [0]), GO], [2, 3]),
        ([GO], [1]),
        ([END], []),
        arguments={0: [C, 128], 2: [B, A]},
        parameters={1: [A, B]},
        edits={(2, 0): [both] if exchange else [[m] for m in both]},
    )
    # The first round's second argument is v128 itself; it begins anew as a parameter.
    assert (said == "") == right


def test_a_copy_of_the_last_round_is_not_this_rounds_value() -> None:
    """b is computed in each round, and copied to 2; the next round may not read the copy."""
    said = judge(
        ([make(A, 0), GO], [1]),
        ([make(B, 1), use(B, 1), GO], [2]),
        ([(BRANCH, [Operand(A, USE)], [0]), GO], [1, 3]),
        ([use(B, 2), END], []),
        edits={(1, 1): [[Move(1, 2, B)]]},
    )
    assert said == ""
    said = judge(
        ([make(A, 0), GO], [1]),
        ([make(C, 2), make(B, 1), use(B, 2), GO], [2]),
        ([(BRANCH, [Operand(A, USE)], [0]), GO], [1, 3]),
        ([END], []),
        edits={(2, 0): [[Move(1, 2, B)]]},
    )
    assert "reads v129 in 2, which holds v130" in said


def test_where_paths_meet_only_what_all_agree_on_is_known() -> None:
    for other in (1, 2):
        said = judge(
            ([make(A, 0), make(B, 4), (BRANCH, [Operand(A, USE)], [0]), GO], [1, 2]),
            ([GO], [3]),
            ([GO], [3]),
            ([use(B, 1), END], []),
            edits={(1, 0): [[Move(4, 1, B)]], (2, 0): [[Move(4, other, B)]]},
        )
        assert (said == "") == (other == 1)


def test_a_move_behind_a_branch_is_refused() -> None:
    said = judge(
        ([make(A, 0), (BRANCH, [Operand(A, USE)], [0]), GO], [1, 2]),
        ([use(A, 1), END], []),
        ([END], []),
        edits={(0, 2): [[Move(0, 1, A)]]},
    )
    assert "behind the block's first branch" in said


# --- random damage --------------------------------------------------------------------------


def damage(random: Random, function: MachineFunction, allocation: Allocation) -> str:
    """Break something somewhere; returns what, '' if there was nothing of the kind."""
    edits = allocation.edits
    groups = [group for key in sorted(edits) for group in edits[key]]
    instructions = [i for block in function.blocks for i in block.instructions if i.allocation]
    places = sorted(
        {p for i in instructions for p in i.allocation or () if p < 63}
        | {m.destination for group in groups for m in group}
    )
    kind = random.choice(
        ("operand", "destination", "source", "drop move", "drop group", "split group", "reverse",
         "postpone", "swap")
    )  # fmt: skip
    if kind == "operand" and instructions:
        found = random.choice(instructions)
        assert found.allocation is not None
        found.allocation[random.randrange(len(found.allocation))] = random.choice(places)
        return kind
    if not groups:
        return ""
    group = random.choice(groups)
    if not group:
        return ""
    move = random.choice(group)
    if kind == "destination":
        move.destination = random.choice(places)
    elif kind == "source":
        if move.rematerialise:
            return ""
        move.source = random.choice(places)
    elif kind == "swap":
        other = random.choice(group)
        move.destination, other.destination = other.destination, move.destination
    elif kind == "drop move":
        group.remove(move)
    else:
        key = random.choice(sorted(edits))
        if kind == "drop group":
            edits[key].pop(random.randrange(len(edits[key])))
            if not edits[key]:
                del edits[key]
        elif kind == "split group":
            for every in edits:
                edits[every] = [[one] for group in edits[every] for one in group]
        elif kind == "reverse":
            edits[key].reverse()
        elif kind == "postpone":
            block, index = key
            edits[block, index + 1] = edits.pop(key) + edits.get((block, index + 1), [])
    return kind


def runs_the_same(function: MachineFunction, allocation: Allocation, machine: Machine) -> bool:
    try:
        return run_allocated(function, allocation, machine) == run_virtual(function)
    except (InternalError, AssertionError, KeyError):
        return False  # it cannot be run at all


@pytest.mark.parametrize("name", MACHINES)
def test_damage_that_shows_when_run_is_refused(name: str) -> None:
    machine = MACHINES[name]
    random = Random(name)
    shown = dict.fromkeys(
        ("operand", "destination", "source", "drop move", "drop group", "split group", "postpone",
         "swap"), 0
    )  # fmt: skip
    for seed in range(400):
        function = random_function(seed, machine, 8, 8)
        allocation = allocate(function, machine.file)
        kind = damage(random, function, allocation)
        if not kind or runs_the_same(function, allocation, machine):
            continue
        shown[kind] = shown.get(kind, 0) + 1
        with pytest.raises(InternalError, match="allocation of random is wrong"):
            check(function, allocation, machine.file)
    assert min(shown.values()) > 0, shown  # each kind did harm somewhere
