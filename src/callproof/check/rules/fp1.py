"""X29 points at no frame record at a call.

Debuggers and profilers walk the chain of frame records.  Asked for with --rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.rules.base import Described, Rule

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    return "x29 points at no frame record", [evidence.step(event.address, "at this call")]


RULE = Rule(
    name="FP1",
    title="X29 points at no frame record",
    kinds=("frame-record",),
    clause=("AAPCS64 6.4.6: X29 points at a pair of the caller's X29 and the link"),
    remedy=("store X29 and X30 as a pair and make X29 point there before the first call"),
    describe=describe,
    opt_in=True,
)
