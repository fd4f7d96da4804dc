"""The file that a link writes: complete under its name, or not there at all.

A large image is made in the file itself, under a temporary name, whose pages are the
memory that relocation writes to.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from callproof.files import complete, write_output
from callproof.link.image import plain_room
from callproof.source import CallproofError

if TYPE_CHECKING:
    import mmap

MAPPED_FROM = 1 << 22  # bytes of an image: smaller ones are written when they are done


class OutputFile:
    """Within `with`: `room` gives the image's memory, and `finish` makes the file of it."""

    __slots__ = ("_handle", "_mapped", "_path", "_temporary")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1
        self._temporary = ""
        self._mapped: mmap.mmap | None = None

    def _failure(self, error: OSError) -> CallproofError:
        return CallproofError(f"cannot write {self._path}: {error.strerror or error}")

    def room(self, size: int) -> memoryview:
        """So many bytes, all zero.  Raises `CallproofError` if there is no room on the disk."""
        if size < MAPPED_FROM:
            return plain_room(size)
        import mmap

        prefix, folder = f".{self._path.name}.", self._path.parent or Path()
        try:
            self._handle, self._temporary = tempfile.mkstemp(prefix=prefix, dir=folder)
            # Not only the size: a mapping for which the disk has no room is deadly to write to.
            os.posix_fallocate(self._handle, 0, size)
            self._mapped = mmap.mmap(self._handle, size)
        except OSError as error:
            raise self._failure(error) from error
        return memoryview(self._mapped)

    def finish(self, image: memoryview, tail: bytes | bytearray) -> None:
        """The image, of which nobody else may hold a part any more, and what is behind it."""
        if self._mapped is None:
            write_output(self._path, b"".join((image, tail)), executable=True)
            return
        size = len(image)
        image.release()
        self._mapped.close()  # a file that somebody may write to cannot be run
        try:
            os.lseek(self._handle, size, os.SEEK_SET)
            with os.fdopen(self._handle, "wb") as stream:
                self._handle = -1
                stream.write(tail)
            complete(self._temporary, self._path, executable=True)
        except OSError as error:
            raise self._failure(error) from error
        self._temporary = ""

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        if self._temporary:
            Path(self._temporary).unlink(missing_ok=True)
