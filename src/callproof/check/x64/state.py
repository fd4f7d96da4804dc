"""Registers and stack slots at one place of a function."""

from __future__ import annotations

from dataclasses import dataclass, field

from callproof.abi.sysv64 import RSP
from callproof.check.x64.values import ENTRY, RETURN_ADDRESS, Value, join, stack

WORD = 8
Slot = tuple[int, int]  # base and offset, as in `Value`
KEPT = frozenset(("entry", "stack", "return", "left"))  # what is worth to be known in memory


@dataclass(slots=True)
class Bases:
    """Where stack bases lie: for each AND of RSP the value before it and the alignment."""

    known: dict[int, tuple[Value, int]] = field(default_factory=dict)

    def aligned(self, address: int, before: Value, alignment: int) -> Value | None:
        """The new base; None if RSP was not the same the last time."""
        if self.known.setdefault(address, (before, alignment)) != (before, alignment):
            return None
        return stack(address, 0)

    def bounds(self, base: int, offset: int) -> tuple[int, int]:
        """The least and greatest distance from RSP at entry."""
        low = high = offset
        while base:
            before, alignment = self.known[base]
            base = before.where
            low += before.offset - alignment + 1
            high += before.offset
        return low, high

    def misaligned(self, rsp: Value) -> bool:
        """Whether RSP is no multiple of 16; at entry it is 8 bytes off."""
        if rsp.where:
            return self.known[rsp.where][1] % 16 != 0 or rsp.offset % 16 != 0
        return (rsp.offset - WORD) % 16 != 0


@dataclass(slots=True)
class State:
    """`values` by register number; `slots`: bytes and value of what was stored."""

    values: list[Value]
    slots: dict[Slot, tuple[int, Value]]

    @staticmethod
    def at_entry() -> State:
        values = list(ENTRY)
        values[RSP] = stack(0, 0)
        return State(values, {(0, 0): (WORD, RETURN_ADDRESS)})

    def copy(self) -> State:
        return State(self.values.copy(), self.slots.copy())

    def join(self, other: State, block: int) -> bool:
        """Add what holds on another path; whether anything is new."""
        changed = False
        for register, theirs in enumerate(other.values):
            ours = self.values[register]
            if ours is theirs:
                continue
            value = join(ours, theirs, block)
            if value != ours:
                self.values[register] = value
                changed = True
        for slot, (size, value) in list(self.slots.items()):
            there = other.slots.get(slot)
            if there == (size, value):
                continue
            if there is not None and there[0] == size and there[1].is_left and value.is_left:
                both = join(value, there[1], block)
                changed |= both != value
                self.slots[slot] = (size, both)
            else:
                del self.slots[slot]
                changed = True
        return changed

    # --- memory ---------------------------------------------------------------------------

    def store(self, bases: Bases, base: int, offset: int, size: int, value: Value | None) -> None:
        """Bytes of the stack are written; what else lies there is gone."""
        self.forget(bases, base, offset, size)
        if value is not None and value.kind in KEPT:
            self.slots[base, offset] = (size, value)

    def forget(self, bases: Bases, base: int, offset: int, size: int) -> None:
        """Bytes that may hold anything now, wherever their base lies."""
        for slot, (length, _) in list(self.slots.items()):
            if slot[0] == base:
                apart = slot[1] + length <= offset or offset + size <= slot[1]
            else:
                low, high = bases.bounds(*slot)
                first, last = bases.bounds(base, offset)
                apart = high + length <= first or last + size <= low
            if not apart:
                del self.slots[slot]

    def forget_below(self, bases: Bases, rsp: Value) -> None:
        """A call writes what lies below RSP."""
        for slot, (length, _) in list(self.slots.items()):
            if slot[0] == rsp.where:
                below = slot[1] + length <= rsp.offset
            else:
                below = bases.bounds(*slot)[1] + length <= bases.bounds(rsp.where, rsp.offset)[0]
            if below:
                del self.slots[slot]

    def forget_left(self) -> None:
        """Somebody who knows the frame's address may have given such slots a value."""
        for slot, (_, value) in list(self.slots.items()):
            if value.is_left:
                del self.slots[slot]
