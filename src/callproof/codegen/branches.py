"""Branches of finished code: led straight to where they go, left out, made to reach."""

from __future__ import annotations

from callproof.codegen.emitted import EmittedBlock
from callproof.codegen.machine import MachineBlock
from callproof.codegen.target import Line, Target


def branches(lines: list[Line]) -> list[Line]:
    """Lines with labels, and jumps through tables: they stand last."""
    found = []
    for line in reversed(lines):
        if not line.form.control:
            break
        arguments = line.arguments
        if (arguments and type(arguments[-1]) is MachineBlock) or line.table is not None:
            found.append(line)
    found.reverse()
    return found


def _label(line: Line) -> MachineBlock | None:
    """The block that a branch leads to: labels are always the last argument."""
    if line.arguments:
        last = line.arguments[-1]
        if isinstance(last, MachineBlock):
            return last
    return None


def _retarget(line: Line, block: MachineBlock) -> None:
    line.arguments = (*line.arguments[:-1], block)


def forward_empty_blocks(blocks: list[EmittedBlock]) -> None:
    """Lead branches to a block that only jumps on straight to where it jumps."""
    forwards: dict[int, MachineBlock] = {}
    for emitted in blocks:
        if len(emitted.lines) == 1 and emitted.lines[0].form.control == "jump":
            label = _label(emitted.lines[0])
            if label is not None:
                forwards[emitted.block.index] = label

    def destination(block: MachineBlock) -> MachineBlock:
        seen = {block.index}
        while block.index in forwards and forwards[block.index].index not in seen:
            block = forwards[block.index]
            seen.add(block.index)
        return block

    if not forwards:
        return
    for emitted in blocks:
        for line in emitted.branches:
            label = _label(line)
            if label is not None and label.index in forwards:
                _retarget(line, destination(label))
            if line.table is not None:
                line.table.blocks = [destination(block) for block in line.table.blocks]


def fall_through(blocks: list[EmittedBlock], target: Target) -> None:
    """Drop jumps to the next block; turn a branch round where that lets its jump drop."""
    for position, emitted in enumerate(blocks):
        lines = emitted.lines
        if position + 1 == len(blocks) or not lines or lines[-1].form.control != "jump":
            continue
        following = blocks[position + 1].block
        otherwise = _label(lines[-1])
        if otherwise is following:
            lines.pop()
            emitted.branches.pop()
            continue
        if len(lines) >= 2 and lines[-2].form.control == "branch":
            branch = lines[-2]
            if _label(branch) is following and otherwise is not None:
                inverted = target.shapes.invert(branch)
                _retarget(inverted, otherwise)
                lines[-2:] = [inverted]
                emitted.branches[-2:] = [inverted]


def _measure(emitted: EmittedBlock) -> None:
    """Set sizes; those of some instructions depend on their operands, but no label's distance."""
    total = 0
    for line in emitted.lines:
        form = line.form
        size = line.size = form.size or form.measure(line.arguments)  # type: ignore[misc,arg-type]
        total += size
    emitted.size = total


NEAR = 1 << 14  # bytes: where instructions have one size, each branch reaches as far


def relax(blocks: list[EmittedBlock], target: Target) -> None:
    """Set the blocks' offsets; branches that do not reach become longer ones.

    Where there is no longer one, a jump is put behind the opposite branch.  Nothing ever
    gets shorter again, so this ends.
    """
    shapes = target.shapes
    if target.instruction_size:
        offset = 0
        for emitted in blocks:
            emitted.offset = offset
            offset += target.instruction_size * len(emitted.lines)
        if offset < NEAR:
            return
    for emitted in blocks:
        _measure(emitted)
    while True:
        offset = 0
        for emitted in blocks:
            emitted.offset = offset
            offset += emitted.size
        offsets = {emitted.block.index: emitted.offset for emitted in blocks}
        too_far = False
        for position, emitted in enumerate(blocks):
            end = emitted.offset + emitted.size
            lines = reversed(emitted.lines)
            for line in reversed(emitted.branches):
                before = 0  # of the instructions from the branch on
                for one in lines:
                    before += one.size
                    if one is line:
                        break
                end -= before
                label = _label(line)
                if label is None:
                    continue
                distance = offsets[label.index] - end
                if shapes.lengthen(line, distance):
                    emitted.size += line.form.size - line.size
                    line.size = line.form.size
                    too_far = True
                    continue
                if line.form.control != "branch":
                    continue
                # A margin for what this round itself inserts between the two.
                if -shapes.reach(line) + 4096 <= distance < shapes.reach(line) - 4096:
                    continue
                too_far = True
                index = next(i for i, one in enumerate(emitted.lines) if one is line)
                _branch_far(blocks, position, index, label, target)
                break
        if not too_far:
            return


def _branch_far(
    blocks: list[EmittedBlock], position: int, index: int, label: MachineBlock, target: Target
) -> None:
    """`b.c far` becomes `b.!c next; b far; next:`; what follows moves into a block of its own."""
    emitted = blocks[position]
    rest = MachineBlock(f"{emitted.block.name}.far", 1 + max(b.block.index for b in blocks))
    inverted = target.shapes.invert(emitted.lines[index])
    _retarget(inverted, rest)
    tail = emitted.lines[index + 1 :]
    emitted.lines[index:] = [inverted, target.shapes.jump(label)]
    emitted.branches = branches(emitted.lines)
    following = EmittedBlock(rest, tail, branches(tail))
    _measure(emitted)
    _measure(following)
    blocks.insert(position + 1, following)


__all__ = ["branches", "fall_through", "forward_empty_blocks", "relax"]
