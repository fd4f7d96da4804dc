"""Indirect functions (STT_GNU_IFUNC): the address is what a resolver function returns.

Each gets an entry of code in `.iplt`, which every reference means (so that its address is
one), a slot in `.igot` that the entry jumps through, and an R_*_IRELATIVE relocation in
`.rela.iplt` that says: call this resolver and put what it returns into the slot.

glibc's start code walks the table from `__rela_iplt_start` to `__rela_iplt_end`.  Where
nobody asks for these names (musl) we add a function of our own, first in `.init_array`,
that does.  With shared libraries the loader does it (`dynamic.py`).  Ours gives resolvers
what the platforms promise: on AArch64 the hardware capabilities with _IFUNC_ARG_HWCAP, and
a pointer to {size, hwcap, hwcap2}; on x86-64 nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from callproof.link.resolve import Resolved
from callproof.object import elf_format as elf
from callproof.object.columns import ColumnObject
from callproof.object.model import Relocation, Section, Symbol
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link import LinkOptions

START, END = "__rela_iplt_start", "__rela_iplt_end"
FIRST_CONSTRUCTOR = ".init_array.first"  # runs before those of any priority
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

# With the table's bounds in x19 and x20: {size 24, hwcap, hwcap2} on the stack, hwcap | 1 << 62.
ARM64_APPLY = struct.pack(
    "<26I",
    0xA9BB7BFD,  # stp x29, x30, [sp, #-80]!
    0x910003FD,  # mov x29, sp
    0xA90153F3,  # stp x19, x20, [sp, #16]
    0xD2800300,  # mov x0, #24
    0xF90017E0,  # str x0, [sp, #40]
    0xD2800200,  # mov x0, #16        AT_HWCAP
    0x94000000,  # bl getauxval
    0xF9001BE0,  # str x0, [sp, #48]
    0xD2800340,  # mov x0, #26        AT_HWCAP2
    0x94000000,  # bl getauxval
    0xF9001FE0,  # str x0, [sp, #56]
    0x90000013,  # adrp x19, start
    0x91000273,  # add x19, x19, #:lo12:start
    0x90000014,  # adrp x20, end
    0x91000294,  # add x20, x20, #:lo12:end
    0x14000008,  # b test
    0xF9401BE0,  # again: ldr x0, [sp, #48]
    0xB2420000,  # orr x0, x0, #1 << 62
    0x9100A3E1,  # add x1, sp, #40
    0xF9400A62,  # ldr x2, [x19, #16]    the addend is the resolver's address
    0xD63F0040,  # blr x2
    0xF8418662,  # ldr x2, [x19], #24       the slot
    0xF9000040,  # str x0, [x2]
    0xEB14027F,  # test: cmp x19, x20
    0x54FFFF03,  # b.lo again
    0xA94153F3,  # ldp x19, x20, [sp, #16]
) + struct.pack("<2I", 0xA8C57BFD, 0xD65F03C0)  # ldp x29, x30, [sp], #80; ret
ARM64_NO_HWCAP = struct.pack("<I", 0xD2800000)  # mov x0, #0, where nobody has getauxval
ARM64_GETAUXVAL = (24, 36)
ARM64_BOUNDS = ((44, START), (52, END))
# push rbx; push r12; push r13 (16-byte alignment); lea start(%rip), %rbx; lea end(%rip), %r12;
# jmp test; again: call *16(%rbx); mov (%rbx), %rcx; mov %rax, (%rcx); add $24, %rbx;
# test: cmp %r12, %rbx; jb again; pop r13; pop r12; pop rbx; ret
X64_APPLY = bytes.fromhex(
    "53 41 54 41 55 48 8d 1d 00000000 4c 8d 25 00000000 eb 0d ff 53 10"
    "48 8b 0b 48 89 01 48 83 c3 18 4c 39 e3 72 ee 41 5d 41 5c 5b c3"
)
X64_BOUNDS = ((8, START), (15, END))


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
    if not _is_used(resolved, START):
        _make_apply(resolved, table, options)


def _is_used(resolved: Resolved, name: str) -> bool:
    """Whether kept code refers to a name; start code does so weakly."""
    return any(
        relocation.symbol.name == name
        for file in resolved.files
        for section in file.sections
        if id(section) in resolved.live
        for relocation in section.relocations
    )


def _make_apply(resolved: Resolved, table: Section, options: LinkOptions) -> None:
    """Our own function that applies the table, called before all constructors."""
    if not _is_used(resolved, "__init_array_start"):
        names = ", ".join(symbol.name for symbol in resolved.files[-1].symbols[:3])
        raise CallproofError(
            f"indirect functions ({names}), and no start code that would choose them: neither "
            f"{START} nor __init_array_start is used behind '{options.entry}'"
        )
    bounds = {
        START: Symbol(START, table, binding="local"),
        END: Symbol(END, table, len(table.data), binding="local"),
    }
    body = Section(".text.callproof_apply_irelative", "code", alignment=16)
    if resolved.machine == "aarch64":
        code = bytearray(ARM64_APPLY)
        query = resolved.names.get("getauxval")
        for offset in ARM64_GETAUXVAL:
            if query is not None and id(query.symbol.section) in resolved.live:
                body.relocations.append(Relocation(offset, "R_AARCH64_CALL26", query.symbol))
            else:
                code[offset : offset + 4] = ARM64_NO_HWCAP
        for offset, name in ARM64_BOUNDS:
            page, low = "R_AARCH64_ADR_PREL_PG_HI21", "R_AARCH64_ADD_ABS_LO12_NC"
            body.relocations.append(Relocation(offset, page, bounds[name]))
            body.relocations.append(Relocation(offset + 4, low, bounds[name]))
        body.data, pointer = code, "R_AARCH64_ABS64"
    else:
        body.data, pointer = X64_APPLY, "R_X86_64_64"
        for offset, name in X64_BOUNDS:
            body.relocations.append(Relocation(offset, "R_X86_64_PC32", bounds[name], -4))
    function = Symbol("callproof_apply_irelative", body, size=len(body.data), binding="local")
    function.kind = "function"
    array = Section(FIRST_CONSTRUCTOR, "init_array", bytes(8), alignment=8)
    array.relocations.append(Relocation(0, pointer, function))
    resolved.make([body, array], [function])
