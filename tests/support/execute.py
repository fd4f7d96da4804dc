"""Run compiled IR functions in the emulator, without runtime or operating system."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from callproof.codegen.backend import compile_module
from callproof.codegen.objects import build_object
from callproof.codegen.target import Target
from callproof.ir.model import Module
from callproof.link import LinkOptions, link_bytes
from callproof.object import elf_format as elf
from callproof.target import by_name

STACK, STACK_SIZE = 0x7000_0000, 1 << 20
RETURN_TO = 0x7100_0000


def run_main(
    module: Module, *, poison: bool = False, verify: bool = True, target: Target | None = None
) -> int:
    """Compile a module, link it, call `main`, give the word that it returns (signed)."""
    target = target or by_name("aarch64-linux")
    compiled = compile_module(module, target, verify=verify, poison=poison)
    file = build_object(module, compiled.functions, compiled.pool, target, "test")
    image = link_bytes([file], LinkOptions(entry="main"))
    return run_image(image)


def run_image(image: bytes) -> int:
    """Call the entry point of a static executable as a function; X0 when it returns."""
    from unicorn import UC_ARCH_ARM64, UC_MODE_ARM
    from unicorn.arm64_const import (
        UC_ARM64_REG_CPACR_EL1,
        UC_ARM64_REG_LR,
        UC_ARM64_REG_SP,
        UC_ARM64_REG_X0,
    )

    unicorn: Any = import_module("unicorn")  # its published types are for Python 2
    uc = unicorn.Uc(UC_ARCH_ARM64, UC_MODE_ARM)
    header = elf.HEADER.unpack_from(image)
    for index in range(header[10]):
        kind, _, offset, address, _, file_size, memory_size, _ = elf.PROGRAM.unpack_from(
            image, header[5] + index * elf.PROGRAM.size
        )
        if kind != elf.PT_LOAD:
            continue
        start = address & ~0xFFF
        end = -(-(address + memory_size) // 0x1000) * 0x1000
        uc.mem_map(start, end - start)
        uc.mem_write(address, image[offset : offset + file_size])
    uc.mem_map(STACK, STACK_SIZE)
    uc.mem_map(RETURN_TO, 0x1000)
    uc.reg_write(UC_ARM64_REG_CPACR_EL1, 3 << 20)
    uc.reg_write(UC_ARM64_REG_SP, STACK + STACK_SIZE - 64)
    uc.reg_write(UC_ARM64_REG_LR, RETURN_TO)
    uc.emu_start(header[4], RETURN_TO, timeout=20_000_000)
    word = int(uc.reg_read(UC_ARM64_REG_X0))
    return word - (1 << 64) if word >> 63 else word
