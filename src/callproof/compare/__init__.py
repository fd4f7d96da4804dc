"""Two commits of Callproof side by side, for `callproof bench --compare`.

Takes a checkout, the name of another commit in it, and programs; gives for each program what
both commits make of it: instructions that the result executes, bytes of its code, seconds of
compiling.  Both compilers run as processes of their own, through their command lines; it may
not import from them, as it belongs to neither.
"""

from callproof.compare.checkout import Side, toplevel, two_sides
from callproof.compare.measure import (
    QUANTITIES,
    Comparison,
    Figures,
    Row,
    compare,
    geometric_mean,
    programs,
)

__all__ = [
    "QUANTITIES",
    "Comparison",
    "Figures",
    "Row",
    "Side",
    "compare",
    "geometric_mean",
    "programs",
    "toplevel",
    "two_sides",
]
