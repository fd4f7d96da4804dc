"""Writing result files: complete, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from callproof.source import CallproofError


def write_output(
    path: Path, data: bytes | bytearray | memoryview, *, executable: bool = False
) -> None:
    """Write under a temporary name in the same folder and rename: all or nothing.

    Whatever ends it early, also an interrupt, the old file stays and the temporary one goes;
    only a process that is killed outright (SIGKILL, SIGTERM) may leave `.NAME.xxxxxxxx` behind.
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent or Path())
    except OSError as error:
        raise CallproofError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        try:
            stream = os.fdopen(handle, "wb")
        except BaseException:
            os.close(handle)
            raise
        with stream:
            stream.write(data)
        complete(temporary, path, executable=executable)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CallproofError(f"cannot write {path}: {error.strerror or error}") from error
        raise


def complete(temporary: str, path: Path, *, executable: bool) -> None:
    """Give a file that is done its mode and its name.  Raises `OSError`."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(temporary, (0o755 if executable else 0o666 & ~mask))
    os.replace(temporary, path)
