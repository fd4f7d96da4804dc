"""Call plans as code can carry them out: parts of at most a register's size.

System V x86-64 puts an object of any size into the argument area as one part; code
moves it by eightbytes.  Everything else is as the convention says.
"""

from __future__ import annotations

from dataclasses import replace

from callproof.abi.plan import Assignment, CallPlan, Convention, InRegister, OnStack, Part
from callproof.abi.plan import plan as abi_plan
from callproof.abi.signature import Signature
from callproof.abi.types import Floating, ShortVector
from callproof.source import CallproofError

EIGHTBYTE = 8
LARGEST_IN_ARGUMENT_AREA = 1 << 14  # bytes; each eightbyte is an instruction or two
FIRST_X87 = 64


def plan(signature: Signature, convention: Convention) -> CallPlan:
    """The convention's plan, in pieces.  Raises `CallproofError` for objects that are too large."""
    found = abi_plan(signature, convention)
    if convention.machine != "x86_64":
        return found
    return replace(found, parameters=tuple(map(_in_pieces, found.parameters)))


def x87_offsets(call_plan: CallPlan) -> list[int]:
    """Offsets in the result of what comes back in ST(0), ST(1); [] for all other results."""
    if call_plan.result is None:
        return []
    return [
        part.offset
        for part in call_plan.result.parts
        if isinstance(part.location, InRegister) and part.location.register >= FIRST_X87
    ]


def _in_pieces(assignment: Assignment) -> Assignment:
    if len(assignment.parts) != 1:
        return assignment
    (part,) = assignment.parts
    place = part.location
    if not isinstance(place, OnStack) or part.size <= EIGHTBYTE:
        return assignment
    type_ = assignment.type
    if isinstance(type_, ShortVector) or (isinstance(type_, Floating) and type_.bits == 128):
        return assignment
    if part.size > LARGEST_IN_ARGUMENT_AREA:
        raise CallproofError(
            f"argument {assignment.name} has {part.size} bytes; more than "
            f"{LARGEST_IN_ARGUMENT_AREA} on the stack are not supported"
        )
    pieces = tuple(
        Part(
            part.offset + done,
            min(EIGHTBYTE, part.size - done),
            OnStack(place.offset + done, EIGHTBYTE),
        )
        for done in range(0, part.size, EIGHTBYTE)
    )
    return replace(assignment, parts=pieces)


def powers(size: int, largest: int = 8) -> list[int]:
    """`size` as falling powers of two: 7 = 4 + 2 + 1, 24 = 16 + 8."""
    found = []
    while size:
        while largest > size:
            largest //= 2
        found.append(largest)
        size -= largest
    return found
