"""Many registers of the emulator read or written in one call, through buffers made once.

The hooks of `calls.py` run at every basic block, so they use Unicorn's C functions
directly: its Python methods convert and check each value, which costs ten times as much.
Numbering is Callproof's: 0..30 = X0..X30, 31 = SP, 32..63 = V0..V31, and 64 = NZCV.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from callproof.source import InternalError

# Unicorn's published types describe its binding for Python 2, so they are of no use here.
Uc = Any

SP = 31
V0 = 32
NZCV = 64
SLOT = 16  # bytes kept for each register in a batch's buffer

BLOCK_CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
)
BlockFunction = Callable[[object, int, int, object], None]


def unicorn_number(register: int) -> int:
    """Unicorn's number of a register."""
    from unicorn import arm64_const as names

    if register == SP:
        return names.UC_ARM64_REG_SP
    if register == NZCV:
        return names.UC_ARM64_REG_NZCV
    if register >= V0:
        return names.UC_ARM64_REG_V0 + register - V0
    if register >= 29:
        return (names.UC_ARM64_REG_X29, names.UC_ARM64_REG_X30)[register - 29]
    return names.UC_ARM64_REG_X0 + register


def _library() -> Any:
    from unicorn.unicorn_py3.unicorn import uclib

    return uclib


class Batch:
    """Some registers and a buffer of 16 bytes for each, in their order.

    `buffer` is a writable view; `read` fills it from the CPU, `write` the reverse.
    """

    __slots__ = ("_arguments", "_keep", "_library", "buffer", "position")

    def __init__(self, uc: Uc, registers: Sequence[int]) -> None:
        count = len(registers)
        numbers = (ctypes.c_int * count)(*map(unicorn_number, registers))
        storage = (ctypes.c_ubyte * (SLOT * count))()
        base = ctypes.addressof(storage)
        pointers = (ctypes.c_void_p * count)(*range(base, base + SLOT * count, SLOT))
        self._library = _library()
        self._keep = (uc, numbers, storage, pointers)
        self._arguments = (uc._uch, numbers, pointers, count)
        self.buffer = memoryview(storage).cast("B")
        self.position = {register: SLOT * index for index, register in enumerate(registers)}

    def read(self) -> None:
        if self._library.uc_reg_read_batch(*self._arguments):
            raise InternalError("the emulator does not give its registers")

    def write(self) -> None:
        if self._library.uc_reg_write_batch(*self._arguments):
            raise InternalError("the emulator does not take register values")

    def word(self, register: int) -> int:
        """The low 64 bits of a register as last read."""
        at = self.position[register]
        return int.from_bytes(self.buffer[at : at + 8], "little")


class StackPointer:
    """SP, read quickly."""

    __slots__ = ("_arguments", "_library", "_value")

    def __init__(self, uc: Uc) -> None:
        self._value = ctypes.c_uint64()
        self._library = _library()
        self._arguments = (uc._uch, unicorn_number(SP), ctypes.byref(self._value))

    def read(self) -> int:
        self._library.uc_reg_read(*self._arguments)
        return self._value.value


def add_block_hook(uc: Uc, function: BlockFunction) -> object:
    """Call `function(_, address, size, _)` at each basic block.

    The function must not raise; the result must be kept alive while `uc` runs.
    """
    from unicorn import UC_HOOK_BLOCK

    callback = BLOCK_CALLBACK(function)
    handle = ctypes.c_size_t()
    failed = _library().uc_hook_add(
        uc._uch,
        ctypes.byref(handle),
        UC_HOOK_BLOCK,
        ctypes.cast(callback, ctypes.c_void_p),
        None,
        ctypes.c_uint64(1),
        ctypes.c_uint64(0),  # begin > end: everywhere
    )
    if failed:
        raise InternalError("the emulator does not take a hook")
    return callback
