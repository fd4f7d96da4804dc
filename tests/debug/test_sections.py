"""The debug sections as they stand: structure, tools' opinions, and what -g does not change."""

from __future__ import annotations

import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from callproof import driver
from callproof.object.leb128 import read_sleb, read_uleb, sleb, uleb
from tests.debug.dwarf import LEFT_OUT, Information

TARGETS = ("aarch64-linux", "x86_64-linux")
BCPL = """\
CLASS Shape $( DECL name
  ROUTINE CREATE(n) BE $( name := n $)
$)
CLASS Square EXTENDS Shape $( DECL side
  ROUTINE CREATE(s) BE $( SUPER.CREATE("square")
    side := s $)
  FUNCTION area() = side * side
$)
STATIC $( how_many = 3 $)
GLOBALS $( the_ratio = 2.5 $)
LET never(x) = x + 1
LET neither(x) = VALOF $(
  LET y = x * 2
  FOR i = 1 TO y DO $(
    LET z = i + y
    y := never(z)
  $)
  RESULTIS y
$)
LET sum(v, n) = VALOF $(
  LET total = 0
  FOR i = 0 TO n - 1 DO $(
    LET one = v!i
    total := total + one
  $)
  RESULTIS total
$)
LET START() BE $(
  LET v = VEC 3
  LET s = NEW Square(4)
  LET q = PAIR(3, 4)
  LET l = LIST(1, 2)
  v!1 := s.area()
  WRITEF("%N %N*N", sum(v, 3), how_many + LEN(l))
$)
"""
SOX = """\
class Point { init(x) { this.x = x; } twice() { return this.x * 2; } }
var counter = 0;
fn make(n) {
  var kept = n;
  fn add(k) { kept = kept + k; counter = counter + 1; return kept; }
  return add;
}
fn main() {
  var add = make(3);
  for var i = 0; i < 3; i = i + 1 { var got = add(i); print got; }
  print Point(4).twice();
}
"""
SOURCES = {"bcpl": ("program.bcl", BCPL), "sox": ("program.sox", SOX)}


def compiled(folder: Path, language: str, target: str, level: int, debug: bool = True) -> Any:
    name, text = SOURCES[language]
    source = folder / name
    source.write_text(text)
    options = driver.Options(level=level, target=target, debug=debug, verify=True)
    return driver.compile_file(source, options)


def built(folder: Path, language: str, target: str, level: int, debug: bool = True) -> Path:
    name, text = SOURCES[language]
    source = folder / name
    source.write_text(text)
    output = folder / f"{language}.{target}.{level}"
    # Without inlining: each function has its own entry.
    options = driver.Options(level=level, target=target, debug=debug, inlining=False)
    driver.build([source], output, "exe", options)
    return output


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("language", SOURCES)
@pytest.mark.parametrize("target", TARGETS)
def test_code_is_the_same_with_and_without(
    tmp_path: Path, language: str, target: str, level: int
) -> None:
    with_, without = (compiled(tmp_path, language, target, level, debug) for debug in (True, False))
    assert [one.name for one in with_.compiled.functions] == [
        one.name for one in without.compiled.functions
    ]
    for one, other in zip(with_.compiled.functions, without.compiled.functions, strict=True):
        assert one.code == other.code, one.name
    names = {one.name for one in without.object_file().sections}
    assert not names & {".debug_frame", ".eh_frame", ".debug_loclists", ".debug_rnglists"}


def named(unit: Any, name: str) -> Any:
    return next(
        one
        for one in unit.get_top_DIE().iter_children()
        if "DW_AT_name" in one.attributes and one.attributes["DW_AT_name"].value == name.encode()
    )


def symbols_with(information: Information, name: str) -> dict[int, int]:
    """Addresses and sizes of the symbols in whose names this is (they may have more)."""
    table: Any = information.elf.get_section_by_name(".symtab")
    return {one["st_value"]: one["st_size"] for one in table.iter_symbols() if name in one.name}


@pytest.mark.parametrize("target", TARGETS)
def test_entries(tmp_path: Path, target: str) -> None:
    information = Information(built(tmp_path, "bcpl", target, 0).read_bytes())
    (unit,) = information.dwarf.iter_CUs()
    square = named(unit, "Square")
    base, *fields = square.iter_children()
    assert base.tag == "DW_TAG_inheritance"
    assert base.get_DIE_from_attribute("DW_AT_type").attributes["DW_AT_name"].value == b"Shape"
    assert [one.attributes["DW_AT_name"].value for one in fields] == [b"side"]
    assert fields[0].attributes["DW_AT_data_member_location"].value == 16
    for name, type_ in (("how_many", b"INT"), ("the_ratio", b"FLOAT")):
        found = named(unit, name)
        assert found.get_DIE_from_attribute("DW_AT_type").attributes["DW_AT_name"].value == type_
        (operation,) = information.expressions.parse_expr(found.attributes["DW_AT_location"].value)
        assert operation.op_name == "DW_OP_addr"
        assert operation.args[0] in symbols_with(information, name)
    functions = {one.name: one for one in information.functions}
    total = functions["sum"]
    assert symbols_with(information, "sum")[total.start] == total.end - total.start
    assert {(one.name, one.is_parameter) for one in total.variables} == {
        ("v", True),
        ("n", True),
        ("total", False),
        ("i", False),
        ("one", False),
    }
    depths = {one.name: one.depth for one in total.variables}
    assert depths["v"] < depths["total"] < depths["i"] < depths["one"]
    inner = next(one for one in total.variables if one.name == "one")
    assert inner.depth > 0 and inner.ranges != [(total.start, total.end)]
    assert "never" not in functions, "code that was left out has no address"
    never = named(unit, "never")
    assert never.attributes["DW_AT_low_pc"].value == LEFT_OUT


@pytest.mark.parametrize("target", TARGETS)
def test_a_function_of_which_nothing_is_left_is_no_value(tmp_path: Path, target: str) -> None:
    """The call through the variable has become the function's code, and the function is gone."""
    source = tmp_path / "value.bcl"
    source.write_text(
        "LET half(x) = x / 2.0\n"
        'LET START() BE $( LET f = half  WRITEF("%f %f*N", f(3), f(5) + 1) $)\n'
    )
    output = tmp_path / "value"
    driver.build([source], output, "exe", driver.Options(level=1, target=target, debug=True))
    information = Information(output.read_bytes())
    assert not symbols_with(information, "half")
    (unit,) = information.dwarf.iter_CUs()
    found = [e for e in unit.iter_DIEs() if e.tag == "DW_TAG_variable"]
    assert [one.attributes["DW_AT_name"].value for one in found] == [b"f"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_function_has_frames_in_both_sections(tmp_path: Path, target: str) -> None:
    from callproof.object import write_elf

    compilation = compiled(tmp_path, "bcpl", target, 1)
    elf = ELFFile(BytesIO(write_elf(compilation.object_file())))
    dwarf: Any = elf.get_dwarf_info()
    count = len(compilation.compiled.functions)
    for entries in (dwarf.CFI_entries(), dwarf.EH_CFI_entries()):
        described = [one for one in entries if "initial_location" in one.header]
        assert len(described) == count
        sizes = sorted(one.header["address_range"] for one in described)
        assert sizes == sorted(len(one.code) for one in compilation.compiled.functions)


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("language", SOURCES)
@pytest.mark.parametrize("target", TARGETS)
def test_tools_find_nothing_wrong(tmp_path: Path, language: str, target: str, level: int) -> None:
    path = built(tmp_path, language, target, level)
    dwarfdump, readelf = shutil.which("llvm-dwarfdump"), shutil.which("readelf")
    if dwarfdump is None and readelf is None:
        pytest.skip("neither llvm-dwarfdump nor readelf is installed")
    if dwarfdump is not None:
        done = subprocess.run(
            [dwarfdump, "--verify", path], capture_output=True, text=True, check=False
        )
        wrong = re.findall(r"^error: .*", done.stdout, re.MULTILINE)
        assert not wrong and not done.returncode, done.stdout
    if readelf is not None:
        done = subprocess.run(
            [readelf, "--debug-dump=info,abbrev,decodedline,frames-interp,loc,Ranges", path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0
        complaints = [line for line in done.stderr.splitlines() if not _is_harmless(line)]
        assert not complaints, complaints


def _is_harmless(line: str) -> bool:
    """readelf warns of lists that are read by nobody where ranges of units come first."""
    return not re.search(r"warning|error", line, re.IGNORECASE)


def test_numbers_of_variable_length() -> None:
    for value in (0, 1, 63, 64, 127, 128, 300, 1 << 32, (1 << 64) - 1):
        assert read_uleb(b"x" + uleb(value) + b"y", 1) == (value, 1 + len(uleb(value)))
        for signed in (value >> 1, -(value >> 1) - 1):
            assert read_sleb(sleb(signed), 0) == (signed, len(sleb(signed)))
    assert uleb(624485) == b"\xe5\x8e\x26" and sleb(-123456) == b"\xc0\xbb\x78"
    for damaged in (b"", b"\x80", b"\xff" * 11):
        with pytest.raises(ValueError):
            read_uleb(damaged, 0)


def test_units_of_several_sources(tmp_path: Path) -> None:
    """Two units with everything: offsets between sections are each unit's own."""
    first, second = tmp_path / "first.bcl", tmp_path / "second.bcl"
    first.write_text("LET START() BE $(\n  LET a = 7\n  a := other(a)\n  WRITEN(a)\n$)\n")
    second.write_text(
        "LET unused(y) = y\nLET other(x) = VALOF $(\n  LET b = x * 2\n"
        "  FOR i = 1 TO 2 DO $(\n    LET c = b + i\n    b := c\n  $)\n  RESULTIS b\n$)\n"
    )
    output = tmp_path / "both"
    options = driver.Options(level=0, target="x86_64-linux", debug=True)
    driver.build([first, second], output, "exe", options)
    information = Information(output.read_bytes())
    assert len(list(information.dwarf.iter_CUs())) == 2
    functions = {one.name: one for one in information.functions}
    assert "unused" not in functions
    for name, variables in (("START", {"a"}), ("other", {"x", "b", "i", "c"})):
        function = functions[name]
        sizes = symbols_with(information, name)
        assert sizes[function.start] == function.end - function.start
        assert {one.name for one in function.variables} == variables
        assert all(
            function.start <= start < end <= function.end
            for one in function.variables
            for start, end, _ in one.at
        )
        rows = {row for address, row in information.lines if address == function.start}
        assert rows, "lines begin with the function"
