"""Pseudo instructions: one to the allocator, several (or none) to the processor.

They exist where a value takes several instructions to make but has no register
inputs, so that the allocator can make it again instead of spilling it.
`shapes.py` expands them.
"""

from __future__ import annotations

from collections.abc import Sequence

from callproof.codegen.machine import FLOAT, GENERAL, Form, OperandSpec
from callproof.source import InternalError
from callproof.target.arm64.instructions import FORMS


def _not_encoded(name: str) -> Form:
    def refuse(arguments: Sequence[int | str]) -> int:
        raise InternalError(f"pseudo instruction '{name}' was not expanded: {list(arguments)}")

    def text(arguments: Sequence[int | str]) -> str:
        return f"{name} {', '.join(map(str, arguments))}"

    return Form(name, name, _OPERANDS[name], encode=refuse, text=text)


_OPERANDS = {
    "entry": (),
    "constant": (OperandSpec("d", "x", "def", GENERAL), OperandSpec("value", "imm64")),
    "float_constant": (OperandSpec("d", "d", "def", FLOAT), OperandSpec("symbol", "symbol")),
    "float32_constant": (OperandSpec("d", "s", "def", FLOAT), OperandSpec("symbol", "symbol")),
    "vector_constant": (OperandSpec("d", "q", "def", FLOAT), OperandSpec("symbol", "symbol")),
    "address": (OperandSpec("d", "x", "def", GENERAL), OperandSpec("symbol", "symbol")),
    "slot_address": (OperandSpec("d", "x", "def", GENERAL), OperandSpec("slot", "frame")),
}

ENTRY = _not_encoded("entry")
"""Defines the parameters that come in registers; no code."""

CONSTANT = _not_encoded("constant")
"""d := a 64-bit constant by the shortest movz/movn/movk/orr sequence."""

FLOAT_CONSTANT = _not_encoded("float_constant")
"""d := 8 bytes of read-only data: adrp into the scratch register and a load."""

FLOAT32_CONSTANT = _not_encoded("float32_constant")
"""s := 4 bytes of read-only data, likewise."""

VECTOR_CONSTANT = _not_encoded("vector_constant")
"""q := 16 bytes of read-only data, likewise."""

ADDRESS = _not_encoded("address")
"""d := the address of a symbol: adrp and add."""

SLOT_ADDRESS = _not_encoded("slot_address")
"""d := the address of a stack slot: SP plus what the frame says."""


def _leaving(name: str, form: Form) -> Form:
    """The same instruction as the function's end: the epilogue comes before it."""
    return Form(
        name, form.mnemonic, form.operands, encode=form.encode, text=form.text, control="return"
    )


TAIL_CALL = _leaving("tail_call", FORMS["b"])
"""A branch to another function, which returns to our caller."""

INDIRECT_TAIL_CALL = _leaving("indirect_tail_call", FORMS["br"])
"""The same through a register, which must not be one that the epilogue restores."""
