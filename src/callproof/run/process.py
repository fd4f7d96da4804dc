"""What one emulated Linux process is, apart from its CPU: files, ids, how it ended.

System calls are functions in tables (`linux.py`, `files.py`) that take the `Process`
and the call's integer arguments and return a non-negative result, or raise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, TextIO

from callproof.run.memory import Memory
from callproof.run.uapi import ARM64, Kernel

Stream = int | BinaryIO
SystemCall = Callable[..., int]
Table = dict[int, tuple[str, SystemCall, int]]  # number -> name, function, arguments

# Linux's numbers (asm-generic/errno.h); the host's may differ where it is not Linux.
ERRNO = {
    "EPERM": 1, "ENOENT": 2, "ESRCH": 3, "EINTR": 4, "EIO": 5, "ENXIO": 6, "E2BIG": 7,
    "EBADF": 9, "ECHILD": 10, "EAGAIN": 11, "ENOMEM": 12, "EACCES": 13, "EFAULT": 14,
    "EBUSY": 16, "EEXIST": 17, "EXDEV": 18, "ENODEV": 19, "ENOTDIR": 20, "EISDIR": 21,
    "EINVAL": 22, "ENFILE": 23, "EMFILE": 24, "ENOTTY": 25, "ETXTBSY": 26, "EFBIG": 27,
    "ENOSPC": 28, "ESPIPE": 29, "EROFS": 30, "EMLINK": 31, "EPIPE": 32, "ERANGE": 34,
    "ENAMETOOLONG": 36, "ENOSYS": 38, "ENOTEMPTY": 39, "ELOOP": 40, "EOVERFLOW": 75,
    "EILSEQ": 84, "EOPNOTSUPP": 95, "ETIMEDOUT": 110,
}  # fmt: skip

SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT",
    7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2",
    13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 31: "SIGSYS",
}  # fmt: skip
SIGPIPE = 13
IGNORED_BY_DEFAULT = (17, 18, 23, 28)  # SIGCHLD, SIGCONT, SIGURG, SIGWINCH


class LinuxError(Exception):
    """A system call fails with this errno, by name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.number = ERRNO[name]


class Ended(Exception):
    """The process ends: `status` as a shell shows it; `signal` is 0 for an ordinary exit."""

    def __init__(self, status: int, signal: int = 0, why: str = "") -> None:
        super().__init__(f"exit status {status}")
        self.status = status
        self.signal = signal
        self.why = why


def system_call(table: Table, number: int, arguments: int) -> Callable[[SystemCall], SystemCall]:
    """Put a function into a table under a call number of asm-generic/unistd.h."""

    def register(function: SystemCall) -> SystemCall:
        table[number] = (function.__name__, function, arguments)
        return function

    return register


@dataclass(slots=True)
class OpenFile:
    """A host descriptor or a Python stream behind a guest's descriptor.

    `owned` files are closed with the guest's descriptor; the three standard ones are not.
    """

    descriptor: int = -1
    stream: BinaryIO | None = None
    owned: bool = False
    path: str = ""


def open_file(given: Stream | None, default: int) -> OpenFile:
    if given is None:
        return OpenFile(default)
    if isinstance(given, int):
        return OpenFile(given)
    return OpenFile(stream=given)


class ThreadBase(Protocol):
    """The register from which a thread's own variables are addressed."""

    def read(self) -> int: ...

    def write(self, value: int) -> None: ...


@dataclass(slots=True)
class Process:
    """The state that system calls act on."""

    memory: Memory
    name: str
    files: dict[int, OpenFile]
    stack: tuple[int, int]
    random: Callable[[int], bytes] = os.urandom
    notes: TextIO | None = None
    umask: int = 0o022
    handlers: dict[int, bytes] = field(default_factory=dict)
    alternate_stack: tuple[int, int] | None = None  # of signal handlers: address, size
    started: float = field(default_factory=time.monotonic)
    noted: set[int] = field(default_factory=set)
    kernel: Kernel = ARM64
    thread_base: ThreadBase | None = None  # where a system call sets it

    def note(self, number: int, text: str) -> None:
        """Tell once, where debugging is wanted, that a call is not provided."""
        if self.notes is not None and number not in self.noted:
            self.noted.add(number)
            self.notes.write(f"callproof: {text}\n")

    def warn(self, text: str) -> None:
        """Write a line to the program's standard error, or nowhere if that is closed."""
        standard_error = self.files.get(2)
        if standard_error is not None:
            # Where even that cannot be written, the exit status still tells.
            with suppress(OSError):
                write_to(standard_error, text.encode("utf-8", "replace"))

    def raise_signal(self, number: int) -> int:
        """The default action of a signal that the program sends itself; no handler is run."""
        action = int.from_bytes(self.handlers.get(number, b"")[:8], "little")
        if action == 1 or (action == 0 and number in IGNORED_BY_DEFAULT):  # SIG_IGN
            return 0
        if number == SIGPIPE:  # as in a shell, nobody is told that the reader has gone
            raise Ended(128 + number, number)
        why = f"the program ended itself with {SIGNALS.get(number, f'signal {number}')}"
        if action > 1:
            why += " (the emulator runs handlers of faults only)"
        raise Ended(128 + number, number, why)

    def close(self) -> None:
        """Close what the guest left open."""
        for file in self.files.values():
            close_file(file)
        self.files.clear()


def write_to(file: OpenFile, data: bytes) -> int:
    if file.stream is not None:
        file.stream.write(data)
        return len(data)
    return os.write(file.descriptor, data)


def close_file(file: OpenFile) -> None:
    if file.owned:
        os.close(file.descriptor)
        return
    if file.stream is not None and not file.stream.closed and file.stream.writable():
        file.stream.flush()
