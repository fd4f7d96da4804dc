"""Places in the source: a line, and the calls through which it was inlined.

An instruction's `line` is a place: a number whose low `LINE_BITS` are the source line (0
for none).  The bits above are 0 for code of the function's own; else they are 1 + the index
in `Function.sites` of the inlined call that the code came by, whose own place may be inlined
again.  So whoever copies an instruction's `line` copies all of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LINE_BITS = 32
LINE_MASK = (1 << LINE_BITS) - 1

# An `int`.  With debug information it is a `debug.Place`, which says more; code compiled by
# mypyc would make a plain number of it wherever it is declared as an `int`.
PlaceNumber = Any


@dataclass(frozen=True, slots=True)
class Site:
    """An inlined call: of which function (its symbol), which file its lines are of, and
    the place of the call."""

    callee: str
    source_name: str
    place: PlaceNumber


def line_of(place: int) -> int:
    """The line in the innermost function."""
    return place & LINE_MASK


def inlined(place: int, index: int) -> int:
    """The same line as code that came by the site of that index."""
    return place & LINE_MASK | (index + 1) << LINE_BITS


def calls_of(sites: Sequence[Site], place: int) -> list[tuple[str, int]]:
    """The functions that a place is in, innermost first: symbol and line there.

    The last is the function whose code it is; its symbol is given as ''.
    """
    found = []
    while place >> LINE_BITS:
        site = sites[(place >> LINE_BITS) - 1]
        found.append((site.callee, place & LINE_MASK))
        place = site.place
    found.append(("", place & LINE_MASK))
    return found


def line_in(sites: Sequence[Site], place: int, source_name: str) -> int:
    """The line that a place has in a file: of the innermost call's code that is of this file."""
    while place >> LINE_BITS:
        site = sites[(place >> LINE_BITS) - 1]
        if site.source_name == source_name:
            break
        place = site.place
    return place & LINE_MASK


__all__ = [
    "LINE_BITS",
    "LINE_MASK",
    "PlaceNumber",
    "Site",
    "calls_of",
    "inlined",
    "line_in",
    "line_of",
]
