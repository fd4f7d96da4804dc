"""What went wrong in an emulated program, told as a person wants to hear it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from callproof.run.loader import Image
from callproof.run.memory import BadAddress, Memory
from callproof.run.process import SIGNALS

MEANINGS = {
    4: "illegal instruction",
    5: "trap",
    6: "aborted",
    7: "bus error",
    8: "arithmetic error",
    11: "segmentation fault",
    24: "time limit",
}
WALK_LIMIT = 16


@dataclass(frozen=True, slots=True)
class Fault:
    """`signal` as Linux would send; `pc` of the instruction that could not be done.

    `link` is where it may return to: the link register, or the word on top of the stack.
    """

    signal: int
    what: str
    pc: int
    frame_pointer: int
    link: int

    @property
    def status(self) -> int:
        return 128 + self.signal


class Places:
    """Names code addresses: function and offset, and file and line where there are any."""

    __slots__ = ("_call_site", "_find", "_image")

    def __init__(self, image: Image, call_site: Callable[[Image, int], int | None]) -> None:
        """`call_site` finds the call before a return address (`machine.Code`)."""
        self._image = image
        self._call_site = call_site
        self._find: Callable[[int], tuple[str, str, int] | None] | None = None

    def name(self, address: int) -> str:
        """'f+0x10 (prog.bcl:12)' for an instruction's address."""
        found = self._lines()(address)
        name = self._image.display_name(address)
        if found is None or not found[1] or not found[2]:
            return name
        return f"{name} ({found[1]}:{found[2]})"

    def of_return(self, address: int) -> str:
        """The same for the call before a return address (which may be another function's)."""
        site = self._call_site(self._image, address)
        return self.name(address - 1 if site is None else site)

    def is_return(self, address: int) -> bool:
        """Whether a call may return to the address."""
        return self._call_site(self._image, address) is not None

    def _lines(self) -> Callable[[int], tuple[str, str, int] | None]:
        if self._find is None:
            from callproof.object.dwarf import LineTable

            find, base = LineTable.from_elf(self._image.data).find, self._image.base
            self._find = lambda address: find(address - base)
        return self._find


def return_addresses(fault: Fault, memory: Memory, places: Places) -> list[int]:
    """The callers' return addresses, innermost first, by the chain of frame records.

    A function that has made no frame record has its return address in LR; LR of one
    that has may be stale, so it counts only outside of the function itself.
    """
    found: list[int] = []
    frame = fault.frame_pointer
    chain: list[int] = []
    while len(chain) < WALK_LIMIT and frame and frame % 16 == 0:
        try:
            outer, link = struct.unpack("<QQ", memory.read(frame, 16))
        except BadAddress:
            break
        if not places.is_return(link):
            break
        chain.append(link)
        if outer <= frame:  # records lie at rising addresses; anything else is damage
            break
        frame = outer
    if places.is_return(fault.link) and fault.link not in chain[:1]:
        here = places.name(fault.pc).split("+")[0].split(" ")[0]
        there = places.of_return(fault.link).split("+")[0].split(" ")[0]
        if here != there:
            found.append(fault.link)
    return found + chain


def report(program: str, fault: Fault, memory: Memory, places: Places) -> str:
    """Several lines of text, the first of them complete in itself."""
    name = SIGNALS.get(fault.signal, f"signal {fault.signal}")
    meaning = MEANINGS.get(fault.signal, "ended by a signal")
    lines = [
        f"callproof: {program}: {meaning} ({name}): {fault.what}",
        f"  in {places.name(fault.pc)}, at {fault.pc:#x}",
    ]
    callers = return_addresses(fault, memory, places)
    lines += [f"  called from {places.of_return(address)}" for address in callers[:WALK_LIMIT]]
    if len(callers) >= WALK_LIMIT:
        lines.append("  ...")
    return "\n".join(lines) + "\n"
