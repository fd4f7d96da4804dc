"""One function, interpreted over abstract states until nothing changes.

What breaks the convention becomes an `Event`; the rules make findings of them.  What the
function does to its caller becomes a `Summary`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from callproof.check import accesses, values
from callproof.check.blocks import Block, Operation, instruction_at
from callproof.check.calls import COMPUTED_CALL, Calls
from callproof.check.conventions import (
    UNDEFINED_AT_ENTRY,
    Profile,
)
from callproof.check.functions import Code, Function
from callproof.check.state import (
    CERTAIN,
    COMPUTED,
    CONSTANT_VALUE,
    PARTLY,
    TABLES,
    TOP,
    State,
    entry,
    is_constant,
    is_entry,
    is_memory,
    is_stack,
)
from callproof.check.summaries import Summary, settle
from callproof.check.tables import Table, find_targets
from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import SP_BIT, Effect

MOST_VISITS = 60  # of one block; then the function is given up as unexplored
MOST_BLOCKS = 60_000


@dataclass(slots=True)
class Event:
    """Something seen at an address: `kind` names what (see the rules), `bit` the register,
    `other` the address or number that belongs to it.

    `root_only`: it breaks the convention only if the function is called by it, not by
    callers that know its registers.
    """

    kind: str
    address: int
    bit: int = -1
    other: int = 0
    severity: str = "error"
    root_only: bool = False
    text: str = ""


Successor = tuple[int, State]


HIGH_HALVES = 0xFFFFFFFF << 64
UNCERTAIN = frozenset(("read-after-call", "argument", "undefined", "link", "lost"))


class Flow:
    """`run()` once; then `events`, `summary` and what evidence needs."""

    def __init__(
        self, code: Code, function: Function, summaries: dict[int, Summary], profile: Profile
    ) -> None:
        self.code = code
        self.function = function
        self.profile = profile
        self.summary = Summary()
        self.events: dict[tuple[str, int, int], Event] = {}
        self.calls = Calls(self, summaries)
        self.blocks: dict[int, Block] = {}
        self.inputs: dict[int, State] = {}
        self.predecessors: dict[int, set[int]] = {}
        self.unexplored: dict[int, str] = {}
        self.tables: list[Table] = []
        self.table_numbers: dict[Table, int] = {}
        self.saves: dict[int, tuple[int, int]] = {}  # bit -> (address, offset) of its save
        self.written_slots: set[int] = set()
        self.foreign_saves: set[tuple[int, int]] = set()  # (bit, offset) saved elsewhere
        self.stack_reads: dict[int, int] = {}  # offset above the entry's SP -> address
        self.switched = 0  # where SP got a value that does not come from SP
        self.stack_arguments: dict[tuple[int, int], int] = {}  # (call, place) -> offset
        self.pending: list[Successor] = []
        self.instructions = 0
        self.touches_caller = False
        self.sp_conflict = 0  # where paths meet that have moved SP by different amounts
        self.compared = 0  # the last comparison of SP with a register
        self.shadow_pushed = False
        self.current = 0  # the block in execution

    # --- the worklist -------------------------------------------------------------------------

    def run(self) -> None:
        start = self.function.start
        self.inputs[start] = State()
        queue = [start]  # a heap: in the order of addresses, which is nearly that of control
        queued = {start}
        visits: dict[int, int] = {}
        while queue:
            address = heappop(queue)
            queued.discard(address)
            visits[address] = visits.get(address, 0) + 1
            if visits[address] > MOST_VISITS or len(self.blocks) > MOST_BLOCKS:
                self.unexplored[address] = "it does not settle"
                continue
            block = self.blocks.get(address)
            if block is None:
                block = self.blocks[address] = self.code.block(address)
                self.instructions += block.instructions
            for target, state in self.execute(block, self.inputs[address].copy()):
                self.predecessors.setdefault(target, set()).add(address)
                known = self.inputs.get(target)
                if known is None:
                    self.inputs[target] = state
                else:
                    mine, theirs = known.values[SP_BIT], state.values[SP_BIT]
                    if mine != theirs and is_stack(mine) and is_stack(theirs) and target > address:
                        self.sp_conflict = target  # not a loop that moves SP step by step
                    if not known.join(state):
                        continue
                if target not in queued:
                    queued.add(target)
                    heappush(queue, target)
        self.finish()

    def recheck(self) -> None:
        """Uses seen on the way may be less certain than they looked: a join came later.  So
        they are looked for once more, with all states final."""
        uncertain = ("read-after-call", "argument", "undefined")
        if not any(kind in uncertain for kind, _, _ in self.events):
            return
        before, needs = self.events, self.summary.needs_at
        self.events, self.summary.needs_at = {}, {}
        for address, block in self.blocks.items():
            if address in self.inputs:
                self.execute(block, self.inputs[address].copy())
        self.summary.needs_at = needs | self.summary.needs_at
        again = {key: event for key, event in self.events.items() if key[0] in uncertain}
        self.events = {k: event for k, event in before.items() if k[0] not in uncertain} | again

    def finish(self) -> None:
        self.recheck()
        self.summary.stack_reads = self.stack_reads
        for (address, place), offset in self.stack_arguments.items():
            if place not in self.written_slots and place < 0:
                self.event("stack-argument", address, SP_BIT, offset)
        if COMPUTED_CALL in self.unexplored.values():
            for event in self.events.values():
                if event.kind in UNCERTAIN and event.severity == "error":
                    event.severity = "warning"  # that call may have set it, or kept it
        settle(self)

    def event(
        self,
        kind: str,
        address: int,
        bit: int = -1,
        other: int = 0,
        severity: str = "error",
        root_only: bool = False,
        text: str = "",
    ) -> None:
        key = (kind, address, bit)
        if key not in self.events:
            self.events[key] = Event(kind, address, bit, other, severity, root_only, text)

    # --- uses ---------------------------------------------------------------------------------

    def use(self, state: State, mask: int, address: int) -> None:
        """Look at the registers in `mask`, which are watched, being read at an address."""
        while mask:
            low = mask & -mask
            mask ^= low
            bit = low.bit_length() - 1
            self.use_value(state.values[bit], bit, address)
            state.watch &= ~low

    def use_value(self, value: int, bit: int, address: int) -> None:
        if value < 0:
            severity = "error" if value in CERTAIN else "warning"
            self.event("read-after-call", address, bit, 0, severity)
        elif is_entry(value):
            self.need(value - 1, address)

    def need(self, source: int, address: int) -> None:
        """The entry value of a register is used."""
        needs = self.summary.needs_at
        if self.current == self.function.start:
            self.summary.must |= 1 << source
        if source not in needs:
            needs[source] = address
            if self.profile.undefined >> source & 1:
                # Without symbol or FDE a table in the text may be taken for a function.
                guess = self.function.how == "pointer" and bool(self.code.image.frames)
                severity = "warning" if guess else "error"
                self.event("undefined", address, source, severity=severity, root_only=True)

    def locate(self, first: int, bit: int) -> int:
        """Where in the run of plain instructions from `first` a register is read first."""
        address = first
        while True:
            effect = instruction_at(self.code, address)
            if effect.reads >> bit & 1:
                return address
            if effect.kind >= e.FIRST_CONTROL or address - first > 1 << 14:
                return first
            address += 4

    # --- blocks -------------------------------------------------------------------------------

    def execute(self, block: Block, state: State) -> list[Successor]:
        self.pending = []
        self.current = block.start
        if not self.go_through(state, block.operations):
            return self.pending
        if not block.operations:
            self.unexplored[block.start] = "no code is here"
            return self.pending
        if block.operations[-1][0] in (e.CALL, e.CALL_REGISTER) and self.code.ends_at(block.end):
            return self.pending  # a call that is the last of its function does not come back
        self.go(state, block.end, block.end - 4)
        return self.pending

    def go_through(self, state: State, operations: list[Operation]) -> bool:
        """Whether control comes out behind the last operation."""
        handlers = HANDLERS
        for operation in operations:
            kind, address, reads, writes, effect = operation
            if kind == e.PLAIN:
                watched = reads & state.watch
                if watched:
                    self.use_run(state, watched, address, effect)
                if effect is not None and effect.merges:
                    self.merge(state, effect, address)
                if writes & state.special:
                    state.clear(writes)
                continue
            if not handlers[kind](self, state, operation):
                return False
        return True

    def use_run(self, state: State, watched: int, address: int, effect: Effect | None) -> None:
        if effect is not None:
            self.use(state, watched & ~effect.merges, address)
            return
        while watched:
            low = watched & -watched
            watched ^= low
            self.use(state, low, self.locate(address, low.bit_length() - 1))

    def merge(self, state: State, effect: Effect, address: int) -> None:
        """Registers that are partly written: what a call left in the rest stays suspect."""
        kept = []
        mask = effect.merges & state.watch
        while mask:
            low = mask & -mask
            mask ^= low
            bit = low.bit_length() - 1
            value = state.values[bit]
            if value < 0:
                kept.append((bit, PARTLY))
            elif UNDEFINED_AT_ENTRY >> value - 1 & 1:
                continue
            else:
                self.use_value(value, bit, address)
        state.clear(effect.writes)
        for bit, value in kept:
            state.set(bit, value)

    def compare(self, state: State, operation: Operation) -> bool:
        state.set(e.FLAGS_BIT, TOP)
        self.compared = operation[1]
        return True

    def lanes(self, state: State, operation: Operation) -> bool:
        """A vector operation for the sake of its low half: compilers do `copysign` so.  Rubbish
        in a high half makes a high half of rubbish, which somebody may use."""
        _, address, reads, writes, _ = operation
        watched = reads & state.watch
        if not watched:
            if writes & state.special:
                state.clear(writes)
            return True
        high = watched & HIGH_HALVES
        self.use(state, watched ^ high, address)
        rubbish = TOP
        while high:
            low = high & -high
            high ^= low
            bit = low.bit_length() - 1
            if state.values[bit] < 0:
                rubbish = min(rubbish, state.values[bit])
            else:
                self.use(state, low, address)
        state.clear(writes)
        if rubbish:
            state.set((writes & HIGH_HALVES).bit_length() - 1, rubbish)
        return True

    def select(self, state: State, operation: Operation) -> bool:
        """One of two registers is taken; compilers leave the other undefined where it cannot
        matter, so what comes of it is suspect and nothing more."""
        _, address, reads, writes, _ = operation
        suspect = False
        chosen = [state.values[bit] for bit in range(31) if reads >> bit & 1]
        mask = reads & state.watch
        while mask:
            low = mask & -mask
            mask ^= low
            bit = low.bit_length() - 1
            if bit != e.FLAGS_BIT and (state.values[bit] < 0 or state.empty >> bit & 1):
                suspect = True
            else:
                self.use(state, low, address)
        state.clear(writes)
        if suspect and writes:
            state.set((writes & -writes).bit_length() - 1, PARTLY)
        elif chosen and all(is_constant(value) or is_memory(value) for value in chosen):
            state.set((writes & -writes).bit_length() - 1, COMPUTED)  # one of two functions
        return True

    def merge_only(self, state: State, operation: Operation) -> bool:
        raise AssertionError("merges are plain operations")

    # --- control ------------------------------------------------------------------------------

    def go(self, state: State, target: int, address: int) -> None:
        """Control goes on at a place of this function, or of a part of it."""
        if target not in self.inputs and self.code.image.code_at(target) is None:
            self.unexplored[address] = f"a branch to {target:#x}, where no code is"
            return
        self.pending.append((target, state))

    def jump(self, state: State, operation: Operation) -> bool:
        _, address, _, _, effect = operation
        assert effect is not None
        if effect.a == 0 and address not in self.code.image.relocated:
            return False  # an endless loop on purpose
        self.calls.branch(state, address, address + effect.a)
        return False

    def branch(self, state: State, operation: Operation) -> bool:
        _, address, reads, _, effect = operation
        assert effect is not None
        if reads & state.watch:
            self.use(state, reads & state.watch, address)
        taken = state.copy()
        if self.compared == address - 4:
            self.refine(state, taken, address)
        self.calls.branch(taken, address, address + effect.a)
        self.go(state, address + 4, address)
        return False

    def refine(self, state: State, taken: State, address: int) -> None:
        """A loop that moves SP to a known place ends with SP there."""
        known = state.values[instruction_at(self.code, self.compared).b]
        word = self.code.image.word(address) or 0
        if is_stack(known) and word >> 24 == 0x54:
            if word & 15 == 1:  # not equal: taken
                state.set(SP_BIT, known)
            elif word & 15 == 0:
                taken.set(SP_BIT, known)

    def call(self, state: State, operation: Operation) -> bool:
        _, address, _, _, effect = operation
        assert effect is not None
        if address not in self.code.image.relocated and self.is_unresolved(address, effect.a):
            self.event("unresolved", address)
            state.set(30, CONSTANT_VALUE + address + 4)
            return True
        return self.calls.direct(state, address, address + effect.a)

    def is_unresolved(self, address: int, distance: int) -> bool:
        """BL to itself, or to the next instruction unless a function starts there."""
        if distance == 4:
            function = self.code.functions.get(address + 4)
            return function is None or function.how == "call"
        return distance == 0

    def call_register(self, state: State, operation: Operation) -> bool:
        _, address, _, _, effect = operation
        assert effect is not None
        return self.calls.indirect(state, address, effect.a)

    def jump_register(self, state: State, operation: Operation) -> bool:
        _, address, _, _, effect = operation
        assert effect is not None
        value = state.values[effect.a]
        if value == entry(30):
            self.calls.leave(state, address, effect.a)
        elif value >= TABLES:
            table = self.tables[value - TABLES]
            start, before = self.before(table.load)
            targets = find_targets(self.code, self.function, table, start, before)
            if targets is None:
                self.unexplored[address] = "the bounds of a jump table are not known"
            else:
                for target in targets:
                    self.go(state.copy(), target, address)
        else:
            self.calls.tail_register(state, address, effect.a)
        return False

    def before(self, address: int) -> tuple[int, Block | None]:
        """Where the block of an address starts, and the only block that leads there."""
        start = self.current
        for _ in range(4):
            if self.blocks[start].start <= address < self.blocks[start].end:
                break
            leading = self.predecessors.get(start, set())
            if len(leading) != 1:
                return start, None
            start = next(iter(leading))
        leading = self.predecessors.get(start, set())
        return start, self.blocks[next(iter(leading))] if len(leading) == 1 else None

    def return_(self, state: State, operation: Operation) -> bool:
        _, address, _, _, effect = operation
        assert effect is not None
        self.calls.leave(state, address, effect.a)
        return False

    def trap(self, state: State, operation: Operation) -> bool:
        return False

    def unknown(self, state: State, operation: Operation) -> bool:
        _, address, _, _, effect = operation
        assert effect is not None
        why = (
            "scalable vector code"
            if effect.group in ("sve", "sme", "smstart")
            else "an instruction that is not known"
        )
        self.unexplored[address] = why
        return False


Handler = Callable[[Flow, State, Operation], bool]
HANDLERS: list[Handler] = [Flow.merge_only] * 23
HANDLERS[e.MOVE] = values.move
HANDLERS[e.CONSTANT] = values.constant
HANDLERS[e.MOVK] = values.movk
HANDLERS[e.ADD_IMMEDIATE] = values.add_immediate
HANDLERS[e.ADD_REGISTER] = values.add_register
HANDLERS[e.ADDRESS] = values.address
HANDLERS[e.LOAD] = accesses.load
HANDLERS[e.STORE] = accesses.store
HANDLERS[e.INDEXED_LOAD] = values.indexed_load
HANDLERS[e.OTHER_STORE] = accesses.other_store
HANDLERS[e.COMPARE] = Flow.compare
HANDLERS[e.LANES] = Flow.lanes
HANDLERS[e.SELECT] = Flow.select
HANDLERS[e.JUMP] = Flow.jump
HANDLERS[e.BRANCH] = Flow.branch
HANDLERS[e.CALL] = Flow.call
HANDLERS[e.CALL_REGISTER] = Flow.call_register
HANDLERS[e.JUMP_REGISTER] = Flow.jump_register
HANDLERS[e.RETURN] = Flow.return_
HANDLERS[e.TRAP] = Flow.trap
HANDLERS[e.UNKNOWN] = Flow.unknown
