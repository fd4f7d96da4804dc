"""What Linux's interface has otherwise on each architecture: `struct stat`, open(2)'s flags.

Facts: asm-generic/stat.h, arch/x86/include/uapi/asm/stat.h, asm-generic/fcntl.h and
arch/arm64/include/uapi/asm/fcntl.h of Linux.
"""

from __future__ import annotations

import os
import stat as modes
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

U64 = (1 << 64) - 1
ARM64_STAT = struct.Struct("<QQIIIIQQqiiqqQqQqQII")
X64_STAT = struct.Struct("<QQQIIIIQqqqqQqQqQ24x")

# What a Python stream looks like: a pipe.
PIPE = os.stat_result(
    (modes.S_IFIFO | 0o600, 0, 0, 1, 0, 0, 0, 0, 0, 0),
    dict.fromkeys("st_atime_ns st_mtime_ns st_ctime_ns st_rdev st_blksize st_blocks".split(), 0),
)

COMMON_FLAGS = {
    0o100: "O_CREAT",
    0o200: "O_EXCL",
    0o400: "O_NOCTTY",
    0o1000: "O_TRUNC",
    0o2000: "O_APPEND",
    0o4000: "O_NONBLOCK",
    0o10000: "O_DSYNC",
}


def _sizes(found: os.stat_result) -> tuple[int, int]:
    """The block size and the blocks, on hosts that do not tell them as well."""
    blocks = getattr(found, "st_blocks", -(-found.st_size // 512))
    return getattr(found, "st_blksize", 4096), blocks


def _times(found: os.stat_result) -> list[int]:
    times: list[int] = []
    for nanoseconds in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns):
        times += divmod(nanoseconds, 10**9)
    return times


def arm64_stat(found: os.stat_result) -> bytes:
    block, blocks = _sizes(found)
    return ARM64_STAT.pack(
        found.st_dev & U64,
        found.st_ino & U64,
        found.st_mode,
        found.st_nlink,
        found.st_uid,
        found.st_gid,
        getattr(found, "st_rdev", 0),
        0,
        found.st_size,
        block,
        0,
        blocks,
        *_times(found),
        0,
        0,
    )


def x64_stat(found: os.stat_result) -> bytes:
    block, blocks = _sizes(found)
    return X64_STAT.pack(
        found.st_dev & U64,
        found.st_ino & U64,
        found.st_nlink,
        found.st_mode,
        found.st_uid,
        found.st_gid,
        0,
        getattr(found, "st_rdev", 0),
        found.st_size,
        block,
        blocks,
        *_times(found),
    )


@dataclass(frozen=True, slots=True)
class Kernel:
    """`machine` as uname(2) has it; `open_flags` by their bit; `stat` packs a `struct stat`."""

    machine: str
    open_flags: Mapping[int, str]
    stat: Callable[[os.stat_result], bytes]


ARM64 = Kernel(
    "aarch64", COMMON_FLAGS | {0o40000: "O_DIRECTORY", 0o100000: "O_NOFOLLOW"}, arm64_stat
)
X64 = Kernel("x86_64", COMMON_FLAGS | {0o200000: "O_DIRECTORY", 0o400000: "O_NOFOLLOW"}, x64_stat)

__all__ = ["ARM64", "PIPE", "X64", "Kernel"]
