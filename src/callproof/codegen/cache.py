"""Compiled functions kept in files, so that a program's unchanged functions are not
compiled again.

One file for each source, in the folder `code` of the user's cache: it has the finished code
of the functions of its last build by their keys (`fingerprint.py`).  In its name is a hash
of all else that code depends on: the package's sources, Python, the target and the options
of the back end.  So whatever changes makes other files, and the oldest ones are deleted.

A file appears complete (it is renamed) and is checked as a whole when it is read: one that
is damaged counts as none, and is written again.  Processes at the same time each write
what they have; the last one's stays.  Where nothing can be written, nothing is kept.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
import tempfile
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import callproof
from callproof.codegen.emit import EmittedFunction
from callproof.codegen.fingerprint import Fingerprint
from callproof.codegen.packed import Packed, pack, unpack
from callproof.codegen.target import Target
from callproof.ir.model import Function, Module

MAGIC = b"callproof code 1\n"
DIGEST = 32
LARGEST = 256 << 20  # bytes of all files together
SUFFIX = ".code"


def package_hash(folder: Path | None = None) -> bytes:
    """Of all the package's Python code, compiled modules included: a compiler that is
    changed in any way has no part in what another one compiled."""
    root = folder or Path(callproof.__file__).parent
    digest = blake2b(digest_size=DIGEST)
    found: list[str] = []
    pending = [str(root)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    pending.append(entry.path)
                elif entry.name.endswith((".py", ".so")):
                    found.append(entry.path)
    for path in sorted(found):
        with open(path, "rb") as stream:
            data = stream.read()
        digest.update(f"{path.removeprefix(str(root))}\0{len(data)}\0".encode() + data)
    return digest.digest()


class CodeCache:
    """The kept code of one source's functions.

    `hits` counts the functions found so far.
    """

    __slots__ = ("_known", "_path", "_used", "hits")

    def __init__(self, folder: Path, source: str, module: Module, target: Target, poison: bool):
        """`folder`: where the files are.  `source` only tells one program's file from
        another's: any text will do."""
        options = (sys.version, target.name, poison, sorted(module.observers), source)
        digest = blake2b(package_hash() + repr(options).encode(), digest_size=20)
        self._path = folder / f"{digest.hexdigest()}{SUFFIX}"
        self._known: Mapping[bytes, Packed] = _read(self._path)
        self._used: dict[bytes, Packed] = {}
        self.hits = 0

    def find(self, function: Function, by: Fingerprint) -> EmittedFunction | None:
        packed = self._known.get(by.key)
        if packed is None:
            return None
        self.hits += 1
        self._used[by.key] = packed
        return unpack(packed, function.sites, by)

    def add(self, emitted: EmittedFunction, by: Fingerprint) -> None:
        self._used[by.key] = pack(emitted, by)

    def save(self) -> None:
        """Keep what was found and added, if anything was added; note that it was of use."""
        with contextlib.suppress(OSError):  # a cache that cannot be written is no error
            if self._used.keys() <= self._known.keys():
                os.utime(self._path)
                return
            _write(self._path, self._used)
            make_room(self._path.parent)


def _read(path: Path) -> Mapping[bytes, Packed]:
    """What a file holds; nothing if it is not there or not as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    start = len(MAGIC) + DIGEST
    body = memoryview(data)[start:]
    if data[:start] != MAGIC + blake2b(body, digest_size=DIGEST).digest():
        return {}
    found: Mapping[bytes, Packed] = marshal.loads(body)
    return found


def _write(path: Path, entries: dict[bytes, Packed]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    body = marshal.dumps(entries)
    handle, temporary = tempfile.mkstemp(prefix=".new.", suffix=SUFFIX, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(MAGIC + blake2b(body, digest_size=DIGEST).digest())
            stream.write(body)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_room(folder: Path, largest: int = LARGEST) -> None:
    """Delete the files that were of use longest ago, until the rest has `largest` bytes."""
    found: list[tuple[float, int, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with contextlib.suppress(FileNotFoundError):  # another process deleted it
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= largest:
            return
        Path(path).unlink(missing_ok=True)
        total -= size


__all__ = ["CodeCache", "make_room", "package_hash"]
