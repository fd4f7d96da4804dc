"""an unresolved call.

A BL whose distance is 0 (to itself, or to the next instruction) and that has no relocation:
what it should call was never filled in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.rules.base import Described, Rule

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    return "this call has no target", [evidence.step(event.address, "no relocation is here")]


RULE = Rule(
    name="RL1",
    title="an unresolved call",
    kinds=("unresolved",),
    clause=("a BL needs a relocation or a target"),
    remedy=("give the call its relocation; look at how the object was written or linked"),
    describe=describe,
)
