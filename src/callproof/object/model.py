"""What an object file holds, independent of its format.

Writers turn an `ObjectFile` into bytes, readers turn bytes into one.  Offsets,
sizes and alignments are in bytes.  Relocation types are the names of the ELF
supplement ("R_AARCH64_CALL26"), for every format that uses them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Relocation:
    """At `offset` in its section, insert S + `addend` by the rule of `type`."""

    offset: int
    type: str
    symbol: Symbol
    addend: int = 0


Bytes = bytes | bytearray | memoryview


class Section:
    """`kind` is 'code', 'data', 'rodata', 'bss', 'tdata', 'tbss', 'init_array',
    'fini_array', 'preinit_array', 'note', 'debug' (not loaded) or 'other' (not loaded).

    `size` counts for 'bss' and 'tbss', whose `data` is empty.  `data` may be a
    `memoryview` into the file.  `flags` and `elf_type` keep what ELF said where it
    matters (merge, strings, group, link order); 0 for sections that we make.
    `linked_to` is the section that one of link order describes.  `number` is the linker's.

    A plain class: in `columns.py` is one whose `data` and `relocations` are made when they
    are asked for.
    """

    __slots__ = (
        "_data",
        "_relocations",
        "alignment",
        "elf_type",
        "entry_size",
        "flags",
        "group",
        "kind",
        "linked_to",
        "name",
        "number",
        "size",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        data: Bytes = b"",
        alignment: int = 1,
        size: int = 0,
        relocations: list[Relocation] | None = None,
        flags: int = 0,
        elf_type: int = 0,
        entry_size: int = 0,
        group: str = "",
        linked_to: Section | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self._data: Bytes = data
        self.alignment = alignment
        self.size = size
        self._relocations: list[Relocation] = [] if relocations is None else relocations
        self.flags = flags
        self.elf_type = elf_type
        self.entry_size = entry_size
        self.group = group
        self.linked_to: Section | None = linked_to
        self.number = -1

    @property
    def data(self) -> Bytes:
        return self._data

    @data.setter
    def data(self, data: Bytes) -> None:
        self._data = data

    @property
    def relocations(self) -> list[Relocation]:
        return self._relocations

    @relocations.setter
    def relocations(self, relocations: list[Relocation]) -> None:
        self._relocations = relocations


@dataclass(slots=True, eq=False)
class Symbol:
    """`section` None: undefined (or absolute with `absolute`, or common with `common` > 0).

    binding 'local' 'global' 'weak'; kind 'function' 'object' 'none' 'section' 'file'
    'tls' 'ifunc'; visibility 'default' 'hidden' 'protected' 'internal'.
    `value` is an offset in the section, an absolute value, or a common's alignment.
    """

    name: str
    section: Section | None = None
    value: int = 0
    size: int = 0
    binding: str = "global"
    kind: str = "none"
    visibility: str = "default"
    absolute: bool = False
    common: int = 0
    other: int = 0

    @property
    def is_defined(self) -> bool:
        return self.section is not None or self.absolute or self.common > 0


class ObjectFile:
    """A relocatable object; `name` is for messages ('libc.a(printf.o)').

    `format` is 'elf' or 'mach-o': whose rules its code and its names follow.  A plain class,
    as `Section` is.
    """

    __slots__ = ("_symbols", "flags", "format", "machine", "name", "sections")

    def __init__(
        self,
        name: str,
        machine: str = "aarch64",
        sections: list[Section] | None = None,
        symbols: list[Symbol] | None = None,
        flags: int = 0,
        format: str = "elf",
    ) -> None:
        self.name = name
        self.machine = machine
        self.sections: list[Section] = [] if sections is None else sections
        self._symbols: list[Symbol] = [] if symbols is None else symbols
        self.flags = flags
        self.format = format

    @property
    def symbols(self) -> list[Symbol]:
        return self._symbols

    @symbols.setter
    def symbols(self, symbols: list[Symbol]) -> None:
        self._symbols = symbols

    def outer_symbols(self) -> list[Symbol]:
        """Those with a name that other objects may refer to, or that refer to other objects."""
        return [one for one in self.symbols if one.binding != "local" and one.name]

    def section(self, name: str) -> Section | None:
        for section in self.sections:
            if section.name == name:
                return section
        return None
