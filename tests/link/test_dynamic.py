"""Programs for the system's loader: position-independent or not, with shared libraries."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from tests.support.shared_libraries import (
    EXPECTED,
    LIBRARY,
    PROGRAM,
    compiled,
    shared_library,
    why_not,
)

from callproof import driver
from callproof.driver import Options
from callproof.link import Input, LinkOptions, link_layout
from callproof.link.explain import explain
from callproof.link.link_map import link_map
from callproof.linked_with import with_runtime
from callproof.run import run
from callproof.source import CallproofError

MACHINES = ("x86_64", "aarch64")
Built = Callable[[str], Path]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The folder of a machine's small library."""
    known: dict[str, Path] = {}

    def build(machine: str) -> Path:
        if machine not in known:
            known[machine] = tmp_path_factory.mktemp(f"library-{machine}")
            shared_library(known[machine], machine)
        return known[machine]

    return build


def linked(machine: str, inputs: list[Path], output: Path, **choices: Any) -> Path:
    options = Options(target=f"{machine}-linux")
    choices.setdefault("dynamic", True)
    driver.link_inputs(inputs, output, options, choices=LinkOptions(**choices))
    return output


def output_of(path: Path, status: int = 0) -> str:
    stream = io.BytesIO()
    environment = {**os.environ, "WANTED": "1"}
    result = run(path, [], stdout=stream, environment=environment)
    assert (result.exit_status, result.on != "emulator") == (status, True)
    return stream.getvalue().decode()


def section(path: Path, name: str) -> Any:
    with path.open("rb") as stream:
        found: Any = ELFFile(stream).get_section_by_name(name)
        if found is None:
            return None
        if name.startswith(".rela"):
            return [(r["r_info_type"], r["r_offset"]) for r in found.iter_relocations()]
        if name == ".dynamic":
            return [
                (tag.entry.d_tag, getattr(tag, "needed", None) or tag.entry.d_val)
                for tag in found.iter_tags()
            ]
        return found.data()


CODE = {
    "fixed": (("-fno-pic",), {}),
    "pie": (("-fPIE",), {"pie": True}),
    "pic": (("-fPIC", "-fno-plt"), {"pie": True, "relr": True}),
    "descriptors": (("-fPIC", "-ftls-model=global-dynamic"), {"export_dynamic": True}),
}


@pytest.mark.parametrize("kind", CODE)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_program_with_a_library(machine: str, kind: str, library: Built, tmp_path: Path) -> None:
    if reason := why_not(machine):
        pytest.skip(reason)
    flags, choices = CODE[kind]
    folder = library(machine)
    # A copy of what the library protects would not be what it uses: taken by its address only.
    text = PROGRAM if kind in ("pic", "descriptors") else without_guarded(PROGRAM)
    item = compiled(tmp_path, machine, "program", text, *flags)
    output = linked(
        machine,
        [item, folder / "libdemo.so"],
        tmp_path / "program",
        rpath=(str(folder),),
        **choices,
    )
    expected = EXPECTED if text is PROGRAM else EXPECTED.replace("77\n", "")
    assert output_of(output, status=3) == expected
    needed = [value for tag, value in section(output, ".dynamic") if tag == "DT_NEEDED"]
    assert needed == ["libdemo.so.1", "libm.so.6", "libc.so.6"]
    assert (section(output, ".relr.dyn") is not None) == bool(choices.get("relr"))
    with output.open("rb") as stream:
        file: Any = ELFFile(stream)
        assert file["e_type"] == ("ET_DYN" if choices.get("pie") else "ET_EXEC")
        relro = next(s for s in file.iter_segments() if s["p_type"] == "PT_GNU_RELRO")
        got = file.get_section_by_name(".dynamic")
        assert relro["p_vaddr"] <= got["sh_addr"] < relro["p_vaddr"] + relro["p_memsz"]
        assert (relro["p_vaddr"] + relro["p_memsz"]) % 0x1000 == 0
        names = {s.name: s["st_value"] for s in file.get_section_by_name(".dynsym").iter_symbols()}
        assert "called_back" in names and "interposed" in names
        assert ("main" in names) == bool(choices.get("export_dynamic"))
        # Where code takes their addresses as such, those of the program are everybody's.
        is_placed = bool(names["triple"]) and bool(names["shared"])
        assert is_placed == (kind == "fixed")


def without_guarded(text: str) -> str:
    lines = [line for line in text.splitlines() if "guarded" not in line]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("machine", MACHINES)
def test_versions_and_hashes_are_as_other_tools_read_them(
    machine: str, library: Built, tmp_path: Path
) -> None:
    if reason := why_not(machine):
        pytest.skip(reason)
    folder = library(machine)
    text = without_guarded(PROGRAM)
    item = compiled(tmp_path, machine, "program", text, "-fPIE")
    output = linked(machine, [item, folder / "libdemo.so"], tmp_path / "program", pie=True)
    with output.open("rb") as stream:
        file: Any = ELFFile(stream)
        table = file.get_section_by_name(".dynsym")
        versions = file.get_section_by_name(".gnu.version")
        needs = {
            aux["vna_other"]: (need.name, aux.name)
            for need, auxiliaries in file.get_section_by_name(".gnu.version_r").iter_versions()
            for aux in auxiliaries
        }
        of_symbol = {
            symbol.name: needs.get(versions.get_symbol(number)["ndx"])
            for number, symbol in enumerate(table.iter_symbols())
        }
        assert of_symbol["twice"] == ("libdemo.so.1", "V2")
        assert of_symbol["triple"] == ("libdemo.so.1", "V1")
        assert of_symbol["printf"][0] == "libc.so.6" if of_symbol["printf"] else False
        assert of_symbol["called_back"] is None
        plain, gnu = (file.get_section_by_name(name) for name in (".hash", ".gnu.hash"))
        first = gnu.params["symoffset"]
        for number, symbol in enumerate(table.iter_symbols()):
            if number:
                assert plain.get_symbol(symbol.name)["st_value"] == symbol["st_value"]
                found = gnu.get_symbol(symbol.name)
                assert (found is not None) == (number >= first)
        assert gnu.get_number_of_symbols() == plain.get_number_of_symbols() == number + 1
        assert first <= number


def test_a_symbol_of_an_old_version_can_be_asked_for(library: Built, tmp_path: Path) -> None:
    machine = "x86_64"
    if reason := why_not(machine):
        pytest.skip(reason)
    folder = library(machine)
    text = r"""
    #include <stdio.h>
    extern int old(int), called(int);
    __asm__(".symver old, twice@V1");
    int called_back(int x) { return x; }
    int main(void) { printf("%d\n", old(4)); return 0; }
    """
    item = compiled(tmp_path, machine, "old", text, "-fPIE")
    inputs = [item, folder / "libdemo.so"]
    output = linked(machine, inputs, tmp_path / "old", rpath=(str(folder),))
    assert output_of(output) == "1008\n"


def test_libraries_that_are_not_needed(library: Built, tmp_path: Path) -> None:
    machine = "x86_64"
    if reason := why_not(machine):
        pytest.skip(reason)
    item = compiled(tmp_path, machine, "none", "int main(void) { return 0; }")
    inputs = [item, library(machine) / "libdemo.so"]
    for lazy, expected in ((False, ["libdemo.so.1", "libc.so.6"]), (True, ["libc.so.6"])):
        output = linked(machine, inputs, tmp_path / "none", as_needed=lazy)
        needed = [value for tag, value in section(output, ".dynamic") if tag == "DT_NEEDED"]
        assert needed == expected


REFUSED = {
    "a text relocation": (
        '__asm__(".text\\n.quad triple\\n"); extern int triple(int);'
        "int main(void) { return triple(1); }",
        "-fPIE",
        {"pie": True},
        "text relocation",
    ),
    "a fixed address in a position-independent program": (
        "int x; int *f(void) { return &x; } int main(void) { return f() != 0; }",
        "-fno-pic",
        {"pie": True},
        "compile with -fPIE",
    ),
    "a copy of protected data": (
        "extern int guarded; int main(void) { return guarded; }",
        "-fno-pic",
        {},
        "goes on using its own",
    ),
    "a library's thread-local at a fixed offset": (
        "extern __thread long of_thread; int main(void) { return of_thread; }",
        "-ftls-model=local-exec",
        {},
        "at no fixed offset",
    ),
    "what nobody defines": (
        "extern int nowhere(void); int main(void) { return nowhere(); }",
        "-fPIE",
        {},
        "'nowhere' is not defined anywhere",
    ),
    "data that is called": (
        "extern int shared(void); int main(void) { return shared(); }",
        "-fPIE",
        {},
        "it is not a function",
    ),
    "a weak name's distance": (
        '__asm__(".weak absent\\n.text\\nlea absent(%rip), %rax\\n");int main(void) { return 0; }',
        "-fPIE",
        {"pie": True},
        "an undefined weak name is not known",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused(what: str, library: Built, tmp_path: Path) -> None:
    if reason := why_not("x86_64"):
        pytest.skip(reason)
    text, flag, choices, message = REFUSED[what]
    item = compiled(tmp_path, "x86_64", "refused", text, flag)
    with pytest.raises(CallproofError, match=message) as caught:
        linked("x86_64", [item, library("x86_64") / "libdemo.so"], tmp_path / "out", **choices)
    assert not (tmp_path / "out").exists()
    assert "refused.o" in str(caught.value)


def test_a_library_needs_a_dynamic_link_and_its_own_machine(library: Built, tmp_path: Path) -> None:
    path = library("x86_64") / "libdemo.so"
    item = compiled(tmp_path, "x86_64", "p", "int main(void) { return 0; }")
    with pytest.raises(CallproofError, match=r"libdemo\.so is a shared library, which needs"):
        linked("x86_64", [item, path], tmp_path / "out", dynamic=False)
    other = compiled(tmp_path, "aarch64", "q", "int main(void) { return 0; }")
    if reason := why_not("aarch64"):
        pytest.skip(reason)
    with pytest.raises(CallproofError, match=r"libdemo\.so is for x86_64, not aarch64"):
        linked("aarch64", [other, path], tmp_path / "out")


def test_a_symbolic_library_keeps_its_own_data(tmp_path: Path) -> None:
    machine = "x86_64"
    if reason := why_not(machine):
        pytest.skip(reason)
    shared_library(tmp_path, machine, "sym", LIBRARY, "-Wl,-Bsymbolic")
    item = compiled(
        tmp_path, machine, "p", "extern int shared; int main(void) { return shared; }", "-fno-pic"
    )
    with pytest.raises(CallproofError, match="goes on using its own; compile with -fPIC"):
        linked(machine, [item, tmp_path / "libsym.so"], tmp_path / "out")


STATIC = r"""
#include <stdio.h>
static int own = 3;
int *pointer = &own;
const char *const words[] = {"one", "two"};
_Thread_local int mine[2] __attribute__((aligned(64))) = {21, 22};
static char large[70000];
char *const inside[] = {large, large + 69999, large + 1};
extern int absent(void) __attribute__((weak));
static int chosen(void) { return 5; }
__attribute__((used)) int (*resolve(void))(void) { return chosen; }
__asm__(".globl choice\n.type choice, %gnu_indirect_function\n.set choice, resolve");
extern int choice(void);
int (*const choices[])(void) = {choice};
__attribute__((constructor)) static void begin(void) { puts("begin"); }
int main(void) {
    int (*volatile called)(void) = choices[0];
    printf("%d %d\n", choice() + called(), called == choice);
    printf("%d %s %d %d %d\n", *pointer, words[1], mine[1] + (int)((unsigned long)mine & 63),
           (int)(inside[1] - inside[0]), absent ? absent() : -1);
    return 4;
}
"""


@pytest.mark.parametrize("relr", [False, True])
@pytest.mark.parametrize("machine", MACHINES)
def test_a_static_program_relocates_itself(machine: str, relr: bool, tmp_path: Path) -> None:
    item = compiled(tmp_path, machine, "static", STATIC, "-fPIE")
    output = linked(machine, [item], tmp_path / "static", dynamic=False, pie=True, relr=relr)
    for place in (None, "emulator"):
        stream = io.BytesIO()
        result = run(output, [], on=place, stdout=stream)
        assert result.exit_status == 4
        assert stream.getvalue() == b"begin\n10 1\n3 two 22 69999 -1\n"
    tags = dict(section(output, ".dynamic"))
    assert "DT_NEEDED" not in tags and ("DT_RELR" in tags) == relr
    if relr:
        rows = section(output, ".rela.dyn")
        assert rows is None and tags["DT_RELRSZ"] < 8 * 100
    else:
        assert tags["DT_RELACOUNT"] == len(section(output, ".rela.dyn"))


def test_explain_tells_how_the_program_comes_by_it(library: Built, tmp_path: Path) -> None:
    if reason := why_not("x86_64"):
        pytest.skip(reason)
    text = without_guarded(PROGRAM)
    items: list[Input] = [
        compiled(tmp_path, "x86_64", "program", text, "-fno-pic"),
        library("x86_64") / "libdemo.so",
    ]
    options = Options(target="x86_64-linux")
    choices = LinkOptions(dynamic=True)
    layout = link_layout(with_runtime(items, options, choices), choices)

    def told(name: str) -> str:
        return explain(layout, name)[0].text()

    assert "by the entry of .plt at 0x" in told("twice")
    assert "(version V2)" in told("twice") and "everybody" not in told("twice")
    assert "which is its address for everybody" in told("triple")
    assert "object of 4 bytes, copied to 0x" in told("shared")
    assert "thread-local object" in told("of_thread") and "by words that" in told("of_thread")
    assert "shared libraries may see called_back" in told("called_back")
    assert "R_X86_64_PLT32-0x4 in main (" in told("twice")
    assert "libdemo.so" not in link_map(layout).split("Memory")[0]


def test_equal_input_gives_equal_output(library: Built, tmp_path: Path) -> None:
    if reason := why_not("x86_64"):
        pytest.skip(reason)
    item = compiled(tmp_path, "x86_64", "program", without_guarded(PROGRAM), "-fPIE")
    inputs = [item, library("x86_64") / "libdemo.so"]
    one, two = (
        linked("x86_64", inputs, tmp_path / name, pie=True, relr=True) for name in ("one", "two")
    )
    assert one.read_bytes() == two.read_bytes()
