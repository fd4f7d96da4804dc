"""Linux's system calls for one single-threaded process: memory, time, signals, exit.

`call(process, number, arguments)` runs one and gives what goes back to the program.  What
musl's static programs and our runtime use is here and in `files.py`; anything else
is ENOSYS.  Bad pointers are EFAULT.  Numbers: asm-generic/unistd.h, which AArch64 has;
`linux_x64.py` has x86-64's.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Sequence

from callproof.run.files import FILES, file_of, signed
from callproof.run.memory import BadAddress, OutOfMemory, page_up
from callproof.run.process import (
    ERRNO,
    SIGPIPE,
    Ended,
    LinuxError,
    Process,
    Table,
    system_call,
)

LINUX: Table = {}

PROCESS_ID = 1000
MAP_FIXED, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE = 0x10, 0x20, 0x100000
MREMAP_MAYMOVE = 1
CLOCKS = {
    0: time.CLOCK_REALTIME,
    1: time.CLOCK_MONOTONIC,
    2: time.CLOCK_PROCESS_CPUTIME_ID,
    3: getattr(time, "CLOCK_THREAD_CPUTIME_ID", time.CLOCK_PROCESS_CPUTIME_ID),
    4: getattr(time, "CLOCK_MONOTONIC_RAW", time.CLOCK_MONOTONIC),
    5: time.CLOCK_REALTIME,
    6: time.CLOCK_MONOTONIC,
    7: getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC),
}
INFINITY = (1 << 64) - 1
RLIMIT_STACK, RLIMIT_NOFILE = 3, 7
SS_DISABLE = 2
PAGE_MASK = 4095
USER_END = 1 << 47


def call(
    process: Process, number: int, arguments: Sequence[int], table: Table | None = None
) -> int:
    """Run a system call of a table (AArch64's if None); its result, or a negative error number.

    Raises `Ended` when the process ends by it.
    """
    entry = (TABLE if table is None else table).get(number)
    if entry is None:
        process.note(number, f"system call {number} is not provided (ENOSYS)")
        return -ERRNO["ENOSYS"]
    _, function, count = entry
    try:
        return function(process, *arguments[:count])
    except LinuxError as error:
        return -error.number
    except BadAddress:
        return -ERRNO["EFAULT"]
    except OutOfMemory:
        return -ERRNO["ENOMEM"]
    except BrokenPipeError:
        process.raise_signal(SIGPIPE)
        return -ERRNO["EPIPE"]
    except OSError as error:
        return -ERRNO.get(errno.errorcode.get(error.errno or 0, ""), ERRNO["EIO"])
    except (ValueError, OverflowError):
        # Python's refusal of a number that the host's own call could not take either.
        return -ERRNO["EINVAL"]


# --- the end --------------------------------------------------------------------------------


@system_call(LINUX, 93, 1)
def exit(_process: Process, status: int) -> int:
    raise Ended(status & 0xFF)


LINUX[94] = ("exit_group", exit, 1)


@system_call(LINUX, 129, 2)
def kill(process: Process, target: int, signal: int) -> int:
    if signed(target) not in (PROCESS_ID, 0):
        raise LinuxError("ESRCH")
    number = signed(signal)
    if not 0 <= number <= 64:
        raise LinuxError("EINVAL")
    return process.raise_signal(number) if number else 0


LINUX[130] = ("tkill", kill, 2)


@system_call(LINUX, 131, 3)
def tgkill(process: Process, group: int, thread: int, signal: int) -> int:
    if signed(group) != PROCESS_ID:
        raise LinuxError("ESRCH")
    return kill(process, thread, signal)


# --- signals --------------------------------------------------------------------------------


@system_call(LINUX, 134, 4)
def rt_sigaction(process: Process, signal: int, new: int, old: int, size: int) -> int:
    number = signed(signal)
    if size != 8 or not 1 <= number <= 64 or (new and number in (9, 19)):
        raise LinuxError("EINVAL")
    # struct kernel_sigaction: handler, flags, restorer, mask
    action = process.memory.read(new, 32) if new else None
    if old:
        process.memory.write(old, process.handlers.get(number, bytes(32)))
    if action is not None:
        process.handlers[number] = action
    return 0


@system_call(LINUX, 135, 4)
def rt_sigprocmask(process: Process, _how: int, new: int, old: int, _size: int) -> int:
    if new:
        process.memory.read(new, 8)
    if old:
        process.memory.write(old, bytes(8))
    return 0


@system_call(LINUX, 132, 2)
def sigaltstack(process: Process, new: int, old: int) -> int:
    given = process.memory.read(new, 24) if new else None
    if old:
        base, size = process.alternate_stack or (0, 0)
        disabled = 0 if process.alternate_stack else SS_DISABLE
        process.memory.write(old, struct.pack("<QiiQ", base, disabled, 0, size))
    if given is not None:
        base, flags, _, size = struct.unpack("<QiiQ", given)
        process.alternate_stack = None if flags & SS_DISABLE else (base, size)
    return 0


# --- memory ---------------------------------------------------------------------------------


@system_call(LINUX, 214, 1)
def brk(process: Process, address: int) -> int:
    return process.memory.set_brk(address)


@system_call(LINUX, 222, 6)
def mmap(
    process: Process,
    address: int,
    size: int,
    protection: int,
    flags: int,
    descriptor: int,
    offset: int,
) -> int:
    memory = process.memory
    if size == 0 or (address & PAGE_MASK and flags & MAP_FIXED) or offset & PAGE_MASK:
        raise LinuxError("EINVAL")
    if size > memory.limit:
        raise LinuxError("ENOMEM")
    content = b""
    if not flags & MAP_ANONYMOUS:
        if flags & 3 != 2:  # only MAP_PRIVATE: writes are not carried to the file
            raise LinuxError("ENODEV")
        file = file_of(process, descriptor)
        if file.stream is not None:
            raise LinuxError("ENODEV")
        content = os.pread(file.descriptor, size, offset)
    if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE):
        if address + size > USER_END:
            raise LinuxError("ENOMEM")
        if flags & MAP_FIXED_NOREPLACE and memory.overlaps(address, size):
            raise LinuxError("EEXIST")
        memory.map(address, size, protection & 7)
    else:
        address = memory.allocate(size, protection & 7)
    memory.write(address, content)
    return address


@system_call(LINUX, 215, 2)
def munmap(process: Process, address: int, size: int) -> int:
    if address & PAGE_MASK or size == 0 or address + size > USER_END:
        raise LinuxError("EINVAL")
    process.memory.unmap(address, size)
    return 0


@system_call(LINUX, 226, 3)
def mprotect(process: Process, address: int, size: int, protection: int) -> int:
    if address & PAGE_MASK:
        raise LinuxError("EINVAL")
    process.memory.protect(address, size, protection & 7)
    return 0


@system_call(LINUX, 216, 5)
def mremap(process: Process, old: int, old_size: int, new_size: int, flags: int, _new: int) -> int:
    memory = process.memory
    if old & PAGE_MASK or new_size == 0 or flags & ~MREMAP_MAYMOVE:
        raise LinuxError("EINVAL")
    old_size, new_size = page_up(old_size), page_up(new_size)
    if new_size <= old_size:
        memory.unmap(old + new_size, old_size - new_size)
        return old
    if not flags & MREMAP_MAYMOVE:
        raise LinuxError("ENOMEM")
    content = memory.read(old, old_size)
    address = memory.allocate(new_size, 3)
    memory.write(address, content)
    memory.unmap(old, old_size)
    return address


@system_call(LINUX, 233, 3)
def madvise(process: Process, address: int, size: int, advice: int) -> int:
    if address & PAGE_MASK or not process.memory.covers(address, page_up(size)):
        raise LinuxError("EINVAL" if address & PAGE_MASK else "ENOMEM")
    if advice == 4:  # MADV_DONTNEED: anonymous pages read as zero afterwards
        process.memory.write(address, bytes(page_up(size)))
    return 0


# --- time -----------------------------------------------------------------------------------


def _clock(number: int) -> int:
    clock = CLOCKS.get(signed(number))
    if clock is None:
        raise LinuxError("EINVAL")
    return clock


@system_call(LINUX, 113, 2)
def clock_gettime(process: Process, clock: int, buffer: int) -> int:
    now = time.clock_gettime_ns(_clock(clock))
    process.memory.write(buffer, struct.pack("<qq", now // 10**9, now % 10**9))
    return 0


@system_call(LINUX, 114, 2)
def clock_getres(process: Process, clock: int, buffer: int) -> int:
    _clock(clock)
    if buffer:
        process.memory.write(buffer, struct.pack("<qq", 0, 1))
    return 0


@system_call(LINUX, 169, 2)
def gettimeofday(process: Process, buffer: int, _zone: int) -> int:
    if buffer:
        now = time.time_ns() // 1000
        process.memory.write(buffer, struct.pack("<qq", now // 10**6, now % 10**6))
    return 0


def _duration(process: Process, address: int) -> float:
    seconds, nanoseconds = struct.unpack("<qq", process.memory.read(address, 16))
    if seconds < 0 or not 0 <= nanoseconds < 10**9:
        raise LinuxError("EINVAL")
    return float(seconds + nanoseconds / 1e9)


@system_call(LINUX, 101, 2)
def nanosleep(process: Process, request: int, _remaining: int) -> int:
    time.sleep(_duration(process, request))
    return 0


@system_call(LINUX, 115, 4)
def clock_nanosleep(process: Process, clock: int, flags: int, request: int, _left: int) -> int:
    wait = _duration(process, request)
    if flags & 1:  # TIMER_ABSTIME
        wait -= time.clock_gettime(_clock(clock))
    time.sleep(max(0.0, wait))
    return 0


# --- threads: there is one ------------------------------------------------------------------


@system_call(LINUX, 98, 4)
def futex(process: Process, address: int, operation: int, value: int, timeout: int) -> int:
    command = operation & 0x7F
    if command in (1, 10):  # FUTEX_WAKE, FUTEX_WAKE_BITSET: nobody waits
        return 0
    if command not in (0, 9):  # FUTEX_WAIT, FUTEX_WAIT_BITSET
        raise LinuxError("ENOSYS")
    if int.from_bytes(process.memory.read(address, 4), "little") != value & 0xFFFFFFFF:
        raise LinuxError("EAGAIN")
    if not timeout:
        raise Ended(128 + 6, 6, "deadlock: the only thread waits for another one to wake it")
    if command == 0:
        time.sleep(_duration(process, timeout))
    raise LinuxError("ETIMEDOUT")


def _thread_id(_process: Process) -> int:
    return PROCESS_ID


def _user_id(_process: Process) -> int:
    return PROCESS_ID


def _nothing(_process: Process) -> int:
    return 0


LINUX |= {
    96: ("set_tid_address", _thread_id, 0),
    99: ("set_robust_list", _nothing, 0),
    124: ("sched_yield", _nothing, 0),
    172: ("getpid", _thread_id, 0),
    173: ("getppid", lambda _process: 1, 0),
    174: ("getuid", _user_id, 0),
    175: ("geteuid", _user_id, 0),
    176: ("getgid", _user_id, 0),
    177: ("getegid", _user_id, 0),
    178: ("gettid", _thread_id, 0),
    283: ("membarrier", _nothing, 0),
}


# --- the system -----------------------------------------------------------------------------


@system_call(LINUX, 123, 3)
def sched_getaffinity(process: Process, _thread: int, size: int, mask: int) -> int:
    if size < 8:
        raise LinuxError("EINVAL")
    process.memory.write(mask, (1).to_bytes(8, "little"))
    return 8


@system_call(LINUX, 160, 1)
def uname(process: Process, buffer: int) -> int:
    fields = ("Linux", "callproof", "6.1.0", "#1", process.kernel.machine, "(none)")
    process.memory.write(buffer, b"".join(text.encode().ljust(65, b"\0") for text in fields))
    return 0


@system_call(LINUX, 179, 1)
def sysinfo(process: Process, buffer: int) -> int:
    free = max(0, process.memory.limit - process.memory.mapped)
    # uptime, 3 loads, memory: total, free, shared, buffers; swap: total, free; processes
    start = struct.pack("<q9QHH4x", 1, 0, 0, 0, process.memory.limit, free, 0, 0, 0, 0, 1, 0)
    process.memory.write(buffer, start + struct.pack("<QQI4x", 0, 0, 1))  # high memory; unit
    return 0


@system_call(LINUX, 261, 4)
def prlimit64(process: Process, _process_id: int, resource: int, _new: int, old: int) -> int:
    if resource > 15:
        raise LinuxError("EINVAL")
    if old:
        low, high = process.stack
        limit = {RLIMIT_STACK: high - low, RLIMIT_NOFILE: 1024}.get(resource, INFINITY)
        process.memory.write(old, struct.pack("<QQ", limit, limit))
    return 0


@system_call(LINUX, 163, 2)
def getrlimit(process: Process, resource: int, buffer: int) -> int:
    return prlimit64(process, 0, resource, 0, buffer)


@system_call(LINUX, 165, 2)
def getrusage(process: Process, _who: int, buffer: int) -> int:
    used = int((time.monotonic() - process.started) * 1e6)
    times = struct.pack("<qqqq", used // 10**6, used % 10**6, 0, 0)
    process.memory.write(buffer, times + bytes(14 * 8))
    return 0


@system_call(LINUX, 278, 3)
def getrandom(process: Process, buffer: int, size: int, _flags: int) -> int:
    size = min(size, 256)
    process.memory.write(buffer, process.random(size))
    return size


TABLE: Table = {**FILES, **LINUX}
