"""Run compiled IR functions natively on an x86-64 Linux host, without runtime or library."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from callproof.codegen.backend import compile_module
from callproof.codegen.objects import build_object
from callproof.ir.model import Module
from callproof.link import link
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.target import by_name

NATIVE = sys.platform == "linux" and platform.machine() == "x86_64"
SECONDS = 20

# The start: rubbish in the registers that must survive, main, then its result to standard
# output, with what has become of them (their sum, less what it should be).
START = bytes.fromhex(
    "48c7c311000000"  # mov $0x11, %rbx
    "49c7c422000000"  # mov $0x22, %r12
    "49c7c533000000"  # mov $0x33, %r13
    "49c7c644000000"  # mov $0x44, %r14
    "49c7c755000000"  # mov $0x55, %r15
    "48c7c566000000"  # mov $0x66, %rbp
    "4889e2"  # mov %rsp, %rdx
    "52"  # push %rdx
    "52"  # push %rdx
    "e800000000"  # call main
    "5a5a"  # pop %rdx, twice
    "4829e2"  # sub %rsp, %rdx
    "4801da4c01e24c01ea4c01f24c01fa4801ea"  # add the six to %rdx
    "52"  # push %rdx
    "50"  # push %rax
    "bf01000000"  # mov $1, %edi
    "4889e6"  # mov %rsp, %rsi
    "ba10000000"  # mov $16, %edx
    "b801000000"  # mov $1, %eax: write
    "0f05"  # syscall
    "31ff"  # xor %edi, %edi
    "b83c000000"  # mov $60, %eax: exit
    "0f05"
)
CALL = START.index(b"\xe8") + 1
KEPT = 0x11 + 0x22 + 0x33 + 0x44 + 0x55 + 0x66


def start_object() -> ObjectFile:
    section = Section(".text.start", "code", START, alignment=16)
    main = Symbol("main")
    section.relocations.append(Relocation(CALL, "R_X86_64_PLT32", main, -4))
    start = Symbol("start", section, size=len(START), kind="function")
    return ObjectFile("start.o", "x86_64", [section], [start, main])


def run_main_x64(module: Module, *, poison: bool = False, verify: bool = True) -> int:
    """Compile a module, link it, call `main`, give the word that it returns (signed)."""
    from callproof.link import LinkOptions

    target = by_name("x86_64-linux")
    compiled = compile_module(module, target, verify=verify, poison=poison)
    file = build_object(module, compiled.functions, compiled.pool, target, "test")
    with tempfile.TemporaryDirectory(prefix="callproof-x64-") as folder:
        path = Path(folder) / "program"
        link([start_object(), file], path, LinkOptions(entry="start"))
        done = subprocess.run([path], stdout=subprocess.PIPE, check=False, timeout=SECONDS)
    assert done.returncode == 0, f"it ended with {done.returncode}"
    assert int.from_bytes(done.stdout[8:], "little") == KEPT, "a register is not preserved"
    return int.from_bytes(done.stdout[:8], "little", signed=True)
