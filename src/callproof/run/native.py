"""Running a program on the host's own CPU, as a child process with the same streams."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from callproof.run.limits import TIMEOUT_STATUS
from callproof.run.process import OpenFile
from callproof.source import CallproofError


def is_native(machine: str = "aarch64") -> bool:
    """Whether the host itself runs Linux executables for a machine (as `uname -m` has it)."""
    return sys.platform == "linux" and platform.machine() == machine


@contextmanager
def as_file(executable: Path | bytes) -> Iterator[Path]:
    """The path of an executable file; bytes are written to a temporary one."""
    if isinstance(executable, Path):
        yield executable
        return
    with tempfile.TemporaryDirectory(prefix="callproof-") as folder:
        path = Path(folder) / "program"
        path.write_bytes(executable)
        path.chmod(0o700)
        yield path


def run_child(
    command: Sequence[str],
    argument_0: str,
    environment: Mapping[str, str],
    files: dict[int, OpenFile],
    seconds: float | None,
) -> int:
    """Run a command with these standard streams; its exit status, 128 + n for signal n.

    Python streams are filled and read through pipes.  `seconds` limits wall-clock time:
    past it the child is killed and the status is 124, as timeout(1) has it.
    """
    streams = [files[number].stream for number in range(3)]
    given: list[int] = [
        subprocess.PIPE if file.stream is not None else file.descriptor
        for file in (files[0], files[1], files[2])
    ]
    same_stream = streams[1] is not None and streams[1] is streams[2]
    try:
        child = subprocess.Popen(
            [argument_0, *command[1:]],
            executable=command[0],
            env=dict(environment),
            stdin=given[0],
            stdout=given[1],
            stderr=subprocess.STDOUT if same_stream else given[2],
        )
    except OSError as error:
        raise CallproofError(f"cannot run {command[0]}: {error.strerror or error}") from error
    data = streams[0].read() if streams[0] is not None else None
    timed_out = False
    with child:
        try:
            output, errors = child.communicate(data, timeout=seconds)
        except subprocess.TimeoutExpired:
            timed_out = True
            child.kill()
            output, errors = child.communicate()
        except BaseException:
            child.kill()
            raise
    for stream, text in ((streams[1], output), (streams[2], errors)):
        if stream is not None and text:
            stream.write(text)
    if timed_out:
        return TIMEOUT_STATUS
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def run_native(
    executable: Path | bytes,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    files: dict[int, OpenFile],
    name: str,
    seconds: float | None,
    machine: str = "aarch64",
) -> int:
    """Run on the host; raises `CallproofError` if it is not Linux on that machine."""
    if not is_native(machine):
        remedy = "; use --on emulator" if machine == "aarch64" else ""
        raise CallproofError(
            f"--on native: this host is {sys.platform} on {platform.machine()}, "
            f"not Linux on {machine}{remedy}"
        )
    with as_file(executable) as path:
        command = [str(path.absolute()), *arguments]
        if not os.access(path, os.X_OK):
            raise CallproofError(f"{path} is not executable (chmod +x)")
        return run_child(command, name, environment, files, seconds)
