"""DWARF 5 line tables and functions: written into our objects, read from our executables.

Written: one compilation unit with a subprogram per function (name, low and high
address) and the table of source lines.  That is what debuggers need to name a
place, and `run/` to report a fault.  The reader understands what the writer and
Clang emit for `.debug_line` version 5 and the units around it, as far as lines go.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from struct import pack

from callproof.object import elf_format as elf
from callproof.object.leb128 import read_sleb, read_uleb, sleb, uleb
from callproof.object.model import Relocation, Section, Symbol

VERSION = 5


@dataclass(frozen=True, slots=True)
class Machine:
    """Relocations of 8 and 4 bytes, what instructions' sizes are multiples of, and the
    relocation of a distance of 4 bytes."""

    address: str
    offset: str
    unit: int
    relative: str


MACHINES = {
    "aarch64": Machine("R_AARCH64_ABS64", "R_AARCH64_ABS32", 4, "R_AARCH64_PREL32"),
    "x86_64": Machine("R_X86_64_64", "R_X86_64_32", 1, "R_X86_64_PC32"),
}
LINE_BASE, LINE_RANGE, OPCODE_BASE = -5, 14, 13
STANDARD_LENGTHS = bytes((0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1))
DW_LNS_COPY, DW_LNS_ADVANCE_PC, DW_LNS_ADVANCE_LINE, DW_LNS_SET_FILE = 1, 2, 3, 4
DW_LNE_END_SEQUENCE, DW_LNE_SET_ADDRESS = 1, 2
DW_LNCT_PATH, DW_LNCT_DIRECTORY, DW_FORM_STRING, DW_FORM_UDATA = 1, 2, 8, 15


@dataclass(slots=True)
class FunctionLines:
    """A function's lines: `rows` are (byte offset from `symbol`, line), offsets ascending.

    `files` has each row's file, where they are not all of `file`.
    """

    symbol: Symbol
    name: str
    size: int
    file: str
    rows: list[tuple[int, int]]
    files: list[str] | None = None


def _string(text: str) -> bytes:
    return text.encode() + b"\0"


def debug_sections(
    unit: str, functions: list[FunctionLines], machine_name: str = "aarch64"
) -> list[Section]:
    """`.debug_line`, `.debug_info` and `.debug_abbrev` of one unit."""
    machine = MACHINES[machine_name]
    return [line_section(unit, functions, machine), *_info_sections(unit, functions, machine)]


def line_files(unit: str, functions: list[FunctionLines]) -> list[str]:
    """The files of a line table, in its order; number 0 is the unit's."""
    files = {unit: None}
    for function in functions:
        files[function.file] = None
        files.update(dict.fromkeys(function.files or ()))
    return list(files)


def line_section(
    unit: str, functions: list[FunctionLines], machine: Machine, folder: str = ""
) -> Section:
    """`.debug_line`; the files' names are relative to the `folder`."""
    files = line_files(unit, functions)
    numbers = {name: number for number, name in enumerate(files)}
    tables = bytes((1, DW_LNCT_PATH, DW_FORM_STRING)) + uleb(1) + _string(folder)
    tables += bytes((2, DW_LNCT_PATH, DW_FORM_STRING, DW_LNCT_DIRECTORY, DW_FORM_UDATA))
    tables += uleb(len(files)) + b"".join(_string(name) + uleb(0) for name in files)
    header = pack(
        "<BBBbBB",
        machine.unit,
        1,
        1,
        LINE_BASE,
        LINE_RANGE,
        OPCODE_BASE,
    )
    header += STANDARD_LENGTHS + tables
    start = pack("<HBBI", VERSION, 8, 0, len(header)) + header
    relocations = []
    program = bytearray()
    base = 4 + len(start)
    for function in functions:
        program += bytes((0, 9, DW_LNE_SET_ADDRESS))
        relocations.append(Relocation(base + len(program), machine.address, function.symbol))
        program += bytes(8)
        file = function.file
        program += bytes((DW_LNS_SET_FILE,)) + uleb(numbers[file])
        address, line = 0, 1
        for index, (offset, row) in enumerate(function.rows):
            if function.files is not None and function.files[index] != file:
                file = function.files[index]
                program += bytes((DW_LNS_SET_FILE,)) + uleb(numbers[file])
            program += _advance((offset - address) // machine.unit, row - line)
            address, line = offset, row
        program += bytes((DW_LNS_ADVANCE_PC,))
        program += uleb((function.size - address) // machine.unit)
        program += bytes((0, 1, DW_LNE_END_SEQUENCE))
    data = pack("<I", len(start) + len(program)) + start + program
    return Section(".debug_line", "debug", data, relocations=relocations)


def _advance(steps: int, lines: int) -> bytes:
    """To the next row: a special opcode where it reaches, else the long way."""
    opcode = lines - LINE_BASE + LINE_RANGE * steps + OPCODE_BASE
    if LINE_BASE <= lines < LINE_BASE + LINE_RANGE and opcode <= 255:
        return bytes((opcode,))
    out = b""
    if lines:
        out += bytes((DW_LNS_ADVANCE_LINE,)) + sleb(lines)
    if steps:
        out += bytes((DW_LNS_ADVANCE_PC,)) + uleb(steps)
    return out + bytes((DW_LNS_COPY,))


DW_TAG_COMPILE_UNIT, DW_TAG_SUBPROGRAM = 0x11, 0x2E
DW_AT_NAME, DW_AT_STMT_LIST, DW_AT_LOW_PC, DW_AT_HIGH_PC = 0x03, 0x10, 0x11, 0x12
DW_AT_PRODUCER = 0x25
DW_FORM_ADDR, DW_FORM_DATA8, DW_FORM_SEC_OFFSET = 0x01, 0x07, 0x17
DW_UT_COMPILE = 1


def _info_sections(unit: str, functions: list[FunctionLines], machine: Machine) -> list[Section]:
    abbreviations = b"".join(
        (
            bytes((1, DW_TAG_COMPILE_UNIT, 1)),
            bytes((DW_AT_PRODUCER, DW_FORM_STRING, DW_AT_NAME, DW_FORM_STRING)),
            bytes((DW_AT_STMT_LIST, DW_FORM_SEC_OFFSET, DW_AT_LOW_PC, DW_FORM_ADDR, 0, 0)),
            bytes((2, DW_TAG_SUBPROGRAM, 0, DW_AT_NAME, DW_FORM_STRING)),
            bytes((DW_AT_LOW_PC, DW_FORM_ADDR, DW_AT_HIGH_PC, DW_FORM_DATA8, 0, 0)),
            bytes((0,)),
        )
    )
    # References between debug sections are by section symbols, as all linkers know them.
    abbreviation = Section(".debug_abbrev", "debug", abbreviations)
    body = bytearray()
    relocations = []
    head = 4 + 8  # unit length; version, unit type, address size, abbreviation offset
    body += bytes((1,)) + _string("callproof") + _string(unit)
    statement_list = head + len(body)
    body += bytes(4)
    body += bytes(8)  # the unit's base address: functions have addresses of their own
    for function in functions:
        body += bytes((2,)) + _string(function.name)
        relocations.append(Relocation(head + len(body), machine.address, function.symbol))
        body += bytes(8) + pack("<Q", function.size)
    body.append(0)
    header = pack("<IHBBI", 8 + len(body), VERSION, DW_UT_COMPILE, 8, 0)
    info = Section(".debug_info", "debug", header + bytes(body), relocations=relocations)
    info.relocations += [
        Relocation(8, machine.offset, Symbol(".debug_abbrev", abbreviation, kind="section")),
        Relocation(statement_list, machine.offset, Symbol(".debug_line", kind="section")),
    ]
    return [info, abbreviation]


def section_symbols(sections: list[Section]) -> list[Symbol]:
    """Make the references between debug sections refer to one local symbol a section."""
    by_name = {section.name: section for section in sections}
    symbols: dict[str, Symbol] = {}
    for section in sections:
        for relocation in section.relocations:
            name = relocation.symbol.name
            if relocation.symbol.kind == "section" and name in by_name:
                symbol = symbols.get(name)
                if symbol is None:
                    symbol = Symbol(name, by_name[name], binding="local", kind="section")
                    symbols[name] = symbol
                relocation.symbol = symbol
    return list(symbols.values())


# --- reading ---------------------------------------------------------------------------------


class _Cursor:
    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def number(self, size: int) -> int:
        if self.at + size > len(self.data):
            raise ValueError("the debug information is cut off")
        value = int.from_bytes(self.data[self.at : self.at + size], "little")
        self.at += size
        return value

    def uleb(self) -> int:
        value, self.at = read_uleb(self.data, self.at)
        return value

    def sleb(self) -> int:
        value, self.at = read_sleb(self.data, self.at)
        return value

    def string(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise ValueError("a string has no end")
        text = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return text


class LineTable:
    """Address to (function, file, line), from an executable's symbols and DWARF lines."""

    __slots__ = ("_functions", "_rows", "_starts")

    def __init__(
        self, functions: list[tuple[int, int, str]], rows: list[tuple[int, str, int]]
    ) -> None:
        self._functions = sorted(functions)
        self._rows = sorted(rows, key=lambda row: (row[0], row[2] != 0))
        self._starts = [row[0] for row in self._rows]

    @classmethod
    def from_elf(cls, data: bytes) -> LineTable:
        """Read what is there; a damaged or missing table gives fewer answers, no error."""
        sections = _sections(data)
        functions = _functions(sections)
        rows: list[tuple[int, str, int]] = []
        lines = sections.get(".debug_line", b"")
        cursor = _Cursor(lines)
        while cursor.at + 4 < len(lines):
            start = cursor.at
            try:
                length = cursor.number(4)
                if length >= 0xFFFFFFF0:
                    break
                rows += _unit_rows(_Cursor(lines[start : start + 4 + length], 4))
            except ValueError:
                # Not a table of ours (another version, another producer's forms): no lines from it.
                length = int.from_bytes(lines[start : start + 4], "little")
            cursor.at = start + 4 + length
        return cls(functions, rows)

    def find(self, address: int) -> tuple[str, str, int] | None:
        """(function, file, line) of an address; '' and 0 for what is not known."""
        name = ""
        index = bisect_right(self._functions, (address, 1 << 62, "")) - 1
        if index >= 0:
            start, size, found = self._functions[index]
            if start <= address < start + max(size, 4):
                name = found
        file, line = "", 0
        index = bisect_right(self._starts, address) - 1
        if index >= 0:
            _, file, line = self._rows[index]
        if not line:
            file = ""
        return (name, file, line) if name or line else None


def _sections(data: bytes) -> dict[str, bytes]:
    if len(data) < elf.HEADER.size or data[:4] != elf.MAGIC:
        return {}
    header = elf.HEADER.unpack_from(data)
    offset, count, names_index = header[6], header[12], header[13]
    if offset + count * elf.SECTION.size > len(data) or names_index >= count:
        return {}
    headers = [elf.SECTION.unpack_from(data, offset + i * elf.SECTION.size) for i in range(count)]
    names = headers[names_index]
    strings = data[names[4] : names[4] + names[5]]
    found = {}
    for row in headers:
        end = strings.find(b"\0", row[0])
        name = strings[row[0] : end].decode("utf-8", "replace")
        if row[1] != elf.SHT_NOBITS:
            found[name] = data[row[4] : row[4] + row[5]]
    return found


def _functions(sections: dict[str, bytes]) -> list[tuple[int, int, str]]:
    table, strings = sections.get(".symtab", b""), sections.get(".strtab", b"")
    found = []
    whole = len(table) - len(table) % elf.SYMBOL.size
    for name, info, _, section, value, size in elf.SYMBOL.iter_unpack(table[:whole]):
        if info & 15 == elf.KIND_NUMBERS["function"] and section:
            end = strings.find(b"\0", name)
            found.append((value, size, strings[name:end].decode("utf-8", "replace")))
    return found


def _entries(cursor: _Cursor) -> list[str]:
    """A directory or file table: the paths."""
    formats = [(cursor.uleb(), cursor.uleb()) for _ in range(cursor.number(1))]
    paths = []
    for _ in range(cursor.uleb()):
        path = ""
        for content, form in formats:
            if form == DW_FORM_STRING:
                text = cursor.string()
                path = text if content == DW_LNCT_PATH else path
            elif form == DW_FORM_UDATA:
                cursor.uleb()
            elif form == 0x1E:  # DW_FORM_data16, a checksum
                cursor.at += 16
            else:
                raise ValueError(f"form {form:#x} in a line table")
        paths.append(path)
    return paths


def _unit_rows(cursor: _Cursor) -> list[tuple[int, str, int]]:
    """The rows (address, file, line) of one unit's line program; line 0 ends a sequence."""
    if cursor.number(2) != VERSION:
        raise ValueError("another version")
    cursor.at += 2  # address and segment selector size
    program_at = cursor.number(4) + cursor.at
    minimum = cursor.number(1)
    cursor.at += 2
    line_base = cursor.number(1)
    line_base -= 256 if line_base > 127 else 0
    line_range, opcode_base = max(cursor.number(1), 1), cursor.number(1)
    lengths = [cursor.number(1) for _ in range(opcode_base - 1)]
    _entries(cursor)
    files = _entries(cursor)
    cursor.at = program_at
    rows: list[tuple[int, str, int]] = []
    address, file, line = 0, 1, 1
    while cursor.at < len(cursor.data):
        opcode = cursor.number(1)
        if opcode >= opcode_base:
            step = opcode - opcode_base
            address += step // line_range * minimum
            line += line_base + step % line_range
            rows.append((address, files[file] if file < len(files) else "", line))
        elif opcode == 0:
            length = cursor.uleb()
            end = cursor.at + length
            kind = cursor.number(1)
            if kind == DW_LNE_SET_ADDRESS:
                address = cursor.number(8)
            elif kind == DW_LNE_END_SEQUENCE:
                rows.append((address, "", 0))
                address, file, line = 0, 1, 1
            cursor.at = end
        elif opcode == DW_LNS_COPY:
            rows.append((address, files[file] if file < len(files) else "", line))
        elif opcode == DW_LNS_ADVANCE_PC:
            address += cursor.uleb() * minimum
        elif opcode == DW_LNS_ADVANCE_LINE:
            line += cursor.sleb()
        elif opcode == DW_LNS_SET_FILE:
            file = cursor.uleb()
        elif opcode == 8:  # DW_LNS_const_add_pc
            address += (255 - opcode_base) // line_range * minimum
        elif opcode == 9:  # DW_LNS_fixed_advance_pc
            address += cursor.number(2)
        else:
            for _ in range(lengths[opcode - 1]):
                cursor.uleb()
    return rows
