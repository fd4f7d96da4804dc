"""What a function does to its caller, gathered from its returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING

from callproof.check.conventions import Profile
from callproof.check.state import STACK, UNKNOWN_VALUE, State, entry, is_stack
from callproof.target.arm64.effects import REGISTERS, SP_BIT

if TYPE_CHECKING:
    from callproof.check.flow import Flow

ALL = (1 << REGISTERS) - 1
LINK = 30
BITS = range(REGISTERS)
ENTRY_VALUES = [entry(bit) for bit in BITS]


@dataclass(slots=True)
class Summary:
    """What a call of a function does.

    changed    registers that may hold something else afterwards
    defined    those of them that the function itself gave a value at every return
    lost       preserved registers among the changed
    needs_at   register -> where its entry value is used; must: those used on every path
    sp_change  what the function adds to SP; None if that is not known
    stack_reads  offset above SP at entry -> where it is read
    private    whether it may be called by a convention of its own
    own_way    whether it certainly is: it needs or loses what no convention lets it
    drives     registers through whose entry values it calls
    touches    whether it reads or writes its caller's frame, or moves SP
    unsure     whether some of it could not be followed
    unknown    registers of which it is not known whether they are changed
    """

    returns: bool = False
    changed: int = 0
    defined: int = ALL
    lost: int = 0
    needs_at: dict[int, int] = field(default_factory=dict)
    must: int = 0
    sp_change: int | None = 0
    stack_reads: dict[int, int] = field(default_factory=dict)
    private: bool = False
    own_way: bool = False
    touches: bool = False
    writes_caller: bool = False  # its caller's frame, as far as is known
    drives: int = 0
    unsure: bool = False
    unknown: int = 0

    def facts(self) -> tuple[object, ...]:
        """What callers see of it."""
        return (
            self.returns,
            self.changed,
            self.defined,
            self.lost,
            frozenset(self.needs_at),
            self.must,
            self.sp_change,
            frozenset(self.stack_reads),
            self.private,
            self.drives,
            self.unsure,
            self.unknown,
        )


def is_clean(state: State, profile: Profile) -> bool:
    """Whether the caller's frame and all that is preserved are as at entry."""
    values = state.values
    return (
        values[SP_BIT] == STACK
        and values[LINK] == entry(LINK)
        and all(values[bit] == bit + 1 for bit in profile.saved_list)
    )


def add_return(flow: Flow, state: State, *, keep_link: bool = False) -> None:
    """Add a return to the summary."""
    summary = flow.summary
    values = state.values
    changed = left = 0
    for bit in compress(BITS, map(ne, values, ENTRY_VALUES)):
        value = values[bit]
        if value == UNKNOWN_VALUE:
            summary.unknown |= 1 << bit
        else:
            changed |= 1 << bit
            if value < 0:
                left |= 1 << bit
    defined = changed & ~left
    changed &= ~(1 << SP_BIT)
    pointer = values[SP_BIT]
    change = pointer - STACK if is_stack(pointer) else None
    if summary.returns and summary.sp_change != change:
        change = None
    summary.sp_change = change
    summary.returns = True
    unchanged = ALL & ~changed
    summary.changed |= changed
    # A register that one path leaves alone and another defines may be handed back, too.
    summary.defined &= defined | unchanged
    summary.lost |= changed & flow.profile.saved
    if keep_link:
        summary.changed |= 1 << LINK


def settle(flow: Flow) -> None:
    """Complete the summary when the flow has come to its end."""
    summary = flow.summary
    function = flow.function
    if flow.unexplored:
        summary.returns = True  # perhaps where we could not follow
        summary.unsure = True
    needs = sum(1 << bit for bit in summary.needs_at)
    private = summary.lost | needs & (flow.profile.undefined | flow.profile.saved)
    summary.writes_caller = flow.touches_caller
    summary.touches = bool(flow.touches_caller or flow.stack_reads or summary.sp_change != 0)
    summary.own_way = bool(private)
    summary.private = not function.is_global and bool(private or not function.typed)
    if function.is_global and not flow.unexplored:
        # Whoever finds a preserved register lost finds it at the function itself.
        summary.changed &= ~flow.profile.saved
        summary.sp_change = 0
    if summary.unsure:
        summary.sp_change = 0 if summary.sp_change is None else summary.sp_change
