"""The order of blocks: what runs rarely stands last.

Rare are blocks that end in a trap, and of two ways that meet again the one with a call, if
the other has none: the call costs more than the jump back, and the short way, which had to
jump over it, falls through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.machine import MachineBlock, MachineFunction
from callproof.codegen.target import Line

if TYPE_CHECKING:
    from callproof.codegen.emit import EmittedBlock


SHORT = 2  # instructions before a return that are repeated where a jump would lead to them


def put_rare_last(function: MachineFunction) -> None:
    """Move rare blocks behind the others, before allocation.

    So a value that is in a register on the short way stays there: what the call makes
    necessary is done around the call, where it stands.
    """
    blocks = function.blocks
    if len(blocks) == 1:
        return
    incoming = [0] * len(blocks)
    for block in blocks:
        for successor in block.successors:
            incoming[successor.index] += 1
    found = False
    for block in blocks:
        if block.instructions[-1].form.control == "trap" and block.index:
            block.rare = found = True
        if len(block.successors) != 2:
            continue
        for slow, quick in (block.successors, block.successors[::-1]):
            if (
                len(slow.successors) == 1 == len(quick.successors)
                and slow.successors[0] is quick.successors[0]
                and incoming[slow.index] == 1 == incoming[quick.index]
                and (len(quick.instructions) > 1 or quick.arguments)
                and any(i.is_call for i in slow.instructions)
                and not any(i.is_call for i in quick.instructions)
            ):
                slow.rare = found = True
    if found:
        function.blocks = [b for b in blocks if not b.rare] + [b for b in blocks if b.rare]
        for index, block in enumerate(function.blocks):
            block.index = index


def reachable(blocks: list[EmittedBlock]) -> list[EmittedBlock]:
    """Without the blocks that nothing leads to; no block falls through as yet."""
    by_index = {emitted.block.index: emitted for emitted in blocks}
    seen = {blocks[0].block.index}
    pending = [blocks[0]]
    while pending:
        for line in pending.pop().branches:
            for block in _targets(line):
                if block.index not in seen:
                    seen.add(block.index)
                    pending.append(by_index[block.index])
    return [emitted for emitted in blocks if emitted.block.index in seen]


def _targets(line: Line) -> list[MachineBlock]:
    """Where a branch, or a jump through a table, leads."""
    return line.table.blocks if line.table is not None else [_leads_to(line)]


def _leads_to(line: Line) -> MachineBlock:
    block = line.arguments[-1]
    assert isinstance(block, MachineBlock)
    return block


def repeat_returns(blocks: list[EmittedBlock]) -> list[tuple[Line, Line]]:
    """Replace jumps to short returns by their instructions: each copied line, and its copy.

    A return is short with at most `SHORT` instructions before it."""
    short = {
        emitted.block.index: emitted.lines
        for emitted in blocks
        if len(emitted.lines) <= SHORT + 1
        and not emitted.branches
        and emitted.lines
        and emitted.lines[-1].form.control == "return"
    }
    made: list[tuple[Line, Line]] = []
    if not short:
        return made
    for position, emitted in enumerate(blocks):
        if not emitted.lines or emitted.lines[-1].form.control != "jump":
            continue
        index = _leads_to(emitted.lines[-1]).index
        following = blocks[position + 1].block.index if position + 1 < len(blocks) else -1
        # A branch to the next block is turned round: then it leads where the jump does.
        leads = {block.index for line in emitted.branches for block in _targets(line)}
        if index not in short or following in leads:
            continue
        copies = [
            (line, Line(line.form, line.arguments, line.reference, line.comment, line.line))
            for line in short[index]
        ]
        emitted.lines[-1:] = [copy for _, copy in copies]
        emitted.branches.pop()
        made += copies
    return made


__all__ = ["put_rare_last", "reachable", "repeat_returns"]
