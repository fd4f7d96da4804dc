"""Targets: one folder each.  `by_name` finds the record that `codegen/` works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.codegen.target import Target

NAMES = ("aarch64-linux", "aarch64-macos", "aarch64-windows")


def by_name(name: str) -> Target:
    """The target of that name; raises `CallproofError` naming those that there are."""
    if name in NAMES:
        from callproof.target.arm64 import target_named

        return target_named(name)
    raise CallproofError(f"unknown target '{name}'; there is {', '.join(NAMES)}")
