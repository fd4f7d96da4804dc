"""Files to be damaged, and how."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

from callproof.codegen.backend import compile_module
from callproof.codegen.objects import build_object
from callproof.link import LinkOptions, link_bytes
from callproof.object import macho_format as macho
from callproof.object import write_archive
from callproof.target import by_name
from tests.support.clang import ZIG_CC
from tests.support.random_ir import Size, random_module

ASSEMBLY = """
.globl broken
.type broken,%function
broken:
stp x29, x30, [sp, #-32]!
mov x9, x0
bl other
cmp w1, #3
b.hi 9f
adrp x2, table
add x2, x2, :lo12:table
ldrb w3, [x2, w1, uxtw]
adr x4, 1f
add x4, x4, w3, sxtb #2
br x4
1: add x0, x0, x9
9: ldp x29, x30, [sp], #32
ret
.size broken,.-broken
.section .rodata
table: .byte 0, 0, 0, 0
.section .eh_frame,"a"
.long 16, 0
.byte 1, 0x7a, 0x50, 0x4c, 0x52, 0, 1, 0x78, 30, 0
.short 0
.long 24, 28, 99, 64, 0, 0, 0
"""
MACHO = """
.globl _broken
_broken:
stp x29, x30, [sp, #-32]!
mov x9, x0
bl _other
add x0, x0, x9
adrp x1, _data@PAGE
add x1, x1, _data@PAGEOFF
ldp x29, x30, [sp], #32
ret
.data
_data: .quad _broken
"""
SMALL_C = """long other(long); static long a[4];
__attribute__((noinline)) long f(long x) { a[x & 3] += other(x); return a[1]; }
int main(int c, char **v) { return (int)f(c); } long other(long x) { return x * 3; }"""
Source = tuple[str, bytes]


def linked_macho() -> bytes:
    """A linked file with a segment, symbols, stubs and function starts, written here: no linker
    for them is at hand."""
    code = bytes.fromhex("fd7bbfa9 e90300aa 00000094 0000098b fd7bc1a8 c0035fd6".replace(" ", ""))
    names = b"\0_start\0_other\0"
    text = macho.SECTION.pack(
        b"__text", b"__TEXT", 0x1000, len(code), 0, 2, 0, 0, 0x80000400, 0, 0, 0
    )
    stubs = macho.SECTION.pack(b"__stubs", b"__TEXT", 0x1100, 12, 0, 2, 0, 0, 0x80000408, 0, 12, 0)
    size = macho.SEGMENT.size + 2 * macho.SECTION.size
    length = size + macho.SYMTAB.size + 80 + 16 + 24
    start = macho.HEADER.size + length
    headers = bytearray(text + stubs)
    for offset in (48, macho.SECTION.size + 48):  # where the bytes are
        struct.pack_into("<I", headers, offset, start)
    after = start + len(code)
    commands = macho.SEGMENT.pack(
        macho.LC_SEGMENT_64, size, b"__TEXT", 0x1000, 0x1000, 0, 0x1000, 5, 5, 2, 0
    )
    commands += bytes(headers)
    symbols = macho.NLIST.pack(1, macho.N_SECT | macho.N_EXT, 1, 0, 0x1000)
    symbols += macho.NLIST.pack(8, macho.N_EXT, 0, 0, 0)
    commands += macho.SYMTAB.pack(
        macho.LC_SYMTAB, macho.SYMTAB.size, after, 2, after + len(symbols), len(names)
    )
    indirect = after + len(symbols) + len(names)
    commands += struct.pack("<20I", 0xB, 80, *([0] * 12), indirect, 1, *([0] * 4))
    commands += struct.pack("<4I", 0x26, 16, indirect + 4, 4)
    commands += struct.pack("<2I2Q", 0x80000028, 24, 0, 0)
    header = macho.HEADER.pack(macho.MAGIC_64, macho.CPU_ARM64, 0, 2, 5, length, 0, 0)
    return header + commands + code + symbols + names + struct.pack("<I", 1) + b"\0\x10\0\0"


def sources(folder: Path) -> list[Source]:
    """One whole file of each format: objects, archives, executables, shared objects."""
    found: list[Source] = []
    (folder / "a.s").write_text(ASSEMBLY)
    (folder / "m.s").write_text(MACHO)
    (folder / "c.c").write_text(SMALL_C)
    apple = [*ZIG_CC[:-1], "aarch64-macos"]
    jobs = {
        "a.o": [*ZIG_CC, "-c", "a.s"],
        "m.o": [*apple, "-c", "m.s"],
        "c.so": [*ZIG_CC, "-O1", "-shared", "-nostdlib", "-s", "c.c"],
    }
    for name, command in jobs.items():
        done = subprocess.run(
            [*command, "-o", name], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[:1000]
        found.append((name, (folder / name).read_bytes()))
    target = by_name("aarch64-linux")
    module = random_module(3, 3, Size(4))
    compiled = compile_module(module, target)
    file = build_object(module, compiled.functions, compiled.pool, target, "ours")
    found.append(("exe", link_bytes([file], LinkOptions(entry="main"))))
    members = [("one.o", found[0][1]), ("a_longer_name_of_a_member.o", found[0][1])]
    found.append(("archive", write_archive(members)))
    found.append(("linked Mach-O", linked_macho()))
    return found


VALUES = (0, 1, 2, 3, 4, 7, 8, 16, 0x7F, 0x80, 0xFF)


def damaged(data: bytes, source: random.Random) -> bytes:
    """Cut off, bytes and words changed (headers more often), pieces moved, doubled, removed."""
    out = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 3, 6, 20))):
        if not out:
            break
        limit = len(out) if source.random() < 0.6 else min(len(out), 512)
        at = source.randrange(limit)
        what = source.random()
        if what < 0.4:
            out[at] = source.choice((*VALUES, source.randrange(256)))
        elif what < 0.75:
            width = source.choice((2, 4, 8))
            number = source.choice((0, 1, -1, 1 << 31, 1 << 63, len(out), source.getrandbits(64)))
            out[at : at + width] = (number & (1 << 8 * width) - 1).to_bytes(width, "little")
        elif what < 0.85:
            size = source.randrange(1, 64)
            other = source.randrange(len(out))
            out[at : at + size] = out[other : other + size]
        elif what < 0.95:
            del out[at : at + source.randrange(1, 32)]
        else:
            del out[at:]
    return bytes(out)
