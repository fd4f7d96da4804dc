"""The abstract state of a machine inside one function, and how states are joined.

A register (or half of a V register) holds a value, an integer by kind:

    TOP               some value of the function's own making: no entry value
    1 + r             what register r held at the function's entry
    UNKNOWN_VALUE     it may be anything, entry values included: nothing is concluded
    FOREIGN           8 bytes loaded from memory that is not the frame
    COMPUTED          a constant address plus something: a place in a table or in code
    STACK + k         the address SP had at entry, plus k
    CONSTANT_VALUE + c  the number c
    MEMORY + a        what lies at the constant address a
    TABLES + i        a step of a jump table, kept aside in the flow
    negative          left by a call, by grade:
        COPIED        LEFT or NOTHING, moved to an argument register: it is meant to be passed
        LEFT          the register held something before the call: whoever reads it expects that
        NOTHING       it held nothing then either
        PERHAPS       NOTHING on one path, something on another: compilers leave that where a
                      variable has no value yet, and such a path is hardly ever taken
        RESULT        it may be a result
        PARTLY        overwritten in part

They are ordered entry < UNKNOWN_VALUE < FOREIGN, COMPUTED < TOP < NOTHING < PERHAPS <
RESULT < PARTLY < COPIED < LEFT; a join goes upwards, so that analysis ends.  A stack slot is
(bytes, value, whether it was written below SP), by its distance from SP at entry; it is
exact to the byte.
"""

from __future__ import annotations

from itertools import compress
from operator import ne

from callproof.check.conventions import UNDEFINED_AT_ENTRY
from callproof.target.arm64.effects import REGISTERS, SP_BIT

TOP, UNKNOWN_VALUE, FOREIGN, COMPUTED = 0, 98, 99, 100
STACK = 1 << 66
STACK_LOW, STACK_HIGH = STACK - (1 << 62), STACK + (1 << 62)
CONSTANT_VALUE = 1 << 68
MEMORY = 1 << 69
TABLES = 1 << 71
NOTHING, PERHAPS, RESULT, PARTLY, COPIED, LEFT = -1, -2, -3, -4, -5, -6
OTHERS = frozenset((FOREIGN, COMPUTED))
CERTAIN = frozenset((NOTHING, COPIED, LEFT))
SIX_RESULTS, FOUR_RESULTS = [RESULT] * 6, [RESULT] * 4
BITS = range(REGISTERS)
Slot = tuple[int, int, bool]


def entry(bit: int) -> int:
    return bit + 1


def is_entry(value: int) -> bool:
    return 0 < value <= REGISTERS


def is_stack(value: int) -> bool:
    return STACK_LOW < value < STACK_HIGH


def is_constant(value: int) -> bool:
    return CONSTANT_VALUE <= value < MEMORY


def is_memory(value: int) -> bool:
    return MEMORY <= value < TABLES


class State:
    """`special` has a bit for each register that is not TOP; `watch` for those whose use is
    to be looked at: clobbered ones and entry values; `empty` for those that hold nothing
    (undefined at entry, or NOTHING); `left` for NOTHING and LEFT."""

    __slots__ = ("empty", "escaped", "left", "slots", "special", "values", "watch")

    def __init__(self) -> None:
        self.values: list[int] = [bit + 1 for bit in range(REGISTERS)]
        self.values[SP_BIT] = STACK
        self.special = self.watch = (1 << REGISTERS) - 1
        self.watch ^= 1 << SP_BIT
        self.empty = UNDEFINED_AT_ENTRY
        self.left = 0
        self.slots: dict[int, Slot] = {}
        self.escaped = False

    def copy(self) -> State:
        new = State.__new__(State)
        new.values = self.values.copy()
        new.special = self.special
        new.watch = self.watch
        new.empty = self.empty
        new.left = self.left
        new.slots = self.slots.copy()
        new.escaped = self.escaped
        return new

    def set(self, bit: int, value: int) -> None:
        mask = 1 << bit
        self.values[bit] = value
        keep = ~mask
        self.empty &= keep
        self.left &= keep
        if value == TOP:
            self.special &= ~mask
            self.watch &= ~mask
            return
        self.special |= mask
        if value <= REGISTERS:
            self.watch |= mask
            if value in (NOTHING, LEFT):
                self.left |= mask
            if value == NOTHING or (value > 0 and UNDEFINED_AT_ENTRY >> (value - 1) & 1):
                self.empty |= mask
        else:
            self.watch &= ~mask

    def clear(self, mask: int) -> None:
        """All of these registers become TOP."""
        mask &= self.special
        keep = ~mask
        self.special &= keep
        self.watch &= keep
        self.empty &= keep
        self.left &= keep
        values = self.values
        while mask:
            low = mask & -mask
            values[low.bit_length() - 1] = TOP
            mask ^= low
        if values[SP_BIT] == TOP:
            self.set(SP_BIT, UNKNOWN_VALUE)

    def results(self, mask: int) -> None:
        """X2-X7 and V4-V7 (the mask), which may be results of an unknown function."""
        self.special |= mask
        self.watch |= mask
        self.empty &= ~mask
        self.left &= ~mask
        values = self.values
        values[2:8] = SIX_RESULTS
        values[36:40] = values[68:72] = FOUR_RESULTS

    def spread(self, mask: int) -> None:
        """A call leaves rubbish in these registers."""
        self.special |= mask
        self.watch |= mask
        values = self.values
        rest = mask & ~self.left
        self.left |= mask
        empty = rest & self.empty
        rest ^= empty
        while empty:
            low = empty & -empty
            empty ^= low
            values[low.bit_length() - 1] = NOTHING
        while rest:
            low = rest & -rest
            rest ^= low
            bit = low.bit_length() - 1
            values[bit] = PERHAPS if values[bit] == PERHAPS else LEFT
            if values[bit] == PERHAPS:
                self.left ^= low

    def store(self, offset: int, size: int, value: int, below: bool) -> None:
        slots = self.slots
        for other in range(offset - 7, offset + size):
            if other in slots and other + slots[other][0] > offset:
                del slots[other]
        slots[offset] = (size, value, below)

    def join_registers(self, theirs: list[int]) -> bool:
        """The registers' part of `join`, with the sets brought up to date once at the end."""
        values = self.values
        top = negative = left = 0
        changed = False
        for bit in compress(BITS, map(ne, values, theirs)):
            mine, other = values[bit], theirs[bit]
            if mine < 0 or other < 0:
                new = mine if mine < other else other
                if new == NOTHING:
                    new = PERHAPS
                if new == mine:
                    continue
                negative |= 1 << bit
                if new == LEFT:
                    left |= 1 << bit
                values[bit] = new
            elif mine == TOP:
                continue
            elif bit == SP_BIT:
                if mine != UNKNOWN_VALUE:
                    self.set(bit, UNKNOWN_VALUE)
                    changed = True
            elif other == TOP:
                top |= 1 << bit
                values[bit] = TOP
            else:
                new = join_values(mine, other)
                if new != mine:
                    self.set(bit, new)
                    changed = True
        if top or negative:
            keep = ~(top | negative)
            self.special = self.special & ~top | negative
            self.watch = self.watch & ~top | negative
            self.empty &= keep
            self.left = self.left & keep | left
            changed = True
        return changed

    def join(self, other: State) -> bool:
        """Become what is true of both; whether that changed anything."""
        changed = False
        if self.values != other.values:
            changed = self.join_registers(other.values)
        # A use that one path has looked at already is still to be looked at on the other.
        watch = self.watch | other.watch & self.special
        if watch != self.watch:
            self.watch = watch
            changed = True
        if self.slots != other.slots:
            for offset, slot in list(self.slots.items()):
                theirs_ = other.slots.get(offset)
                if theirs_ == slot:
                    continue
                if theirs_ is None or theirs_[0] != slot[0]:
                    del self.slots[offset]
                    changed = True
                    continue
                value = join_values(slot[1], theirs_[1])
                joined = (slot[0], value, slot[2] or theirs_[2])
                if joined != slot:
                    self.slots[offset] = joined
                    changed = True
        if other.escaped and not self.escaped:
            self.escaped = changed = True
        return changed


def join_values(mine: int, theirs: int) -> int:
    """The least value above both."""
    if mine == theirs:
        return mine
    if mine < 0 or theirs < 0:
        low = min(mine, theirs)
        return PERHAPS if low == NOTHING else low
    if mine == TOP or theirs == TOP:
        return TOP
    if mine in OTHERS or theirs in OTHERS:
        return TOP
    if UNKNOWN_VALUE in (mine, theirs) or (is_stack(mine) and is_stack(theirs)):
        return UNKNOWN_VALUE
    return TOP
