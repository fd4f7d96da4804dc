"""What `callproof link` is told and asked: wrap, defsym, build id, map, explain."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from tests.link.test_link import calls, function, returns, words
from tests.support.execute import run_image

from callproof.link import GivenSymbol, LinkOptions, link_bytes, link_layout
from callproof.link.executable import write_executable
from callproof.link.explain import explain
from callproof.link.link_map import link_map
from callproof.object import ObjectFile, Symbol, write_archive, write_elf
from callproof.source import CallproofError

RET = 0xD65F03C0


def options(**facts: Any) -> LinkOptions:
    return LinkOptions(entry="main", **facts)


# --- wrap and defsym ----------------------------------------------------------------------


def test_wrapped_references_mean_the_wrapper_and_real_means_the_original() -> None:
    # main calls value; __wrap_value calls __real_value, which gives 4, and adds 10.
    code = words(0xF81F0FFE, 0x94000000, 0x91002800, 0xF84107FE, RET)
    wrapper = function("__wrap_value", code, (4, "R_AARCH64_CALL26", Symbol("__real_value")))
    inputs = [calls("main", "value"), returns("value", 4), wrapper]
    assert run_image(link_bytes(inputs, options(wrap=("value",)))) == 14
    # Without the option the wrapper is an ordinary function that nobody calls.
    with pytest.raises(CallproofError, match="'__real_value' is not defined"):
        link_bytes(inputs, options())


def test_a_wrapped_name_that_nobody_wraps_is_reported_under_its_new_name() -> None:
    with pytest.raises(CallproofError, match="'__wrap_value' is not defined anywhere"):
        link_bytes([calls("main", "value"), returns("value", 4)], options(wrap=("value",)))


def test_a_given_symbol_may_name_another_one_and_wins() -> None:
    inputs = [calls("main", "value"), returns("value", 4), returns("other", 6)]
    given = dict([GivenSymbol.parse("value=other")])
    assert run_image(link_bytes(inputs, options(definitions=given))) == 6


def test_a_given_symbol_may_be_an_address_beside_another() -> None:
    two = function("pair", words(0xD2800000 | 1 << 5, RET, 0xD2800000 | 2 << 5, RET))
    given = dict([GivenSymbol.parse("second=pair+8")])
    assert run_image(link_bytes([calls("main", "second"), two], options(definitions=given))) == 2


def test_a_given_symbol_takes_its_base_from_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "lib.a"
    archive.write_bytes(write_archive([("five.o", write_elf(returns("five", 5)))]))
    given = dict([GivenSymbol.parse("value=five")])
    image = link_bytes([calls("main", "value"), archive], options(definitions=given))
    assert run_image(image) == 5


@pytest.mark.parametrize("text", ["value", "=1", "a=b+", "a=1b", "a=b+c", "a=0x1" + "0" * 16])
def test_a_wrong_definition_is_told(text: str) -> None:
    with pytest.raises(CallproofError, match="--defsym"):
        GivenSymbol.parse(text)


def test_a_given_symbol_beside_nothing_is_told() -> None:
    given = dict([GivenSymbol.parse("value=nothing+4")])
    with pytest.raises(CallproofError, match="'nothing' is not defined anywhere"):
        link_bytes([calls("main", "value")], options(definitions=given))


# --- build id -------------------------------------------------------------------------------


def test_the_build_id_is_the_hash_of_the_file_without_it() -> None:
    image = link_bytes([returns("main", 3)], options(build_id=True))
    assert run_image(image) == 3
    file = ELFFile(io.BytesIO(image))
    section: Any = file.get_section_by_name(".note.gnu.build-id")
    (note,) = section.iter_notes()
    assert note["n_type"] == "NT_GNU_BUILD_ID"
    found = bytes.fromhex(note["n_desc"])
    start = image.index(found)
    blank = image[:start] + bytes(20) + image[start + 20 :]
    assert hashlib.sha1(blank).digest() == found
    (segment,) = [s for s in file.iter_segments() if s["p_type"] == "PT_NOTE"]
    assert segment["p_offset"] + segment["p_filesz"] == start + 20
    other = link_bytes([returns("main", 4)], options(build_id=True))
    assert found not in other


# --- explain and the map --------------------------------------------------------------------


def three(tmp_path: Path) -> list[Path | ObjectFile]:
    """main (an object) -> middle and leaf (members of an archive); `unused` is never wanted."""
    archive = tmp_path / "lib.a"
    members = [
        ("middle.o", calls("middle", "leaf")),
        ("leaf.o", returns("leaf", 7)),
        ("unused.o", returns("unused", 1)),
    ]
    archive.write_bytes(write_archive([(name, write_elf(file)) for name, file in members]))
    return [calls("main", "middle"), archive]


def test_explain_tells_who_pulled_it_where_it_is_and_who_uses_it(tmp_path: Path) -> None:
    layout = link_layout(three(tmp_path), options())
    image = write_executable(layout)
    (found,) = explain(layout, "leaf")
    table: Any = ELFFile(io.BytesIO(image)).get_section_by_name(".symtab")
    (symbol,) = table.get_symbol_by_name("leaf")
    (middle,) = table.get_symbol_by_name("middle")
    assert found.address == symbol["st_value"]
    assert found.text().replace(str(tmp_path), "") == (
        f"leaf: global function of 8 bytes, at {symbol['st_value']:#x}\n"
        "  defined in   /lib.a(leaf.o), .text.leaf\n"
        "  in because   /lib.a(middle.o) wants 'leaf', which this member defines\n"
        "  kept because main is the entry point\n"
        "               main of main.o refers to middle (R_AARCH64_JUMP26)\n"
        "               middle of /lib.a(middle.o) refers to leaf (R_AARCH64_JUMP26)\n"
        "  used by      1 relocation\n"
        f"    {middle['st_value']:#x} R_AARCH64_JUMP26 in middle "
        "(/lib.a(middle.o), .text.middle+0x0)"
    )


def test_explain_tells_what_was_left_out_and_who_lost(tmp_path: Path) -> None:
    weak, strong = returns("value", 1), returns("value", 2)
    weak.name, strong.name = "weak.o", "strong.o"
    weak.symbols[0].binding = "weak"
    inputs = [calls("main", "value"), weak, strong, calls("alone", "value")]
    layout = link_layout(inputs, options())
    (found,) = explain(layout, "value")
    assert found.losers == ["the weak one of weak.o"]
    assert [use.address is None for use in found.uses] == [False, True]
    (alone,) = explain(layout, "alone")
    assert "left out: nothing that is kept refers to it" in alone.text()


def test_explain_knows_names_that_are_not_in(tmp_path: Path) -> None:
    layout = link_layout(three(tmp_path), options())
    with pytest.raises(CallproofError, match=r"nothing needed it \(.*lib.a\(unused.o\) defines it"):
        explain(layout, "unused")
    with pytest.raises(CallproofError, match="did you mean 'middle'"):
        explain(layout, "midle")
    with pytest.raises(CallproofError, match="'_end' is a symbol of the linker"):
        explain(layout, "_end")


def test_the_map_shows_members_addresses_and_what_was_left_out(tmp_path: Path) -> None:
    inputs = three(tmp_path)
    inputs.append(returns("dead", 1))
    layout = link_layout(inputs, options())
    image = write_executable(layout)
    text = link_map(layout)
    table: Any = ELFFile(io.BytesIO(image)).get_section_by_name(".symtab")
    members, memory, left_out = (
        text[text.index(a) : text.index(b) if b else None]
        for a, b in (("Members", "Memory"), ("Memory", "Left out"), ("Left out", ""))
    )
    assert "lib.a(leaf.o)  (" in members and "wants leaf)" in members
    for name in ("main", "middle", "leaf"):
        (symbol,) = table.get_symbol_by_name(name)
        assert any(
            line.split() == [f"{symbol['st_value']:#x}", name] for line in memory.splitlines()
        )
    assert left_out.split("\n\n")[1].split() == ["0x8", "dead.o:", ".text.dead"]
