"""Spill slots: which values have one, and which share it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Container, Mapping
from heapq import heappop, heappush

from callproof.codegen.intervals import IN_MEMORY, Interval
from callproof.codegen.machine import FIRST_VIRTUAL, MachineFunction, SpillSlot


def assign_slots(
    function: MachineFunction,
    pieces: dict[int, list[Interval]],
    remade: Container[int],
    in_slot: Mapping[int, int],
) -> tuple[list[SpillSlot], dict[int, int]]:
    """A slot for each value that is ever in memory; values that never live together share.

    remade    values that are made again instead
    in_slot   values that need a slot wherever else they are -> from which position

    Pieces in memory get their location, `~slot`; so does the second result, by register.
    """
    spilled = []
    for register, parts in pieces.items():
        if register in remade:
            continue
        start, end = parts[0].start, parts[-1].end
        if register in in_slot:
            spilled.append((min(start, in_slot[register]), end, register))
        elif any(part.location == IN_MEMORY for part in parts):
            spilled.append((start, end, register))
    for register, position in in_slot.items():
        if register not in pieces:  # a result that nothing reads
            spilled.append((position, position + 2, register))
    slots: list[SpillSlot] = []
    found: dict[int, int] = {}
    free: dict[int, list[int]] = {8: [], 16: []}
    busy: list[tuple[int, int]] = []
    for start, end, register in sorted(spilled):
        while busy and busy[0][0] <= start:
            _, slot = heappop(busy)
            insort(free[slots[slot].size], slot)
        index = register - FIRST_VIRTUAL
        size = function.sizes[index]
        if free[size]:
            slot = free[size].pop(0)
        else:
            slot = len(slots)
            slots.append(SpillSlot(size))
        name = function.names[index]
        if name and name not in slots[slot].names:
            slots[slot].names.append(name)
        heappush(busy, (end, slot))
        found[register] = ~slot
        for part in pieces.get(register, ()):
            if part.location == IN_MEMORY:
                part.location = ~slot
    return slots, found
