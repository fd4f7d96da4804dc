"""Running a program under qemu's user-mode emulation, where it is installed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from callproof.run.native import as_file, run_child
from callproof.run.process import OpenFile
from callproof.source import CallproofError

NAMES = ("qemu-aarch64", "qemu-aarch64-static")
# Where a cross compiler's C library is kept: its loader is at the path that programs name.
SYSTEM_ROOTS = (Path("/usr/aarch64-linux-gnu"),)


def find_qemu() -> str | None:
    """The path of the user-mode emulator, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def _system_root(interpreter: str, environment: Mapping[str, str], name: str) -> list[str]:
    """The option for a folder with the loader, where the system itself has none."""
    if not interpreter or "QEMU_LD_PREFIX" in environment or Path(interpreter).exists():
        return []
    for root in SYSTEM_ROOTS:
        if (root / interpreter.lstrip("/")).exists():
            return ["-L", str(root)]
    raise CallproofError(
        f"{name}: its loader {interpreter} is not installed, nor in {SYSTEM_ROOTS[0]}; "
        "QEMU_LD_PREFIX may say where it is"
    )


def run_qemu(
    executable: Path | bytes,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    files: dict[int, OpenFile],
    name: str,
    stack_bytes: int,
    seconds: float | None,
    interpreter: str = "",
) -> int:
    """Run under qemu; `interpreter` is the loader of a dynamically linked program, or ''.

    Raises `CallproofError` if qemu, or the loader, is not installed.
    """
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
            *_system_root(interpreter, environment, name),
            str(path.absolute()),
            *arguments,
        ]
        return run_child(command, qemu, environment, files, seconds)
