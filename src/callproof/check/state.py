"""The abstract state of a machine inside one function, and how states are joined.

A register (or half of a V register) holds a value, an integer by kind:

    TOP               some value of the function's own making: no entry value
    1 + r             what register r held at the function's entry
    UNKNOWN_VALUE     it may be anything, entry values included: nothing is concluded
    STACK + k         the address SP had at entry, plus k
    CONSTANT_VALUE + c  the number c
    MEMORY + a        what lies at the constant address a
    TABLES + i        a step of a jump table, kept aside in the flow
    negative          left by a call: `clobber(address, grade)`

They are ordered entry < UNKNOWN_VALUE < TOP < clobbered; a join goes upwards, so that
analysis ends.  A stack slot is (bytes, value, whether it was written below SP), by its
distance from SP at entry; it is exact to the byte.
"""

from __future__ import annotations

from callproof.target.arm64.effects import REGISTERS, SP_BIT

TOP, UNKNOWN_VALUE = 0, 98
STACK = 1 << 66
STACK_LOW, STACK_HIGH = STACK - (1 << 62), STACK + (1 << 62)
CONSTANT_VALUE = 1 << 68
MEMORY = 1 << 69
TABLES = 1 << 71
SURE, RESULT, PARTLY = 0, 1, 2  # grades: certainly left by a call; perhaps a result; overwritten
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


def clobber(address: int, grade: int) -> int:
    return -(address * 4 + grade) - 1


def clobberer(value: int) -> tuple[int, int]:
    """The call's address and the grade of a negative value."""
    return (-value - 1) // 4, (-value - 1) % 4


class State:
    """`special` has a bit for each register that is not TOP; `watch` for those whose use is
    to be looked at: clobbered ones and entry values."""

    __slots__ = ("escaped", "slots", "special", "values", "watch")

    def __init__(self) -> None:
        self.values: list[int] = [bit + 1 for bit in range(REGISTERS)]
        self.values[SP_BIT] = STACK
        self.special = self.watch = (1 << REGISTERS) - 1
        self.watch ^= 1 << SP_BIT
        self.slots: dict[int, Slot] = {}
        self.escaped = False

    def copy(self) -> State:
        new = State.__new__(State)
        new.values = self.values.copy()
        new.special = self.special
        new.watch = self.watch
        new.slots = self.slots.copy()
        new.escaped = self.escaped
        return new

    def set(self, bit: int, value: int) -> None:
        mask = 1 << bit
        self.values[bit] = value
        if value == TOP:
            self.special &= ~mask
            self.watch &= ~mask
            return
        self.special |= mask
        if value < 0 or value <= REGISTERS:
            self.watch |= mask
        else:
            self.watch &= ~mask

    def clear(self, mask: int) -> None:
        """All of these registers become TOP."""
        mask &= self.special
        self.special &= ~mask
        self.watch &= ~mask
        values = self.values
        while mask:
            low = mask & -mask
            values[low.bit_length() - 1] = TOP
            mask ^= low
        if values[SP_BIT] == TOP:
            self.set(SP_BIT, UNKNOWN_VALUE)

    def store(self, offset: int, size: int, value: int, below: bool) -> None:
        slots = self.slots
        for other in range(offset - 7, offset + size):
            if other in slots and other + slots[other][0] > offset:
                del slots[other]
        slots[offset] = (size, value, below)

    def join(self, other: State) -> bool:
        """Become what is true of both; whether that changed anything."""
        changed = False
        if self.values != other.values:
            for bit, (mine, theirs) in enumerate(zip(self.values, other.values, strict=True)):
                if mine != theirs:
                    new = join_values(mine, theirs)
                    if bit == SP_BIT and not is_stack(new):
                        new = UNKNOWN_VALUE
                    if new != mine:
                        self.set(bit, new)
                        changed = True
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
        if mine >= 0:
            return theirs
        if theirs >= 0:
            return mine
        # The graver one; of equals the earlier call, so that it cannot go round.
        return max(mine, theirs, key=lambda v: (-clobberer(v)[1], v))
    if mine == TOP or theirs == TOP:
        return TOP
    if UNKNOWN_VALUE in (mine, theirs) or (is_stack(mine) and is_stack(theirs)):
        return UNKNOWN_VALUE
    return TOP
