"""C++ exceptions in `darwin.Mac`: what libc++abi and Apple's unwinder do with a throw.

Frames are left by `__unwind_info`, handlers found in the tables that it leads to.  Decoded
here anew from <mach-o/compact_unwind_encoding.h> and the Itanium C++ ABI's exception tables.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.darwin import CALL_CHANGES, RUBBISH, SLIDE, Ended, Mac
from tests.support.darwin_unwind import entries

HAS_LSDA, PERSONALITY = 0x40000000, 28
OMITTED, INDIRECT_DISTANCE, ULEB = 0xFF, 0x9B, 0x01
PERSONALITY_NAME = "___gxx_personality_v0"


@dataclass
class Unwinder:
    """`landed`: how often control went to handlers and cleanups."""

    mac: Mac
    landed: int = 0
    types: dict[int, int] = field(default_factory=dict)  # exception -> its typeinfo
    caught: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        program = self.mac.program
        table = program.content("__TEXT", "__unwind_info")
        self.rows = entries(table)
        _, _, _, at, count, index, pages = struct.unpack_from("<7I", table)
        assert count <= 3
        for (slot,) in struct.iter_unpack("<I", table[at : at + 4 * count]):
            assert program.binds[program.base + slot] == (PERSONALITY_NAME, 0)
        self.personalities = count
        indexed = [struct.unpack_from("<3I", table, index + 12 * n) for n in range(pages)]
        first, last = indexed[0][2], indexed[-1][2]
        rows = list(struct.iter_unpack("<2I", table[first:last]))
        assert rows == sorted(rows)
        for start, _, place in indexed[:-1]:
            assert place == first + 8 * sum(one < start for one, _ in rows)
        self.handlers = dict(rows)
        with_tables = {start for start, encoding in self.rows if encoding & HAS_LSDA}
        assert set(self.handlers) == with_tables

    def functions(self) -> dict[str, Callable[[Mac], int]]:
        return {
            "___cxa_allocate_exception": lambda mac: mac.allocate(mac.get("X0")),
            "___cxa_begin_catch": self.begin_catch,
            "___cxa_end_catch": self.end_catch,
        }

    def special(self) -> dict[str, Callable[[Mac], None]]:
        return {"___cxa_throw": self.throw, "__Unwind_Resume": self.resume}

    def throw(self, mac: Mac) -> None:
        self.types[mac.get("X0")] = mac.get("X1")
        self.go(mac.get("X0"))

    def resume(self, mac: Mac) -> None:
        self.go(mac.get("X0"))

    def begin_catch(self, mac: Mac) -> int:
        self.caught.append(mac.get("X0"))
        return mac.get("X0")

    def end_catch(self, mac: Mac) -> int:
        self.caught.pop()
        return 0

    def go(self, exception: int) -> None:
        """To the next handler or cleanup, from the call of the library that is under way."""
        mac = self.mac
        registers: dict[str, int] = {}
        address, frame, stack = mac.get("X30"), mac.get("X29"), mac.get("SP")
        while True:
            offset = address - 1 - SLIDE - mac.program.base
            start, encoding = self.rows[bisect_right(self.rows, (offset, 1 << 32)) - 1]
            assert encoding >> 24 & 15 == 4, "no frame, or nobody catches it"
            if encoding & HAS_LSDA:
                assert encoding >> PERSONALITY & 3 in range(1, self.personalities + 1)
                found = self.site(start, offset, self.types[exception])
                if found is not None:
                    break
            place = frame - 8
            for index, first in enumerate([*range(19, 29, 2), *range(8, 16, 2)]):
                kind, bit = ("X", 1 << index) if index < 5 else ("D", 0x100 << (index - 5))
                if encoding & bit:
                    registers[f"{kind}{first}"] = mac.word(place)
                    registers[f"{kind}{first + 1}"] = mac.word(place - 8)
                    place -= 16
            stack = frame + 16
            address, frame = mac.word(frame + 8), mac.word(frame)
        for number in CALL_CHANGES:
            mac.set(f"X{number}", RUBBISH + number)
        for name, value in registers.items():
            mac.set(name, value)
        pad, selector = found
        mac.set("X29", frame)
        mac.set("SP", stack)
        mac.set("X0", exception)
        mac.set("X1", selector)
        mac.set("X30", mac.program.base + SLIDE + pad)  # the library's RET goes there
        self.landed += 1

    def site(self, start: int, offset: int, thrown: int) -> tuple[int, int] | None:
        """(offset of the code, selector) for a call; None if nothing is to be done there."""
        reader = _Reader(self.mac, self.mac.program.base + SLIDE + self.handlers[start])
        assert reader.byte() == OMITTED
        types = 0
        kind = reader.byte()
        if kind != OMITTED:
            assert kind == INDIRECT_DISTANCE
            distance = reader.uleb()
            types = reader.at + distance
        assert reader.byte() == ULEB
        length = reader.uleb()
        actions = reader.at + length
        while reader.at < actions:
            first, size, pad, action = (reader.uleb() for _ in range(4))
            if not first <= offset - start < first + size:
                continue
            if not pad:
                return None
            selector = self.select(actions, action, types, thrown)
            return None if selector is None else (start + pad, selector)
        raise AssertionError("a call without a row: terminate")

    def select(self, actions: int, action: int, types: int, thrown: int) -> int | None:
        if not action:
            return 0
        at, is_cleanup = actions + action - 1, False
        while True:
            reader = _Reader(self.mac, at)
            number = reader.sleb()
            next_at = reader.at
            distance = reader.sleb()
            if number > 0:
                place = types - 4 * number
                (value,) = struct.unpack("<i", bytes(self.mac.uc.mem_read(place, 4)))
                if not value or self.mac.word(place + value) == thrown:
                    return number
            is_cleanup |= number == 0
            if not distance:
                return 0 if is_cleanup else None
            at = next_at + distance


class _Reader:
    def __init__(self, mac: Mac, at: int) -> None:
        self.mac, self.at = mac, at

    def byte(self) -> int:
        self.at += 1
        return int(bytes(self.mac.uc.mem_read(self.at - 1, 1))[0])

    def uleb(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def sleb(self) -> int:
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value


__all__ = ["Ended", "Unwinder"]
