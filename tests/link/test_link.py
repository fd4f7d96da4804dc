"""The linker: what it makes, what it refuses, and that nothing makes it fall over."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.execute import run_image

from callproof import driver
from callproof.link import LinkOptions, link, link_bytes
from callproof.object import ObjectFile, Relocation, Section, Symbol, write_archive, write_elf
from callproof.runtime import runtime_files
from callproof.source import CallproofError

ROOT = Path(__file__).parent.parent.parent
RET = 0xD65F03C0


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def function(name: str, code: bytes, *relocations: tuple[int, str, Symbol]) -> ObjectFile:
    """An object with one global function; relocations are (offset, type, symbol)."""
    section = Section(f".text.{name}", "code", code, alignment=4)
    file = ObjectFile(f"{name}.o", sections=[section])
    file.symbols.append(Symbol(name, section, size=len(code), kind="function"))
    for offset, type_, symbol in relocations:
        section.relocations.append(Relocation(offset, type_, symbol))
        file.symbols.append(symbol)
    return file


def returns(name: str, number: int) -> ObjectFile:
    return function(name, words(0xD2800000 | number << 5, RET))


def calls(name: str, callee: str, type_: str = "R_AARCH64_JUMP26", **facts: Any) -> ObjectFile:
    return function(name, words(0x14000000), (0, type_, Symbol(callee, **facts)))


MAIN = LinkOptions(entry="main")


@cache
def program(inlining: bool = True) -> bytes:
    path = ROOT / "examples" / "colorpoint.bcl"
    compilation = driver.compile_file(path, driver.Options(inlining=inlining))
    files = runtime_files("aarch64-linux")
    inputs: list[Path | ObjectFile] = [files.crt1, compilation.object_file()]
    return link_bytes([*inputs, *files.libraries.values(), files.libc, files.compiler_rt])


def test_a_linked_program_is_a_proper_static_executable() -> None:
    file = ELFFile(io.BytesIO(program()))
    assert (file["e_type"], file["e_machine"]) == ("ET_EXEC", "EM_AARCH64")
    loads = [s for s in file.iter_segments() if s["p_type"] == "PT_LOAD"]
    flags = [s["p_flags"] for s in loads]
    assert flags == [4, 5, 6], "read, then code, then data: nothing is writable and executable"
    for segment in loads:
        assert segment["p_vaddr"] % segment["p_align"] == segment["p_offset"] % segment["p_align"]
        assert segment["p_filesz"] <= segment["p_memsz"]
    ends = [s["p_vaddr"] + s["p_memsz"] for s in loads]
    pages = [s["p_vaddr"] // 0x10000 for s in loads]
    assert all((end - 1) // 0x10000 < page for end, page in zip(ends, pages[1:], strict=False))
    code = loads[1]
    assert code["p_vaddr"] <= file["e_entry"] < code["p_vaddr"] + code["p_memsz"]
    stack = [s for s in file.iter_segments() if s["p_type"] == "PT_GNU_STACK"]
    assert [s["p_flags"] for s in stack] == [6]
    assert not [s for s in file.iter_sections() if s["sh_type"] in ("SHT_RELA", "SHT_REL")]


def test_symbols_name_the_functions_and_their_sizes() -> None:
    file = ELFFile(io.BytesIO(program()))
    table: Any = file.get_section_by_name(".symtab")
    sizes = {
        s.name: s["st_size"] for s in table.iter_symbols() if s["st_info"]["type"] == "STT_FUNC"
    }
    assert {"ColorPoint::CREATE", "START", "bcpl_start", "main", "_start"} <= set(sizes)
    assert all(sizes[name] for name in ("ColorPoint::CREATE", "START", "main"))
    assert "printf" not in sizes, "what nobody refers to is left out"


def test_equal_input_gives_equal_output() -> None:
    program.cache_clear()
    first = program()
    program.cache_clear()
    assert program() == first


def test_debug_lines_lead_to_the_source() -> None:
    from callproof.object.dwarf import LineTable

    file = ELFFile(io.BytesIO(program(inlining=False)))
    table: Any = file.get_section_by_name(".symtab")
    (create,) = table.get_symbol_by_name("ColorPoint::CREATE")
    found = LineTable.from_elf(program(inlining=False)).find(create["st_value"] + 16)
    assert found is not None
    name, path, line = found
    assert (name, Path(path).name) == ("ColorPoint::CREATE", "colorpoint.bcl")
    text = (ROOT / "examples" / "colorpoint.bcl").read_text().splitlines()[line - 1]
    assert "SUPER.CREATE(x, y)" in text
    dwarf = file.get_dwarf_info()
    names = [
        die.attributes["DW_AT_name"].value
        for unit in dwarf.iter_CUs()
        for die in unit.iter_DIEs()
        if die.tag == "DW_TAG_subprogram"
    ]
    assert b"ColorPoint::CREATE" in names


# --- resolution -----------------------------------------------------------------------------


def test_strong_beats_weak_in_any_order() -> None:
    weak, strong = returns("value", 1), returns("value", 2)
    weak.symbols[0].binding = "weak"
    for inputs in ([weak, strong], [strong, weak]):
        assert run_image(link_bytes([calls("main", "value"), *inputs], MAIN)) == 2


def test_archive_members_come_when_they_are_wanted(tmp_path: Path) -> None:
    archive = tmp_path / "lib.a"
    members = [("one.o", returns("one", 1)), ("a_member_with_a_long_name.o", returns("two", 2))]
    archive.write_bytes(write_archive([(name, write_elf(file)) for name, file in members]))
    image = link_bytes([calls("main", "two"), archive], MAIN)
    assert run_image(image) == 2
    table: Any = ELFFile(io.BytesIO(image)).get_section_by_name(".symtab")
    assert table.get_symbol_by_name("one") is None


def test_undefined_names_are_told_all_at_once_with_who_needs_them() -> None:
    inputs = [calls("main", "missing"), calls("other", "absent"), returns("mising", 1)]
    with pytest.raises(CallproofError) as caught:
        link_bytes(inputs, MAIN)
    text = str(caught.value)
    assert "'missing' is not defined anywhere" in text
    assert "needed by main.o" in text
    assert "'absent' is not defined anywhere" in text
    assert "did you mean 'mising'?" in text


def test_duplicate_definitions_name_both_files() -> None:
    first, second = returns("value", 1), returns("value", 2)
    first.name, second.name = "first.o", "second.o"
    with pytest.raises(CallproofError) as caught:
        link_bytes([calls("main", "value"), first, second], MAIN)
    assert "'value' is defined more than once" in str(caught.value)
    assert "first.o" in str(caught.value)
    assert "second.o" in str(caught.value)


def test_a_missing_entry_point_is_an_error() -> None:
    with pytest.raises(CallproofError, match=r"'_start' is not defined anywhere"):
        link_bytes([returns("main", 1)])


def test_a_call_of_an_undefined_weak_function_goes_on() -> None:
    code = words(0x94000000, 0xD2800000 | 5 << 5, RET)  # bl; mov x0, #5; ret
    file = function("main", code, (0, "R_AARCH64_CALL26", Symbol("maybe", binding="weak")))
    assert run_image(link_bytes([file], MAIN)) == 5


def test_a_common_symbol_is_zeroed_memory_of_the_largest_size() -> None:
    code = words(0x90000000, 0xF9400000, RET)  # adrp x0; ldr x0, [x0]; ret
    common = Symbol("shared", common=8, value=8, kind="object")
    larger = ObjectFile("b.o", symbols=[Symbol("shared", common=64, value=16, kind="object")])
    relocations = (
        (0, "R_AARCH64_ADR_PREL_PG_HI21", common),
        (4, "R_AARCH64_LDST64_ABS_LO12_NC", common),
    )
    assert run_image(link_bytes([function("main", code, *relocations), larger], MAIN)) == 0


# --- veneers -----------------------------------------------------------------------------------


def test_branches_beyond_their_reach_go_through_veneers() -> None:
    """The reach is made small, so that 40 functions of 4 KiB behave like 400 MB of code."""
    filler = words(*[0xD503201F] * 1023, RET)
    inputs = [calls("main", "far", "R_AARCH64_JUMP26")]
    for number in range(40):
        inputs.append(function(f"pad{number}", filler))
        inputs[0].symbols.append(Symbol(f"pad{number}"))
    inputs.append(calls("far", "main2"))
    inputs.append(returns("main2", 9))
    options = LinkOptions(entry="main", collect_garbage=False, reach=1 << 15)
    assert run_image(link_bytes(inputs, options)) == 9


def test_a_branch_out_of_reach_is_never_left_wrong() -> None:
    far = Symbol("far", value=1 << 40, absolute=True)
    file = function("main", words(0x94000000, RET), (0, "R_AARCH64_CALL26", far))
    with pytest.raises(CallproofError, match=r"R_AARCH64_CALL26 to 'far': .* is out of reach"):
        link_bytes([file], MAIN)


# --- bad input ------------------------------------------------------------------------


@cache
def good_object() -> bytes:
    path = ROOT / "examples" / "fib.bcl"
    return write_elf(driver.compile_file(path, driver.Options()).object_file())


@cache
def good_archive() -> bytes:
    return write_archive([("fib.o", good_object()), ("x.o", write_elf(returns("x", 1)))])


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_mutated_inputs_end_in_a_diagnostic(tmp_path: Path, data: st.DataObject) -> None:
    original = data.draw(st.sampled_from([good_object(), good_archive()]))
    mutated = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(mutated) - 1))
        mutated[position] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del mutated[data.draw(st.integers(0, len(mutated))) :]
    path = tmp_path / "mutated.o"
    path.write_bytes(mutated)
    output = tmp_path / "out"
    output.write_text("as it was")
    try:
        link([path, calls("_start", "bcpl_start")], output)
    except CallproofError as error:
        assert str(error)
        assert output.read_text() == "as it was"


@pytest.mark.parametrize("length", [0, 3, 4, 63, 64, 100, 1000])
def test_truncated_objects_are_told(length: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.o"
    path.write_bytes(good_object()[:length])
    with pytest.raises(CallproofError, match=r"cut\.o"):
        link_bytes([path, returns("_start", 1)])
