"""The answer of a calling convention: where each part of each value travels.

Registers are numbered as everywhere in Callproof's ARM64 code: 0..30 = X0..X30,
31 = SP, 32..63 = V0..V31 (see `target/arm64/registers.py`); register sets are
integer masks over those numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callproof.abi.signature import Signature
from callproof.abi.types import Type


@dataclass(frozen=True, slots=True)
class InRegister:
    """A part in a register: X-register number, or 32 + V-register number."""

    register: int


@dataclass(frozen=True, slots=True)
class OnStack:
    """A part in the argument area: `offset` bytes above SP at the call, `size` bytes."""

    offset: int
    size: int


Location = InRegister | OnStack


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `offset` .. `offset + size` of a value, and where they are."""

    offset: int
    size: int
    location: Location


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where one parameter or result is.

    `indirect` means that the parts hold the address of a copy in memory (stage B.4),
    or, for a result, that the caller passes the address of the result's memory.
    """

    name: str
    type: Type
    parts: tuple[Part, ...]
    indirect: bool = False


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Where everything of one call goes.

    `stack_bytes` is the size of the outgoing argument area (a multiple of the stack
    alignment), `clobbers` the mask of registers that the call may change (results
    included), `preserved` the registers whose value survives the call.
    """

    signature: Signature
    parameters: tuple[Assignment, ...]
    result: Assignment | None
    stack_bytes: int
    clobbers: int
    preserved: int


@dataclass(frozen=True, slots=True)
class Convention:
    """A named convention: its algorithm and the facts that code generation needs."""

    name: str
    assign: Callable[[Signature], CallPlan]
    argument_registers: int
    caller_saved: int
    callee_saved: int
    stack_alignment: int
    red_zone: int


def plan(signature: Signature, convention: Convention) -> CallPlan:
    """Where every part of every parameter and the result goes.  Pure.

    Raises `CallproofError` for a type that the convention cannot pass yet.
    """
    return convention.assign(signature)
