"""an argument is never set.

The called function uses a register that its caller has not written since the last call and
does not hold from its own entry.

On x86-64 the function records of our compiler say what the callee takes.

bad:    bl  first                        good:   bl  first
        mov x0, #1                               mov x0, #1
        bl  second  (uses x1)                    mov x1, x19
                                                 bl  second
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.blocks import instruction_at
from callproof.check.finding import register_name
from callproof.check.rules.base import Described, Rule

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def describe(evidence: Evidence, event: Event) -> Described:
    shown = register_name(event.bit)
    steps = []
    call = evidence.reaching(event.address, event.bit).call
    if call:
        steps.append(evidence.step(call, f"{shown} is undefined after this call"))
    steps.append(evidence.step(event.address, f"the callee uses {shown}"))
    effect = instruction_at(evidence.flow.code, event.address)
    name = evidence.flow.code.name_of(event.address + effect.a)
    summary = evidence.flow.calls.summaries.get(event.address + effect.a)
    if summary is not None and event.bit in summary.needs_at:
        steps.append(evidence.step(summary.needs_at[event.bit], f"{shown} is used here"))
    return f"{name} is called without {shown}, which it uses, being set", steps


RULE = Rule(
    name="AR1",
    title="an argument is never set",
    kinds=("argument",),
    clause=(
        "AAPCS64 6.4.2: arguments are passed in X0-X7 and V0-V7, which no earlier call preserves"
    ),
    remedy=("set the register between the previous call and this one"),
    describe=describe,
    assumption="the callee comes to the place that uses the register",
)
