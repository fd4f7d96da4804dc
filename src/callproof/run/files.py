"""System calls on files and paths, by AArch64's numbers (asm-generic/unistd.h of Linux).

Paths are the host's.  What differs by architecture is in `uapi.py`.
"""

from __future__ import annotations

import io
import os
import select
import struct
from collections.abc import Iterable

from callproof.run.process import (
    LinuxError,
    OpenFile,
    Process,
    Table,
    close_file,
    system_call,
    write_to,
)
from callproof.run.uapi import PIPE

FILES: Table = {}

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_EMPTY_PATH = 0x100, 0x200, 0x1000
TIOCGWINSZ = 0x5413
SEEK_WHENCE = (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)
MAX_TRANSFER = 0x7FFFF000  # Linux transfers at most this many bytes in one call
MAX_VECTORS = 1024
POLL_ALWAYS = 0x38  # POLLERR, POLLHUP, POLLNVAL are told whether asked for or not


def signed(value: int, bits: int = 32) -> int:
    """A register's low bits as a signed number (the C types int, and long with bits=64)."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def file_of(process: Process, descriptor: int) -> OpenFile:
    file = process.files.get(signed(descriptor))
    if file is None:
        raise LinuxError("EBADF")
    return file


def folder_of(process: Process, descriptor: int) -> int | None:
    number = signed(descriptor)
    if number == AT_FDCWD:
        return None
    file = file_of(process, descriptor)
    if file.stream is not None:
        raise LinuxError("ENOTDIR")
    return file.descriptor


def path_of(process: Process, address: int) -> bytes:
    path = process.memory.text(address)
    if not path:
        raise LinuxError("ENOENT")
    return path


def _add(process: Process, file: OpenFile, least: int = 0) -> int:
    number = least
    while number in process.files:
        number += 1
    process.files[number] = file
    return number


# --- open and close -------------------------------------------------------------------------


@system_call(FILES, 56, 4)
def openat(process: Process, folder: int, path: int, flags: int, mode: int) -> int:
    wanted = flags & 3 | getattr(os, "O_CLOEXEC", 0)
    for bit, name in process.kernel.open_flags.items():
        if flags & bit:
            wanted |= getattr(os, name, 0)
    name_ = path_of(process, path)
    mode &= 0o7777 & ~process.umask
    descriptor = os.open(name_, wanted, mode, dir_fd=folder_of(process, folder))
    return _add(process, OpenFile(descriptor, owned=True, path=os.fsdecode(name_)))


@system_call(FILES, 57, 1)
def close(process: Process, descriptor: int) -> int:
    file = file_of(process, descriptor)
    del process.files[signed(descriptor)]
    close_file(file)
    return 0


def _duplicate(file: OpenFile) -> OpenFile:
    if file.stream is not None:
        return OpenFile(stream=file.stream, path=file.path)
    return OpenFile(os.dup(file.descriptor), owned=True, path=file.path)


@system_call(FILES, 23, 1)
def dup(process: Process, descriptor: int) -> int:
    return _add(process, _duplicate(file_of(process, descriptor)))


@system_call(FILES, 24, 3)
def dup3(process: Process, old: int, new: int, _flags: int) -> int:
    file = file_of(process, old)
    number = signed(new)
    if number < 0 or number > 1023:
        raise LinuxError("EBADF")
    if number == signed(old):
        raise LinuxError("EINVAL")
    copy = _duplicate(file)
    replaced = process.files.pop(number, None)
    if replaced is not None:
        close_file(replaced)
    process.files[number] = copy
    return number


@system_call(FILES, 59, 2)
def pipe2(process: Process, descriptors: int, _flags: int) -> int:
    process.memory.read(descriptors, 8)
    ends = [_add(process, OpenFile(end, owned=True)) for end in os.pipe()]
    process.memory.write(descriptors, struct.pack("<ii", *ends))
    return 0


@system_call(FILES, 25, 3)
def fcntl(process: Process, descriptor: int, command: int, argument: int) -> int:
    file = file_of(process, descriptor)
    if command in (0, 1030):  # F_DUPFD, F_DUPFD_CLOEXEC
        return _add(process, _duplicate(file), signed(argument))
    if command in (1, 2):  # F_GETFD, F_SETFD: nothing is ever executed from here
        return 1 if command == 1 and file.owned else 0
    if command == 3:  # F_GETFL
        if file.stream is not None:
            return 1 if file.stream.writable() else 0
        import fcntl as host

        return host.fcntl(file.descriptor, host.F_GETFL) & 0o6003
    if command == 4:  # F_SETFL
        return 0
    raise LinuxError("EINVAL")


@system_call(FILES, 29, 3)
def ioctl(process: Process, descriptor: int, request: int, argument: int) -> int:
    file = file_of(process, descriptor)
    if request & 0xFFFFFFFF != TIOCGWINSZ or file.stream is not None:
        raise LinuxError("ENOTTY")
    if not os.isatty(file.descriptor):
        raise LinuxError("ENOTTY")
    size = os.get_terminal_size(file.descriptor)
    process.memory.write(argument, struct.pack("<HHHH", size.lines, size.columns, 0, 0))
    return 0


# --- read and write -------------------------------------------------------------------------


def _read_from(file: OpenFile, count: int) -> bytes:
    if file.stream is None:
        return os.read(file.descriptor, count)
    if isinstance(file.stream, io.BufferedReader | io.BufferedRandom | io.BytesIO):
        return file.stream.read1(count)
    return file.stream.read(count) or b""


@system_call(FILES, 63, 3)
def read(process: Process, descriptor: int, buffer: int, count: int) -> int:
    file = file_of(process, descriptor)
    # A buffer larger than memory must not make the host allocate it first.
    data = _read_from(file, min(count, MAX_TRANSFER, 1 << 20))
    process.memory.write(buffer, data)
    return len(data)


@system_call(FILES, 64, 3)
def write(process: Process, descriptor: int, buffer: int, count: int) -> int:
    file = file_of(process, descriptor)
    return write_to(file, process.memory.read(buffer, min(count, MAX_TRANSFER)))


def _vectors(process: Process, address: int, count: int) -> list[tuple[int, int]]:
    if not 0 <= signed(count) <= MAX_VECTORS:
        raise LinuxError("EINVAL")
    packed = process.memory.read(address, 16 * signed(count))
    return [(base, size) for base, size in struct.iter_unpack("<QQ", packed) if size]


@system_call(FILES, 65, 3)
def readv(process: Process, descriptor: int, vectors: int, count: int) -> int:
    total = 0
    for base, size in _vectors(process, vectors, count):
        got = read(process, descriptor, base, size)
        total += got
        if got < size:
            break
    return total


@system_call(FILES, 66, 3)
def writev(process: Process, descriptor: int, vectors: int, count: int) -> int:
    file = file_of(process, descriptor)
    pieces = [process.memory.read(base, size) for base, size in _vectors(process, vectors, count)]
    return write_to(file, b"".join(pieces))


@system_call(FILES, 67, 4)
def pread64(process: Process, descriptor: int, buffer: int, count: int, offset: int) -> int:
    file = file_of(process, descriptor)
    if file.stream is not None:
        raise LinuxError("ESPIPE")
    data = os.pread(file.descriptor, min(count, 1 << 20), signed(offset, 64))
    process.memory.write(buffer, data)
    return len(data)


@system_call(FILES, 68, 4)
def pwrite64(process: Process, descriptor: int, buffer: int, count: int, offset: int) -> int:
    file = file_of(process, descriptor)
    if file.stream is not None:
        raise LinuxError("ESPIPE")
    data = process.memory.read(buffer, min(count, MAX_TRANSFER))
    return os.pwrite(file.descriptor, data, signed(offset, 64))


@system_call(FILES, 62, 3)
def lseek(process: Process, descriptor: int, offset: int, whence: int) -> int:
    file = file_of(process, descriptor)
    if file.stream is not None:
        raise LinuxError("ESPIPE")
    if whence >= len(SEEK_WHENCE):
        raise LinuxError("EINVAL")
    return os.lseek(file.descriptor, signed(offset, 64), SEEK_WHENCE[whence])


@system_call(FILES, 46, 2)
def ftruncate(process: Process, descriptor: int, size: int) -> int:
    file = file_of(process, descriptor)
    if file.stream is not None:
        raise LinuxError("EINVAL")
    os.ftruncate(file.descriptor, signed(size, 64))
    return 0


@system_call(FILES, 82, 1)
def fsync(process: Process, descriptor: int) -> int:
    file = file_of(process, descriptor)
    if file.stream is not None:
        raise LinuxError("EINVAL")
    os.fsync(file.descriptor)
    return 0


FILES[83] = ("fdatasync", fsync, 1)


def _either(events: Iterable[int]) -> int:
    union = 0
    for some in events:
        union |= some
    return union


@system_call(FILES, 73, 5)
def ppoll(process: Process, array: int, count: int, timeout: int, _mask: int, _size: int) -> int:
    wait: float | None = None
    if timeout:
        seconds, nanoseconds = struct.unpack("<qq", process.memory.read(timeout, 16))
        wait = seconds * 1000 + nanoseconds / 1e6
    return poll_for(process, array, count, wait)


def poll_for(process: Process, array: int, count: int, wait: float | None) -> int:
    """Wait for some of `count` pollfd at `array`, at most `wait` milliseconds if not None."""
    entries = list(struct.iter_unpack("<ihh", process.memory.read(array, 8 * min(count, 1024))))
    poll = select.poll()
    ready: dict[int, int] = {}
    hosts: dict[int, list[int]] = {}  # a descriptor may be asked about more than once
    for index, (descriptor, events, _) in enumerate(entries):
        if descriptor < 0:
            continue
        file = process.files.get(descriptor)
        if file is None:
            ready[index] = 0x20  # POLLNVAL
        elif file.stream is not None:
            ready[index] = events & 5  # a Python stream never makes anyone wait
        else:
            same = hosts.setdefault(file.descriptor, [])
            same.append(index)
            poll.register(file.descriptor, _either(entries[other][1] for other in same))
    for host, found in poll.poll(0 if ready else wait):
        for index in hosts[host]:
            ready[index] = found & (entries[index][1] | POLL_ALWAYS)
    packed = [
        struct.pack("<ihh", descriptor, events, ready.get(index, 0))
        for index, (descriptor, events, _) in enumerate(entries)
    ]
    process.memory.write(array, b"".join(packed))
    return sum(1 for events in ready.values() if events)


# --- paths ----------------------------------------------------------------------------------


@system_call(FILES, 80, 2)
def fstat(process: Process, descriptor: int, buffer: int) -> int:
    file = file_of(process, descriptor)
    found = PIPE if file.stream is not None else os.fstat(file.descriptor)
    process.memory.write(buffer, process.kernel.stat(found))
    return 0


@system_call(FILES, 79, 4)
def newfstatat(process: Process, folder: int, path: int, buffer: int, flags: int) -> int:
    if flags & AT_EMPTY_PATH and not process.memory.text(path):
        return fstat(process, folder, buffer)
    found = os.stat(
        path_of(process, path),
        dir_fd=folder_of(process, folder),
        follow_symlinks=not flags & AT_SYMLINK_NOFOLLOW,
    )
    process.memory.write(buffer, process.kernel.stat(found))
    return 0


@system_call(FILES, 34, 3)
def mkdirat(process: Process, folder: int, path: int, mode: int) -> int:
    name = path_of(process, path)
    os.mkdir(name, mode & 0o7777 & ~process.umask, dir_fd=folder_of(process, folder))
    return 0


@system_call(FILES, 35, 3)
def unlinkat(process: Process, folder: int, path: int, flags: int) -> int:
    remove = os.rmdir if flags & AT_REMOVEDIR else os.unlink
    remove(path_of(process, path), dir_fd=folder_of(process, folder))
    return 0


@system_call(FILES, 38, 4)
def renameat(process: Process, old_folder: int, old: int, new_folder: int, new: int) -> int:
    os.rename(
        path_of(process, old),
        path_of(process, new),
        src_dir_fd=folder_of(process, old_folder),
        dst_dir_fd=folder_of(process, new_folder),
    )
    return 0


@system_call(FILES, 276, 5)
def renameat2(
    process: Process, old_folder: int, old: int, new_folder: int, new: int, flags: int
) -> int:
    if flags:
        raise LinuxError("EINVAL")
    return renameat(process, old_folder, old, new_folder, new)


@system_call(FILES, 48, 3)
def faccessat(process: Process, folder: int, path: int, mode: int) -> int:
    name = path_of(process, path)
    place = folder_of(process, folder)
    os.stat(name, dir_fd=place)  # says why, where os.access only says no
    if not os.access(name, mode & 7, dir_fd=place):
        raise LinuxError("EACCES")
    return 0


FILES[439] = ("faccessat2", faccessat, 3)


@system_call(FILES, 49, 1)
def chdir(process: Process, path: int) -> int:
    os.chdir(path_of(process, path))
    return 0


@system_call(FILES, 17, 2)
def getcwd(process: Process, buffer: int, size: int) -> int:
    path = os.getcwdb() + b"\0"
    if len(path) > size:
        raise LinuxError("ERANGE")
    process.memory.write(buffer, path)
    return len(path)


@system_call(FILES, 78, 4)
def readlinkat(process: Process, folder: int, path: int, buffer: int, size: int) -> int:
    target = os.readlink(path_of(process, path), dir_fd=folder_of(process, folder))
    data = os.fsencode(target)[: signed(size)]
    process.memory.write(buffer, data)
    return len(data)


@system_call(FILES, 166, 1)
def umask(process: Process, mask: int) -> int:
    old, process.umask = process.umask, mask & 0o777
    return old
