"""Objects whose tables stay as the file has them: rows of symbols and relocations in columns.

`elf_columns.read_columns` makes them of large ELF objects, whose every row it has checked.
To whoever asks for `symbols`, `relocations` or `data` they are objects like others: what is
asked for is made then.  The linker asks for rows (`ColumnSection.first`, `ColumnObject.rows`),
and makes Python objects only of the symbols that others may see, and of rows that are special.

Needs numpy only where columns are used; this module can be imported without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from callproof.object import elf_format as elf
from callproof.object.model import Bytes, ObjectFile, Relocation, Section, Symbol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = np.ndarray[Any, np.dtype[np.void]]

NONE: list[Relocation] = []  # nobody's


class ColumnSection(Section):
    """A section of a `ColumnObject`.

    start         offset of its bytes in the file
    first, count  its relocations among the rows of its file
    """

    __slots__ = ("_decoded", "_own_data", "count", "file", "first", "start")

    def __init__(
        self,
        file: ColumnObject,
        name: str,
        kind: str,
        start: int,
        size: int,
        alignment: int,
        flags: int,
        elf_type: int,
        entry_size: int,
    ) -> None:
        """`start` -1: there are no bytes in the file."""
        self.name = name
        self.kind = kind
        self._data = b""
        self.alignment = alignment
        self.size = size
        self._relocations = NONE
        self.flags = flags
        self.elf_type = elf_type
        self.entry_size = entry_size
        self.group = ""
        self.linked_to = None
        self.number = -1
        self.file = file
        self.start = start
        self.first = self.count = 0
        self._own_data: Bytes | None = None
        self._decoded: list[Relocation] | None = None

    @property
    def is_raw(self) -> bool:
        """Whether its rows are its relocations: nobody has asked for objects of them."""
        return self._decoded is None

    @property
    def data(self) -> Bytes:
        if self._own_data is not None:
            return self._own_data
        return self.file.view[self.start : self.start + self.size] if self.start >= 0 else b""

    @data.setter
    def data(self, data: Bytes) -> None:
        self._own_data = data

    @property
    def relocations(self) -> list[Relocation]:
        found = self._decoded
        if found is None:
            found = self._decoded = self.decoded(range(self.count))
        return found

    @relocations.setter
    def relocations(self, relocations: list[Relocation]) -> None:
        self._decoded = relocations

    def decoded(self, rows: Sequence[int]) -> list[Relocation]:
        """Objects of some of its relocations, by their numbers from 0 on; nothing is kept."""
        if self._decoded is not None:
            return [self._decoded[row] for row in rows]
        file = self.file
        names, symbol = elf.RELOCATION_NAMES[file.machine], file.symbol
        table = file.rows[self.first : self.first + self.count]
        chosen = table if isinstance(rows, range) and len(rows) == self.count else table[list(rows)]
        return [
            Relocation(offset, names[type_], symbol(number), addend)
            for offset, type_, number, addend in chosen.tolist()
        ]


class ColumnObject(ObjectFile):
    """An ELF object.

    view      the whole file
    rows      relocations of all sections (`elf_columns.RELA`), those of a section together
    table     the symbols (`elf_columns.SYMBOL`); `strings` their names
    homes     of each symbol: the index in `sections` of the one it lies in, or -1
    outer     the symbols that are not local, as objects: the last ones of the table
    relocated the sections that have rows, in the order of these
    """

    __slots__ = (
        "_every",
        "_made",
        "has_choices",
        "homes",
        "outer",
        "relocated",
        "rows",
        "strings",
        "table",
        "view",
    )

    view: memoryview
    rows: Rows
    table: Rows
    homes: NDArray[np.int32]
    strings: bytes

    def __init__(self, name: str, machine: str, flags: int) -> None:
        self.name = name
        self.machine = machine
        self.flags = flags
        self.format = "elf"
        self.sections = []
        self.outer: list[Symbol] = []
        self.relocated: list[ColumnSection] = []
        self.has_choices = False  # indirect functions (STT_GNU_IFUNC)
        self._made: dict[int, Symbol] = {}
        self._every: list[Symbol] | None = None
        self._symbols = []

    @property
    def symbols(self) -> list[Symbol]:
        found = self._every
        if found is None:
            every = map(self.symbol, range(1, len(self.table)))
            found = self._every = [symbol for symbol in every if symbol.kind != "file"]
        return found

    @symbols.setter
    def symbols(self, symbols: list[Symbol]) -> None:
        self._every = symbols

    @property
    def is_raw(self) -> bool:
        """Whether its rows are its symbols: nobody has asked for objects of all of them."""
        return self._every is None

    def outer_symbols(self) -> list[Symbol]:
        return self.outer if self._every is None else super().outer_symbols()

    def forget(self) -> None:
        """Who was busy with the object is done for now: if it is a mapped file, its pages need
        not stay in memory.  Whoever looks again has them again."""
        import mmap

        mapped = self.view.obj
        if isinstance(mapped, mmap.mmap):
            mapped.madvise(mmap.MADV_DONTNEED)

    @property
    def first_outer(self) -> int:
        """The number of the first symbol that is not local."""
        return len(self.table) - len(self.outer)

    def symbol_name(self, offset: int) -> str:
        raw = self.strings[offset : self.strings.find(b"\0", offset)]
        return raw.decode("utf-8", "surrogateescape")

    def symbol(self, number: int) -> Symbol:
        """The symbol of a row; always the same object."""
        outer = number - len(self.table) + len(self.outer)
        if outer >= 0:
            return self.outer[outer]
        symbol = self._made.get(number)
        if symbol is None:
            symbol = self._made[number] = self.make(number, self.table[number].item())
        return symbol

    def make(self, number: int, row: tuple[int, ...]) -> Symbol:
        """A new object of a row, which was checked."""
        name, info, other, index, value, size = row
        home = self.homes[number]
        section = self.sections[home] if home >= 0 else None
        symbol = Symbol(
            self.symbol_name(name) if name else "",
            section,
            value,
            size,
            elf.BINDINGS[info >> 4],
            elf.KINDS[info & 15],
            elf.VISIBILITIES[other & 3],
            False,
            0,
            other & ~3,
        )
        if section is not None:
            if symbol.kind == "section" and not symbol.name:
                symbol.name = section.name
        elif index in elf.COMMONS:
            symbol.common = max(size, 1)
            symbol.kind = "tls" if symbol.kind == "tls" else "object"
        elif index != elf.SHN_UNDEF:
            symbol.absolute = True  # also in a section that nobody loads, such as a group
        return symbol

    def made(self, first: int) -> list[Symbol]:
        """New objects of all rows from one on, which have names; as `make` has it."""
        rows, homes = self.table[first:].tolist(), self.homes[first:].tolist()
        if not self.strings.isascii():
            return [self.make(number, row) for number, row in enumerate(rows, first)]
        text, sections = self.strings.decode(), self.sections
        find, bindings, kinds = text.find, elf.BINDINGS, elf.KINDS
        found: list[Symbol] = []
        for home, (name, info, other, index, value, size) in zip(homes, rows, strict=True):
            section = sections[home] if home >= 0 else None
            if section is None and index != elf.SHN_UNDEF:
                found.append(self.make(first + len(found), (name, info, other, index, value, size)))
                continue
            found.append(
                Symbol(
                    text[name : find("\0", name)],
                    section,
                    value,
                    size,
                    bindings[info >> 4],
                    kinds[info & 15],
                    elf.VISIBILITIES[other & 3],
                    False,
                    0,
                    other & ~3,
                )
            )
        return found
