"""Relocatable objects as images: sections get addresses, relocations are applied.

Undefined symbols get made-up addresses behind the sections, so that a call of one is a
branch to an address whose name is known.
"""

from __future__ import annotations

from callproof.check.frames import read_frames
from callproof.check.image import GLOBAL, Image, Label, Region
from callproof.link.arm64_fields import DATA, INSTRUCTIONS, OutOfRange
from callproof.link.relocate_x64 import FIELDS
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.run.functions import SECTION
from callproof.source import CallproofError

START = 0x10000
LOADED = frozenset(("code", "data", "rodata", "init_array", "fini_array", "preinit_array"))
POINTERS = frozenset(("R_AARCH64_ABS64", "R_AARCH64_PREL32", "R_AARCH64_PLT32"))
MACHINES = frozenset(("aarch64", "x86_64"))
DATA_FIELDS = {  # relocations of whole bytes: type -> (bytes, relative to the place)
    **DATA,
    **{type_: (size, relative) for type_, (size, relative, _) in FIELDS.items()},
}
VARIANT_PCS = 0x80
BTI_PROPERTY = 1


def image_of_object(file: ObjectFile) -> Image:
    """Lay out and relocate.  Raises `CallproofError` for objects of another machine."""
    if file.machine not in MACHINES:
        raise CallproofError(
            f"{file.name}: this is code for {file.machine}, not for AArch64 or x86-64"
        )
    return _Layout(file).image


class _Layout:
    __slots__ = ("addresses", "externs", "file", "got", "image", "next")

    def __init__(self, file: ObjectFile) -> None:
        self.file = file
        self.image = Image(file.name, relocatable=True, machine=file.machine)
        records = file.section(SECTION)
        if records is not None:
            self.image.records = bytes(records.data)
        self.addresses: dict[int, int] = {}  # id of section -> address
        self.externs: dict[str, int] = {}
        self.got: dict[str, int] = {}
        address = START
        for section in file.sections:
            if section.kind in LOADED or section.kind in ("bss", "note"):
                alignment = min(max(section.alignment, 16), 1 << 16)
                address = -(-address // alignment) * alignment
                self.addresses[id(section)] = address
                address += max(len(section.data), min(section.size, 1 << 24))
        self.next = -(-address // 4096) * 4096 + 4096
        for section in file.sections:
            if section.kind in LOADED:
                self.section(section)
        self.symbols()
        self.image.finish()
        for region in self.image.regions:
            if file.machine == "aarch64" and region.name in (".eh_frame", "__TEXT,__eh_frame"):
                self.image.frames += read_frames(self.image, region.data, region.address)

    def section(self, section: Section) -> None:
        data = bytearray(section.data)
        address = self.addresses[id(section)]
        code = section.kind == "code"
        for relocation in section.relocations:
            self.relocate(data, address, relocation, code)
        self.image.regions.append(Region(address, bytes(data), code, section.name))

    def address_of(self, symbol: Symbol) -> int:
        if symbol.section is not None:
            return self.addresses.get(id(symbol.section), 0) + symbol.value
        if symbol.absolute:
            return symbol.value
        if symbol.name not in self.externs:
            self.externs[symbol.name] = self.next
            self.image.externs[self.next] = symbol.name
            self.next += 64
        return self.externs[symbol.name]

    def got_slot(self, symbol: Symbol) -> int:
        """A made-up pointer that holds the symbol's address."""
        if symbol.name not in self.got:
            self.got[symbol.name] = self.next
            self.image.slots[self.next] = symbol.name
            self.next += 64
        return self.got[symbol.name]

    def relocate(self, data: bytearray, base: int, relocation: Relocation, code: bool) -> None:
        offset, place = relocation.offset, base + relocation.offset
        if code:
            self.image.relocated.add(place)
        value = self.address_of(relocation.symbol) + relocation.addend
        if "GOT" in relocation.type and "TLS" not in relocation.type:
            value = self.got_slot(relocation.symbol)
        if relocation.type in INSTRUCTIONS and offset + 4 <= len(data):
            word = int.from_bytes(data[offset : offset + 4], "little")
            try:
                word = INSTRUCTIONS[relocation.type](word, value, place)
            except OutOfRange:
                # A made-up address need not suit (an alignment, a TLS offset): the word stays
                # as the assembler left it.
                return
            data[offset : offset + 4] = word.to_bytes(4, "little")
        elif relocation.type in DATA_FIELDS:
            size, relative = DATA_FIELDS[relocation.type]
            if offset + size <= len(data):
                result = value - place if relative else value
                data[offset : offset + size] = (result & (1 << 8 * size) - 1).to_bytes(
                    size, "little"
                )
            symbol = relocation.symbol
            if (
                not code
                and relocation.type == "R_AARCH64_ABS64"
                and symbol.section is not None
                and symbol.section.kind == "code"
            ):
                self.image.pointers.add(value)

    def symbols(self) -> None:
        for symbol in self.file.symbols:
            section = symbol.section
            if section is None or section.kind not in LOADED:
                continue
            address = self.addresses[id(section)] + symbol.value
            if not 0 <= symbol.value <= len(section.data):
                continue
            add_symbol(
                self.image,
                symbol.name,
                address,
                symbol.size,
                symbol.kind,
                symbol.binding,
                bool(symbol.other & VARIANT_PCS),
            )


def add_symbol(
    image: Image, name: str, address: int, size: int, kind: str, binding: str, variant: bool
) -> None:
    """A symbol as a mark (`$x`, `$d`), a label, or nothing that matters."""
    if name.startswith("$") and name[1:2] in ("x", "d") and name[2:3] in ("", "."):
        image.marks.append((address, name[1] == "x"))
        return
    if not name or kind in ("section", "file", "tls") or name.startswith((".L", "ltmp")):
        return
    kind = "function" if kind == "ifunc" else kind
    image.labels.append(
        Label(name, address, size, kind, "global" if binding in GLOBAL else "local", variant)
    )
