"""Object files: ELF and Mach-O objects and archives, read and written; DWARF line tables.

Takes and gives `ObjectFile` (sections, symbols, relocations) and bytes.  Knows file
formats; knows nothing of the compiler or of instructions.
"""

from __future__ import annotations

from callproof.object.archive import Archive, read_archive, write_archive
from callproof.object.elf_read import read_elf
from callproof.object.elf_write import write_elf
from callproof.object.macho_read import is_macho, read_macho
from callproof.object.macho_write import write_macho
from callproof.object.model import ObjectFile, Relocation, Section, Symbol


def read_object(data: bytes, name: str) -> ObjectFile:
    """A relocatable object in whichever format it is, told by its first bytes."""
    if is_macho(data):
        return read_macho(data, name)
    return read_elf(data, name)


__all__ = [
    "Archive",
    "ObjectFile",
    "Relocation",
    "Section",
    "Symbol",
    "read_archive",
    "read_elf",
    "read_macho",
    "read_object",
    "write_archive",
    "write_elf",
    "write_macho",
]
