"""memory below SP is read back.

There is no red zone on Linux (128 bytes on Darwin): a signal may come between the store and
the load and leave something else there.

bad:    str x0, [sp, #-16]               good:   str x0, [sp, #-16]!
        ldr x1, [sp, #-16]                       ldr x1, [sp], #16
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.rules.base import Described, Rule

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    steps = [evidence.step(event.address, f"sp{event.other:+d} is read here")]
    return "a value that was stored below sp is read back", steps


RULE = Rule(
    name="SP2",
    title="memory below SP is read back",
    kinds=("below",),
    clause=(
        "AAPCS64 6.4.5.1: a process may access only the stack above SP; signals use what is below"
    ),
    remedy=("move SP down first, and up again after the last access"),
    describe=describe,
)
