"""Relocations of objects that are read as columns, seen as a link sees them: by numbers.

Every section of the link has a number (`Section.number`).  For each row of a relocation
table there is the number of the section that it refers to (`Targets`), so that reaching
sections and finding rows of certain types go without objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from callproof.object import elf_format as elf
from callproof.object.columns import ColumnObject, ColumnSection
from callproof.object.elf_columns import table_of
from callproof.object.model import Relocation, Symbol

if TYPE_CHECKING:
    from callproof.link.resolve import Resolved

NOTHING, SPECIAL = -1, -2  # instead of a section's number
NOT_LOADED = frozenset(("debug", "other"))
IFUNC = 10
TLS_QUERY = "__tls_get_addr"
BOUNDS = ("__start_", "__stop_")

Numbers = NDArray[np.int32]


class Columns:
    """The objects with rows, and all sections by number.

    reasons  of a section that a row reached: the numbers of the section and of the row in it
    """

    __slots__ = ("_targets", "files", "reasons", "resolved", "sections")

    def __init__(self, resolved: Resolved) -> None:
        self.resolved = resolved
        self.files = [file for file in resolved.files if isinstance(file, ColumnObject)]
        self.sections = [section for file in resolved.files for section in file.sections]
        self.sections += resolved.commons
        for number, section in enumerate(self.sections):
            section.number = number
        self.reasons: dict[int, tuple[int, int]] = {}
        self._targets: dict[int, Numbers] = {}

    def targets(self, file: ColumnObject) -> Numbers:
        """For each row of the object the section it refers to; SPECIAL where it takes a look at
        the symbol, NOTHING where no loaded section is meant."""
        found = self._targets.get(id(file))
        if found is None:
            of_symbols = self.symbol_targets(file)
            found = self._targets[id(file)] = of_symbols[file.rows["symbol"]]
            file.forget()
        return found

    def symbol_targets(self, file: ColumnObject) -> Numbers:
        first = file.sections[0].number if file.sections else 0
        loaded = np.array([one.kind not in NOT_LOADED for one in file.sections] + [False])
        homes = file.homes
        targets = np.where(loaded[homes], homes + first, NOTHING).astype(np.int32)
        if file.has_choices:
            targets[file.table["info"] & 15 == IFUNC] = SPECIAL
        targets[file.first_outer :] = [
            _target(meaning, symbol)
            for meaning, symbol in zip(self.meanings(file), file.outer, strict=True)
        ]
        return targets

    def meanings(self, file: ColumnObject) -> Sequence[Symbol | None]:
        """What the symbols that are not local mean."""
        resolved = self.resolved
        if resolved.wrapped or resolved.entries:
            return [resolved.meaning(symbol) for symbol in file.outer]
        get = resolved.names.get
        found = [get(symbol.name) for symbol in file.outer]
        return [None if one is None else one.symbol for one in found]

    def row_sections(self, file: ColumnObject) -> Numbers:
        """For each row the number of the section it stands in."""
        numbers = np.array([one.number for one in file.relocated], np.int32)
        return np.repeat(numbers, [one.count for one in file.relocated])

    def forget_targets(self) -> None:
        """When sections were made or moved, or nobody asks again."""
        self._targets.clear()

    def table_of_types(self, types: Iterable[str]) -> NDArray[np.bool_]:
        """Which numbers of types are among some."""
        known = elf.RELOCATION_NAMES[self.resolved.machine]
        numbers = elf.RELOCATION_NUMBERS[self.resolved.machine]
        return table_of([numbers[name] for name in types if name in numbers], max(known) + 1)

    def rows_of_types(
        self, types: Iterable[str], *, unusual: bool = False
    ) -> dict[int, list[Relocation]]:
        """The relocations of some types in kept sections, by the ids of the sections.

        `unusual`: also those of any type whose symbols are not places in the program.
        """
        live, wanted = self.resolved.live, self.table_of_types(types)
        found = {}
        for file in self.files:
            chosen = wanted[file.rows["type"]]
            if unusual:
                chosen |= self.unusual_symbols(file)[file.rows["symbol"]]
            for section, rows in sections_with(file, chosen):
                if id(section) in live and section.is_raw:
                    found[id(section)] = section.decoded(rows)
            file.forget()
        return found

    def unusual_symbols(self, file: ColumnObject) -> NDArray[np.bool_]:
        """Which symbols mean nothing, something absolute, something of a shared library, or
        what is asked for a thread-local's address."""
        imported = self.resolved.imported
        unusual: NDArray[np.bool_] = file.homes < 0
        unusual[file.first_outer :] = [
            one is None or one.section is None or one.name == TLS_QUERY or bool(imported(one))
            for one in self.meanings(file)
        ]
        return unusual


def sections_with(
    file: ColumnObject, chosen: NDArray[np.bool_]
) -> Iterator[tuple[ColumnSection, list[int]]]:
    """The sections that chosen rows stand in, with the numbers of these in each."""
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return
    firsts = np.array([one.first for one in file.relocated])
    owners = np.searchsorted(firsts, rows, "right") - 1
    edges = np.flatnonzero(np.diff(owners, prepend=-1, append=len(firsts))).tolist()
    for start, end in pairwise(edges):
        section = file.relocated[owners[start]]
        yield section, (rows[start:end] - section.first).tolist()


def _target(meaning: Symbol | None, symbol: Symbol) -> int:
    if meaning is None:
        return SPECIAL if symbol.name.startswith(BOUNDS) else NOTHING
    section = meaning.section
    if section is None:
        return NOTHING
    if meaning.kind == "ifunc":
        return SPECIAL
    return section.number if section.kind not in NOT_LOADED else NOTHING


def make_columns(resolved: Resolved) -> Columns | None:
    """None if no object has rows."""
    if any(isinstance(file, ColumnObject) for file in resolved.files):
        return Columns(resolved)
    return None
