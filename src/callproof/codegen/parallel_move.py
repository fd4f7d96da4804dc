"""Sequencing of parallel moves: all sources are read before any destination is written.

Moves are between locations (registers >= 0, spill slots < 0).  The order is found
by following what each location still waits for; what remains are cycles, each of
which goes through one scratch location.  A register-only group of n moves with c
closed cycles (no move reads out of them) takes n + c instructions, which is the
minimum without an exchange instruction.  Moves between two slots pass through a scratch register.
"""

from __future__ import annotations

from collections.abc import Sequence

from callproof.codegen.machine import FIRST_VIRTUAL, FLOAT, Move
from callproof.source import InternalError


def sequence(
    moves: Sequence[Move],
    scratch_general: Sequence[int],
    scratch_float: Sequence[int],
    classes: Sequence[int],
    sizes: Sequence[int],
) -> list[Move]:
    """Single moves, to be done in order, with the effect of the parallel group.

    No result has slots on both sides.  `classes` and `sizes` are those of the
    moved virtual registers.  The scratch registers' values are lost.  Two moves to
    one destination are refused (`InternalError`); moves of a location to itself vanish.
    """
    pending: dict[int, Move] = {}
    late: list[Move] = []
    written: set[int] = set()
    for move in moves:
        if move.destination in written:
            raise InternalError(f"two parallel moves write location {move.destination}")
        written.add(move.destination)
        if move.rematerialise is not None:
            # It reads nothing, so it may come when all reading is done.
            if move.destination >= 0:
                late.append(move)
                continue
            is_float = classes[move.register - FIRST_VIRTUAL] == FLOAT
            scratch = (scratch_float if is_float else scratch_general)[0]
            late.append(Move(scratch, scratch, move.register, move.rematerialise))
            late.append(Move(scratch, move.destination, move.register))
        elif move.source != move.destination:
            pending[move.destination] = move

    readers: dict[int, int] = {}
    for move in pending.values():
        readers[move.source] = readers.get(move.source, 0) + 1
    result: list[Move] = []
    ready = [destination for destination in pending if destination not in readers]
    ready.reverse()  # the given order is kept where nothing forces another

    copies: dict[int, int] = {}  # location -> a finished register that has its old value

    def finish(move: Move) -> None:
        """Emit a move; its source may now be overwritten."""
        if move.destination >= 0:
            copies[move.source] = move.destination
        _append(result, move, scratch_general, scratch_float, classes, sizes)
        source = move.source
        readers[source] -= 1
        if not readers[source]:
            del readers[source]
            if source in pending:
                ready.append(source)

    while pending:
        while ready:
            finish(pending.pop(ready.pop()))
        if not pending:
            break
        # Only cycles are left, and each location in them is read exactly once.  Save one
        # (unless a move out of the cycle has copied it already), then follow what it
        # waits for until the move that wanted the saved value.
        first = _cheapest_to_break(pending, copies)
        index = pending[first].register - FIRST_VIRTUAL
        scratch = (scratch_float if classes[index] == FLOAT else scratch_general)[0]
        scratch = copies.get(first, scratch)
        save = len(result)
        location = first
        while True:
            move = pending.pop(location)
            readers.pop(move.source)
            if move.source == first:
                if first not in copies:
                    result.insert(save, Move(first, scratch, move.register))
                _append(
                    result,
                    Move(scratch, location, move.register),
                    scratch_general,
                    scratch_float,
                    classes,
                    sizes,
                )
                break
            _append(result, move, scratch_general, scratch_float, classes, sizes, busy=scratch)
            location = move.source
    return result + late


def _cheapest_to_break(pending: dict[int, Move], copies: dict[int, int]) -> int:
    """A location that a register still has a copy of; else a register; else any."""
    first = next(iter(pending))
    best = first
    location = first
    while True:
        if location in copies:
            return location
        if location >= 0 and best < 0:
            best = location
        location = pending[location].source
        if location == first:
            return best


def _append(
    result: list[Move],
    move: Move,
    scratch_general: Sequence[int],
    scratch_float: Sequence[int],
    classes: Sequence[int],
    sizes: Sequence[int],
    busy: int = -1,
) -> None:
    """One move, or two through a scratch register where both ends are slots."""
    if move.source >= 0 or move.destination >= 0:
        result.append(move)
        return
    index = move.register - FIRST_VIRTUAL
    # Eight bytes pass through a general register whatever their class, so that a float
    # cycle can keep its value in the float scratch meanwhile.
    pool = scratch_float if sizes[index] > 8 else scratch_general
    free = [register for register in pool if register != busy]
    if not free:
        raise InternalError("a cycle of 16-byte spill slots needs a second scratch register")
    result.append(Move(move.source, free[0], move.register))
    result.append(Move(free[0], move.destination, move.register))
