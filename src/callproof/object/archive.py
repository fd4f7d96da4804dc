"""Archives (`.a`): GNU and BSD, with symbol index and long names.

The layout is the common one of ar(5): "!<arch>\\n", then members, each with a
60-byte header and its data padded to an even size.  A thin archive ("!<thin>\\n") has
headers alone; its members are files of their own, named from the archive's folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from callproof.object.elf_read import read_elf
from callproof.object.macho_read import is_macho, read_macho
from callproof.object.model import ObjectFile
from callproof.source import CallproofError

MAGIC = b"!<arch>\n"
THIN_MAGIC = b"!<thin>\n"
HEADER_SIZE = 60


class Archive:
    """A read archive; members are parsed when they are asked for.

    `index` maps a symbol to the offset of the member's header that defines it.
    """

    __slots__ = ("_is_thin", "_long_names", "_members", "_parsed", "data", "index", "name")

    def __init__(self, data: bytes | memoryview, name: str, *, indexed: bool = True) -> None:
        """`indexed`: without an index one is made, for which all members must be objects."""
        self.data = memoryview(data)
        self.name = name
        self._long_names = b""
        self._members: dict[int, tuple[str, int, int]] = {}
        self._parsed: dict[int, ObjectFile] = {}
        self.index: dict[str, int] = {}
        start = bytes(self.data[:8])
        self._is_thin = start == THIN_MAGIC
        if start not in (MAGIC, THIN_MAGIC):
            raise self._fail("not an archive", 0)
        index = self._scan()
        if index is not None:
            self._read_index(*index)
            if any(is_macho(self._contents(at)[:4]) for at in list(self._members)[:1]):
                # C names, as the members' own symbols are read
                self.index = {name.removeprefix("_"): at for name, at in self.index.items()}
        elif indexed:
            self._make_index()

    def _fail(self, message: str, offset: int) -> CallproofError:
        return CallproofError(f"{self.name}: {message} (at offset {offset:#x})")

    def _scan(self) -> tuple[str, int, int] | None:
        """Find all members; the symbol index's (format, offset, size) if there is one."""
        index = None
        position = len(MAGIC)
        end = len(self.data)
        while position < end:
            header = bytes(self.data[position : position + HEADER_SIZE])
            if len(header) < HEADER_SIZE or header[58:] != b"`\n":
                raise self._fail("a member's header is damaged", position)
            try:
                size = int(header[48:58])
            except ValueError:
                raise self._fail("a member's size is no number", position) from None
            data = position + HEADER_SIZE
            raw = header[:16].rstrip()
            is_inside = not self._is_thin or raw in (b"/", b"/SYM64/", b"//")
            if size < 0 or (is_inside and data + size > end):
                raise self._fail(f"a member of {size} bytes reaches beyond the end", position)
            name_bytes = 0
            if raw in (b"/", b"/SYM64/"):
                index = ("gnu64" if raw == b"/SYM64/" else "gnu", data, size)
            elif raw == b"//":
                self._long_names = bytes(self.data[data : data + size])
            else:
                if raw.startswith(b"#1/"):  # BSD: the name stands before the data
                    digits = raw[3:]
                    if not digits.isdigit() or int(digits) > size:
                        raise self._fail("a member's name is damaged", position)
                    name_bytes = int(digits)
                    text = bytes(self.data[data : data + name_bytes]).rstrip(b"\0")
                elif raw.startswith(b"/") and raw[1:].isdigit():
                    start = int(raw[1:])
                    stop = self._long_names.find(b"\n", start)
                    if start >= len(self._long_names) or stop < 0:
                        raise self._fail("a member's long name is missing", position)
                    text = self._long_names[start:stop].removesuffix(b"/")
                else:
                    text = raw.rstrip(b"/")
                name = text.decode("utf-8", "replace")
                if name.startswith("__.SYMDEF"):
                    bsd = "bsd64" if name.startswith("__.SYMDEF_64") else "bsd"
                    index = (bsd, data + name_bytes, size - name_bytes)
                else:
                    self._members[position] = (
                        name,
                        data + name_bytes,
                        size - name_bytes,
                    )
            position = data + size + (size & 1) if is_inside else data
        return index

    def _read_index(self, form: str, offset: int, size: int) -> None:
        data = bytes(self.data[offset : offset + size])
        if form.startswith("gnu"):
            self._read_gnu_index(data, 8 if form == "gnu64" else 4, offset)
        else:
            self._read_bsd_index(data, 8 if form == "bsd64" else 4, offset)

    def _read_gnu_index(self, data: bytes, width: int, offset: int) -> None:
        count = int.from_bytes(data[:width], "big")
        names_at = width * (count + 1)
        if names_at > len(data):
            raise self._fail(f"the symbol index of {count} entries is cut off", offset)
        names = data[names_at:].split(b"\0")
        if len(names) < count:
            raise self._fail("the symbol index has fewer names than entries", offset)
        for number in range(count):
            at = width * (number + 1)
            self._add_index(names[number], int.from_bytes(data[at : at + width], "big"), offset)

    def _read_bsd_index(self, data: bytes, width: int, offset: int) -> None:
        table = int.from_bytes(data[:width], "little")
        names_at = width + table + width
        if names_at > len(data) or table % (2 * width):
            raise self._fail("the symbol index is damaged", offset)
        for at in range(width, width + table, 2 * width):
            name_at = names_at + int.from_bytes(data[at : at + width], "little")
            end = data.find(b"\0", name_at)
            if end < 0:
                raise self._fail("a name of the symbol index is missing", offset)
            member = int.from_bytes(data[at + width : at + 2 * width], "little")
            self._add_index(data[name_at:end], member, offset)

    def _add_index(self, name: bytes, member: int, offset: int) -> None:
        if member not in self._members:
            raise self._fail("the symbol index refers to no member", offset)
        self.index.setdefault(name.decode("utf-8", "surrogateescape"), member)

    def _make_index(self) -> None:
        for offset in self._members:
            for symbol in self.member(offset).symbols:
                if symbol.binding != "local" and symbol.is_defined:
                    self.index.setdefault(symbol.name, offset)

    def member_name(self, offset: int) -> str:
        return self._members[offset][0]

    def member(self, offset: int, *, columns: bool = False) -> ObjectFile:
        """The object whose header is at `offset`; raises `CallproofError` if it is none."""
        parsed = self._parsed.get(offset)
        if parsed is None:
            contents = self._contents(offset)
            name = f"{self.name}({self.member_name(offset)})"
            if is_macho(contents[:4]):
                parsed = read_macho(contents, name, thread_locals=True)
            else:
                parsed = read_elf(contents, name, columns=columns)
            self._parsed[offset] = parsed
        return parsed

    def member_size(self, offset: int) -> int:
        """In bytes."""
        return self._members[offset][2]

    def _contents(self, offset: int) -> memoryview:
        name, start, size = self._members[offset]
        if not self._is_thin:
            return self.data[start : start + size]
        path = Path(self.name).parent / name
        try:
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            raise self._fail(f"cannot read its member {path}: {error}", offset) from error
        if len(data) != size:
            raise self._fail(f"its member {path} has {len(data)} bytes instead of {size}", offset)
        return memoryview(data)

    def offsets(self) -> list[int]:
        """Where the members' headers are, in order."""
        return list(self._members)

    def members(self) -> list[tuple[str, bytes]]:
        """Names and contents of all members, in order."""
        return [(name, bytes(self._contents(at))) for at, (name, _, _) in self._members.items()]


def read_archive(data: bytes | memoryview, name: str, *, indexed: bool = True) -> Archive:
    """Open an archive.  Raises `CallproofError` with the file and offset."""
    return Archive(data, name, indexed=indexed)


def write_archive(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A GNU archive with a symbol index; equal input gives equal bytes (no times, no owners)."""
    items = list(members)
    long_names = bytearray()
    headers = []
    for name, data in items:
        raw = name.encode()
        if len(raw) < 16:
            shown = raw + b"/"
        else:
            shown = b"/%d" % len(long_names)
            long_names += raw + b"/\n"
        headers.append((shown, data))
    symbols: list[tuple[str, int]] = []
    for index, (name, data) in enumerate(items):
        for symbol in read_elf(data, name).symbols:
            if symbol.binding != "local" and symbol.is_defined:
                symbols.append((symbol.name, index))
    names = b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name, _ in symbols)
    index_size = 4 + 4 * len(symbols) + len(names)
    position = len(MAGIC) + HEADER_SIZE + index_size + (index_size & 1)
    if long_names:
        position += HEADER_SIZE + len(long_names) + (len(long_names) & 1)
    offsets = []
    for _, data in headers:
        offsets.append(position)
        position += HEADER_SIZE + len(data) + (len(data) & 1)
    table = len(symbols).to_bytes(4, "big")
    table += b"".join(offsets[member].to_bytes(4, "big") for _, member in symbols) + names
    out = bytearray(MAGIC)
    _append(out, b"/", table)
    if long_names:
        _append(out, b"//", bytes(long_names))
    for shown, data in headers:
        _append(out, shown, data)
    return bytes(out)


def _append(out: bytearray, name: bytes, data: bytes) -> None:
    out += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"644", len(data))
    out += data
    if len(data) & 1:
        out += b"\n"
