"""Files as memory: large inputs are mapped, so that only what is looked at takes memory.

A mapped file must not be cut shorter while the link lasts: the process would die of it, as
with other linkers.
"""

from __future__ import annotations

import errno
import mmap
import resource
import weakref
from pathlib import Path

# Each mapping of Python's keeps a file descriptor; so many are left to others.
SPARE_DESCRIPTORS = 256

_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def mapped(path: Path) -> bytes | memoryview:
    """A file's bytes: a mapping, or (where that cannot be, or are too many) a copy.

    Raises `OSError`.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and len(_maps) + SPARE_DESCRIPTORS >= limit:
        return path.read_bytes()
    with path.open("rb") as stream:
        try:
            found = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # it has become empty
            return b""
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENODEV):
                raise
            return stream.read()
    _maps.add(found)
    return memoryview(found)


def find(contents: memoryview, text: bytes) -> int:
    """Where some bytes are first in a mapped file; -1 if nowhere."""
    whole = contents.obj
    return whole.find(text) if isinstance(whole, mmap.mmap) else bytes(contents).find(text)
