"""the link is lost.

A function that calls others returns without restoring X30, or through another register than
the saved link.  (Signed links and tail calls are understood.)

On x86-64: the return address in the frame is written over.

bad:    f: bl  work                      good:   f: stp x29, x30, [sp, #-16]!
           ret                                      bl  work
                                                    ldp x29, x30, [sp], #16
                                                    ret
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
    steps, how = evidence.lost(event.address, event.bit)
    what = "the function leaves by a tail call" if event.other else "the function returns"
    steps.append(evidence.step(event.address, what))
    return f"{shown} does not hold the return address: {how}", steps


RULE = Rule(
    name="LR1",
    title="the link is lost",
    kinds=("link",),
    clause=("AAPCS64 6.1.1: a function returns to the address that was in X30 at its entry"),
    remedy=("save X30 with X29 at entry, restore it before RET on every path"),
    describe=describe,
)
