"""Clang from the `ziglang` package as an independent assembler and compiler."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

TARGET = "aarch64-linux-musl"
ZIG_CC = [sys.executable, "-m", "ziglang", "cc", "-target", TARGET]


def assemble(text: str, *, features: str = "generic") -> bytes:
    """The bytes of `.text` that Clang's assembler makes of the text."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "code.s", Path(folder) / "code.o"
        source.write_text(text)
        command = [*ZIG_CC, f"-mcpu={features}", "-c", str(source), "-o", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:4000]
        with output.open("rb") as stream:
            section = ELFFile(stream).get_section_by_name(".text")
            assert section is not None
            return bytes(section.data())
