"""Reading the files of a link: objects, archives, shared libraries."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from callproof.link.inputs import script_message
from callproof.object.archive import MAGIC as ARCHIVE_MAGIC
from callproof.object.archive import THIN_MAGIC, Archive, read_archive
from callproof.object.elf_read import BITCODE, read_elf
from callproof.object.macho_read import is_macho, read_macho
from callproof.object.model import ObjectFile
from callproof.object.shared_read import SharedLibrary, is_shared_library, read_shared
from callproof.source import CallproofError

# Bytes of objects from which on they are read as columns: then it pays to load numpy.
COLUMNS_FROM = 2 << 20
MAPPED_FROM = 1 << 16  # below, reading is quicker than mapping
ARCHIVES_MAPPED_FROM = 1 << 24
# Archives as they were last read, by path, with the file's identity then.  A process that
# links many programs reads the members of the runtime's once.
_ARCHIVES: dict[Path, tuple[tuple[int, ...], Archive]] = {}
MOST_ARCHIVES = 16

# It could be read and linked, but Darwin passes variadic arguments and small stack
# arguments elsewhere: such calls would go wrong silently.
DARWINS = "{}: a Mach-O object, whose calls are Darwin's and not Linux's"


def _contents(path: Path, size: int) -> bytes | memoryview:
    """A file's bytes, mapped if there are many; archives that are kept for other links are read."""
    if size < (ARCHIVES_MAPPED_FROM if path.suffix == ".a" else MAPPED_FROM):
        return path.read_bytes()
    from callproof.link.mapping import mapped

    data = mapped(path)
    is_kept = size < ARCHIVES_MAPPED_FROM and data[:8] == ARCHIVE_MAGIC
    return bytes(data) if is_kept else data


def load(
    path: Path, *, is_darwin: bool = False, columns: bool = False
) -> ObjectFile | Archive | SharedLibrary:
    """Read an object, an archive or a shared library from a file.

    `is_darwin`: objects of Darwin are wanted; they are refused otherwise.
    `columns`: much is linked, so tables are to stay as they are.
    """
    try:
        status = path.stat()
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        known = _ARCHIVES.get(path)
        if known is not None and known[0] == identity:
            return known[1]
        data = _contents(path, status.st_size)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CallproofError(f"cannot read {path}: {why}") from error
    if data[:8] == THIN_MAGIC:
        return read_archive(data, str(path))  # its members may change while it does not
    if data[:8] == ARCHIVE_MAGIC:
        archive = read_archive(data, str(path))
        if isinstance(data, memoryview):
            return archive  # mapped, and the file may change between this link and the next
        while len(_ARCHIVES) >= MOST_ARCHIVES:
            del _ARCHIVES[next(iter(_ARCHIVES))]
        _ARCHIVES[path] = identity, archive
        return archive
    if is_shared_library(data):
        return read_shared(data, str(path))
    if data[:4] == b"\x7fELF" or data[:4] in BITCODE:
        return read_elf(data, str(path), columns=columns)
    if is_macho(data):
        if is_darwin:
            return read_macho(data, str(path), thread_locals=True)
        raise CallproofError(DARWINS.format(path))
    script = script_message(path, bytes(data[:4096]))
    raise CallproofError(script or f"{path}: neither an ELF object nor an archive (at offset 0x0)")


def size_of_objects(inputs: Iterable[object]) -> int:
    """Bytes of the objects that are named, as far as their names tell."""
    total = 0
    for path in inputs:
        if isinstance(path, Path) and path.suffix != ".a":
            try:
                total += path.stat().st_size
            except OSError:
                continue  # told when it is read
    return total


def mentions(path: Path, text: bytes) -> bool:
    """Whether a file has some bytes anywhere; true if it cannot be read, which `load` tells."""
    try:
        data = _contents(path, path.stat().st_size)
    except OSError:
        return True
    if isinstance(data, bytes):
        return text in data
    from callproof.link.mapping import find

    return find(data, text) >= 0
