"""x86-64's registers: numbers, names, and which of them the allocator may use.

Numbers are those of `codegen/machine.py` and `abi/plan.py`: 0..15 as the encoding has
them (RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8..R15), 32..47 = XMM0..XMM15.
"""

from __future__ import annotations

from callproof.abi.sysv64 import CALLEE_SAVED, register_name
from callproof.codegen.machine import RegisterFile

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = range(8)
R8, R9, R10, R11, R12, R13, R14, R15 = range(8, 16)
XMM0 = 32

SCRATCH, FLOAT_SCRATCH = R11, XMM0 + 15
TAIL_REGISTER = R10  # not an argument, and no epilogue restores it

# Not allocated: RSP, RBP (the frame record), R11 and XMM15 (scratch).  Those that calls
# change come first, as they cost no save; of these RCX and RDX last, as shifts and
# divisions want them.
REGISTER_FILE = RegisterFile(
    allocatable=(
        (RAX, RSI, RDI, R8, R9, R10, RDX, RCX, RBX, R12, R13, R14, R15),
        tuple(range(XMM0, XMM0 + 15)),
    ),
    callee_saved=CALLEE_SAVED,
)


def name(register: int, size: int) -> str:
    """The name as the conventions print it: rdi, edi, xmm0."""
    return register_name(register, size)


__all__ = ["REGISTER_FILE", "name"]
