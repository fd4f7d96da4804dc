"""Addresses: input sections into output sections into segments.

    R    headers, notes, read-only data
    R X  code (with veneers where branches would not reach)
    R W  thread-local data, constructor arrays, relocated read-only data, GOT, data, bss
         (in two segments if the first part is to be protected: `relro`)

Of a program with a loader the part that only the loader writes comes before the last one.

Each segment starts on a page of its own in memory, but follows the last one in the
file without a hole: address and file offset agree modulo the page size.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callproof.link.ifunc_apply import FIRST_CONSTRUCTOR
from callproof.link.resolve import Resolved
from callproof.link.veneers import Veneers
from callproof.object import elf_format as elf
from callproof.object.model import Section, Symbol
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link import LinkOptions
    from callproof.link.dynamic import Dynamic
    from callproof.link.places import Places

ADDRESS_LIMIT = 1 << 47
NO_DATA = bytearray()

# Sizes of name and content, type NT_GNU_BUILD_ID, the name; the hash comes behind it.
BUILD_ID_SIZE = 20
BUILD_ID_NOTE = struct.pack("<III4s", 4, BUILD_ID_SIZE, 3, b"GNU\0") + bytes(BUILD_ID_SIZE)


@dataclass(slots=True)
class Piece:
    """An input section at its place; `data` is its part of the image (empty for bss).

    The image is made when all is placed, so that layout alone never needs the contents.
    """

    section: Section
    address: int
    data: bytearray | memoryview
    size: int = 0


@dataclass(slots=True)
class OutputSection:
    """`kind` as in `object.model.Section`; `data` has the pieces' bytes when all is done."""

    name: str
    kind: str
    pieces: list[Piece] = field(default_factory=list)
    address: int = 0
    size: int = 0
    offset: int = 0
    alignment: int = 1
    veneers: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def in_file(self) -> bool:
        return self.kind not in ("bss", "tbss")


@dataclass(slots=True)
class Segment:
    """A PT_LOAD: `flags` of PF_R, PF_W, PF_X."""

    flags: int
    sections: list[OutputSection]
    address: int = 0
    offset: int = 0
    file_size: int = 0
    memory_size: int = 0


@dataclass(slots=True)
class Layout:
    """Everything placed.

    places      id(section) -> its piece
    got         slot addresses by key (see relocate.py)
    tls         (address, file size, memory size, alignment) of the thread-local image
    unloaded    debug and other sections, by output name; `unloaded_offsets`: where in the file
    image       the file's contents but for the tables at its end (image.py)
    columns     where what is read as columns is
    relro       the segment that start code may make read-only
    exec_stack  an object wants a stack that can be executed
    dynamic     what the program's loader needs
    """

    resolved: Resolved
    options: LinkOptions
    segments: list[Segment]
    places: dict[int, Piece] = field(default_factory=dict)
    got: dict[tuple[str, int | str, int], int] = field(default_factory=dict)
    got_section: Section | None = None
    build_id: Section | None = None
    tls: tuple[int, int, int, int] = (0, 0, 0, 1)
    unloaded: dict[str, list[Piece]] = field(default_factory=dict)
    unloaded_offsets: dict[str, int] = field(default_factory=dict)
    image: memoryview | None = None
    columns: Places | None = None
    veneers: Veneers | None = None
    headers_size: int = 0
    relro: Segment | None = None
    exec_stack: bool = False
    dynamic: Dynamic | None = None

    def outputs(self) -> list[OutputSection]:
        return [section for segment in self.segments for section in segment.sections]

    def address_of(self, symbol: Symbol) -> int | None:
        """The address of a definition; None if its section was left out."""
        if symbol.absolute or symbol.section is None:
            return symbol.value
        return self.address_in(symbol.section, symbol.value)

    def address_in(self, section: Section, offset: int) -> int | None:
        """The address of a byte of an input section; None if that was left out."""
        piece = self.places.get(id(section))
        if piece is not None:
            return piece.address + offset
        moved = self.resolved.moved.get(id(section))
        place = None if moved is None else moved.at(offset)
        if moved is None or place is None:
            return None
        return self.places[id(moved.section)].address + place

    def give_up_image(self) -> None:
        """The image is written by somebody else; all else that is known stays."""
        self.image = None
        for piece in self.places.values():
            piece.data = NO_DATA

    def bounds(self, *kinds: str) -> tuple[int, int]:
        """From the first to the last byte of the output sections of these kinds."""
        found = [section for section in self.outputs() if section.kind in kinds]
        if not found:
            return 0, 0
        return found[0].address, max(section.address + section.size for section in found)

    def linker_symbol(self, name: str) -> int | None:
        """The address of a name that the linker defines; None for any other name."""
        from callproof.link.linker_symbols import linker_symbol

        return linker_symbol(self, name)

    def end(self) -> int:
        return max(segment.address + segment.memory_size for segment in self.segments)


# Output sections in order: (segment, name, kind).  Input sections find theirs by kind and name.
READ, CODE, WRITE, PROTECT = 0, 1, 2, 3
SEGMENT_OF = {
    "note": READ,
    "rodata": READ,
    "code": CODE,
    "tdata": WRITE,
    "tbss": WRITE,
    "preinit_array": WRITE,
    "init_array": WRITE,
    "fini_array": WRITE,
    "data": WRITE,
    "bss": WRITE,
}
KIND_ORDER = tuple(SEGMENT_OF)
FLAGS = {
    READ: elf.PF_R,
    CODE: elf.PF_R | elf.PF_X,
    PROTECT: elf.PF_R | elf.PF_W,
    WRITE: elf.PF_R | elf.PF_W,
}
# What nobody writes when start code is done.
PROTECTED_KINDS = frozenset(("tdata", "tbss", "preinit_array", "init_array", "fini_array"))
PROTECTED_NAMES = frozenset((".data.rel.ro", ".got", ".igot", ".got.plt", ".dynamic"))
# First parts of names, up to the second dot, that name their output section.
FAMILIES = frozenset(
    """.text .rodata .data .bss .tdata .tbss .init_array .fini_array .eh_frame .gcc_except_table
    .lrodata .ldata .lbss""".split()
)
RELRO = ".data.rel.ro"
# Code that runs together stands together, in ld's order.
CODE_FAMILIES = (".text.unlikely", ".text.exit", ".text.startup", ".text.hot")


def output_name(section: Section) -> str:
    name = section.name
    end = name.find(".", 1)
    family = name[:end] if end > 0 else name
    if family not in FAMILIES:
        return name
    if family == ".data" and (name == RELRO or name.startswith(RELRO + ".")):
        return RELRO
    return family


def _priority(section: Section) -> tuple[int, str]:
    """Constructors with a number run first, in its order; before them what they rely on."""
    if section.name == FIRST_CONSTRUCTOR:
        return -1, ""
    suffix = section.name.rpartition(".")[2]
    return (int(suffix), "") if suffix.isdigit() else (1 << 30, "")


def _family(section: Section) -> int:
    if not section.name.startswith(CODE_FAMILIES):
        return len(CODE_FAMILIES)
    for rank, family in enumerate(CODE_FAMILIES):
        if section.name == family or section.name.startswith(family + "."):
            return rank
    return len(CODE_FAMILIES)


def _output_kinds(resolved: Resolved, sections: list[Section]) -> dict[str, str]:
    """The kind of sections whose name is a C identifier: they must be one for their bounds.

    Raises `CallproofError` where one name is both code and data.
    """
    kinds: dict[str, set[str]] = {}
    for section in sections:
        if section.name.isidentifier() and id(section) in resolved.live:
            kinds.setdefault(section.name, set()).add(section.kind)
    united = {}
    for name, found in kinds.items():
        if len(found) > 1:
            if not found <= {"rodata", "data", "bss"}:
                owners = [resolved.owner.get(id(one)) for one in sections if one.name == name]
                files = sorted({owner.name for owner in owners if owner is not None})
                raise CallproofError(
                    f"sections called {name} are {' and '.join(sorted(found))} "
                    f"(in {', '.join(files[:6])})"
                )
            united[name] = "data"
    return united


def _stack_wish(layout: Layout) -> bool:
    for file in layout.resolved.files:
        for section in file.sections:
            if section.name == ".note.GNU-stack" and section.flags & elf.SHF_EXECINSTR:
                if not layout.options.exec_stack:
                    raise CallproofError(
                        f"{file.name} wants a stack that can be executed (trampolines of nested "
                        "functions?); --exec-stack allows it"
                    )
                return True
    return False


def lay_out(resolved: Resolved, options: LinkOptions) -> Layout:
    """Give every kept section an address.  Raises `CallproofError` if that is impossible."""
    from callproof.link.relocate import needed_got_slots

    layout = Layout(resolved, options, [])
    layout.exec_stack = _stack_wish(layout)
    outputs: dict[tuple[str, str], OutputSection] = {}
    sections = [section for file in resolved.files for section in file.sections]
    sections += resolved.commons
    if options.pie or options.dynamic:
        from callproof.link.dynamic import Dynamic

        layout.dynamic = Dynamic(resolved, options)
        sections = layout.dynamic.prepare(sections) + sections
    slots = needed_got_slots(resolved, sections)
    if slots or "_GLOBAL_OFFSET_TABLE_" in resolved.asked:
        layout.got_section = Section(".got", "data", bytes(8 * len(slots)), alignment=8)
        resolved.live.add(id(layout.got_section))
        sections.append(layout.got_section)
    if options.build_id:
        layout.build_id = Section(".note.gnu.build-id", "note", BUILD_ID_NOTE, alignment=4)
        resolved.live.add(id(layout.build_id))
        sections.append(layout.build_id)
    united = _output_kinds(resolved, sections)
    if layout.dynamic is not None:
        layout.dynamic.got(slots, layout.got_section)
        sections = layout.dynamic.reserve() + sections
    for section in sections:
        if section.kind in ("debug", "other"):
            _add_unloaded(layout, section)
            continue
        if id(section) not in resolved.live:
            continue
        if section.alignment > options.page:
            owner = resolved.owner.get(id(section))
            raise CallproofError(
                f"{owner.name if owner else ''}: section {section.name} wants an alignment of "
                f"{section.alignment}, more than a page of {options.page}"
            )
        kind = united.get(section.name, section.kind)
        key = (kind, output_name(section))
        if layout.dynamic is not None:
            key = layout.dynamic.place_of(section, *key)
        output = outputs.get(key)
        if output is None:
            output = outputs[key] = OutputSection(key[1], key[0])
        is_empty = section.kind in ("bss", "tbss")
        size = section.size if is_empty else len(section.data)
        piece = Piece(section, 0, NO_DATA, size)
        output.pieces.append(piece)
        layout.places[id(section)] = piece
    for key_, leader in resolved.folded.items():
        layout.places[key_] = layout.places[id(leader)]
    for output in outputs.values():
        if output.kind.endswith("_array"):
            output.pieces.sort(key=lambda piece: _priority(piece.section))
        elif output.kind == "code":
            output.pieces.sort(key=lambda piece: _family(piece.section))
    _make_segments(layout, list(outputs.values()))
    layout.veneers = Veneers(layout)
    place_all(layout)
    while layout.veneers.add_needed() or (layout.dynamic and layout.dynamic.fit(layout)):
        place_all(layout)
    if layout.got_section is not None:
        base = layout.places[id(layout.got_section)].address
        layout.got = {key: base + 8 * index for index, key in enumerate(slots)}
    return layout


def _make_segments(layout: Layout, outputs: list[OutputSection]) -> None:
    ordered = sorted(outputs, key=lambda output: KIND_ORDER.index(output.kind))
    for index, flags in FLAGS.items():
        inside = [o for o in ordered if _segment_of(layout, o) == index]
        if inside or index == READ:
            layout.segments.append(Segment(flags, inside))
            if index == PROTECT:
                layout.relro = layout.segments[-1]
    notes = sum(output.kind == "note" for output in ordered)
    # With PT_TLS, PT_GNU_STACK, PT_GNU_EH_FRAME and PT_GNU_RELRO, some of which may stay unused.
    programs = len(layout.segments) + notes + 4
    if layout.dynamic is not None:
        programs += 3  # PT_PHDR, PT_INTERP, PT_DYNAMIC
    layout.headers_size = elf.HEADER.size + programs * elf.PROGRAM.size


def _segment_of(layout: Layout, output: OutputSection) -> int:
    index = SEGMENT_OF[output.kind]
    is_protected = output.kind in PROTECTED_KINDS or output.name in PROTECTED_NAMES
    relro = layout.options.relro
    if layout.dynamic is not None:
        relro = True
        is_protected |= output.name in layout.dynamic.protected
    return PROTECT if relro and index == WRITE and is_protected else index


def _add_unloaded(layout: Layout, section: Section) -> None:
    """Keep debug information, and our own descriptions, of objects that take part."""
    name = section.name
    if not name.startswith((".debug_", ".callproof.")):
        return
    pieces = layout.unloaded.setdefault(name, [])
    address = pieces[-1].address + pieces[-1].size if pieces else 0
    piece = Piece(section, address, NO_DATA, len(section.data))
    pieces.append(piece)
    layout.places[id(section)] = piece


def place_all(layout: Layout) -> None:
    """Addresses and file offsets of everything loaded."""
    options = layout.options
    address, offset = options.base + layout.headers_size, layout.headers_size
    for number, segment in enumerate(layout.segments):
        if number:
            address = -(-address // options.page) * options.page + offset % options.page
        segment.address, segment.offset = address, offset
        if not number:
            segment.address, segment.offset = options.base, 0
        for output in segment.sections:
            address, offset = _place(layout, output, address, offset)
        last = [output for output in segment.sections if output.in_file]
        end = last[-1].offset + last[-1].size if last else offset
        segment.file_size = end - segment.offset
        offset = end
        if segment is layout.relro:
            # Protection is by pages: nothing else is to be on the last one.
            address = -(-address // options.page) * options.page
        segment.memory_size = address - segment.address
    _place_tls(layout)


def _place(layout: Layout, output: OutputSection, address: int, offset: int) -> tuple[int, int]:
    """Place one output section; the address and offset behind it."""
    output.alignment = max((piece.section.alignment for piece in output.pieces), default=1)
    if output.kind in ("tdata", "tbss"):
        # The image's start has to suit all of it.
        image = [o for o in layout.outputs() if o.kind in ("tdata", "tbss")]
        if output is image[0]:
            pieces = [piece for one in image for piece in one.pieces]
            output.alignment = max(piece.section.alignment for piece in pieces)
    start = -(-address // output.alignment) * output.alignment
    output.address = start
    output.offset = offset + (start - address)
    veneers = layout.veneers if output.kind == "code" else None
    position = start
    output.veneers = []
    for piece in output.pieces:
        alignment = piece.section.alignment
        if veneers is not None:
            position = veneers.place_before(output, piece, position)
        position = -(-position // alignment) * alignment
        piece.address = position
        position += piece.size
        if position > ADDRESS_LIMIT:
            owner = layout.resolved.owner.get(id(piece.section))
            raise CallproofError(
                f"the program is too large: {output.name} ends at {position:#x}, with section "
                f"{piece.section.name} of {owner.name if owner else 'the linker'}"
            )
    if veneers is not None:
        position = veneers.place_last(output, position)
    output.size = position - start
    if output.kind == "tbss":
        return address, offset  # takes no memory in the program, only in each thread
    if not output.in_file:
        return position, offset
    return position, output.offset + output.size


def _place_tls(layout: Layout) -> None:
    image = [output for output in layout.outputs() if output.kind in ("tdata", "tbss")]
    if not image:
        return
    start = image[0].address
    file_end = max((o.address + o.size for o in image if o.in_file), default=start)
    memory_end = max(o.address + o.size for o in image)
    alignment = max(o.alignment for o in image)
    layout.tls = (start, file_end - start, memory_end - start, alignment)
