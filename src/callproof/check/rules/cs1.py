"""a preserved register is lost.

At a return or tail call X19-X29, SP or the low 64 bits of V8-V15 may differ from what they
were at entry: never saved; saved after being overwritten; restored from another slot, in
another order or width; saved on one path only; the slot overwritten in between.  A function
that restores a whole register set from memory (a context switch) must restore all of it.

On x86-64: RBX, RBP and R12-R15.

bad:    stp x29, x30, [sp, #-16]!        good:   stp x29, x30, [sp, #-32]!
        mov x19, x0                              str x19, [sp, #16]
        bl  work                                 mov x19, x0
        mov x0, x19                              bl  work
        ldp x29, x30, [sp], #16                  mov x0, x19
        ret                                      ldr x19, [sp, #16]
                                                 ldp x29, x30, [sp], #32
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
    leave = "the function leaves here"
    if event.kind == "stack-lost":
        where = evidence.last_write(event.address, event.bit)
        steps = [] if where is None else [evidence.step(where, "the last change of sp")]
        steps.append(evidence.step(event.address, leave))
        if not event.other:
            return "sp at the return depends on the path that was taken", steps
        return f"sp is {event.other:+d} bytes from its entry value at the return", steps
    if event.kind == "switch":
        steps = [evidence.step(event.address, "the registers of another context are put in")]
        return f"this context switch does not restore {shown}", steps
    steps, how = evidence.lost(event.address, event.bit)
    steps.append(evidence.step(event.address, leave))
    return f"{shown} does not hold its entry value at the return: {how}", steps


RULE = Rule(
    name="CS1",
    title="a preserved register is lost",
    kinds=("lost", "stack-lost", "switch"),
    clause=("AAPCS64 6.1.1 and 6.1.2: X19-X29, SP and the low 64 bits of V8-V15 are preserved"),
    remedy=(
        "save the register before it is written and restore the same bytes from the same "
        "slot on every path"
    ),
    describe=describe,
    assumption="both paths are taken",
)
