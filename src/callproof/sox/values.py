"""Sox values while a function is lowered: two words, or a number by itself."""

from __future__ import annotations

from dataclasses import dataclass

from callproof.ir.model import CONSTANT, VALUE, Constant, Operand
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.sox.kinds import ALL

_SMALL = {value: Constant(I64, value) for value in range(-16, 256)}  # constants never change


def word(value: int) -> Constant:
    return _SMALL.get(value) or Constant(I64, value)


@dataclass(slots=True, eq=False)
class SoxValue:
    """`tag` and `payload` are words; a number that is known as such is `number`, an f64,
    and its payload is made only where somebody needs the bits."""

    tag: Operand
    payload: Operand | None = None
    number: Operand | None = None
    tags: int = ALL  # what `tag` can be (see kinds.py)

    @property
    def is_constant(self) -> bool:
        """Known when the program is compiled: numbers, and addresses of what is in its data."""
        parts = (self.tag, self.payload, self.number)
        return all(part is None or part.kind != VALUE for part in parts)

    @property
    def known_tag(self) -> int | None:
        """The tag if it is a constant."""
        if self.tag.kind == CONSTANT:
            value = self.tag.value  # type: ignore[union-attr]
            assert isinstance(value, int)
            return value
        return None


_NUMBER, _BOOL = word(layout.NUMBER), word(layout.BOOL)


def number_value(number: Operand) -> SoxValue:
    return SoxValue(_NUMBER, None, number)


def constant_number(value: float) -> SoxValue:
    return number_value(Constant(F64, value))


def boolean_value(truth: Operand) -> SoxValue:
    """`truth` is 0 or 1."""
    return SoxValue(_BOOL, truth)


def object_value(tag: int, address: Operand) -> SoxValue:
    return SoxValue(word(tag), address)


NIL = SoxValue(word(layout.NIL), word(0))
UNDEFINED = SoxValue(word(layout.UNDEFINED), word(0))
