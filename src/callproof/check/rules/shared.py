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
    before = evidence.last_write(event.other, event.bit)
    if before is not None and before < event.other:
        steps.append(evidence.step(before, f"{shown} is set here"))
    steps.append(evidence.step(event.other, f"this call may change {shown}"))
    steps.append(evidence.step(event.address, f"{shown} is read here"))
    return steps
