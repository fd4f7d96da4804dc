"""x86-64 objects of Clang's, linked by us and run on this machine: every relocation we take."""

from __future__ import annotations

import io
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from tests.link.test_musl import EXPECTED, PROGRAM
from tests.support.clang import ZIG_CC

from callproof.link import link, link_bytes
from callproof.object.elf_read import read_elf
from callproof.run import run
from callproof.runtime import runtime_files
from callproof.source import CallproofError

CC = [*ZIG_CC[:-1], "x86_64-linux-musl"]
native = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 host")


def compiled(folder: Path, name: str, text: str, *options: str) -> Path:
    suffix = ".s" if options == ("-x", "assembler") else ".c"
    source, output = folder / f"{name}{suffix}", folder / f"{name}.o"
    source.write_text(text)
    flags = [] if suffix == ".s" else ["-fno-sanitize=all", *options]
    subprocess.run([*CC, *flags, "-c", str(source), "-o", str(output)], check=True)
    return output


def types_of(path: Path) -> set[str]:
    file = read_elf(path.read_bytes(), path.name)
    return {r.type for section in file.sections for r in section.relocations}


def link_with_musl(objects: list[Path], output: Path) -> Path:
    files = runtime_files("x86_64-linux")
    link([files.crt1, *objects, files.libc, files.compiler_rt], output)
    return output


@native
@pytest.mark.parametrize("options", [("-O0",), ("-O2", "-fPIC", "-ftls-model=initial-exec")])
def test_a_program_with_musl(options: tuple[str, ...], tmp_path: Path) -> None:
    item = compiled(tmp_path, "p", PROGRAM, *options)
    output = link_with_musl([item], tmp_path / "p")
    stream = io.BytesIO()
    result = run(output, ["hello"], stdout=stream, name="p")
    assert (result.exit_status, result.on) == (3, "native")
    assert stream.getvalue().decode() == EXPECTED


EXTERNAL = r"""
int shared = 5;
_Thread_local long of_thread = 7;
_Thread_local char aligned[3] __attribute__((aligned(64)));
int triple(int x) { return 3 * x; }
long thread_check(void) { return ((unsigned long)aligned & 63) + of_thread; }
"""
USER = r"""
#include <stdio.h>
extern int shared;
extern _Thread_local long of_thread;
extern int triple(int);
extern long thread_check(void);
extern int absent(void) __attribute__((weak));
extern int tail(int);
int (*table[])(int) = {triple, triple};
int tail(int x) { return triple(x + 1); }
int main(void) {
    shared += 10;
    of_thread += 35;
    int (*through)(int) = triple;
    printf("%d %ld %ld %d %d\n", shared, of_thread, thread_check(), table[1](through(2)),
           absent ? absent() : -1);
    return tail(5);
}
"""


@native
def test_accesses_through_the_got(tmp_path: Path) -> None:
    one = compiled(tmp_path, "one", EXTERNAL, "-O1")
    options = ("-O1", "-fPIC", "-fno-plt", "-ftls-model=initial-exec")
    two = compiled(tmp_path, "two", USER, *options)
    wanted = {"R_X86_64_REX_GOTPCRELX", "R_X86_64_GOTPCRELX", "R_X86_64_GOTTPOFF"}
    assert wanted <= types_of(two)
    output = link_with_musl([one, two], tmp_path / "p")
    stream = io.BytesIO()
    assert run(output, [], stdout=stream).exit_status == 18
    assert stream.getvalue() == b"15 42 42 18 -1\n"
    # Relaxed: only the weak name and the thread-local offset still have a slot.
    with output.open("rb") as file:
        got = ELFFile(file).get_section_by_name(".got")
        assert got is not None
        assert got["sh_size"] <= 8 * 8


FIELDS = """
    .globl start, table
    .text
start:
    movb $near_absolute, %al
    movw $near_absolute, %ax
    movl $here, %eax
    cmpq $here, %rcx
    movabsq $here, %rdx
    leaq here+6(%rip), %rsi
    addq counted@GOTPCREL(%rip), %rdi
    jmp other
here:
    ret
    .data
table:
    .quad here - .
    .quad here + 3
    .long here - .
    .word near_absolute
    .byte near_absolute
    .globl counted
counted: .quad 1
"""
OTHER = "    .globl other, near_absolute\n    near_absolute = 0x42\nother: ret\n"


def test_each_field(tmp_path: Path) -> None:
    one = compiled(tmp_path, "one", FIELDS, "-x", "assembler")
    two = compiled(tmp_path, "two", OTHER, "-x", "assembler")
    found = types_of(one)
    names = "8 16 32 32S 64 PC32 PC64 PLT32 REX_GOTPCRELX"
    assert {f"R_X86_64_{name}" for name in names.split()} <= found, found
    from callproof.link import LinkOptions

    image = link_bytes([one, two], LinkOptions(entry="start", collect_garbage=False))
    file: Any = ELFFile(io.BytesIO(image))
    symbols = {s.name: s["st_value"] for s in file.get_section_by_name(".symtab").iter_symbols()}
    text, data = file.get_section_by_name(".text"), file.get_section_by_name(".data")
    got = file.get_section_by_name(".got")
    code, base = text.data(), text["sh_addr"]
    start = symbols["start"] - base

    def field(at: int, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(code[start + at : start + at + size], "little", signed=signed)

    here = symbols["here"]
    assert field(1, 1) == 0x42
    assert field(4, 2) == 0x42
    assert field(7, 4) == here
    assert field(14, 4) == here
    assert field(20, 8) == here
    assert field(31, 4, signed=True) == here + 6 - (symbols["start"] + 35)
    slot = symbols["start"] + 42 + field(38, 4, signed=True)
    assert slot == got["sh_addr"]
    assert int.from_bytes(got.data()[:8], "little") == symbols["counted"]
    assert field(43, 4, signed=True) == symbols["other"] - (symbols["start"] + 47)
    table = symbols["table"] - data["sh_addr"]
    words = data.data()[table:]
    assert int.from_bytes(words[:8], "little", signed=True) == here - symbols["table"]
    assert int.from_bytes(words[8:16], "little") == here + 3
    assert int.from_bytes(words[16:20], "little", signed=True) == here - symbols["table"] - 16
    assert words[20:23] == b"\x42\0\x42"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("    .globl start\nstart: call far\n", "is out of reach of"),
        ("    .globl start\nstart: movl $far, %eax\n", "is out of reach of"),
        ("    .globl start\nstart: leaq start@tlsgd(%rip), %rdi\n", "it is not thread-local"),
        (
            "    .globl start\nstart: leaq x@tlsgd(%rip), %rdi\n"
            '    .section .tdata,"awT",@progbits\nx: .quad 0\n',
            "unexpected in a TLS sequence",
        ),
    ],
)
def test_what_does_not_fit_is_told(text: str, message: str, tmp_path: Path) -> None:
    one = compiled(tmp_path, "one", text, "-x", "assembler")
    two = compiled(tmp_path, "two", ".globl far\n far = 0x123456789a\n", "-x", "assembler")
    from callproof.link import LinkOptions

    with pytest.raises(CallproofError, match=message) as caught:
        link_bytes([one, two], LinkOptions(entry="start"))
    assert "R_X86_64_" in str(caught.value)


def test_machines_do_not_mix(tmp_path: Path) -> None:
    one = compiled(tmp_path, "one", "int start(void) { return 1; }", "-O1")
    other = tmp_path / "other.o"
    source = tmp_path / "other.c"
    source.write_text("int other(void) { return 1; }")
    subprocess.run([*ZIG_CC, "-c", str(source), "-o", str(other)], check=True)
    with pytest.raises(CallproofError, match="is for aarch64, not x86_64"):
        link_bytes([one, other])
