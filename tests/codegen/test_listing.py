"""The listing is the code: assembled by Clang (and GNU as) it gives our bytes."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from tests.support.clang import ZIG_CC

from callproof import driver

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = sorted((ROOT / "tests" / "programs" / "bcpl").glob("*.bcl"))


def functions(data: bytes) -> dict[str, bytes]:
    """Contents of the sections that hold code, by name."""
    file = ELFFile(io.BytesIO(data))
    return {
        section.name: section.data()
        for section in file.iter_sections()
        if section.name.startswith(".text.") and section["sh_size"]
    }


def compare(assembler: list[str], path: Path, tmp_path: Path) -> None:
    compilation = driver.compile_file(path, driver.Options(level=1))
    source, output = tmp_path / "listing.s", tmp_path / "listing.o"
    source.write_text(compilation.listing())
    done = subprocess.run(
        [*assembler, str(source), "-o", str(output)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:2000]
    theirs = functions(output.read_bytes())
    for emitted in compilation.compiled.functions:
        name = ".text." + emitted.name.replace(":", "_")
        # Fields that relocations fill in are zero on both sides (RELA keeps addends apart),
        # but for a function's calls of itself, which an assembler resolves at once.
        code = bytearray(theirs[name])
        for relocation in emitted.relocations:
            if relocation.symbol == emitted.name and relocation.type == "R_AARCH64_CALL26":
                (word,) = struct.unpack_from("<I", code, relocation.offset)
                distance = (word & 0x3FFFFFF) - ((word & 0x2000000) << 1)
                assert distance in (0, -relocation.offset // 4)
                struct.pack_into("<I", code, relocation.offset, word & 0xFC000000)
        assert bytes(code) == emitted.code, emitted.name


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_clang_assembles_the_listing_to_our_bytes(path: Path, tmp_path: Path) -> None:
    compare([*ZIG_CC, "-c"], path, tmp_path)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_gnu_as_assembles_the_listing_to_our_bytes(path: Path, tmp_path: Path) -> None:
    assembler = shutil.which("aarch64-linux-gnu-as")
    if assembler is None:
        pytest.skip("GNU as for ARM64 is not installed; Clang's test says the same")
    compare([assembler], path, tmp_path)


def test_comments_say_what_is_spilled_and_reloaded() -> None:
    path = ROOT / "tests" / "programs" / "bcpl" / "alive_across_calls.bcl"
    listing = driver.compile_file(path, driver.Options(inlining=False)).listing("START")
    assert "spill 'i" in listing
    assert "reload 'i" in listing or "// i" in listing
    assert "spill 'f" in listing
    assert "keep 'f" in listing


def test_comments_name_arguments_and_source_lines() -> None:
    path = ROOT / "tests" / "programs" / "bcpl" / "argument_cycles.bcl"
    listing = driver.compile_file(path, driver.Options(inlining=False)).listing("rotate")
    assert "argument a := b" in listing
    assert "(a: x0, b: x1, c: x2)" in listing
    assert "show3(b, c, a)" in listing
