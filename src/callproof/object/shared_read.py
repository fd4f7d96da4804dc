"""Reading shared libraries: what a dynamic link and a dynamic loader want to know of one.

Only what the loader itself reads is read: program headers and the dynamic segment, not
section headers, which may be missing or lie.  Nothing in the input is trusted.
Facts: System V gABI chapter 5; the LSB's chapter on symbol versions; `DT_GNU_HASH` as
glibc's `elf/dl-lookup.c` reads it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from struct import Struct

from callproof.object import elf_format as elf
from callproof.object.elf_read import Reader, string_at

LARGEST_COPY_ALIGNMENT = 4096
HIDDEN_VERSION, VERSION_NUMBER = 0x8000, 0x7FFF
KINDS = {0: "none", 1: "object", 2: "function", 5: "object", 6: "tls", 10: "function"}
LOCAL, GLOBAL, WEAK, UNIQUE = 0, 1, 2, 10

DYNAMIC, HALF, WORD, DOUBLE = Struct("<qQ"), Struct("<H"), Struct("<I"), Struct("<Q")
VERDEF = Struct("<HHHHIII")  # version flags ndx cnt hash aux next
VERDAUX = Struct("<II")  # name next
GNU_HASH = Struct("<IIII")  # buckets first symbol, bloom words, shift
VERDEF_IS_FILE = 1  # names the library itself


@dataclass(slots=True)
class SharedSymbol:
    """What a library defines.

    version    '' for none; `is_default` False: only named by version ('foo@V', not 'foo@@V')
    kind       'function', 'object' or 'tls' (an indirect function is a function to its users)
    alignment  the largest power of two that its address is a multiple of, up to a page
    """

    name: str
    version: str
    is_default: bool
    kind: str
    value: int
    size: int
    is_weak: bool
    is_protected: bool
    alignment: int


@dataclass(slots=True)
class SharedLibrary:
    """`symbols` by name (the default version) and by 'name@version'; `undefined` what it wants.

    soname       what a program that needs it asks the loader for; '' if it does not say
    versions     all that it defines
    is_symbolic  its own references mean its own definitions (DT_SYMBOLIC)
    """

    name: str
    machine: str
    soname: str = ""
    needed: list[str] = field(default_factory=list)
    symbols: dict[str, SharedSymbol] = field(default_factory=dict)
    undefined: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    is_symbolic: bool = False

    def aliases(self, symbol: SharedSymbol) -> list[SharedSymbol]:
        """The other names of a piece of data."""
        return [
            other
            for name, other in self.symbols.items()
            if other.value == symbol.value
            and other.kind == symbol.kind
            and other.name != symbol.name
            and name == other.name
        ]


def is_shared_library(data: bytes | memoryview) -> bool:
    """Whether this is an ELF file of type ET_DYN, as far as its header says."""
    return bytes(data[:4]) == elf.MAGIC and bytes(data[16:18]) == b"\x03\0"


def read_shared(data: bytes | memoryview, name: str) -> SharedLibrary:
    """Parse a shared library.  Raises `CallproofError` with the file and offset."""
    return _Library(Reader(data, name)).read()


class _Library:
    __slots__ = ("file", "loads", "reader", "start", "strings", "tags")

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.loads: list[tuple[int, int, int, int]] = []  # address, file size, offset, flags
        self.tags: dict[int, int] = {}
        self.strings = b""
        self.start = 0  # of the dynamic segment in the file
        self.file = SharedLibrary(reader.name, "")

    def read(self) -> SharedLibrary:
        reader, file = self.reader, self.file
        header = reader.unpack(elf.HEADER, 0, "the ELF header")
        ident = bytes(reader.data[:16])
        if ident[:4] != elf.MAGIC or ident[4] != 2 or ident[5] != 1:
            raise reader.fail("not a 64-bit little-endian ELF file", 0)
        if header[1] != elf.ET_DYN:
            raise reader.fail("not a shared library", 16)
        if header[2] not in elf.MACHINE_NAMES:
            raise reader.fail(f"machine {header[2]} is neither AArch64 nor x86-64", 18)
        file.machine = elf.MACHINE_NAMES[header[2]]
        dynamic = self.segments(header[5], header[9], header[10])
        needed = self.dynamic(dynamic)
        self.strings = bytes(
            self.at(self.tag(elf.DT_STRTAB), self.tag(elf.DT_STRSZ), "the dynamic names")
        )
        file.needed = [self.string(offset, "a needed library") for offset in needed]
        if elf.DT_SONAME in self.tags:
            file.soname = self.string(self.tags[elf.DT_SONAME], "the library's name")
        file.is_symbolic = elf.DT_SYMBOLIC in self.tags or bool(
            self.tags.get(elf.DT_FLAGS, 0) & elf.DF_SYMBOLIC
        )
        self.symbols(self.versions())
        return file

    def segments(self, offset: int, size: int, count: int) -> memoryview:
        """Note the loaded parts; the dynamic segment's bytes."""
        reader = self.reader
        if size != elf.PROGRAM.size or not count:
            raise reader.fail(f"{count} program headers of {size} bytes", 54)
        table = reader.slice(offset, count * size, "the program header table")
        dynamic: memoryview | None = None
        for type_, flags, start, address, _, file_size, _, _ in elf.PROGRAM.iter_unpack(table):
            if type_ == elf.PT_LOAD:
                reader.slice(start, file_size, f"the segment at {address:#x}")
                self.loads.append((address, file_size, start, flags))
            elif type_ == elf.PT_DYNAMIC:
                dynamic = reader.slice(start, file_size, "the dynamic segment")
                self.start = start
        if dynamic is None:
            raise reader.fail("no dynamic segment: a position-independent static program?", offset)
        return dynamic

    def dynamic(self, data: memoryview) -> list[int]:
        """Fill `tags`; the offsets of the names of needed libraries."""
        needed = []
        whole = len(data) // DYNAMIC.size * DYNAMIC.size
        for tag, value in DYNAMIC.iter_unpack(data[:whole]):
            if tag == elf.DT_NULL:
                break
            if tag == elf.DT_NEEDED:
                needed.append(value)
            else:
                self.tags[tag] = value
        if self.tags.get(elf.DT_FLAGS_1, 0) & elf.DF_1_PIE:
            raise self.reader.fail("a position-independent program, not a shared library", 16)
        return needed

    def tag(self, tag: int) -> int:
        value = self.tags.get(tag)
        if value is None:
            raise self.reader.fail(f"the dynamic segment has no entry {tag}", self.start)
        return value

    def at(self, address: int, size: int, what: str) -> memoryview:
        for start, file_size, offset, _ in self.loads:
            if start <= address and address + size <= start + file_size:
                return self.reader.slice(offset + address - start, size, what)
        raise self.reader.fail(f"{what} at {address:#x}, {size} bytes, lies in no segment")

    def unpack(self, form: Struct, address: int, what: str) -> tuple[int, ...]:
        return form.unpack(self.at(address, form.size, what))

    def string(self, offset: int, what: str) -> str:
        found = string_at(self.strings, offset)
        if found is None:
            raise self.reader.fail(f"{what}: its name, {offset:#x}, lies outside the dynamic names")
        return found

    def symbol_count(self) -> int:
        """From a hash table: nothing else says how many symbols there are."""
        if elf.DT_HASH in self.tags:
            return self.unpack(WORD, self.tags[elf.DT_HASH] + 4, "the hash table")[0]
        base = self.tag(elf.DT_GNU_HASH)
        buckets, first, bloom, _ = self.unpack(GNU_HASH, base, "the GNU hash table")
        start = base + GNU_HASH.size + 8 * bloom
        table = self.at(start, 4 * buckets, "the GNU hash table's buckets")
        last = max((row for (row,) in WORD.iter_unpack(table)), default=0)
        if last < first:
            return first
        chains = start + 4 * buckets
        while True:  # the end of a chain is odd; `unpack` fails past the end of the segment
            (value,) = self.unpack(WORD, chains + 4 * (last - first), "a GNU hash chain")
            last += 1
            if value & 1:
                return last

    def versions(self) -> dict[int, str]:
        """Names of the versions that the library defines, by number."""
        found: dict[int, str] = {}
        address = self.tags.get(elf.DT_VERDEF, 0)
        for _ in range(min(self.tags.get(elf.DT_VERDEFNUM, 0), VERSION_NUMBER)):
            row = self.unpack(VERDEF, address, "a version definition")
            _, flags, number, _, _, names, following = row
            offset, _ = self.unpack(VERDAUX, address + names, "a version's name")
            name = self.string(offset, "a version")
            if flags & VERDEF_IS_FILE:
                found[number & VERSION_NUMBER] = ""
            else:
                found[number & VERSION_NUMBER] = name
                self.file.versions.add(name)
            if not following:
                break
            address += following
        return found

    def symbols(self, versions: dict[int, str]) -> None:
        reader, file = self.reader, self.file
        count = self.symbol_count()
        table = self.at(self.tag(elf.DT_SYMTAB), count * elf.SYMBOL.size, "the dynamic symbols")
        numbers: memoryview | None = None
        if elf.DT_VERSYM in self.tags:
            numbers = self.at(self.tags[elf.DT_VERSYM], 2 * count, "the symbols' versions")
        code = sorted((s, s + size) for s, size, _, flags in self.loads if flags & elf.PF_X)
        for index, row in enumerate(elf.SYMBOL.iter_unpack(table)):
            name_offset, info, other, section, value, size = row
            binding, kind = info >> 4, KINDS.get(info & 15)
            if not index or binding not in (GLOBAL, WEAK, UNIQUE) or kind is None:
                continue
            name = self.string(name_offset, f"dynamic symbol {index}")
            if section == elf.SHN_UNDEF:
                file.undefined.add(name)
                continue
            visibility = elf.VISIBILITIES[other & 3]
            if visibility in ("hidden", "internal") or not name:
                continue
            version, is_default = "", True
            if numbers is not None:
                (number,) = HALF.unpack_from(numbers, 2 * index)
                is_default = not number & HIDDEN_VERSION
                number &= VERSION_NUMBER
                if not number:
                    continue  # local to the library
                if number > 1:
                    found = versions.get(number)
                    if found is None:
                        raise reader.fail(f"'{name}' has version {number}, which is not defined")
                    version = found
            if kind == "none":
                at = bisect_left(code, (value + 1, 0)) - 1
                kind = "function" if at >= 0 and value < code[at][1] else "object"
            symbol = SharedSymbol(
                name,
                version,
                is_default,
                kind,
                value,
                size,
                binding == WEAK,
                visibility == "protected",
                min(value & -value, LARGEST_COPY_ALIGNMENT) or 1,
            )
            if version:
                file.symbols[f"{name}@{version}"] = symbol
            if is_default:
                file.symbols.setdefault(name, symbol)
