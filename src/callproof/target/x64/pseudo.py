"""Pseudo instructions: one to the allocator, several (or none) to the processor.

They exist where several instructions belong together, because one changes the flags
between others, jumps over some of them, or needs a register for a moment.  `expand.py`
writes them out.
"""

from __future__ import annotations

from collections.abc import Sequence

from callproof.codegen.machine import FLOAT, GENERAL, Form, OperandSpec
from callproof.source import InternalError
from callproof.target.x64.instructions import FORMS

# Conditions beyond the processor's 16: of two flags.  Each one's opposite is its number ^ 1.
FLOAT_EQUAL, FLOAT_NOT_EQUAL = 16, 17


def _not_encoded(name: str, *operands: OperandSpec, writes_flags: bool = False) -> Form:
    def refuse(arguments: Sequence[int | str]) -> int:
        raise InternalError(f"pseudo instruction '{name}' was not expanded: {list(arguments)}")

    def text(arguments: Sequence[int | str]) -> str:
        return f"{name} {', '.join(map(str, arguments))}"

    def refuse_bytes(arguments: Sequence[int]) -> bytes:
        return refuse(arguments).to_bytes(1, "little")

    return Form(
        name,
        name,
        operands,
        encode=refuse,
        text=text,
        writes_flags=writes_flags,
        code=refuse_bytes,
    )


def _general(name: str, role: str) -> OperandSpec:
    return OperandSpec(name, "r64", role, GENERAL)


def _float(name: str, role: str) -> OperandSpec:
    return OperandSpec(name, "x", role, FLOAT)


CONDITION = OperandSpec("cond", "cond")

ENTRY = _not_encoded("entry")
"""Defines the parameters that come in registers; no code."""

ZERO_FLOAT = _not_encoded("zero_float", _float("d", "def"))
"""d := +0.0 (all 16 bytes 0); XORPS does not change the flags."""

SET = _not_encoded("set_word", CONDITION, _general("d", "def"))
"""d := 1 if the condition holds, else 0."""

CARRY_MASK = _not_encoded("carry_mask", _general("d", "def"), writes_flags=True)
"""d := -1 if the carry flag is set, else 0: SBB of a register from itself."""

FLOAT_SELECT = _not_encoded(
    "float_select", CONDITION, _float("d", "use_def"), _float("then", "use")
)
"""d := then, if the condition holds."""

# Bits -> d := a + a constant, or a + b; LEA, or ADD where d is one of them.
ADD_CONSTANT = {
    bits: _not_encoded(
        f"add{bits}_constant",
        _general("d", "def"),
        _general("a", "use"),
        OperandSpec("value", "imm"),
        writes_flags=True,
    )
    for bits in (32, 64)
}
ADD_REGISTERS = {
    bits: _not_encoded(
        f"add{bits}_registers",
        _general("d", "def"),
        _general("a", "use"),
        _general("b", "use"),
        writes_flags=True,
    )
    for bits in (32, 64)
}

# (signed, bits) -> RAX and RDX := quotient and remainder of RAX by the operand.  The
# processor refuses 0 and (signed) the least number by -1; these are sorted out before.
DIVIDE = {
    (signed, bits): _not_encoded(
        f"{'idiv' if signed else 'div'}{bits}",
        _general("divisor", "use"),
        writes_flags=True,
    )
    for signed in (False, True)
    for bits in (32, 64)
}

# (float bits, integer bits) -> d := the integer as a float
FROM_INTEGER = {
    (to, bits): _not_encoded(f"i{bits}_to_f{to}", _float("d", "def"), _general("s", "use"))
    for to in (32, 64)
    for bits in (32, 64)
}

# Instructions with one float operand that keep the upper bytes of the result's register.
KEEPING = {
    name: _not_encoded(f"{name}_alone", _float("d", "def"), _float("s", "use"))
    for name in ("cvtss2sd", "cvtsd2ss", "sqrtsd", "sqrtss")
}

# (float bits, toward minus infinity) -> d := the float as an i64, saturated; NaN gives 0
TO_INTEGER = {
    (bits, floor): _not_encoded(
        f"f{bits}_{'floor_' if floor else ''}to_i64",
        _general("d", "def"),
        _float("s", "use"),
        writes_flags=True,
    )
    for bits in (32, 64)
    for floor in (False, True)
}


def _leaving(name: str, form: Form) -> Form:
    """The same instruction as the function's end: the epilogue comes before it."""
    return Form(
        name,
        form.mnemonic,
        form.operands,
        encode=form.encode,
        code=form.code,
        text=form.text,
        control="return",
        size=form.size,
        measure=form.measure,
        field_end=form.field_end,
    )


TAIL_CALL = _leaving("tail_call", FORMS["jmp"])
"""A jump to another function, which returns to our caller."""

INDIRECT_TAIL_CALL = _leaving("indirect_tail_call", FORMS["jmp_r"])
"""The same through a register, which must not be one that the epilogue restores."""
