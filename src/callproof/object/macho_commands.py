"""The load commands of a Mach-O file and the section headers of its segments.

For objects (`macho_read.py`) and for linked files (`check/load_macho.py`) alike; nothing in
the file is trusted.
"""

from __future__ import annotations

from collections.abc import Iterator

from callproof.object import macho_format as macho
from callproof.object.elf_read import Reader

Fields = tuple[bytes | int, ...]
"""A header's fields in the order of its format; names are bytes."""


def load_commands(reader: Reader, count: int, size: int) -> Iterator[tuple[int, int, int]]:
    """(command, offset, length) of each; raises `CallproofError` for one that is damaged."""
    reader.slice(macho.HEADER.size, size, "the load commands")
    offset, end = macho.HEADER.size, macho.HEADER.size + size
    for number in range(count):
        if offset + macho.COMMAND.size > end:
            raise reader.fail(f"load command {number} lies outside the commands", offset)
        command, length = reader.unpack(macho.COMMAND, offset, "a load command")
        if length < macho.COMMAND.size or offset + length > end:
            raise reader.fail(f"load command {number} of {length} bytes", offset)
        yield command, offset, length
        offset += length


def segment_fields(reader: Reader, offset: int) -> Fields:
    """LC_SEGMENT_64 at an offset: (command, length, name, address, ...)."""
    return reader.unpack(macho.SEGMENT, offset, "a segment")


def section_headers(reader: Reader, offset: int, length: int) -> Iterator[Fields]:
    """The section headers behind the segment command of `length` bytes at an offset."""
    count = segment_fields(reader, offset)[9]
    assert isinstance(count, int)
    if macho.SEGMENT.size + count * macho.SECTION.size > length:
        raise reader.fail(f"a segment says it has {count} sections", offset)
    table = reader.slice(
        offset + macho.SEGMENT.size, count * macho.SECTION.size, "the section headers"
    )
    yield from macho.SECTION.iter_unpack(table)
