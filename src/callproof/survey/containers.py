"""The AArch64 code in packages and archives, whatever they are wrapped in.

What a file is, its first bytes say; names are only for people.  Everything is bounded:
depth, the size of a member, the size of all members of a container.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from callproof.object import elf_format, macho_format
from callproof.source import CallproofError
from callproof.survey.optional import optional

HEAD = 520  # bytes that tell all kinds apart
DEEPEST = 5
MOST_BYTES = 1 << 30  # of one member
MOST_TOTAL = 1 << 36  # of all members of a container
AR_MAGIC = b"!<arch>\n"
DEB_MEMBER = b"debian-binary"
ELF_MACHINE = slice(18, 20)
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    AssertionError,
    NotImplementedError,
    RuntimeError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
)
"""What the libraries raise for damaged files."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file with code, or (`problem` not empty) something that could not be opened."""

    name: str
    data: bytes = b""
    problem: str = ""


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes have been read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        size = len(buffer)
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
        else:
            data = self._rest.read(size)
        buffer[: len(data)] = data
        return len(data)


def code_in(path: Path) -> Iterator[Found]:
    """All code in a file, with its path inside it."""
    try:
        with path.open("rb") as stream:
            yield from walk(stream, "", 0)
    except OSError as error:
        yield Found("", problem=f"cannot read it: {error.strerror or error}")


def walk(stream: BinaryIO, name: str, depth: int) -> Iterator[Found]:
    """What a stream holds; `name` is its path inside the outermost file."""
    try:
        head = stream.read(HEAD)
        if is_code(head):
            data = head + stream.read(MOST_BYTES)
            if len(data) > MOST_BYTES:
                yield Found(name, problem=f"more than {MOST_BYTES} bytes")
            else:
                yield Found(name, data)
            return
        opener = _opener(head)
        if opener is None:
            return
        if depth >= DEEPEST:
            yield Found(name, problem=f"containers inside containers, more than {DEEPEST}")
            return
        yield from opener(head, stream, name, depth + 1)
    except CallproofError as error:
        yield Found(name, problem=str(error))
    except UNREADABLE as error:
        yield Found(name, problem=f"damaged: {type(error).__name__}: {error}")


def is_code(head: bytes) -> bool:
    """AArch64 ELF, Mach-O (which may turn out to be something else), static archives."""
    if head[:4] == elf_format.MAGIC:
        return int.from_bytes(head[ELF_MACHINE], "little") == elf_format.MACHINES["aarch64"]
    if int.from_bytes(head[:4], "little") == macho_format.MAGIC_64:
        return int.from_bytes(head[4:8], "little") == macho_format.CPU_ARM64
    if int.from_bytes(head[:4], "big") == macho_format.FAT_MAGIC:
        # Java class files begin so, too, with a version where the number of parts would be.
        return 0 < int.from_bytes(head[4:8], "big") < 20
    return head[:8] == AR_MAGIC and not _is_deb(head)


def _is_deb(head: bytes) -> bool:
    return head.startswith(AR_MAGIC + DEB_MEMBER)


def _whole(head: bytes, stream: BinaryIO) -> BinaryIO:
    """The stream from its start, in a form that can be sought in."""
    if stream.seekable():
        stream.seek(0)
        return stream
    data = head + stream.read(MOST_BYTES)
    if len(data) > MOST_BYTES:
        raise CallproofError(f"more than {MOST_BYTES} bytes")
    return io.BytesIO(data)


def _from_start(head: bytes, stream: BinaryIO) -> BinaryIO:
    if stream.seekable():
        stream.seek(0)
        return stream
    return cast(BinaryIO, io.BufferedReader(_Rejoined(head, stream)))


def _join(name: str, member: str) -> str:
    member = member.removeprefix("./").lstrip("/")
    return f"{name}!{member}" if name else member


def _tar(head: bytes, stream: BinaryIO, name: str, depth: int) -> Iterator[Found]:
    total = 0
    with tarfile.open(fileobj=_from_start(head, stream), mode="r|") as archive:
        for member in archive:
            if not member.isfile():
                continue
            total += member.size
            if member.size > MOST_BYTES or total > MOST_TOTAL:
                yield Found(_join(name, member.name), problem=f"{member.size} bytes")
                if total > MOST_TOTAL:
                    return
                continue
            content = archive.extractfile(member)
            if content is not None:
                yield from walk(cast(BinaryIO, _Once(content)), _join(name, member.name), depth)


class _Once:
    """A member of a tar stream: it looks as though it could be sought in, and cannot."""

    def __init__(self, content: object) -> None:
        self.read = content.read  # type: ignore[attr-defined]

    def seekable(self) -> bool:
        return False


def _zip(head: bytes, stream: BinaryIO, name: str, depth: int) -> Iterator[Found]:
    total = 0
    with zipfile.ZipFile(_whole(head, stream)) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            total += member.file_size
            if member.file_size > MOST_BYTES or total > MOST_TOTAL:
                yield Found(_join(name, member.filename), problem=f"{member.file_size} bytes")
                continue
            if member.flag_bits & 1:
                yield Found(_join(name, member.filename), problem="it is encrypted")
                continue
            with archive.open(member) as content:
                yield from walk(cast(BinaryIO, _Once(content)), _join(name, member.filename), depth)


def _deb(head: bytes, stream: BinaryIO, name: str, depth: int) -> Iterator[Found]:
    arpy = optional("arpy", "opening Debian packages")
    try:
        archive = arpy.Archive(fileobj=_whole(head, stream))
        archive.read_all_headers()
        for member, content in archive.archived_files.items():
            if member.startswith(b"data.tar"):
                yield from walk(content, name, depth)
    except arpy.ArchiveFormatError as error:
        raise CallproofError(f"damaged: {error}") from error


def _rpm(head: bytes, stream: BinaryIO, name: str, depth: int) -> Iterator[Found]:
    rpmfile = optional("rpmfile", "opening RPM packages")
    try:
        archive = rpmfile.open(fileobj=_whole(head, stream))
        members = [member for member in archive.getmembers() if not member.isdir]
    except Exception as error:  # rpmfile raises nothing better
        raise CallproofError(f"damaged: {error}") from error
    for member in members:
        content = cast(BinaryIO, _Once(archive.extractfile(member)))
        yield from walk(content, _join(name, member.name), depth)


def _gzip(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.open(stream))


def _xz(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, lzma.open(stream))


def _bzip2(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, bz2.open(stream))


class _Zstd:
    """A stream that Zstandard packed; damage in it is an OSError."""

    def __init__(self, stream: BinaryIO) -> None:
        zstandard = optional("zstandard", "what Zstandard packed")
        self._error = zstandard.ZstdError
        unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        self._reader = unpacker.stream_reader(stream, read_across_frames=True)

    def read(self, size: int = -1) -> bytes:
        try:
            data: bytes = self._reader.read(size)
        except self._error as error:
            raise OSError(str(error)) from error
        return data


Opener = Callable[[bytes, BinaryIO, str, int], Iterator[Found]]


def _packed(unpack: Callable[[BinaryIO], object]) -> Opener:
    def opener(head: bytes, stream: BinaryIO, name: str, depth: int) -> Iterator[Found]:
        yield from walk(cast(BinaryIO, _Once(unpack(_from_start(head, stream)))), name, depth)

    return opener


_KINDS: tuple[tuple[int, bytes, Opener], ...] = (
    (0, AR_MAGIC + DEB_MEMBER, _deb),
    (0, b"\xed\xab\xee\xdb", _rpm),
    (0, b"PK\x03\x04", _zip),
    (257, b"ustar", _tar),
    (0, b"\x1f\x8b", _packed(_gzip)),
    (0, b"\xfd7zXZ\x00", _packed(_xz)),
    (0, b"BZh", _packed(_bzip2)),
    (0, b"\x28\xb5\x2f\xfd", _packed(_Zstd)),
)


def _opener(head: bytes) -> Opener | None:
    for offset, magic, opener in _KINDS:
        if head[offset : offset + len(magic)] == magic:
            return opener
    return None
