"""Rows of the symbol table for objects with columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from callproof.link.places import MOVED, PLACED, THREAD, Flags, Longs, Places
from callproof.object import elf_format as elf
from callproof.object.columns import ColumnObject
from callproof.object.elf_columns import SYMBOLS, table_of
from callproof.object.model import ObjectFile

if TYPE_CHECKING:
    from callproof.link.symbol_table import Rows

SECTION, FILE, TLS = 3, 4, 6
NOT_LISTED = table_of([SECTION, FILE], 16)
# Bindings of objects as those of a program: there is only one definition of a unique one.
BINDINGS = np.zeros(16, np.uint8)
BINDINGS[list(elf.BINDINGS)] = [elf.BINDING_NUMBERS[name] for name in elf.BINDINGS.values()]


def add_columns(rows: Rows, places: Places) -> Callable[[ObjectFile], None]:
    """What adds the symbols of an object: those of one with columns without objects of them."""
    sections = places.columns.sections
    # By the number of a section: that of its output section, 0 where it is in none.
    outputs = np.array([*(rows.numbers.get(id(one), 0) for one in sections), 0], np.int64)
    adder = _Adder(rows, places, outputs)

    def add(file: ObjectFile) -> None:
        if isinstance(file, ColumnObject) and file.is_raw and not file.has_choices:
            adder.add(file)
            file.forget()
        else:
            rows.add(file)

    return add


class _Adder:
    __slots__ = ("outputs", "places", "rows")

    def __init__(self, rows: Rows, places: Places, outputs: Longs) -> None:
        self.rows = rows
        self.places = places
        self.outputs = outputs

    def add(self, file: ColumnObject) -> None:
        table, places = file.table, self.places
        last = len(places.state) - 1
        first = file.sections[0].number if file.sections else 0
        homes = np.where(file.homes >= 0, file.homes + first, last)
        state, number = places.state[homes], self.outputs[homes]
        address = places.address[homes] + table["value"].astype(np.int64)
        kind = table["info"] & 15
        section = table["section"]
        is_absolute = (file.homes < 0) & (section != elf.SHN_UNDEF)
        for common in elf.COMMONS:
            is_absolute &= section != common
        number[is_absolute] = elf.SHN_ABS
        address[is_absolute] = table["value"][is_absolute]
        is_listed = (table["name"] != 0) & ~NOT_LISTED[kind]
        is_plain = (number != 0) & (is_absolute | (state == PLACED)) & (kind != TLS)
        # Parts of merged sections, thread-locals: one by one.
        is_odd = (state == THREAD) | (state == MOVED) | (kind == TLS)
        outer = file.first_outer
        wanted = np.flatnonzero((is_listed & (is_plain | is_odd))[:outer])
        names = table["name"][wanted].tolist()
        strings, text, end_of = self.rows.strings, file.strings, file.strings.find
        chosen: list[int] = []
        named: list[int] = []
        odd = set(np.flatnonzero(is_odd).tolist())
        for index, at in zip(wanted.tolist(), names, strict=True):
            raw = text[at : end_of(b"\0", at)]
            if not raw or raw.startswith(b".L"):
                continue
            if index in odd:
                self.flush(file, chosen, named, address, number)
                self.rows.add_symbol(file.symbol(index))
                continue
            chosen.append(index)
            named.append(strings.add(raw.decode("utf-8", "surrogateescape")))
        self.flush(file, chosen, named, address, number)
        self.add_outer(file, is_listed, is_plain, address, number)

    def add_outer(
        self,
        file: ColumnObject,
        is_listed: Flags,
        is_plain: Flags,
        address: Longs,
        number: Longs,
    ) -> None:
        """Symbols that are not local, if they are what their names mean."""
        rows, resolved = self.rows, self.rows.layout.resolved
        names, hidden, strings = resolved.names, resolved.hidden, rows.strings
        first = file.first_outer
        chosen: list[int] = []
        named: list[int] = []
        shown = zip(file.outer, is_listed[first:].tolist(), is_plain[first:].tolist(), strict=True)
        for index, (symbol, listed, plain) in enumerate(shown, first):
            name = symbol.name
            if not listed or (symbol.section is None and not symbol.absolute):
                continue
            if not plain or name in hidden or not name or name.startswith(".L"):
                self.flush(file, chosen, named, address, number)
                rows.add_symbol(symbol)
                continue
            found = names.get(name)
            if found is not None and found.symbol is symbol:
                chosen.append(index)
                named.append(strings.add(name))
        self.flush(file, chosen, named, address, number)

    def flush(
        self,
        file: ColumnObject,
        chosen: list[int],
        named: list[int],
        address: Longs,
        number: Longs,
    ) -> None:
        """Add the rows of the chosen symbols, all local or all not, and forget these."""
        if not chosen:
            return
        table = file.table[chosen]
        out = np.zeros(len(chosen), SYMBOLS)
        out["name"] = named
        binding = BINDINGS[table["info"] >> 4]
        out["info"] = binding << 4 | table["info"] & 15
        out["section"] = number[chosen]
        out["value"] = address[chosen]
        out["size"] = table["size"]
        (self.rows.others if binding[0] else self.rows.locals).append(out.tobytes())
        chosen.clear()
        named.clear()
