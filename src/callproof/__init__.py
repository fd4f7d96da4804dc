"""Callproof: a native compiler for NewBCPL whose calls are right, and are proved so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callproof.jit import compile

__version__ = "0.1.0"
__all__ = ["__version__", "compile"]


def __getattr__(name: str) -> object:
    """`compile` is loaded on first use: importing the package costs nothing."""
    if name != "compile":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from callproof import jit

    return jit.compile
