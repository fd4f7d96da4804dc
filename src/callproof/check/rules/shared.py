"""Paths that several rules show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.finding import Step, register_name

if TYPE_CHECKING:
    from callproof.check.evidence import Evidence
    from callproof.check.flow import Event


def read_after_call(evidence: Evidence, event: Event) -> list[Step]:
    """Where the register was set, the call that may change it, where it is read."""
    shown = register_name(event.bit)
    steps = []
    call = evidence.call_before(event.address, event.bit)
    if call is not None:
        before = evidence.last_write(call, event.bit)
        if before is not None and before < call:
            steps.append(evidence.step(before, f"{shown} is set here"))
        steps.append(evidence.step(call, f"this call may change {shown}"))
    steps.append(evidence.step(event.address, f"{shown} is read here"))
    return steps
