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
    reaching = evidence.reaching(event.address, event.bit)
    if reaching.call:
        set_ = (reaching.before & reaching.clean or reaching.before) - {0}
        steps += [evidence.step(place, "the value is set here") for place in sorted(set_)[:1]]
        steps.append(evidence.step(reaching.call, f"this call may change {shown}"))
    steps.append(evidence.step(event.address, f"{shown} is read here"))
    return steps
