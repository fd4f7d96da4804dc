"""A bare x86-64 machine for linked batches: calls functions, watches callee-saved registers."""

from __future__ import annotations

import struct
from importlib import import_module
from typing import Any

from callproof.object import elf_format as elf
from tests.conformance.machine import Fault

STACK, STACK_SIZE = 0x7000_0000, 1 << 20
RETURN_TO = 0x7100_0000
TIMEOUT = 5_000_000  # microseconds
SAVED = ["RBX", "RBP", "R12", "R13", "R14", "R15"]
RUBBISH = ["RAX", "RCX", "RDX", "RSI", "RDI", "R8", "R9", "R10", "R11"]


class MachineX64:
    """A static executable in memory; see `machine.Machine`."""

    def __init__(self, image: bytes) -> None:
        unicorn: Any = import_module("unicorn")
        constants: Any = import_module("unicorn.x86_const")
        self.error = unicorn.UcError
        self.registers = {
            name: getattr(constants, f"UC_X86_REG_{name}")
            for name in [*SAVED, *RUBBISH, "RSP", "RIP"]
        }
        self.vectors = [getattr(constants, f"UC_X86_REG_XMM{n}") for n in range(16)]
        self.uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        header = elf.HEADER.unpack_from(image)
        self.entry = int(header[4])
        for index in range(header[10]):
            kind, _, offset, address, _, file_size, memory_size, _ = elf.PROGRAM.unpack_from(
                image, header[5] + index * elf.PROGRAM.size
            )
            if kind != elf.PT_LOAD:
                continue
            start = address & ~0xFFF
            end = -(-(address + memory_size) // 0x1000) * 0x1000
            self.uc.mem_map(start, end - start)
            self.uc.mem_write(address, image[offset : offset + file_size])
        self.uc.mem_map(STACK, STACK_SIZE)
        self.uc.mem_map(RETURN_TO, 0x1000)

    def word(self, address: int) -> int:
        return int(struct.unpack("<Q", bytes(self.uc.mem_read(address, 8)))[0])

    def write_word(self, address: int, value: int) -> None:
        self.uc.mem_write(address, struct.pack("<Q", value))

    def call(self, address: int) -> int:
        """Call a function without arguments; its RAX.  Raises `Fault`."""
        uc, registers = self.uc, self.registers
        marks = {}
        for index, name in enumerate(RUBBISH):
            uc.reg_write(registers[name], 0xBAD0_0000_0000_0000 + index)
        for vector in self.vectors:
            uc.reg_write(vector, int.from_bytes(b"\xdb" * 16, "little"))
        for index, name in enumerate(SAVED):
            marks[name] = 0x5AFE_0000_0000_0000 + index
            uc.reg_write(registers[name], marks[name])
        top = STACK + STACK_SIZE - 4096
        uc.mem_write(top - 65536, b"\xdb" * 65536)
        uc.mem_write(top - 8, struct.pack("<Q", RETURN_TO))
        uc.reg_write(registers["RSP"], top - 8)
        try:
            uc.emu_start(address, RETURN_TO, timeout=TIMEOUT)
        except self.error as problem:
            raise Fault(f"{problem} at {uc.reg_read(registers['RIP']):#x}") from None
        if uc.reg_read(registers["RIP"]) != RETURN_TO:
            raise Fault("it does not come back")
        for name, mark in marks.items():
            if uc.reg_read(registers[name]) != mark:
                raise Fault(f"{name} is not preserved")
        if uc.reg_read(registers["RSP"]) != top:
            raise Fault("RSP is not preserved")
        return int(uc.reg_read(registers["RAX"]))
