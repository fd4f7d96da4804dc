"""`-l` of a dynamic link: folders, versions in names, and the scripts that systems have."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from callproof.link import AsNeeded
from callproof.link.search import find_shared, follow, names_shared_library
from callproof.object import elf_format as elf
from callproof.source import CallproofError


def library(path: Path, machine: str = "x86_64") -> Path:
    """As much of a library as the search looks at."""
    path.write_bytes(elf.IDENT + struct.pack("<HH", elf.ET_DYN, elf.MACHINES[machine]) + bytes(44))
    return path


def test_the_first_folder_that_has_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        library(folder / "libboth.so")
    second = library(two / "libsecond.so")
    assert find_shared("both", [one, two], "x86_64") == [one / "libboth.so"]
    assert find_shared("second", [one, two], "x86_64") == [second]
    assert find_shared(":libsecond.so", [one, two], "x86_64") == [second]


def test_names_with_versions_archives_and_other_machines(tmp_path: Path) -> None:
    for version in ("9", "10", "10.2", "old"):
        library(tmp_path / f"libv.so.{version}")
    assert find_shared("v", [tmp_path], "x86_64") == [tmp_path / "libv.so.10.2"]
    (tmp_path / "liba.a").write_bytes(b"!<arch>\n")
    assert find_shared("a", [tmp_path], "x86_64") == [tmp_path / "liba.a"]
    with pytest.raises(CallproofError, match=r"no libv\.so for aarch64 .*is for another machine"):
        find_shared("v", [tmp_path], "aarch64")
    with pytest.raises(CallproofError, match=r"-l none: there is no libnone\.so for x86_64"):
        find_shared("none", [tmp_path], "x86_64")


def test_a_script_names_files(tmp_path: Path) -> None:
    real, extra = library(tmp_path / "libc.so.6"), tmp_path / "libc_nonshared.a"
    extra.write_bytes(b"!<arch>\n")
    loader = library(tmp_path / "ld.so.1")
    library(tmp_path / "libother.so")
    script = tmp_path / "libc.so"
    script.write_text(
        "/* GNU ld script\n   with a comment */\nOUTPUT_FORMAT(elf64-x86-64)\n"
        f"GROUP ( {real} libc_nonshared.a, -lother AS_NEEDED ( /nowhere/lib/ld.so.1 ) )\n"
    )
    found = [real, extra, tmp_path / "libother.so", AsNeeded(loader)]
    assert find_shared("c", [tmp_path], "x86_64") == found
    assert follow(script, [tmp_path], "x86_64") == found
    assert follow(real, [tmp_path], "x86_64") == [real]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("INPUT ( libnone.so )", "there is no lib:libnone.so|-l :libnone.so"),
        ("INPUT libc.so.6", r"a command without '\('"),
        ("GROUP ( -lx ", r"there is no libx|a list without '\)'"),
        ("SECTIONS { .text : { *(.text) } }", "'SECTIONS' is not supported|of which 'SECTIONS'"),
        ("INPUT ( libself.so )", "scripts that name each other"),
    ],
)
def test_other_scripts_are_refused(text: str, message: str, tmp_path: Path) -> None:
    script = tmp_path / "libself.so"
    script.write_text(text)
    with pytest.raises(CallproofError, match=message):
        follow(script, [tmp_path], "x86_64")


def test_names() -> None:
    for name in ("libx.so", "libx.so.1", "libx.so.1.22.3"):
        assert names_shared_library(Path(name))
    for name in ("x.sox", "x.o", "libx.so.txt", "so", "x.bcl"):
        assert not names_shared_library(Path(name))
