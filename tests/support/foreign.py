"""Objects of other compilers, compiled once per session, linked by us and run."""

from __future__ import annotations

import io
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from callproof.link import Input, LinkOptions, link
from callproof.run import run
from callproof.runtime import runtime_files

SOURCES = Path(__file__).parent.parent / "link" / "foreign"
TRIPLES = {"aarch64-linux": "aarch64-linux-musl", "x86_64-linux": "x86_64-linux-musl"}


@cache
def _folder() -> Path:
    """Where objects are; Zig keeps what it compiled, so that later sessions are quick."""
    folder = Path(tempfile.gettempdir()) / "callproof-foreign-tests"
    folder.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(dir=folder))


@cache
def compiled(name: str, target: str, flags: str) -> Path:
    """The object of a source file of `tests/link/foreign`."""
    return compile_text((SOURCES / name).read_text(), Path(name).suffix, target, flags)


@cache
def compile_text(text: str, suffix: str, target: str, flags: str = "-O1") -> Path:
    """The object of C, C++ or assembly, by its suffix."""
    number = len(list(_folder().iterdir()))
    source, output = _folder() / f"{number}{suffix}", _folder() / f"{number}.o"
    source.write_text(text)
    driver = "c++" if suffix == ".cc" else "cc"
    command = [sys.executable, "-m", "ziglang", driver, "-target", TRIPLES[target]]
    command += ["-fno-sanitize=all", "-w", f"-I{SOURCES}", *flags.split()]
    done = subprocess.run(
        [*command, "-c", str(source), "-o", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:4000]
    return output


def with_musl(objects: list[Input], target: str) -> list[Input]:
    files = runtime_files(target)
    return [files.crt1, *objects, files.libc, files.compiler_rt]


def linked(
    objects: list[Input], output: Path, target: str, options: LinkOptions | None = None
) -> Path:
    link(with_musl(objects, target), output, options)
    return output


def printed(path: Path, target: str, *words: str) -> tuple[int, str]:
    """Exit status and output of a program, on this machine or in the emulator."""
    stream = io.BytesIO()
    with tempfile.TemporaryFile() as file:
        if target == "x86_64-linux" and platform.machine() == "x86_64":
            done = subprocess.run([path, *words], capture_output=True, check=False)
            return done.returncode, done.stdout.decode()
        if target == "aarch64-linux" and shutil.which("qemu-aarch64"):
            command = ["qemu-aarch64", str(path), *words]
            done = subprocess.run(command, capture_output=True, check=False)
            return done.returncode, done.stdout.decode()
        result = run(path, list(words), on="emulator", stdout=file.fileno())
        file.seek(0)
        stream.write(file.read())
    return result.exit_status, stream.getvalue().decode()
