"""`.init` and `.fini` of objects that are linked without crti.o and crtn.o.

Their fragments are pieces of two functions, `_init` and `_fini`, whose beginnings and ends
those files have.  musl's start code calls both and has empty ones for who has none, so
fragments would be there and never run.  Then the beginnings and ends are made here.
"""

from __future__ import annotations

from callproof.link.resolve import THE_LINKER, Definition, Resolved
from callproof.object.model import ObjectFile, Section, Symbol

NAMES = {".init": "_init", ".fini": "_fini"}
# stp x29, x30, [sp, #-16]!; mov x29, sp and ldp x29, x30, [sp], #16; ret; push and pop %rax; ret
BEGINNING = {"aarch64": bytes.fromhex("fd7bbfa9 fd030091"), "x86_64": b"\x50"}
END = {"aarch64": bytes.fromhex("fd7bc1a8 c0035fd6"), "x86_64": b"\x58\xc3"}


def make_starts(resolved: Resolved) -> None:
    """Make `_init` and `_fini` where there are fragments of theirs, and only weak ones to call."""
    found = {
        section.name
        for file in resolved.files
        for section in file.sections
        if section.name in NAMES and section.data and id(section) not in resolved.dropped
    }
    for name in sorted(found):
        known = resolved.names.get(NAMES[name])
        if known is None or known.symbol.binding != "weak" or known.symbol.section is None:
            continue  # crti.o's, or nobody would call it
        if known.symbol.section.name == name:
            continue
        machine = resolved.machine
        first = Section(name, "code", BEGINNING[machine], alignment=4)
        last = Section(name, "code", END[machine], alignment=1 if machine == "x86_64" else 4)
        symbol = Symbol(NAMES[name], first, kind="function", visibility="hidden")
        file = ObjectFile(THE_LINKER, machine, [first], [symbol])
        resolved.files.insert(0, file)  # fragments stand in the order of their files
        resolved.owner[id(first)] = file
        resolved.live.add(id(first))
        resolved.losers.setdefault(symbol.name, []).append(known)
        resolved.names[symbol.name] = Definition(symbol, file)
        resolved.make([last])
