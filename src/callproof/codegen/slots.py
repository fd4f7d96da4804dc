"""Spill slots: which values have one, which share it, and where they are in the frame."""

from __future__ import annotations

from bisect import insort
from collections.abc import Container, Mapping
from heapq import heappop, heappush

from callproof.codegen.intervals import IN_MEMORY, Interval
from callproof.codegen.machine import FIRST_VIRTUAL, Allocation, MachineFunction, SpillSlot
from callproof.source import CallproofError


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


def place_in_frame(
    function: MachineFunction, allocation: Allocation, offset: int, stack_pointer: str
) -> tuple[list[int], list[int], int]:
    """Offsets from the stack pointer of the spill slots and of the function's own slots, from
    `offset` on, and the offset behind all of them; bytes."""
    spills = [0] * len(allocation.spill_slots)
    for size in (8, 16):  # small ones first: they need the short reach more often
        offset = -(-offset // size) * size
        for index, spill in enumerate(allocation.spill_slots):
            if spill.size == size:
                spills[index] = offset
                offset += size
    slots = []
    for slot in function.slots:
        if slot.alignment > 16:
            raise CallproofError(
                f"stack slot '{slot.name}' of {function.display_name}: alignment "
                f"{slot.alignment} is more than the 16 that {stack_pointer} has"
            )
        alignment = max(slot.alignment, 1)
        offset = -(-offset // alignment) * alignment
        slots.append(offset)
        offset += slot.size
    return spills, slots, offset
