"""The assembly of one call: a caller is made in the IR, compiled, and listed.

Each argument comes from an object of its own name outside (`a` for parameter `a`), and
the result goes to one called `result`, so that the listing shows nothing but the call.
"""

from __future__ import annotations

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import Composite, Type, leaves
from callproof.codegen.backend import compile_module
from callproof.codegen.listing import Listing
from callproof.ir.parse import parse_module
from callproof.ir.text import signature_text
from callproof.ir.types import of_scalar
from callproof.passes.pipeline import optimise
from callproof.source import CallproofError
from callproof.target import by_name

TARGETS = {
    "aapcs64": "aarch64-linux",
    "darwin64": "aarch64-macos",
    "windows64": "aarch64-windows",
    "sysv64": "x86_64-linux",
}


def call_site(name: str, signature: Signature, convention: str) -> str:
    """Commented assembly of a function that calls `name`; raises `CallproofError` where
    Callproof has no back end for the convention."""
    if convention not in TARGETS:
        raise CallproofError(
            f"no assembly for {convention}: Callproof generates code for {', '.join(TARGETS)}"
        )
    target = by_name(TARGETS[convention])
    module = parse_module(_caller(name, signature), "call")
    optimise(module, 1)
    compiled = compile_module(module, target, verify=True)
    listing = Listing(assembly=target.assembly)
    (function,) = compiled.functions
    listing.function(function, 0)
    return listing.text()


def _in_memory(type_: Type) -> bool:
    if isinstance(type_, Composite):
        return True
    try:
        return any(of_scalar(scalar) is None for _, scalar in leaves(type_))
    except CallproofError:
        return True


def _caller(name: str, signature: Signature) -> str:
    parameters = tuple(
        Parameter(p.type, p.name or f"parameter{index + 1}", _in_memory(p.type))
        for index, p in enumerate(signature.parameters)
    )
    result = signature.result
    result_in_memory = result is not None and _in_memory(result)
    known = Signature(parameters, result, signature.variadic_from, result_in_memory)
    fixed = signature.variadic_from
    declared = Signature(parameters[:fixed], result, fixed, result_in_memory)
    taken = {p.name for p in parameters}
    result_name = "result" if "result" not in taken else "result_"
    lines = [f"declare @{name}{signature_text(declared)}"]
    lines += [f"declare data @{p.name} align {max(p.type.alignment, 1)}" for p in parameters]
    body: list[str] = []
    arguments: list[str] = []
    if result is not None:
        lines.append(f"declare data @{result_name} align {max(result.alignment, 1)}")
    if result_in_memory:
        arguments.append(f"@{result_name}")
    for parameter in parameters:
        if parameter.in_memory:
            arguments.append(f"@{parameter.name}")
            continue
        for offset, scalar in leaves(parameter.type):  # one: what has several is in memory
            value = f"%{parameter.name}"
            body.append(f"  {value} = load {of_scalar(scalar)} @{parameter.name} + {offset}")
            arguments.append(value)
    call = f"call @{name}({', '.join(arguments)}) : {signature_text(known)}"
    if result is not None and not result_in_memory:
        names = [f"%r{index}" for index in range(len(leaves(result)))]
        body.append(f"  {', '.join(names)} = {call}" if names else f"  {call}")
        for one, (offset, scalar) in zip(names, leaves(result), strict=True):
            body.append(f"  store {of_scalar(scalar)} {one}, @{result_name} + {offset}")
    else:
        body.append(f"  {call}")
    lines += [f"function @call_{name}() {{", "^entry:", *body, "  return", "}"]
    return "\n".join(lines) + "\n"
