"""The ELF image of a laid-out and relocated program."""

from __future__ import annotations

import hashlib

from callproof.link import loader_view
from callproof.link.layout import BUILD_ID_SIZE, Layout, OutputSection
from callproof.link.symbol_table import symbol_table
from callproof.object import elf_format as elf
from callproof.object.elf_write import SECTION_FACTS, StringTable
from callproof.object.model import Section
from callproof.source import CallproofError

NOPS = {"aarch64": b"\x1f\x20\x03\xd5", "x86_64": b"\x90"}


def write_executable(layout: Layout) -> bytes:
    """An ELF program with program headers, section headers and a symbol table."""
    return b"".join(executable_parts(layout))


def executable_parts(layout: Layout) -> tuple[memoryview, bytearray]:
    """The relocated image, finished, and what comes behind it: tables that no loader reads."""
    image = layout.image
    assert image is not None
    names = StringTable()
    headers = [bytes(elf.SECTION.size)]
    section_numbers: dict[int, int] = {}

    for output in layout.outputs():
        type_, flags = SECTION_FACTS[output.kind]
        link = info = entry_size = 0
        if layout.dynamic is not None:
            type_, link, info, entry_size = loader_view.header_facts(
                layout.dynamic, layout, output, type_
            )
        headers.append(
            elf.SECTION.pack(
                names.add(output.name),
                type_,
                flags,
                output.address,
                output.offset,
                output.size,
                link,
                info,
                output.alignment,
                entry_size,
            )
        )
        number = len(headers) - 1
        for piece in output.pieces:
            section_numbers[id(piece.section)] = number
        if not output.in_file or not output.size:
            continue
        # Code may run through the gap before the next piece, as `.init` does.
        if output.kind == "code":
            _fill_gaps(image, NOPS[layout.resolved.machine], output)
        for address, code in output.veneers:
            start = output.offset + address - output.address
            image[start : start + len(code)] = code
    for name, pieces in layout.unloaded.items():
        start = layout.unloaded_offsets[name]
        for piece in pieces:
            section_numbers[id(piece.section)] = len(headers)
        size = pieces[-1].address + pieces[-1].size
        headers.append(
            elf.SECTION.pack(names.add(name), elf.SHT_PROGBITS, 0, 0, start, size, 0, 0, 1, 0)
        )
    for key, moved in layout.resolved.moved.items():
        section_numbers[key] = section_numbers[id(moved.section)]
    for key, leader in layout.resolved.folded.items():
        section_numbers[key] = section_numbers[id(leader)]
    tail = symbol_table(layout, names, headers, section_numbers)

    entry = layout.resolved.names[layout.options.entry]
    entry_address = layout.address_of(entry.symbol)
    if entry_address is None:
        raise CallproofError(
            f"{entry.file.name}: the entry point '{layout.options.entry}' has no address"
        )
    tail += bytes(-(len(image) + len(tail)) % 8)
    section_offset = len(image) + len(tail)
    tail += b"".join(headers)
    programs = _program_headers(layout)
    header = elf.HEADER.pack(
        elf.IDENT,
        elf.ET_DYN if layout.options.pie else elf.ET_EXEC,
        elf.MACHINES[layout.resolved.machine],
        1,
        entry_address,
        elf.HEADER.size,
        section_offset,
        0,
        elf.HEADER.size,
        elf.PROGRAM.size,
        len(programs),
        elf.SECTION.size,
        len(headers),
        len(headers) - 1,
    )
    image[: layout.headers_size] = (header + b"".join(programs)).ljust(layout.headers_size, b"\0")
    if layout.build_id is not None:
        _sign(layout, layout.build_id, image, tail)
    return image, tail


def _fill_gaps(image: memoryview, nop: bytes, output: OutputSection) -> None:
    """Instructions that do nothing, at their multiples from the start on, between the pieces."""
    end = origin = output.offset
    distance = origin - output.address
    for piece in output.pieces:
        start = piece.address + distance
        if start > end:
            _fill(image, nop, origin, end, start)
        end = start + piece.size
    _fill(image, nop, origin, end, origin + output.size)


def _fill(image: memoryview, nop: bytes, origin: int, start: int, end: int) -> None:
    phase = (start - origin) % len(nop)
    gap = end - start
    image[start:end] = (nop * (gap // len(nop) + 2))[phase : phase + gap]


def _sign(layout: Layout, note: Section, image: memoryview, tail: bytearray) -> None:
    """The build id is the SHA-1 of the file with zeros in the id's place."""
    address = layout.places[id(note)].address + len(note.data) - BUILD_ID_SIZE
    output = next(o for o in layout.outputs() if o.address <= address < o.address + o.size)
    offset = output.offset + address - output.address
    digest = hashlib.sha1(image, usedforsecurity=False)
    digest.update(tail)
    image[offset : offset + BUILD_ID_SIZE] = digest.digest()


def _program_headers(layout: Layout) -> list[bytes]:
    before, behind = loader_view.program_headers(layout) if layout.dynamic else ([], [])
    programs = before + [
        elf.PROGRAM.pack(
            elf.PT_LOAD,
            segment.flags,
            segment.offset,
            segment.address,
            segment.address,
            segment.file_size,
            segment.memory_size,
            layout.options.page,
        )
        for segment in layout.segments
        if segment.memory_size
    ]
    for note in layout.outputs():
        # A segment each: the alignment tells readers how the entries are padded.
        if note.kind == "note" and note.size:
            place = (note.offset, note.address, note.address, note.size, note.size)
            programs.append(elf.PROGRAM.pack(elf.PT_NOTE, elf.PF_R, *place, note.alignment))
    address, file_size, memory_size, alignment = layout.tls
    if memory_size:
        offset = next(
            output.offset for output in layout.outputs() if output.kind in ("tdata", "tbss")
        )
        programs.append(
            elf.PROGRAM.pack(
                elf.PT_TLS,
                elf.PF_R,
                offset,
                address,
                address,
                file_size,
                memory_size,
                alignment,
            )
        )
    if layout.relro is not None and layout.relro.memory_size:
        part = layout.relro
        place = (part.offset, part.address, part.address, part.file_size, part.memory_size)
        programs.append(elf.PROGRAM.pack(elf.PT_GNU_RELRO, elf.PF_R, *place, 1))
    for index in layout.outputs():
        if index.name == ".eh_frame_hdr":
            place = (index.offset, index.address, index.address, index.size, index.size)
            programs.append(elf.PROGRAM.pack(elf.PT_GNU_EH_FRAME, elf.PF_R, *place, 4))
    stack = elf.PF_R | elf.PF_W | (elf.PF_X if layout.exec_stack else 0)
    programs.append(elf.PROGRAM.pack(elf.PT_GNU_STACK, stack, 0, 0, 0, 0, 0, 16))
    programs += behind
    if layout.dynamic is not None:
        programs.insert(0, loader_view.own_header(layout, len(programs) + 1))
    return programs
