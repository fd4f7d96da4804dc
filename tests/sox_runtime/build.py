"""The C program that stands in for compiled code, built for the target and for this machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from callproof.link import link_bytes
from callproof.runtime import runtime_files
from callproof.runtime.build import LIBRARIES
from tests.run.programs import execute

SOURCES = sorted((Path(__file__).parent / "program").glob("*.c"))
RUNTIME = Path(next(iter(LIBRARIES["sox"].sources()))).parents[1]
ZIG_CC = [sys.executable, "-m", "ziglang", "cc"]
COMMON = [
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fno-omit-frame-pointer",
    f"-I{RUNTIME / 'sox'}",
]


@dataclass(frozen=True, slots=True)
class Output:
    status: int
    out: str
    err: str


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]


@cache
def emulated_program() -> bytes:
    """For AArch64 Linux, linked by our linker with the archive that users get."""
    with tempfile.TemporaryDirectory() as folder:
        items = [Path(folder) / f"{source.stem}.o" for source in SOURCES]
        flags = ["-target", "aarch64-linux-musl", "-O1", "-g0", "-fno-sanitize=all"]
        for source, item in zip(SOURCES, items, strict=True):
            _run([*ZIG_CC, *flags, *COMMON, "-c", str(source), "-o", str(item)])
        files = runtime_files("aarch64-linux")
        libraries = [files.libraries["sox"], files.libc, files.compiler_rt]
        return link_bytes([files.crt1, *items, *libraries])


_NATIVE = tempfile.TemporaryDirectory(prefix="sox-runtime-")


@cache
def native_program() -> Path:
    """For the machine that the tests run on, all of it watched for undefined behaviour."""
    output = Path(_NATIVE.name) / "program"
    target = f"{platform.machine()}-linux-musl"
    flags = ["-target", target, "-static", "-O1", "-g", "-fsanitize=undefined"]
    sources = [*LIBRARIES["sox"].sources(), *SOURCES]
    _run([*ZIG_CC, *flags, *COMMON, *map(str, sources), "-o", str(output)])
    return output


def natively(*arguments: str, **environment: str) -> Output:
    """Runs it on this machine; a limit keeps a mistake from taking all memory."""
    given = {"CALLPROOF_GC_LIMIT": str(1 << 30), **environment}
    done = subprocess.run(
        [str(native_program()), *arguments],
        capture_output=True,
        env={**os.environ, **given},
        timeout=120,
        check=False,
    )
    return Output(done.returncode, done.stdout.decode(), done.stderr.decode())


def emulated(*arguments: str, **environment: str) -> Output:
    ran = execute(emulated_program(), *arguments, environment=environment)
    return Output(ran.status, ran.out, ran.err)


EVERYWHERE = (natively, emulated)
