"""What a call passes: parameters with their source names, a result, variadic or not."""

from __future__ import annotations

from dataclasses import dataclass

from callproof.abi.types import Composite, Type


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `name` is the source's name and serves listings and traces only.

    With `in_memory` the IR's value is the address of an object of that type, whose copy
    the callee gets (`byval`); it changes nothing in how the type travels.
    """

    type: Type
    name: str = ""
    in_memory: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's type for the calling convention.

    `result` is None for no result.  With `variadic_from` = n the parameters from
    index n on are the anonymous ones of this very call (AAPCS64 6.8.1: "named" or not);
    they have been promoted as the language demands (C: `float` to `double` and so on).
    With `result_in_memory` the IR's call takes the address where the result goes as its
    first argument (`sret`), and the function as its first parameter.
    """

    parameters: tuple[Parameter, ...] = ()
    result: Type | None = None
    variadic_from: int | None = None
    result_in_memory: bool = False


def in_memory(signature: Signature) -> Signature:
    """The same signature with composites passed by address in the IR, results too."""
    parameters = tuple(
        Parameter(p.type, p.name, p.in_memory or isinstance(p.type, Composite))
        for p in signature.parameters
    )
    return Signature(
        parameters,
        signature.result,
        signature.variadic_from,
        signature.result_in_memory or isinstance(signature.result, Composite),
    )
