"""Small assembly programs as objects, by Clang."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.clang import ZIG_CC


def assemble_all(sources: dict[str, str], folder: Path) -> dict[str, Path]:
    """Objects by name."""

    def one(name: str) -> tuple[str, Path]:
        (folder / f"{name}.s").write_text(sources[name])
        command = [*ZIG_CC, "-mcpu=generic+lse+crypto+pauth+bti", "-c", f"{name}.s"]
        command += ["-o", f"{name}.o"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:4000]
        return name, folder / f"{name}.o"

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(one, sources))


def function(name: str, body: str, *, is_global: bool = True) -> str:
    """A typed and sized function."""
    binding = f".globl {name}\n" if is_global else ""
    return f"{binding}.type {name},%function\n{name}:\n{body}\n.size {name},.-{name}\n"


FRAME = "stp x29, x30, [sp, #-48]!\nmov x29, sp\n"
LEAVE = "ldp x29, x30, [sp], #48\nret\n"
