"""A bare ARM64 machine for linked batches: calls functions, watches callee-saved registers."""

from __future__ import annotations

import struct
from importlib import import_module
from typing import Any

from callproof.object import elf_format as elf

STACK, STACK_SIZE = 0x7000_0000, 1 << 20
RETURN_TO = 0x7100_0000
TIMEOUT = 5_000_000  # microseconds
SAVED = [f"X{n}" for n in range(19, 30)]
SAVED_VECTORS = [f"D{n}" for n in range(8, 16)]
RUBBISH = [f"X{n}" for n in (*range(18), 18)]


class Fault(Exception):
    """The code did something impossible: a bad access, an endless loop, a lost register."""


class Machine:
    """A static executable in memory."""

    def __init__(self, image: bytes) -> None:
        unicorn: Any = import_module("unicorn")
        constants: Any = import_module("unicorn.arm64_const")
        self.error = unicorn.UcError
        self.registers = {
            name: getattr(constants, f"UC_ARM64_REG_{name}")
            for name in [*SAVED, *SAVED_VECTORS, *RUBBISH, "SP", "LR", "PC", "X0"]
        }
        self.uc = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
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
        self.uc.reg_write(constants.UC_ARM64_REG_CPACR_EL1, 3 << 20)

    def word(self, address: int) -> int:
        return int(struct.unpack("<Q", bytes(self.uc.mem_read(address, 8)))[0])

    def write_word(self, address: int, value: int) -> None:
        self.uc.mem_write(address, struct.pack("<Q", value))

    def call(self, address: int) -> int:
        """Call a function without arguments; its X0.  Raises `Fault`."""
        uc, registers = self.uc, self.registers
        marks = {}
        for index, name in enumerate(RUBBISH):
            uc.reg_write(registers[name], 0xBAD0_0000_0000_0000 + index)
        for index, name in enumerate([*SAVED, *SAVED_VECTORS]):
            marks[name] = 0x5AFE_0000_0000_0000 + index
            uc.reg_write(registers[name], marks[name])
        top = STACK + STACK_SIZE - 4096
        uc.mem_write(top - 65536, b"\xdb" * 65536)
        uc.reg_write(registers["SP"], top)
        uc.reg_write(registers["LR"], RETURN_TO)
        try:
            uc.emu_start(address, RETURN_TO, timeout=TIMEOUT)
        except self.error as problem:
            raise Fault(f"{problem} at {uc.reg_read(registers['PC']):#x}") from None
        if uc.reg_read(registers["PC"]) != RETURN_TO:
            raise Fault("it does not come back")
        for name, mark in marks.items():
            if uc.reg_read(registers[name]) != mark:
                raise Fault(f"{name} is not preserved")
        if uc.reg_read(registers["SP"]) != top:
            raise Fault("SP is not preserved")
        return int(uc.reg_read(registers["X0"]))
