"""Programs for these tests, built by Clang: a C program on musl, and pieces of assembly."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from callproof.run import Limits, RunResult, run
from callproof.run.functions import SECTION, FunctionRecord, encode_records
from tests.support.clang import ZIG_CC

HERE = Path(__file__).parent


@cache
def build(source: str, suffix: str, *flags: str, machine: str = "aarch64") -> bytes:
    """The static executable of a source text; built once a test session."""
    with tempfile.TemporaryDirectory() as folder:
        path, output = Path(folder) / f"program{suffix}", Path(folder) / "program"
        path.write_text(source)
        compiler = [*ZIG_CC[:-1], f"{machine}-linux-musl"]
        command = [*compiler, "-static", *flags, str(path), "-o", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:4000]
        return output.read_bytes()


def c_program(machine: str = "aarch64") -> bytes:
    """`system.c` on musl: its first argument chooses what it does."""
    flags = ("-O1", "-fno-sanitize=undefined")
    return build((HERE / "system.c").read_text(), ".c", *flags, machine=machine)


def assembly(
    text: str, records: Sequence[FunctionRecord] = (), *, machine: str = "aarch64"
) -> bytes:
    """An executable from assembly without any library, with records if there are any."""
    if records:
        lines = encode_records(records)
        data = ", ".join(str(byte) for byte in lines)
        text += f'\n.section {SECTION},"",@progbits\n.byte {data}\n'
    return build(text, ".s", "-nostdlib", machine=machine)


class Ran:
    """What a run gave: `result`, and its streams as text."""

    def __init__(self, result: RunResult, out: bytes, err: bytes, trace: str) -> None:
        self.result = result
        self.status = result.exit_status
        self.out = out.decode()
        self.err = err.decode()
        self.trace = trace


def execute(
    executable: bytes | Path,
    *arguments: str,
    data: bytes = b"",
    on: str | None = "emulator",
    poison: bool = False,
    strict: bool = False,
    trace: bool = False,
    count: bool = False,
    limits: Limits | None = None,
    notes: io.StringIO | None = None,
    environment: dict[str, str] | None = None,
) -> Ran:
    out, err, lines = io.BytesIO(), io.BytesIO(), io.StringIO()
    result = run(
        executable,
        list(arguments),
        on=on,
        poison=poison,
        strict=strict,
        trace_calls=lines if trace else None,
        count_instructions=count,
        stdin=io.BytesIO(data),
        stdout=out,
        stderr=err,
        limits=limits,
        name="program",
        notes=notes,
        environment=environment,
    )
    return Ran(result, out.getvalue(), err.getvalue(), lines.getvalue())


def function(name: str, body: str) -> str:
    """A function in assembly with its symbol's type and size."""
    return f"""
.globl {name}
.type {name}, %function
{name}:
{body}
.size {name}, . - {name}
"""


EXIT = "    mov x8, #93\n    svc #0"
