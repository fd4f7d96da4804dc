"""One function's states: what registers and stack slots hold at each instruction.

Blocks are gone through until nothing changes; then once more, and what is wrong is told to
`findings.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from callproof.abi.sysv64 import RBP, RSP
from callproof.check.x64.calls import CallFacts, facts_of
from callproof.check.x64.code import Code, Function, Instruction, successors
from callproof.check.x64.effects import COPIES, PART_COPIES, memory_place
from callproof.check.x64.state import WORD, Bases, State
from callproof.check.x64.values import (
    ADRIFT,
    CHANGED,
    ENTRY,
    RETURN_ADDRESS,
    SAVED,
    Value,
    left,
    own,
    stack,
)
from callproof.target.x64.table import BASE, INDEX

MOST_VISITS = 64  # of a block, on the average, until nothing changes
MOST_SLOTS = 1000  # of one frame that are followed
INEXACT = -1  # an address somewhere in the frame: as a base, which no address has


@dataclass(frozen=True, slots=True)
class Event:
    """Something wrong at an instruction: `kind` (see `findings.py`), the register (-1: none),
    the value that is there, `detail` for the message."""

    kind: str
    address: int
    register: int
    value: Value
    detail: str = ""


class _TooMuchError(Exception):
    """A function on which more work would be spent than any compiler's code needs."""


@dataclass(slots=True)
class Flow:
    """`inputs`: the state at the start of each block that is reached; `events` by what makes
    them one; `unexplored`: places that could not be followed, with why."""

    code: Code
    function: Function
    inputs: dict[int, State] = field(default_factory=dict)
    events: dict[tuple[str, int, int], Event] = field(default_factory=dict)
    unexplored: dict[int, str] = field(default_factory=dict)
    bases: Bases = field(default_factory=Bases)
    told: bool = False
    frame_known: bool = False  # somebody else may know an address in the frame

    def run(self) -> None:
        """Fill in all the rest.  What would take too long is unexplored, and nothing else."""
        try:
            self._run()
        except _TooMuchError as error:
            self.events.clear()
            self.unexplored = {self.function.start: str(error)}

    def _run(self) -> None:
        function = self.function
        visits = MOST_VISITS * len(function.blocks)
        self.frame_known = any(_gives_away(one) for one in function.instructions.values())
        self.inputs[function.start] = State.at_entry()
        work = [function.start]
        while work:
            start = work.pop()
            visits -= 1
            if visits < 0:
                raise _TooMuchError("its loops do not settle")
            state = self.inputs[start].copy()
            for instruction in function.blocks[start]:
                self.step(state, instruction)
                if len(state.slots) > MOST_SLOTS:
                    raise _TooMuchError(f"more than {MOST_SLOTS} slots are in its frame")
            for following in successors(self.code, function, start):
                known = self.inputs.get(following)
                if known is None:
                    self.inputs[following] = state.copy()
                elif not known.join(state, following):
                    continue
                work.append(following)
        self.told = True
        for start in sorted(self.inputs):
            state = self.inputs[start].copy()
            for instruction in function.blocks[start]:
                self.step(state, instruction)
            # Behind a call at a function's end there is nothing: it does not come back.
            last = function.blocks[start][-1]
            if last.end >= function.end and last.form.control in ("", "branch"):
                self.not_followed(last, "the function's end is run through")

    # --- what is wrong -----------------------------------------------------------------------

    def event(
        self, kind: str, place: Instruction, register: int, value: Value, detail: str = ""
    ) -> None:
        if not self.told:
            return
        # What one call has left in one register is one mistake, however often it is read.
        key = (kind, place.address, register)
        if value.is_left:
            key = (kind, value.where, value.register)
        self.events.setdefault(key, Event(kind, place.address, register, value, detail))

    def not_followed(self, place: Instruction, why: str) -> None:
        if self.told:
            self.unexplored.setdefault(place.address, why)

    def use(self, state: State, place: Instruction, register: int) -> None:
        value = state.values[register]
        if value.is_left:
            self.event("read", place, register, value)

    # --- instructions ---------------------------------------------------------------------------

    def step(self, state: State, place: Instruction) -> None:
        """Change the state as an instruction does."""
        effect = place.effect
        for register in effect.address:
            self.use(state, place, register)
        special = SPECIAL.get(effect.name) or SPECIAL.get(place.form.control)
        if special is None and effect.memory:
            special = MEMORY[effect.memory]
        if special is not None:
            special(self, state, place)
            return
        self.plain(state, place)

    def plain(self, state: State, place: Instruction) -> None:
        """Reads are uses, what is written is the function's own."""
        for register in place.effect.reads:
            self.use(state, place, register)
        self.write(state, place)

    def write(self, state: State, place: Instruction) -> None:
        for register in place.effect.writes:
            state.values[register] = own(place.address)

    def copy(self, state: State, place: Instruction) -> None:
        """A copy is no use: the value is followed."""
        effect = place.effect
        (source,), (destination,) = effect.reads, effect.writes
        value = state.values[source]
        if effect.name in PART_COPIES and not value.is_left:
            value = own(place.address)
        state.values[destination] = value

    def address(self, state: State, place: Instruction) -> tuple[int, int] | None:
        """Base and offset of a memory operand in the frame, (INEXACT, 0) if only that much is
        known; None for another address."""
        row, arguments = place.decoded.row, place.decoded.arguments
        at = memory_place(row)
        if row.memory == BASE:
            base = state.values[arguments[at]]
            if base.kind == "stack":
                return base.where, base.offset + arguments[at + 1]
            return (INEXACT, 0) if base.kind == "adrift" else None
        if row.memory == INDEX:
            both = (state.values[arguments[at]].kind, state.values[arguments[at + 1]].kind)
            return (INEXACT, 0) if "stack" in both or "adrift" in both else None
        return None

    def load(self, state: State, place: Instruction) -> None:
        effect = place.effect
        for register in effect.reads:
            self.use(state, place, register)
        where = self.address(state, place)
        value = None
        if where is not None and where[0] != INEXACT:
            size, held = state.slots.get(where, (0, ENTRY[0]))
            if size and effect.size and (size == effect.size or held.is_left):
                value = held
            elif size and held.is_left:
                self.event("read", place, held.register, held)  # it works on memory itself
        self.write(state, place)
        if value is not None and (value.is_left or effect.size >= WORD):
            for register in effect.writes:
                state.values[register] = value

    def store(self, state: State, place: Instruction) -> None:
        effect = place.effect
        where = self.address(state, place)
        if where is None or where[0] == INEXACT:
            for register in effect.reads:
                self.use(state, place, register)
            if where is not None or self.frame_known:
                state.forget_left()
            return
        value = state.values[effect.reads[0]] if effect.reads else None
        if value is not None and effect.size < WORD and not value.is_left:
            value = None
        state.store(self.bases, *where, effect.size, value)

    def change(self, state: State, place: Instruction) -> None:
        """Memory is read and written: what a call left there is used, and then gone."""
        effect = place.effect
        for register in effect.reads:
            self.use(state, place, register)
        where = self.address(state, place)
        self.write(state, place)
        if where is None or where[0] == INEXACT:
            if where is not None or self.frame_known:
                state.forget_left()
            return
        size, held = state.slots.get(where, (0, ENTRY[0]))
        if size and held.is_left:
            self.event("read", place, held.register, held)
        state.store(self.bases, *where, effect.size, None)

    def lea(self, state: State, place: Instruction) -> None:
        where = self.address(state, place)
        self.write(state, place)
        if where is not None and where[0] != INEXACT and place.effect.name == "lea_q":
            state.values[place.effect.writes[0]] = stack(*where)

    def add(self, state: State, place: Instruction) -> None:
        """A constant is added or taken away: an address in the frame stays one."""
        register, constant = place.decoded.arguments
        value = state.values[register]
        self.plain(state, place)
        if value.kind == "stack":
            change = constant if place.effect.name == "add_q_ri" else -constant
            state.values[register] = stack(value.where, value.offset + change)
        elif value.kind == "adrift":
            state.values[register] = ADRIFT

    def align(self, state: State, place: Instruction) -> None:
        register, constant = place.decoded.arguments
        value = state.values[register]
        self.plain(state, place)
        alignment = -constant
        if (
            register == RSP
            and value.kind == "stack"
            and alignment & (alignment - 1) == 0 < alignment
        ):
            aligned = self.bases.aligned(place.address, value, alignment)
            if aligned is not None:
                state.values[register] = aligned

    def push(self, state: State, place: Instruction) -> None:
        value = state.values[place.effect.reads[0]]
        rsp = state.values[RSP]
        if rsp.kind != "stack":
            return  # adrift or not known stays so
        state.values[RSP] = stack(rsp.where, rsp.offset - WORD)
        state.store(self.bases, rsp.where, rsp.offset - WORD, WORD, value)

    def pop(self, state: State, place: Instruction) -> None:
        (register,) = place.effect.writes
        rsp = state.values[RSP]
        state.values[register] = own(place.address)
        if rsp.kind != "stack":
            return
        size, value = state.slots.get((rsp.where, rsp.offset), (0, rsp))
        if register != RSP:
            if size == WORD:
                state.values[register] = value
            state.values[RSP] = stack(rsp.where, rsp.offset + WORD)

    # --- control --------------------------------------------------------------------------------

    def call(self, state: State, place: Instruction) -> None:
        for register in place.effect.reads:
            self.use(state, place, register)
        direct = place.form.control == "call"
        record = self.code.record_at(place.target) if direct else None
        facts = facts_of(record)
        rsp = state.values[RSP]
        if rsp.kind == "adrift" or (rsp.kind == "stack" and self.bases.misaligned(rsp)):
            self.event("misaligned", place, RSP, rsp)
        elif rsp.kind != "stack":
            self.not_followed(place, "what RSP is at this call could not be followed")
        self.arguments(state, place, facts)
        if rsp.kind == "stack":
            state.forget_below(self.bases, rsp)
            if facts.stack_bytes:
                state.forget(self.bases, rsp.where, rsp.offset, facts.stack_bytes)
        if self.frame_known:
            state.forget_left()
        values = state.values
        for register in CHANGED:
            if register in facts.results:
                values[register] = own(place.address)
            else:
                values[register] = left(place.address, register, values[register])

    def arguments(self, state: State, place: Instruction, facts: CallFacts) -> None:
        record = self.function.record
        mine = None if record is None else facts_of(record).arguments
        for register, shown in facts.arguments.items():
            value = state.values[register]
            missing = value.is_left
            if value.kind == "entry" and mine is not None:
                missing = value.register not in mine
            if missing:
                self.event("argument", place, register, value, shown)

    def jump(self, state: State, place: Instruction) -> None:
        """A jump out of the function is a tail call."""
        for register in place.effect.reads:
            self.use(state, place, register)
        target = place.target
        if target in self.function.blocks:
            return
        if target in self.code.functions or target in self.code.image.externs:
            facts = facts_of(self.code.record_at(target))
            self.leave(state, place, tail=True)
            self.arguments(state, place, facts)
        else:
            self.not_followed(place, "a jump leads into other code, not to a function's start")

    def computed_jump(self, state: State, place: Instruction) -> None:
        for register in place.effect.reads:
            self.use(state, place, register)
        if place.address in self.function.jumps:
            return
        if self.function.record is None:
            self.not_followed(place, "a computed jump")
            return
        self.leave(state, place, tail=True)  # our compiler makes no others but those through tables

    def returns(self, state: State, place: Instruction) -> None:
        self.leave(state, place, tail=False)
        record = self.function.record
        if record is None:
            return
        for register in sorted(facts_of(record).results):
            value = state.values[register]
            if value.is_left:
                self.event("result", place, register, value)

    def leave(self, state: State, place: Instruction, *, tail: bool) -> None:
        how = "tail" if tail else "return"
        rsp = state.values[RSP]
        if rsp == stack(0, 0):
            size, value = state.slots.get((0, 0), (0, rsp))
            if size != WORD or value != RETURN_ADDRESS:
                self.event("link", place, -1, value, how)
        elif rsp.kind in ("stack", "adrift"):
            self.event("unbalanced", place, RSP, rsp, how)
        else:
            self.not_followed(place, "what RSP is where the function is left could not be followed")
        for register in SAVED:
            value = state.values[register]
            if value != ENTRY[register]:
                self.event("lost", place, register, value, how)


def _gives_away(instruction: Instruction) -> bool:
    """Whether an instruction makes an address in the frame that others may get to know."""
    effect = instruction.effect
    if effect.memory == "lea":
        return RSP not in effect.writes and bool({RSP, RBP} & set(effect.address))
    return effect.name == "mov_q_rr" and RSP in effect.reads and RBP not in effect.writes


Step = Callable[[Flow, State, Instruction], None]

SPECIAL: dict[str, Step] = {
    **dict.fromkeys(COPIES | PART_COPIES, Flow.copy),
    "add_q_ri": Flow.add,
    "sub_q_ri": Flow.add,
    "and_q_ri": Flow.align,
    "push": Flow.push,
    "pop": Flow.pop,
    # by what kind of control flow they are
    "call": Flow.call,
    "indirect_call": Flow.call,
    "jump": Flow.jump,
    "branch": Flow.jump,
    "indirect_jump": Flow.computed_jump,
    "return": Flow.returns,
}
MEMORY: dict[str, Step] = {
    "load": Flow.load,
    "store": Flow.store,
    "change": Flow.change,
    "lea": Flow.lea,
}

__all__ = ["Event", "Flow"]
