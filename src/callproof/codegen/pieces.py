"""Call plans as code can carry them out: parts of at most a register's size.

System V x86-64 puts an object of any size into the argument area as one part; code
moves it by eightbytes.  Everything else is as the convention says.
"""

from __future__ import annotations

from dataclasses import replace

from callproof.abi.plan import Assignment, CallPlan, Convention, InRegister, OnStack, Part
from callproof.abi.plan import plan as abi_plan
from callproof.abi.signature import Signature
from callproof.abi.types import Floating, Scalar, ShortVector, leaves
from callproof.source import CallproofError

EIGHTBYTE = 8
LARGEST_IN_ARGUMENT_AREA = 1 << 14  # bytes; each eightbyte is an instruction or two
FIRST_VECTOR = 32  # in the numbering of `abi/plan.py`, for both machines
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


def one_to_one(assignment: Assignment, scalars: list[tuple[int, Scalar]]) -> bool:
    """Whether each leaf is a part as it is."""
    if assignment.indirect or len(scalars) != len(assignment.parts):
        return False
    return all(
        part.offset == offset and is_same(part, scalar) and not part.extend
        for (offset, scalar), part in zip(scalars, assignment.parts, strict=True)
    )


def is_same(part: Part, scalar: Scalar) -> bool:
    """Whether the part is the scalar in a register file (or memory) that suits its SSA type."""
    location = part.location
    if isinstance(location, InRegister):
        is_vector = location.register >= FIRST_VECTOR
        if is_vector != isinstance(scalar, Floating | ShortVector):
            return False  # a variadic call on Windows: a double in X1
    return part.size == scalar.size


def argument_parts(call_plan: CallPlan) -> list[tuple[str, Part]]:
    """Name and part of everything that goes in: first the address of a result in memory."""
    found = []
    if call_plan.result is not None and call_plan.result.indirect:
        found += [("result", part) for part in call_plan.result.parts]
    for index, assignment in enumerate(call_plan.parameters):
        name = assignment.name or f"argument {index + 1}"
        found += [(name, part) for part in assignment.parts]
    return found


def result_registers(call_plan: CallPlan) -> list[int]:
    """The registers in which results come back."""
    if call_plan.result is None:
        return []
    if call_plan.result.indirect:
        returned = call_plan.returned_pointer
        return [] if returned is None else [returned]
    if x87_offsets(call_plan):
        return []
    found = []
    for part in call_plan.result.parts:
        assert isinstance(part.location, InRegister)
        found.append(part.location.register)
    return found


class Passing:
    """A signature's plan with what is asked of it for every call.

    arguments   name and part of everything that goes in
    results     the registers in which results come back
    x87         see `x87_offsets`
    is_direct   each leaf of each value is a part as it is, so that values are `arguments`
                already: nothing is to be expanded
    """

    __slots__ = ("arguments", "convention", "is_direct", "plan", "results", "x87")

    def __init__(self, signature: Signature, convention: Convention) -> None:
        self.convention = convention
        self.plan = plan(signature, convention)
        self.arguments = argument_parts(self.plan)
        self.x87 = x87_offsets(self.plan)
        self.results = result_registers(self.plan)
        result = self.plan.result
        self.is_direct = (
            not signature.result_in_memory
            and not any(parameter.in_memory for parameter in signature.parameters)
            and all(one_to_one(one, leaves(one.type)) for one in self.plan.parameters)
            and (result is None or one_to_one(result, leaves(result.type)))
        )


# Hashes of signatures take long, so each is looked for first by which object it is.
MOST_KNOWN = 4096
_BY_OBJECT: dict[tuple[int, int], tuple[Signature, Passing]] = {}
_BY_VALUE: dict[tuple[int, Signature], Passing] = {}


def passing(signature: Signature, convention: Convention) -> Passing:
    """The plan of a signature and what follows from it.  Raises as `plan` does."""
    key = id(signature), id(convention)
    known = _BY_OBJECT.get(key)
    if known is not None:  # what is known keeps both objects, so nothing else gets their numbers
        return known[1]
    value = id(convention), signature
    found = _BY_VALUE.get(value)
    if found is None:
        if len(_BY_VALUE) >= MOST_KNOWN:
            _BY_VALUE.clear()
            _BY_OBJECT.clear()
        found = _BY_VALUE[value] = Passing(signature, convention)
    if len(_BY_OBJECT) >= 4 * MOST_KNOWN:
        _BY_OBJECT.clear()
    _BY_OBJECT[key] = signature, found
    return found


def powers(size: int, largest: int = 8) -> list[int]:
    """`size` as falling powers of two: 7 = 4 + 2 + 1, 24 = 16 + 8."""
    found = []
    while size:
        while largest > size:
            largest //= 2
        found.append(largest)
        size -= largest
    return found
