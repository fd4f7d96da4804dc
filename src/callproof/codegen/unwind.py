"""How a debugger finds a function's caller: at each instruction, where the frame begins and
where callers' registers are.  Worked out from the emitted instructions themselves.

The state at an instruction follows from those before it on any way (all ways must agree).
The canonical frame address (CFA) is what SP was when the caller called: on x86-64 before
the call pushed the return address.  A target's `frame_step` tells what one instruction does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from callproof.codegen.emit import EmittedBlock, EmittedFunction
from callproof.codegen.machine import MachineBlock
from callproof.codegen.target import Line, Target
from callproof.source import InternalError


@dataclass(slots=True)
class FrameState:
    """What holds before an instruction.

    distances   register -> CFA minus its value, for registers that hold places in the frame
    constants   register -> a number that it holds
    saved       register -> where the caller's value is, in bytes from the CFA
    lost        registers whose caller's value is nowhere any more
    """

    distances: dict[int, int]
    preserved: int
    constants: dict[int, int] = field(default_factory=dict)
    saved: dict[int, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)

    def copy(self) -> FrameState:
        return FrameState(
            dict(self.distances),
            self.preserved,
            dict(self.constants),
            dict(self.saved),
            set(self.lost),
        )

    def written(self, register: int) -> None:
        """The register holds something else now."""
        self.distances.pop(register, None)
        self.constants.pop(register, None)
        if self.preserved >> register & 1 and register not in self.saved:
            self.lost.add(register)

    def store(self, register: int, base: int, offset: int) -> None:
        """The first store of a register that still has its caller's value saves it."""
        distance = self.distances.get(base)
        if distance is None or not self.preserved >> register & 1:
            return
        if register not in self.saved and register not in self.lost:
            self.saved[register] = offset - distance

    def load(self, register: int, base: int, offset: int) -> None:
        """A load from where its caller's value was saved gives a register that back."""
        distance = self.distances.get(base)
        was = self.saved.get(register)
        self.written(register)
        if distance is not None and was == offset - distance:
            del self.saved[register]
            self.lost.discard(register)

    def move(self, register: int, base: int, amount: int) -> None:
        """register := base + amount"""
        distance = self.distances.get(base)
        if register not in self.distances or distance is None:
            self.written(register)
        if distance is not None:
            self.distances[register] = distance - amount

    def rule(self, stack: int, frame: int) -> tuple[int, int]:
        """The CFA as a register and what to add to it."""
        for register in (stack, frame):
            if register in self.distances:
                return register, self.distances[register]
        raise InternalError("where the frame begins is not known")


@dataclass(slots=True)
class UnwindRow:
    """From `offset` on: the CFA is `base` + `distance`; see `FrameState` for the others."""

    offset: int
    base: int
    distance: int
    saved: dict[int, int]
    lost: frozenset[int]


def unwind_rows(function: EmittedFunction, target: Target) -> list[UnwindRow]:
    """A row wherever something changes, in order of the code."""
    unwinding = target.unwinding
    if unwinding is None:
        raise InternalError(f"{target.name} has no frame steps")
    first = FrameState(dict(unwinding.distances), unwinding.preserved, saved=dict(unwinding.saved))
    entries: dict[int, FrameState] = {function.blocks[0].block.index: first}
    positions = {emitted.block.index: at for at, emitted in enumerate(function.blocks)}
    pending = [0]
    rows: dict[int, UnwindRow] = {}
    while pending:
        at = pending.pop()
        emitted = function.blocks[at]
        state = entries[emitted.block.index].copy()
        for successor, passed in _through(emitted, state, rows, target):
            if not _enter(entries, successor, passed):
                pending.append(positions[successor])
        control = emitted.lines[-1].form.control if emitted.lines else ""
        if control not in ENDS and at + 1 < len(function.blocks):
            following = function.blocks[at + 1].block.index
            if not _enter(entries, following, state):
                pending.append(at + 1)
    found: list[UnwindRow] = []
    for offset in sorted(rows):
        row, last = rows[offset], found[-1] if found else None
        if last is None or (row.base, row.distance, row.saved, row.lost) != (
            last.base,
            last.distance,
            last.saved,
            last.lost,
        ):
            found.append(row)
    return found


CALLS = frozenset(("call", "indirect_call"))
ENDS = frozenset(("jump", "return", "indirect_jump", "trap"))


def _through(
    emitted: EmittedBlock, state: FrameState, rows: dict[int, UnwindRow], target: Target
) -> list[tuple[int, FrameState]]:
    """Make a block's rows; the blocks that it branches to, with the states there."""
    unwinding = target.unwinding
    assert unwinding is not None
    found: list[tuple[int, FrameState]] = []
    for line in emitted.lines:
        base, distance = state.rule(unwinding.stack, unwinding.frame)
        rows[line.offset] = UnwindRow(
            line.offset, base, distance, dict(state.saved), frozenset(state.lost)
        )
        if not unwinding.step(line, state):
            _written(line, state)
            if line.form.control in CALLS:
                state.written(unwinding.return_address)
        last = line.arguments[-1] if line.arguments else None
        if isinstance(last, MachineBlock):
            found.append((last.index, state.copy()))
        if line.table is not None:
            found += [(block.index, state.copy()) for block in line.table.blocks]
    return found


def _written(line: Line, state: FrameState) -> None:
    """What any other instruction does: its results are new."""
    for spec, argument in zip(line.form.operands, line.arguments, strict=True):
        if spec.is_register and spec.role in ("def", "use_def"):
            assert isinstance(argument, int)
            state.written(argument)


def _enter(entries: dict[int, FrameState], block: int, state: FrameState) -> bool:
    """Whether all that is known there was known before; else it is to be gone through."""
    known = entries.get(block)
    if known is None:
        entries[block] = state.copy()
        return False
    distances = dict(known.distances.items() & state.distances.items())
    lost = known.lost | state.lost
    saved = {}
    for register in known.saved.keys() | state.saved.keys():
        if known.saved.get(register) == state.saved.get(register):
            saved[register] = known.saved[register]
        else:
            lost.add(register)
    constants = dict(known.constants.items() & state.constants.items())
    merged = FrameState(distances, known.preserved, constants, saved, lost)
    if merged == known:
        return True
    entries[block] = merged
    return False
