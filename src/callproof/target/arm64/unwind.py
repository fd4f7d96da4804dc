"""What ARM64 instructions do to the frame: for `codegen/unwind.py`."""

from __future__ import annotations

from callproof.abi.aapcs64 import CALLEE_SAVED
from callproof.codegen.target import Line, Unwinding
from callproof.codegen.unwind import FrameState
from callproof.target.arm64.registers import FP, LR, SP, XZR

# name -> (is a load, bytes); register, base, offset
SINGLE = {
    f"{verb}_{kind}_{form}": (verb == "ldr", 8)
    for verb in ("str", "ldr")
    for kind in ("x", "d")
    for form in ("uimm", "unscaled")
}
# name -> (is a load, base is changed before the access, and after it)
PAIRS = {
    f"{verb}_{kind}_{form}": (verb == "ldp", form == "pre", form == "post")
    for verb in ("stp", "ldp")
    for kind in ("x", "d")
    for form in ("off", "pre", "post")
}
SINGLE_MOVED = {
    f"{verb}_{kind}_{form}": (verb == "ldr", form == "pre", form == "post")
    for verb in ("str", "ldr")
    for kind in ("x", "d")
    for form in ("pre", "post")
}
ADDITIONS = {"add_x_imm": 1, "sub_x_imm": -1, "add_x_ext": 1, "sub_x_ext": -1}
WORD = 8
MASK = (1 << 64) - 1


def step(line: Line, state: FrameState) -> bool:
    """Whether this is an instruction that may concern the frame; what it does, then."""
    name = line.form.name
    if name in SINGLE:
        load, _ = SINGLE[name]
        register, base, offset = _numbers(line)
        (state.load if load else state.store)(register, base, offset)
    elif name in PAIRS:
        load, before, after = PAIRS[name]
        first, second, base, offset = _numbers(line)
        _access(state, load, (first, second), base, offset, before, after)
    elif name in SINGLE_MOVED:
        load, before, after = SINGLE_MOVED[name]
        register, base, offset = _numbers(line)
        _access(state, load, (register,), base, offset, before, after)
    elif name in ADDITIONS and line.reference is None:
        return _add(line, name, state)
    elif name == "mov_x":
        register, source = _numbers(line)
        state.move(register, source, 0)
    elif name in ("movz_x", "movn_x", "movk_x", "orr_x_imm"):
        _constant(line, name, state)
    else:
        return False
    return True


def _numbers(line: Line) -> list[int]:
    return [int(argument) for argument in line.arguments]  # type: ignore[arg-type]


def _access(
    state: FrameState,
    load: bool,
    registers: tuple[int, ...],
    base: int,
    offset: int,
    before: bool,
    after: bool,
) -> None:
    if before:
        state.move(base, base, offset)
    for index, register in enumerate(registers):
        place = WORD * index + (0 if before or after else offset)
        (state.load if load else state.store)(register, base, place)
    if after:
        state.move(base, base, offset)


def _add(line: Line, name: str, state: FrameState) -> bool:
    sign = ADDITIONS[name]
    register, source, amount, *rest = _numbers(line)
    if name.endswith("_imm"):
        state.move(register, source, sign * (amount << rest[0]))
        return True
    known = state.constants.get(amount)
    if known is None or rest[-1:] != [0]:
        return False
    state.move(register, source, sign * known)
    return True


def _constant(line: Line, name: str, state: FrameState) -> None:
    register, *rest = _numbers(line)
    value: int | None
    if name == "orr_x_imm":
        value = rest[1] & MASK if rest[0] == XZR else None
    elif name == "movk_x":
        half, shift = rest
        old = state.constants.get(register)
        value = None if old is None else old & ~(0xFFFF << shift) | half << shift
    else:
        value = rest[0] << rest[1]
        value = value if name == "movz_x" else ~value & MASK
    state.written(register)
    if value is not None:
        state.constants[register] = value


PRESERVED = CALLEE_SAVED & ~(1 << SP) | 1 << FP | 1 << LR
UNWINDING = Unwinding(SP, FP, {SP: 0}, {}, PRESERVED, LR, step)
