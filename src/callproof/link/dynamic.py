"""What a loader needs of a program that is position-independent or uses shared libraries.

`prepare` looks at all relocations of what is kept (`imports.py`) and makes the sections
that the linker adds, in their final sizes but for RELR, whose size depends on addresses;
`fit` settles that one; `finish` fills everything when all addresses are known.

All imports are bound when the program starts (BIND_NOW), and what only the loader writes
(GOT, `.dynamic`, constructor arrays, `.data.rel.ro`) is in a segment of its own, which is
read-only afterwards (PT_GNU_RELRO).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from callproof.link import dynamic_tables as tables
from callproof.link import plt
from callproof.link.imports import ASKING, DOUBTFUL, Scan, asks_for
from callproof.link.libraries import Import
from callproof.link.relocate import GotKey, slot_key
from callproof.link.resolve import Resolved
from callproof.object import elf_format as elf
from callproof.object.elf_write import StringTable
from callproof.object.model import Section, Symbol
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link import LinkOptions
    from callproof.link.layout import Layout

INTERPRETERS = {"aarch64": "/lib/ld-linux-aarch64.so.1", "x86_64": "/lib64/ld-linux-x86-64.so.2"}
LIBC = "libc.so.6"
LARGEST_COPY = 1 << 32  # bytes: what code can reach
RELR_VERSION = "GLIBC_ABI_DT_RELR"  # glibc refuses RELR to programs that do not ask for it

RELATIVE, WORD, SLOT, JUMP, COPY, THREAD, CHOICE = range(7)
TYPES = {
    "aarch64": ("RELATIVE", "ABS64", "GLOB_DAT", "JUMP_SLOT", "COPY", "TLS_TPREL", "IRELATIVE"),
    "x86_64": ("RELATIVE", "64", "GLOB_DAT", "JUMP_SLOT", "COPY", "TPOFF64", "IRELATIVE"),
}
PREFIXES = {"aarch64": "R_AARCH64_", "x86_64": "R_X86_64_"}

# Section -> (type, section of `link`, size of an entry)
HEADERS = {
    ".dynsym": (elf.SHT_DYNSYM, ".dynstr", elf.SYMBOL.size),
    ".dynstr": (elf.SHT_STRTAB, "", 0),
    ".hash": (elf.SHT_HASH, ".dynsym", 4),
    ".gnu.hash": (elf.SHT_GNU_HASH, ".dynsym", 0),
    ".gnu.version": (elf.SHT_GNU_VERSYM, ".dynsym", 2),
    ".gnu.version_r": (elf.SHT_GNU_VERNEED, ".dynstr", 0),
    ".rela.dyn": (elf.SHT_RELA, ".dynsym", elf.RELA.size),
    ".rela.plt": (elf.SHT_RELA, ".dynsym", elf.RELA.size),
    ".relr.dyn": (elf.SHT_RELR, "", 8),
    ".dynamic": (elf.SHT_DYNAMIC, ".dynstr", 16),
}


@dataclass(slots=True)
class DynamicRelocation:
    """The loader's work at an offset of a section; `kind` indexes `TYPES`.

    is_doubtful  a relative one that is none if the word turns out to be 0
    resolver     of a CHOICE: the function to call
    """

    kind: int
    section: Section
    offset: int
    found: Import | None = None
    addend: int = 0
    is_doubtful: bool = False
    resolver: Symbol | None = None


class Dynamic:
    """The added sections by name, and what goes into them."""

    __slots__ = (
        "exports",
        "hashed",
        "is_pie",
        "libraries",
        "moved",
        "moved_names",
        "needs",
        "numbers",
        "options",
        "plain",
        "plt",
        "protected",
        "relocations",
        "resolved",
        "scan",
        "sections",
        "slots",
        "strings",
        "words",
    )

    def __init__(self, resolved: Resolved, options: LinkOptions) -> None:
        self.resolved = resolved
        self.options = options
        self.is_pie = options.pie
        self.scan = Scan(resolved, options.pie, ())
        self.sections: dict[str, Section] = {}
        self.relocations: list[DynamicRelocation] = []
        self.plt: list[Import] = []
        self.moved: set[int] = set()
        self.moved_names: set[str] = set()
        self.protected: set[str] = {".rela.iplt", ".eh_frame"}
        self.slots: dict[GotKey, Symbol | str] = {}
        self.words: list[DynamicRelocation] = []  # relative ones that may be packed
        self.strings = StringTable()
        self.needs: list[tables.NeededVersions] = []
        self.plain: list[Import] = []  # symbols that only this program looks up
        self.hashed: list[Import | Symbol] = []  # those that others may look up here
        self.exports: list[Symbol] = []
        self.libraries: list[str] = []
        self.numbers: dict[int, int] = {}  # id of an import or a symbol -> its number

    # Before the layout

    def prepare(self, sections: list[Section]) -> list[Section]:
        """Look at what is kept; the sections to add to it."""
        live = [section for section in sections if id(section) in self.resolved.live]
        scan = self.scan = Scan(self.resolved, self.is_pie, live)
        for section, relocations in self.resolved.relocations_of(live, ASKING, unusual=True):
            scan.section(section, relocations)
            for relocation in relocations:
                if "slot" in asks_for(relocation.type):
                    thread = asks_for(relocation.type) == "thread slot"
                    meaning = self.resolved.meaning(relocation.symbol)
                    key = slot_key(self.resolved, relocation, thread)
                    self.slots[key] = meaning or relocation.symbol.name
        self._move(scan, live)
        for section, offset, found, addend in scan.words:
            if found is None:
                self._relative(section, offset, (id(section), offset) in scan.doubtful)
            else:
                self.relocations.append(DynamicRelocation(WORD, section, offset, found, addend))
        for section, offset, resolver in self.resolved.choices:
            choice = DynamicRelocation(CHOICE, section, offset, resolver=resolver)
            self.relocations.append(choice)
        if self.options.dynamic:
            path = self.options.interpreter or INTERPRETERS[self.resolved.machine]
            self._add(".interp", "rodata", path.encode() + b"\0", 1)
        copies = self._copy(scan.copies.values())
        self._jump(scan.calls.values())
        self._number(copies)
        return list(self.sections.values()) + [c.symbol.section for c in copies if c.symbol.section]

    def _move(self, scan: Scan, live: list[Section]) -> None:
        """Read-only data that the loader writes; whole arrays where names span them."""
        self.moved = scan.moved
        self.moved_names = {
            section.name
            for section in live
            if id(section) in scan.moved and section.name.isidentifier()
        }
        written = {section.name for section in live if section.kind not in ("rodata", "note")}
        self.protected |= self.moved_names - written

    def _relative(self, section: Section, offset: int, is_doubtful: bool = False) -> None:
        entry = DynamicRelocation(RELATIVE, section, offset, is_doubtful=is_doubtful)
        packed = self.options.relr and section.alignment % 2 == 0 and offset % 2 == 0
        packed &= not is_doubtful
        (self.words if packed else self.relocations).append(entry)

    def _add(self, name: str, kind: str, data: bytes | int, alignment: int) -> Section:
        """A section with its contents, or with room for so many bytes."""
        content = bytes(data) if isinstance(data, int) else data
        section = Section(name, kind, content, alignment, len(content))
        self.sections[name] = section
        self.resolved.live.add(id(section))
        return section

    def _copy(self, wanted: Iterable[Import]) -> list[Import]:
        """Give data of libraries a place in the program, under all its names."""
        copies: dict[tuple[int, int], Section] = {}
        placed = []
        by_name = {(id(i.library), i.shared.name): i for i in self.resolved.imports.values()}
        for found in wanted:
            shared, library = found.shared, found.library
            if not shared.size:
                raise CallproofError(
                    f"{library.name}: '{shared.name}' has no size, so the program cannot have a "
                    "copy of it; compile with -fPIC"
                )
            if (id(library), shared.value) in copies:
                continue
            names = [shared, *library.aliases(shared)]
            size = max(one.size for one in names)
            if size > LARGEST_COPY:
                raise CallproofError(
                    f"{library.name}: '{shared.name}' has {size} bytes, too many for a copy"
                )
            section = Section(".bss.copy", "bss", alignment=shared.alignment, size=size)
            copies[id(library), shared.value] = section
            self.resolved.live.add(id(section))
            for one in names:
                alias = by_name.get((id(library), one.name))
                known = self.resolved.names.get(one.name)
                if alias is None:
                    if known is not None:
                        continue  # the program's own, or another library's
                    alias = Import(Symbol(one.name, kind=one.kind, size=one.size), library, one)
                    self.resolved.imports[id(alias.symbol)] = alias
                alias.symbol.section, alias.symbol.value = section, 0
                alias.is_placed = alias.is_used = True
                placed.append(alias)
            self.relocations.append(DynamicRelocation(COPY, section, 0, found))
        return placed

    def _jump(self, calls: Iterable[Import]) -> None:
        self.plt = list(calls)
        if not self.plt:
            return
        code = self._add(".plt", "code", plt.ENTRY_SIZE * len(self.plt), 16)
        slots = self._add(".got.plt", "data", 8 * len(self.plt), 8)
        for index, found in enumerate(self.plt):
            found.plt = index
            found.symbol.section, found.symbol.value = code, plt.ENTRY_SIZE * index
            self.relocations.append(DynamicRelocation(JUMP, slots, 8 * index, found))

    def got(self, slots: Iterable[GotKey], section: Section | None) -> None:
        """The loader's work on the slots of the GOT, in their order."""
        for index, key in enumerate(slots):
            if section is None:
                break
            meaning = self.slots[key]
            symbol = meaning if isinstance(meaning, Symbol) else None
            found = self.resolved.imported(symbol)
            if found is not None:
                kind = THREAD if key[0] == "tls" else SLOT
                entry = DynamicRelocation(kind, section, 8 * index, found, key[2])
                self.relocations.append(entry)
            elif key[0] == "tls" or not self.is_pie:
                continue
            elif symbol is None:
                if self.scan.is_linker_symbol(str(meaning)):
                    self._relative(section, 8 * index, str(meaning) in DOUBTFUL)
            elif not symbol.absolute:
                self._relative(section, 8 * index)

    def _number(self, copies: list[Import]) -> None:
        """Symbols, names and versions, in the order in which they are written."""
        used = [found for found in self.resolved.imports.values() if found.is_used]
        self._need(used)
        self.plain = [found for found in used if not found.is_placed]
        names, entries = self.resolved.names, self.resolved.entries
        seen = (names[name].symbol for name in self.resolved.exported)
        self.exports = [
            entries.get(id(symbol), symbol)
            for symbol in seen
            if symbol.absolute or id(symbol.section) in self.resolved.live
        ]
        self.hashed = [found for found in used if found.is_placed]
        self.hashed += self.exports
        count = tables.gnu_buckets(len(self.hashed))
        self.hashed.sort(key=lambda one: tables.gnu_hash(name_of(one)) % count)
        rows: list[Import | Symbol] = [*self.plain, *self.hashed]
        self.numbers = {id(one): number for number, one in enumerate(rows, 1)}
        listed = [name_of(one) for one in rows]
        for name in listed:
            self.strings.add(name)
        first = 1 + len(self.plain)
        hashed = [name_of(one) for one in self.hashed]
        self._add(".gnu.hash", "rodata", tables.gnu_hash_table(hashed, first), 8)
        self._add(".hash", "rodata", tables.hash_table(listed), 4)
        self._add(".dynsym", "rodata", elf.SYMBOL.size * (1 + len(rows)), 8)
        self._versions(rows)
        self._add(".dynstr", "rodata", bytes(self.strings.data), 1)

    def _need(self, used: list[Import]) -> None:
        """Libraries to be asked for, and their versions."""
        wanted = {id(found.library) for found in used}
        by_library: dict[int, tables.NeededVersions] = {}
        number = 2
        for library in self.resolved.libraries:
            is_lazy = self.options.as_needed or id(library) in self.resolved.as_needed
            if is_lazy and id(library) not in wanted:
                continue
            file = library.soname or Path(library.name).name
            if file not in self.libraries:
                self.libraries.append(file)
            need = by_library[id(library)] = tables.NeededVersions(file)
            for found in used:
                version = found.shared.version
                if found.library is library and version and version not in need.names:
                    need.names[version] = number
                    number += 1
            if self.options.relr and file == LIBC:
                if RELR_VERSION not in library.versions:
                    raise CallproofError(f"{library.name} is too old for packed relocations (RELR)")
                need.names[RELR_VERSION] = number
                number += 1
        self.needs = [need for need in by_library.values() if need.names]
        for text in (*self.libraries, ":".join(self.options.rpath)):
            self.strings.add(text)

    def _versions(self, rows: list[Import | Symbol]) -> None:
        if not self.needs:
            return
        numbers = {need.file: need.names for need in self.needs}
        row = [0]
        for one in rows:
            number = 1  # of no version
            if isinstance(one, Import) and one.shared.version:
                file = one.library.soname or Path(one.library.name).name
                number = numbers[file][one.shared.version]
            row.append(number)
        strings = {}
        for need in self.needs:
            for text in (need.file, *need.names):
                strings[text] = self.strings.add(text)
        self._add(".gnu.version", "rodata", struct.pack(f"<{len(row)}H", *row), 2)
        self._add(".gnu.version_r", "rodata", tables.version_needs(self.needs, strings), 8)

    def reserve(self) -> list[Section]:
        """When the GOT is known: room for the relocations and the dynamic segment."""
        known = set(self.sections)
        jumps = sum(one.kind == JUMP for one in self.relocations)
        if len(self.relocations) > jumps:
            self._add(".rela.dyn", "rodata", elf.RELA.size * (len(self.relocations) - jumps), 8)
        if jumps:
            self._add(".rela.plt", "rodata", elf.RELA.size * jumps, 8)
        if self.words:
            self._add(".relr.dyn", "rodata", 0, 8)
        self._add(".dynamic", "data", 0, 8)
        return [section for name, section in self.sections.items() if name not in known]

    # With a layout

    def place_of(self, section: Section, kind: str, name: str) -> tuple[str, str]:
        """Kind and name of the output section of an input section, given what they would be."""
        if section.name in self.moved_names or (
            id(section) in self.moved and name in self.protected
        ):
            return "data", section.name
        return ("data", ".data.rel.ro") if id(section) in self.moved else (kind, name)

    def fit(self, layout: Layout) -> bool:
        """Settle sizes that depend on the layout; True if it must be made again."""
        from callproof.link.loader_view import entries

        changed = False
        wanted = {".dynamic": 16 * len(entries(self, layout))}
        if self.words:
            wanted[".relr.dyn"] = 8 * len(tables.packed_relocations(self._addresses(layout)))
        for name, size in wanted.items():
            section = self.sections[name]
            piece = layout.places[id(section)]
            if size > piece.size:
                section.data, piece.size = bytes(size), size
                changed = True
        return changed

    def _addresses(self, layout: Layout) -> list[int]:
        return sorted(layout.places[id(o.section)].address + o.offset for o in self.words)

    def finish(self, layout: Layout) -> None:
        """Fill everything; the places themselves have been relocated."""
        from callproof.link import loader_view

        self._fill(layout, ".dynsym", loader_view.symbols(self, layout))
        self._fill(layout, ".rela.dyn", self._relocations(layout, jumps=False))
        self._fill(layout, ".rela.plt", self._relocations(layout, jumps=True))
        if self.words:
            words = tables.packed_relocations(self._addresses(layout))
            data = layout.places[id(self.sections[".relr.dyn"])].data
            words += [1] * (len(data) // 8 - len(words))  # bitmaps without a bit
            self._fill(layout, ".relr.dyn", struct.pack(f"<{len(words)}Q", *words))
        rows = loader_view.entries(self, layout)
        packed = b"".join(struct.pack("<qQ", tag, value) for tag, value in rows)
        self._fill(layout, ".dynamic", packed)
        if self.plt:
            code = layout.places[id(self.sections[".plt"])]
            slots = layout.places[id(self.sections[".got.plt"])]
            machine = self.resolved.machine
            entries = (
                plt.entry(machine, code.address + plt.ENTRY_SIZE * i, slots.address + 8 * i)
                for i in range(len(self.plt))
            )
            self._fill(layout, ".plt", b"".join(entries))

    def _fill(self, layout: Layout, name: str, data: bytes) -> None:
        section = self.sections.get(name)
        if section is not None:
            piece = layout.places[id(section)]
            assert len(piece.data) == len(data), name
            piece.data[:] = data

    def _relocations(self, layout: Layout, *, jumps: bool) -> bytes:
        machine = self.resolved.machine
        numbers = elf.RELOCATION_NUMBERS[machine]
        rows = []
        for one in self.relocations:
            if (one.kind == JUMP) != jumps:
                continue
            piece = layout.places[id(one.section)]
            addend, symbol = one.addend, 0
            if one.kind == RELATIVE:
                addend = int.from_bytes(piece.data[one.offset : one.offset + 8], "little")
                addend -= addend >> 63 << 64
                if one.is_doubtful and not addend:
                    rows.append((len(TYPES[machine]), 0, piece.address + one.offset, 0, 0))
                    continue
            elif one.resolver is not None:
                addend = layout.address_of(one.resolver) or 0
            elif one.found is not None:
                symbol = self.numbers[id(one.found)]
            type_ = numbers[PREFIXES[machine] + TYPES[machine][one.kind]]
            rows.append((one.kind, symbol, piece.address + one.offset, type_, addend))
        if not jumps:
            rows.sort()  # relative ones first, as RELACOUNT wants it; resolvers are called last
        return b"".join(
            elf.RELA.pack(place, symbol << 32 | type_, addend)
            for _, symbol, place, type_, addend in rows
        )


def name_of(one: Import | Symbol) -> str:
    return one.shared.name if isinstance(one, Import) else one.name


__all__ = ["HEADERS", "RELATIVE", "Dynamic", "name_of"]
