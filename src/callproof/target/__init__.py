"""Targets: one folder each.  `by_name` finds the record that `codegen/` works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.codegen.target import Target

ARM64 = ("aarch64-linux", "aarch64-macos", "aarch64-windows")
X64 = ("x86_64-linux",)
NAMES = (*ARM64, *X64)


def host() -> str:
    """The target whose programs this machine runs fastest; ARM64 where none is its own."""
    import platform
    import sys

    machine = platform.machine().lower().replace("amd64", "x86_64").replace("arm64", "aarch64")
    own = f"{machine}-linux"
    return own if sys.platform == "linux" and own in NAMES else ARM64[0]


def by_name(name: str) -> Target:
    """The target of that name; raises `CallproofError` naming those that there are."""
    if name in ARM64:
        from callproof.target.arm64 import target_named

        return target_named(name)
    if name in X64:
        from callproof.target.x64 import target_named as x64_named

        return x64_named(name)
    raise CallproofError(f"unknown target '{name}'; there is {', '.join(NAMES)}")
