"""Writing result files: complete, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from callproof.source import CallproofError


def write_output(path: Path, data: bytes, *, executable: bool = False) -> None:
    """Write under a temporary name in the same folder and rename: all or nothing."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent or Path())
    except OSError as error:
        raise CallproofError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, (0o755 if executable else 0o666 & ~mask))
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise CallproofError(f"cannot write {path}: {error.strerror or error}") from error
