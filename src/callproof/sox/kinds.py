"""What a value can be: a set of tags, and where its objects come from.

A kind is an upper bound.  `sites` says which functions, classes, arrays and natives can
stand behind the tags: a `FunctionInfo` for closures and bound methods, a `ClassInfo` for
classes and instances, the node that makes it for an array, its name for a native.
"""

from __future__ import annotations

from dataclasses import dataclass

from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.symbols import ClassInfo, FunctionInfo

Site = FunctionInfo | ClassInfo | ast.Node | str
ARGUMENTS = "arguments"  # the array that `argv` is
NOWHERE: frozenset[Site] = frozenset()


def bit(tag: int) -> int:
    """(`UNDEFINED`, which no expression gives, has one that is in ALL only.)"""
    return 1 << min(tag, 15)


NIL = bit(layout.NIL)
BOOL = bit(layout.BOOL)
NUMBER = bit(layout.NUMBER)
STRING = bit(layout.STRING)
CLOSURE = bit(layout.CLOSURE)
NATIVE = bit(layout.NATIVE)
CLASS = bit(layout.CLASS)
INSTANCE = bit(layout.INSTANCE)
BOUND = bit(layout.BOUND)
TABLE = bit(layout.TABLE)
ARRAY = bit(layout.ARRAY)
RANGE = bit(layout.RANGE)
# What no check of the program can tell: nothing is known.
ALL = (1 << 16) - 1


@dataclass(frozen=True, slots=True)
class Kind:
    """`tags` has `bit(tag)` for each possible tag; 0 is no value at all (never reached)."""

    tags: int = 0
    sites: frozenset[Site] = NOWHERE

    def __or__(self, other: Kind) -> Kind:
        if other is self:
            return self
        tags = self.tags | other.tags
        if tags == self.tags and other.sites <= self.sites:
            return self
        if tags == other.tags and self.sites <= other.sites:
            return other
        return Kind(tags, self.sites | other.sites)

    def without(self, tags: int) -> Kind:
        return Kind(self.tags & ~tags, self.sites)

    @property
    def functions(self) -> list[FunctionInfo]:
        return [site for site in self.sites if isinstance(site, FunctionInfo)]

    @property
    def classes(self) -> list[ClassInfo]:
        return [site for site in self.sites if isinstance(site, ClassInfo)]

    @property
    def arrays(self) -> list[ast.Node]:
        return [site for site in self.sites if isinstance(site, ast.Node)]

    @property
    def natives(self) -> list[str]:
        return [site for site in self.sites if isinstance(site, str) and site != ARGUMENTS]


NOTHING = Kind()
SIMPLE = {tags: Kind(tags) for tags in (NIL, BOOL, NUMBER, STRING, TABLE, RANGE)}
A_NUMBER, A_STRING, A_BOOL, A_NIL, A_TABLE, A_RANGE = (
    SIMPLE[tags] for tags in (NUMBER, STRING, BOOL, NIL, TABLE, RANGE)
)


def only_tag(tags: int) -> int | None:
    """The tag, if there is just one."""
    return tags.bit_length() - 1 if tags and not tags & (tags - 1) else None
