"""Variables in memory of their own whose stores are left out: what debuggers are told then.

From a store that nothing reads to the one that overwrites it, the variable's memory has an
older value.  There the variable is what would have been stored, as long as that is
anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callproof.ir.debug import DebugFunction, DebugVariable, Parts, Place
from callproof.ir.model import Instruction, Operand

Access = tuple[int | str | None, int | None, int]
"""Base (the number of a slot's address), offset from it, size; as `memory.Place` has them."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """Bytes [start, end) of a slot that are older than they should be (None: it is not known
    which); `value` is all that should be there, if it is known."""

    start: int | None
    end: int
    value: Operand | None

    def covered_by(self, access: Access) -> bool:
        start = access[1]
        if self.start is None or start is None:
            return False
        return start <= self.start and self.end <= start + access[2]

    def and_store(self, access: Access) -> _Missing:
        """With one more store that is left out, of some other bytes."""
        if self.start is None or access[1] is None:
            return _Missing(None, 0, None)
        end = max(self.end, access[1] + access[2])
        return _Missing(min(self.start, access[1]), end, None)


Base = int | str | None


def tell_of_missing(
    debug: DebugFunction,
    instructions: list[Instruction],
    dead: set[int],
    access: Callable[[Instruction], Access | None],
) -> None:
    """Of a block without those stores whose ids are `dead`; `access` gives what a store writes,
    and None for what is none."""
    missing: dict[Base, _Missing] = {}
    made: dict[tuple[int, int], Place] = {}
    version = 0  # of `missing`
    for instruction in instructions:
        line = instruction.line
        is_dead = id(instruction) in dead
        if missing and not is_dead and isinstance(line, Place):
            key = (id(line), version)
            if key not in made:
                made[key] = _copy(debug, line, missing)
            instruction.line = made[key]
        written = access(instruction)
        if written is None:
            continue
        base, start, size = written
        known = missing.get(base)
        if is_dead:
            if known is None or known.covered_by(written):
                end = 0 if start is None else start + size
                missing[base] = _Missing(start, end, instruction.operands[0])
            else:
                missing[base] = known.and_store(written)
        elif known is not None and known.covered_by(written):
            del missing[base]
        elif known is not None:
            missing[base] = _Missing(known.start, known.end, None)  # some of it is new
        else:
            continue
        version += 1


def _copy(debug: DebugFunction, line: Place, missing: dict[Base, _Missing]) -> Place:
    """The same place with what the variables of these slots are."""
    values: dict[DebugVariable, Parts] = {}
    is_changed = False
    for variable, parts in line.values.items():
        number = None if parts or variable.home is None else variable.home.number
        known = missing.get(number)
        if known is None or number is None:
            values[variable] = parts
            continue
        is_changed = True
        is_all = (known.start, (known.end,)) == (0, variable.sizes)
        if known.value is not None and is_all and not variable.content:
            values[variable] = (known.value,)
    if not is_changed:
        return line
    found = Place(line)
    found.owner, found.scope, found.values = line.owner, line.scope, values
    found.inlined_at = line.inlined_at
    debug.places.append(found)
    return found
