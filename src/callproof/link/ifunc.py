"""Indirect functions (STT_GNU_IFUNC): the address is what a resolver function returns.

Each gets an entry of code in `.iplt`, which every reference means (so that its address is
one), a slot in `.igot` that the entry jumps through, and an R_*_IRELATIVE relocation in
`.rela.iplt` that says: call this resolver and put what it returns into the slot.

glibc's start code walks the table from `__rela_iplt_start` to `__rela_iplt_end`.  Where
nobody asks for these names (musl) code of our own does (`ifunc_apply.py`).  With shared
libraries the loader does it (`dynamic.py`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from callproof.link.ifunc_apply import START, make_apply
from callproof.link.resolve import Resolved
from callproof.object import elf_format as elf
from callproof.object.columns import ColumnObject
from callproof.object.model import Relocation, Section, Symbol
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link import LinkOptions

ENTRY_SIZE = 16

# adrp x16, slot; ldr x17, [x16, #:lo12:slot]; add x16, x16, #:lo12:slot; br x17
ARM64_ENTRY = struct.pack("<4I", 0x90000010, 0xF9400211, 0x91000210, 0xD61F0220)
ARM64_ENTRY_FIELDS = (
    (0, "R_AARCH64_ADR_PREL_PG_HI21", 0),
    (4, "R_AARCH64_LDST64_ABS_LO12_NC", 0),
    (8, "R_AARCH64_ADD_ABS_LO12_NC", 0),
)
X64_ENTRY = b"\xff\x25\0\0\0\0".ljust(ENTRY_SIZE, b"\xcc")  # jmp *slot(%rip)
X64_ENTRY_FIELDS = ((2, "R_X86_64_PC32", -4),)

# lea slot(%rip), %r11; jmp *(%r11): whoever is in the slot may want to know which it is.
X64_LAZY_ENTRY = b"\x4c\x8d\x1d\0\0\0\0\x41\xff\x23".ljust(ENTRY_SIZE, b"\xcc")
X64_LAZY_FIELDS = ((3, "R_X86_64_PC32", -4),)


def make_entries(resolved: Resolved, options: LinkOptions) -> None:
    """Entries for the indirect functions that take part.

    Raises `CallproofError` if there are some and nobody who would apply their relocations.
    """
    functions = [
        symbol
        for file in resolved.files
        if not isinstance(file, ColumnObject) or file.has_choices
        for symbol in file.symbols
        if symbol.kind == "ifunc" and symbol.section is not None
        if id(symbol.section) in resolved.live and resolved.meaning(symbol) is symbol
    ]
    if not functions:
        return
    is_arm64 = resolved.machine == "aarch64"
    code, fields = (ARM64_ENTRY, ARM64_ENTRY_FIELDS) if is_arm64 else (X64_ENTRY, X64_ENTRY_FIELDS)
    absolute = "R_AARCH64_ABS64" if is_arm64 else "R_X86_64_64"
    relative = elf.RELOCATION_NUMBERS[resolved.machine][absolute.rpartition("_")[0] + "_IRELATIVE"]
    count = len(functions)
    is_loaders = options.dynamic
    is_lazy = not is_loaders and not _is_used(resolved, START)
    if is_lazy and not is_arm64:
        code, fields = X64_LAZY_ENTRY, X64_LAZY_FIELDS
    entries = Section(".iplt", "code", code * count, alignment=ENTRY_SIZE)
    slots = Section(".igot", "data", bytes(8 * count), alignment=8)
    rows = elf.RELA.pack(0, relative, 0) * count
    table = Section(".rela.iplt", "rodata", rows, alignment=8)
    symbols = []
    for number, function in enumerate(functions):
        slot = Symbol("", slots, 8 * number, binding="local")
        for offset, type_, addend in fields:
            at = ENTRY_SIZE * number + offset
            entries.relocations.append(Relocation(at, type_, slot, addend))
        resolver = Symbol("", function.section, function.value, binding="local")
        if is_loaders:
            resolved.choices.append((slots, 8 * number, resolver))
        row = elf.RELA.size * number
        table.relocations.append(Relocation(row, absolute, slot))
        table.relocations.append(Relocation(row + 16, absolute, resolver))
        entry = Symbol(
            function.name,
            entries,
            ENTRY_SIZE * number,
            ENTRY_SIZE,
            function.binding,
            "function",
            function.visibility,
        )
        symbols.append(entry)
        resolved.entries[id(function)] = entry
        resolved.entries[id(entry)] = entry
    if is_loaders:
        resolved.make([entries, slots], symbols)
        return
    resolved.make([entries, slots, table], symbols)
    if is_lazy:
        _check_start(resolved, options)
        make_apply(resolved, table, slots)


def _is_used(resolved: Resolved, name: str) -> bool:
    """Whether kept code refers to a name; start code does so weakly."""
    return any(
        relocation.symbol.name == name
        for file in resolved.files
        for section in file.sections
        if id(section) in resolved.live
        for relocation in section.relocations
    )


def _check_start(resolved: Resolved, options: LinkOptions) -> None:
    """Raises `CallproofError` if nobody would call our function (see `ifunc_apply.py`)."""
    if not _is_used(resolved, "__init_array_start"):
        names = ", ".join(symbol.name for symbol in resolved.files[-1].symbols[:3])
        raise CallproofError(
            f"indirect functions ({names}), and no start code that would choose them: neither "
            f"{START} nor __init_array_start is used behind '{options.entry}'"
        )
