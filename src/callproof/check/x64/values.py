"""What a register or a stack slot of x86-64 code holds, as far as the rules must know.

entry     what the register `register` held when the function was entered
stack     an address: `offset` from a base.  Base 0 is RSP at entry (where the return
          address lies); another is the address of the AND that rounded RSP down
return    the return address
own       something that the instruction at `where` made
joined    one thing or another, by the path to the block at `where`
adrift    one stack address or another, by the path
left      what the call at `where` left in `register`: nothing that anybody may use.
          `before` is what it held before the call; `certain`: no path brings another value
"""

from __future__ import annotations

from typing import NamedTuple

from callproof.abi.sysv64 import (
    CALLEE_SAVED,
    CALLER_SAVED,
    RAX,
    RDX,
    RSP,
    XMM0,
    register_name,
)

FLAGS = 48  # as a register behind XMM15
COUNT = FLAGS + 1
REGISTERS = (*range(16), *range(XMM0, XMM0 + 16))
SAVED = tuple(r for r in range(16) if CALLEE_SAVED >> r & 1 and r != RSP)
CHANGED = (*(r for r in REGISTERS if CALLER_SAVED >> r & 1), FLAGS)
USUAL_RESULTS = frozenset((RAX, RDX, XMM0, XMM0 + 1))


class Value(NamedTuple):
    """See the module's text."""

    kind: str
    where: int = 0
    register: int = -1
    offset: int = 0
    before: Value | None = None
    certain: bool = True

    @property
    def is_left(self) -> bool:
        return self.kind == "left"


RETURN_ADDRESS = Value("return")
ADRIFT = Value("adrift")
ENTRY = tuple(Value("entry", register=register) for register in range(COUNT))


def own(address: int) -> Value:
    return Value("own", address)


def stack(base: int, offset: int) -> Value:
    return Value("stack", base, offset=offset)


def left(call: int, register: int, before: Value) -> Value:
    """After a call; what an earlier call has left for certain stays what that one left."""
    if before.kind != "left":
        return Value("left", call, register, before=before)
    return before if before.certain else Value("left", call, register)


def join(ours: Value, theirs: Value, block: int) -> Value:
    """What holds where two paths meet; only ever loses, so that loops come to an end."""
    if ours == theirs:
        return ours
    if ours.kind == "left" or theirs.kind == "left":
        return _join_left(ours, theirs)
    if ours.kind in ("stack", "adrift") and theirs.kind in ("stack", "adrift"):
        return ADRIFT
    return Value("joined", block)


def _join_left(ours: Value, theirs: Value) -> Value:
    """Where the same value also comes without the call, it was meant to survive: certain."""
    if ours.kind != "left":
        return theirs._replace(certain=theirs.certain and theirs.before == ours)
    if theirs.kind != "left":
        return ours._replace(certain=ours.certain and ours.before == theirs)
    before = ours.before if ours.before == theirs.before else None
    return ours._replace(before=before, certain=ours.certain and theirs.certain)


def name_of(register: int) -> str:
    """rbx, xmm0, flags."""
    if register == FLAGS:
        return "flags"
    return register_name(register, 16 if register >= XMM0 else 8)
