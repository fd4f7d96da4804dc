"""The native machine notices what the campaign relies on it to notice."""

from __future__ import annotations

import ctypes

import pytest

from callproof.link import LinkOptions, link_bytes
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from tests.conformance import native
from tests.conformance.machine import Fault

pytestmark = pytest.mark.skipif(not native.available(), reason="needs an x86-64 Linux host")

RESULTS = [
    ("b82a000000 c3", 42),  # mov $42, %eax; ret
    ("53 31db 5b b801000000 c3", 1),  # rbx used, but saved
]
FAULTS = [
    ("31db c3", "RBX is not preserved"),
    ("4531ff c3", "R15 is not preserved"),
    ("59 ffe1", None),  # pop %rcx; jmp *%rcx: an indirect return is as good as any
    ("59 50 ffe1", "RSP is not preserved"),
    ("0f0b", "Illegal instruction"),
    ("31c0 8b00 c3", "Segmentation fault"),
    ("b83c000000 bf07000000 0f05", "it left the process with 7"),  # exit(7)
]


def machine(code: str) -> tuple[native.NativeMachine, int]:
    section = Section(".text.start", "code", bytes.fromhex(code))
    symbol = Symbol("start", section, size=len(section.data), kind="function")
    file = ObjectFile("code.o", "x86_64", [section], [symbol])
    options = LinkOptions(entry="start", base=native.BASE, collect_garbage=False)
    made = native.NativeMachine(link_bytes([file, native.probe_object()], options))
    return made, made.entry


@pytest.mark.parametrize(("code", "result"), RESULTS)
def test_results(code: str, result: int) -> None:
    made, entry = machine(code)
    assert made.call(entry) == result


@pytest.mark.parametrize(("code", "message"), FAULTS)
def test_faults_stay_in_the_child(code: str, message: str | None) -> None:
    made, entry = machine(code)
    if message is None:
        made.call(entry)
        return
    with pytest.raises(Fault, match=message):
        made.call(entry)


def test_an_endless_loop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "SECONDS", 0.2)
    made, entry = machine("ebfe")
    with pytest.raises(Fault, match="does not come back"):
        made.call(entry)


def test_what_a_call_writes_is_seen() -> None:
    # movl $7, word; ret
    section = Section(".data", "data", bytes(8), alignment=8)
    code = Section(".text.start", "code", bytes.fromhex("c7042500000000 07000000 c3"))
    word = Symbol("word", section, size=8, kind="object")
    start = Symbol("start", code, size=len(code.data), kind="function")
    code.relocations.append(Relocation(3, "R_X86_64_32S", word))
    file = ObjectFile("code.o", "x86_64", [code, section], [start, word])
    options = LinkOptions(entry="start", base=native.BASE, collect_garbage=False)
    made = native.NativeMachine(link_bytes([file, native.probe_object()], options))
    address = int.from_bytes(ctypes.string_at(made.entry + 3, 4), "little")
    made.write_word(address, 1)
    made.call(made.entry)
    assert made.word(address) == 7


def test_the_stack_is_aligned_as_the_convention_says() -> None:
    made, entry = machine("54 58 c3")  # push %rsp; pop %rax; ret
    assert made.call(entry) % 16 == 8
