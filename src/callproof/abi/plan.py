"""The answer of a calling convention: where each part of each value travels.

Registers are numbered as everywhere in Callproof's code for the machine.  ARM64:
0..30 = X0..X30, 31 = SP, 32..63 = V0..V31 (see `target/arm64/registers.py`).
x86-64: 0..15 = RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8..R15 (the numbers of the
encoding), 32..47 = XMM0..XMM15, 64 and 65 = ST(0), ST(1).  Register sets are integer
masks over those numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from callproof.abi.data_model import DataModel
from callproof.abi.signature import Signature
from callproof.abi.types import Composite, Type


@dataclass(frozen=True, slots=True)
class InRegister:
    """A part in a register, by its number (see above)."""

    register: int


@dataclass(frozen=True, slots=True)
class OnStack:
    """A part in the argument area: `offset` bytes above SP at the call, `size` bytes.

    On x86-64 SP is meant as it is before the CALL pushes the return address.
    """

    offset: int
    size: int


Location = InRegister | OnStack


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `offset` .. `offset + size` of a value, and where they are.

    `extend` > 0: the caller (for a result: the callee) sign- or zero-extends the value
    to that many bits, by the signedness of its type.  Otherwise bits above the size are
    unspecified.
    """

    offset: int
    size: int
    location: Location
    extend: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where one parameter or result is.

    `indirect` means that the parts hold the address of a copy in memory (AAPCS64 stage
    B.4), or, for a result, that the caller passes the address of the result's memory.
    `rules` are the clauses that decided, in order (see `abi/clauses.py`).
    """

    name: str
    type: Type
    parts: tuple[Part, ...]
    indirect: bool = False
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Where everything of one call goes.

    stack_bytes      size of the outgoing argument area, a multiple of the stack's alignment
    clobbers         mask of registers that the call may change (results included)
    preserved        mask of registers whose value survives the call
    constants        (register, value) that the convention itself asks for: AL on x86-64
    stack_alignment  of SP at the call; more than usual only for over-aligned arguments
    returned_pointer register in which the callee gives back the address of an indirect
                     result, None where it need not
    """

    signature: Signature
    parameters: tuple[Assignment, ...]
    result: Assignment | None
    stack_bytes: int
    clobbers: int
    preserved: int
    constants: tuple[tuple[int, int], ...] = ()
    stack_alignment: int = 16
    returned_pointer: int | None = None


@dataclass(frozen=True, slots=True)
class Convention:
    """A named convention: its algorithm and the facts that others need.

    `argument_registers` is the mask of those that parameters travel in, `argument_order`
    the same in the order of their use, one register file after the other.
    `red_zone` bytes below SP survive signals and interrupts; `reserved` is the mask of
    registers that code may not use at all (X18 on Darwin and Windows).  `va_list` is
    the layout of that type, `va_list_is_array` that a parameter of it is a pointer.
    """

    name: str
    title: str
    machine: str
    model: DataModel
    assign: Callable[[Signature], CallPlan]
    argument_registers: int
    argument_order: tuple[int, ...]
    caller_saved: int
    callee_saved: int
    stack_alignment: int
    red_zone: int
    register_name: Callable[[int, int], str]
    va_list: Type | Composite
    va_list_is_array: bool = False
    reserved: int = 0


class Declared(Protocol):
    """Something that has a signature for each data model: `abi.c_parser.Prototype`."""

    def signature(self, model: DataModel) -> Signature: ...


def plan(signature: Signature | Declared, convention: Convention) -> CallPlan:
    """Where every part of every parameter and the result goes.  Pure.

    Takes a `Signature`, or a C prototype from `abi.parse`, which is laid out by the
    convention's own data model.  Raises `CallproofError` for a type that the
    convention does not have.
    """
    if not isinstance(signature, Signature):
        signature = signature.signature(convention.model)
    key = convention.assign, signature
    found = _PLANS.get(key)
    if found is None:
        found = convention.assign(signature)
        if len(_PLANS) >= MOST_PLANS:
            _PLANS.clear()
        _PLANS[key] = found
    return found


# A program has few different signatures and many calls of each.
MOST_PLANS = 4096
_PLANS: dict[tuple[Callable[[Signature], CallPlan], Signature], CallPlan] = {}
