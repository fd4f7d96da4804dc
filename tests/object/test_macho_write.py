"""Mach-O objects that we write: read back they say the same; Zig's linker's view of them is in
`tests/link/test_macho_link.py`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from callproof import driver
from callproof.object import read_macho, write_macho
from callproof.object.macho_write import COMPACT_SECTION, through_got
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.source import CallproofError

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ADRP, ADD, LDR, BL = 0x90000000, 0x91000000, 0xF9400000, 0x94000000


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def sample() -> ObjectFile:
    """One of everything that an object of ours can have, and of what C compilers have."""
    code = Section(".text.f", "code", words(ADRP, ADD, ADRP, LDR, BL, BL), alignment=4)
    more = Section(".text.g", "code", words(ADRP, 0x3DC00000, 0x39400000), alignment=4)
    table = Section(".rodata.table", "rodata", bytes(24), alignment=8)
    plain = Section(".rodata.plain", "rodata", b"constant", alignment=8)
    data = Section(".data.d", "data", bytes(20), alignment=16)
    bss = Section(".bss.z", "bss", alignment=32, size=100)
    start = Section(".init_array", "init_array", bytes(8), alignment=8)
    f = Symbol("f", code, kind="function", size=24)
    g = Symbol("g", more, kind="function", binding="weak", size=12)
    t = Symbol("t", table, kind="object", binding="local", size=24)
    p = Symbol(".Lplain", plain, kind="object", binding="local", size=8)
    d = Symbol("d", data, kind="object", visibility="hidden", size=20)
    z = Symbol("z", bss, kind="object", size=100)
    common = Symbol("common", common=48, value=16, kind="object", size=48)
    outside, weak = Symbol("outside"), Symbol("perhaps", binding="weak")
    fixed = Symbol("fixed", absolute=True, value=77)
    code.relocations += [
        Relocation(0, "R_AARCH64_ADR_PREL_PG_HI21", p, 4),
        Relocation(4, "R_AARCH64_ADD_ABS_LO12_NC", p, 4),
        Relocation(8, "R_AARCH64_ADR_GOT_PAGE", outside),
        Relocation(12, "R_AARCH64_LD64_GOT_LO12_NC", outside),
        Relocation(16, "R_AARCH64_CALL26", weak),
        Relocation(20, "R_AARCH64_CALL26", g, -8),
    ]
    more.relocations += [
        Relocation(0, "R_AARCH64_ADR_PREL_PG_HI21", z),
        Relocation(4, "R_AARCH64_LDST128_ABS_LO12_NC", z),
        Relocation(8, "R_AARCH64_LDST8_ABS_LO12_NC", z, 3),
    ]
    table.relocations += [
        Relocation(0, "R_AARCH64_ABS64", f, 4),
        Relocation(8, "R_AARCH64_PREL64", z, 8),
        Relocation(16, "R_AARCH64_PREL32", f, -4),
        Relocation(20, "R_AARCH64_PREL32", t, 0),
    ]
    data.relocations += [Relocation(8, "R_AARCH64_ABS64", common, -16)]
    start.relocations += [Relocation(0, "R_AARCH64_ABS64", f)]
    return ObjectFile(
        "sample",
        sections=[code, more, table, plain, data, bss, start],
        symbols=[f, g, t, p, d, z, common, outside, weak, fixed],
        format="mach-o",
    )


def said(file: ObjectFile) -> dict[str, object]:
    """What an object says, whatever its sections are called: by symbol and place in it."""
    found: dict[str, object] = {}
    for symbol in file.symbols:
        if symbol.kind == "section" or not symbol.name:
            continue
        name = symbol.name.replace(".L", "l_", 1) if symbol.name.startswith(".L") else symbol.name
        section = symbol.section
        facts: tuple[object, ...] = (symbol.binding, symbol.visibility, symbol.common)
        if section is None:
            found[name] = (*facts, symbol.absolute, symbol.value)
            continue
        end = symbol.value + symbol.size
        content = bytes(section.data[symbol.value : end]) if section.kind != "bss" else symbol.size
        relocations = sorted(
            (one.offset - symbol.value, one.type, target_of(one), one.addend)
            for one in section.relocations
            if symbol.value <= one.offset < end
        )
        found[name] = (*facts, section.kind == "code", content, relocations)
    return found


def target_of(relocation: Relocation) -> str:
    name = relocation.symbol.name
    return name.replace(".L", "l_", 1) if name.startswith(".L") else name


def test_read_back_it_says_the_same() -> None:
    file = sample()
    expected = said(file)
    back = read_macho(write_macho(file), "sample.o")
    assert said(back) == expected
    assert len(expected) == 10
    alignments = {"z": 32, "d": 16, "t": 8, "l_plain": 8, "f": 4, "g": 4}
    for symbol in back.symbols:
        if symbol.name in alignments:
            assert symbol.section is not None
            assert symbol.section.alignment >= alignments[symbol.name]
            assert symbol.value % alignments[symbol.name] == 0


@pytest.mark.parametrize("name", ["colorpoint.bcl", "shapes.sox", "qsort.bcl"])
def test_programs_read_back(name: str) -> None:
    options = driver.Options(target="aarch64-macos", verify=True)
    file = driver.compile_file(EXAMPLES / name, options).object_file()
    data = write_macho(file)
    back = said(read_macho(data, name))
    expected = said(file)  # with the GOT's loads, which writing brought in
    assert expected.keys() == back.keys()
    for symbol, facts in expected.items():
        assert isinstance(facts, tuple)
        found = back[symbol]
        assert isinstance(found, tuple)
        if len(facts) == 5:
            assert found == facts
            continue
        # Sizes are not said: constants are followed by padding.
        assert facts[:4] == found[:4] and facts[5:] == found[5:], symbol
        if isinstance(facts[4], bytes):
            assert found[4].rstrip(b"\0") == facts[4].rstrip(b"\0")
    assert data == write_macho(driver.compile_file(EXAMPLES / name, options).object_file())


def test_frames_are_described() -> None:
    options = driver.Options(target="aarch64-macos", level=0)
    file = driver.compile_file(EXAMPLES / "colorpoint.bcl", options).object_file()
    back = read_macho(write_macho(file), "colorpoint.o")
    section = back.section(COMPACT_SECTION)
    assert section is not None
    rows = {
        one.symbol.name: int.from_bytes(section.data[one.offset + 12 : one.offset + 16], "little")
        for one in section.relocations
    }
    assert rows["ColorPoint::CREATE"] == 0x04000001  # a record, and X19 with X20 below it
    assert rows["Point::CREATE"] == 0x02000000  # it calls nothing and has no frame


@pytest.mark.skipif(not shutil.which("llvm-objdump"), reason="no llvm-objdump")
def test_what_llvm_reads(tmp_path: Path) -> None:
    path = tmp_path / "sample.o"
    path.write_bytes(write_macho(sample()))
    command = ["llvm-objdump", "--macho", "-r", "-t", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    text = done.stdout.replace("GOTLDPOFF", "GOTLDPOF F")  # a column without a gap
    lines = [line.split() for line in text.splitlines()]
    shown = {(line[4], line[-1]) for line in lines if len(line) == 7}
    assert {("PAGE21", "l_plain"), ("GOTLDP", "_outside"), ("GOTLDPOF", "_outside")} <= shown
    assert {("BR26", "_perhaps"), ("BR26", "_g"), ("PAGOF12", "_z"), ("SUB", "_t")} <= shown
    unsigned = {line[-1] for line in lines if "UNSIGND" in line}
    assert {"_f", "_z", "_t", "_common"} <= unsigned
    assert "addend = 0x000004" in done.stdout and "addend = 0xfffff8" in done.stdout


@pytest.mark.skipif(not shutil.which("llvm-dwarfdump"), reason="no llvm-dwarfdump")
def test_debug_information_is_whole(tmp_path: Path) -> None:
    options = driver.Options(target="aarch64-macos", debug=True, level=0)
    for name in ("colorpoint.bcl", "shapes.sox"):
        path = tmp_path / "described.o"
        driver.build([EXAMPLES / name], path, "obj", options)
        command = ["llvm-dwarfdump", "--verify", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "No errors." in done.stdout, done.stdout


# --- addresses through the GOT -------------------------------------------------------------


def test_addresses_of_what_is_outside_are_loaded() -> None:
    outside = Symbol("outside")
    code = Section(".text.f", "code", words(ADRP | 3, ADD | 3 << 5 | 7), alignment=4)
    code.relocations += [
        Relocation(0, "R_AARCH64_ADR_PREL_PG_HI21", outside),
        Relocation(4, "R_AARCH64_ADD_ABS_LO12_NC", outside),
    ]
    through_got(ObjectFile("f", sections=[code], symbols=[outside]))
    assert code.data == words(ADRP | 3, LDR | 3 << 5 | 7)
    assert [one.type for one in code.relocations] == [
        "R_AARCH64_ADR_GOT_PAGE",
        "R_AARCH64_LD64_GOT_LO12_NC",
    ]


@pytest.mark.parametrize("addend", [0, 8])
def test_what_is_used_otherwise_is_left_alone(addend: int) -> None:
    outside = Symbol("outside")
    access = "R_AARCH64_ADD_ABS_LO12_NC" if addend else "R_AARCH64_LDST64_ABS_LO12_NC"
    code = Section(".text.f", "code", words(ADRP, ADD if addend else LDR), alignment=4)
    code.relocations += [
        Relocation(0, "R_AARCH64_ADR_PREL_PG_HI21", outside, addend),
        Relocation(4, access, outside, addend),
    ]
    before = bytes(code.data)
    through_got(ObjectFile("f", sections=[code], symbols=[outside]))
    assert code.data == before and code.relocations[1].type == access


# --- what cannot be said -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "addend", "message"),
    [
        ("R_AARCH64_ADR_PREL_PG_HI21", 1 << 23, "the addend 0x800000 cannot be said"),
        ("R_AARCH64_LD64_GOT_LO12_NC", 8, "the addend 0x8 cannot be said"),
        ("R_AARCH64_MOVW_UABS_G0", 0, "Mach-O has no such relocation"),
        ("R_AARCH64_ABS32", 0, "an address needs 8 bytes"),
    ],
)
def test_what_the_format_has_not(type_: str, addend: int, message: str) -> None:
    outside = Symbol("outside")
    code = Section(".text.f", "code", words(ADRP), alignment=4)
    code.relocations.append(Relocation(0, type_, outside, addend))
    file = ObjectFile("f.o", sections=[code], symbols=[Symbol("f", code), outside])
    with pytest.raises(CallproofError, match=f"f.o: .text.f\\+0x0: {type_} .*{message}"):
        write_macho(file)


def test_thread_local_data_is_refused() -> None:
    file = ObjectFile("t.o", sections=[Section(".tdata", "tdata", bytes(8))])
    with pytest.raises(CallproofError, match="tdata are not written"):
        write_macho(file)
