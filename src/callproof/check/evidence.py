"""The path that a finding shows: where a value was right, where it was lost, where it matters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callproof.check.blocks import instruction_at
from callproof.check.conventions import CHANGED, UNDEFINED_AT_ENTRY
from callproof.check.finding import Step, register_name
from callproof.target.arm64 import effects as e
from callproof.target.arm64.instructions import decode

if TYPE_CHECKING:
    from callproof.check.flow import Flow

MOST_STEPS = 4  # blocks between a branch and what it decides about
MOST_BLOCKS = 400  # looked at for one finding


def disassemble(flow: Flow, address: int) -> str:
    """Assembly; for what the instruction table has no form of, the word and its group."""
    word = flow.code.image.word(address)
    if word is None:
        return "(no code)"
    effect = e.effect_of(word)
    if effect.kind in (e.CALL, e.JUMP):
        target = address + effect.a
        name = flow.code.extern_at(target) or flow.code.name_of(target)
        return f"{'bl' if effect.kind == e.CALL else 'b'} {name}"
    decoded = decode(word)
    if decoded is None:
        return f".inst {word:#010x} ({effect.group})"
    form, arguments = decoded
    return form.text(arguments)


@dataclass(slots=True)
class Reaching:
    """`clean`: definitions that come without a call in between; `before`: those that a call
    comes after, `call` being one such call; `unread`: those of them that nobody reads before
    the call, so that they must have been meant for later."""

    clean: set[int] = field(default_factory=set)
    before: set[int] = field(default_factory=set)
    unread: set[int] = field(default_factory=set)
    call: int = 0

    @property
    def is_expected(self) -> bool:
        """Whether a value from before a call is meant: either nothing else comes here, or the
        same definition also comes on a path without the call.

        Otherwise other paths give the register another value, and on this one it may have
        none: compilers do so with variables that are not used then.
        """
        return not self.clean or bool(self.clean & self.before)


def is_stored(flow: Flow, address: int, bit: int) -> bool:
    """Whether what is done with a register is only to store it."""
    effect = instruction_at(flow.code, address)
    return effect.kind == e.STORE and any(pair[0] == bit for pair in effect.pairs)


class Evidence:
    """Looks back through a flow that has run."""

    __slots__ = ("flow",)

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    def step(self, address: int, comment: str) -> Step:
        return Step(address, disassemble(self.flow, address), comment)

    def entry(self) -> Step:
        return self.step(self.flow.function.start, "entry")

    def last_write(self, address: int, bit: int, *, wrong: bool = False) -> int | None:
        """The nearest instruction before `address` on some path that writes a register; with
        `wrong`, one after which it does not hold its entry value."""
        flow = self.flow
        start = self.block_of(address)
        if start is None:
            return None
        seen = {start}
        queue = [(start, address)]
        while queue and len(seen) < MOST_BLOCKS:
            block, end = queue.pop(0)
            for place in range(end - 4, block - 4, -4):
                effect = instruction_at(flow.code, place)
                if self.writes(effect, place, bit):
                    return place
            for previous in sorted(flow.predecessors.get(block, ())):
                if previous in seen:
                    continue
                seen.add(previous)
                if wrong and not self.is_wrong_after(previous, bit):
                    continue
                queue.append((previous, flow.blocks[previous].end))
        return None

    def writes(self, effect: e.Effect, place: int, bit: int) -> bool:
        if effect.kind in (e.CALL, e.CALL_REGISTER):
            return bit == 30 or bool(self.call_changes(place) >> bit & 1)
        return bool(effect.writes >> bit & 1)

    def call_changes(self, place: int) -> int:
        effect = instruction_at(self.flow.code, place)
        summary = None
        if effect.kind == e.CALL:
            summary = self.flow.calls.summaries.get(place + effect.a)
        return CHANGED if summary is None else summary.changed

    def reaching(self, address: int, bit: int, avoided: frozenset[int] = frozenset()) -> Reaching:
        """Where the value that is read at an address comes from, on all paths that do not
        go through the blocks `avoided` after the call.

        Copies in registers and in the frame are followed.  The entry of the function is the
        definition 0 of what a register holds there.
        """
        flow = self.flow
        found = Reaching()
        start = self.block_of(address)
        if start is None:
            return found
        # (block, from where backwards, register, the call that was passed or 0, read before it)
        work = [(start, address, bit, 0, False)]
        seen: set[tuple[int, int, int]] = set()
        while work and len(seen) < MOST_BLOCKS:
            block, end, register, call, read = work.pop()
            for place in range(end - 4, block - 4, -4):
                effect = instruction_at(flow.code, place)
                if not self.writes(effect, place, register):
                    read = read or bool(call and effect.reads >> register & 1)
                    continue
                if effect.kind in (e.CALL, e.CALL_REGISTER):
                    if call == 0:
                        found.call = found.call or place
                        call = place
                    continue
                followed = self.copied(effect, place, register)
                if followed is None or call:
                    (found.before if call else found.clean).add(place)
                    if call and not read:
                        found.unread.add(place)
                    break
                source, where = followed
                inside = self.block_of(where)
                if inside is not None and (inside, source, 0) not in seen:
                    seen.add((inside, source, 0))
                    work.append((inside, where, source, 0, False))
                break
            else:
                if block == flow.function.start and not UNDEFINED_AT_ENTRY >> register & 1:
                    (found.before if call else found.clean).add(0)
                for previous in flow.predecessors.get(block, ()):
                    key = (previous, register, 1 if call else 0)
                    if key not in seen and (call or previous not in avoided):
                        seen.add(key)
                        work.append((previous, flow.blocks[previous].end, register, call, read))
        return found

    def block_of(self, address: int) -> int | None:
        blocks = self.flow.blocks.values()
        return max((b.start for b in blocks if b.start <= address < b.end), default=None)

    def copied(self, effect: e.Effect, place: int, bit: int) -> tuple[int, int] | None:
        """If an instruction only copies: the register copied and where to look for it."""
        if effect.kind == e.MOVE:
            source = next((source for to, source in effect.pairs if to == bit), None)
            return None if source is None else (source, place)
        if effect.kind == e.LOAD:
            stored = self.stored(place, effect, bit)
            return None if stored is None else (stored[1], stored[0])
        if effect.kind == e.LANES and bit >= e.HIGH:
            sources = effect.reads >> e.HIGH
            while sources:
                low = sources & -sources
                sources ^= low
                source = e.HIGH + low.bit_length() - 1
                if e.HIGH + 8 <= source <= e.HIGH + 15:
                    return source, place
        return (bit, place) if effect.merges >> bit & 1 else None

    def is_certain(self, address: int, bit: int) -> bool:
        """Whether what a call left in a register is really taken for a value.

        Records are copied whole, with the parts that have no value: a store counts only if the
        value was not used before the call.
        """
        reaching = self.reaching(address, bit)
        if not reaching.is_expected or (
            reaching.clean and self.is_passed_by(address, bit, reaching)
        ):
            return False
        return bool(reaching.unread) or not is_stored(self.flow, address, bit)

    def is_passed_by(self, address: int, bit: int, reaching: Reaching) -> bool:
        """Whether each way from the call to the read goes past a branch that would have led to
        the definition: in a loop, an older value comes along where the new one is not made.

        Compilers do that if the value does not matter then; the test that shows it is often
        the same as that of the branch.
        """
        for definition in reaching.clean & reaching.before:
            deciding = self.deciding(definition) if definition else frozenset()
            if not deciding or definition in self.reaching(address, bit, deciding).before:
                return False
        return True

    def deciding(self, address: int) -> frozenset[int]:
        """The blocks that end with a branch that may or may not lead to an instruction."""
        flow = self.flow
        start = self.block_of(address)
        found: set[int] = set()
        work = [] if start is None else [(start, 0)]
        while work:
            block, depth = work.pop()
            for previous in flow.predecessors.get(block, ()):
                operations = flow.blocks[previous].operations
                if operations and operations[-1][0] == e.BRANCH:
                    found.add(previous)
                elif depth < MOST_STEPS:
                    work.append((previous, depth + 1))
        return frozenset(found)

    def stored(self, load: int, effect: e.Effect, bit: int) -> tuple[int, int] | None:
        """The nearest store before a load that names the same base and offset."""
        offset = next((effect.b + p for b, p, _ in effect.pairs if b == bit), None)
        for place in range(load - 4, max(self.flow.function.start, load - 4 * 2000) - 4, -4):
            other = instruction_at(self.flow.code, place)
            if other.kind == e.STORE and other.a == effect.a:
                for source, position, _ in other.pairs:
                    if other.b + position == offset:
                        return place, source
        return None

    def is_wrong_after(self, block: int, bit: int) -> bool:
        """Whether a register holds anything but its entry value where a block ends."""
        flow = self.flow
        events, unexplored = dict(flow.events), dict(flow.unexplored)
        states = flow.execute(flow.blocks[block], flow.inputs[block].copy())
        flow.events, flow.unexplored = events, unexplored
        return any(state.values[bit] != bit + 1 for _, state in states)

    def lost(self, address: int, bit: int) -> tuple[list[Step], str]:
        """The path of a preserved register that is wrong at `address`; how it was lost."""
        flow = self.flow
        shown = register_name(bit)
        steps = []
        save = flow.saves.get(bit)
        where = self.last_write(address, bit, wrong=True)
        if save is not None:
            steps.append(self.step(save[0], f"{shown} is saved here"))
        how = "it is overwritten and not restored"
        if save is None:
            how = "it is overwritten and was never saved"
        if where is not None:
            effect = instruction_at(flow.code, where)
            comment = f"{shown} is overwritten here"
            if effect.kind == e.LOAD:
                sizes = {pair[0]: pair[2] for pair in effect.pairs}
                comment = f"{shown} gets another value here"
                if abs(sizes.get(bit, 8)) < 8:
                    comment = f"only {8 * abs(sizes[bit])} bits of {shown} are restored here"
                    how = "it is restored in less than its width"
                elif effect.a == 31:
                    how = "what is loaded into it is not what it held at entry"
            elif effect.kind in (e.CALL, e.CALL_REGISTER):
                comment = f"this call changes {shown}"
                how = "a function that does not keep it is called"
            steps.append(self.step(where, comment))
        return steps, how
