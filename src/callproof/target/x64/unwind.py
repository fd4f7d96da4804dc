"""What x86-64 instructions do to the frame: for `codegen/unwind.py`."""

from __future__ import annotations

from callproof.abi.sysv64 import CALLEE_SAVED
from callproof.codegen.target import Line, Unwinding
from callproof.codegen.unwind import FrameState
from callproof.target.x64.registers import RBP, RSP

WORD = 8
RETURN_ADDRESS = 64  # no register of the machine, but it has a number in DWARF


def step(line: Line, state: FrameState) -> bool:
    """Whether this is an instruction that may concern the frame; what it does, then."""
    name = line.form.name
    if name in ("push", "pop"):
        (register,) = _numbers(line)
        if name == "push":
            state.move(RSP, RSP, -WORD)
            state.store(register, RSP, 0)
        else:
            state.load(register, RSP, 0)
            state.move(RSP, RSP, WORD)
    elif name in ("add_q_ri", "sub_q_ri"):
        register, amount = _numbers(line)
        state.move(register, register, amount if name == "add_q_ri" else -amount)
    elif name == "mov_q_rr":
        register, source = _numbers(line)
        state.move(register, source, 0)
    elif name == "lea_q_b" and line.reference is None:
        register, base, offset = _numbers(line)
        state.move(register, base, offset)
    elif name == "mov_q_mr_b" and line.reference is None:
        register, base, offset = _numbers(line)
        state.store(register, base, offset)
    elif name == "mov_q_rm_b" and line.reference is None:
        register, base, offset = _numbers(line)
        state.load(register, base, offset)
    else:
        return False
    return True


def _numbers(line: Line) -> list[int]:
    return [int(argument) for argument in line.arguments]  # type: ignore[arg-type]


PRESERVED = CALLEE_SAVED & ~(1 << RSP) | 1 << RBP
UNWINDING = Unwinding(
    RSP, RBP, {RSP: WORD}, {RETURN_ADDRESS: -WORD}, PRESERVED, RETURN_ADDRESS, step
)
