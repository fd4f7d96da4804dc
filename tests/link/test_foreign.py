"""What other compilers' objects bring: every kind of reference, for both targets, as run."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile
from tests.support.foreign import (
    SOURCES,
    TRIPLES,
    compile_text,
    compiled,
    linked,
    printed,
    with_musl,
)

from callproof.link import LinkOptions, link, link_bytes, link_layout
from callproof.link.link_map import link_map
from callproof.object import ObjectFile, Relocation, Section, Symbol
from callproof.object import elf_format as elf
from callproof.object.elf_read import read_elf
from callproof.source import CallproofError

TARGETS = list(TRIPLES)
EXPECTED = """tls 37 31 45 0
weak 1 1 0
ifunc 12 1
order abc
items 14 3
text a tail 1005
sum 169 1
"""
# Absolute and PC-relative; the GOT and TLS by calls or descriptors; sections of their own.
WAYS = ("-O0", "-O2 -fPIC", "-O1 -ffunction-sections -fdata-sections", "-O3 -fPIE -g")


def features(target: str, flags: str) -> list[Path]:
    flags = f"{flags} -fcommon"
    return [compiled(name, target, flags) for name in ("features.c", "features_other.c")]


def relocation_types(path: Path) -> set[str]:
    file = read_elf(path.read_bytes(), path.name)
    return {r.type for s in file.sections for r in s.relocations}


@pytest.mark.parametrize("flags", WAYS)
@pytest.mark.parametrize("target", TARGETS)
def test_all_references_of_clangs_objects(target: str, flags: str, tmp_path: Path) -> None:
    objects = features(target, flags)
    output = linked([*objects], tmp_path / "p", target)
    assert printed(output, target) == (5, EXPECTED)
    options = LinkOptions(icf="safe", relro=True, eh_frame_hdr=True, build_id=True)
    output = linked([*objects], tmp_path / "q", target, options)
    assert printed(output, target) == (5, EXPECTED)


# Code models and ways to thread-local variables that are not Clang's own choice.
MODELS = [
    ("aarch64-linux-gnu-gcc", "-O2 -fPIC -mtls-dialect=trad", "TLSGD_ADR_PAGE21"),
    ("aarch64-linux-gnu-gcc", "-O2 -fpic", "LD64_GOTPAGE_LO15"),
    ("aarch64-linux-gnu-gcc", "-O2 -fno-pic -mcmodel=large", "LDST64_ABS_LO12_NC"),
    ("aarch64-linux-gnu-gcc", "-O1 -fno-pic -mcmodel=tiny", "TLSIE_LD_GOTTPREL_PREL19"),
    ("gcc", "-O2 -fPIC -mtls-dialect=gnu2", "TLSDESC_CALL"),
    ("gcc", "-O2 -fPIC -fno-plt", "GOTPCRELX"),
    ("gcc", "-O2 -fPIC -mcmodel=large", "PLTOFF64"),
    ("clang", "-O2 -fPIC -mcmodel=large", "GOT64"),
    ("clang", "-O2 -fPIC -mcmodel=medium -mtls-dialect=gnu2", "GOTPC32_TLSDESC"),
]


@pytest.mark.parametrize(("compiler", "flags", "typical"), MODELS)
def test_other_models(compiler: str, flags: str, typical: str, tmp_path: Path) -> None:
    target = "aarch64-linux" if compiler.startswith("aarch64") else "x86_64-linux"
    if compiler == "clang":
        objects = features(target, flags)
    elif shutil.which(compiler) is None or platform.machine() != "x86_64":
        pytest.skip(f"{compiler} is not installed")
    else:
        objects = []
        for name in ("features.c", "features_other.c"):
            objects.append(tmp_path / f"{name}.o")
            words = [compiler, "-w", "-fcommon", *flags.split(), "-c", str(SOURCES / name)]
            subprocess.run([*words, "-o", str(objects[-1])], check=True)
    prefix = "R_AARCH64_" if target == "aarch64-linux" else "R_X86_64_"
    assert prefix + typical in relocation_types(objects[0])
    output = linked([*objects], tmp_path / "p", target)
    assert printed(output, target) == (5, EXPECTED)


@pytest.mark.parametrize("target", TARGETS)
def test_pic_objects_have_what_the_test_is_about(target: str) -> None:
    types = relocation_types(features(target, "-O2 -fPIC")[0])
    if target == "x86_64-linux":
        wanted = {"R_X86_64_TLSGD", "R_X86_64_TLSLD", "R_X86_64_REX_GOTPCRELX"}
    else:
        wanted = {"R_AARCH64_TLSDESC_CALL", "R_AARCH64_ADR_GOT_PAGE"}
    assert wanted <= types


@pytest.mark.parametrize("target", TARGETS)
def test_objects_that_a_linker_joined(target: str, tmp_path: Path) -> None:
    """`ld -r`: one object of several, with groups, merged sections and common symbols."""
    joined = tmp_path / "joined.o"
    objects = features(target, "-O2 -fPIC")
    lld = [sys.executable, "-m", "ziglang", "ld.lld"]
    subprocess.run([*lld, "-r", "-o", str(joined), *map(str, objects)], check=True)
    output = linked([joined], tmp_path / "p", target)
    assert printed(output, target) == (5, EXPECTED)


@pytest.mark.parametrize("target", TARGETS)
def test_lld_makes_the_same_of_it_and_the_map_explains_addresses(
    target: str, tmp_path: Path
) -> None:
    inputs = with_musl([*features(target, "-O2 -fPIC")], target)
    theirs = tmp_path / "theirs"
    lld = [sys.executable, "-m", "ziglang", "ld.lld", "-static", "--gc-sections"]
    lld += ["-z", "nostart-stop-gc"]
    subprocess.run([*lld, "-o", str(theirs), *map(str, inputs)], check=True)
    ours = tmp_path / "ours"
    text = link_map(link(inputs, ours))

    def functions(path: Path) -> dict[str, tuple[int, int]]:
        with path.open("rb") as stream:
            table: Any = ELFFile(stream).get_section_by_name(".symtab")
            return {
                s.name: (s["st_size"], s["st_value"])
                for s in table.iter_symbols()
                if s["st_info"]["type"] == "STT_FUNC" and s["st_info"]["bind"] == "STB_GLOBAL"
            }

    own, other = functions(ours), functions(theirs)
    assert set(own) - {"chosen"} == set(other) - {"chosen"}, "the same functions are kept"
    memory = {tuple(line.split()) for line in text.splitlines()}
    for name, (size, address) in own.items():
        if name != "chosen":
            assert size == other[name][0]
        assert (f"{address:#x}", name) in memory


CLASSES = """begin early
begin global
11 11 706
1 1
end global
end early
"""


@pytest.mark.parametrize("flags", ["-O0", "-O2 -ffunction-sections"])
@pytest.mark.parametrize("target", TARGETS)
def test_classes_of_cpp(target: str, flags: str, tmp_path: Path) -> None:
    flags += " -std=c++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics"
    names = ("classes.cc", "classes_other.cc")
    objects = [compiled(name, target, flags) for name in names]
    output = linked([*objects], tmp_path / "p", target)
    assert printed(output, target) == (11, CLASSES)
    layout = link_layout(with_musl([*objects], target))
    assert layout.resolved.dropped, "both objects have the inline functions' groups"


# --- exceptions, and glibc's start code ----------------------------------------------------

EXCEPTIONS = r"""
#include <cstdio>
#include <stdexcept>
#include <string>
struct Watch { int n; ~Watch() { printf("unwound %d\n", n); } };
static int deep(int n) {
    Watch watch{n};
    if (n == 0) throw std::runtime_error("thrown");
    return deep(n - 1) + 1;
}
int main() {
    try { deep(2); } catch (const std::exception &error) { printf("%s\n", error.what()); }
    return 7;
}
"""


def of_gcc(compiler: str, name: str) -> Path:
    words = [compiler, f"-print-file-name={name}"]
    return Path(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip())


def glibc_inputs(compiler: str, item: Path, *libraries: str) -> list[Path]:
    begin = [of_gcc(compiler, name) for name in ("crt1.o", "crti.o", "crtbeginT.o")]
    names = [*libraries, "libgcc.a", "libgcc_eh.a", "libc.a"]
    end = [of_gcc(compiler, name) for name in ("crtend.o", "crtn.o")]
    return [*begin, item, *(of_gcc(compiler, name) for name in names), *end]


@pytest.mark.skipif(
    shutil.which("g++") is None or not of_gcc("g++", "libstdc++.a").is_file(),
    reason="needs g++ with its static libraries",
)
def test_exceptions_find_their_frames_with_libstdcpp(tmp_path: Path) -> None:
    source, item, output = tmp_path / "e.cc", tmp_path / "e.o", tmp_path / "e"
    source.write_text(EXCEPTIONS)
    subprocess.run(["g++", "-O1", "-c", str(source), "-o", str(item)], check=True)
    begin = glibc_inputs("g++", item, "libstdc++.a")
    link([*begin], output, LinkOptions(relro=True))
    expected = "unwound 0\nunwound 1\nunwound 2\nthrown\n"
    assert printed(output, "x86_64-linux") == (7, expected)


# --- frame descriptions --------------------------------------------------------------------

FRAMES = """
int used(int x) { return x + 1; }
int unused(int x) { return x + 2; }
int main(int argc, char **argv) { return used(argc); }
"""


@pytest.mark.parametrize("target", TARGETS)
def test_frames_of_what_was_left_out_are_left_out_and_the_index_finds_the_others(
    target: str, tmp_path: Path
) -> None:
    flags = "-O1 -fno-inline -ffunction-sections -fasynchronous-unwind-tables"
    item = compile_text(FRAMES, ".c", target, flags)
    assert linked([item], tmp_path / "p", target).stat().st_size
    output = linked([item], tmp_path / "p", target, LinkOptions(eh_frame_hdr=True))
    assert printed(output, target)[0] == 2
    with output.open("rb") as stream:
        file = ELFFile(stream)
        table: Any = file.get_section_by_name(".symtab")
        (used,) = table.get_symbol_by_name("used")
        assert table.get_symbol_by_name("unused") is None
        entries = [e for e in file.get_dwarf_info().EH_CFI_entries() if isinstance(e, FDE)]
        starts = {entry["initial_location"]: entry for entry in entries}
        assert used["st_value"] in starts
        assert starts[used["st_value"]]["address_range"] == used["st_size"]
        code: Any = file.get_section_by_name(".text")
        end = code["sh_addr"] + code["sh_size"]
        assert all(code["sh_addr"] <= start < end for start in starts)
        (segment,) = [s for s in file.iter_segments() if s["p_type"] == "PT_GNU_EH_FRAME"]
        described: Any = file.get_section_by_name(".eh_frame")
        frames = described["sh_addr"]
        data, base = segment.data(), segment["p_vaddr"]
    words = [int.from_bytes(data[i : i + 4], "little", signed=True) for i in range(4, len(data), 4)]
    assert base + 4 + words[0] == frames
    rows = {base + words[i]: base + words[i + 1] for i in range(2, 2 + 2 * words[1], 2)}
    assert list(rows) == sorted(rows)
    assert set(rows) == set(starts)
    assert {address - frames for address in rows.values()} == {e.offset for e in entries}


def test_without_an_unwinder_there_are_no_frames(tmp_path: Path) -> None:
    flags = "-O1 -fno-inline -ffunction-sections -fasynchronous-unwind-tables"
    item = compile_text(FRAMES, ".c", "x86_64-linux", flags)
    with linked([item], tmp_path / "p", "x86_64-linux").open("rb") as stream:
        assert ELFFile(stream).get_section_by_name(".eh_frame") is None


# --- merged strings and constants ------------------------------------------------------------

STRINGS = """
#include <stdio.h>
#include <wchar.h>
extern const char *other(void);
__attribute__((used)) static const char *dead(void) { return "nobody wants this"; }
int main(void) {
    const char *mine = "the longer text of both";
    const wchar_t *wide = L"wide";
    printf("%s|%s|%d|%d\\n", mine, other(), mine + 11 == other(), (int)wcslen(wide));
    return 0;
}
"""
OTHER_STRINGS = 'const char *other(void) { return "text of both"; }'


@pytest.mark.parametrize("target", TARGETS)
def test_equal_strings_and_ends_of_strings_are_stored_once(target: str, tmp_path: Path) -> None:
    flags = "-O1 -fno-builtin -ffunction-sections"
    objects = [compile_text(text, ".c", target, flags) for text in (STRINGS, OTHER_STRINGS)]
    output = linked([*objects], tmp_path / "p", target)
    assert printed(output, target) == (0, "the longer text of both|text of both|1|4\n")
    image = output.read_bytes()
    assert image.count(b"text of both\0") == 1
    assert b"nobody wants this" not in image, "a string of code that was left out"
    kept = linked([*objects], tmp_path / "q", target, LinkOptions(collect_garbage=False))
    assert b"nobody wants this" in kept.read_bytes()
    assert printed(kept, target)[0] == 0


def test_a_reference_beyond_a_merged_section_is_told() -> None:
    flags = elf.SHF_MERGE | elf.SHF_STRINGS
    text = Section(".rodata.str1.1", "rodata", b"a\0", flags=flags, entry_size=1)
    code = Section(".text", "code", bytes(4), alignment=4)
    item = ObjectFile("x.o", "x86_64", [text, code])
    place = Symbol(".rodata.str1.1", text, binding="local", kind="section")
    code.relocations.append(Relocation(0, "R_X86_64_PC32", place, 9))
    item.symbols += [place, Symbol("_start", code)]
    with pytest.raises(CallproofError, match=r"0x9 of the 2 bytes of \.rodata\.str1\.1"):
        link_bytes([item])


# --- identical code folding ----------------------------------------------------------------------

EQUAL = """
#include <stdio.h>
__attribute__((noinline)) int one(int x) { return x * 77 + 5; }
__attribute__((noinline)) int two(int x) { return x * 77 + 5; }
__attribute__((noinline)) int calls_one(int x) { return one(x) ^ 3; }
__attribute__((noinline)) int calls_two(int x) { return two(x) ^ 3; }
__attribute__((noinline)) int taken(int x) { return x * 78 + 5; }
__attribute__((noinline)) int also_taken(int x) { return x * 78 + 5; }
int (*volatile first)(int) = taken, (*volatile second)(int) = also_taken;
int main(int argc, char **argv) {
    printf("%d %d %d %d\\n", one(argc), two(argc + 1), calls_one(argc), calls_two(argc + 2));
    printf("%d %d\\n", first == second, first(1) + taken(1) + also_taken(2));
    return 0;
}
"""


@pytest.mark.parametrize("target", TARGETS)
def test_equal_functions_are_folded_if_nobody_takes_their_address(
    target: str, tmp_path: Path
) -> None:
    item = compile_text(EQUAL, ".c", target, "-O1 -ffunction-sections")
    output = linked([item], tmp_path / "p", target, LinkOptions(icf="safe"))
    assert printed(output, target) == (0, "82 159 81 239\n0 327\n")
    with output.open("rb") as stream:
        table: Any = ELFFile(stream).get_section_by_name(".symtab")
        places = {s.name: s["st_value"] for s in table.iter_symbols()}
    assert places["one"] == places["two"]
    assert places["calls_one"] == places["calls_two"], "they call the same function now"
    assert places["taken"] != places["also_taken"]
    with pytest.raises(CallproofError, match="--icf all"):
        linked([item], tmp_path / "q", target, LinkOptions(icf="all"))
