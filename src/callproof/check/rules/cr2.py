"""X16, X17 or X18 is expected after a call.

A linker may put a veneer between any BL and its target, and a veneer uses X16 and X17.  So
even a callee that is known not to touch them does not help, as long as it is reached by a
branch that a linker may still redirect.

bad:    mov x16, x0                      good:   mov x9, x0
        bl  helper  (leaves x16 alone)           bl  helper  (leaves x9 alone)
        add x0, x0, x16                          add x0, x0, x9
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.finding import register_name
from callproof.check.rules.base import Described, Rule
from callproof.check.rules.shared import read_after_call

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    steps = read_after_call(evidence, event)
    shown = register_name(event.bit)
    return f"{shown} is read after a call; a veneer or the callee may change it", steps


RULE = Rule(
    name="CR2",
    title="X16, X17 or X18 is expected after a call",
    kinds=("read-after-call",),
    clause=("AAPCS64 6.1.1: X16 and X17 may be used by veneers at any call; X18 is the platform's"),
    remedy=("use another register; X16 and X17 live only between calls"),
    describe=describe,
    takes=lambda event: 16 <= event.bit <= 18,
)
