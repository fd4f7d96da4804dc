"""Loads of addresses from the GOT on AArch64, made additions where a link knows the address.

`adrp x, :got:s; ldr x, [x, :got_lo12:s]` becomes `adrp x, s; add x, x, :lo12:s` (ELF for the
Arm 64-bit Architecture, relocation optimization), if the two stand together and use one
register: then nobody else reads the page.  All of a section's loads of a symbol are like that,
or none is changed.
"""

from __future__ import annotations

from collections.abc import Iterable

from callproof.link.resolve import Resolved
from callproof.object.model import Relocation, Section

PAGE, LOAD = "R_AARCH64_ADR_GOT_PAGE", "R_AARCH64_LD64_GOT_LO12_NC"
DIRECT = {PAGE: "R_AARCH64_ADR_PREL_PG_HI21", LOAD: "R_AARCH64_ADD_ABS_LO12_NC"}

NONE: frozenset[int] = frozenset()


def relaxed(
    resolved: Resolved, section: Section, relocations: Iterable[Relocation]
) -> frozenset[int]:
    """Offsets of the relocations that need no slot; the same before and after layout.

    `relocations`: the section's, at least all those of these two types.
    """
    pages: dict[int, Relocation] = {}
    loads: dict[int, Relocation] = {}
    for relocation in relocations:
        if relocation.type == PAGE:
            pages[relocation.offset] = relocation
        elif relocation.type == LOAD:
            loads[relocation.offset] = relocation
    if not pages:
        return NONE
    refused: set[int] = set()
    for offset, page in pages.items():
        load = loads.get(offset + 4)
        if load is None or not _is_pair(section, page, load) or not _is_known(resolved, page):
            refused.add(id(page.symbol))
    for offset, load in loads.items():
        if offset - 4 not in pages:
            refused.add(id(load.symbol))
    return frozenset(
        offset
        for found in (pages, loads)
        for offset, relocation in found.items()
        if id(relocation.symbol) not in refused
    )


def _is_known(resolved: Resolved, relocation: Relocation) -> bool:
    symbol = resolved.meaning(relocation.symbol)
    return symbol is not None and symbol.section is not None and not symbol.absolute


def _is_pair(section: Section, page: Relocation, load: Relocation) -> bool:
    at = page.offset
    first = int.from_bytes(section.data[at : at + 4], "little")
    second = int.from_bytes(section.data[at + 4 : at + 8], "little")
    register = first & 31
    return (
        page.symbol is load.symbol
        and page.addend == load.addend
        and first & 0x9F000000 == 0x90000000
        and second == 0xF9400000 | register << 5 | register
    )


def add_instead(word: int) -> int:
    """`add x, x` for `ldr x, [x]`."""
    return 0x91000000 | word & 0x3FF
