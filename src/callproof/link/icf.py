"""Identical code folding (`--icf safe`): functions of equal code and references become one.

Two functions may share an address only if nobody can compare their addresses.  A static
link sees every reference there will ever be, so a function's address counts as taken when
any kept relocation to it is not a call or a jump.  Functions of which the unwinder must
tell the language-specific data apart are left alone.

Classes are refined until they do not change: at first by bytes and the shape of the
relocations, then by the classes of what these refer to.
"""

from __future__ import annotations

from collections.abc import Iterator

from callproof.link.resolve import Resolved
from callproof.link.veneers import BRANCHES
from callproof.object import elf_format as elf
from callproof.object.model import Relocation, Section

X64_BRANCHES = frozenset(("R_X86_64_PLT32", "R_X86_64_PC32"))
NEVER = frozenset((".init", ".fini"))


def fold(resolved: Resolved, entry: str) -> None:
    """Fill `resolved.folded`; what was folded is no longer live."""
    candidates = {id(section): section for section in _candidates(resolved, entry)}
    classes = {key: hash(_shape(section)) for key, section in candidates.items()}
    count = 0
    while len(set(classes.values())) != count:
        count = len(set(classes.values()))
        groups: dict[tuple[object, ...], int] = {}
        renewed = {}
        for key, section in candidates.items():
            # The class before is part of the key, so classes only ever get finer; the shape
            # itself is in it too, as equal hashes prove nothing.
            full = (classes[key], _shape(section), _references(resolved, section, classes))
            renewed[key] = groups.setdefault(full, len(groups))
        classes = renewed
    leaders: dict[int, Section] = {}
    for key, section in candidates.items():
        leader = leaders.setdefault(classes[key], section)
        if leader is not section:
            resolved.folded[key] = leader
            resolved.live.discard(key)


def _shape(section: Section) -> tuple[object, ...]:
    relocations = tuple((r.offset, r.type, r.addend) for r in section.relocations)
    return bytes(section.data), section.alignment, section.flags, section.name[:6], relocations


def _references(
    resolved: Resolved, section: Section, classes: dict[int, int]
) -> tuple[tuple[object, ...], ...]:
    found: list[tuple[object, ...]] = []
    for relocation in section.relocations:
        symbol = resolved.meaning(relocation.symbol)
        if symbol is None:
            found.append((relocation.symbol.name,))
        elif id(symbol.section) in classes:
            found.append((classes[id(symbol.section)], symbol.value))
        else:
            found.append((id(symbol.section or symbol), symbol.value, symbol.kind == "ifunc"))
    return tuple(found)


def _candidates(resolved: Resolved, entry: str) -> Iterator[Section]:
    taken = _address_taken(resolved)
    start = resolved.names.get(entry)
    if start is not None:
        taken.add(id(start.symbol.section))
    for definition in resolved.names.values():
        if definition.symbol.kind == "ifunc":
            taken.add(id(definition.symbol.section))
    for file in resolved.files:
        for section in file.sections:
            key = id(section)
            if section.kind != "code" or key not in resolved.live or key in taken:
                continue
            if section.name in NEVER or section.flags & elf.SHF_GNU_RETAIN or not section.data:
                continue
            if section.name.isidentifier():
                continue  # somebody may walk it from __start_ to __stop_
            yield section


def _address_taken(resolved: Resolved) -> set[int]:
    taken: set[int] = set()
    for file in resolved.files:
        for section in file.sections:
            if id(section) not in resolved.live:
                continue
            if section.kind == "code":
                references = [
                    r for r in section.relocations if not is_branch(resolved.machine, section, r)
                ]
            elif section.name == ".eh_frame":
                continue
            else:
                references = section.relocations
            # What unwinders read of a function is its own; its tables name it.
            for relocation in [*references, *resolved.attached.get(id(section), ())]:
                symbol = resolved.meaning(relocation.symbol)
                if symbol is not None and symbol.section is not None:
                    taken.add(id(symbol.section))
            if any(r.symbol.section for r in resolved.attached.get(id(section), ())):
                taken.add(id(section))
    return taken


def is_branch(machine: str, section: Section, relocation: Relocation) -> bool:
    """Whether a relocation in code only ever calls or jumps.

    On x86-64 the byte before the field tells: E8 and E9 are no ModRM byte of an address.
    """
    if machine == "aarch64":
        return relocation.type in BRANCHES
    offset = relocation.offset
    if relocation.type not in X64_BRANCHES or offset < 1:
        return False
    before = section.data[offset - 1]
    is_conditional = offset >= 2 and section.data[offset - 2] == 0x0F and before & 0xF0 == 0x80
    return relocation.addend == -4 and (before in (0xE8, 0xE9) or is_conditional)
