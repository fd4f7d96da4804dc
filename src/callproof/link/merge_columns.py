"""Which parts of merged sections are referred to, found for many relocations at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from callproof.link.columns import SPECIAL, Columns
from callproof.object.columns import ColumnObject, ColumnSection
from callproof.object.model import Relocation

if TYPE_CHECKING:
    from callproof.link.merge import Pieces

SECTION_KIND = 3
FARTHEST = 1 << 40  # bytes; beyond, offsets are looked at one by one


def mark(columns: Columns, found: dict[int, Pieces], live: set[int]) -> dict[int, list[Relocation]]:
    """Note what rows of kept sections refer to; the relocations that are to be looked at one
    by one, by the ids of the sections that they stand in."""
    every = columns.sections
    merged = np.array([id(one) in found for one in every] + [True, False])  # SPECIAL, NOTHING
    kept = np.array([id(one) in live for one in every], np.bool_)
    left: dict[int, list[Relocation]] = {}
    for file in columns.files:
        targets = columns.targets(file)
        owners = columns.row_sections(file)
        rows = np.flatnonzero(merged[targets] & kept[owners])
        if not len(rows):
            continue
        targets = targets[rows]
        values, is_section = _values(file, columns)
        symbols = file.rows["symbol"][rows]
        addends = file.rows["addend"][rows]
        offsets = values[symbols] + np.where(is_section[symbols], addends, 0)
        is_odd = (targets == SPECIAL) | (np.abs(addends) > FARTHEST)
        is_odd |= (offsets < 0) | (offsets > FARTHEST)
        for number in np.unique(targets[~is_odd]).tolist():
            pieces = found[id(every[number])]
            mine = np.flatnonzero((targets == number) & ~is_odd)
            is_beyond = offsets[mine] > len(pieces.section.data)
            is_odd[mine[is_beyond]] = True
            mine = mine[~is_beyond]
            numbers = np.searchsorted(pieces.starts, offsets[mine], "right") - 1
            pieces.used.update(np.unique(numbers).tolist())
        for row in rows[is_odd].tolist():
            section = every[int(owners[row])]
            assert isinstance(section, ColumnSection)
            relocation = section.decoded([row - section.first])
            left.setdefault(id(section), []).extend(relocation)
    return left


def _values(file: ColumnObject, columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of what each symbol means: its value, and whether it is a section's symbol."""
    table = file.table
    values = np.minimum(table["value"], FARTHEST + 1).astype(np.int64)
    is_section = table["info"] & 15 == SECTION_KIND
    first = file.first_outer
    meanings = columns.meanings(file)
    values[first:] = [0 if one is None else min(one.value, FARTHEST + 1) for one in meanings]
    is_section[first:] = [one is not None and one.kind == "section" for one in meanings]
    return values, is_section
