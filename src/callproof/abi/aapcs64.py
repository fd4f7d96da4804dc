"""The parameter passing of AAPCS64 (2024Q3, section 6.8.2), stage by stage.

The stages and steps carry the standard's own numbers.  NGRN, NSRN and NSAA are
the next general-purpose register number, the next SIMD and floating-point
register number and the next stacked argument address (here relative to SP at
the call).  The scalable-vector steps (NPRN, B.1, C.7, C.8) concern SVE types,
which Callproof's type space does not have.
"""

from __future__ import annotations

from callproof.abi.plan import (
    Assignment,
    CallPlan,
    Convention,
    InRegister,
    Location,
    OnStack,
    Part,
)
from callproof.abi.signature import Signature
from callproof.abi.types import (
    Composite,
    Floating,
    Integer,
    Scalar,
    ShortVector,
    Type,
    leaves,
)
from callproof.source import CallproofError

ARGUMENT_REGISTERS = 8  # X0-X7 and V0-V7 (6.4.1, 6.4.2)
V0 = 32
X8_INDIRECT_RESULT = 8


def registers(first: int, last: int) -> int:
    """The mask of register numbers `first` to `last`, both included."""
    return (1 << (last + 1)) - (1 << first)


# 6.1.1 and 6.1.2: X19-X28, X29, SP and the low halves of V8-V15 survive a call.
CALLEE_SAVED = registers(19, 29) | registers(31, 31) | registers(V0 + 8, V0 + 15)
CALLER_SAVED = (
    registers(0, 18) | registers(30, 30) | registers(V0, V0 + 7) | registers(V0 + 16, V0 + 31)
)
ARGUMENTS = registers(0, 7) | registers(V0, V0 + 7)


def homogeneous_members(type_: Type) -> tuple[Scalar, ...] | None:
    """The 1 to 4 equal members of an HFA or HVA (5.10.5), or None if it is not one."""
    if not isinstance(type_, Composite):
        return None
    members = [scalar for _, scalar in leaves(type_)]
    if not 1 <= len(members) <= 4 or not isinstance(members[0], Floating | ShortVector):
        return None
    first = members[0]
    if isinstance(first, ShortVector):
        # An HVA's members need only agree in size: any two vectors of a size are one base type.
        alike = all(isinstance(m, ShortVector) and m.size == first.size for m in members)
    else:
        alike = all(member == first for member in members)
    if not alike or type_.size != first.size * len(members):
        return None
    return tuple(members)


class _Assigner:
    """Stages A to C for one call; `next_*` are the standard's NGRN, NSRN and NSAA."""

    __slots__ = ("ngrn", "nsaa", "nsrn")

    def __init__(self) -> None:
        # Stage A: initialisation (A.1, A.2, A.4).
        self.ngrn = 0
        self.nsrn = 0
        self.nsaa = 0

    def assign(self, name: str, type_: Type) -> Assignment:
        # Stage B: pre-padding and extension.
        members = homogeneous_members(type_)
        if isinstance(type_, Composite) and members is None:
            if type_.size > 16:  # B.4: by reference to a copy made by the caller
                pointer = self._integral(8, 8)
                return Assignment(name, type_, pointer, indirect=True)
            # B.5: the size is rounded up to a multiple of 8.
            return Assignment(name, type_, self._composite(type_))
        # Stage C: assignment to registers and stack.
        if members is not None:
            return Assignment(name, type_, self._homogeneous(type_, members))
        if isinstance(type_, Floating | ShortVector):
            return Assignment(name, type_, self._floating(type_))
        return Assignment(name, type_, self._integral(type_.size, type_.alignment))

    def _floating(self, type_: Floating | ShortVector) -> tuple[Part, ...]:
        if self.nsrn < ARGUMENT_REGISTERS:  # C.1
            register = V0 + self.nsrn
            self.nsrn += 1
            return (Part(0, type_.size, InRegister(register)),)
        if type_.size == 16 or isinstance(type_, ShortVector):  # C.4
            self._align(max(8, type_.alignment))
        return (Part(0, type_.size, self._stack(max(8, type_.size))),)  # C.5, C.6

    def _homogeneous(self, type_: Type, members: tuple[Scalar, ...]) -> tuple[Part, ...]:
        size = members[0].size
        if self.nsrn + len(members) <= ARGUMENT_REGISTERS:  # C.2
            parts = tuple(
                Part(index * size, size, InRegister(V0 + self.nsrn + index))
                for index in range(len(members))
            )
            self.nsrn += len(members)
            return parts
        self.nsrn = ARGUMENT_REGISTERS  # C.3
        self._align(max(8, type_.alignment))  # C.4
        return self._stack_words(type_.size, size)  # C.6

    def _integral(self, size: int, alignment: int) -> tuple[Part, ...]:
        if size <= 8:
            if self.ngrn < ARGUMENT_REGISTERS:  # C.9
                register = self.ngrn
                self.ngrn += 1
                return (Part(0, size, InRegister(register)),)
        else:
            if alignment == 16:  # C.10
                self.ngrn += self.ngrn % 2
            if self.ngrn < ARGUMENT_REGISTERS - 1:  # C.11
                return self._pair(2)
        self.ngrn = ARGUMENT_REGISTERS  # C.13
        self._align(max(8, alignment))  # C.14
        if size > 8:
            return self._stack_words(size, 8)  # C.17
        return (Part(0, size, self._stack(8)),)  # C.16, C.17

    def _composite(self, type_: Composite) -> tuple[Part, ...]:
        words = -(-type_.size // 8)  # B.5
        if words == 0:
            return ()  # an empty structure (a GNU extension) takes no place
        if type_.alignment == 16:  # C.10
            self.ngrn += self.ngrn % 2
        if words <= ARGUMENT_REGISTERS - self.ngrn:  # C.12
            return self._pair(words)
        self.ngrn = ARGUMENT_REGISTERS  # C.13
        self._align(max(8, type_.alignment))  # C.14
        return self._stack_words(words * 8, 8)  # C.15

    def _pair(self, words: int) -> tuple[Part, ...]:
        parts = tuple(Part(index * 8, 8, InRegister(self.ngrn + index)) for index in range(words))
        self.ngrn += words
        return parts

    def _stack_words(self, size: int, unit: int) -> tuple[Part, ...]:
        parts = tuple(
            Part(offset, unit, OnStack(self.nsaa + offset, unit)) for offset in range(0, size, unit)
        )
        self.nsaa += -(-size // 8) * 8
        return parts

    def _align(self, alignment: int) -> None:
        self.nsaa = -(-self.nsaa // alignment) * alignment

    def _stack(self, size: int) -> Location:
        location = OnStack(self.nsaa, size)
        self.nsaa += size
        return location


def _result(type_: Type) -> Assignment:
    """6.9: a result travels as a first argument of its type would, or through memory at X8."""
    if isinstance(type_, Composite) and homogeneous_members(type_) is None and type_.size > 16:
        pointer = (Part(0, 8, InRegister(X8_INDIRECT_RESULT)),)
        return Assignment("", type_, pointer, indirect=True)
    return _Assigner().assign("", type_)


def assign(signature: Signature) -> CallPlan:
    """AAPCS64 on Linux: anonymous arguments travel like named ones (6.8.1)."""
    assigner = _Assigner()
    parameters = []
    for parameter in signature.parameters:
        if isinstance(parameter.type, Integer) and parameter.type.bits not in (8, 16, 32, 64, 128):
            raise CallproofError(f"AAPCS64 has no integral type of {parameter.type.bits} bits")
        parameters.append(assigner.assign(parameter.name, parameter.type))
    return CallPlan(
        signature=signature,
        parameters=tuple(parameters),
        result=None if signature.result is None else _result(signature.result),
        stack_bytes=-(-assigner.nsaa // 16) * 16,  # SP is a multiple of 16 at a call (6.4.5.1)
        clobbers=CALLER_SAVED,
        preserved=CALLEE_SAVED,
    )


AAPCS64 = Convention(
    name="aapcs64",
    assign=assign,
    argument_registers=ARGUMENTS,
    caller_saved=CALLER_SAVED,
    callee_saved=CALLEE_SAVED,
    stack_alignment=16,
    red_zone=0,
)

__all__ = ["AAPCS64", "assign", "homogeneous_members"]
