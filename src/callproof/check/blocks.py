"""Basic blocks as lists of operations, with what is plain put together.

Most instructions only read registers and write others.  A run of them becomes one
operation with the registers that it reads before writing them, and those that it writes,
so that going over a block again costs little.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from callproof.check.functions import Code
from callproof.target.arm64.effects import (
    CALL,
    FIRST_CONTROL,
    PLAIN,
    Effect,
    effect_of,
)

LONGEST_BLOCK = 4096  # instructions; a longer one is cut

Operation = tuple[int, int, int, int, Effect | None]
"""(kind, address, registers read first, registers written, effect; None for a run)."""

_UNREADABLE = effect_of(0xFFFFFFFF)


@dataclass(slots=True)
class Block:
    """Instructions from `start` up to `end`; control leaves by the last operation, if that
    is a branch, or goes on at `end`."""

    start: int
    end: int
    operations: list[Operation] = field(default_factory=list)
    instructions: int = 0


def instruction_at(code: Code, address: int) -> Effect:
    """The effect of the instruction at an address; unknown where there is none."""
    word = code.image.word(address)
    return _UNREADABLE if word is None else effect_of(word)


def make_block(code: Code, start: int) -> Block:
    """The block that starts at an address; empty if no code is there."""
    image = code.image
    region = image.code_at(start)
    block = Block(start, start)
    if region is None or start % 4 or region.address % 4:
        return block
    leaders = code.leaders
    words, base = region.words, region.address
    end = min(region.end - 3, start + 4 * LONGEST_BLOCK)
    operations = block.operations
    first = exposed = written = 0
    address = start
    while address < end:
        effect = effect_of(words[(address - base) >> 2])
        kind = effect.kind
        if kind == PLAIN and not effect.merges:
            if not first:
                first = address
                exposed = written = 0
            exposed |= effect.reads & ~written
            written |= effect.writes
        else:
            if first:
                operations.append((PLAIN, first, exposed, written, None))
                first = 0
            operations.append((kind, address, effect.reads, effect.writes, effect))
        address += 4
        if kind == CALL and code.ends_at(address):
            break  # what follows is only padding before the next function
        if (kind >= FIRST_CONTROL and kind != CALL and not _goes_on(kind)) or address in leaders:
            break
    if first:
        operations.append((PLAIN, first, exposed, written, None))
    block.end = address
    block.instructions = (address - start) >> 2
    return block


def _goes_on(kind: int) -> bool:
    """Calls stay inside a block."""
    return kind == CALL or kind == CALL + 1
