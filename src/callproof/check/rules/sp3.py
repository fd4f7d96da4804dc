"""a stack argument is never written.

The called function reads the memory above its SP, where its ninth and later arguments are,
beyond what its caller wrote anywhere.

bad:    bl nine  (reads [sp])            good:   str x9, [sp]
                                                 bl  nine
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.blocks import instruction_at
from callproof.check.rules.base import Described, Rule

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    flow = evidence.flow
    effect = instruction_at(flow.code, event.address)
    target = event.address + effect.a
    steps = [evidence.step(event.address, f"nothing was written at [sp, #{event.other}]")]
    summary = flow.calls.summaries.get(target)
    if summary is not None and event.other in summary.stack_reads:
        steps.append(evidence.step(summary.stack_reads[event.other], "it is read here"))
    return f"{flow.code.name_of(target)} reads a stack argument that was never written", steps


RULE = Rule(
    name="SP3",
    title="a stack argument is never written",
    kinds=("stack-argument",),
    clause=("AAPCS64 6.4.2, stage C: arguments beyond the registers are at [SP] of the caller"),
    remedy=("write the argument at [SP, #n] before the call"),
    describe=describe,
)
