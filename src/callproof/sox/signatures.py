"""What compiled Sox functions and the runtime agree on beside the layout: signatures, hashes."""

from __future__ import annotations

from dataclasses import dataclass

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import F64, POINTER, U64, VALUE, Type
from callproof.runtime import sox_layout as layout
from callproof.sox.flow_values import ValueFlow
from callproof.sox.kinds import only_tag
from callproof.sox.symbols import FUNCTION, INITIALIZER, METHOD, FunctionInfo, ImportFailure

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


@dataclass(frozen=True, slots=True)
class Typed:
    """What direct calls leave out, for a function all of whose calls are known to agree.

    `parameters` (without `this`) and `result` are tags, None where a whole value travels:
    of a known tag only the payload does, a number in a D register, `this` as its address.
    A function that has no use for its closure gets none.
    """

    function: FunctionInfo
    parameters: tuple[int | None, ...]
    result: int | None
    has_self: bool
    signature: Signature


def type_of(tag: int | None) -> Type:
    """In which form a value of that tag travels."""
    return VALUE if tag is None else F64 if tag == layout.NUMBER else U64


def typed(flow: ValueFlow, function: FunctionInfo, has_self: bool) -> Typed | None:
    """None for a function that gains nothing by it; `has_self`: it needs its closure."""
    if function.kind not in (FUNCTION, METHOD, INITIALIZER):
        return None
    parameters = tuple(
        None if one.default is not None else only_tag(flow.held(one.local).tags)
        for one in function.parameters
    )
    result = only_tag(flow.held(("result", function)).tags)
    if function.receiver is None and result is None and not any(parameters):
        return None
    passed = [Parameter(POINTER, "self")] if has_self else []
    if function.receiver is not None:
        passed.append(Parameter(POINTER, "this"))
    for one, tag in zip(function.parameters, parameters, strict=True):
        passed.append(Parameter(type_of(tag), one.local.name))
    signature = Signature(tuple(passed), type_of(result))
    return Typed(function, parameters, result, has_self, signature)


def failure_text(failure: ImportFailure) -> bytes:
    """What is printed when a failing import executes: compile errors, then the message."""
    from callproof.sox.frontend import reference_errors

    return b"\n".join([*reference_errors(failure.errors), failure.message])
