"""The ELF image of a laid-out and relocated program."""

from __future__ import annotations

import hashlib

from callproof.link import loader_view
from callproof.link.layout import BUILD_ID_SIZE, Layout
from callproof.object import elf_format as elf
from callproof.object.elf_write import SECTION_FACTS, StringTable
from callproof.object.model import Section, Symbol
from callproof.source import CallproofError

NOPS = {"aarch64": b"\x1f\x20\x03\xd5", "x86_64": b"\x90"}


def write_executable(layout: Layout) -> bytes:
    """An ELF program with program headers, section headers and a symbol table."""
    image = bytearray(layout.headers_size)
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
        for piece in output.pieces:
            section_numbers[id(piece.section)] = len(headers) - 1
        if not output.in_file or not output.size:
            continue
        image.extend(bytes(max(0, output.offset + output.size - len(image))))
        if output.kind == "code":
            # Code may run through the gap before the next piece, as `.init` does.
            nop = NOPS[layout.resolved.machine]
            start, end = output.offset, output.offset + output.size
            image[start:end] = (nop * (output.size // len(nop) + 1))[: output.size]
        for piece in output.pieces:
            start = output.offset + piece.address - output.address
            image[start : start + len(piece.data)] = piece.data
        for address, code in output.veneers:
            start = output.offset + address - output.address
            image[start : start + len(code)] = code
    for name, pieces in layout.unloaded.items():
        start = len(image)
        for piece in pieces:
            section_numbers[id(piece.section)] = len(headers)
            image += piece.data
        size = len(image) - start
        headers.append(
            elf.SECTION.pack(names.add(name), elf.SHT_PROGBITS, 0, 0, start, size, 0, 0, 1, 0)
        )
    for key, moved in layout.resolved.moved.items():
        section_numbers[key] = section_numbers[id(moved.section)]
    for key, leader in layout.resolved.folded.items():
        section_numbers[key] = section_numbers[id(leader)]
    _symbol_table(layout, image, names, headers, section_numbers)

    entry = layout.resolved.names[layout.options.entry].symbol
    entry_address = layout.address_of(entry)
    if entry_address is None:
        raise CallproofError(f"the entry point '{layout.options.entry}' has no address")
    image.extend(bytes(-len(image) % 8))
    section_offset = len(image)
    image += b"".join(headers)
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
        _sign(layout, layout.build_id, image)
    return bytes(image)


def _sign(layout: Layout, note: Section, image: bytearray) -> None:
    """The build id is the SHA-1 of the file with zeros in the id's place."""
    address = layout.places[id(note)].address + len(note.data) - BUILD_ID_SIZE
    output = next(o for o in layout.outputs() if o.address <= address < o.address + o.size)
    offset = output.offset + address - output.address
    image[offset : offset + BUILD_ID_SIZE] = hashlib.sha1(image, usedforsecurity=False).digest()


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
    return programs + behind


def _symbol_table(
    layout: Layout,
    image: bytearray,
    names: StringTable,
    headers: list[bytes],
    numbers: dict[int, int],
) -> None:
    """`.symtab`, `.strtab` and `.shstrtab`: every named symbol of what was kept."""
    strings = StringTable()
    rows: list[tuple[bool, bytes]] = []
    tls_start = layout.tls[0]
    for file in layout.resolved.files:
        for symbol in file.symbols:
            if symbol.kind == "section" or not symbol.name or symbol.name.startswith(".L"):
                continue
            row = _symbol(layout, symbol, strings, numbers, tls_start)
            if row is not None:
                rows.append((row[4] >> 4 == 0, row))
    rows.sort(key=lambda row: not row[0])
    locals_ = 1 + sum(is_local for is_local, _ in rows)
    table = bytes(elf.SYMBOL.size) + b"".join(row for _, row in rows)
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
        image.extend(bytes(-len(image) % alignment))
        headers.append(
            elf.SECTION.pack(
                name_offset,
                type_,
                0,
                0,
                len(image),
                len(data),
                link,
                info,
                alignment,
                entry,
            )
        )
        image += data


def _symbol(
    layout: Layout,
    symbol: Symbol,
    strings: StringTable,
    numbers: dict[int, int],
    tls_start: int,
) -> bytes | None:
    if symbol.section is not None:
        number = numbers.get(id(symbol.section))
        address = layout.address_of(symbol)
        if number is None or address is None:
            return None
        if symbol.kind == "tls":
            address -= tls_start
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
