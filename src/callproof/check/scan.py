"""What can be seen without following values: runs of moves, writes of X18, landing pads.

These look at the blocks that the flow reached, so that data between functions is not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from callproof.check.blocks import Block, instruction_at
from callproof.target.arm64 import effects as e

if TYPE_CHECKING:
    from callproof.check.flow import Flow

ARGUMENT_BITS = frozenset((*range(8), *range(32, 40)))
# Moves and what may stand between them without touching what they move.
HARMLESS = frozenset((e.CONSTANT, e.ADDRESS, e.MOVK))
Move = tuple[int, int, int, int]
"""(address, to, from, 1 if only 32 bits); `from` is negative for a constant."""
SHADOW_PUSH, SHADOW_POP = 0xF800865E, 0xF85F8E5E  # str x30, [x18], #8; ldr x30, [x18, #-8]!
LANDING_PADS = frozenset((0xD503245F, 0xD50324DF, 0xD503233F, 0xD503237F))  # bti c, jc; pac*sp


def look(flow: Flow) -> None:
    """Add the events of everything here to a flow that has run."""
    for block in list(flow.blocks.values()):
        _moves(flow, block)
    if flow.profile.reserved:
        _platform(flow)
    image, function = flow.code.image, flow.function
    if image.claims_bti and function.pointed and image.word(function.start) not in LANDING_PADS:
        flow.event("landing-pad", function.start, severity="warning")


def _runs(block: Block) -> Iterator[list[Move]]:
    """Runs of register moves that end in a call or tail call: (address, to, from)."""
    run: list[Move] = []
    for kind, address, _, writes, effect in block.operations:
        if kind == e.MOVE and effect is not None:
            run += [(address, to, source, effect.c) for to, source in effect.pairs if to < 64]
        elif kind in HARMLESS:
            # A constant put into an argument register ends what the register held.
            run.append((address, writes.bit_length() - 1, -address, 0))
        else:
            if kind in (e.CALL, e.CALL_REGISTER, e.JUMP) and len(run) > 1:
                yield run
            run = []


def _moves(flow: Flow, block: Block) -> None:
    """The lost copy: in `mov x0, x1; mov x1, x0` the old x0 is gone when it is read.

    The second move gives its register what it already holds, so it does nothing; and the
    value that stood in the source is in no register any more.
    """
    for run in _runs(block):
        holds: dict[int, int] = {}
        changed: dict[int, int] = {}
        for number, (address, to, source, narrow) in enumerate(run):
            if source < 0:
                holds[to] = source
                changed[to] = address
                continue
            value = holds.get(source, source)
            if (
                source in changed
                and to in ARGUMENT_BITS
                and source in ARGUMENT_BITS
                and source not in holds.values()
                and value >= 0
                and holds.get(value, value) == value  # else this is how a swap ends
                and not _saved_before(run, number, source)
            ):
                redundant = value == holds.get(to, to)
                # A compiler may write the pair where the register held no parameter, and half
                # a register moved back and forth clears the upper half: so it is no error.
                # And no parameter changes its bank: X0 to D0 and back is a change of type.
                lost = redundant and not narrow and (source < 32) == (to < 32)
                severity = "warning" if lost else "note"
                flow.event("moves", address, source, changed[source], severity)
            holds[to] = value
            changed[to] = address


def _saved_before(run: list[Move], number: int, source: int) -> bool:
    """Whether a move of the run has put the source's old value elsewhere before."""
    return any(earlier == source for _, _, earlier, _ in run[:number])


def _platform(flow: Flow) -> None:
    reserved = flow.profile.reserved
    for block in flow.blocks.values():
        if not any(writes & reserved for _, _, _, writes, _ in block.operations):
            continue
        for address in range(block.start, block.end, 4):
            word = flow.code.image.word(address)
            if word in (SHADOW_PUSH, SHADOW_POP):
                continue
            effect = instruction_at(flow.code, address)
            written = effect.writes & reserved
            if written and effect.kind < e.FIRST_CONTROL:
                flow.event("platform", address, written.bit_length() - 1)
