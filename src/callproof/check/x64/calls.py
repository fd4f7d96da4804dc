"""Which registers and stack bytes a function's record says that a call of it needs and gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from callproof.abi.sysv64 import RAX, XMM0
from callproof.check.x64.values import USUAL_RESULTS
from callproof.run.functions import FunctionRecord, Place


@dataclass(frozen=True, slots=True)
class CallFacts:
    """`arguments`: register -> the parameter's name; `results`: registers; `stack_bytes` of
    arguments above RSP at the call."""

    arguments: dict[int, str]
    results: frozenset[int]
    stack_bytes: int = 0


UNKNOWN = CallFacts({}, USUAL_RESULTS)


def _registers(places: Iterable[Place]) -> list[int]:
    first = {"x": 0, "v": XMM0}
    numbers = [first[place.kind] + place.number for place in places if place.kind in first]
    return [number for number in numbers if number < XMM0 + 16]


@lru_cache(4096)
def facts_of(record: FunctionRecord | None) -> CallFacts:
    if record is None:
        return UNKNOWN
    arguments: dict[int, str] = {}
    stack_bytes = 0
    for index, parameter in enumerate(record.parameters, 1):
        shown = parameter.name or f"parameter {index}"
        for register in _registers(parameter.where):
            arguments[register] = shown
        for place in parameter.where:
            if place.kind == "stack":
                stack_bytes = max(stack_bytes, place.number + place.size)
    results: frozenset[int] = frozenset()
    if record.result is not None:
        registers = _registers(record.result.where)
        if record.result.indirect:
            arguments.update(dict.fromkeys(registers, "the result's address"))
            registers = [RAX]
        results = frozenset(registers)
    return CallFacts(arguments, results, stack_bytes)


__all__ = ["UNKNOWN", "CallFacts", "facts_of"]
