"""Writing archives in Darwin's form: `__.SYMDEF` first, members at multiples of 8.

Facts: <mach-o/ranlib.h>; Apple's ar(5).  Reading them is `archive.py`'s, as of all archives.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack

from callproof.object.archive import HEADER_SIZE, MAGIC
from callproof.object.macho_read import read_macho
from callproof.object.macho_write import external_name

INDEX_NAME = b"__.SYMDEF"
ALIGNMENT = 8


def write_macho_archive(members: Iterable[tuple[str, bytes]]) -> bytes:
    """An archive of Mach-O objects with a symbol index; equal input gives equal bytes."""
    items = [(name.encode(), data) for name, data in members]
    symbols: list[tuple[int, int]] = []  # (offset of the name, member)
    strings = bytearray()
    for number, (name, data) in enumerate(items):
        for symbol in read_macho(data, name.decode(), thread_locals=True).symbols:
            if symbol.binding != "local" and symbol.is_defined and symbol.name:
                symbols.append((len(strings), number))
                strings += external_name(symbol).encode("utf-8", "surrogateescape") + b"\0"
    strings += bytes(-len(strings) % ALIGNMENT)
    index_size = 4 + 8 * len(symbols) + 4 + len(strings)
    out = bytearray(MAGIC)
    sizes = [_length(INDEX_NAME, index_size, len(out))]
    position = len(out) + sizes[0]
    offsets = []
    for name, data in items:
        offsets.append(position)
        position += _length(name, len(data), position)
    index = pack("<I", 8 * len(symbols))
    index += b"".join(pack("<2I", name, offsets[member]) for name, member in symbols)
    index += pack("<I", len(strings)) + strings
    for name, data in [(INDEX_NAME, index), *items]:
        _append(out, name, data)
    return bytes(out)


def _padded(name: bytes, position: int) -> int:
    """The bytes that a name takes so that what follows it is aligned; at least one is zero."""
    start = position + HEADER_SIZE
    return -(-(start + len(name) + 1) // ALIGNMENT) * ALIGNMENT - start


def _length(name: bytes, size: int, position: int) -> int:
    return HEADER_SIZE + _padded(name, position) + -(-size // ALIGNMENT) * ALIGNMENT


def _append(out: bytearray, name: bytes, data: bytes) -> None:
    room = _padded(name, len(out))
    whole = room + -(-len(data) // ALIGNMENT) * ALIGNMENT
    shown = b"#1/%d" % room
    out += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (shown, 0, 0, 0, b"644", whole)
    out += name.ljust(room, b"\0")
    out += data + b"\n" * (-len(data) % ALIGNMENT)
