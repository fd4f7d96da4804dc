"""Callproof: a native compiler for NewBCPL whose calls are right, and are proved so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callproof.jit import compile

__version__ = "0.1.0"
__all__ = ["__version__", "compile"]


def version_text() -> str:
    """As `callproof --version` prints it: the number, and whether mypyc compiled this copy."""
    from importlib.machinery import EXTENSION_SUFFIXES
    from pathlib import Path

    emit = Path(__file__).parent / "codegen" / "emit"
    compiled = any(emit.with_suffix(suffix).exists() for suffix in EXTENSION_SUFFIXES)
    return f"callproof {__version__} ({'compiled' if compiled else 'pure Python'})"


def __getattr__(name: str) -> object:
    """`compile` is loaded on first use: importing the package costs nothing."""
    if name != "compile":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from callproof import jit

    return jit.compile
