"""Frame descriptions (`.eh_frame`): only those of kept code, with an index to find them by.

Read before garbage is collected, so that a description does not keep its function, but is
kept with it, and with it the function's language-specific data and the personality
routine.  Then one section is made of what is left (equal CIEs once), and
`.eh_frame_hdr`, the table of binary search that unwinders find by PT_GNU_EH_FRAME.

The format is that of the LSB, 10.6: records of a length and an id; id 0 is a CIE, any
other says how many bytes before it the record's CIE starts.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from callproof.link.resolve import Moved, Resolved
from callproof.object.model import Relocation, Section
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link import LinkOptions
    from callproof.link.layout import Layout

NAME = ".eh_frame"
# Whoever defines one of these reads frame descriptions when the program runs.
UNWINDERS = (
    "_Unwind_RaiseException",
    "_Unwind_Backtrace",
    "_Unwind_ForcedUnwind",
    "__register_frame_info",
    "__register_frame",
)
PC_BEGIN = 8  # where an FDE has its function's address
HEADER = bytes((1, 0x1B, 0x03, 0x3B))  # version; PC-relative, count, table relative to itself


@dataclass(slots=True, eq=False)
class Record:
    """A CIE or (with its `cie`) an FDE; `relocations` are relative to its start."""

    source: Section
    start: int
    data: bytes
    relocations: list[Relocation]
    cie: Record | None = None

    @property
    def function(self) -> Relocation | None:
        """The relocation that names the function of an FDE."""
        return next((one for one in self.relocations if one.offset == PC_BEGIN), None)

    def key(self, resolved: Resolved) -> tuple[object, ...]:
        """Equal for CIEs of which one is enough."""
        references = tuple(
            (r.offset, r.type, r.addend, id(resolved.meaning(r.symbol))) for r in self.relocations
        )
        return self.data, references


@dataclass(slots=True)
class Frames:
    """What was read: the records of each section, and those that the link keeps.

    sections  the input sections with their records, in order
    kept      (offset in the new section, FDE), for the index
    """

    sections: list[tuple[Section, list[Record]]] = field(default_factory=list)
    kept: list[tuple[int, Record]] = field(default_factory=list)
    section: Section | None = None
    index: Section | None = None


def is_wanted(resolved: Resolved, options: LinkOptions) -> bool:
    """Whether anybody reads frame descriptions: an unwinder that takes part, or the user."""
    names = resolved.names
    return (
        options.eh_frame_hdr
        or not options.collect_garbage
        or any(name in names for name in UNWINDERS)
    )


def read_frames(resolved: Resolved, options: LinkOptions) -> Frames:
    """Read all frame descriptions, and attach to each function what comes with it.

    Raises `CallproofError` for damaged ones.
    """
    frames = Frames()
    wanted = is_wanted(resolved, options)
    for file in resolved.files:
        for section in file.sections:
            if section.name == NAME and id(section) not in resolved.dropped:
                records = _records(resolved, section) if wanted else []
                frames.sections.append((section, records))
                for record in records:
                    _attach(resolved, record)
    return frames


def _attach(resolved: Resolved, record: Record) -> None:
    function = record.function if record.cie is not None else None
    if function is None or function.symbol.section is None or record.cie is None:
        return
    others = [r for r in record.relocations if r is not function] + record.cie.relocations
    if others:
        resolved.attached.setdefault(id(function.symbol.section), []).extend(others)


def _records(resolved: Resolved, section: Section) -> list[Record]:
    data = bytes(section.data)
    owner = resolved.owner[id(section)]

    def fail(offset: int, why: str) -> CallproofError:
        return CallproofError(f"{owner.name}: {NAME}+{offset:#x}: {why}")

    relocations = sorted(section.relocations, key=lambda r: r.offset)
    offsets = [relocation.offset for relocation in relocations]
    records: list[Record] = []
    cies: dict[int, Record] = {}
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "little")
        if not length:
            # The end of the list, as crtend.o has it; zeros may follow, nothing else.
            position += 4
            continue
        end = position + 4 + length
        if length == 0xFFFFFFFF:
            raise fail(position, "a frame description of 64 bits")
        if length < 4 or end > len(data):
            raise fail(position, f"a frame description of {length} bytes")
        inside = [
            replace(relocation, offset=relocation.offset - position)
            for relocation in relocations[
                bisect_left(offsets, position) : bisect_left(offsets, end)
            ]
        ]
        record = Record(section, position, data[position:end], inside)
        back = int.from_bytes(data[position + 4 : position + 8], "little")
        if back:
            record.cie = cies.get(position + 4 - back)
            if record.cie is None:
                raise fail(position, "a frame description without its CIE")
        else:
            cies[position] = record
        records.append(record)
        position = end
    return records


def make_frames(resolved: Resolved, frames: Frames, options: LinkOptions) -> None:
    """Make one section of the descriptions of kept code, instead of the input's."""
    wanted = is_wanted(resolved, options)
    inputs = [
        (section, records)
        for section, records in frames.sections
        if wanted or id(section) in resolved.live  # somebody refers to it by a symbol
    ]
    if not inputs:
        return
    made = Section(NAME, "rodata", bytearray(), alignment=8)
    assert isinstance(made.data, bytearray)
    cies: dict[tuple[object, ...], int] = {}
    for section, records in inputs:
        starts = [0]
        places: list[int | None] = [len(made.data)]
        for record in records:
            if record.start:
                starts.append(record.start)
                places.append(len(made.data))
            if record.cie is None or not _is_kept(resolved, record):
                continue
            cie = record.cie
            cie_key = cie.key(resolved)
            if cie_key not in cies:
                cies[cie_key] = _append(made, cie)
                places[-1] = len(made.data)
            at = _append(made, record)
            made.data[at + 4 : at + 8] = (at + 4 - cies[cie_key]).to_bytes(4, "little")
            frames.kept.append((at, record))
        if section.data:
            starts.append(len(section.data))
            places.append(len(made.data))
        resolved.live.discard(id(section))
        resolved.moved[id(section)] = Moved(made, starts, places)
    made.data += bytes(4)
    frames.section = made
    resolved.make([made])
    if wanted and frames.kept:
        size = len(HEADER) + 8 + 8 * len(frames.kept)
        frames.index = Section(".eh_frame_hdr", "rodata", bytes(size), alignment=4)
        resolved.make([frames.index])


def _is_kept(resolved: Resolved, record: Record) -> bool:
    function = record.function
    if function is None or function.symbol.section is None:
        return False
    return id(function.symbol.section) in resolved.live


def _append(made: Section, record: Record) -> int:
    assert isinstance(made.data, bytearray)
    at = len(made.data)
    made.data += record.data
    made.relocations += [replace(r, offset=r.offset + at) for r in record.relocations]
    return at


def fill_index(layout: Layout, frames: Frames) -> None:
    """Write `.eh_frame_hdr` when addresses are known: pairs of function and description."""
    if frames.index is None or frames.section is None:
        return
    piece = layout.places[id(frames.index)]
    base = layout.places[id(frames.section)].address
    rows: list[tuple[int, int]] = []
    for at, record in frames.kept:
        function = record.function
        assert function is not None
        address = layout.address_of(function.symbol)
        if address is not None:
            rows.append((address + function.addend, base + at))
    rows.sort()
    # Of functions that are one now only one description is found; any will do.
    unique = [row for n, row in enumerate(rows) if not n or rows[n - 1][0] != row[0]]
    words = [base - (piece.address + 4), len(unique)]
    words += [value - piece.address for row in unique for value in row]
    if any(not -(1 << 31) <= word < 1 << 31 for word in words):
        raise CallproofError(
            ".eh_frame_hdr, the index of frame descriptions, does not reach all of the code"
        )
    content = HEADER + b"".join((word & 0xFFFFFFFF).to_bytes(4, "little") for word in words)
    piece.data[: len(content)] = content
