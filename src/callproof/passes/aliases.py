"""Which accesses to memory may meet: by what their addresses are made of.

An address is followed through additions to its root: a symbol, a stack slot, or something
unknown.  Arithmetic never leads from one object into another (the languages leave that
undefined), so different symbols and slots are apart.  What is unknown may be anything
but private data: data of this module whose address nobody is given, or which is never
written at all.
"""

from __future__ import annotations

from collections.abc import Iterable

from callproof.ir.model import CONSTANT, SYMBOL, VALUE, Instruction, Module, Operand
from callproof.ir.operations import ADD, SLOT
from callproof.passes.survey import Survey

UNKNOWN, OF_SYMBOL, OF_SLOT = 0, 1, 2
DEEPEST = 8  # additions that are followed; more is as good as unknown


class Place:
    """What an access touches: `kind` and `root` (a symbol's name, a slot's value number),
    `offset` in bytes from it (None: not known), `size` in bytes."""

    __slots__ = ("kind", "offset", "root", "size")

    def __init__(self, kind: int, root: str | int, offset: int | None, size: int) -> None:
        self.kind = kind
        self.root = root
        self.offset = offset
        self.size = size


def access_size(instruction: Instruction) -> int:
    """Bytes that a load or store touches."""
    width = instruction.operation.width
    if width:
        return width
    assert instruction.type is not None
    return instruction.type.size


def place(instruction: Instruction) -> Place:
    """Of a load or store."""
    kind, root, offset = _root(instruction.operands[-1])
    return Place(
        kind,
        root,
        None if offset is None else offset + instruction.offset,
        access_size(instruction),
    )


def _root(operand: Operand) -> tuple[int, str | int, int | None]:
    offset: int | None = 0
    for _ in range(DEEPEST):
        if operand.kind == SYMBOL:
            if offset is not None:
                offset += operand.offset  # type: ignore[union-attr]
            return OF_SYMBOL, operand.name, offset  # type: ignore[union-attr]
        definition = operand.definition if operand.kind == VALUE else None  # type: ignore[union-attr]
        if definition is None:
            break
        if definition.operation is SLOT:
            return OF_SLOT, operand.number, offset  # type: ignore[union-attr]
        if definition.operation is not ADD:
            break
        first, second = definition.operands
        if second.kind == CONSTANT:
            operand = first
            if offset is not None:
                offset += int(second.value)  # type: ignore[union-attr]
            continue
        # Of base + index it is not known which is which, unless one is plainly an object.
        offset = None
        operand = second if _is_object(second) else first
    return UNKNOWN, "", None


def _is_object(operand: Operand) -> bool:
    if operand.kind == SYMBOL:
        return True
    definition = operand.definition if operand.kind == VALUE else None  # type: ignore[union-attr]
    return definition is not None and definition.operation is SLOT


class Memory:
    """What is known of a module's data; made once, before its functions are changed."""

    __slots__ = ("constant", "module", "private")

    def __init__(self, module: Module, surveys: Iterable[Survey] | None = None) -> None:
        """`surveys`: of all functions of the module, if somebody has them."""
        self.module = module
        self.constant = {name for name, datum in module.data.items() if not datum.writable}
        shown = {name for name, datum in module.data.items() if datum.exported}
        for datum in module.data.values():
            if not datum.only_read:
                shown.update(address.symbol for address in datum.addresses)
        if surveys is None:
            surveys = map(Survey, module.functions.values())
        for survey in surveys:
            shown |= survey.shown
        self.private = self.module.data.keys() - shown

    def is_constant(self, one: Place) -> bool:
        return one.kind == OF_SYMBOL and one.root in self.constant

    def is_there(self, one: Place) -> bool:
        """Whether reading the place cannot fail, wherever control is."""
        if one.kind != OF_SYMBOL or one.offset is None:
            return False
        datum = self.module.data.get(one.root)  # type: ignore[arg-type]
        if datum is None:
            return False
        return 0 <= one.offset <= max(len(datum.data), datum.zero_bytes) - one.size

    def may_meet(self, one: Place, other: Place) -> bool:
        """Whether two accesses may touch a byte in common."""
        if one.kind == UNKNOWN or other.kind == UNKNOWN:
            known = one if other.kind == UNKNOWN else other
            return not (known.kind == OF_SYMBOL and known.root in self.private)
        if one.kind != other.kind or one.root != other.root:
            # Two names outside may be of one object.
            both = one.kind == other.kind == OF_SYMBOL
            data = self.module.data
            return both and one.root not in data and other.root not in data
        if one.offset is None or other.offset is None:
            return True
        return one.offset < other.offset + other.size and other.offset < one.offset + one.size


__all__ = ["Memory", "Place", "access_size", "place"]
