"""A bare machine for linked batches: calls functions, watches callee-saved registers."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from callproof.object import elf_format as elf

STACK, STACK_SIZE = 0x7000_0000, 1 << 20
RETURN_TO = 0x7100_0000
TIMEOUT = 5_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Kind:
    """Names of registers as Unicorn has them, and its constants.

    rubbish   registers that hold nothing when a function is called
    vectors   the same for vector registers (all 16 bytes)
    link      where the return address goes; '' means on the stack
    """

    architecture: str
    mode: str
    constants: str
    prefix: str
    saved: tuple[str, ...]
    rubbish: tuple[str, ...]
    stack: str
    pc: str
    result: str
    link: str = ""
    vectors: tuple[str, ...] = ()
    setup: tuple[tuple[str, int], ...] = ()


ARM64 = Kind(
    "UC_ARCH_ARM64",
    "UC_MODE_ARM",
    "unicorn.arm64_const",
    "UC_ARM64_REG_",
    saved=(*(f"X{n}" for n in range(19, 30)), *(f"D{n}" for n in range(8, 16))),
    rubbish=tuple(f"X{n}" for n in range(19)),
    stack="SP",
    pc="PC",
    result="X0",
    link="LR",
    setup=(("CPACR_EL1", 3 << 20),),  # floating point is allowed
)
X64 = Kind(
    "UC_ARCH_X86",
    "UC_MODE_64",
    "unicorn.x86_const",
    "UC_X86_REG_",
    saved=("RBX", "RBP", "R12", "R13", "R14", "R15"),
    rubbish=("RAX", "RCX", "RDX", "RSI", "RDI", "R8", "R9", "R10", "R11"),
    stack="RSP",
    pc="RIP",
    result="RAX",
    vectors=tuple(f"XMM{n}" for n in range(16)),
)
KINDS = {"aarch64": ARM64, "x86_64": X64}


class Fault(Exception):
    """The code did something impossible: a bad access, an endless loop, a lost register."""


class Machine:
    """A static executable in memory."""

    def __init__(self, image: bytes, kind: Kind = ARM64) -> None:
        unicorn: Any = import_module("unicorn")
        self.constants: Any = import_module(kind.constants)
        self.error = unicorn.UcError
        self.kind = kind
        names = {*kind.saved, *kind.rubbish, *kind.vectors, kind.stack, kind.pc, kind.result}
        self.registers = {name: self.number(name) for name in names}
        self.uc = unicorn.Uc(getattr(unicorn, kind.architecture), getattr(unicorn, kind.mode))
        header = elf.HEADER.unpack_from(image)
        self.entry = int(header[4])
        for index in range(header[10]):
            type_, _, offset, address, _, file_size, memory_size, _ = elf.PROGRAM.unpack_from(
                image, header[5] + index * elf.PROGRAM.size
            )
            if type_ != elf.PT_LOAD:
                continue
            start = address & ~0xFFF
            end = -(-(address + memory_size) // 0x1000) * 0x1000
            self.uc.mem_map(start, end - start)
            self.uc.mem_write(address, image[offset : offset + file_size])
        self.uc.mem_map(STACK, STACK_SIZE)
        self.uc.mem_map(RETURN_TO, 0x1000)
        for name, value in kind.setup:
            self.uc.reg_write(self.number(name), value)

    def number(self, name: str) -> int:
        """Unicorn's number of a register."""
        return int(getattr(self.constants, self.kind.prefix + name))

    def word(self, address: int) -> int:
        return int(struct.unpack("<Q", bytes(self.uc.mem_read(address, 8)))[0])

    def write_word(self, address: int, value: int) -> None:
        self.uc.mem_write(address, struct.pack("<Q", value))

    def call(self, address: int) -> int:
        """Call a function without arguments; its result register.  Raises `Fault`."""
        uc, registers, kind = self.uc, self.registers, self.kind
        marks = {}
        for index, name in enumerate(kind.rubbish):
            uc.reg_write(registers[name], 0xBAD0_0000_0000_0000 + index)
        for name in kind.vectors:
            uc.reg_write(registers[name], int.from_bytes(b"\xdb" * 16, "little"))
        for index, name in enumerate(kind.saved):
            marks[name] = 0x5AFE_0000_0000_0000 + index
            uc.reg_write(registers[name], marks[name])
        top = STACK + STACK_SIZE - 4096
        uc.mem_write(top - 65536, b"\xdb" * 65536)
        if kind.link:
            uc.reg_write(self.number(kind.link), RETURN_TO)
            uc.reg_write(registers[kind.stack], top)
        else:
            self.write_word(top - 8, RETURN_TO)
            uc.reg_write(registers[kind.stack], top - 8)
        try:
            uc.emu_start(address, RETURN_TO, timeout=TIMEOUT)
        except self.error as problem:
            raise Fault(f"{problem} at {uc.reg_read(registers[kind.pc]):#x}") from None
        if uc.reg_read(registers[kind.pc]) != RETURN_TO:
            raise Fault("it does not come back")
        for name, mark in marks.items():
            if uc.reg_read(registers[name]) != mark:
                raise Fault(f"{name} is not preserved")
        if uc.reg_read(registers[kind.stack]) != top:
            raise Fault(f"{kind.stack} is not preserved")
        return int(uc.reg_read(registers[kind.result]))
