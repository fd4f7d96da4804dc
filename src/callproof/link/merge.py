"""Merging sections (SHF_MERGE): equal constants and strings once; strings end in others.

A section of constants is cut into pieces of its entry size, one of strings behind each
NUL character.  Pieces that nothing kept refers to are left out.  A string that is the end
of another one is not stored again where no alignment forbids it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from callproof.link.resolve import Moved, Resolved
from callproof.object import elf_format as elf
from callproof.object.columns import ColumnSection
from callproof.object.model import ObjectFile, Relocation, Section
from callproof.source import CallproofError

# Name family, is strings, entry size, alignment: what is merged together.
Key = tuple[str, bool, int, int]


@dataclass(slots=True)
class Pieces:
    """An input section cut up; `used` are the numbers of the pieces that are referred to."""

    section: Section
    starts: list[int]
    used: set[int] = field(default_factory=set)

    def mark(self, offset: int) -> bool:
        """Note a reference; False if it is to nothing in the section (its end is its last)."""
        if not 0 <= offset <= len(self.section.data):
            return False
        self.used.add(bisect_right(self.starts, offset) - 1)
        return True

    def piece(self, number: int) -> bytes:
        end = self.starts[number + 1] if number + 1 < len(self.starts) else None
        return bytes(self.section.data[self.starts[number] : end])


def merge(resolved: Resolved, *, keep_all: bool) -> None:
    """Replace the kept sections that can be merged; `keep_all`: also what nothing refers to.

    Raises `CallproofError` for a reference that lies outside its section.
    """
    found: dict[int, Pieces] = {}
    groups: dict[Key, list[Pieces]] = {}
    for file in resolved.files:
        for section in file.sections:
            if not section.flags & elf.SHF_MERGE or id(section) not in resolved.live:
                continue
            starts = _cut(section)
            if starts:
                pieces = found[id(section)] = Pieces(section, starts)
                groups.setdefault(_key(section), []).append(pieces)
    if not found:
        return
    if keep_all:
        for pieces in found.values():
            pieces.used.update(range(len(pieces.starts)))
    _mark(resolved, found)
    for key, members in groups.items():
        _merge_group(resolved, key, members)


def _key(section: Section) -> Key:
    # By family, so that `.rodata.str1.1` and `.rodata.name.str1.1` share.
    family = ".rodata" if section.name.startswith(".rodata") else section.name
    return family, bool(section.flags & elf.SHF_STRINGS), section.entry_size, section.alignment


def _cut(section: Section) -> list[int]:
    """Where the pieces start; nothing if the section cannot be merged."""
    size, width = len(section.data), section.entry_size
    if section.name.isidentifier():
        return []  # somebody may walk it from __start_ to __stop_
    if section.kind != "rodata" or section.relocations or not size or not width or size % width:
        return []
    if not section.flags & elf.SHF_STRINGS:
        return list(range(0, size, width))
    data = bytes(section.data)
    end = bytes(width)
    if data[-width:] != end:
        return []
    starts = [0]
    if width == 1:
        position = data.find(b"\0")
        while position + 1 < size:
            starts.append(position + 1)
            position = data.find(b"\0", position + 1)
        return starts
    for at in range(0, size - width, width):
        if data[at : at + width] == end:
            starts.append(at + width)
    return starts


def _mark(resolved: Resolved, found: dict[int, Pieces]) -> None:
    """Note what the kept sections refer to."""
    columns = resolved.columns
    rows: dict[int, list[Relocation]] = {}
    if columns is not None:
        from callproof.link.merge_columns import mark

        rows = mark(columns, found, resolved.live)
    for file in resolved.files:
        for section in file.sections:
            if id(section) not in resolved.live:
                continue
            if columns is not None and isinstance(section, ColumnSection) and section.is_raw:
                left = rows.get(id(section))
                if left is not None:
                    _mark_all(resolved, found, file, section, left)
                continue
            _mark_all(resolved, found, file, section, section.relocations)


def _mark_all(
    resolved: Resolved,
    found: dict[int, Pieces],
    file: ObjectFile,
    section: Section,
    relocations: list[Relocation],
) -> None:
    for relocation in relocations:
        symbol = resolved.meaning(relocation.symbol)
        if symbol is None or id(symbol.section) not in found:
            continue
        offset = symbol.value
        if symbol.kind == "section":
            offset += relocation.addend
        if not found[id(symbol.section)].mark(offset):
            assert symbol.section is not None
            raise CallproofError(
                f"{file.name}: {section.name}+{relocation.offset:#x}: {relocation.type} "
                f"refers to {offset:#x} of the {len(symbol.section.data)} bytes of "
                f"{symbol.section.name}, whose parts are merged"
            )


def _merge_group(resolved: Resolved, key: Key, members: list[Pieces]) -> None:
    family, is_strings, width, alignment = key
    contents = {pieces.piece(number): None for pieces in members for number in sorted(pieces.used)}
    places: dict[bytes, int] = {}
    data = bytearray()
    hosts = _hosts(contents) if is_strings and width == 1 and alignment == 1 else {}
    for content in contents:
        if content not in hosts:
            data += bytes(-len(data) % max(alignment, 1))
            places[content] = len(data)
            data += content
    for content, host in hosts.items():
        places[content] = places[host] + len(host) - len(content)
    made = Section(family, "rodata", data, alignment=alignment)
    resolved.make([made])
    for pieces in members:
        where: list[int | None] = [
            places[pieces.piece(number)] if number in pieces.used else None
            for number in range(len(pieces.starts))
        ]
        resolved.live.discard(id(pieces.section))
        resolved.moved[id(pieces.section)] = Moved(made, pieces.starts, where)


def _hosts(contents: dict[bytes, None]) -> dict[bytes, bytes]:
    """Strings that another one ends in, with the longest such; reversed, they stand before it."""
    ordered = sorted((content[::-1], content) for content in contents)
    hosts: dict[bytes, bytes] = {}
    host = b""
    for _, content in reversed(ordered):
        if host.endswith(content):
            hosts[content] = host
        else:
            host = content
    return hosts
