"""Jump tables: where a computed branch goes, if that can be known.

Only tables whose bound the code itself checks are followed, by the unsigned comparison
that precedes the load: a table read too far would invent branches and with them findings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from callproof.check.blocks import Block
from callproof.check.functions import Code, Function
from callproof.target.arm64.effects import FLAGS, MOVE, effect_of

MOST_ENTRIES = 4096
SIGNED_OPTIONS = {4: 1, 5: 2, 6: 4}  # extend option -> bytes
ABOVE, NOT_BELOW = 8, 2  # conditions hi and hs


@dataclass(frozen=True, slots=True)
class Table:
    """Entries of |size| bytes at `address` (negative: signed), loaded at `load` with
    the index in that register; the target
    is `base` + entry << `shift`; base None: not added yet."""

    address: int
    size: int
    load: int
    index: int
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


def _compared(code: Code, start: int, end: int, index: int) -> tuple[int, int] | None:
    """The last `cmp index, #limit` between two places: where it is, and the limit.

    The index may be a copy of what was compared.
    """
    wanted = {index}
    for address in range(end - 4, start - 4, -4):
        word = code.image.word(address) or 0
        if word & 0x7F80001F == 0x7100001F and word >> 5 & 31 in wanted:
            return address, (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
        effect = effect_of(word)
        if effect.writes & FLAGS:
            return None
        if effect.kind == MOVE and effect.pairs[0][0] in wanted:
            wanted.add(effect.pairs[0][1])
        elif any(effect.writes >> register & 1 for register in wanted):
            return None
    return None


def _bound(code: Code, block: int, before: Block | None, load: int, index: int) -> int | None:
    """How many entries the comparison before the load lets through.

    `before` is the only block that leads to the load's `block`: it ends with the branch that
    leaves if the index is too large.
    """
    if before is None:
        return None
    found = _compared(code, before.start, before.end - 4, index)
    branch = code.image.word(before.end - 4) or 0
    if found is None or branch >> 24 != 0x54:
        return None
    falls_through = before.end == block
    condition = branch & 15 if falls_through else (branch & 15) ^ 1
    if condition == ABOVE:
        return found[1] + 1
    return found[1] if condition == NOT_BELOW else None


def _is_part(code: Code, target: int) -> bool:
    inside = code.containing(target)
    return inside is not None and inside.is_part


def find_targets(
    code: Code, function: Function, table: Table, block: int, before: Block | None
) -> list[int] | None:
    """The targets of a jump table, or None if they cannot be told.

    `block` is where the load's block starts, `before` the only one that leads there.
    """
    count = _bound(code, block, before, table.load, table.index)
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
