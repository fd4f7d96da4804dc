"""Jump tables: where a computed branch goes, if that can be known.

Only tables whose bound the code itself checks are followed, by the unsigned comparison
that precedes the load: a table read too far would invent branches and with them findings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from callproof.check.functions import Code, Function

MOST_ENTRIES = 4096
LOOK_BACK = 40  # instructions between the comparison and the load
SIGNED_OPTIONS = {4: 1, 5: 2, 6: 4}  # extend option -> bytes
UNSIGNED_ABOVE, UNSIGNED_NOT_BELOW = (8, 9), (2, 3)


@dataclass(frozen=True, slots=True)
class Table:
    """Entries of |size| bytes at `address` (negative: signed), loaded at `load`; the target
    is `base` + entry << `shift`; base None: not added yet."""

    address: int
    size: int
    load: int
    base: int | None = None
    shift: int = 0

    def based(self, base: int, amount: int) -> Table:
        """With the base added; `amount` is `ADD_REGISTER`'s d: a shift or an extension."""
        if amount >= 0:
            return replace(self, base=base, shift=amount)
        option, shift = divmod(-1 - amount, 8)
        signed = option in SIGNED_OPTIONS
        return replace(
            self, base=base, shift=shift, size=-abs(self.size) if signed else abs(self.size)
        )


def _bound(code: Code, function: Function, load: int) -> int | None:
    """How many entries the comparison before the load lets through."""
    low = max(function.start, load - 4 * LOOK_BACK)
    for address in range(load - 4, low - 1, -4):
        word = code.image.word(address)
        if word is None:
            return None
        if word & 0x7F80001F != 0x7100001F:  # cmp (immediate)
            continue
        limit = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
        for after in range(address + 4, min(address + 24, load + 4), 4):
            branch = code.image.word(after) or 0
            if branch >> 24 == 0x54:
                if branch & 15 in UNSIGNED_ABOVE:
                    return limit + 1
                if branch & 15 in UNSIGNED_NOT_BELOW:
                    return limit
                break
        return None
    return None


def _is_part(code: Code, target: int) -> bool:
    inside = code.containing(target)
    return inside is not None and inside.is_part


def find_targets(code: Code, function: Function, table: Table) -> list[int] | None:
    """The targets of a jump table, or None if they cannot be told."""
    count = _bound(code, function, table.load)
    if count is None or not 0 < count <= MOST_ENTRIES:
        return None
    size = abs(table.size)
    data = code.image.read(table.address, size * count)
    if data is None:
        return None
    targets = set()
    for at in range(0, size * count, size):
        value = int.from_bytes(data[at : at + size], "little", signed=table.size < 0)
        target = ((table.base or 0) + (value << table.shift)) & (1 << 64) - 1
        if target % 4 or not (function.start <= target < function.end or _is_part(code, target)):
            return None
        targets.add(target)
    return sorted(targets)
