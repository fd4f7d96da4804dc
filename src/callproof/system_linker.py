"""Linking with an installed cross linker instead of the builtin one (`--linker system`)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from callproof.files import write_output
from callproof.link import ArchiveGroup, AsNeeded, Input, WholeArchive
from callproof.object import write_elf
from callproof.source import CallproofError

SYSTEM_LINKERS = {
    "aarch64-linux": ("aarch64-linux-gnu-ld", "aarch64-linux-musl-ld", "ld.lld"),
    "x86_64-linux": ("x86_64-linux-gnu-ld", "x86_64-linux-musl-ld", "ld.lld"),
}


def link_with_system(files: Sequence[Input], output: Path, target: str) -> None:
    """Link with the first of the target's linkers that is there, and write the output as ours
    is written.  Raises `CallproofError` if there is none, or with what it says."""
    names = SYSTEM_LINKERS[target]
    linker = next((found for name in names if (found := shutil.which(name))), None)
    if linker is None:
        raise CallproofError(f"--linker system: none of {', '.join(names)} is installed")
    with tempfile.TemporaryDirectory(prefix="callproof-") as folder:
        paths = []
        for index, item in enumerate(files):
            if isinstance(item, Path):
                paths.append(str(item))
                continue
            if isinstance(item, ArchiveGroup):
                paths += ["--start-group", *map(str, item.inputs), "--end-group"]
                continue
            if isinstance(item, AsNeeded):
                paths.append(str(item.path))
                continue
            if isinstance(item, WholeArchive):
                paths += ["--whole-archive", str(item.path), "--no-whole-archive"]
                continue
            path = Path(folder) / f"input{index}.o"
            path.write_bytes(write_elf(item))
            paths.append(str(path))
        result = Path(folder) / "a.out"
        command = [linker, "-static", "--gc-sections", "-o", str(result)]
        done = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CallproofError(f"{linker} failed:\n{done.stderr.strip()}")
        write_output(output, result.read_bytes(), executable=True)
