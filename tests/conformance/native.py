"""The bare machine of `machine.py`, but the host itself: x86-64 batches at full speed.

The image lies in shared memory at its own addresses.  Each call is made by a forked child,
so that code which faults or never returns takes only the child with it, and what it wrote
is seen here.  A probe in assembly, which Clang assembles, fills the registers before the
call and looks at them behind it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import weakref
from functools import cache
from pathlib import Path
from typing import Any

from callproof.object import elf_format as elf
from callproof.object import read_object
from callproof.object.model import ObjectFile
from callproof.run.loader import load
from tests.conformance.compilers import ZIG
from tests.conformance.machine import Fault

BASE = 0x4000_0000  # within 2 GB, as the code model wants it
PAGE = 4096
SECONDS = 5.0
SAVED = ("RBX", "RBP", "R12", "R13", "R14", "R15")
MARK, RUBBISH = 0x5AFE_0000_0000_0000, 0xBAD0_0000_0000_0000
WORDS = len(SAVED) + 2  # ... the distance of RSP from where it was, RAX
READ_WRITE, READ_EXECUTE = 3, 5
FATAL = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)
SHARED, ANONYMOUS, FIXED_NOREPLACE = 1, 0x20, 0x100000

SCRATCH = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")
PROBE = "\n".join(
    [
        ".globl probe",
        "probe:",  # RDI the function, RSI eight words for what came back
        *(f"    push %{name.lower()}" for name in SAVED),
        "    sub $8, %rsp",
        "    push %rsi",
        "    push %rdi",
        "    mov %rsp, stack(%rip)",
        "    lea -65536(%rsp), %rdi",
        "    mov $65528, %ecx",
        "    mov $0xdb, %eax",
        "    rep stosb",
        "    movabs $0xdbdbdbdbdbdbdbdb, %rax",
        "    movq %rax, %xmm0",
        "    punpcklqdq %xmm0, %xmm0",
        *(f"    movaps %xmm0, %xmm{n}" for n in range(1, 16)),
        *(f"    movabs ${MARK + n:#x}, %{name.lower()}" for n, name in enumerate(SAVED)),
        *(f"    movabs ${RUBBISH + n:#x}, %{name}" for n, name in enumerate(SCRATCH)),
        "    call *(%rsp)",
        "    mov stack(%rip), %rcx",
        "    sub %rcx, %rsp",
        "    mov %rsp, %rdx",
        "    mov %rcx, %rsp",
        "    mov 8(%rsp), %rsi",
        *(f"    mov %{name.lower()}, {8 * n}(%rsi)" for n, name in enumerate(SAVED)),
        f"    mov %rdx, {8 * len(SAVED)}(%rsi)",
        f"    mov %rax, {8 * len(SAVED) + 8}(%rsi)",
        "    cld",
        "    emms",
        "    add $24, %rsp",
        *(f"    pop %{name.lower()}" for name in reversed(SAVED)),
        "    ret",
        ".size probe, . - probe",
        ".type probe, @function",
        ".bss",
        ".balign 8",
        "stack: .quad 0",
        "",
    ]
)


def available() -> bool:
    """Whether this host runs x86-64 Linux code itself."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


@cache
def _probe_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "probe.s", Path(folder) / "probe.o"
        source.write_text(PROBE)
        subprocess.run(
            [*ZIG, "x86_64-linux-musl", "-c", str(source), "-o", str(output)], check=True
        )
        return output.read_bytes()


def probe_object() -> ObjectFile:
    """What a batch must be linked with."""
    return read_object(_probe_bytes(), "probe.o")


def _library() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_long),
    )
    library.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    library.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return library


class NativeMachine:
    """A static executable in this process, linked at `BASE` with all of `probe_object()`."""

    def __init__(self, data: bytes) -> None:
        library = _library()
        image = load(data, any_machine=True)
        self.entry = image.entry
        for segment in image.segments:
            start = segment.address & -PAGE
            length = -(-(segment.address + segment.size - start) // PAGE) * PAGE
            how = SHARED | ANONYMOUS | FIXED_NOREPLACE
            if library.mmap(start, length, READ_WRITE, how, -1, 0) != start:
                raise OSError(f"the image's memory at {start:#x} is not free")
            weakref.finalize(self, library.munmap, start, length)
            ctypes.memmove(segment.address, segment.data, len(segment.data))
            executable = segment.flags & elf.PF_X
            if executable and library.mprotect(start, length, READ_EXECUTE):
                raise OSError("memory cannot be made executable")
        address = next(a for a, _, name in image.symbols.functions if name == "probe")
        self.probe = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)(address)
        self.shared = mmap.mmap(-1, PAGE)  # a child writes into it
        self.answers = ctypes.addressof(ctypes.c_char.from_buffer(self.shared))

    def word(self, address: int) -> int:
        return int(struct.unpack("<Q", ctypes.string_at(address, 8))[0])

    def write_word(self, address: int, value: int) -> None:
        ctypes.memmove(address, struct.pack("<Q", value), 8)

    def call(self, address: int) -> int:
        """Call a function without arguments; its result register.  Raises `Fault`."""
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            for number in FATAL:  # pytest's fault handler would print Python's stack
                signal.signal(number, signal.SIG_DFL)
            self.probe(address, self.answers)
            os._exit(0)
        status = _wait(child)
        if status is None:
            raise Fault("it does not come back")
        if os.WIFSIGNALED(status):
            raise Fault(signal.strsignal(os.WTERMSIG(status)) or "a signal")
        if status:
            raise Fault(f"it left the process with {os.waitstatus_to_exitcode(status)}")
        words = struct.unpack(f"<{WORDS}Q", self.shared[: 8 * WORDS])
        for index, name in enumerate(SAVED):
            if words[index] != MARK + index:
                raise Fault(f"{name} is not preserved")
        if words[len(SAVED)]:
            raise Fault("RSP is not preserved")
        return int(words[-1])


def _wait(child: int) -> int | None:
    """The child's status; None if it had to be killed."""
    end = time.monotonic() + SECONDS
    pause = 0.0002
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
