"""What the quick look knows at a place of a function, and what callers know of the whole."""

from __future__ import annotations

from dataclasses import dataclass

from callproof.check.conventions import SAVED, UNDEFINED_AT_ENTRY
from callproof.check.functions import Function
from callproof.check.summaries import Summary

UNLIKE = 1 << 40  # X29's distance where paths disagree about it
IN_FRAME = 1 << 40
"""Added to a distance from SP at entry, for a slot that holds an address in the frame."""


class Doubt(Exception):
    """The full flow must look at this function."""


Saved = dict[int, int]
"""Distance of a slot from SP at entry -> the register whose entry value is in it."""
State = tuple[int, int, int, int, int, Saved, dict[int, int]]
"""(SP - SP at entry, X29 - SP at entry or UNLIKE, registers that hold their entry value,
registers that hold nothing one may read, registers that may hold a known address, saved
registers, registers with addresses in the frame as distances from SP at entry)."""


@dataclass(slots=True)
class Outline:
    """What callers must know of a function; see the module's text.  `odd`: too special."""

    returns: bool = False
    clobbered: int = 0
    rubbish: int = 0
    needs: int = 0
    stack_reads: frozenset[int] = frozenset()
    odd: bool = False
    instructions: int = 0

    def facts(self) -> tuple[object, ...]:
        return self.returns, self.clobbered, self.rubbish, self.needs, self.stack_reads


def outline_of(function: Function, summary: Summary) -> Outline:
    """What the full flow found, for callers that are looked at quickly."""
    needs = sum(1 << bit for bit in summary.needs_at)
    odd = (
        summary.lost
        or needs & (UNDEFINED_AT_ENTRY | SAVED)  # by a convention of its own
        or summary.writes_caller
        or summary.sp_change != 0
        or summary.unsure
        or summary.unknown
        or summary.changed & SAVED
        or function.variant
    )
    rubbish = summary.changed & ~summary.defined
    reads = frozenset(summary.stack_reads)
    return Outline(summary.returns, summary.changed, rubbish, needs, reads, bool(odd))


def join(mine: State, theirs: State) -> State:
    """What is true of both; `mine` itself if that is no less."""
    if mine[0] != theirs[0]:
        raise Doubt
    fp = mine[1] if mine[1] == theirs[1] else UNLIKE
    held = mine[2] & theirs[2]
    rubbish = mine[3] | theirs[3]
    known = mine[4] | theirs[4]
    saved = mine[5]
    if saved is not theirs[5] and saved != theirs[5]:
        saved = {slot: bit for slot, bit in saved.items() if theirs[5].get(slot) == bit}
    holders = mine[6]
    if holders is not theirs[6] and holders != theirs[6]:
        holders = {r: at for r, at in holders.items() if theirs[6].get(r) == at}
    if (
        (fp, held, rubbish, known) == mine[1:5]
        and len(saved) == len(mine[5])
        and len(holders) == len(mine[6])
    ):
        return mine
    return mine[0], fp, held, rubbish, known, saved, holders
