"""Apple's variant of AAPCS64: where it departs from the standard, as a table.

Source: "Writing ARM64 code for Apple platforms" (developer.apple.com), sections "Pass
arguments to functions correctly", "Update code that passes arguments to variadic
functions", "Respect the purpose of specific CPU registers" and "Respect the stack's red
zone".
"""

from __future__ import annotations

from callproof.abi.aapcs64 import (
    ARGUMENT_ORDER,
    ARGUMENTS,
    CALLEE_SAVED,
    CALLER_SAVED,
    PLATFORM_REGISTER,
    Variant,
    assign_variant,
    register_name,
)
from callproof.abi.data_model import DARWIN_ARM64
from callproof.abi.plan import CallPlan, Convention
from callproof.abi.signature import Signature
from callproof.abi.types import POINTER

DARWIN = Variant(
    even_pairs=False,
    caller_extends=True,
    packed_stack=True,
    copy_alignment_full=True,
    variadic_on_stack=True,
    clangs_homogeneous=True,
)


def assign(signature: Signature) -> CallPlan:
    """Darwin: packed stack arguments, anonymous ones all on the stack in 8-byte slots."""
    return assign_variant(signature, DARWIN)


DARWIN64 = Convention(
    name="darwin64",
    title="Darwin ARM64",
    machine="aarch64",
    model=DARWIN_ARM64,
    assign=assign,
    argument_registers=ARGUMENTS,
    argument_order=ARGUMENT_ORDER,
    caller_saved=CALLER_SAVED & ~PLATFORM_REGISTER,
    callee_saved=CALLEE_SAVED,
    stack_alignment=16,
    red_zone=128,
    register_name=register_name,
    va_list=POINTER,
    reserved=PLATFORM_REGISTER,
)

__all__ = ["DARWIN64"]
