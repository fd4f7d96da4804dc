"""Branches that do not reach their targets, found among many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from callproof.link.columns import Columns, sections_with
from callproof.link.places import KNOWN, LEFT_OUT, Places
from callproof.object.model import Relocation

if TYPE_CHECKING:
    from callproof.link.layout import Layout


def far_rows(
    layout: Layout, columns: Columns, types: Iterable[str], reach: int
) -> dict[int, list[Relocation]]:
    """Relocations of some types in kept sections whose S + A is not within `reach` of their
    places, or may not be, by the ids of the sections."""
    places = Places(layout, columns)
    wanted = columns.table_of_types(types)
    found: dict[int, list[Relocation]] = {}
    for file in columns.files:
        address, state, _ = places.symbols(file)
        rows = np.flatnonzero(wanted[file.rows["type"]])
        symbols, addends = file.rows["symbol"][rows], file.rows["addend"][rows]
        owners = columns.row_sections(file)[rows]
        place = places.address[owners] + file.rows["offset"][rows].astype(np.int64)
        distance = address[symbols] - place + addends
        is_near = (distance >= -reach) & (distance < reach) & (np.abs(addends) < 1 << 60)
        is_near &= state[symbols] == KNOWN
        is_far = np.zeros(len(file.rows), np.bool_)
        is_far[rows[~is_near & (state[symbols] != LEFT_OUT)]] = True
        for section, numbers in sections_with(file, is_far):
            if id(section) in layout.resolved.live:
                found[id(section)] = section.decoded(numbers)
        file.forget()
    return found
