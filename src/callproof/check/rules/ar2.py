"""a register that holds nothing at entry is read.

A function that others may call by the convention reads X9-X17, V16-V31, the upper halves
of V8-V15 or the flags before it writes them.

bad:    f: add x0, x0, x9                good:   f: mov x9, #8
           ret                                      add x0, x0, x9
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
    steps = [evidence.entry(), evidence.step(event.address, f"{shown} is read here")]
    return f"{shown} is read, but holds nothing at the entry of a function", steps


RULE = Rule(
    name="AR2",
    title="a register that holds nothing at entry is read",
    kinds=("undefined",),
    clause=("AAPCS64 6.1.1: X9-X17, V16-V31 and the flags hold no arguments"),
    remedy=("set the register first, or take the value as an argument"),
    describe=describe,
)
