"""When a register is taken: what is reserved for a value inside its own range hides nothing."""

from __future__ import annotations

import random

from callproof.codegen.intervals import FAR, Interval, Occupancy


def test_a_reservation_within_the_values_own_range() -> None:
    busy = Occupancy()
    busy.add(64, 66, 136)
    value = Interval(136, [(8, 172), (196, 280)], [])
    assert busy.conflict(value) == FAR
    busy.take(value)
    assert busy.conflict(Interval(152, [(81, 86)], [])) == 81
    assert busy.conflict(Interval(152, [(64, 65)], [])) == 64
    assert busy.conflict(Interval(152, [(172, 196)], [])) == FAR
    assert busy.at(65) == 136 and busy.at(100) is value
    busy.remove(value)
    assert busy.conflict(Interval(152, [(81, 86)], [])) == FAR
    assert busy.conflict(Interval(152, [(60, 65)], [])) == 64


def test_random_ranges_are_found_as_one_position_after_the_other_says() -> None:
    source = random.Random(7)
    for _ in range(400):
        busy = Occupancy()
        taken: dict[int, int] = {}
        for place in range(0, 100, 10):
            if source.random() < 0.5:
                register = source.randrange(3)
                start = place + source.randrange(8)
                busy.add(start, start + 2, register)
                taken |= dict.fromkeys(range(start, start + 2), register)
        for register in range(3):
            ranges = []
            position = source.randrange(20)
            while position < 100:
                end = position + 1 + source.randrange(30)
                ranges.append((position, end))
                position = end + 1 + source.randrange(20)
            value = Interval(register, ranges, [])
            meets = [
                position
                for start, end in ranges
                for position in range(start, end)
                if taken.get(position, register) != register
            ]
            assert busy.conflict(value) == (meets[0] if meets else FAR)
            if not meets:
                busy.take(value)
                taken |= {p: register for start, end in ranges for p in range(start, end)}
