"""a register is read after a call that may change it.

After a call X0-X17, V0-V7, V16-V31 and NZCV hold what the callee left there.  Only results
(X0, X1, V0-V3; perhaps X2-X7, V4-V7: a warning) may be read before they are written.  A
callee in the same image counts by what it really writes.  Storing such a register to the
stack is no use of it; reading it back and working with it is.

On x86-64: RAX, RCX, RDX, RSI, RDI, R8-R11, the XMM registers and the flags.

bad:    mov x9, x0                       good:   mov x19, x0      (with x19 saved)
        bl  work                                 bl  work
        add x0, x0, x9                           add x0, x0, x19
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.finding import register_name
from callproof.check.rules.base import Described, Rule
from callproof.check.rules.shared import read_after_call
from callproof.target.arm64.effects import HIGH

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    shown = register_name(event.bit)
    steps = read_after_call(evidence, event)
    return f"{shown} is read after a call that may change it", steps


RULE = Rule(
    name="CR1",
    title="a register is read after a call that may change it",
    kinds=("read-after-call",),
    clause=(
        "AAPCS64 6.1.1: X0-X17 and the flags, 6.1.2: V0-V7 and V16-V31 are not preserved by a call"
    ),
    remedy=(
        "keep the value in a preserved register (X19-X28, D8-D15) or in the frame across the call"
    ),
    describe=describe,
    takes=lambda event: not (HIGH + 8 <= event.bit <= HIGH + 15 or 16 <= event.bit <= 18),
    assumption="the callee hands nothing back in this register, and this path is taken",
)
