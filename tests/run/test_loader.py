"""Executables are read with every figure checked; what cannot be run is refused."""

from __future__ import annotations

import struct

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from callproof.run.functions import FunctionRecord
from callproof.run.loader import PIE_BASE, Image, load
from callproof.source import CallproofError
from tests.run.programs import assembly

TEXT = """
.globl _start
.type _start, %function
_start:
    bl f
    mov x8, #93
    svc #0
.size _start, . - _start
.type f, %function
f:  mov x0, #4
inner:
    ret
.size f, . - f
.data
.quad 42
.bss
.skip 100000
"""
RECORDS = [FunctionRecord("f", "F::f")]


@pytest.fixture(scope="module")
def executable() -> bytes:
    return assembly(TEXT, RECORDS)


def test_symbols_records_and_places(executable: bytes) -> None:
    image = load(executable)
    f = next(address for address, _, name in image.symbols.functions if name == "f")
    assert image.record_at(f) == RECORDS[0]
    assert image.record_at(f + 4) is None
    assert image.display_name(f) == "F::f"
    assert image.display_name(f + 4) == "F::f+0x4"
    assert image.display_name(image.entry + 4) == "_start+0x4"
    assert image.word(f + 4) == 0xD65F03C0
    assert image.word(4) is None


def test_segments_are_as_the_program_headers_say(executable: bytes) -> None:
    import io

    expected = [
        (header["p_vaddr"], header["p_memsz"], header["p_flags"])
        for header in (s.header for s in ELFFile(io.BytesIO(executable)).iter_segments("PT_LOAD"))
    ]
    found = [(s.address, s.size, s.flags) for s in load(executable).segments]
    assert found == sorted(expected)
    assert load(executable).end % 4096 == 0


def patched(data: bytes, offset: int, format_: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(format_, changed, offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("offset", "format_", "value", "why"),
    [
        (0, "<I", 0, "not an ELF file"),
        (4, "<B", 1, "not a 64-bit"),
        (16, "<H", 1, "not an executable"),
        (18, "<H", 62, "for x86-64"),
        (18, "<H", 4711, "machine 4711"),
        (24, "<Q", 12, "entry point 0xc"),
        (32, "<Q", 1 << 62, "past the end"),
        (40, "<Q", 1 << 62, "past the end"),
        (56, "<H", 0, "no program headers"),
    ],
)
def test_refusals_say_why(
    executable: bytes, offset: int, format_: str, value: int, why: str
) -> None:
    with pytest.raises(CallproofError, match=f"prog: cannot run this file: .*{why}"):
        load(patched(executable, offset, format_, value), "prog")


def test_a_dynamically_linked_program_is_refused(executable: bytes) -> None:
    (first,) = struct.unpack_from("<Q", executable, 32)
    asked = patched(executable, first, "<I", 3)
    with pytest.raises(CallproofError, match="dynamically linked"):
        load(asked)
    assert load(asked, any_loader=True).interpreter
    with pytest.raises(CallproofError, match="dynamically linked, without a loader"):
        load(patched(executable, first, "<I", 2))


def test_a_position_independent_program_is_put_at_the_base(executable: bytes) -> None:
    fixed, moved = load(executable), load(patched(executable, 16, "<H", 3))
    assert (fixed.base, moved.base) == (0, PIE_BASE)
    assert moved.entry == fixed.entry + PIE_BASE
    assert moved.headers_address == fixed.headers_address + PIE_BASE
    assert moved.display_name(moved.entry + 4) == "_start+0x4"
    assert [s.address - PIE_BASE for s in moved.segments] == [s.address for s in fixed.segments]
    library = patched(patched(executable, 16, "<H", 3), 24, "<Q", 0)
    with pytest.raises(CallproofError, match="it is a shared library"):
        load(library)


@settings(max_examples=200)
@given(st.data())
def test_damaged_files_load_or_are_refused(executable: bytes, data: st.DataObject) -> None:
    changed = bytearray(executable)
    headers = st.integers(0, 64 + 56 * 6) | st.integers(0, len(executable) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(headers)] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(changed)))
    try:
        assert isinstance(load(bytes(changed[:cut])), Image)
    except CallproofError as error:
        assert "cannot run this file" in str(error)


def test_a_name_of_two_functions_has_no_record() -> None:
    twice = TEXT.replace("inner:", ".local g\n.type g, %function\ng:")
    other = twice + '\n.text\n.type "f2", %function\nf2: ret\n'
    image = load(assembly(other, [FunctionRecord("g", "one"), FunctionRecord("missing", "x")]))
    assert set(image.records) == {"g"}
