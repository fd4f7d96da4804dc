"""Targets: one folder each.  `by_name` finds the record that `codegen/` works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.codegen.target import Target

NAMES = ("aarch64-linux",)


def by_name(name: str) -> Target:
    """The target of that name; raises `CallproofError` naming those that there are."""
    if name == "aarch64-linux":
        from callproof.target.arm64 import linux_target

        return linux_target()
    raise CallproofError(f"unknown target '{name}'; there is {', '.join(NAMES)}")
