"""What the emulator must know of a processor and of Linux on it: one table for each.

`arm64.py` and `x64.py` hold the tables.  Registers go by Callproof's numbers
(`abi/plan.py`) where nothing else is said; `numbers` has Unicorn's for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from callproof.run.loader import Image
from callproof.run.process import Process, Table
from callproof.run.signals import Delivery, Registers
from callproof.run.uapi import Kernel


@dataclass(frozen=True, slots=True)
class SystemCalls:
    """How a program calls Linux.

    exception    Unicorn's number of the exception that is a call, None if there is none
    instruction  Unicorn's number of the instruction that is one, if it has a hook for it
    number, arguments, result  Unicorn's registers
    links        the registers in which the processor leaves address and flags behind a call
    returning    the call that ends a signal's handler
    """

    number: int
    arguments: tuple[int, ...]
    result: int
    table: Table
    returning: int
    exception: int | None = None
    instruction: int | None = None
    links: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Exceptions:
    """Unicorn's numbers of exceptions: a breakpoint, and (signal, what to say) of others."""

    breakpoint: int
    behind: int  # how far behind the breakpoint's instruction PC is
    others: Mapping[int, tuple[int, str]]
    # The machine code of an instruction that silently stops Unicorn where Linux has a
    # fault, and the fault.
    stopping: bytes = b""
    stopped: tuple[int, str] = (0, "")


class Code(Protocol):
    """What can be read from machine code."""

    def last_of(self, image: Image, start: int, end: int) -> int:
        """CALL, RETURN or OTHER: the last instruction of a block (see `calls.py`)."""

    def call_site(self, image: Image, address: int) -> int | None:
        """The address of the call that returns to an address; None if there is none."""

    def count(self, code: bytes) -> int:
        """How many instructions a block's bytes are."""

    def repeats(self, image: Image, start: int, end: int) -> bool:
        """Whether the block is an instruction that makes a block of each of its rounds."""

    def text(self, code: bytes) -> str:
        """The bytes of the first instruction, as a person reads them."""

    def refused(self, code: bytes) -> str:
        """What there is in a block that Unicorn would get wrong; empty if nothing."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that no call preserves: their register, what to put there, what to leave.

    `values` are the bits to set, one for each variant of rubbish; `kept` the bits that
    have to stay as they are.
    """

    register: int
    values: tuple[int, ...]
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Contract:
    """What a call may read, and may change, by the calling convention.

    general, vectors  registers that a call may change
    half_saved        vector registers of which the low 8 bytes are preserved
    arguments         those that arguments travel in
    results           those that a result may be in
    link              has the return address at a callee's entry, if a register has
    indirect          has the address of a result in memory at the entry
    returned_address  has it again at the return, if the convention gives it back
    hidden            register -> bytes that a callee may read if it is variadic, or unknown
    """

    general: tuple[int, ...]
    vectors: tuple[int, ...]
    half_saved: tuple[int, ...]
    arguments: tuple[int, ...]
    results: tuple[int, ...]
    link: int | None
    indirect: int
    returned_address: int | None
    hidden: Mapping[int, int]
    flags: Flags


@dataclass(frozen=True, slots=True)
class Preserved:
    """Bits of a register that a callee must leave as they were (of its low 64)."""

    register: int
    name: str
    mask: int = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor with Linux and its calling convention.

    cpu              Unicorn's architecture, mode and model
    untranslated     ask Unicorn not to translate addresses: translating, it drops high bits
    start            (Unicorn's register, its value when a program starts)
    numbers          Callproof's numbers of registers -> Unicorn's
    pc               Unicorn's number
    general          the registers that a signal's handler is told of, in its frame's order
    thread_base      Unicorn's register, where a system call sets it
    return_to        the register for a handler's return address; None: it is on the stack
    handed           the registers of a handler's arguments
    hardware         AT_HWCAP: the features that Linux tells of
    pushed           bytes that a call itself puts on the stack: the return address
    stack_alignment  of SP at a call, if nothing but the trace would notice another
    shown            the registers that the trace may have to show
    """

    name: str
    cpu: tuple[int, ...]
    untranslated: bool
    start: tuple[tuple[int, int], ...]
    numbers: Mapping[int, int]
    pc: int
    sp: int
    sp_name: str
    frame_pointer: int
    general: tuple[int, ...]
    thread_base: int | None
    return_to: int | None
    handed: tuple[int, ...]
    hardware: int
    pushed: int
    stack_alignment: int
    kernel: Kernel
    system: SystemCalls
    exceptions: Exceptions
    code: Code
    contract: Contract
    shown: tuple[int, ...]
    preserved: tuple[Preserved, ...]
    deliver: Callable[[Process, int, int, Registers], Delivery | None]


def machine_of(name: str) -> Machine:
    """The table of 'aarch64' or 'x86_64', as an `Image` names its machine."""
    if name == "x86_64":
        from callproof.run.x64 import X64

        return X64
    from callproof.run.arm64 import ARM64

    return ARM64


__all__ = [
    "Code",
    "Contract",
    "Exceptions",
    "Flags",
    "Machine",
    "Preserved",
    "SystemCalls",
    "machine_of",
]
