"""Objects: written, read back, and read by others."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from tests.support.clang import ZIG_CC

from callproof import driver
from callproof.object import read_archive, read_elf, write_archive, write_elf
from callproof.source import CallproofError

ROOT = Path(__file__).parent.parent.parent
COLORPOINT = ROOT / "examples" / "colorpoint.bcl"


@pytest.fixture(scope="module")
def data() -> bytes:
    return write_elf(driver.compile_file(COLORPOINT, driver.Options(inlining=False)).object_file())


def test_reading_back_gives_what_was_written(data: bytes) -> None:
    file = read_elf(data, "colorpoint.o")
    code = file.section(".text.ColorPoint::CREATE")
    assert code is not None
    assert [(r.type, r.symbol.name) for r in code.relocations] == [
        ("R_AARCH64_CALL26", "Point::CREATE")
    ]
    assert write_elf(read_elf(data, "again.o")) == write_elf(file)


def test_others_read_our_objects(data: bytes) -> None:
    file = ELFFile(io.BytesIO(data))
    assert (file["e_type"], file["e_machine"]) == ("ET_REL", "EM_AARCH64")
    table: Any = file.get_section_by_name(".symtab")
    start = table.get_symbol_by_name("bcpl_start")
    assert start is not None
    assert start[0]["st_info"]["bind"] == "STB_GLOBAL"
    assert table["sh_info"] == sum(
        symbol["st_info"]["bind"] == "STB_LOCAL" for symbol in table.iter_symbols()
    )


def test_we_read_clangs_objects_and_archives(tmp_path: Path) -> None:
    source, output = tmp_path / "c.c", tmp_path / "c.o"
    source.write_text(
        "extern int other(int); static int table[] = {1, 2, 3};\n"
        "int shared; int use(int i) { return other(table[i]) + shared; }\n"
    )
    command = [*ZIG_CC, "-O1", "-ffunction-sections", "-c", str(source), "-o", str(output)]
    subprocess.run(command, check=True)
    file = read_elf(output.read_bytes(), "c.o")
    names = {symbol.name: symbol for symbol in file.symbols}
    assert names["use"].is_defined
    assert not names["other"].is_defined
    archive = read_archive(write_archive([("c.o", output.read_bytes())]), "lib.a")
    assert set(archive.index) >= {"use", "shared"}
    assert archive.member_name(archive.index["use"]) == "c.o"


def test_bsd_archives_with_names_before_the_data() -> None:
    from callproof.object.model import ObjectFile, Section, Symbol

    section = Section(".text", "code", bytes(4), alignment=4)
    member = write_elf(ObjectFile("m.o", sections=[section], symbols=[Symbol("f", section)]))
    name = b"a_long_member_name.o"
    body = name + member
    header = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (b"#1/%d" % len(name), 0, 0, 0, b"644", len(body))
    archive = read_archive(b"!<arch>\n" + header + body + b"\n" * (len(body) & 1), "bsd.a")
    assert list(archive.index) == ["f"]
    assert archive.member_name(archive.index["f"]) == "a_long_member_name.o"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.replace(b"!<arch>\n", b"!<thin>\n"), "a member's header is damaged"),
        (lambda d: d[:70], "beyond the end"),
        (lambda d: d[:9] + b"\xff" * 40, "header is damaged"),
    ],
)
def test_damaged_archives_are_told(change: Any, message: str, data: bytes) -> None:
    archive = write_archive([("colorpoint.o", data)])
    with pytest.raises(CallproofError, match=message):
        read_archive(change(archive), "lib.a")


def test_objects_of_other_machines_are_refused(data: bytes) -> None:
    other = bytearray(data)
    other[18] = 40  # ARM, 32 bits
    with pytest.raises(CallproofError, match=r"machine 40 is neither AArch64 nor x86-64"):
        read_elf(bytes(other), "arm.o")
