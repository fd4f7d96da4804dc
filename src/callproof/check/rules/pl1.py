"""the platform's register X18 is written.

Where the platform reserves it, even saving and restoring it is wrong: a signal or interrupt
may look at it in between.  A shadow call stack (`str x30, [x18], #8`) is its proper use.

bad:    mov x18, x0                      good:   mov x9, x0
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
    steps = [evidence.step(event.address, f"{shown} is written here")]
    return f"{shown} belongs to the platform", steps


RULE = Rule(
    name="PL1",
    title="the platform's register is written",
    kinds=("platform",),
    clause=("Apple, Windows and Android reserve X18 (AAPCS64 6.1.1, platform register)"),
    remedy=("use another register"),
    describe=describe,
)
