"""Which blocks need the function's frame, so that the others do without.

The frame is made at the start of one block, outside of loops, that dominates all blocks
that need it, and given up where no such block can follow: at a return, or on an edge.
Edges have a place for that, as none is critical: the end of their first block or the start
of their second.  Between a comparison and its branch nothing is put, so it may change flags.

A block needs the frame if it calls, touches the stack or a register that the frame saves.
"""

from __future__ import annotations

from dataclasses import dataclass

from callproof.codegen.flow import Flow
from callproof.codegen.intervals import IN_MEMORY
from callproof.codegen.machine import (
    Allocation,
    FrameReference,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    RegisterFile,
)


@dataclass(slots=True)
class Wrapping:
    """start    index of the block at whose start the frame is made
    inside   whether a block has the frame, by index
    leave    blocks at whose end the frame is given up, besides those that return
    left     blocks at whose start it is given up
    """

    start: int
    inside: list[bool]
    leave: set[int]
    left: set[int]


def wrap(
    function: MachineFunction,
    allocation: Allocation,
    registers: RegisterFile,
    known_flow: Flow | None = None,
) -> Wrapping | None:
    """Where the frame is needed; None if it is made at the entry, for the whole function."""
    blocks = function.blocks
    if len(blocks) == 1:
        return None
    saved = registers.callee_saved
    with_edits: dict[int, list[tuple[int, int]]] = {}
    for key in allocation.edits:
        with_edits.setdefault(key[0], []).append(key)

    def needs(block: MachineBlock) -> bool:
        keys = with_edits.get(block.index, ())
        return any(_needs(instruction, saved) for instruction in block.instructions) or any(
            _moved(allocation, key, saved) for key in keys
        )

    if needs(blocks[0]):
        return None
    wanted = [block.index for block in blocks if needs(block)]
    if not wanted:
        return None  # the frame is empty, or nothing is in it
    flow = known_flow or Flow(function)
    start = outside_of_loops(flow, wanted)
    if start == 0 or not skipped(function, flow, start):
        return None
    inside = [False] * len(blocks)
    pending = wanted
    while pending:
        index = pending.pop()
        if not inside[index]:
            inside[index] = True
            if index != start:
                pending += flow.predecessors[index]
    if any(inside[predecessor] for predecessor in flow.predecessors[start]):
        return None  # a cycle that is no loop
    found = Wrapping(start, inside, set(), set())
    for block in blocks:
        if not inside[block.index]:
            continue
        for successor in block.successors:
            if not inside[successor.index]:
                if len(block.successors) == 1:
                    found.leave.add(block.index)
                else:
                    found.left.add(successor.index)
    return found


def outside_of_loops(flow: Flow, wanted: list[int]) -> int:
    """The block nearest to all of these that dominates them and is in no loop."""
    start = wanted[0]
    for other in wanted[1:]:
        while start != other:
            if start > other:
                start = flow.idom[start]
            else:
                other = flow.idom[other]
    while flow.header[start] >= 0:
        header = flow.header[start]
        while flow.outer[header] >= 0:
            header = flow.outer[header]
        start = flow.idom[header]
    return start


def skipped(function: MachineFunction, flow: Flow, start: int) -> bool:
    """Whether the function can return without coming by a block."""
    return any(
        block.instructions[-1].form.control == "return" and not flow.dominates(start, block.index)
        for block in function.blocks
    )


def _needs(instruction: MachineInstruction, saved: int) -> bool:
    if instruction.is_call:
        return True
    places = instruction.allocation or ()
    if places and places[0] == IN_MEMORY:
        return False  # left out
    for place in places:
        if place < 0 or saved >> place & 1:
            return True
    return any(isinstance(value, FrameReference) for value in instruction.immediates)


def _moved(allocation: Allocation, key: tuple[int, int], saved: int) -> bool:
    for group in allocation.edits[key]:
        for move in group:
            place = move.destination
            if place < 0 or saved >> place & 1:
                return True
            if move.rematerialise is None:
                if move.source < 0 or saved >> move.source & 1:
                    return True
            elif _needs(move.rematerialise, saved):
                return True
    return False
