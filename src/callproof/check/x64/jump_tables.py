"""Where our compiler's jumps through tables lead.

    leaq table(%rip), start; movslq (start, index, 4), distance; leaq (start, distance), place
    jmp *place

with other instructions between them.  The table's size is that of its symbol; each entry is
the distance of an instruction of the function from the table's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callproof.check.image import Image

if TYPE_CHECKING:
    from callproof.check.x64.code import Instruction

ENTRY = 4  # bytes
MOST_BETWEEN = 32  # instructions that are looked at for each of the three
WORDS = 2  # log2 of an entry's size, as an index is scaled


def sizes_of_data(image: Image) -> dict[int, int]:
    return {label.address: label.size for label in image.labels if label.kind == "object"}


def _written(listing: Sequence[Instruction], before: int, register: int) -> int | None:
    """The last instruction that writes a register: its index."""
    for index in range(before - 1, max(before - 1 - MOST_BETWEEN, -1), -1):
        if register in listing[index].effect.writes:
            return index
    return None


def _arguments(instruction: Instruction, name: str) -> Sequence[int] | None:
    """The arguments behind the result, if it is an instruction of that name."""
    decoded = instruction.decoded
    return decoded.arguments[1:] if instruction.effect.name == name else None


def targets_of(
    image: Image,
    sizes: dict[int, int],
    listing: Sequence[Instruction],
    jump: int,
    start: int,
    end: int,
) -> list[int]:
    """The targets of the jump with that index in a function from `start` to `end`.

    Empty if it is no jump through a table.
    """
    at = _written(listing, jump, listing[jump].decoded.arguments[0])
    place = None if at is None else _arguments(listing[at], "lea_q")
    if at is None or place is None or len(place) != 4 or tuple(place[2:]) != (0, 0):
        return []
    base, distance = place[:2]
    loaded_at = _written(listing, at, distance)
    loaded = None if loaded_at is None else _arguments(listing[loaded_at], "movslq_m")
    if loaded_at is None or loaded is None or len(loaded) != 4 or loaded[0] != base:
        return []
    made_at = _written(listing, loaded_at, base)
    if made_at is None or tuple(loaded[2:]) != (WORDS, 0):
        return []
    symbol = _arguments(listing[made_at], "lea_q")
    if symbol is None or len(symbol) != 1:
        return []
    table = listing[made_at].end + symbol[0]
    size = sizes.get(table, 0)
    data = image.read(table, size) if size and size % ENTRY == 0 else None
    if data is None:
        return []
    places = {one.address for one in listing}
    found = set()
    for offset in range(0, size, ENTRY):
        target = table + int.from_bytes(data[offset : offset + ENTRY], "little", signed=True)
        if not start <= target < end or target not in places:
            return []
        found.add(target)
    return sorted(found)


__all__ = ["sizes_of_data", "targets_of"]
