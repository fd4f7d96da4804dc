"""Relocation of objects with columns: many rows at once, by type.

Most rows put S + A, or S + A - P, into a field, and S is the same for all rows of a symbol.
These are done here by vector operations (`rules` has them by machine).  A row that is rarer
than that, or whose value does not fit, is left to the `Relocator`, which looks at one
relocation at a time and tells what is wrong: `run` gives the numbers of those rows.

Rows are left, too, where they would have to be done in order: all rows of a section of which
some overlap, or some are of a sequence of instructions that is rewritten as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from callproof.link.columns import Columns
from callproof.link.places import (
    FARTHEST,
    IN_PARTS,
    KNOWN,
    LEFT_OUT,
    ODD,
    Flags,
    Longs,
    Moved,
    Places,
    Symbols,
)
from callproof.link.tombstones import RANGES, tombstone
from callproof.object import elf_format as elf
from callproof.object.columns import ColumnObject, ColumnSection

if TYPE_CHECKING:
    from callproof.link.layout import Layout


CHUNK = 1 << 16  # rows that are looked at together, about
BEFORE = 16  # rows of the chunk before that are looked at, too
LINES = ".debug_line"


class Rules:
    """What a machine's types ask for, by their numbers; `relocate_columns` fills them.

    extent    bytes of the field
    size      the same; 0 for a type that is left to the `Relocator`
    is_data   whether it is data, so that in debug information it may be of what was left out
    relative  whether it holds the distance from its place
    ranges    the least value of a field of data, and the first that is too large
    lead      bytes before the field that may be rewritten with it
    ordered   whether it is of a sequence: all of its section is done in order
    """

    __slots__ = ("extent", "is_data", "lead", "ordered", "ranges", "relative", "size")

    def __init__(self, machine: str) -> None:
        count = max(elf.RELOCATION_NAMES[machine]) + 1
        self.extent = np.full(count, 4, np.int64)
        self.size = np.zeros(count, np.int64)
        self.lead = np.zeros(count, np.int64)
        self.is_data = np.zeros(count, np.bool_)
        self.relative = np.zeros(count, np.bool_)
        self.ordered = np.zeros(count, np.bool_)
        self.ranges: dict[int, tuple[int, int]] = {}

    def fields(self, words: Words, type_: int, value: Longs, place: Longs, at: Longs) -> Flags:
        """Fill the fields of one type, `at` these offsets of the image, but for those that the
        result has False for.  `value` is S + A.  Here of data: whole bytes."""
        size = int(self.size[type_])
        if self.relative[type_]:
            value = value - place
        if size == 8:
            words.put(at, size, value)
            return np.ones(len(at), np.bool_)
        low, high = self.ranges[type_]
        fits = (value >= low) & (value < high)
        if fits.all():
            words.put(at, size, value)
        else:
            words.put(at[fits], size, value[fits])
        return fits


class Words:
    """An image as words of each size, at any offset."""

    __slots__ = ("of",)

    def __init__(self, image: memoryview) -> None:
        self.of: dict[int, NDArray[np.unsignedinteger]] = {
            size: np.ndarray((max(len(image) - size + 1, 0),), f"<u{size}", image, strides=(1,))
            for size in (1, 2, 4, 8)
        }

    def get(self, at: Longs) -> Longs:
        """Words of 4 bytes."""
        return self.of[4][at].astype(np.int64)

    def put(self, at: Longs, size: int, values: Longs | NDArray[np.uint64]) -> None:
        self.of[size][at] = values.astype(f"<u{size}")


class Batch:
    """All rows of the link."""

    __slots__ = ("folded", "is_line", "is_range", "layout", "places", "rules", "tombs", "words")

    def __init__(self, layout: Layout, places: Places, rules: Rules) -> None:
        assert layout.image is not None
        self.layout = layout
        self.places = places
        self.rules = rules
        self.words = Words(layout.image)
        every = places.columns.sections
        # What stands for an address that is not in the program, by the section that has it.
        self.tombs = np.zeros(len(every) + 1, np.uint64)
        self.tombs[:-1] = [tombstone(one, 8) for one in every]
        # Of these all is left where something is not in the program.
        self.is_range = np.array([*(one.name == RANGES for one in every), False])
        self.is_line = np.array([*(one.name == LINES for one in every), False])
        folded = layout.resolved.folded
        self.folded = np.array([*(id(one) in folded for one in every), False]) if folded else None

    def run(self) -> dict[int, list[int] | None]:
        """Copy the contents of all sections with columns, and do their rows.

        Gives what is left to be done, by the number of the section: the numbers of rows in it,
        or None for all of them.
        """
        left: dict[int, list[int] | None] = {}
        chunk: list[ColumnObject] = []
        rows = 0
        for file in self.places.columns.files:
            self._copy(file)
            if len(file.rows) > 2 * CHUNK:
                symbols = [self.places.symbols(file)]
                for start in range(0, len(file.rows), CHUNK):
                    self._chunk([file], symbols, left, start)
                continue
            chunk.append(file)
            rows += len(file.rows)
            if rows >= CHUNK:
                self._chunk(chunk, [self.places.symbols(one) for one in chunk], left)
                chunk, rows = [], 0
        if rows:
            self._chunk(chunk, [self.places.symbols(one) for one in chunk], left)
        return left

    def _copy(self, file: ColumnObject) -> None:
        image, view = self.layout.image, file.view
        assert image is not None
        if not file.sections:
            return
        first = file.sections[0].number
        end = first + len(file.sections)
        chosen = np.flatnonzero(self.places.source[first:end])
        offsets = self.places.offset[first + chosen].tolist()
        for index, offset in zip(chosen.tolist(), offsets, strict=True):
            section = file.sections[index]
            assert isinstance(section, ColumnSection)
            start, size = section.start, section.size
            image[offset : offset + size] = view[start : start + size]

    def _chunk(
        self,
        files: list[ColumnObject],
        symbols: list[Symbols],
        left: dict[int, list[int] | None],
        start: int = -1,
    ) -> None:
        """The rows of some objects, or of one large object a chunk from the row `start` on."""
        places, rules = self.places, self.rules
        first, end = (max(start - BEFORE, 0), start + CHUNK) if start >= 0 else (0, 2 * CHUNK)
        rows = _joined(files, places.columns, first, end)
        # What is kept, without R_*_NONE.
        rows.choose((places.source[rows.owner] != 0) & (rows.type != 0))
        ordered = self._in_order(rows)
        if start > 0:
            rows.choose(rows.at >= start)  # what is before was done; it showed what is in order
        size = rules.size[rows.type]
        is_loaded = places.source[rows.owner] == 1
        is_left = ordered[rows.owner] | (size == 0)
        is_left |= rows.offset + size > places.limit[rows.owner]
        is_left |= (rows.addend > FARTHEST) | (rows.addend < -FARTHEST)
        address, state = _addresses(symbols, places.moved, rows, is_left)
        is_left |= state == ODD
        is_out = state == LEFT_OUT
        if self.folded is not None:
            # Debug information of a function that became another one, but for its lines.
            homes = np.concatenate([one[2] for one in symbols])[rows.symbol]
            is_out |= self.folded[homes] & ~is_loaded & ~self.is_line[rows.owner]
        ranges = np.unique(rows.owner[is_out & self.is_range[rows.owner]])
        if len(ranges):
            ordered[ranges] = True
            is_left |= ordered[rows.owner]
        for number in np.flatnonzero(ordered).tolist():
            left[number] = None
        is_left |= is_out & (is_loaded | ~rules.is_data[rows.type])
        value = address + rows.addend
        place = places.address[rows.owner] + rows.offset
        at = places.offset[rows.owner] + rows.offset
        types = np.bincount(rows.type[~is_left], minlength=1)
        for type_ in np.flatnonzero(types).tolist():
            mine = ~is_left & (rows.type == type_)
            chosen = np.flatnonzero(mine & ~is_out)
            fits = rules.fields(self.words, type_, value[chosen], place[chosen], at[chosen])
            is_left[chosen[~fits]] = True
            # Debug information about code that was left out.
            chosen = np.flatnonzero(mine & is_out)
            if len(chosen):
                is_address = rules.size[type_] == 8 and not rules.relative[type_]
                tombs = self.tombs[rows.owner[chosen]] * np.uint64(is_address)
                self.words.put(at[chosen], int(rules.size[type_]), tombs)
        _leave(places.columns, rows, is_left, left)
        for file in files:
            file.forget()

    def _in_order(self, rows: _Rows) -> Flags:
        """Which sections, by number, are to be done row by row."""
        ordered = np.zeros(len(self.places.state), np.bool_)
        ordered[rows.owner[self.rules.ordered[rows.type]]] = True
        ends = rows.offset[:-1] + self.rules.extent[rows.type[:-1]]
        starts = rows.offset[1:] - self.rules.lead[rows.type[1:]]
        is_close = (rows.owner[1:] == rows.owner[:-1]) & (starts < ends)
        ordered[rows.owner[1:][is_close]] = True
        return ordered


class _Rows:
    """Columns of rows: `owner` is the number of the section a row stands in, `at` its own in the
    file, `symbol` the place of its symbol among those of all the chunk's objects."""

    __slots__ = ("addend", "at", "offset", "owner", "symbol", "type")

    addend: Longs
    at: Longs
    offset: Longs
    owner: Longs
    symbol: Longs
    type: Longs

    def choose(self, chosen: Flags) -> None:
        if not chosen.all():
            for name in self.__slots__:
                setattr(self, name, getattr(self, name)[chosen])


def _joined(files: list[ColumnObject], columns: Columns, start: int, end: int) -> _Rows:
    """The rows of some objects; of each those from `start` on and before `end`."""
    rows = _Rows()
    tables = [file.rows[start:end] for file in files]
    rows.offset = np.concatenate([one["offset"] for one in tables]).astype(np.int64)
    rows.type = np.concatenate([one["type"] for one in tables]).astype(np.int64)
    rows.addend = np.concatenate([one["addend"] for one in tables])
    owners = [columns.row_sections(file)[start:end] for file in files]
    rows.owner = np.concatenate(owners).astype(np.int64)
    rows.at = np.concatenate([np.arange(start, start + len(one)) for one in tables])
    symbols, base = [], 0
    for file, table in zip(files, tables, strict=True):
        symbols.append(table["symbol"].astype(np.int64) + base)
        base += len(file.table)
    rows.symbol = np.concatenate(symbols)
    return rows


def _addresses(
    symbols: list[Symbols], moved: Moved, rows: _Rows, is_left: Flags
) -> tuple[Longs, NDArray[np.uint8]]:
    """S of each row, and what is known of it: never IN_PARTS, which is settled here."""
    address = np.concatenate([one[0] for one in symbols])[rows.symbol]
    state = np.concatenate([one[1] for one in symbols])[rows.symbol]
    chosen = np.flatnonzero((state == IN_PARTS) & ~is_left)
    if len(chosen):
        # The addend tells which part of the section is meant, and parts move alone.
        homes = np.concatenate([one[2] for one in symbols])[rows.symbol[chosen]]
        addends = rows.addend[chosen]
        offsets = address[chosen] + addends
        is_odd = (offsets < 0) | (offsets >= 1 << 40)
        found, is_there = moved.at(homes, np.where(is_odd, 0, offsets))
        address[chosen] = found - addends
        state[chosen] = np.where(is_there, KNOWN, LEFT_OUT)
        state[chosen[is_odd]] = ODD
    return address, state


def _leave(
    columns: Columns, rows: _Rows, is_left: Flags, left: dict[int, list[int] | None]
) -> None:
    """Note the numbers, in their sections, of the rows that are left."""
    chosen = np.flatnonzero(is_left)
    places = rows.at[chosen].tolist()
    for owner, at in zip(rows.owner[chosen].tolist(), places, strict=True):
        found = left.setdefault(owner, [])
        if found is not None:
            section = columns.sections[owner]
            assert isinstance(section, ColumnSection)
            found.append(at - section.first)
