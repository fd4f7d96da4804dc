"""ARM64's registers: numbers, names, sets, and which of them the allocator may use.

Numbers are those of `codegen/machine.py`: 0..30 = X0..X30, 31 = SP, 32..63 =
V0..V31, 64 = the zero register.
"""

from __future__ import annotations

from callproof.abi.aapcs64 import CALLEE_SAVED
from callproof.codegen.machine import ZERO_REGISTER, RegisterFile

FP, LR, SP, V0, XZR = 29, 30, 31, 32, ZERO_REGISTER


def name(register: int, kind: str) -> str:
    """Assembly's name by width: kind is x, w (31 = sp), b, h, s, d, q or v."""
    if register == XZR:
        return f"{kind}zr"
    if register == SP:
        return "sp" if kind == "x" else "wsp"
    if register >= V0:
        return f"{kind}{register - V0}"
    return f"{kind}{register}"


# Not allocated: X16 and X17 (scratch of ours and of veneers), X18 (the platform's), X29, X30,
# SP and V31 (scratch).  Those that calls change come first, as they cost no save; arguments'
# registers after the others, because what becomes an argument wants its own.
REGISTER_FILE = RegisterFile(
    allocatable=(
        (*range(8, 16), *range(8), *range(19, 29)),
        (*range(V0, V0 + 8), *range(V0 + 16, V0 + 31), *range(V0 + 8, V0 + 16)),
    ),
    callee_saved=CALLEE_SAVED,
)
