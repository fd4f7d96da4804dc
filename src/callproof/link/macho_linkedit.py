"""`__LINKEDIT`: what the loader and debuggers read of a Mach-O program.

Chained fixups, not the older opcodes: in each page with addresses the first one's place is
listed, and each tells how far the next one is, so that the loader touches a page once.  Facts:
Apple's <mach-o/fixup-chains.h>, <mach-o/nlist.h>, and dyld's export trie.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, pack

from callproof.link.macho_layout import BASE, PAGE, Program
from callproof.link.macho_relocate import Fixup
from callproof.object import macho_format as macho
from callproof.object.elf_write import StringTable
from callproof.object.leb128 import uleb
from callproof.object.macho_read import THREAD_VARIABLES
from callproof.object.macho_write import external_name
from callproof.object.model import Symbol
from callproof.source import CallproofError

FIXUPS_HEADER = Struct("<7I")  # version, starts, imports, symbols, count, format, symbols format
STARTS_IN_SEGMENT = Struct("<I2HQIH")  # size, page size, format, segment offset, limit, pages
POINTER_64_OFFSET = 6  # addresses are counted from the program's start
IMPORT_FORMAT = 1  # library:8 weak:1 name:23
NO_FIXUP = 0xFFFF
STRIDE = 4
BIND = 1 << 63
EXPORT_THREAD_LOCAL = 1
PRIVATE_NAMES = ("ltmp", "l_", ".L")  # of assemblers and of ours


def chained_fixups(program: Program, fixups: list[Fixup], data: dict[str, bytearray]) -> bytes:
    """The loader's table; the chains themselves go into the segments' `data`."""
    imports = {name: number for number, name in enumerate(program.imports)}
    names = [segment.name for segment in program.segments]
    starts: list[bytes] = []
    offsets = [0]  # of __PAGEZERO
    position = -(-(4 + 4 * (len(names) + 2)) // 8) * 8
    first = position
    for segment in program.segments:
        end = segment.address + segment.file_size
        inside = [one for one in fixups if segment.address <= one.address < end]
        if not inside:
            offsets.append(0)
            continue
        firsts = [NO_FIXUP] * (segment.file_size // PAGE)
        for number, fixup in enumerate(inside):
            at = fixup.address - segment.address
            page = at // PAGE
            if firsts[page] == NO_FIXUP:
                firsts[page] = at % PAGE
            following = inside[number + 1].address - segment.address if inside[number + 1 :] else -1
            distance = following - at if following // PAGE == page else 0
            value = _pointer(fixup, imports, distance // STRIDE)
            data[segment.name][at : at + 8] = value.to_bytes(8, "little")
        table = STARTS_IN_SEGMENT.pack(
            STARTS_IN_SEGMENT.size + 2 * len(firsts),
            PAGE,
            POINTER_64_OFFSET,
            segment.address - BASE,
            0,
            len(firsts),
        ) + pack(f"<{len(firsts)}H", *firsts)
        table += bytes(-len(table) % 8)
        offsets.append(position)
        position += len(table)
        starts.append(table)
    offsets.append(0)  # of __LINKEDIT
    image = pack(f"<{len(offsets) + 1}I", len(offsets), *offsets).ljust(first, b"\0")
    image += b"".join(starts)
    starts_at = -(-FIXUPS_HEADER.size // 8) * 8
    imports_at = starts_at + len(image)
    strings = bytearray(1)
    rows = b""
    for one in program.imports.values():
        rows += pack("<I", one.library | one.weak << 8 | len(strings) << 9)
        strings += f"_{one.name}\0".encode("utf-8", "surrogateescape")
    if len(strings) >> 23:
        raise CallproofError("the names of what the program imports take more than 8 MiB")
    symbols_at = imports_at + len(rows)
    header = FIXUPS_HEADER.pack(
        0, starts_at, imports_at, symbols_at, len(program.imports), IMPORT_FORMAT, 0
    )
    return header.ljust(starts_at, b"\0") + image + rows + bytes(strings)


def _pointer(fixup: Fixup, imports: dict[str, int], steps: int) -> int:
    if steps >> 12:
        raise CallproofError("a page with addresses too far from each other")
    if fixup.name:
        return BIND | steps << 51 | fixup.addend << 24 | imports[fixup.name]
    return steps << 51 | fixup.addend - BASE


def exports_trie(addresses: dict[str, int], thread_locals: frozenset[str] = frozenset()) -> bytes:
    """Names that other images may ask for: a tree of prefixes, offsets from the start of it."""
    root = _Node()
    for name, address in sorted(addresses.items()):
        kind = EXPORT_THREAD_LOCAL if name in thread_locals else 0
        value = uleb(kind) + uleb(address - BASE)
        root.add(name.encode("utf-8", "surrogateescape"), value)
    nodes = root.all()
    changed = True
    while changed:  # an offset's own length depends on the offsets
        changed, position = False, 0
        for node in nodes:
            changed |= node.offset != position
            node.offset = position
            position += len(node.encoded())
    return b"".join(node.encoded() for node in nodes)


class _Node:
    __slots__ = ("children", "offset", "value")

    def __init__(self) -> None:
        self.children: dict[bytes, _Node] = {}
        self.value = b""
        self.offset = 0

    def add(self, rest: bytes, value: bytes) -> None:
        if not rest:
            self.value = value
            return
        for edge, child in self.children.items():
            common = 0
            while common < min(len(edge), len(rest)) and edge[common] == rest[common]:
                common += 1
            if not common:
                continue
            if common < len(edge):
                between = _Node()
                between.children[edge[common:]] = child
                del self.children[edge]
                self.children[edge[:common]] = child = between
            child.add(rest[common:], value)
            return
        leaf = self.children[rest] = _Node()
        leaf.value = value

    def all(self) -> list[_Node]:
        return [self, *(node for child in self.children.values() for node in child.all())]

    def encoded(self) -> bytes:
        out = uleb(len(self.value)) + self.value + bytes((len(self.children),))
        for edge, child in self.children.items():
            out += edge + b"\0" + uleb(child.offset)
        return out


def function_starts(addresses: list[int]) -> bytes:
    """The distances from the program's start to the first function, and from one to the next."""
    out, last = bytearray(), BASE
    for address in sorted(set(addresses)):
        out += uleb(address - last)
        last = address
    out += b"\0"
    return bytes(out) + bytes(-len(out) % 8)


@dataclass(slots=True)
class SymbolTable:
    """`counts`: of local, of defined external, of undefined names; `indirect`: what stubs and
    slots stand for; `thread_locals`: those of the exported names."""

    table: bytes
    strings: bytes
    counts: tuple[int, int, int]
    indirect: bytes
    functions: list[int]
    exported: dict[str, int]
    thread_locals: frozenset[str] = frozenset()


def symbol_table(program: Program, export_all: bool) -> SymbolTable:
    """Names for debuggers, and of what is imported; which of them other images may see."""
    local: list[tuple[str, int, int]] = []
    defined: list[tuple[str, int, int]] = [("__mh_execute_header", BASE, 0)]
    functions: list[int] = []
    thread_locals: set[str] = set()
    resolved = program.resolved
    for file in resolved.files:
        for symbol in file.symbols:
            if symbol.section is None or symbol.kind == "section":
                continue
            address = program.address_of(symbol)
            if address is None or resolved.meaning(symbol) is not symbol:
                continue
            if symbol.kind == "function" and symbol.section.kind == "code":
                functions.append(address)
            if not symbol.name or _is_private(symbol):
                continue
            is_seen = symbol.binding != "local" and symbol.visibility in ("default", "protected")
            if symbol.section.name == THREAD_VARIABLES:
                thread_locals.add(external_name(symbol))
            row = (external_name(symbol), address, program.output_at(address)[0])
            (defined if is_seen else local).append(row)
    exported = {name: address for name, address, _ in defined}
    if not export_all:
        entry = f"_{resolved.entry}"
        if entry not in exported:
            found = resolved.names[resolved.entry]
            raise CallproofError(
                f"{found.file.name}: the entry point '{resolved.entry}' is not a global symbol "
                "of a section"
            )
        exported = {name: exported[name] for name in ("__mh_execute_header", entry)}
    strings = StringTable()
    strings.data = bytearray(b" \0")  # an offset of 0 means that there is no name
    out = bytearray()
    defined.sort()
    for name, address, section in local:
        out += macho.NLIST.pack(strings.add(name), macho.N_SECT, section, 0, address)
    for name, address, section in defined:
        type_ = macho.N_EXT | macho.N_SECT
        # The header is before all sections; Apple's linker says that it is in the first.
        desc = 0 if section else macho.REFERENCED_DYNAMICALLY
        out += macho.NLIST.pack(strings.add(name), type_, section or 1, desc, address)
    undefined = sorted(program.imports)
    for name in undefined:
        given = program.imports[name]
        desc = given.library << 8 | (macho.N_WEAK_REF if given.weak else 0)
        out += macho.NLIST.pack(strings.add(f"_{name}"), macho.N_EXT | macho.N_UNDF, 0, desc, 0)
    numbers = {name: len(local) + len(defined) + at for at, name in enumerate(undefined)}
    indirect = [numbers[name] for name in program.stubs]
    indirect += [numbers.get(name, macho.INDIRECT_ABSOLUTE) for name in program.slots]
    text = bytes(strings.data)
    return SymbolTable(
        bytes(out),
        text + bytes(-len(text) % 8),
        (len(local), len(defined), len(undefined)),
        pack(f"<{len(indirect)}I", *indirect),
        functions,
        exported,
        frozenset(thread_locals),
    )


def _is_private(symbol: Symbol) -> bool:
    return symbol.binding == "local" and symbol.name.startswith(PRIVATE_NAMES)
