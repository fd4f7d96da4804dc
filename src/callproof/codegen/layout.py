"""The order of finished blocks: what runs rarely stands last.

Rare are blocks that end in a trap, and of two ways that meet again the one with a call, if
the other has none: the call costs more than the jump back, and the short way, which had to
jump over it, falls through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callproof.codegen.machine import MachineBlock
from callproof.codegen.target import Line

if TYPE_CHECKING:
    from callproof.codegen.emit import EmittedBlock


SHORT = 2  # instructions before a return that are repeated where a jump would lead to them


def rare_last(blocks: list[EmittedBlock]) -> list[EmittedBlock]:
    """The blocks with the rare ones behind the others, otherwise in their order."""
    incoming: dict[int, int] = {}
    for emitted in blocks:
        for line in emitted.branches:
            index = _leads_to(line).index
            incoming[index] = incoming.get(index, 0) + 1
    calling = {
        emitted.block.index: any(
            line.form.control in ("call", "indirect_call") for line in emitted.lines
        )
        for emitted in blocks
    }
    only_way = {
        emitted.block.index: _leads_to(emitted.branches[0]).index
        for emitted in blocks
        if len(emitted.branches) == 1 and emitted.lines[-1].form.control == "jump"
    }
    rare = {
        emitted.block.index
        for emitted in blocks[1:]
        if emitted.lines and emitted.lines[-1].form.control == "trap"
    }
    for position, emitted in enumerate(blocks):
        if len(emitted.branches) != 2:
            continue
        for slow, quick in _both(emitted.branches):
            meeting = only_way.get(slow)
            if (
                calling[slow]
                and not calling[quick]
                and incoming[slow] == incoming[quick] == 1
                and meeting is not None
                and only_way.get(quick) == meeting
                # Else the slow way is not between the quick one and where they meet.
                and [b.block.index for b in blocks[position + 1 : position + 4]]
                == [quick, slow, meeting]
            ):
                rare.add(slow)
    if not rare:
        return blocks
    return [b for b in blocks if b.block.index not in rare] + [
        b for b in blocks if b.block.index in rare
    ]


def _both(branches: Sequence[Line]) -> list[tuple[int, int]]:
    first, second = (_leads_to(line).index for line in branches)
    return [(first, second), (second, first)]


def _leads_to(line: Line) -> MachineBlock:
    block = line.arguments[-1]
    assert isinstance(block, MachineBlock)
    return block


def repeat_returns(blocks: list[EmittedBlock], longest: int = SHORT) -> bool:
    """Replace jumps to short returns by their instructions; at most `longest` before the
    return itself.  Whether there were any."""
    short = {
        emitted.block.index: emitted.lines
        for emitted in blocks
        if len(emitted.lines) <= longest + 1
        and not emitted.branches
        and emitted.lines
        and emitted.lines[-1].form.control == "return"
    }
    changed = False
    if not short:
        return changed
    for position, emitted in enumerate(blocks):
        if not emitted.lines or emitted.lines[-1].form.control != "jump":
            continue
        index = _leads_to(emitted.lines[-1]).index
        following = blocks[position + 1].block.index if position + 1 < len(blocks) else -1
        if index not in short or index == following:
            continue
        emitted.lines[-1:] = [
            Line(line.form, line.arguments, line.reference, line.comment, line.line)
            for line in short[index]
        ]
        emitted.branches.pop()
        changed = True
    return changed


__all__ = ["rare_last", "repeat_returns"]
