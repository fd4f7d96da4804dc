"""What each line of finished code is for, as `locate.py` wants to know it."""

from __future__ import annotations

from callproof.codegen.target import Line

MOVES, FIRST, FURTHER, BEHIND, LEAVING = range(5)
"""Phases of an instruction's lines: the moves before it, its first line and the others, what
follows it (at the entry the prologue), and the epilogue before it with the return itself."""
BLURRED = 32  # lines within which two may become one: more than any target looks at

Mark = tuple[Line, int, int, int]
"""A line, its block, its instruction's index in it, and its phase."""


def marked(
    block: int, index: int, lines: list[Line], sizes: tuple[int, int, int, int]
) -> list[Mark]:
    """The lines of an instruction: so many moves, of the epilogue, its own, behind it."""
    moves, leaving, own, behind = sizes
    phases = [MOVES] * moves + [LEAVING] * leaving
    if leaving:
        phases += [LEAVING] * own
    else:
        phases += [FIRST] * min(own, 1) + [FURTHER] * (own - 1)
    phases += [BEHIND] * behind
    return [(line, block, index, phase) for line, phase in zip(lines, phases, strict=True)]


def repeat_marks(marks: list[Mark], blurred: set[int], copies: list[tuple[Line, Line]]) -> None:
    """A copied line is for what its original is for; a copy may be copied again."""
    known = {id(line): (block, index, phase) for line, block, index, phase in marks}
    for line, copy in copies:
        mark = known.get(id(line))
        if mark is not None:
            known[id(copy)] = mark
            marks.append((copy, *mark))
        if id(line) in blurred:
            blurred.add(id(copy))


def blurred_lines(lines: list[Line], improved: list[Line]) -> set[int]:
    """Ids of lines at which a register or the frame may have its next value already, or its
    last one still: those between two that became one."""
    before = {id(line): index for index, line in enumerate(lines)}
    kept = {id(line) for line in improved}
    gone = [index for index, line in enumerate(lines) if id(line) not in kept]
    found: set[int] = set()
    place = 0  # where the last line was that there was before
    until = -1
    for line in improved:
        index = before.get(id(line))
        if index is None:
            # Nothing is moved over a call or a branch.
            behind = range(place + 1, len(lines))
            end = next((at for at in behind if lines[at].form.control), len(lines))
            last = min(end, place + BLURRED)
            until = max(until, max((one for one in gone if place <= one <= last), default=-1))
            continue
        place = index
        if index <= until:
            found.add(id(line))
    return found
