"""Where sections and symbols are, in columns: addresses by the numbers of sections and symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from callproof.link.columns import IFUNC, Columns
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

FARTHEST = 1 << 60  # values and addends from here on are left to arithmetic without bounds
OFFSET_BITS = 41  # of an offset in a merged section
# What is known of S.
KNOWN, ODD, LEFT_OUT, IN_PARTS = range(4)
# Where a section is: nowhere; at its address; thread-local; parts of it in another one.
NOWHERE, PLACED, THREAD, MOVED = range(4)
SECTION_KIND = 3


class Places:
    """Where the sections of the link are, by their numbers.

    address    of sections that have one; `state` says which
    offset     in the image, of those whose rows are done here: `source` is 1, or 2 for what is
               not loaded, as debug information
    """

    __slots__ = (
        "_known",
        "address",
        "columns",
        "layout",
        "limit",
        "moved",
        "offset",
        "source",
        "state",
    )

    def __init__(self, layout: Layout, columns: Columns) -> None:
        self.layout = layout
        self.columns = columns
        self._known: dict[int, tuple[int, int]] = {}  # what `_meaning` gave
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

    def symbols(self, file: ColumnObject) -> Symbols:
        """For each symbol of an object S, what is known of it, and the section it lies in.

        Of IN_PARTS, a section's symbol, S is the offset in the section.
        """
        table = file.table
        last = len(self.state) - 1
        first = file.sections[0].number if file.sections else 0
        homes = np.where(file.homes >= 0, file.homes + first, last).astype(np.int64)
        value = table["value"].astype(np.int64)
        where = self.state[homes]
        address = self.address[homes] + value
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
            at, is_there = self.moved.at(homes[chosen], np.where(is_odd, 0, value[chosen]))
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
        pairs = enumerate(zip(self.columns.meanings(file), file.outer, strict=True), first_outer)
        others = [at for at, (meaning, symbol) in pairs if meaning is not symbol]
        others += (np.flatnonzero(state[first_outer:] == ODD) + first_outer).tolist()
        if TLS_QUERY.encode() in file.strings:
            names = enumerate(file.outer, first_outer)
            others += [at for at, symbol in names if symbol.name == TLS_QUERY]
        for number in others:
            symbol = file.outer[number - first_outer]
            address[number], state[number] = self._outer(symbol)
            meaning = self.layout.resolved.meaning(symbol)
            home = None if meaning is None else meaning.section
            homes[number] = last if home is None else home.number
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
