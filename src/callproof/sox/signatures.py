"""What compiled Sox functions and the runtime agree on beside the layout: signatures, hashes."""

from __future__ import annotations

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import POINTER, U64, VALUE
from callproof.sox.symbols import FunctionInfo, ImportFailure

GLOBALS = "sox_globals"
SPREAD = Signature(
    (Parameter(POINTER, "self"), Parameter(U64, "count"), Parameter(POINTER, "arguments")), VALUE
)
NATIVE = Signature((Parameter(U64, "count"), Parameter(POINTER, "arguments")), VALUE)
LOADING = 254  # the tag of a module's value while its top level runs; MODULE_LOADING in sox.h


def fnv1a(data: bytes) -> int:
    """32-bit FNV-1a, as the runtime's; 0 stands for "not computed"."""
    found = 2166136261
    for byte in data:
        found = (found ^ byte) * 16777619 & 0xFFFFFFFF
    return found


def entry_signature(function: FunctionInfo) -> Signature:
    names = [one.local.name for one in function.parameters]
    if function.receiver is not None:
        names.insert(0, "this")
    values = tuple(Parameter(VALUE, name) for name in names)
    return Signature((Parameter(POINTER, "self"), *values), VALUE)


def failure_text(failure: ImportFailure) -> bytes:
    """What is printed when a failing import executes: compile errors, then the message."""
    from callproof.sox.frontend import reference_errors

    return b"\n".join([*reference_errors(failure.errors), failure.message])
