"""For the quick look: is a call through a register one by the convention?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from callproof.check.conventions import SAVED
from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import SP_BIT, Effect, effect_of

if TYPE_CHECKING:
    from callproof.check.quick import Quick

FRAME_BASES = (29, SP_BIT)
NEAR = 40  # instructions looked back from a call for what its register gets
LAST_ARGUMENT = 8
NO_TARGETS = frozenset(
    (e.ADD_REGISTER, e.ADD_IMMEDIATE, e.ADDRESS, e.CONSTANT, e.MOVK, e.INDEXED_LOAD)
)


def is_callable(quick: Quick, item: int, bit: int, *, is_jump: bool = False) -> bool:
    """Whether a call through a register is one by the convention: then nothing that it may
    hold here is the address of code, nor, where the function may have a convention of its
    own, a parameter (a jump with the frame popped is a tail call, whatever it is)."""
    plain = quick.function.typed or is_jump
    if plain and not quick.known >> bit & 1:
        return True
    columns = quick.pieces.columns[quick.number]
    place = quick.pieces.places[item]
    start = max(place - NEAR, (quick.function.start - quick.offset) >> 2)
    writes = columns.writes[start:place].tolist()
    leaders = quick.code.leaders
    for back in range(len(writes) - 1, -1, -1):
        here = start + back
        if quick.offset + 4 * (here + 1) in leaders:
            break  # other paths come here
        kind = int(columns.kind[here])
        if kind in (e.CALL, e.CALL_REGISTER):
            if not SAVED >> bit & 1:
                break
            continue
        if kind >= e.FIRST_CONTROL and kind != e.BRANCH:
            break
        if writes[back] >> bit & 1:
            effect = effect_of(int(quick.pieces.words[quick.number][here]))
            if effect.kind != e.MOVE:
                return _is_no_address(effect)
            bit = effect.pairs[0][1]
    key = (quick.function.start, bit, plain)
    if key not in quick.callables:
        quick.callables[key] = gets_no_address(quick, bit, plain)
    return quick.callables[key]


def gets_no_address(quick: Quick, bit: int, plain: bool) -> bool:
    """The same for a register in the whole function."""
    columns = quick.pieces.columns[quick.number]
    words = quick.pieces.words[quick.number][quick.span]
    wanted, open_ = {bit}, [bit]
    while open_:
        mask = np.uint64(1 << open_.pop())
        (places,) = np.nonzero((columns.writes[quick.span] & mask) != 0)
        for word in words[places].tolist():
            effect = effect_of(word)
            if effect.kind == e.MOVE:
                sources = {pair[1] for pair in effect.pairs} - wanted
                if any(source >= SP_BIT for source in sources):
                    return False
                wanted |= sources
                open_ += sources
            elif not _is_no_address(effect):
                return False
    return plain or min(wanted) > LAST_ARGUMENT


def _is_no_address(effect: Effect) -> bool:
    """Whether what an instruction writes is no address of code that the flow would know."""
    if effect.kind == e.LOAD:
        return effect.a not in FRAME_BASES
    return effect.kind not in NO_TARGETS
