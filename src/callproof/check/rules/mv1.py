"""argument moves in the wrong order.

In a run of moves before a call, a parameter register is overwritten and then read as though
it still held the parameter (the lost copy of a cycle).

bad:    mov x0, x1                       good:   mov x9, x0
        mov x1, x0                               mov x0, x1
        bl  swapped                              mov x1, x9
                                                 bl  swapped
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.finding import register_name
from callproof.check.rules.base import Described, Rule

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    shown = register_name(event.bit)
    steps = [evidence.step(event.other, f"{shown} is overwritten here")]
    steps.append(evidence.step(event.address, "and read here; its old value is nowhere"))
    return f"{shown} is read after it was overwritten in the same run of moves", steps


RULE = Rule(
    name="MV1",
    title="argument moves in the wrong order",
    kinds=("moves",),
    clause=("AAPCS64 6.4: all arguments are in place when the call is made"),
    remedy=(
        "read all sources before overwriting any: move in the other order, or through a "
        "scratch register"
    ),
    describe=describe,
    assumption="the same value is not meant to be passed twice",
)
