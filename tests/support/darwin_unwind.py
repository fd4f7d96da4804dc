"""Walks the stack of a program in `darwin.Mac` by its `__unwind_info`, as Apple's unwinder does.

Decoded here anew from <mach-o/compact_unwind_encoding.h>.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass

from tests.support.darwin import LIBRARY, PAGE, SLIDE, Mac

OUTSIDE = range(LIBRARY, LIBRARY + PAGE)


def entries(table: bytes) -> list[tuple[int, int]]:
    """(offset of a function from the program's start, encoding), ascending."""
    version, _, common, _, _, index, count = struct.unpack_from("<7I", table)
    assert (version, common) == (1, 0)
    found: list[tuple[int, int]] = []
    for number in range(count - 1):
        first, page, _ = struct.unpack_from("<3I", table, index + 12 * number)
        kind, start, rows = struct.unpack_from("<I2H", table, page)
        assert kind == 2
        for row in range(rows):
            found.append(struct.unpack_from("<2I", table, page + start + 8 * row))
        assert found[-rows][0] == first
    last, nothing, _ = struct.unpack_from("<3I", table, index + 12 * (count - 1))
    assert nothing == 0 and last >= found[-1][0]
    assert found == sorted(found)
    return found


@dataclass
class Walker:
    """`watch` of a `Mac`: walks from each call of the library to the outermost frame, and sees
    that every preserved register has the value there that it had at first."""

    table: list[tuple[int, int]]
    base: int
    frames: int = 0
    whole: int = 0  # walks that reached the outermost frame
    cut: int = 0  # walks that ended at a function of which nothing is known

    @classmethod
    def of(cls, mac: Mac) -> Walker:
        table = entries(mac.program.content("__TEXT", "__unwind_info"))
        return cls(table, mac.program.base)

    def encoding(self, address: int) -> int:
        offset = address - SLIDE - self.base
        return self.table[bisect_right(self.table, (offset, 1 << 32)) - 1][1]

    def __call__(self, mac: Mac) -> None:
        names = [*(f"X{n}" for n in range(19, 29)), *(f"D{n}" for n in range(8, 16))]
        registers = {name: mac.get(name) for name in names}
        address, frame, stack = mac.get("X30"), mac.get("X29"), mac.get("SP")
        while address not in OUTSIDE:
            encoding = self.encoding(address - 1)
            if encoding == 0:
                self.cut += 1
                return
            assert encoding >> 24 == 4, f"{address:#x} is in a function without frame, which calls"
            self.frames += 1
            place = frame - 8
            for index, first in enumerate([*range(19, 29, 2), *range(8, 16, 2)]):
                kind, bit = ("X", 1 << index) if index < 5 else ("D", 0x100 << (index - 5))
                if encoding & bit:
                    registers[f"{kind}{first}"] = mac.word(place)
                    registers[f"{kind}{first + 1}"] = mac.word(place - 8)
                    place -= 16
            stack = frame + 16
            address, frame = mac.word(frame + 8), mac.word(frame)
        if address != LIBRARY + PAGE - 16:
            return  # called back by the library
        self.whole += 1
        assert (stack, frame) == (mac.stack, 0)
        for name, value in registers.items():
            factor = 0x0101_0101 if name[0] == "X" else 0x0202_0202
            assert value == int(name[1:]) * factor, f"{name} is not what it was"
