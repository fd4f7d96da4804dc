"""What an object file holds, independent of its format.

Writers turn an `ObjectFile` into bytes, readers turn bytes into one.  Offsets,
sizes and alignments are in bytes.  Relocation types are the names of the ELF
supplement ("R_AARCH64_CALL26"), for every format that uses them.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Relocation:
    """At `offset` in its section, insert S + `addend` by the rule of `type`."""

    offset: int
    type: str
    symbol: Symbol
    addend: int = 0


@dataclass(slots=True)
class Section:
    """`kind` is 'code', 'data', 'rodata', 'bss', 'tdata', 'tbss', 'init_array',
    'fini_array', 'preinit_array', 'note', 'debug' (not loaded) or 'other' (not loaded).

    `size` counts for 'bss' and 'tbss', whose `data` is empty.  `data` may be a
    `memoryview` into the file.  `flags` and `elf_type` keep what ELF said where it
    matters (merge, strings, group, link order); 0 for sections that we make.
    `linked_to` is the section that one of link order describes.  `number` is the linker's.
    """

    name: str
    kind: str
    data: bytes | bytearray | memoryview = b""
    alignment: int = 1
    size: int = 0
    relocations: list[Relocation] = field(default_factory=list)
    flags: int = 0
    elf_type: int = 0
    entry_size: int = 0
    group: str = ""
    linked_to: Section | None = None
    number: int = field(default=-1, compare=False)


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


@dataclass(slots=True)
class ObjectFile:
    """A relocatable object; `name` is for messages ('libc.a(printf.o)').

    `format` is 'elf' or 'mach-o': whose rules its code and its names follow.
    """

    name: str
    machine: str = "aarch64"
    sections: list[Section] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=list)
    flags: int = 0
    format: str = "elf"

    def outer_symbols(self) -> list[Symbol]:
        """Those with a name that other objects may refer to, or that refer to other objects."""
        return [one for one in self.symbols if one.binding != "local" and one.name]

    def section(self, name: str) -> Section | None:
        for section in self.sections:
            if section.name == name:
                return section
        return None
