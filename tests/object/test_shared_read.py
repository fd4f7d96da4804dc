"""Shared libraries are read by their dynamic segment; damage is told with the place."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.shared_libraries import LIBRARY, shared_library

from callproof.object import elf_format as elf
from callproof.object.shared_read import SharedLibrary, is_shared_library, read_shared
from callproof.source import CallproofError


@pytest.fixture(scope="module", params=["--hash-style=gnu", "--hash-style=sysv"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("shared")
    return shared_library(folder, "aarch64", "demo", LIBRARY, f"-Wl,{request.param}").read_bytes()


def test_names_versions_and_kinds(data: bytes) -> None:
    library = read_shared(data, "libdemo.so.1")
    assert is_shared_library(data)
    assert (library.machine, library.soname, library.needed) == ("aarch64", "libdemo.so.1", [])
    assert library.versions == {"V1", "V2"}
    assert library.undefined == {"called_back"}
    assert not library.is_symbolic
    symbols = library.symbols
    assert {name: symbols[name].kind for name in ("triple", "shared", "of_thread")} == {
        "triple": "function",
        "shared": "object",
        "of_thread": "tls",
    }
    assert (symbols["twice"].version, symbols["twice@V1"].is_default) == ("V2", False)
    assert symbols["twice@V2"] is symbols["twice"]
    assert symbols["guarded"].is_protected and not symbols["shared"].is_protected
    assert symbols["interposed"].is_weak
    assert [one.name for one in library.aliases(symbols["shared"])] == ["also_shared"]
    assert symbols["fixed"].size == 16 and symbols["fixed"].alignment >= 4


def test_it_needs_no_section_headers(data: bytes) -> None:
    stripped = bytearray(data)
    struct.pack_into("<Q", stripped, 40, 0)
    struct.pack_into("<HHH", stripped, 58, 0, 0, 0)
    known, found = read_shared(data, "x"), read_shared(bytes(stripped), "x")
    assert found == known


def test_system_libraries_are_read_as_pyelftools_reads_them() -> None:
    path = Path("/lib/x86_64-linux-gnu/libm.so.6")
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    library = read_shared(path.read_bytes(), str(path))
    with path.open("rb") as stream:
        table: Any = ELFFile(stream).get_section_by_name(".dynsym")
        assert table is not None
        wanted = {
            symbol.name
            for symbol in table.iter_symbols()
            if symbol["st_shndx"] != "SHN_UNDEF"
            and symbol["st_info"]["bind"] in ("STB_GLOBAL", "STB_WEAK", "STB_LOOS")
        }
    assert {symbol.name for symbol in library.symbols.values()} == wanted


def place_of_tag(data: bytes, wanted: int) -> int:
    """The offset of the value of an entry of the dynamic segment."""
    offset, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for number in range(count):
        row = elf.PROGRAM.unpack_from(data, offset + number * elf.PROGRAM.size)
        if row[0] == elf.PT_DYNAMIC:
            for at in range(row[2], row[2] + row[5], 16):
                if struct.unpack_from("<q", data, at)[0] == wanted:
                    return at + 8
    raise AssertionError(f"no entry {wanted}")


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        (elf.DT_STRTAB, 1 << 40, "the dynamic names at 0x10000000000, .* lies in no segment"),
        (elf.DT_STRSZ, 1 << 40, "the dynamic names at .* lies in no segment"),
        (elf.DT_SYMTAB, 1 << 40, "the dynamic symbols at .* lies in no segment"),
        (elf.DT_VERSYM, 1 << 40, "the symbols' versions at .* lies in no segment"),
        (elf.DT_VERDEF, 1 << 40, "a version definition at .* lies in no segment"),
        (elf.DT_SONAME, 1 << 40, "the library's name: its name lies outside the dynamic names"),
        (elf.DT_VERDEFNUM, 1, "'[a-z]+' has version [0-9]+, which is not defined"),
    ],
)
def test_damage_is_told(data: bytes, tag: int, value: int, message: str) -> None:
    changed = bytearray(data)
    struct.pack_into("<Q", changed, place_of_tag(data, tag), value)
    with pytest.raises(CallproofError, match=f"lib.so: {message}"):
        read_shared(bytes(changed), "lib.so")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_libraries_are_read_or_refused(data: bytes, draw: st.DataObject) -> None:
    changed = bytearray(data)
    dynamic = place_of_tag(data, elf.DT_SONAME)
    places = st.integers(0, 64 + 56 * 8) | st.integers(dynamic - 64, dynamic + 256)
    for _ in range(draw.draw(st.integers(1, 5))):
        at = draw.draw(places | st.integers(0, len(data) - 1))
        changed[at % len(data)] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.none() | st.integers(0, len(data)))
    try:
        assert isinstance(read_shared(bytes(changed[:cut]), "lib.so"), SharedLibrary)
    except CallproofError as error:
        assert str(error).startswith(("lib.so: ", "error: lib.so: "))


def test_programs_are_no_libraries(data: bytes) -> None:
    with pytest.raises(CallproofError, match="not a shared library"):
        read_shared(data[:16] + b"\x02" + data[17:], "x")
    with pytest.raises(CallproofError, match="machine 3 is neither"):
        read_shared(data[:18] + b"\x03" + data[19:], "x")
