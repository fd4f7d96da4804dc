"""The linker for macOS: Mach-O objects and archives in, one signed executable out.

    resolve, collect     as for Linux; what nobody defines and libSystem has is imported
    find_imports         stubs and the GOT                            (macho_relocate.py)
    lay_out              addresses                                    (macho_layout.py)
    relocate             addresses into the code, fixups for the loader
    unwind_table         how frames are left                          (macho_unwind.py)
    write                commands, segments, the loader's tables      (macho_linkedit.py)
    sign                 UUID and ad-hoc signature                    (macho_sign.py)

Programs are position-independent, loaded by dyld and linked with libSystem, and perhaps other
libraries (macho_libraries.py): Apple has no other kind.  Equal inputs give equal bytes; the
output's name is in the signature only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING

from callproof.files import write_output
from callproof.link.inputs import ArchiveGroup
from callproof.link.macho_layout import (
    BASE,
    HEADER_SYMBOLS,
    PAGE,
    PROTECTION,
    Program,
    Segment,
    lay_out,
)
from callproof.link.macho_libraries import (
    LIBSYSTEM,
    MOST_LIBRARIES,
    Library,
    is_library,
    read_library,
)
from callproof.link.macho_linkedit import (
    SymbolTable,
    chained_fixups,
    exports_trie,
    function_starts,
    symbol_table,
)
from callproof.link.macho_relocate import find_imports, relocate
from callproof.link.macho_sign import signature, signature_size
from callproof.link.macho_unwind import most_size, read_rows, unwind_table
from callproof.object import macho_format as macho
from callproof.object.macho_write import MINIMUM_MACOS
from callproof.object.model import Section
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link import Input, LinkOptions

DYLINKER = b"/usr/lib/dyld"
HEADER_PADDING = 256  # where signers may put commands of theirs
UUID_SIZE = 16
LINKEDIT = "__LINKEDIT"
FLAGS = macho.MH_NOUNDEFS | macho.MH_DYLDLINK | macho.MH_TWOLEVEL | macho.MH_PIE


def link_macho(inputs: Sequence[Input], output: Path, options: LinkOptions) -> None:
    """Link into a file with mode 755; the file appears complete or stays as it was."""
    write_output(output, macho_bytes(inputs, options, output.name), executable=True)


def macho_bytes(inputs: Sequence[Input], options: LinkOptions, identifier: str) -> bytes:
    """The executable's bytes; `identifier` is what its signature calls it.

    Raises `CallproofError` naming files, sections and symbols.
    """
    from callproof.link.collect import collect
    from callproof.link.resolve import resolve

    libraries, inputs = _libraries(inputs)
    names = dict.fromkeys(options.system_names, 1)
    for number, library in reversed(list(enumerate(libraries[1:], 2))):
        names.update(dict.fromkeys(library.names, number))  # the first that has a name counts
    known = frozenset(names) | HEADER_SYMBOLS
    resolved = resolve(inputs, replace(options, system_names=known))
    collect(resolved, options)
    program = Program(resolved, libraries=libraries)
    find_imports(program, names)
    rows = read_rows(program)
    if rows:
        room = bytes(most_size(rows))
        program.unwind_section = Section("__TEXT,__unwind_info", "rodata", room, alignment=4)
        resolved.make([program.unwind_section])
    # Sizes of commands do not depend on what they say, but on how many sections there are.
    lay_out(program, 0)
    headers_size = _Writer(program, options, identifier).headers_size() + HEADER_PADDING
    program.segments.clear()
    lay_out(program, headers_size)
    fixups = relocate(program)
    if program.unwind_section is not None:
        piece = program.places[id(program.unwind_section)]
        table = unwind_table(program, rows)
        piece.data[: len(table)] = table
    writer = _Writer(program, options, identifier)
    data = {segment.name: writer.content(segment) for segment in program.segments}
    chains = chained_fixups(program, fixups, data)
    return writer.write(data, chains)


def _libraries(inputs: Sequence[Input]) -> tuple[list[Library], list[Input]]:
    """The libraries among the inputs, behind libSystem, and the other inputs."""
    found: list[Library] = [LIBSYSTEM]
    others: list[Input] = []
    for item in inputs:
        inside: list[Library] = []
        if isinstance(item, Path) and is_library(item):
            inside = [read_library(item)]
        elif isinstance(item, ArchiveGroup):
            (_, *inside), rest = _libraries(item.inputs)
            others.append(ArchiveGroup(tuple(one for one in rest if isinstance(one, Path))))
        else:
            others.append(item)
        known = {one.name for one in found}
        found += [one for one in inside if one.name not in known]
    if len(found) > MOST_LIBRARIES:
        raise CallproofError(f"{len(found)} shared libraries, more than {MOST_LIBRARIES}")
    return found, others


def _text_command(command: int, fields: bytes, text: bytes) -> bytes:
    """A load command that ends in a text, which its third word gives the place of."""
    start = 12 + len(fields)
    body = text + b"\0"
    size = -(-(start + len(body)) // 8) * 8
    return (pack("<3I", command, size, start) + fields + body).ljust(size, b"\0")


class _Writer:
    """Puts the file together: everything but __LINKEDIT has its place by now."""

    __slots__ = ("identifier", "options", "program")

    def __init__(self, program: Program, options: LinkOptions, identifier: str) -> None:
        self.program = program
        self.options = options
        self.identifier = identifier or "program"

    def headers_size(self) -> int:
        empty = Segment(LINKEDIT, [])
        nothing = SymbolTable(b"", b"", (0, 0, 0), b"", [], {})
        commands = self.commands(empty, {}, nothing, 0)
        return macho.HEADER.size + sum(map(len, commands))

    def has_thread_locals(self) -> bool:
        return any(one.name == "__thread_vars" for one in self.program.outputs())

    def content(self, segment: Segment) -> bytearray:
        data = bytearray(segment.file_size)
        for output in segment.outputs:
            if output.in_file:
                at = output.address - segment.address
                data[at : at + output.size] = output.content()
        return data

    def write(self, data: dict[str, bytearray], chains: bytes) -> bytes:
        program = self.program
        symbols = symbol_table(program, self.options.export_dynamic)
        last = program.segments[-1]
        linkedit = Segment(
            LINKEDIT,
            [],
            address=last.address + last.memory_size,
            offset=last.offset + last.file_size,
        )
        parts = {
            "fixups": chains,
            "exports": exports_trie(symbols.exported, symbols.thread_locals),
            "starts": function_starts(symbols.functions),
            "data": b"",
            "symbols": symbols.table,
            "indirect": symbols.indirect,
            "strings": symbols.strings,
        }
        places: dict[str, tuple[int, int]] = {}
        body = bytearray()
        for name, part in parts.items():
            # Without holes, as Apple's tools want it; what is not a multiple of 8 is padded.
            padded = part if name == "indirect" else part + bytes(-len(part) % 8)
            places[name] = (linkedit.offset + len(body), len(padded))
            body += padded
        body += bytes(-len(body) % 16)
        limit = linkedit.offset + len(body)
        places["signature"] = (limit, signature_size(limit, self.identifier))
        linkedit.file_size = limit - linkedit.offset + places["signature"][1]
        linkedit.memory_size = -(-linkedit.file_size // PAGE) * PAGE
        image = bytearray()
        for segment in program.segments:
            image += data[segment.name]
        image += body
        main = program.address_of(program.resolved.names[program.resolved.entry].symbol)
        if main is None:
            raise CallproofError(f"the entry point '{program.resolved.entry}' has no address")
        commands = self.commands(linkedit, places, symbols, main - BASE)
        header = macho.HEADER.pack(
            macho.MAGIC_64,
            macho.CPU_ARM64,
            macho.CPU_SUBTYPE_ALL,
            macho.MH_EXECUTE,
            len(commands),
            sum(map(len, commands)),
            FLAGS | (macho.MH_HAS_TLV_DESCRIPTORS if self.has_thread_locals() else 0),
            0,
        ) + b"".join(commands)
        image[: len(header)] = header
        self.put_uuid(image, commands)
        text = program.segments[0]
        return bytes(image) + signature(image, self.identifier, text.file_size)

    def put_uuid(self, image: bytearray, commands: list[bytes]) -> None:
        """The hash of the file with zeros in the UUID's place, marked as made of a name."""
        at = macho.HEADER.size
        for command in commands:
            if int.from_bytes(command[:4], "little") == macho.LC_UUID:
                uuid = bytearray(hashlib.sha256(image).digest()[:UUID_SIZE])
                uuid[6] = uuid[6] & 0x0F | 0x30
                uuid[8] = uuid[8] & 0x3F | 0x80
                image[at + 8 : at + 8 + UUID_SIZE] = uuid
            at += len(command)

    def commands(
        self,
        linkedit: Segment,
        places: dict[str, tuple[int, int]],
        symbols: SymbolTable,
        entry: int,
    ) -> list[bytes]:
        """The load commands in the order of Apple's linker."""
        program = self.program
        found = [_segment(Segment("__PAGEZERO", [], 0, BASE), 0, 0)]
        for segment in program.segments:
            for output in segment.outputs:
                if output.name == "__stubs":
                    output.reserved = (0, 12)
                elif output.name == "__got":
                    output.reserved = (len(program.stubs), 0)
            is_constant = segment.name == "__DATA_CONST"
            flags = macho.SG_READ_ONLY if is_constant else 0
            found.append(_segment(segment, PROTECTION[segment.name], flags))
        found.append(_segment(linkedit, macho.VM_READ, 0))

        def data(command: int, name: str) -> bytes:
            offset, size = places.get(name, (0, 0))
            return macho.LINKEDIT_DATA.pack(command, macho.LINKEDIT_DATA.size, offset, size)

        found.append(data(macho.LC_DYLD_CHAINED_FIXUPS, "fixups"))
        found.append(data(macho.LC_DYLD_EXPORTS_TRIE, "exports"))
        nothing = (0, 0)
        strings = places.get("strings", nothing)
        table = places.get("symbols", nothing)[0]
        count = sum(symbols.counts)
        size = macho.SYMTAB.size
        found.append(macho.SYMTAB.pack(macho.LC_SYMTAB, size, table, count, *strings))
        local, defined, undefined = symbols.counts
        indirect = len(symbols.indirect) // 4
        fields = [0, local, local, defined, local + defined, undefined, *[0] * 12]
        if indirect:
            fields[12:14] = [places["indirect"][0], indirect]
        found.append(macho.DYSYMTAB.pack(macho.LC_DYSYMTAB, macho.DYSYMTAB.size, *fields))
        found.append(_text_command(macho.LC_LOAD_DYLINKER, b"", DYLINKER))
        found.append(pack("<2I16x", macho.LC_UUID, 8 + UUID_SIZE))
        version = (macho.PLATFORM_MACOS, MINIMUM_MACOS, MINIMUM_MACOS, 0)
        size = macho.BUILD_VERSION.size
        found.append(macho.BUILD_VERSION.pack(macho.LC_BUILD_VERSION, size, *version))
        found.append(pack("<2IQ", macho.LC_SOURCE_VERSION, 16, 0))
        found.append(macho.MAIN.pack(macho.LC_MAIN, macho.MAIN.size, entry, 0))
        for library in program.libraries:
            versions = pack("<3I", 2, library.current, library.compatibility)
            name = library.name.encode("utf-8", "surrogateescape")
            found.append(_text_command(macho.LC_LOAD_DYLIB, versions, name))
        for folder in self.options.rpath:
            text = folder.encode("utf-8", "surrogateescape")
            found.append(_text_command(macho.LC_RPATH, b"", text))
        found.append(data(macho.LC_FUNCTION_STARTS, "starts"))
        found.append(data(macho.LC_DATA_IN_CODE, "data"))
        found.append(data(macho.LC_CODE_SIGNATURE, "signature"))
        return found


def _segment(segment: Segment, protection: int, flags: int) -> bytes:
    count = len(segment.outputs)
    out = macho.SEGMENT.pack(
        macho.LC_SEGMENT_64,
        macho.SEGMENT.size + count * macho.SECTION.size,
        segment.name.encode(),
        segment.address,
        segment.memory_size,
        segment.offset,
        segment.file_size,
        protection,
        protection,
        count,
        flags,
    )
    for output in segment.outputs:
        out += macho.SECTION.pack(
            output.name.encode(),
            segment.name.encode(),
            output.address,
            output.size,
            output.offset,
            output.alignment.bit_length() - 1,
            0,
            0,
            output.flags,
            *output.reserved,
            0,
        )
    return out
