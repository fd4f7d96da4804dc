"""Many registers of the emulator read or written in one call, through buffers made once.

The hooks of `calls.py` run at every basic block, so they use Unicorn's C functions
directly: its Python methods convert and check each value, which costs ten times as much.
Registers have Callproof's numbers; the machine's table has Unicorn's for them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from callproof.source import InternalError

# Unicorn's published types describe its binding for Python 2, so they are of no use here.
Uc = Any

V0 = 32  # the vector registers begin here, on every machine
SLOT = 16  # bytes kept for each register in a batch's buffer

BLOCK_CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
)
BlockFunction = Callable[[object, int, int, object], None]


def _library() -> Any:
    from unicorn.unicorn_py3.unicorn import uclib

    return uclib


class Batch:
    """Some registers and a buffer of 16 bytes for each, in their order.

    `buffer` is a writable view; `read` fills it from the CPU, `write` the reverse.
    """

    __slots__ = ("_arguments", "_keep", "_library", "buffer", "position")

    def __init__(self, uc: Uc, numbers: Mapping[int, int], registers: Sequence[int]) -> None:
        """`numbers` has Unicorn's number of each register."""
        count = len(registers)
        unicorns = (ctypes.c_int * count)(*(numbers[register] for register in registers))
        storage = (ctypes.c_ubyte * (SLOT * count))()
        base = ctypes.addressof(storage)
        pointers = (ctypes.c_void_p * count)(*range(base, base + SLOT * count, SLOT))
        self._library = _library()
        self._keep = (uc, unicorns, storage, pointers)
        self._arguments = (uc._uch, unicorns, pointers, count)
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


class OneRegister:
    """A register of 64 bits by Unicorn's number, read and written quickly."""

    __slots__ = ("_arguments", "_library", "_value")

    def __init__(self, uc: Uc, number: int) -> None:
        self._value = ctypes.c_uint64()
        self._library = _library()
        self._arguments = (uc._uch, number, ctypes.byref(self._value))

    def read(self) -> int:
        self._library.uc_reg_read(*self._arguments)
        return self._value.value

    def write(self, value: int) -> None:
        self._value.value = value
        self._library.uc_reg_write(*self._arguments)


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
