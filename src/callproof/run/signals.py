"""A fault handed to the program's own handler, as Linux does it.

Only for handlers that ask for the details and for a stack of their own (SA_SIGINFO and
SA_ONSTACK): what a program that watches the end of its stack installs.  Layouts: struct
rt_sigframe of arch/arm64/kernel/signal.c and arch/x86/include/asm/sigframe.h, ucontext
and sigcontext of their uapi headers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from callproof.run.process import Process

SA_SIGINFO, SA_ONSTACK = 4, 0x0800_0000
SIG_IGN = 1
SEGV_MAPERR = 1
INFO_SIZE = 128
CONTEXT = 176  # of mcontext in ucontext
FRAME_SIZE = INFO_SIZE + CONTEXT + 8 + 31 * 8 + 3 * 8 + 8 + 4096
X64_CONTEXT_SIZE = 40 + 256 + 8  # ucontext: its head, sigcontext, the mask
X64_FRAME_SIZE = 8 + X64_CONTEXT_SIZE + INFO_SIZE + 8
X64_SEGMENTS = (0x33, 0, 0, 0x2B)  # CS, GS, FS, SS of a process
X64_WRITE_OR_READ, X64_PAGE_FAULT = 4, 14  # error code (from user code), vector


@dataclass(frozen=True, slots=True)
class Registers:
    """What the program had when it faulted: `general` in the order of the machine's table."""

    general: tuple[int, ...]
    sp: int
    pc: int
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the handler starts with; it returns to `restorer`, which calls rt_sigreturn."""

    handler: int
    sp: int
    arguments: tuple[int, int, int]
    restorer: int


def _handler(
    process: Process, number: int, sp: int, frame_size: int
) -> tuple[int, int, int, int] | None:
    """The handler, its restorer and the alternate stack's place and size; None without one."""
    action = process.handlers.get(number)
    if action is None or process.alternate_stack is None:
        return None
    handler, flags, restorer, _ = struct.unpack("<4Q", action)
    wanted = SA_SIGINFO | SA_ONSTACK
    base, size = process.alternate_stack
    inside = base <= sp < base + size  # the handler itself has faulted
    if handler <= SIG_IGN or flags & wanted != wanted or inside or size < frame_size:
        return None
    return handler, restorer, base, size


def _information(number: int, address: int) -> bytes:
    """`siginfo_t`"""
    return struct.pack("<iiiiQ", number, 0, SEGV_MAPERR, 0, address).ljust(INFO_SIZE, b"\0")


def deliver_arm64(
    process: Process, number: int, address: int, registers: Registers
) -> Delivery | None:
    """Write the signal's frame on the program's alternate stack; None if nobody handles it.

    Raises `BadAddress` if the alternate stack is no memory.
    """
    found = _handler(process, number, registers.sp, FRAME_SIZE)
    if found is None:
        return None
    handler, restorer, base, size = found
    frame = (base + size - FRAME_SIZE) & ~15
    info = _information(number, address)
    stack = struct.pack("<QQQiiQ", 0, 0, base, 0, 0, size).ljust(CONTEXT, b"\0")
    context = struct.pack("<34Q", address, *registers.general, registers.sp, registers.pc)
    process.memory.write(frame, info + stack + context + bytes(8 + 8))
    return Delivery(handler, frame, (number, frame, frame + INFO_SIZE), restorer)


def deliver_x64(
    process: Process, number: int, address: int, registers: Registers
) -> Delivery | None:
    """The same on x86-64, where the handler's return address is the frame's first word.

    `registers.general` is in the order of `struct sigcontext`.  There is no floating-point
    state in the frame, and its pointer is null.
    """
    found = _handler(process, number, registers.sp, X64_FRAME_SIZE)
    if found is None:
        return None
    handler, restorer, base, size = found
    frame = ((base + size - X64_FRAME_SIZE) & ~15) - 8  # as after a call
    stack = struct.pack("<QQQiiQ", 0, 0, base, 0, 0, size)
    context = struct.pack(
        "<18Q4H4Q",
        *registers.general,
        registers.pc,
        registers.flags,
        *X64_SEGMENTS,
        X64_WRITE_OR_READ,
        X64_PAGE_FAULT,
        0,
        address,
    )
    rest = bytes(X64_CONTEXT_SIZE - len(stack) - len(context))
    contents = struct.pack("<Q", restorer) + stack + context + rest
    process.memory.write(frame, contents + _information(number, address))
    context_at = frame + 8
    return Delivery(handler, frame, (number, context_at + X64_CONTEXT_SIZE, context_at), restorer)


__all__ = ["Delivery", "Registers", "deliver_arm64", "deliver_x64"]
