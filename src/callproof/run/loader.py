"""A linked ELF64 executable, read for running: segments, symbols, records.

Only what a kernel and a debugger need: program headers, `.symtab`, and the function
records.  Every figure from the file is checked against its size, because the file may
be anybody's.  (ELF-64 Object File Format 1.5; ELF for the Arm 64-bit Architecture.)
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from callproof.run.functions import SECTION, FunctionRecord, decode_records
from callproof.source import CallproofError

PAGE = 4096
PIE_BASE = 0x55_5555_0000  # where the emulator puts a position-independent program
ADDRESS_LIMIT = 1 << 40  # above this the emulator keeps the stack and anonymous memory

ET_EXEC, ET_DYN = 2, 3
EM_X86_64, EM_AARCH64 = 62, 183
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_PHDR = 1, 2, 3, 6
SHT_SYMTAB, SHT_NOBITS = 2, 8
STT_NOTYPE, STT_FUNC, STT_IFUNC = 0, 2, 10
EXECUTABLE, WRITABLE, READABLE = 1, 2, 4  # PF_X, PF_W, PF_R

FILE_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")

MACHINES = {3: "x86", 40: "32-bit Arm", 62: "x86-64", 243: "RISC-V"}


@dataclass(frozen=True, slots=True)
class Segment:
    """`data` goes to `address`; zeros follow up to `size` bytes; `flags` are PF_R, PF_W, PF_X."""

    address: int
    data: bytes
    size: int
    flags: int


@dataclass(slots=True)
class Symbols:
    """Names of code addresses: functions with their sizes, and plain labels behind them."""

    functions: list[tuple[int, int, str]] = field(default_factory=list)  # address, size, name
    labels: list[tuple[int, str]] = field(default_factory=list)
    at: dict[int, list[str]] = field(default_factory=dict)

    def finish(self) -> None:
        self.functions.sort()
        self.labels.sort()
        for address, _, name in self.functions:
            self.at.setdefault(address, []).append(name)
        for address, name in self.labels:
            self.at.setdefault(address, []).append(name)

    def find(self, address: int) -> tuple[str, int] | None:
        """The function (or else the nearest label before) and the offset in it, or None."""
        index = bisect_right(self.functions, (address, 1 << 64, "")) - 1
        if index >= 0:
            start, size, name = self.functions[index]
            if address < start + size:
                return name, address - start
        index = bisect_right(self.labels, (address, "\U0010ffff")) - 1
        if index >= 0:
            start, name = self.labels[index]
            return name, address - start
        return None


@dataclass(slots=True)
class Image:
    """An executable, ready to be put into memory.

    base         what was added to all the file's addresses (of a position-independent one)
    interpreter  the loader that it asks for; '' for a static one
    """

    data: bytes
    entry: int
    segments: list[Segment]
    headers_address: int
    headers_count: int
    symbols: Symbols
    records: dict[str, FunctionRecord]
    machine: str = "aarch64"
    base: int = 0
    interpreter: str = ""

    @property
    def end(self) -> int:
        """The first page boundary after the highest segment."""
        top = max(segment.address + segment.size for segment in self.segments)
        return -(-top // PAGE) * PAGE

    def code(self, address: int, size: int) -> bytes:
        """The bytes at an address of an executable segment, as many of `size` as there are."""
        for segment in self.segments:
            offset = address - segment.address
            if segment.flags & EXECUTABLE and 0 <= offset < len(segment.data):
                return segment.data[offset : offset + size]
        return b""

    def word(self, address: int) -> int | None:
        """The 32-bit word at an address of an executable segment, or None outside them."""
        for segment in self.segments:
            offset = address - segment.address
            if segment.flags & EXECUTABLE and 0 <= offset <= len(segment.data) - 4:
                return int.from_bytes(segment.data[offset : offset + 4], "little")
        return None

    def record_at(self, address: int) -> FunctionRecord | None:
        """The record of the function that starts at this address."""
        for name in self.symbols.at.get(address, ()):
            if name in self.records:
                return self.records[name]
        return None

    def display_name(self, address: int) -> str:
        """What to call the function that contains the address, with the offset inside it."""
        found = self.symbols.find(address)
        if found is None:
            return f"{address:#x}"
        name, offset = found
        record = self.records.get(name)
        shown = record.display if record is not None else name
        return f"{shown}+{offset:#x}" if offset else shown


def read_executable(path: Path) -> bytes:
    """The bytes of an executable file; `CallproofError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CallproofError(f"cannot read {path}: {error.strerror or error}") from error


class _Reader:
    __slots__ = ("data", "name")

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name

    def fail(self, why: str) -> CallproofError:
        return CallproofError(f"{self.name}: cannot run this file: {why}")

    def bytes_at(self, offset: int, size: int, what: str) -> bytes:
        if offset + size > len(self.data):
            raise self.fail(f"{what} reaches past the end of the file (truncated?)")
        return self.data[offset : offset + size]


def load(
    data: bytes, name: str = "executable", *, any_machine: bool = False, any_loader: bool = False
) -> Image:
    """Read a static AArch64 executable; with `any_machine` also an x86-64 one, with
    `any_loader` also one that is loaded with shared libraries, of which the image is one part.

    A position-independent one is put at `PIE_BASE`.

    Raises `CallproofError` for everything that is not one: another machine, an object
    file, a dynamically linked or truncated file, segments that overlap or lie too high.
    """
    reader = _Reader(data, name)
    if data[:4] != b"\x7fELF":
        raise reader.fail("it is not an ELF file")
    header = FILE_HEADER.unpack(reader.bytes_at(0, FILE_HEADER.size, "the file header"))
    ident, type_, machine, _, entry, ph_offset, sh_offset = header[:7]
    ph_size, ph_count, sh_size, sh_count, names_index = header[9:14]
    if ident[4] != 2 or ident[5] != 1:
        raise reader.fail("it is not a 64-bit little-endian ELF file")
    if machine != EM_AARCH64 and not (any_machine and machine == EM_X86_64):
        what = MACHINES.get(machine, f"machine {machine}")
        raise reader.fail(f"it is for {what}, not for AArch64")
    if type_ not in (ET_EXEC, ET_DYN):
        raise reader.fail("it is not an executable (object files must be linked first)")
    if ph_count == 0 or ph_size != PROGRAM_HEADER.size:
        raise reader.fail("it has no program headers")
    headers = reader.bytes_at(ph_offset, ph_size * ph_count, "the program header table")
    segments: list[Segment] = []
    headers_address = 0
    base = PIE_BASE if type_ == ET_DYN else 0
    interpreter = ""
    has_dynamic = False
    for (
        p_type,
        flags,
        offset,
        address,
        _,
        file_size,
        size,
        _,
    ) in PROGRAM_HEADER.iter_unpack(headers):
        if p_type == PT_INTERP:
            text = reader.bytes_at(offset, file_size, "its loader's name")
            interpreter = _string(text, 0) or "?"
            if not any_loader:
                raise reader.fail("it is dynamically linked; link it with -static")
        has_dynamic |= p_type == PT_DYNAMIC
        address += base
        if p_type == PT_PHDR:
            headers_address = address
        if p_type != PT_LOAD or size == 0:
            continue
        if file_size > size or address + size > ADDRESS_LIMIT:
            raise reader.fail(f"the segment at {address:#x} has impossible sizes")
        content = reader.bytes_at(offset, file_size, f"the segment at {address:#x}")
        if address < PAGE:
            raise reader.fail("a segment lies in the first page, where null pointers point")
        segments.append(Segment(address, content, size, flags))
        if offset <= ph_offset and ph_offset + len(headers) <= offset + file_size:
            headers_address = headers_address or address + ph_offset - offset
    if not segments:
        raise reader.fail("it has nothing to load")
    if type_ == ET_DYN and not interpreter and not entry:
        raise reader.fail("it is a shared library")
    if type_ == ET_EXEC and has_dynamic and not interpreter:
        raise reader.fail("it is dynamically linked, without a loader")
    entry += base
    segments.sort(key=lambda segment: segment.address)
    for first, second in pairwise(segments):
        if first.address + first.size > second.address:
            raise reader.fail(f"the segments at {first.address:#x} and {second.address:#x} overlap")
    if not any(s.flags & EXECUTABLE and 0 <= entry - s.address < s.size for s in segments):
        raise reader.fail(f"its entry point {entry:#x} is not in an executable segment")
    sections = _sections(reader, sh_offset, sh_size, sh_count, names_index)
    symbols = _symbols(reader, sections, segments, base)
    records = _records(reader, sections, symbols)
    image = Image(data, entry, segments, headers_address, ph_count, symbols, records, base=base)
    image.interpreter = interpreter
    if machine == EM_X86_64:
        image.machine = "x86_64"
    return image


_Section = tuple[str, int, bytes, int]  # name, type, content, link


def _sections(
    reader: _Reader, offset: int, size: int, count: int, names_index: int
) -> list[_Section]:
    """The sections; none for a stripped file without a section header table."""
    if offset == 0 or count == 0:
        return []
    if size != SECTION_HEADER.size:
        raise reader.fail("its section headers have an unknown size")
    raw = []
    table = reader.bytes_at(offset, size * count, "the section header table")
    for name, type_, _, _, start, length, link, _, _, _ in SECTION_HEADER.iter_unpack(table):
        wanted = type_ not in (0, SHT_NOBITS)
        content = reader.bytes_at(start, length, "a section") if wanted else b""
        raw.append((name, type_, content, link))
    names = raw[names_index][2] if names_index < len(raw) else b""
    return [(_string(names, name), type_, data, link) for name, type_, data, link in raw]


def _string(table: bytes, offset: int) -> str:
    end = table.find(b"\0", offset)
    return table[offset : end if end >= 0 else len(table)].decode("utf-8", "replace")


def _symbols(
    reader: _Reader, sections: list[_Section], segments: list[Segment], base: int
) -> Symbols:
    symbols = Symbols()
    ranges = [(s.address, s.address + s.size) for s in segments if s.flags & EXECUTABLE]
    for _, type_, content, link in sections:
        if type_ != SHT_SYMTAB:
            continue
        if link >= len(sections):
            raise reader.fail("its symbol table has no string table")
        names = sections[link][2]
        whole = len(content) // SYMBOL.size * SYMBOL.size
        for name_offset, info, _, section, value, size in SYMBOL.iter_unpack(content[:whole]):
            kind = info & 15
            value += base
            if section == 0 or not any(low <= value < high for low, high in ranges):
                continue
            name = _string(names, name_offset)
            # $x and $d are Arm's mapping symbols: they mark code and data and name nothing.
            if not name or name.startswith(("$", ".L")):
                continue
            if kind in (STT_FUNC, STT_IFUNC):
                symbols.functions.append((value, size, name))
                if size == 0:
                    symbols.labels.append((value, name))
            elif kind == STT_NOTYPE:
                symbols.labels.append((value, name))
    symbols.finish()
    return symbols


def _records(
    reader: _Reader, sections: list[_Section], symbols: Symbols
) -> dict[str, FunctionRecord]:
    """Records by symbol; a name that stands for several different functions is dropped."""
    addresses: dict[str, set[int]] = {}
    for address, names in symbols.at.items():
        for name in names:
            addresses.setdefault(name, set()).add(address)
    records: dict[str, FunctionRecord] = {}
    for name, _, content, _ in sections:
        if name != SECTION:
            continue
        try:
            found = decode_records(content)
        except CallproofError as error:
            raise reader.fail(str(error)) from error
        for record in found:
            # The definition's own record counts more than what a caller declares.
            known = records.get(record.name)
            wanted = known is None or known.external or not record.external
            if wanted and len(addresses.get(record.name, ())) == 1:
                records[record.name] = record
    return records
