"""an indirect call's target is no landing pad.

The image claims BTI, and the address of this function is taken; calling it through a register
faults.  Asked for with --rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.rules.base import Described, Rule

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    return "this function has no landing pad", [evidence.step(event.address, "its first word")]


RULE = Rule(
    name="BT1",
    title="an indirect call's target is no landing pad",
    kinds=("landing-pad",),
    clause=("Arm ARM, FEAT_BTI: the target of BLR must be BTI c, BTI jc or PACIASP"),
    remedy=("start the function with `bti c`"),
    describe=describe,
    opt_in=True,
    assumption="the function is called through its address",
)
