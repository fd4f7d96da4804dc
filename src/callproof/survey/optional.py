"""Packages that only a survey needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from callproof.source import CallproofError


def optional(name: str, purpose: str) -> Any:
    """A module of the extra `survey`.  Raises `CallproofError` with how to get it."""
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise CallproofError(
            f"{purpose} needs the package {package}: pip install 'callproof[survey]'"
        ) from None
