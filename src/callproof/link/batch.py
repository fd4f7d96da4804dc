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

from callproof.link.columns import IFUNC, Columns
from callproof.link.mapping import forget
from callproof.link.resolve import TLS_QUERY
from callproof.object import elf_format as elf
from callproof.object.columns import ColumnObject, ColumnSection
from callproof.object.model import Symbol

if TYPE_CHECKING:
    from callproof.link.layout import Layout, Piece

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
# For each symbol of an object: S, what is known of it, the number of the section it lies in.
Symbols = tuple[Longs, NDArray[np.uint8], Longs]

CHUNK = 1 << 16  # rows that are looked at together, about
FARTHEST = 1 << 60  # values and addends from here on are left to arithmetic without bounds
OFFSET_BITS = 41  # of an offset in a merged section
# What is known of S.
KNOWN, ODD, LEFT_OUT, IN_PARTS = range(4)
# Where a section is: nowhere; at its address; thread-local; parts of it in another one.
NOWHERE, PLACED, THREAD, MOVED = range(4)
SECTION_KIND = 3
ENDS_LIST = (".debug_ranges", ".debug_loc")


class Places:
    """Where the sections of the link are, by their numbers.

    address    of sections that have one; `state` says which
    offset     in the image, of those whose rows are done here: `source` is 1, or 2 for what is
               not loaded, as debug information
    """

    __slots__ = ("address", "columns", "layout", "limit", "moved", "offset", "source", "state")

    def __init__(self, layout: Layout, columns: Columns) -> None:
        self.layout = layout
        self.columns = columns
        count = len(columns.sections)
        self.address = np.zeros(count + 1, np.int64)
        self.offset = np.zeros(count + 1, np.int64)
        self.limit = np.zeros(count + 1, np.int64)
        self.source = np.zeros(count + 1, np.uint8)
        self.state = np.zeros(count + 1, np.uint8)
        resolved, places = layout.resolved, layout.places
        found = [places.get(id(section)) for section in columns.sections]
        self.address[:-1] = [0 if piece is None else piece.address for piece in found]
        self.state[:-1] = [NOWHERE if piece is None else PLACED for piece in found]
        for section in columns.sections:
            if section.kind in ("tdata", "tbss"):
                self.state[section.number] = THREAD
        self.moved = Moved()
        for number in np.flatnonzero(self.state[:-1] == NOWHERE).tolist():
            moved = resolved.moved.get(id(columns.sections[number]))
            if moved is not None:
                self.state[number] = MOVED
                base = places[id(moved.section)].address
                self.moved.add(number, moved.starts, moved.places, base)
        self.moved.finish()

    def take(self, piece: Piece, distance: int) -> bool:
        """Whether the piece is one whose contents and rows come from columns.

        `distance`: from its address to its offset in the image.
        """
        section = piece.section
        if not isinstance(section, ColumnSection) or not section.is_raw or section.start < 0:
            return False
        number = section.number
        self.offset[number] = piece.address + distance
        self.limit[number] = piece.size
        self.source[number] = 2 if section.kind in ("debug", "other") else 1
        return True

    def view(self, piece: Piece) -> memoryview:
        """The part of the image of one that was taken."""
        assert self.layout.image is not None
        start = int(self.offset[piece.section.number])
        return self.layout.image[start : start + piece.size]


class Moved:
    """Offsets in sections whose parts went elsewhere: `Resolved.moved`, as one sorted table."""

    __slots__ = ("_bases", "_keys", "_numbers", "_places", "bases", "keys", "numbers", "places")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._bases: list[int] = []
        self._keys: list[Longs] = []
        self._places: list[Longs] = []
        self.numbers = self.bases = self.keys = self.places = np.zeros(0, np.int64)

    def add(self, number: int, starts: list[int], places: list[int | None], base: int) -> None:
        rank = len(self._numbers)
        self._numbers.append(number)
        self._bases.append(base)
        self._keys.append(np.array(starts, np.int64) + (rank << OFFSET_BITS))
        self._places.append(np.array([-1 if one is None else one for one in places], np.int64))

    def finish(self) -> None:
        if self._numbers:
            self.numbers = np.array(self._numbers, np.int64)  # ascending
            self.bases = np.array(self._bases, np.int64)
            self.keys, self.places = np.concatenate(self._keys), np.concatenate(self._places)
        self._keys, self._places = [], []

    def at(self, numbers: Longs, offsets: Longs) -> tuple[Longs, Flags]:
        """The addresses of bytes of moved sections, and which of them there are.

        Offsets are from 0 to 1 << 40.
        """
        ranks = np.searchsorted(self.numbers, numbers)
        wanted = (ranks << OFFSET_BITS) + offsets
        found = np.searchsorted(self.keys, wanted, "right") - 1
        is_there = (found >= 0) & (self.keys[found] >> OFFSET_BITS == ranks)
        is_there &= self.places[found] >= 0
        return self.bases[ranks] + self.places[found] + wanted - self.keys[found], is_there


class Rules:
    """What a machine's types ask for, by their numbers; `relocate_columns` fills them.

    extent    bytes of the field
    size      the same; 0 for a type that is left to the `Relocator`
    is_data   whether it is data, so that in debug information it may be of what was left out
    lead      bytes before the field that may be rewritten with it
    ordered   whether it is of a sequence: all of its section is done in order
    """

    __slots__ = ("extent", "is_data", "lead", "ordered", "size")

    def __init__(self, machine: str) -> None:
        count = max(elf.RELOCATION_NAMES[machine]) + 1
        self.extent = np.full(count, 4, np.int64)
        self.size = np.zeros(count, np.int64)
        self.lead = np.zeros(count, np.int64)
        self.is_data = np.zeros(count, np.bool_)
        self.ordered = np.zeros(count, np.bool_)

    def fields(self, words: Words, type_: int, value: Longs, place: Longs, at: Longs) -> Flags:
        """Fill the fields of one type, `at` these offsets of the image, but for those that the
        result has False for.  `value` is S + A."""
        raise NotImplementedError


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

    def put(self, at: Longs, size: int, values: Longs) -> None:
        self.of[size][at] = values.astype(f"<u{size}")


class Batch:
    """All rows of the link."""

    __slots__ = ("_known", "ends_list", "layout", "places", "rules", "words")

    def __init__(self, layout: Layout, places: Places, rules: Rules) -> None:
        assert layout.image is not None
        self.layout = layout
        self.places = places
        self.rules = rules
        self.words = Words(layout.image)
        self._known: dict[int, tuple[int, int]] = {}
        every = places.columns.sections
        self.ends_list = np.array([*(one.name in ENDS_LIST for one in every), False])

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
                symbols = [self._symbols(file)]
                for start in range(0, len(file.rows), CHUNK):
                    self._chunk([file], symbols, left, start)
                continue
            chunk.append(file)
            rows += len(file.rows)
            if rows >= CHUNK:
                self._chunk(chunk, [self._symbols(one) for one in chunk], left)
                chunk, rows = [], 0
        if rows:
            self._chunk(chunk, [self._symbols(one) for one in chunk], left)
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
        first, end = (max(start - 1, 0), start + CHUNK) if start >= 0 else (0, 2 * CHUNK)
        rows = _joined(files, places.columns, first, end)
        # What is kept, without R_*_NONE.
        rows.choose((places.source[rows.owner] != 0) & (rows.type != 0))
        ordered = self._in_order(rows)
        for number in np.flatnonzero(ordered).tolist():
            left[number] = None
        if start > 0:
            rows.choose(rows.at >= start)  # the first one was done; it showed what is in order
        if not len(rows.type):
            return
        size = rules.size[rows.type]
        is_loaded = places.source[rows.owner] == 1
        is_left = ordered[rows.owner] | (size == 0)
        is_left |= rows.offset + size > places.limit[rows.owner]
        is_left |= (rows.addend > FARTHEST) | (rows.addend < -FARTHEST)
        address, state = _addresses(symbols, places.moved, rows, is_left)
        is_left |= state == ODD
        is_out = state == LEFT_OUT
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
                ends = self.ends_list[rows.owner[chosen]].astype(np.int64)
                self.words.put(at[chosen], int(rules.size[type_]), ends)
        _leave(places.columns, rows, is_left, left)
        for file in files:
            forget(file.view)

    def _in_order(self, rows: _Rows) -> Flags:
        """Which sections, by number, are to be done row by row."""
        ordered = np.zeros(len(self.places.state), np.bool_)
        ordered[rows.owner[self.rules.ordered[rows.type]]] = True
        ends = rows.offset[:-1] + self.rules.extent[rows.type[:-1]]
        starts = rows.offset[1:] - self.rules.lead[rows.type[1:]]
        is_close = (rows.owner[1:] == rows.owner[:-1]) & (starts < ends)
        ordered[rows.owner[1:][is_close]] = True
        return ordered

    def _symbols(self, file: ColumnObject) -> Symbols:
        """For each symbol of an object S, what is known of it, and the section it lies in.

        Of IN_PARTS, a section's symbol, S is the offset in the section.
        """
        places, table = self.places, file.table
        last = len(places.state) - 1
        first = file.sections[0].number if file.sections else 0
        homes = np.where(file.homes >= 0, file.homes + first, last).astype(np.int64)
        value = table["value"].astype(np.int64)
        where = places.state[homes]
        address = places.address[homes] + value
        state = np.full(len(table), LEFT_OUT, np.uint8)
        state[where == PLACED] = KNOWN
        state[where == THREAD] = ODD
        kind = table["info"] & 15
        moved = where == MOVED
        if moved.any():
            parts = moved & (kind == SECTION_KIND)
            state[parts] = IN_PARTS
            address[parts] = value[parts]
            chosen = np.flatnonzero(moved & ~parts)
            is_odd = value[chosen] >= 1 << 40
            at, is_there = places.moved.at(homes[chosen], np.where(is_odd, 0, value[chosen]))
            address[chosen] = at
            state[chosen] = np.where(is_there, KNOWN, LEFT_OUT)
            state[chosen[is_odd]] = ODD
        nowhere = file.homes < 0
        address[nowhere] = value[nowhere]
        state[nowhere] = KNOWN  # absolute, or the symbol without a name, which is 0
        section = table["section"]
        undefined = (section == elf.SHN_UNDEF) & (table["name"] != 0)
        for special in elf.COMMONS:
            undefined |= section == special
        state[undefined | (kind == IFUNC) | (np.abs(value) > FARTHEST)] = ODD
        # Those of which another object's definition counts, and common ones, which have a
        # section of the linker's.
        first_outer = file.first_outer
        pairs = enumerate(zip(places.columns.meanings(file), file.outer, strict=True), first_outer)
        others = [at for at, (meaning, symbol) in pairs if meaning is not symbol]
        others += (np.flatnonzero(state[first_outer:] == ODD) + first_outer).tolist()
        if TLS_QUERY.encode() in file.strings:
            names = enumerate(file.outer, first_outer)
            others += [at for at, symbol in names if symbol.name == TLS_QUERY]
        for at in others:
            address[at], state[at] = self._outer(file.outer[at - first_outer])
        return address, state, homes

    def _outer(self, symbol: Symbol) -> tuple[int, int]:
        """S of a symbol that is not local, and what is known of it."""
        meaning = self.layout.resolved.meaning(symbol)
        if meaning is None or symbol.name == TLS_QUERY:
            return 0, ODD
        found = self._known.get(id(meaning))
        if found is None:
            found = self._known[id(meaning)] = self._meaning(meaning)
        return found

    def _meaning(self, meaning: Symbol) -> tuple[int, int]:
        resolved, section = self.layout.resolved, meaning.section
        if resolved.imported(meaning) is not None:
            return 0, ODD
        if section is not None and section.kind in ("tdata", "tbss"):
            return 0, ODD
        if meaning.kind == "section" and id(section) in resolved.moved:
            return 0, ODD
        address = self.layout.address_of(meaning)
        if address is None:
            return 0, LEFT_OUT
        return (address, KNOWN) if abs(address) < FARTHEST else (0, ODD)


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


__all__ = ["Batch", "Places", "Rules", "Words"]
