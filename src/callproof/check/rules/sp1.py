"""SP is not a multiple of 16.

At a call, or at a load or store with SP as its base.  The latter faults where the system
checks it, as Linux and Darwin do.

On x86-64: RSP at a call; and where it is not its entry value at a return or tail call.

bad:    sub sp, sp, #24                  good:   sub sp, sp, #32
        str x0, [sp]                             str x0, [sp]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.rules.base import Described, Rule

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    steps = []
    where = evidence.last_write(event.address, 31)
    if where is not None:
        steps.append(evidence.step(where, "the last change of sp"))
    steps.append(evidence.step(event.address, f"sp is {event.other:+d} bytes from its entry value"))
    return "sp is not a multiple of 16", steps


RULE = Rule(
    name="SP1",
    title="SP is not a multiple of 16",
    kinds=("misaligned",),
    clause=(
        "AAPCS64 6.4.5.1: SP is a multiple of 16 at a public interface, and at every access with it"
    ),
    remedy=("round the size of the frame up to a multiple of 16"),
    describe=describe,
)
