"""Code that a link leaves out, takes once or folds: no two functions of its debug information
share an address, and debuggers find those that are there.  With GCC's and Clang's objects, in
DWARF 4 and 5, as ours are of one kind only.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from callproof.link import LinkOptions, link
from tests.debug.dwarf import LEFT_OUT

C = """\
volatile int sink;
#define SUM(op) int y = x * 2; for (int i = 0; i < x; i++) { int k = i * y; sink = y op k; }
static __attribute__((noinline)) int helper(int x) { SUM(+) return x + sink; }
int dead_one(int x) { SUM(-) return helper(y); }
int dead_two(int x) { SUM(^) return helper(y); }
int dead_datum = 5, live_datum = 7;
__attribute__((noinline)) int live(int x) { SUM(*) return y + live_datum; }
__attribute__((noinline)) int twin(int x) { int y = x + sink; return y * 5; }
__attribute__((noinline)) int other_twin(int x) { int y = x + sink; return y * 5; }
void _start(void) { sink = live(twin(3) + other_twin(4)); for (;;); }
"""
# Two objects with one function and its table of ranges in a group.
GROUP = """\
template <class T> __attribute__((noinline)) T shared(T x) {{ T y = x * 2; return y ^ 5; }}
extern "C" int {name}(int x) {{ int k = shared<int>(x); return k + shared<long>(x); }}
"""
ZIG = [sys.executable, "-m", "ziglang"]
GCC = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}
FLAGS = ["-ffunction-sections", "-fdata-sections", "-fno-pic", "-ffreestanding", "-c"]


def compiled(text: str, folder: Path, name: str, machine: str, compiler: str, *flags: str) -> Path:
    source, output = folder / name, folder / f"{name}.o"
    source.write_text(text)
    if compiler == "gcc":
        command = [GCC[machine]]
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
    else:
        kind = "c++" if name.endswith(".cc") else "cc"
        command = [*ZIG, kind, "-target", f"{machine}-linux-musl", "-fno-sanitize=all"]
        command += ["-fno-stack-protector"]
    subprocess.run([*command, *flags, *FLAGS, str(source), "-o", str(output)], check=True)
    return output


def functions(data: bytes) -> list[tuple[str, int, int]]:
    """(name, start, end) of each that has code, from all units."""
    elf: Any = ELFFile(BytesIO(data))
    found = []
    for unit in elf.get_dwarf_info(follow_links=False).iter_CUs():
        for entry in unit.iter_DIEs():
            low = entry.attributes.get("DW_AT_low_pc")
            if entry.tag != "DW_TAG_subprogram" or low is None:
                continue
            origin = entry
            while "DW_AT_name" not in origin.attributes:
                reference = "DW_AT_abstract_origin"
                if reference not in origin.attributes:
                    reference = "DW_AT_specification"
                origin = origin.get_DIE_from_attribute(reference)
            size = entry.attributes["DW_AT_high_pc"].value
            name = origin.attributes["DW_AT_name"].value.decode()
            found.append((name, low.value, low.value + size))
    return found


def symbols(data: bytes) -> dict[str, tuple[int, int]]:
    elf: Any = ELFFile(BytesIO(data))
    table = elf.get_section_by_name(".symtab")
    return {one.name: (one["st_value"], one["st_size"]) for one in table.iter_symbols()}


def verify(path: Path) -> None:
    """No overlap, and nothing that the tools mind."""
    present = sorted(row[1:] for row in functions(path.read_bytes()) if row[1] != LEFT_OUT)
    for (_, end), (start, _) in pairwise(present):
        assert end <= start
    tool = shutil.which("llvm-dwarfdump")
    if tool is not None:
        done = subprocess.run([tool, "--verify", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    tool = shutil.which("readelf")
    if tool is not None:
        asked = "--debug-dump=info,decodedline,frames-interp,Ranges,aranges"
        command = [tool, asked, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wrong = re.findall(r".*(?:warning|error).*", done.stderr, re.IGNORECASE)
        assert done.returncode == 0
        assert not wrong, wrong


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_left_out_and_folded(machine: str, compiler: str, version: int, tmp_path: Path) -> None:
    flags = [f"-gdwarf-{version}", "-O1"]
    item = compiled(C, tmp_path, "program.c", machine, compiler, *flags)
    output = tmp_path / "program"
    link([item], output, LinkOptions(icf="safe"))
    verify(output)
    data = output.read_bytes()
    found = {name: (start, end - start) for name, start, end in functions(data)}
    table = symbols(data)
    assert found["live"] == table["live"] and found["_start"] == table["_start"]
    for name in ("dead_one", "dead_two", "helper"):
        assert found[name][0] == LEFT_OUT and name not in table
    # One of the twins stands for both; GCC may have made the second a jump itself.
    folded = table["twin"][0] == table["other_twin"][0]
    assert folded or compiler == "gcc"
    starts = {found[name][0] for name in ("twin", "other_twin") if name in found}
    if folded:
        assert starts == {table["twin"][0], LEFT_OUT}
    elf: Any = ELFFile(BytesIO(data))
    dwarf = elf.get_dwarf_info(follow_links=False)
    rows = {
        entry.state.address
        for unit in dwarf.iter_CUs()
        for entry in dwarf.line_program_for_CU(unit).get_entries()
        if entry.state is not None and not entry.state.end_sequence
    }
    assert {table["live"][0], table["twin"][0]} <= rows
    assert not [row for row in rows if row < 0x1000], "lines of left-out code are at no address"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_groups_that_are_taken_once(machine: str, tmp_path: Path) -> None:
    main = "extern int a(int), b(int); void _start(void) { a(b(2)); for (;;); }"
    items = [compiled(main, tmp_path, "main.c", machine, "clang", "-gdwarf-5", "-O1")]
    for name, version in (("a", 4), ("b", 5)):
        text, flag = GROUP.format(name=name), f"-gdwarf-{version}"
        items.append(compiled(text, tmp_path, f"{name}.cc", machine, "clang", flag, "-O1"))
    link(items, tmp_path / "program", LinkOptions())
    verify(tmp_path / "program")
    found = functions((tmp_path / "program").read_bytes())
    for kind in ("shared<int>", "shared<long>"):
        first, second = sorted(start for name, start, _ in found if name == kind)
        assert 0 < first < second == LEFT_OUT


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_gdb_finds_what_is_there(compiler: str, tmp_path: Path) -> None:
    """A range that wraps around would end GDB's list of a unit's functions."""
    gdb = shutil.which("gdb")
    if gdb is None:
        pytest.skip("gdb is not installed")
    item = compiled(C, tmp_path, "program.c", "x86_64", compiler, "-gdwarf-5", "-O1")
    output = tmp_path / "program"
    link([item], output, LinkOptions())
    start, _ = symbols(output.read_bytes())["live"]
    command = [gdb, "-nx", "-batch", "-iex", "set complaints 100"]
    asks = [f"info line *{start + 2:#x}", "info scope live", "info address dead_one"]
    for ask in asks:
        command += ["-ex", ask]
    done = subprocess.run([*command, output], capture_output=True, text=True, check=False)
    assert re.search(r'Line 7 of ".*program.c" starts at address', done.stdout), done.stdout
    assert "Symbol x is" in done.stdout
    assert 'No symbol "dead_one" in current context' in done.stdout + done.stderr
    if compiler == "gcc":  # Clang's ranges are numbers of .debug_addr
        assert "inverted" not in done.stderr, done.stderr
