"""300 MB of code: where veneers go, without the 300 MB; and the real thing when asked for."""

from __future__ import annotations

import mmap
import os
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from tests.link.test_link import calls, function, returns, words
from tests.support.foreign import printed

from callproof.link import BRANCH_REACH, LinkOptions, link
from callproof.link.collect import collect
from callproof.link.layout import Layout, lay_out
from callproof.link.link_map import link_map
from callproof.link.resolve import resolve
from callproof.object import ObjectFile, Relocation, Section, Symbol, write_elf

MEGABYTE = 1 << 20
OPTIONS = LinkOptions(entry="main", collect_garbage=False)


def sparse(name: str, size: int) -> ObjectFile:
    """A function of so many bytes of which none is in memory until it is read."""
    data = memoryview(mmap.mmap(-1, size))
    section = Section(f".text.{name}", "code", data, alignment=4096)
    symbol = Symbol(name, section, size=size, kind="function")
    return ObjectFile(f"{name}.o", sections=[section], symbols=[symbol])


def program() -> list[ObjectFile]:
    """main -> far (behind 300 MB) -> near_main, and a call each way over every gap."""
    inputs = [calls("main", "far", "R_AARCH64_JUMP26")]
    for number in range(10):
        inputs.append(sparse(f"gap{number}", 30 * MEGABYTE))
        inputs.append(calls(f"middle{number}", "main" if number % 2 else "last"))
    inputs.append(calls("far", "near_main"))
    inputs.append(returns("last", 8))
    inputs.insert(1, returns("near_main", 9))
    return inputs


def laid_out(inputs: list[ObjectFile]) -> Layout:
    resolved = resolve(inputs, OPTIONS)
    collect(resolved, OPTIONS)
    return lay_out(resolved, OPTIONS)


def test_every_branch_over_300_megabytes_reaches_a_veneer() -> None:
    inputs = program()
    layout = laid_out(inputs)
    low, high = layout.bounds("code")
    assert high - low > 300 * MEGABYTE
    assert layout.veneers is not None
    # The contents are still those of nobody: only addresses were made.
    assert all(not piece.data for output in layout.outputs() for piece in output.pieces)
    targets = dict(layout.veneers.planned())
    through = 0
    for piece in layout.segments[1].sections[0].pieces:
        for relocation in piece.section.relocations:
            symbol = layout.resolved.meaning(relocation.symbol)
            assert symbol is not None
            address, place = layout.address_of(symbol), piece.address + relocation.offset
            assert address is not None
            if abs(address - place) >= BRANCH_REACH:
                veneer = layout.veneers.target(piece, symbol, relocation.addend)
                assert veneer is not None
                assert abs(veneer - place) < BRANCH_REACH
                assert targets[veneer] == address
                through += 1
    assert through >= 6
    spans = [(p.address, p.address + p.size) for p in layout.segments[1].sections[0].pieces]
    spans += [(address, address + 12) for address in targets]
    spans.sort()
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_section_larger_than_the_reach_is_left_in_peace() -> None:
    """Its own branches, beyond any island, are refused and not left wrong."""
    big = sparse("big", 300 * MEGABYTE)
    big.sections[0].relocations.append(
        Relocation(150 * MEGABYTE, "R_AARCH64_CALL26", Symbol("last"))
    )
    big.symbols.append(big.sections[0].relocations[0].symbol)
    layout = laid_out([returns("main", 1), big, returns("last", 2)])
    (piece,) = [p for p in layout.segments[1].sections[0].pieces if p.size > MEGABYTE]
    assert layout.veneers is not None
    relocation = piece.section.relocations[0]
    veneer = layout.veneers.target(piece, layout.resolved.names["last"].symbol, 0)
    place = piece.address + relocation.offset
    assert veneer is not None
    assert abs(veneer - place) >= BRANCH_REACH


@pytest.mark.skipif(not os.environ.get("CALLPROOF_HUGE"), reason="CALLPROOF_HUGE=1 asks for it")
def test_a_program_of_300_megabytes_runs(tmp_path: Path) -> None:
    exit_code = (0xD2800BA8, 0xD4000001)  # mov x8, #93; svc #0
    start = function("_start", words(0x94000000, *exit_code), (0, "R_AARCH64_CALL26", Symbol("a")))
    inputs = [start, *program()]
    inputs.append(calls("a", "main"))
    path = tmp_path / "huge"
    layout = link(inputs, path, LinkOptions(collect_garbage=False))
    assert path.stat().st_size > 300 * MEGABYTE
    assert "a veneer" in link_map(layout)
    assert printed(path, "aarch64-linux") == (9, "")
    joined = []
    for number, file in enumerate(inputs):
        joined.append(tmp_path / f"{number}.o")
        joined[-1].write_bytes(write_elf(file))
    words_ = ["aarch64-linux-gnu-ld", "-o", str(tmp_path / "theirs"), *map(str, joined)]
    subprocess.run(words_, check=True)
    assert printed(tmp_path / "theirs", "aarch64-linux") == (9, "")
