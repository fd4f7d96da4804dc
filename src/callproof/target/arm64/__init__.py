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
def target_named(name: str) -> Target:
    """The back end's record for `aarch64-linux`, `-macos` or `-windows`, built on first use."""
    from callproof.abi import AAPCS64, DARWIN64, WINDOWS64
    from callproof.target.arm64.target import make_target

    conventions = {
        convention.model.name: convention for convention in (AAPCS64, DARWIN64, WINDOWS64)
    }
    return make_target(name, conventions[name])
