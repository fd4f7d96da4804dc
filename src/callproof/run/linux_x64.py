"""The same system calls by x86-64's numbers, and those that only older architectures have.

Numbers: arch/x86/entry/syscalls/syscall_64.tbl of Linux.  musl calls the older ones
(open, pipe, poll ...) wherever there are such.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable

from callproof.run import files, linux
from callproof.run.files import AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, signed
from callproof.run.process import LinuxError, Process, Table, system_call

# fmt: off
NUMBERS = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10,
    "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "ioctl": 16,
    "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "sched_yield": 24,
    "mremap": 25, "madvise": 28, "dup": 32, "nanosleep": 35, "getpid": 39, "exit": 60,
    "kill": 62, "uname": 63, "fcntl": 72, "fsync": 74, "fdatasync": 75, "ftruncate": 77,
    "getcwd": 79, "chdir": 80, "umask": 95, "gettimeofday": 96, "getrlimit": 97,
    "getrusage": 98, "sysinfo": 99, "getuid": 102, "getgid": 104, "geteuid": 107,
    "getegid": 108, "getppid": 110, "sigaltstack": 131, "gettid": 186, "tkill": 200,
    "futex": 202, "sched_getaffinity": 204, "set_tid_address": 218, "clock_gettime": 228,
    "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "tgkill": 234,
    "openat": 257, "mkdirat": 258, "newfstatat": 262, "unlinkat": 263, "renameat": 264,
    "readlinkat": 267, "faccessat": 269, "ppoll": 271, "set_robust_list": 273, "dup3": 292,
    "pipe2": 293, "prlimit64": 302, "renameat2": 316, "getrandom": 318, "membarrier": 324,
    "faccessat2": 439,
}
# fmt: on

HERE = AT_FDCWD & (1 << 64) - 1
RT_SIGRETURN = 15
ARCH_SET_FS, ARCH_GET_FS = 0x1002, 0x1003

OLDER: Table = {}


@system_call(OLDER, 2, 3)
def open(process: Process, path: int, flags: int, mode: int) -> int:
    return files.openat(process, HERE, path, flags, mode)


@system_call(OLDER, 4, 2)
def stat(process: Process, path: int, buffer: int) -> int:
    return files.newfstatat(process, HERE, path, buffer, 0)


@system_call(OLDER, 6, 2)
def lstat(process: Process, path: int, buffer: int) -> int:
    return files.newfstatat(process, HERE, path, buffer, AT_SYMLINK_NOFOLLOW)


@system_call(OLDER, 7, 3)
def poll(process: Process, array: int, count: int, timeout: int) -> int:
    milliseconds = signed(timeout)
    return files.poll_for(process, array, count, None if milliseconds < 0 else milliseconds)


@system_call(OLDER, 21, 2)
def access(process: Process, path: int, mode: int) -> int:
    return files.faccessat(process, HERE, path, mode)


@system_call(OLDER, 22, 1)
def pipe(process: Process, descriptors: int) -> int:
    return files.pipe2(process, descriptors, 0)


@system_call(OLDER, 33, 2)
def dup2(process: Process, old: int, new: int) -> int:
    if signed(old) == signed(new):
        files.file_of(process, old)
        return signed(new)
    return files.dup3(process, old, new, 0)


@system_call(OLDER, 82, 2)
def rename(process: Process, old: int, new: int) -> int:
    return files.renameat(process, HERE, old, HERE, new)


@system_call(OLDER, 83, 2)
def mkdir(process: Process, path: int, mode: int) -> int:
    return files.mkdirat(process, HERE, path, mode)


@system_call(OLDER, 84, 1)
def rmdir(process: Process, path: int) -> int:
    return files.unlinkat(process, HERE, path, AT_REMOVEDIR)


@system_call(OLDER, 87, 1)
def unlink(process: Process, path: int) -> int:
    return files.unlinkat(process, HERE, path, 0)


@system_call(OLDER, 89, 3)
def readlink(process: Process, path: int, buffer: int, size: int) -> int:
    return files.readlinkat(process, HERE, path, buffer, size)


@system_call(OLDER, 158, 2)
def arch_prctl(process: Process, code: int, address: int) -> int:
    """The base of FS, by which x86-64 addresses what is a thread's own; GS has no use here."""
    base = process.thread_base
    if base is None or code not in (ARCH_SET_FS, ARCH_GET_FS):
        raise LinuxError("EINVAL")
    if code == ARCH_GET_FS:
        process.memory.write(address, base.read().to_bytes(8, "little"))
        return 0
    if address >= linux.USER_END:
        raise LinuxError("EPERM")
    base.write(address)
    return 0


@system_call(OLDER, 201, 1)
def time(process: Process, address: int) -> int:
    now = int(clock.time())
    if address:
        process.memory.write(address, now.to_bytes(8, "little"))
    return now


def _renumbered() -> Table:
    by_name: dict[str, tuple[str, Callable[..., int], int]] = {
        row[0]: row for row in linux.TABLE.values()
    }
    return {number: by_name[name] for name, number in NUMBERS.items()}


TABLE: Table = {**_renumbered(), **OLDER}

__all__ = ["NUMBERS", "RT_SIGRETURN", "TABLE"]
