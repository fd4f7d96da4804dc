"""ARM64: registers, the instruction table, selection rules, frame shapes.

Takes IR through `RULES` and gives encoded instructions; the one place where
ARM64 mnemonics and encodings are known.  Knows nothing of source languages,
object formats or operating systems.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callproof.codegen.target import Target


@cache
def linux_target() -> Target:
    """The back end's record for `aarch64-linux`, built on first use."""
    from callproof.target.arm64.target import make_linux_target

    return make_linux_target()
