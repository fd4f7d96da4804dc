"""Code that stands for a call: by hand, as an inliner would make it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from callproof.codegen.backend import compile_module
from callproof.codegen.objects import build_object
from callproof.ir.debug import BaseType, DebugFunction, DebugModule, Place, inlined
from callproof.ir.model import Module
from callproof.ir.parse import parse_module
from callproof.object import write_elf
from callproof.target import by_name

# main, line 2; twice, inlined at main's line 2, line 12; once, inlined at twice's line 12.
TEXT = """\
function @main(a: i64) -> i64 {
^entry(%a: i64):
  %b = add i64 %a, 1
  %c = mul i64 %b, %b
  %d = xor i64 %c, 5
  %e = sub i64 %d, %a
  return %e
}
"""


def place(line: int, owner: DebugFunction) -> Place:
    found = Place(line)
    found.owner, found.scope, found.values = owner, owner.scope, {}
    return found


def module() -> tuple[Module, list[DebugFunction]]:
    made = parse_module(TEXT, "main.bcl")
    word = BaseType("WORD", "signed", 8)
    main = DebugFunction("main", "main.bcl", 1, result=word)
    twice = DebugFunction("twice", "other.bcl", 11, result=word)
    once = DebugFunction("once", "main.bcl", 21, result=word)
    function = made.functions["main"]
    function.debug = main
    made.debug = DebugModule("bcpl", functions={"main": main})
    call = place(2, main)
    inner = place(12, twice)
    lines = [
        place(2, main),
        inlined(inner, call),
        inlined(inlined(place(22, once), inner), call),
        inlined(place(13, twice), call),
        place(3, main),
    ]
    instructions = function.entry.instructions
    for instruction, line in zip(instructions, lines, strict=True):
        instruction.line = line
    return made, [main, twice, once]


def child(entry: Any, tag: str) -> Any:
    (found,) = [one for one in entry.iter_children() if one.tag == tag]
    return found


@pytest.mark.parametrize("target", ["aarch64-linux", "x86_64-linux"])
def test_inlined_calls_have_entries_and_lines_of_their_own(target: str) -> None:
    made, _ = module()
    compiled = compile_module(made, by_name(target), verify=True)
    file = build_object(made, compiled.functions, compiled.pool, compiled.target, "main.bcl")
    dwarf: Any = ELFFile(BytesIO(write_elf(file))).get_dwarf_info()
    (unit,) = dwarf.iter_CUs()
    functions = [
        one for one in unit.get_top_DIE().iter_children() if one.tag == "DW_TAG_subprogram"
    ]
    main = next(one for one in functions if "DW_AT_low_pc" in one.attributes)
    outer = child(main, "DW_TAG_inlined_subroutine")
    inner = child(outer, "DW_TAG_inlined_subroutine")
    for entry, name, line, file_ in ((outer, b"twice", 2, 0), (inner, b"once", 12, 1)):
        origin = entry.get_DIE_from_attribute("DW_AT_abstract_origin")
        assert origin.attributes["DW_AT_name"].value == name
        assert origin.attributes["DW_AT_inline"].value == 1
        assert entry.attributes["DW_AT_call_line"].value == line
        assert entry.attributes["DW_AT_call_file"].value == file_
    lists = dwarf.range_lists()

    def ranges(entry: Any) -> list[tuple[int, int]]:
        found = lists.get_range_list_at_offset(entry.attributes["DW_AT_ranges"].value, cu=unit)
        return [(one.begin_offset, one.end_offset) for one in found if hasattr(one, "end_offset")]

    ((start, end),) = ranges(outer)
    ((first, last),) = ranges(inner)
    assert start < first < last < end, "the inner call is inside the outer one"
    program = dwarf.line_program_for_CU(unit)
    names = [one.name for one in program.header.file_entry]
    rows = [
        (names[one.state.file], one.state.line)
        for one in program.get_entries()
        if one.state is not None and not one.state.end_sequence
    ]
    wanted = [
        (b"main.bcl", 2),
        (b"other.bcl", 12),
        (b"main.bcl", 22),
        (b"other.bcl", 13),
        (b"main.bcl", 3),
    ]
    assert [row for row in rows if row in wanted] == wanted


def test_plain_lines_stay_plain() -> None:
    assert inlined(7, 3) == 7 and type(inlined(7, 3)) is int
