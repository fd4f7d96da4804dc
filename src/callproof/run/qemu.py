"""Running a program under qemu's user-mode emulation, where it is installed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from callproof.run.native import as_file, run_child
from callproof.run.process import OpenFile
from callproof.source import CallproofError

NAMES = ("qemu-aarch64", "qemu-aarch64-static")


def find_qemu() -> str | None:
    """The path of the user-mode emulator, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def run_qemu(
    executable: Path | bytes,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    files: dict[int, OpenFile],
    name: str,
    stack_bytes: int,
    seconds: float | None,
) -> int:
    """Run under qemu; raises `CallproofError` if it is not installed."""
    qemu = find_qemu()
    if qemu is None:
        raise CallproofError(
            f"--on qemu: neither of {', '.join(NAMES)} is on PATH; use --on emulator"
        )
    with as_file(executable) as path:
        command = [
            qemu,
            "-s",
            str(stack_bytes),
            "-0",
            name,
            str(path.absolute()),
            *arguments,
        ]
        return run_child(command, qemu, environment, files, seconds)
