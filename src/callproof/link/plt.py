"""Entries of the procedure linkage table: each jumps to where its slot points.

The loader fills all slots before the program starts (BIND_NOW), so there is no resolver
to call and the slots are read-only afterwards.
"""

from __future__ import annotations

import struct

from callproof.source import CallproofError

ENTRY_SIZE = 16


def entry(machine: str, address: int, slot: int) -> bytes:
    """The entry at `address` for the slot at `slot`."""
    return ENTRIES[machine](address, slot)


def _aarch64(address: int, slot: int) -> bytes:
    pages = (slot >> 12) - (address >> 12)
    if not -(1 << 20) <= pages < 1 << 20:
        raise _out_of_reach(address, slot)
    low = slot & 0xFFF
    return struct.pack(
        "<IIII",
        0x90000010 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5,  # adrp x16, slot
        0xF9400211 | low >> 3 << 10,  # ldr x17, [x16, #low]
        0x91000210 | low << 10,  # add x16, x16, #low
        0xD61F0220,  # br x17
    )


def _x86_64(address: int, slot: int) -> bytes:
    distance = slot - (address + 10)
    if not -(1 << 31) <= distance < 1 << 31:
        raise _out_of_reach(address, slot)
    endbr64, jump = b"\xf3\x0f\x1e\xfa", b"\xff\x25"
    nop = b"\x66\x0f\x1f\x44\0\0"
    return endbr64 + jump + struct.pack("<i", distance) + nop


def _out_of_reach(address: int, slot: int) -> CallproofError:
    return CallproofError(f"the PLT entry at {address:#x} does not reach its slot at {slot:#x}")


ENTRIES = {"aarch64": _aarch64, "x86_64": _x86_64}
