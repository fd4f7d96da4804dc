"""Choosing indirect functions where no start code does it (musl): code of ours.

`apply` walks the table of IRELATIVE relocations before all constructors and fills each slot
that is not filled yet.  What is called before that (from `.init`, by a user's start code)
finds `lazy` in its slot: it saves the call's arguments, applies the table, and goes on to
what was chosen.

Resolvers are given what the platforms promise: on AArch64 the hardware capabilities with
_IFUNC_ARG_HWCAP, and a pointer to {size, hwcap, hwcap2}; on x86-64 nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from callproof.link.resolve import Resolved
from callproof.object.model import Relocation, Section, Symbol

START, END = "__rela_iplt_start", "__rela_iplt_end"
FIRST_CONSTRUCTOR = ".init_array.first"  # runs before those of any priority
NO_HWCAP = struct.pack("<I", 0xD2800000)  # mov x0, #0, where nobody has getauxval

# The table's bounds in x19 and x20, `lazy` in x21: {size 24, hwcap, hwcap2} on the stack.
ARM64_APPLY = struct.pack(
    "<37I",
    0xA9BB7BFD,  # stp x29, x30, [sp, #-80]!
    0x910003FD,  # mov x29, sp
    0xA90153F3,  # stp x19, x20, [sp, #16]
    0xF90027F5,  # str x21, [sp, #72]
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
    0x90000015,  # adrp x21, lazy
    0x910002B5,  # add x21, x21, #:lo12:lazy
    0x1400000D,  # b test
    0xF9400262,  # again: ldr x2, [x19]     the slot
    0xF9400042,  # ldr x2, [x2]
    0xEB15005F,  # cmp x2, x21
    0x54000101,  # b.ne next
    0xF9401BE0,  # ldr x0, [sp, #48]
    0xB2420000,  # orr x0, x0, #1 << 62
    0x9100A3E1,  # add x1, sp, #40
    0xF9400A62,  # ldr x2, [x19, #16]    the addend is the resolver's address
    0xD63F0040,  # blr x2
    0xF9400262,  # ldr x2, [x19]
    0xF9000040,  # str x0, [x2]
    0x91006273,  # next: add x19, x19, #24
    0xEB14027F,  # test: cmp x19, x20
    0x54FFFE63,  # b.lo again
    0xF94027F5,  # ldr x21, [sp, #72]
    0xA94153F3,  # ldp x19, x20, [sp, #16]
    0xA8C57BFD,  # ldp x29, x30, [sp], #80
    0xD65F03C0,  # ret
)
# x16 is the slot's address (see the entries): x0 to x8 and q0 to q7 are kept.
ARM64_LAZY = struct.pack(
    "<24I",
    0xA9B27BFD,  # stp x29, x30, [sp, #-224]!
    0x910003FD,  # mov x29, sp
    0xA90107E0,  # stp x0, x1, [sp, #16]
    0xA9020FE2,  # stp x2, x3, [sp, #32]
    0xA90317E4,  # stp x4, x5, [sp, #48]
    0xA9041FE6,  # stp x6, x7, [sp, #64]
    0xA90543E8,  # stp x8, x16, [sp, #80]
    0xAD0307E0,  # stp q0, q1, [sp, #96]
    0xAD040FE2,  # stp q2, q3, [sp, #128]
    0xAD0517E4,  # stp q4, q5, [sp, #160]
    0xAD061FE6,  # stp q6, q7, [sp, #192]
    0x94000000,  # bl apply
    0xAD461FE6,  # ldp q6, q7, [sp, #192]
    0xAD4517E4,  # ldp q4, q5, [sp, #160]
    0xAD440FE2,  # ldp q2, q3, [sp, #128]
    0xAD4307E0,  # ldp q0, q1, [sp, #96]
    0xA94543E8,  # ldp x8, x16, [sp, #80]
    0xA9441FE6,  # ldp x6, x7, [sp, #64]
    0xA94317E4,  # ldp x4, x5, [sp, #48]
    0xA9420FE2,  # ldp x2, x3, [sp, #32]
    0xA94107E0,  # ldp x0, x1, [sp, #16]
    0xA8CE7BFD,  # ldp x29, x30, [sp], #224
    0xF9400211,  # ldr x17, [x16]
    0xD61F0220,  # br x17
)
# push rbx; push r12; push r13 (16-byte alignment); lea start(%rip), %rbx; lea end(%rip), %r12;
# lea lazy(%rip), %r13; jmp test; again: mov (%rbx), %rcx; cmp %r13, (%rcx); jne next;
# call *16(%rbx); mov (%rbx), %rcx; mov %rax, (%rcx); next: add $24, %rbx; test: cmp %r12, %rbx;
# jb again; pop r13; pop r12; pop rbx; ret
X64_APPLY = bytes.fromhex(
    "53 4154 4155 488d1d00000000 4c8d2500000000 4c8d2d00000000 eb15 488b0b 4c3929 7509"
    "ff5310 488b0b 488901 4883c318 4c39e3 72e6 415d 415c 5b c3"
)
# r11 is the slot's address: push rax, rdi, rsi, rdx, rcx, r8, r9, r10, r11; sub $128, %rsp; movups
# of xmm0 to xmm7 to the stack; call apply; all of them back; jmp *(%r11)
X64_LAZY = bytes.fromhex(
    "50 57 56 52 51 4150 4151 4152 4153 4881ec80000000"
    "0f110424 0f114c2410 0f11542420 0f115c2430 0f11642440 0f116c2450 0f11742460 0f117c2470"
    "e800000000"
    "0f100424 0f104c2410 0f10542420 0f105c2430 0f10642440 0f106c2450 0f10742460 0f107c2470"
    "4883ec80 415b 415a 4159 4158 59 5a 5e 5f 58 41ff23"
)


@dataclass(frozen=True, slots=True)
class _Code:
    """`bounds`: where the table's start, its end and `lazy` are put; `queries`: calls of
    getauxval; `call`: where `lazy` calls `apply`."""

    apply: bytes
    lazy: bytes
    bounds: tuple[int, int, int]
    queries: tuple[int, ...]
    call: int
    pointer: str


CODE = {
    "aarch64": _Code(ARM64_APPLY, ARM64_LAZY, (48, 56, 64), (28, 40), 44, "R_AARCH64_ABS64"),
    "x86_64": _Code(X64_APPLY, X64_LAZY, (8, 15, 22), (), 60, "R_X86_64_64"),
}


def make_apply(resolved: Resolved, table: Section, slots: Section) -> None:
    """Add both functions: `apply` is called first of all constructors, `lazy` is in all slots."""
    code = CODE[resolved.machine]
    body = Section(".text.callproof_apply_irelative", "code", bytearray(code.apply), alignment=16)
    waiting = Section(".text.callproof_choose", "code", code.lazy, alignment=16)
    apply = Symbol("callproof_apply_irelative", body, 0, len(code.apply), "local", "function")
    lazy = Symbol("callproof_choose", waiting, 0, len(code.lazy), "local", "function")
    start = Symbol(START, table, binding="local")
    end = Symbol(END, table, len(table.data), binding="local")
    for offset, symbol in zip(code.bounds, (start, end, lazy), strict=True):
        if resolved.machine == "x86_64":
            body.relocations.append(Relocation(offset, "R_X86_64_PC32", symbol, -4))
            continue
        page, low = "R_AARCH64_ADR_PREL_PG_HI21", "R_AARCH64_ADD_ABS_LO12_NC"
        body.relocations.append(Relocation(offset, page, symbol))
        body.relocations.append(Relocation(offset + 4, low, symbol))
    query = resolved.names.get("getauxval")
    for offset in code.queries:
        if query is not None and id(query.symbol.section) in resolved.live:
            body.relocations.append(Relocation(offset, "R_AARCH64_CALL26", query.symbol))
        else:
            assert isinstance(body.data, bytearray)
            body.data[offset : offset + 4] = NO_HWCAP
    if resolved.machine == "x86_64":
        waiting.relocations.append(Relocation(code.call, "R_X86_64_PC32", apply, -4))
    else:
        waiting.relocations.append(Relocation(code.call, "R_AARCH64_CALL26", apply))
    for at in range(0, len(slots.data), 8):
        slots.relocations.append(Relocation(at, code.pointer, lazy))
    array = Section(FIRST_CONSTRUCTOR, "init_array", bytes(8), alignment=8)
    array.relocations.append(Relocation(0, code.pointer, apply))
    resolved.make([body, waiting, array], [apply, lazy])
