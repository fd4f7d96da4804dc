"""What Linux puts on a new process's stack: the same on all architectures.

Facts: the System V ABI's section on process initialisation; include/uapi/linux/auxvec.h.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping

from callproof.run import linux
from callproof.run.limits import Limits
from callproof.run.loader import PAGE, Image
from callproof.run.memory import STACK_TOP, Memory
from callproof.source import CallproofError

ARGUMENT_LIMIT = 128 * 1024


def initial_stack(
    memory: Memory,
    image: Image,
    hardware: int,
    limits: Limits,
    arguments: list[str],
    environment: Mapping[str, str],
) -> int:
    """Arguments, environment and auxiliary vector as Linux lays them out; the SP.

    `hardware` is AT_HWCAP.  Raises `CallproofError` for texts that do not fit.
    """
    top = STACK_TOP - 16
    texts = [os.fsencode(argument) + b"\0" for argument in arguments]
    count = len(texts)
    texts += [os.fsencode(f"{key}={value}") + b"\0" for key, value in environment.items()]
    if any(b"\0" in text[:-1] for text in texts):
        raise CallproofError("a program argument contains a NUL character")
    block = b"".join(texts)
    if len(block) + 16 * len(texts) > min(ARGUMENT_LIMIT * 8, limits.stack_bytes // 4):
        raise CallproofError("the program's arguments and environment are too long")
    base = (top - len(block)) & ~15
    memory.write(base, block)
    random = base - 16
    memory.write(random, os.urandom(16))
    pointers = []
    position = base
    for text in texts:
        pointers.append(position)
        position += len(text)
    auxiliary = (
        (3, image.headers_address),  # AT_PHDR
        (4, 56),  # AT_PHENT
        (5, image.headers_count),  # AT_PHNUM
        (6, PAGE),  # AT_PAGESZ
        (7, 0),  # AT_BASE
        (8, 0),  # AT_FLAGS
        (9, image.entry),  # AT_ENTRY
        (11, linux.PROCESS_ID),  # AT_UID, AT_EUID, AT_GID, AT_EGID
        (12, linux.PROCESS_ID),
        (13, linux.PROCESS_ID),
        (14, linux.PROCESS_ID),
        (16, hardware),  # AT_HWCAP
        (17, 100),  # AT_CLKTCK
        (23, 0),  # AT_SECURE
        (25, random),  # AT_RANDOM
        (31, pointers[0]),  # AT_EXECFN
        (0, 0),  # AT_NULL
    )
    words = [count, *pointers[:count], 0, *pointers[count:], 0]
    for entry in auxiliary:
        words += entry
    sp = (random - 8 * len(words)) & ~15
    memory.write(sp, struct.pack(f"<{len(words)}Q", *words))
    return sp


__all__ = ["initial_stack"]
