"""The allocation checker must notice: sound allocations, each broken on purpose in one way.

The function under test keeps values of both files across calls, spills, passes
arguments in a cycle, loops, and makes constants again.  Every way of breaking its
allocation is tried at every place where it applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from tests.support.execute import run_image

from callproof.codegen.allocate import allocate
from callproof.codegen.allocation_check import check
from callproof.codegen.backend import compile_module, prepare
from callproof.codegen.emit import emit
from callproof.codegen.machine import (
    ANY,
    DEF,
    FIRST_VIRTUAL,
    USE,
    Allocation,
    MachineFunction,
    MachineInstruction,
    Move,
)
from callproof.codegen.objects import build_object
from callproof.codegen.select import select
from callproof.ir.parse import parse_module
from callproof.ir.text import print_module
from callproof.link import LinkOptions, link_bytes
from callproof.source import InternalError
from callproof.target import by_name

TARGET = by_name("aarch64-linux")
MANY = 14  # more values than preserved registers: some are in memory across the calls

TEXTS = {
    "pressure": "function @f(a: i64, b: i64, d: f64) -> i64 {\n"
    "^e(%a: i64, %b: i64, %d: f64):\n"
    + "".join(f"  %v{i} = add i64 %a, {i + 1}\n" for i in range(MANY))
    + "  %c = call @g(%b, %a)\n  %limit = and i64 %c, 3\n  jump ^l(%limit, %b)\n"
    "^l(%i: i64, %j: i64):\n  %n = add i64 %i, -1\n  %k = call @g(%j, 77777)\n"
    "  %more = sgt i64 %n, 0\n  branch %more, ^m, ^o\n^m:\n  jump ^l(%n, %i)\n^o:\n"
    "  %t0 = ftosi i64 %d\n"
    + "".join(f"  %t{i + 1} = add i64 %t{i}, %v{i}\n" for i in range(MANY))
    + f"  %r = add i64 %t{MANY}, %k\n  return %r\n}}\n",
    "cycle": "function @f(a: i64, b: i64, d: f64) -> i64 {\n^e(%a: i64, %b: i64, %d: f64):\n"
    "  %r = call @g(%b, %a)\n  return %r\n}\n",
    "stack": "function @f(a: i64, b: i64, d: f64) -> i64 {\n^e(%a: i64, %b: i64, %d: f64):\n"
    "  %r = call @h(%a, %b, 3, 4, 5, 6, 7, 8, 9, 10)\n  return %r\n}\n"
    "function @h(a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64, j: i64)"
    " -> i64 {\n^e(%a: i64, %b: i64, %c: i64, %d: i64, %e: i64, %f: i64, %g: i64, %h: i64,"
    " %i: i64, %j: i64):\n"
    + "".join(f"  %v{i} = add i64 %a, {i + 1}\n" for i in range(MANY))
    + "  %s = add i64 %i, %j\n  %r = call @g(%s, %a)\n"
    "  %t0 = call @g(%r, %i)\n  %u = call @g(%j, %t0)\n"
    + "".join(f"  %t{i + 1} = add i64 %t{i}, %v{i}\n" for i in range(MANY))
    + f"  %v = add i64 %t{MANY}, %i\n  %w = sub i64 %v, %j\n  %x = add i64 %w, %u\n"
    "  return %x\n}\n",
}
G = (
    "function @g(x: i64, y: i64) -> i64 {\n^e(%x: i64, %y: i64):\n  %m = mul i64 %x, 31\n"
    "  %r = xor i64 %m, %y\n  return %r\n}\n"
    "function @main() -> i64 {\n^e:\n  %r = call @f(100, 7, f64 2.5)\n  return %r\n}\n"
)


class Subject:
    """A module of which the last function before `g` is allocated, to be broken and run."""

    def __init__(self, which: str) -> None:
        self.module = parse_module(TEXTS[which] + G)
        self.name = "h" if which == "stack" else "f"
        function = self.module.functions[self.name]
        prepare(function, TARGET)
        self.machine = select(self.module, function, TARGET)
        self.allocation = allocate(self.machine, TARGET.registers)
        check(self.machine, self.allocation, TARGET.registers)

    def result(self) -> int | str:
        """What the program computes with this allocation; the callees poison what they may."""
        rest = parse_module(print_module(self.module))
        compiled = compile_module(rest, TARGET, poison=True)
        try:
            broken = emit(self.machine, self.allocation, TARGET)
        except (InternalError, KeyError, ValueError) as error:
            return f"not emitted: {error}"
        names = [function.name for function in compiled.functions]
        compiled.functions[names.index(self.name)] = broken
        file = build_object(self.module, compiled.functions, compiled.pool, TARGET, "test")
        return run_image(link_bytes([file], LinkOptions(entry="main")))


Breaker = Callable[[MachineFunction, Allocation], Iterator[Callable[[], None]]]


def instructions(machine: MachineFunction) -> Iterator[MachineInstruction]:
    for block in machine.blocks:
        yield from block.instructions


def groups(allocation: Allocation) -> Iterator[list[Move]]:
    for key in sorted(allocation.edits):
        yield from allocation.edits[key]


def places(instruction: MachineInstruction) -> list[int]:
    assert instruction.allocation is not None
    return instruction.allocation


def wrong_use(machine: MachineFunction, allocation: Allocation) -> Iterator[Callable[[], None]]:
    """A use reads another register than its value is in."""
    for i in instructions(machine):
        for index, operand in enumerate(i.operands):
            if operand.role == USE and operand.register >= FIRST_VIRTUAL and operand.constraint < 0:
                place = places(i)[index]
                if 0 <= place < 32:
                    yield lambda q=i, n=index, r=place: places(q).__setitem__(n, (r + 1) % 16)  # type: ignore[misc]


def wrong_definition(
    machine: MachineFunction, allocation: Allocation
) -> Iterator[Callable[[], None]]:
    """A result is written to another register than its readers expect."""
    for i in instructions(machine):
        for index, operand in enumerate(i.operands):
            if operand.role == DEF and operand.constraint < 0 and not i.is_call:
                place = places(i)[index]
                if 0 <= place < 32:
                    yield lambda q=i, n=index, r=place: places(q).__setitem__(n, (r + 1) % 16)  # type: ignore[misc]


def dropped_move(machine: MachineFunction, allocation: Allocation) -> Iterator[Callable[[], None]]:
    for group in groups(allocation):
        for move in list(group):
            yield lambda g=group, m=move: g.remove(m)  # type: ignore[misc]


def dropped_group(machine: MachineFunction, allocation: Allocation) -> Iterator[Callable[[], None]]:
    for key in sorted(allocation.edits):
        yield lambda k=key: allocation.edits.pop(k)  # type: ignore[misc]


def sequential_moves(
    machine: MachineFunction, allocation: Allocation
) -> Iterator[Callable[[], None]]:
    """A cycle done one move after the other loses a value."""
    for key in sorted(allocation.edits):
        for group in allocation.edits[key]:
            sources = {move.source for move in group if move.rematerialise is None}
            destinations = {move.destination for move in group}
            cyclic = [m for m in group if m.source in destinations and m.destination in sources]
            if len(cyclic) >= 2:

                def split(k: tuple[int, int] = key, g: list[Move] = group) -> None:
                    at = allocation.edits[k].index(g)
                    allocation.edits[k][at : at + 1] = [[move] for move in g]

                yield split


def swapped_sources(
    machine: MachineFunction, allocation: Allocation
) -> Iterator[Callable[[], None]]:
    for group in groups(allocation):
        plain = [move for move in group if move.rematerialise is None]
        if len(plain) >= 2 and plain[0].source != plain[1].source:

            def swap(first: Move = plain[0], second: Move = plain[1]) -> None:
                first.source, second.source = second.source, first.source

            yield swap


def caller_saved_across_a_call(
    machine: MachineFunction, allocation: Allocation
) -> Iterator[Callable[[], None]]:
    """A preserved register replaced everywhere by one that calls change."""
    used = {place for i in instructions(machine) for place in places(i)}
    preserved = [r for r in range(19, 29) if r in used]
    for register in preserved:

        def replace(old: int = register) -> None:
            for i in instructions(machine):
                places(i)[:] = [15 if place == old else place for place in places(i)]
            for group in groups(allocation):
                for move in group:
                    move.source = 15 if move.source == old else move.source
                    move.destination = 15 if move.destination == old else move.destination

        yield replace


def wrong_slot(machine: MachineFunction, allocation: Allocation) -> Iterator[Callable[[], None]]:
    """A value is loaded from a slot that it was not stored to."""
    count = len(allocation.spill_slots)
    for group in groups(allocation):
        for move in group:
            if move.rematerialise is None and move.source < 0 and count > 1:
                yield lambda m=move: setattr(m, "source", ~((~m.source + 1) % count))  # type: ignore[misc]


def wrong_fixed_register(
    machine: MachineFunction, allocation: Allocation
) -> Iterator[Callable[[], None]]:
    """An argument stands in another register than the convention says."""
    for i in instructions(machine):
        fixed = [n for n, operand in enumerate(i.operands) if operand.constraint >= 0]
        if i.is_call and len(fixed) >= 2:

            def swap(q: MachineInstruction = i, a: int = fixed[0], b: int = fixed[1]) -> None:
                p = places(q)
                p[a], p[b] = p[b], p[a]

            yield swap


def wrong_constant(
    machine: MachineFunction, allocation: Allocation
) -> Iterator[Callable[[], None]]:
    """Another value's instruction is repeated."""
    made = list(machine.rematerialise.values())
    for group in groups(allocation):
        for move in group:
            others = [other for other in made if other is not move.rematerialise]
            if move.rematerialise is not None and others:
                yield lambda m=move, o=others[0]: setattr(m, "rematerialise", o)  # type: ignore[misc]


def swapped_block_arguments(
    machine: MachineFunction, allocation: Allocation
) -> Iterator[Callable[[], None]]:
    for block in machine.blocks:
        if len(block.arguments) >= 2 and block.arguments[0] != block.arguments[1]:
            yield lambda b=block: b.arguments.reverse()  # type: ignore[misc]


def spilled_register_operand(
    machine: MachineFunction, allocation: Allocation
) -> Iterator[Callable[[], None]]:
    """An operand that must be in a register is said to be in memory."""
    if not allocation.spill_slots:
        return
    for i in instructions(machine):
        for index, operand in enumerate(i.operands):
            if operand.register >= FIRST_VIRTUAL and operand.constraint < ANY:
                yield lambda q=i, n=index: places(q).__setitem__(n, ~0)  # type: ignore[misc]


def small_slot(machine: MachineFunction, allocation: Allocation) -> Iterator[Callable[[], None]]:
    for slot in allocation.spill_slots:
        yield lambda s=slot: setattr(s, "size", 4)  # type: ignore[misc]


def two_writes(machine: MachineFunction, allocation: Allocation) -> Iterator[Callable[[], None]]:
    """Two moves of one parallel group write one place."""
    for group in groups(allocation):
        if len(group) >= 2:
            yield lambda g=group: setattr(g[0], "destination", g[1].destination)  # type: ignore[misc]


BREAKERS: list[Breaker] = [
    wrong_use,
    wrong_definition,
    dropped_move,
    dropped_group,
    sequential_moves,
    swapped_sources,
    caller_saved_across_a_call,
    wrong_slot,
    wrong_fixed_register,
    wrong_constant,
    swapped_block_arguments,
    spilled_register_operand,
    small_slot,
    two_writes,
]


@pytest.mark.parametrize("breaker", BREAKERS, ids=lambda breaker: breaker.__name__)
def test_sabotage_is_noticed(breaker: Breaker) -> None:
    """What is not noticed must be harmless (a store that nothing reads): running shows that."""
    noticed = 0
    for which in TEXTS:
        sound = Subject(which)
        expected = sound.result()
        for number in range(sum(1 for _ in breaker(sound.machine, sound.allocation))):
            subject = Subject(which)
            sabotages = breaker(subject.machine, subject.allocation)
            next(islice(sabotages, number, None))()
            try:
                check(subject.machine, subject.allocation, TARGET.registers)
            except InternalError as error:
                assert f"allocation of {subject.name} is wrong" in str(error)
                noticed += 1
            else:
                assert subject.result() == expected, f"{which} {number} is wrong, unnoticed"
    assert noticed, "this way of breaking applies nowhere: the test would show nothing"
