"""Windows' variant of AAPCS64 as a table.

Source: Microsoft, "Overview of ARM64 ABI conventions", sections "Addendum: Variadic
functions", "Integer registers" and "Stack".
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
from callproof.abi.data_model import WINDOWS_ARM64
from callproof.abi.plan import CallPlan, Convention
from callproof.abi.signature import Signature
from callproof.abi.types import POINTER

WINDOWS = Variant(variadic_as_integer=True)


def assign(signature: Signature) -> CallPlan:
    """Windows: AAPCS64 but for variadic functions, which use no V registers."""
    return assign_variant(signature, WINDOWS)


WINDOWS64 = Convention(
    name="windows64",
    title="Windows ARM64",
    machine="aarch64",
    model=WINDOWS_ARM64,
    assign=assign,
    argument_registers=ARGUMENTS,
    argument_order=ARGUMENT_ORDER,
    caller_saved=CALLER_SAVED & ~PLATFORM_REGISTER,
    callee_saved=CALLEE_SAVED,
    stack_alignment=16,
    red_zone=16,
    register_name=register_name,
    va_list=POINTER,
    reserved=PLATFORM_REGISTER,
)

__all__ = ["WINDOWS64"]
