"""The quick look: functions that plainly follow the convention, found without following values.

Most functions move SP by constants, save registers into slots of their frame and load them
back from there, and read nothing that a call may have changed.  For them a few sets of
registers say all: those that still hold their entry value on every path, and those that on
some path hold nothing one may read.  Whatever could make the full flow say something, or
whatever depends on values (computed branches, addresses of functions, jump tables), raises
`Doubt`, and the full flow looks at the function instead.

So every set here errs on one side: `clobbered`, `rubbish` and `needs` of an `Outline` have
all that a `Summary` would have, perhaps more.  A test compares both on whole libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from callproof.check import pieces as p
from callproof.check import quick_frame
from callproof.check.conventions import (
    ARGUMENTS,
    CHANGED,
    PLATFORM,
    RESULTS,
    SAVED,
    UNDEFINED_AT_ENTRY,
    Profile,
    never_returns,
)
from callproof.check.functions import Code, Function
from callproof.check.quick_calls import is_callable
from callproof.check.quick_state import IN_FRAME, UNLIKE, Doubt, Outline, Saved, State, join
from callproof.check.scan import LANDING_PADS
from callproof.check.summaries import LINK
from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import REGISTERS, SP_BIT, Effect, effect_of

ALL = (1 << REGISTERS) - 1
LINK_MASK = 1 << LINK
HELD = SAVED | LINK_MASK  # what must be as at entry when the function is left
FRAME_POINTER = 29
FP_MASK = 1 << FRAME_POINTER
SP_MASK = 1 << SP_BIT
RUBBISH_AFTER_CALL = CHANGED & ~RESULTS
NOT_RUBBISH = ~(RESULTS | LINK_MASK)
KEPT_BY_CALL = ~(CHANGED | LINK_MASK)
VENEER = 1 << 16 | 1 << 17


class Quick:
    """Looks at functions of an image, callees first; `outlines` has what callers see."""

    def __init__(self, code: Code, profile: Profile) -> None:
        self.code = code
        self.pieces = p.cut(code)
        self.platform = bool(profile.reserved)
        self.outlines: dict[int, Outline] = {}
        self.callables: dict[tuple[int, int, bool], bool] = {}
        # of the function at hand
        self.function: Function = next(iter(code.functions.values()))
        self.outline = Outline()
        self.pending: list[tuple[int, State]] = []
        self.number = self.offset = 0
        self.span = slice(0)
        self.sp = self.fp = self.held = self.rubbish = self.known = 0
        self.saved: Saved = {}
        self.holders: dict[int, int] = {}
        self.holding = 0
        self.passed: set[int] = set()  # where callees read arguments from the stack
        self.written: set[int] = set()  # what is written in the frame, in steps of 8

    # --- functions ------------------------------------------------------------------------------

    def is_plain(self, start: int) -> bool:
        """Whether a function follows the convention; then its outline is there."""
        self.function = function = self.code.functions[start]
        try:
            self.outline = Outline()
            self.run(function)
        except Doubt:
            return False
        self.outlines[start] = self.outline
        return True

    def are_plain(self, group: list[int]) -> bool:
        """The same for functions that call each other: upwards from nothing."""
        for start in group:
            self.outlines[start] = Outline()
        while True:
            before = [self.outlines[start].facts() for start in group]
            for start in group:
                if not self.is_plain(start):
                    for member in group:
                        del self.outlines[member]
                    return False
            if before == [self.outlines[start].facts() for start in group]:
                return True

    def run(self, function: Function) -> None:
        start, end = function.start, function.end
        self.find(start, end)
        counted = self.pieces.suspect[self.number]
        if counted[self.span.stop] != counted[self.span.start]:
            raise Doubt
        blocks = self.pieces.blocks
        if start not in blocks:
            raise Doubt
        image = self.code.image
        if image.claims_bti and image.word(start) not in LANDING_PADS:
            raise Doubt
        self.passed, self.written = set(), set()
        inputs: dict[int, State] = {start: (0, UNLIKE, ALL, UNDEFINED_AT_ENTRY, 0, {}, {})}
        queue, queued = [start], {start}
        seen: set[int] = set()
        while queue:
            address = heappop(queue)
            queued.discard(address)
            first, last, behind, count = blocks[address]
            if address not in seen:
                seen.add(address)
                self.outline.instructions += count
            self.restore(inputs[address])
            self.pending = []
            self.go_through(first, last, behind)
            for target, state in self.pending:
                if target < start or target >= end or target not in blocks:
                    raise Doubt
                known = inputs.get(target)
                if known is None:
                    inputs[target] = state
                elif known is state or known == state:
                    continue
                else:
                    joined = join(known, state)
                    if joined is known:
                        continue
                    inputs[target] = joined
                if target not in queued:
                    queued.add(target)
                    heappush(queue, target)
        if any(place < 0 and place not in self.written for place in self.passed):
            raise Doubt

    def find(self, start: int, end: int) -> None:
        """The region of a function and its instructions there."""
        for number, (first, behind) in enumerate(self.pieces.offsets):
            if first <= start < behind:
                self.number, self.offset = number, first
                self.span = slice((start - first) >> 2, (min(end, behind) - first) >> 2)
                return
        raise Doubt

    # --- items ----------------------------------------------------------------------------------

    def go_through(self, first: int, last: int, behind: int) -> None:
        pieces = self.pieces
        codes = pieces.codes
        for item in range(first, last):
            code = codes[item]
            if code:
                if HANDLERS[code](self, item):
                    return
            else:
                reads, writes = pieces.reads[item], pieces.writes[item]
                if (reads | writes) & self.holding:
                    quick_frame.go_through(self, item)
                self.plain(reads, writes)
                self.known |= pieces.known[item]
        if codes[last - 1] in (p.CALL, p.CALL_REGISTER) and self.ends(behind):
            return
        self.go(behind)

    def ends(self, address: int) -> bool:
        return address in self.code.functions or self.code.image.code_at(address) is None

    def go(self, target: int) -> None:
        self.pending.append((target, self.state()))

    def state(self) -> State:
        return (
            self.sp,
            self.fp,
            self.held,
            self.rubbish,
            self.known,
            self.saved,
            self.holders,
        )

    def restore(self, state: State) -> None:
        self.sp, self.fp, self.held, self.rubbish, self.known, self.saved, holders = state
        if holders is not self.holders:
            self.hold(holders)

    def hold(self, holders: dict[int, int]) -> None:
        """Set which registers hold addresses in the frame."""
        self.holders = holders
        self.holding = sum(1 << register for register in holders)

    def plain(self, reads: int, writes: int) -> None:
        if reads & self.rubbish:
            raise Doubt
        used = reads & self.held
        if used:
            if used & HELD:
                raise Doubt  # the values of preserved registers go somewhere else
            self.outline.needs |= used
        if writes & PLATFORM and self.platform:
            raise Doubt
        kept = ~writes
        self.held &= kept
        self.rubbish &= kept
        self.known &= kept

    def effect(self, item: int) -> Effect:
        return effect_of(self.pieces.item_words[item])

    def move_sp(self, item: int) -> bool:
        self.sp += self.effect(item).c
        return False

    def address_sp(self, item: int) -> bool:
        effect = self.effect(item)
        self.take(effect.a, self.sp + effect.c)
        return False

    def address_fp(self, item: int) -> bool:
        effect = self.effect(item)
        if self.fp == UNLIKE:
            raise Doubt
        to = effect.pairs[0][0] if effect.kind == e.MOVE else effect.a
        at = self.fp + (0 if effect.kind == e.MOVE else effect.c)
        if effect.kind == e.MOVE and effect.c:
            raise Doubt
        if to == SP_BIT:
            self.sp = at
        else:
            self.take(to, at)
        return False

    def take(self, to: int, at: int) -> None:
        """A register gets the address of something in the frame."""
        mask = 1 << to
        self.held &= ~mask
        self.rubbish &= ~mask
        self.known &= ~mask
        if to == FRAME_POINTER:
            self.fp = at
            return
        self.hold(self.holders | {to: at})

    def write_fp(self, item: int) -> bool:
        if self.pieces.reads[item] & self.holding:
            raise Doubt
        self.plain(self.pieces.reads[item], self.pieces.writes[item])
        self.known |= self.pieces.writes[item]
        self.fp = UNLIKE
        return False

    def load_sp(self, item: int) -> bool:
        effect = self.effect(item)
        if self.sp & 15:
            raise Doubt
        self.load(item, effect, self.sp)
        self.sp += effect.c
        return False

    def access_fp(self, item: int) -> bool:
        if self.fp == UNLIKE:
            if self.held & FP_MASK or quick_frame.is_frame_pointer(self):
                raise Doubt
            self.plain(self.pieces.reads[item], self.pieces.writes[item])
            return False
        effect = self.effect(item)
        if effect.c:
            raise Doubt
        if effect.kind == e.LOAD:
            self.load(item, effect, self.fp)
        else:
            self.store(effect, self.fp)
        return False

    def load(self, item: int, effect: Effect, base: int) -> None:
        saved, restored = self.saved, 0
        at = base + effect.b
        if at < self.sp:
            raise Doubt
        if at + effect.d > 0:
            if at < 0:
                raise Doubt
            places = (at + position for _, position, _ in effect.pairs)
            self.outline.stack_reads |= frozenset(places)
        addresses: dict[int, int] = {}
        for bit, position, size in effect.pairs:
            value = saved.get(at + position)
            if value == bit and size == 8:
                restored |= 1 << bit
            elif value is not None and value > IN_FRAME // 2 and size == 8:
                addresses[bit] = value - IN_FRAME
            elif value is not None:
                raise Doubt
        writes = self.pieces.writes[item] & ~SP_MASK
        self.held = self.held & ~writes | restored
        self.rubbish &= ~writes
        self.known |= writes
        if writes & self.holding or addresses:
            kept = {r: d for r, d in self.holders.items() if not writes >> r & 1}
            self.hold(kept | addresses)
        if writes & FP_MASK:
            self.fp = UNLIKE
        if writes & PLATFORM and self.platform:
            raise Doubt

    def store_sp(self, item: int) -> bool:
        effect = self.effect(item)
        if self.sp & 15:
            raise Doubt
        self.store(effect, self.sp)
        self.sp += effect.c
        return False

    def store(self, effect: Effect, base: int) -> None:
        at, size = base + effect.b, effect.d
        if at + size > 0 or effect.reads & self.rubbish:
            raise Doubt
        self.written.update(range(at, at + size, 8))
        saved = self.saved
        changed = (
            {slot: bit for slot, bit in saved.items() if not at - 8 < slot < at + size}
            if saved
            else {}
        )
        for bit, position, width in effect.pairs:
            mask = 1 << bit
            if self.held & mask:
                if not HELD & mask:
                    self.outline.needs |= mask
                elif width == 8:
                    changed[at + position] = bit
                else:
                    raise Doubt
            elif bit in self.holders and width == 8:
                changed[at + position] = IN_FRAME + self.holders[bit]
        if changed != saved:
            self.saved = changed

    # --- control --------------------------------------------------------------------------------

    def call(self, item: int) -> bool:
        address = self.pieces.addresses[item]
        distance = self.effect(item).a
        if (distance in (0, 4) and address not in self.code.image.relocated) or self.sp & 15:
            raise Doubt
        return not self.call_of(address, address + distance)

    def call_of(self, address: int, target: int) -> bool:
        """A direct call; whether it comes back."""
        code = self.code
        name = code.extern_at(target)
        if name is not None:
            if never_returns(name) or code.endings.get(target) == "never":
                return False
            if code.image.relocatable and code.by_name(name) is not None:
                raise Doubt
            self.unknown_call()
            return True
        callee = code.functions.get(target)
        if callee is None:
            raise Doubt
        if never_returns(callee.name):
            return False
        outline = self.outlines.get(target)
        if outline is None or outline.odd:
            raise Doubt
        if outline.needs & self.rubbish:
            raise Doubt
        self.passed.update(self.sp + offset for offset in outline.stack_reads)
        self.outline.needs |= outline.needs & self.held & ~HELD
        if not outline.returns:
            return False
        clobbered = outline.clobbered
        given = clobbered & ARGUMENTS
        rubbish = clobbered & ~given | outline.rubbish
        if address in code.image.relocated:
            clobbered |= VENEER
            rubbish |= VENEER
        self.held &= ~(clobbered | LINK_MASK)
        if clobbered & self.holding:
            self.hold({r: d for r, d in self.holders.items() if not clobbered >> r & 1})
        self.known &= ~clobbered
        self.rubbish = (self.rubbish & ~given | rubbish) & ~LINK_MASK
        self.forget_below()
        return True

    def unknown_call(self) -> None:
        self.held &= KEPT_BY_CALL
        if self.holding & CHANGED:
            self.hold({r: d for r, d in self.holders.items() if not CHANGED >> r & 1})
        self.known &= KEPT_BY_CALL
        self.rubbish = (self.rubbish | RUBBISH_AFTER_CALL) & NOT_RUBBISH
        self.forget_below()

    def forget_below(self) -> None:
        if self.saved and min(self.saved) < self.sp:
            self.saved = {slot: bit for slot, bit in self.saved.items() if slot >= self.sp}

    def call_register(self, item: int) -> bool:
        bit = self.effect(item).a
        if self.sp & 15 or not is_callable(self, item, bit):
            raise Doubt
        self.plain(1 << bit, 0)
        self.unknown_call()
        return False

    def jump(self, item: int) -> bool:
        address = self.pieces.addresses[item]
        distance = self.effect(item).a
        if distance == 0:
            if address in self.code.image.relocated:
                raise Doubt
            return True
        self.branch_to(address, address + distance)
        return True

    def branch(self, item: int) -> bool:
        address = self.pieces.addresses[item]
        self.plain(self.pieces.reads[item], 0)
        self.branch_to(address, address + self.effect(item).a)
        return False  # control goes on behind it; the block ends here

    def branch_to(self, address: int, target: int) -> None:
        function = self.function
        if function.start < target < function.end:
            if self.code.extern_at(target) is not None:
                raise Doubt
            self.go(target)
            return
        if self.sp or self.held & HELD != HELD:
            raise Doubt  # into a part of this function
        if target == function.start:
            return
        before = self.state()
        if self.call_of(address, target):
            self.leave(LINK_MASK)
        self.restore(before)

    def return_(self, item: int) -> bool:
        if self.effect(item).a != LINK or self.sp or self.held & HELD != HELD:
            raise Doubt
        self.leave(0)
        return True

    def leave(self, more: int) -> None:
        outline = self.outline
        changed = ALL & ~self.held & ~SP_MASK
        outline.returns = True
        outline.clobbered |= changed | more
        outline.rubbish |= self.rubbish & changed

    def jump_register(self, item: int) -> bool:
        bit = self.effect(item).a
        if self.sp or self.held & HELD != HELD or not is_callable(self, item, bit, is_jump=True):
            raise Doubt
        self.plain(1 << bit, 0)
        self.unknown_call()
        self.leave(LINK_MASK)
        return True

    def trap(self, item: int) -> bool:
        return True

    def doubt(self, item: int) -> bool:
        raise Doubt


Handler = Callable[[Quick, int], bool]
HANDLERS: list[Handler] = [Quick.doubt] * (p.DOUBT + 1)
HANDLERS[p.MOVE_SP] = Quick.move_sp
HANDLERS[p.LOAD_SP] = Quick.load_sp
HANDLERS[p.STORE_SP] = Quick.store_sp
HANDLERS[p.ACCESS_FP] = Quick.access_fp
HANDLERS[p.ADDRESS_SP] = Quick.address_sp
HANDLERS[p.ADDRESS_FP] = Quick.address_fp
HANDLERS[p.WRITE_FP] = Quick.write_fp
HANDLERS[p.CALL] = Quick.call
HANDLERS[p.CALL_REGISTER] = Quick.call_register
HANDLERS[p.JUMP] = Quick.jump
HANDLERS[p.BRANCH] = Quick.branch
HANDLERS[p.RETURN] = Quick.return_
HANDLERS[p.JUMP_REGISTER] = Quick.jump_register
HANDLERS[p.TRAP] = Quick.trap
