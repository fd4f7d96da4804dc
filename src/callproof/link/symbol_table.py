"""The symbol table of a linked program, which debuggers and the checker read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.object import elf_format as elf
from callproof.object.elf_write import StringTable
from callproof.object.model import ObjectFile, Symbol
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link.layout import Layout


class Rows:
    """The table's rows, in pieces of one or more: those of local symbols come first."""

    __slots__ = ("layout", "locals", "numbers", "others", "strings")

    def __init__(self, layout: Layout, strings: StringTable, numbers: dict[int, int]) -> None:
        self.layout = layout
        self.strings = strings
        self.numbers = numbers
        self.locals: list[bytes] = []
        self.others: list[bytes] = []

    def add(self, file: ObjectFile) -> None:
        """Those of an object's symbols."""
        for symbol in file.symbols:
            self.add_symbol(symbol)

    def add_symbol(self, symbol: Symbol) -> None:
        if symbol.kind == "section" or not symbol.name or symbol.name.startswith(".L"):
            return
        row = _row(self.layout, symbol, self.strings, self.numbers)
        if row is not None:
            (self.others if row[4] >> 4 else self.locals).append(row)


def symbol_table(
    layout: Layout, names: StringTable, headers: list[bytes], numbers: dict[int, int]
) -> bytearray:
    """`.symtab`, `.strtab` and `.shstrtab`: every named symbol of what was kept.

    What is to stand behind the image; `numbers`: of the output sections, by the ids of the
    sections in them.  Adds to the names and headers of sections.
    """
    strings = StringTable()
    rows = Rows(layout, strings, numbers)
    if layout.columns is not None:
        from callproof.link.symbol_columns import add_columns

        add_object = add_columns(rows, layout.columns)
    else:
        add_object = rows.add
    for file in layout.resolved.files:
        add_object(file)
    table = bytes(elf.SYMBOL.size) + b"".join(rows.locals) + b"".join(rows.others)
    locals_ = 1 + sum(map(len, rows.locals)) // elf.SYMBOL.size
    out = bytearray()
    size = 0 if layout.image is None else len(layout.image)
    for name, type_, data, link, info, entry, alignment in (
        (
            ".symtab",
            elf.SHT_SYMTAB,
            table,
            len(headers) + 1,
            locals_,
            elf.SYMBOL.size,
            8,
        ),
        (".strtab", elf.SHT_STRTAB, bytes(strings.data), 0, 0, 0, 1),
        (".shstrtab", elf.SHT_STRTAB, b"", 0, 0, 0, 1),
    ):
        name_offset = names.add(name)
        if name == ".shstrtab":
            data = bytes(names.data)
        out += bytes(-(size + len(out)) % alignment)
        headers.append(
            elf.SECTION.pack(
                name_offset,
                type_,
                0,
                0,
                size + len(out),
                len(data),
                link,
                info,
                alignment,
                entry,
            )
        )
        out += data
    return out


def _row(
    layout: Layout,
    symbol: Symbol,
    strings: StringTable,
    numbers: dict[int, int],
) -> bytes | None:
    if symbol.section is not None:
        number = numbers.get(id(symbol.section))
        address = layout.address_of(symbol)
        if number is None or address is None:
            return None
        if symbol.kind == "tls":
            address -= layout.tls[0]
            if address < 0:
                owner = layout.resolved.owner.get(id(symbol.section))
                raise CallproofError(
                    f"{owner.name if owner else '?'}: symbol '{symbol.name}' is thread-local, but "
                    f"{symbol.section.name}, its section, is not"
                )
    elif symbol.absolute:
        number, address = elf.SHN_ABS, symbol.value
    else:
        return None
    if layout.resolved.meaning(symbol) is not symbol:
        return None  # another definition of the name counts
    # Nobody outside can mean a hidden name, nor can another definition of it.
    is_hidden = symbol.name in layout.resolved.hidden
    binding = "local" if is_hidden else symbol.binding
    info = elf.BINDING_NUMBERS[binding] << 4 | elf.KIND_NUMBERS[symbol.kind]
    return elf.SYMBOL.pack(strings.add(symbol.name), info, 0, number, address, symbol.size)
