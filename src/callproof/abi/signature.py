"""What a call passes: parameters with their source names, a result, variadic or not."""

from __future__ import annotations

from dataclasses import dataclass

from callproof.abi.types import Type


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `name` is the source's name and serves listings and traces only."""

    type: Type
    name: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's type for the calling convention.

    `result` is None for no result.  With `variadic_from` = n the parameters from
    index n on are the anonymous ones of this very call (AAPCS64 6.8.1: "named" or not).
    """

    parameters: tuple[Parameter, ...] = ()
    result: Type | None = None
    variadic_from: int | None = None
