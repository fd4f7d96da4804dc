"""x86-64: registers, the instruction table, selection rules, frame shapes.

Takes IR through its rules and gives encoded instructions; the one place where x86-64
mnemonics and encodings are known.  Knows nothing of source languages, object formats or
operating systems.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callproof.codegen.target import Target


@cache
def target_named(name: str) -> Target:
    """The back end's record for `x86_64-linux`, built on first use."""
    from callproof.target.x64.target import make_target

    return make_target(name)
