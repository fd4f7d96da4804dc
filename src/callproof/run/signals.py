"""A fault handed to the program's own handler, as Linux does it on AArch64.

Only for handlers that ask for the details and for a stack of their own (SA_SIGINFO and
SA_ONSTACK): what a program that watches the end of its stack installs.  Layouts: struct
rt_sigframe of arch/arm64/kernel/signal.c, ucontext and sigcontext of its uapi headers.
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


@dataclass(frozen=True, slots=True)
class Registers:
    """What the program had when it faulted: `general` is X0 to X30."""

    general: tuple[int, ...]
    sp: int
    pc: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the handler starts with; it returns to `restorer`, which calls rt_sigreturn."""

    handler: int
    sp: int
    arguments: tuple[int, int, int]
    restorer: int


def deliver(process: Process, number: int, address: int, registers: Registers) -> Delivery | None:
    """Write the signal's frame on the program's alternate stack; None if nobody handles it.

    Raises `BadAddress` if the alternate stack is no memory.
    """
    action = process.handlers.get(number)
    if action is None or process.alternate_stack is None:
        return None
    handler, flags, restorer, _ = struct.unpack("<4Q", action)
    wanted = SA_SIGINFO | SA_ONSTACK
    base, size = process.alternate_stack
    inside = base <= registers.sp < base + size  # the handler itself has faulted
    if handler <= SIG_IGN or flags & wanted != wanted or inside or size < FRAME_SIZE:
        return None
    frame = (base + size - FRAME_SIZE) & ~15
    info = struct.pack("<iiiiQ", number, 0, SEGV_MAPERR, 0, address).ljust(INFO_SIZE, b"\0")
    stack = struct.pack("<QQQiiQ", 0, 0, base, 0, 0, size).ljust(CONTEXT, b"\0")
    context = struct.pack("<34Q", address, *registers.general, registers.sp, registers.pc)
    process.memory.write(frame, info + stack + context + bytes(8 + 8))
    return Delivery(handler, frame, (number, frame, frame + INFO_SIZE), restorer)
