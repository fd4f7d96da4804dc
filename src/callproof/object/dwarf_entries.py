"""Trees of debugging information entries, their abbreviations, and lists beside them.

Written are `.debug_info`, `.debug_abbrev`, `.debug_loclists` and `.debug_rnglists`
(DWARF 5, 7.5, 7.7.3, 7.25).  What an attribute's value may be depends on its form, which
is chosen by the value's class: see `Entry.add...`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import pack
from typing import TypeAlias

from callproof.object.dwarf_expressions import Expression
from callproof.object.leb128 import uleb
from callproof.object.model import Relocation, Section, Symbol

VERSION = 5
DW_UT_COMPILE = 1
FORM_ADDR, FORM_DATA8, FORM_STRING, FORM_UDATA = 0x01, 0x07, 0x08, 0x0F
FORM_REF4, FORM_SEC_OFFSET, FORM_EXPRLOC, FORM_FLAG_PRESENT = 0x13, 0x17, 0x18, 0x19
DW_LLE_END, DW_LLE_OFFSET_PAIR, DW_LLE_BASE = 0x00, 0x04, 0x06
DW_RLE_END, DW_RLE_OFFSET_PAIR, DW_RLE_BASE, DW_RLE_START_LENGTH = 0x00, 0x04, 0x05, 0x07
INFO, ABBREVIATIONS = ".debug_info", ".debug_abbrev"
LOCATIONS, RANGES, LINES = ".debug_loclists", ".debug_rnglists", ".debug_line"


@dataclass(slots=True)
class SymbolAt:
    """The address of a symbol, to be relocated."""

    symbol: Symbol


@dataclass(slots=True)
class SectionOffset:
    """An offset in another debug section."""

    section: str
    offset: int


Attribute: TypeAlias = "str | int | Expression | SymbolAt | SectionOffset | Entry"


@dataclass(slots=True, eq=False)
class Entry:
    """A debugging information entry: tag, attributes with their forms, children."""

    tag: int
    attributes: list[tuple[int, int, Attribute]] = field(default_factory=list)
    children: list[Entry] = field(default_factory=list)
    offset: int = -1

    def name(self, attribute: int, text: str) -> None:
        self.attributes.append((attribute, FORM_STRING, text))

    def number(self, attribute: int, value: int) -> None:
        self.attributes.append((attribute, FORM_UDATA, value))

    def size(self, attribute: int, value: int) -> None:
        """A number of eight bytes, as lengths of code are."""
        self.attributes.append((attribute, FORM_DATA8, value))

    def flag(self, attribute: int) -> None:
        self.attributes.append((attribute, FORM_FLAG_PRESENT, True))

    def address(self, attribute: int, symbol: Symbol) -> None:
        self.attributes.append((attribute, FORM_ADDR, SymbolAt(symbol)))

    def expression(self, attribute: int, value: Expression) -> None:
        self.attributes.append((attribute, FORM_EXPRLOC, value))

    def elsewhere(self, attribute: int, section: str, offset: int) -> None:
        self.attributes.append((attribute, FORM_SEC_OFFSET, SectionOffset(section, offset)))

    def refer(self, attribute: int, entry: Entry) -> None:
        self.attributes.append((attribute, FORM_REF4, entry))

    def child(self, tag: int) -> Entry:
        found = Entry(tag)
        self.children.append(found)
        return found


@dataclass(slots=True)
class Relocations:
    """The names of a machine's relocations of 8 and 4 bytes; `symbol` finds one by name."""

    address: str
    offset: str
    symbols: dict[str, Symbol]


class ListSection:
    """`.debug_loclists` or `.debug_rnglists`: lists are added, and referred to by offset."""

    HEADER = 12

    def __init__(self, name: str, machine: Relocations) -> None:
        self.name = name
        self.machine = machine
        self.body = bytearray()
        self.relocations: list[Relocation] = []

    def _symbol(self, symbol: Symbol) -> None:
        place = self.HEADER + len(self.body)
        self.relocations.append(Relocation(place, self.machine.address, symbol))
        self.body += bytes(8)

    def locations(self, function: Symbol, rows: list[tuple[int, int, Expression]]) -> int:
        """Rows (start, end, where) from the function's start; the list's offset."""
        start = self.HEADER + len(self.body)
        self.body.append(DW_LLE_BASE)
        self._symbol(function)
        for first, end, where in rows:
            self.body += bytes((DW_LLE_OFFSET_PAIR,)) + uleb(first) + uleb(end)
            self.body += uleb(len(where.data))
            self.relocations += _relocated(where, self.HEADER + len(self.body), self.machine)
            self.body += where.data
        self.body.append(DW_LLE_END)
        return start

    def ranges(self, function: Symbol, rows: list[tuple[int, int]]) -> int:
        """Ranges (start, end) from the function's start; the list's offset."""
        start = self.HEADER + len(self.body)
        self.body.append(DW_RLE_BASE)
        self._symbol(function)
        for first, end in rows:
            self.body += bytes((DW_RLE_OFFSET_PAIR,)) + uleb(first) + uleb(end)
        self.body.append(DW_RLE_END)
        return start

    def functions(self, rows: list[tuple[Symbol, int]]) -> int:
        """Functions with their sizes; the list's offset."""
        start = self.HEADER + len(self.body)
        for symbol, size in rows:
            self.body.append(DW_RLE_START_LENGTH)
            self._symbol(symbol)
            self.body += uleb(size)
        self.body.append(DW_RLE_END)
        return start

    def section(self) -> Section:
        header = pack("<IHBBI", 8 + len(self.body), VERSION, 8, 0, 0)
        data = header + bytes(self.body)
        return Section(self.name, "debug", data, relocations=self.relocations)


def _relocated(where: Expression, place: int, machine: Relocations) -> list[Relocation]:
    return [
        Relocation(place + at, machine.address, machine.symbols[name], addend)
        for at, name, addend in where.addresses
    ]


class _Writer:
    """`.debug_info` and `.debug_abbrev` of one unit."""

    HEADER = 12

    def __init__(self, machine: Relocations) -> None:
        self.machine = machine
        self.data = bytearray(self.HEADER)
        self.relocations: list[Relocation] = []
        self.abbreviations: dict[tuple[int, ...], int] = {}
        self.references: list[tuple[int, Entry]] = []

    def entry(self, entry: Entry) -> None:
        # Trees may be as deep as a program's blocks: no recursion.
        pending: list[Entry | None] = [entry]
        while pending:
            current = pending.pop()
            if current is None:
                self.data.append(0)
                continue
            self._one(current)
            if current.children:
                pending.append(None)
                pending += reversed(current.children)

    def _one(self, entry: Entry) -> None:
        entry.offset = len(self.data)
        shape = [entry.tag, int(bool(entry.children))]
        for attribute, form, _ in entry.attributes:
            shape += [attribute, form]
        number = self.abbreviations.setdefault(tuple(shape), len(self.abbreviations) + 1)
        self.data += uleb(number)
        for _, form, value in entry.attributes:
            self._value(form, value)

    def _value(self, form: int, value: Attribute) -> None:
        data = self.data
        if isinstance(value, str):
            data += value.encode(errors="replace").replace(b"\0", b"?") + b"\0"
        elif isinstance(value, Expression):
            data += uleb(len(value.data))
            self.relocations += _relocated(value, len(data), self.machine)
            data += value.data
        elif isinstance(value, SymbolAt):
            self.relocations.append(Relocation(len(data), self.machine.address, value.symbol))
            data += bytes(8)
        elif isinstance(value, SectionOffset):
            symbol = Symbol(value.section, kind="section")
            self.relocations.append(
                Relocation(len(data), self.machine.offset, symbol, value.offset)
            )
            data += bytes(4)
        elif isinstance(value, Entry):
            self.references.append((len(data), value))
            data += bytes(4)
        elif form == FORM_UDATA:
            assert isinstance(value, int)
            data += uleb(value)
        elif form == FORM_DATA8:
            assert isinstance(value, int)
            data += pack("<Q", value)
        else:
            assert form == FORM_FLAG_PRESENT

    def sections(self) -> list[Section]:
        data = self.data
        for place, entry in self.references:
            assert entry.offset > 0, "a reference to an entry that is in no tree"
            data[place : place + 4] = pack("<I", entry.offset)
        data[: self.HEADER] = pack("<IHBBI", len(data) - 4, VERSION, DW_UT_COMPILE, 8, 0)
        table = bytearray()
        for shape, number in self.abbreviations.items():
            table += uleb(number) + uleb(shape[0]) + bytes((shape[1],))
            table += b"".join(uleb(one) for one in shape[2:]) + bytes(2)
        table.append(0)
        abbreviations = Symbol(ABBREVIATIONS, kind="section")
        self.relocations.append(Relocation(8, self.machine.offset, abbreviations))
        info = Section(INFO, "debug", bytes(data), relocations=self.relocations)
        return [info, Section(ABBREVIATIONS, "debug", bytes(table))]


def unit_sections(unit: Entry, machine: Relocations) -> list[Section]:
    """`.debug_info` and `.debug_abbrev` of a unit."""
    writer = _Writer(machine)
    writer.entry(unit)
    return writer.sections()
