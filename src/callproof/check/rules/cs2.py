"""the upper half of a V register is expected after a call.

Of V8-V15 a call preserves the low 64 bits only.  Saving with `str q` and restoring with
`ldr d` is right; keeping a 128-bit value in V8 across a call is not.

bad:    ldr  q8, [x0]                    good:   ldr  q8, [x0]
        bl   work                                str  q8, [sp, #16]
        fadd v0.4s, v8.4s, v8.4s                 bl   work
                                                 ldr  q8, [sp, #16]
                                                 fadd v0.4s, v8.4s, v8.4s
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.rules.base import Described, Rule
from callproof.check.rules.shared import read_after_call
from callproof.target.arm64.effects import HIGH

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    shown = f"v{event.bit - HIGH}"
    steps = read_after_call(evidence, event)
    return f"the upper half of {shown} is read after a call that need not keep it", steps


RULE = Rule(
    name="CS2",
    title="the upper half of a V register is expected after a call",
    kinds=("read-after-call",),
    clause=("AAPCS64 6.1.2: only the low 64 bits of V8-V15 are preserved"),
    remedy=("keep 128-bit values that live across calls in memory"),
    describe=describe,
    takes=lambda event: HIGH + 8 <= event.bit <= HIGH + 15,
)
