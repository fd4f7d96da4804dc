"""Calls, tail calls and returns inside a flow; what a function does to its caller.

A callee in the same image changes the registers that its summary says.  Any other
function changes all that the convention lets it change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.check.blocks import Block, Operation, instruction_at, make_block
from callproof.check.conventions import (
    ARGUMENTS,
    CHANGED,
    MAYBE_RESULTS,
    RESULTS,
    SAVED,
    SAVED_LIST,
    UNDEFINED_AT_ENTRY,
    VECTOR_KEPT,
    never_returns,
)
from callproof.check.functions import Function
from callproof.check.state import (
    CERTAIN,
    COMPUTED,
    CONSTANT_VALUE,
    COPIED,
    FOREIGN,
    MEMORY,
    RESULT,
    STACK,
    TABLES,
    TOP,
    UNKNOWN_VALUE,
    State,
    entry,
    is_constant,
    is_entry,
    is_memory,
    is_stack,
)
from callproof.check.summaries import LINK, Summary, add_return, is_clean
from callproof.check.values import give_away, move_of, passed
from callproof.target.arm64.effects import (
    ADD_REGISTER,
    CALL,
    FIRST_CONTROL,
    FLAGS,
    JUMP,
    MOVE,
    RETURN,
    SP_BIT,
)

if TYPE_CHECKING:
    from callproof.check.flow import Flow

VENEER = 1 << 16 | 1 << 17
TLSDESC_CHANGES = 1 | 1 << LINK | FLAGS
KEPT = frozenset((TOP, UNKNOWN_VALUE))
COMPUTED_CALL = "a computed call is not resolved"
RESULT_REGISTERS = (0, 32)  # X0 and D0
LONGEST_INLINED = 64  # instructions
DEEPEST = 4
NEAR = 6  # instructions between the move of SP and the return in an unwinder's epilogue
SWITCHED_REGISTERS = 6  # as many preserved ones loaded with SP: a context switch


class Calls:
    """The part of a flow that knows about other functions."""

    __slots__ = ("depth", "flow", "summaries")

    def __init__(self, flow: Flow, summaries: dict[int, Summary]) -> None:
        self.flow = flow
        self.summaries = summaries
        self.depth = 0

    # --- what a callee changes ----------------------------------------------------------------

    def pass_on(self, state: State, drivers: int) -> None:
        """Function addresses among the arguments: for a driver, or for anybody?"""
        values = state.values
        for bit in range(9):
            if values[bit] >= CONSTANT_VALUE:
                give_away(self.flow, values[bit], private=bool(drivers >> bit & 1))

    def unknown_callee(self, state: State, address: int, variant: bool, unsure: bool) -> None:
        """A call by the convention and nothing more."""
        self.pass_on(state, 0)
        hard = self.flow.profile.hard
        if variant:
            hard &= ~VECTOR_KEPT
        if unsure:  # it may well be that this call does not come back
            self.perhaps(state, hard)
        else:
            state.spread(hard)
        state.results(MAYBE_RESULTS)
        state.clear(RESULTS)
        self.after(state, address)

    def perhaps(self, state: State, mask: int) -> None:
        """These registers may hold results, or rubbish."""
        while mask:
            low = mask & -mask
            mask ^= low
            state.set(low.bit_length() - 1, RESULT)

    def forget(self, state: State, mask: int) -> None:
        """Nothing is known of these registers any more."""
        while mask:
            low = mask & -mask
            mask ^= low
            state.set(low.bit_length() - 1, UNKNOWN_VALUE)

    def after(self, state: State, address: int) -> None:
        """What any call does: the link, the memory below SP, slots whose address is out."""
        state.set(LINK, CONSTANT_VALUE + address + 4)
        values = state.values
        pointer = values[SP_BIT]
        if not state.escaped:
            state.escaped = any(map(is_stack, values[:19]))
        if not state.slots:
            return
        bottom = pointer - STACK if is_stack(pointer) else None
        for at, (size, value, below) in list(state.slots.items()):
            if bottom is not None and at < bottom:
                del state.slots[at]
            elif state.escaped and value not in KEPT and not is_entry(value):
                state.slots[at] = (size, TOP, below)

    def known_callee(self, state: State, address: int, callee: Function, summary: Summary) -> None:
        changed, defined = summary.changed & ~(1 << SP_BIT), summary.defined
        values = state.values
        top = changed & defined & ARGUMENTS
        rest = changed & ~ARGUMENTS & ~(1 << LINK)
        hard = rest & ~defined
        mine = rest & defined
        while mine:
            low = mine & -mine
            mine ^= low
            bit = low.bit_length() - 1
            undefined_before = (
                values[bit] < 0 or bool(state.empty & low) or values[bit] == entry(bit)
            )
            if not callee.is_global and (summary.private or undefined_before):
                top |= low  # handed back by a convention of their own
            elif low & SAVED and undefined_before:
                top |= low
            else:
                hard |= low
        if address in self.flow.code.image.relocated:
            hard |= VENEER
            top &= ~VENEER
        hard &= ~self.flow.profile.reserved
        if summary.unsure:
            # What else it changes is not known: nothing is concluded from the rest.
            self.perhaps(state, changed & ~defined & ARGUMENTS | hard)
            rest = CHANGED & ~changed
            if callee.is_global:
                self.perhaps(state, rest & ~RESULTS)
                state.clear(RESULTS)
            else:
                self.forget(state, rest)
        else:
            self.perhaps(state, changed & ~defined & ARGUMENTS)
            state.spread(hard)
        state.clear(top & ~hard)
        if summary.unknown:
            self.forget(state, summary.unknown & ~changed)
        pointer = values[SP_BIT]
        self.after(state, address)
        if summary.sp_change is None:
            state.set(SP_BIT, UNKNOWN_VALUE)
        elif summary.sp_change and is_stack(pointer):
            state.set(SP_BIT, pointer + summary.sp_change)

    def arguments(self, state: State, address: int, summary: Summary) -> None:
        """The registers that the callee needs are uses of ours."""
        flow = self.flow
        for bit in summary.needs_at:
            value = state.values[bit]
            if value < 0:
                certain = value in CERTAIN and summary.must >> bit & 1
                severity = "error" if certain else "warning"
                if not ARGUMENTS >> bit & 1 and not summary.private:
                    continue  # reported at the callee (AR2)
                flow.event("argument", address, bit, 0, severity)
                state.watch &= ~(1 << bit)
            elif is_entry(value) and ARGUMENTS >> (value - 1) & 1:
                flow.need(value - 1, address)
                if summary.drives >> bit & 1:
                    flow.summary.drives |= 1 << value - 1
        self.on_stack(state, address, summary)

    def on_stack(self, state: State, address: int, summary: Summary) -> None:
        """What the callee reads above its SP must have been written."""
        pointer = state.values[SP_BIT]
        if summary.stack_reads and is_stack(pointer) and not state.escaped:
            arguments = self.flow.stack_arguments
            for offset in summary.stack_reads:
                arguments.setdefault((address, pointer - STACK + offset), offset)

    # --- calls --------------------------------------------------------------------------------

    def aligned(self, state: State, address: int) -> None:
        pointer = state.values[SP_BIT]
        if is_stack(pointer) and pointer - STACK & 15:
            self.flow.event("misaligned", address, SP_BIT, pointer - STACK)

    def frame_record(self, state: State, address: int) -> None:
        """For FP1: does X29 point at a saved X29 and X30?"""
        value = state.values[29]
        slots = state.slots
        if is_stack(value):
            at = value - STACK
            if slots.get(at, (0, 0, False))[1] == entry(29) and slots.get(at + 8, (0, 0, False))[
                1
            ] == entry(LINK):
                return
        if value != UNKNOWN_VALUE:
            self.flow.event("frame-record", address, 29, severity="warning")

    def direct(self, state: State, address: int, target: int) -> bool:
        """BL; whether it comes back."""
        flow = self.flow
        passed(flow, state, address)
        self.aligned(state, address)
        self.frame_record(state, address)
        name = flow.code.extern_at(target)
        if name is not None:
            return self.external(state, address, name, target)
        callee = flow.code.functions.get(target)
        if callee is None:
            self.unknown_callee(state, address, False, False)
            return True
        return self.internal(state, address, callee)

    def internal(self, state: State, address: int, callee: Function) -> bool:
        if never_returns(callee.name):
            return False
        summary = self.summaries.get(callee.start)
        back = self.flow.code.comes_back(address, callee.start)
        if back == "no" and (summary is None or not summary.sp_change):
            if summary is not None:
                self.arguments(state, address, summary)
            return False
        if summary is None:  # recursion
            self.unknown_callee(state, address, callee.variant, back == "perhaps")
            return True
        if not callee.is_global and (summary.own_way or summary.touches):
            block = self.straight(callee)
            if block is not None and self.depth < DEEPEST:
                self.on_stack(state, address, summary)
                return self.inline(state, address, block)
        self.arguments(state, address, summary)
        if not summary.returns:
            return False
        self.known_callee(state, address, callee, summary)
        return True

    def straight(self, callee: Function) -> Block | None:
        """The only block of a function without branches that ends in RET or a tail call."""
        flow = self.flow
        if callee.start not in flow.code.straight:
            block: Block | None = make_block(flow.code, callee.start)
            assert block is not None
            last = block.operations[-1] if block.operations else None
            if (
                last is None
                or block.instructions > LONGEST_INLINED
                or last[0] not in (RETURN, JUMP)
                or (last[4] is not None and last[0] == RETURN and last[4].a != LINK)
                or (last[4] is not None and last[0] == JUMP and not self.is_tail(callee, last))
                or any(op[0] >= FIRST_CONTROL for op in block.operations[:-1] if op[0] != CALL)
            ):
                block = None
            flow.code.straight[callee.start] = block
        return flow.code.straight[callee.start]

    def is_tail(self, callee: Function, jump: Operation) -> bool:
        """Whether a branch goes to another function's start."""
        _, address, _, _, effect = jump
        assert effect is not None
        target = address + effect.a
        outside = target in self.flow.code.functions or self.flow.code.extern_at(target)
        return bool(outside) and not callee.start <= target < callee.end

    def inline(self, state: State, address: int, block: Block) -> bool:
        """Go through a callee as though its code stood here: compilers outline pieces of
        functions that work on their caller's frame."""
        flow = self.flow
        state.set(LINK, CONSTANT_VALUE + address + 4)
        self.depth += 1
        try:
            if not flow.go_through(state, block.operations[:-1]):
                return False
            kind, place, _, _, effect = block.operations[-1]
            if kind == JUMP and effect is not None:
                return self.direct(state, place, place + effect.a)
            return True
        finally:
            self.depth -= 1

    def external(self, state: State, address: int, name: str, target: int) -> bool:
        if never_returns(name):
            return False
        back = self.flow.code.comes_back(address, target)
        if back == "no":
            return False
        local = self.flow.code.by_name(name)
        if local is not None and self.flow.code.image.relocatable:
            return self.internal(state, address, local)
        variant = self.flow.code.image.relocatable is False and name in self.flow.code.variants
        self.unknown_callee(state, address, variant, back == "perhaps")
        return True

    def indirect(self, state: State, address: int, bit: int) -> bool:
        """BLR; whether it comes back."""
        flow = self.flow
        value = state.values[bit]
        passed(flow, state, address)
        self.aligned(state, address)
        self.frame_record(state, address)
        flow.use(state, 1 << bit & state.watch, address)
        if is_constant(value):
            target = value - CONSTANT_VALUE
            callee = flow.code.functions.get(target)
            if callee is not None and (callee.is_global or target in self.summaries):
                return self.internal(state, address, callee)
        elif is_memory(value):
            if state.values[0] == value - MEMORY + CONSTANT_VALUE or self.is_tls(address, bit):
                state.clear(TLSDESC_CHANGES & ~(1 << LINK))
                state.set(LINK, CONSTANT_VALUE + address + 4)
                return True
            name = flow.code.image.slots.get(value - MEMORY)
            if name is not None:
                return self.external(state, address, name, -1)
        private = value == COMPUTED or value >= TABLES or is_constant(value)
        if is_entry(value):
            undefined = UNDEFINED_AT_ENTRY >> (value - 1) & 1
            own_way = not flow.function.typed or entry(LINK) in state.values[:19]
            private = bool(undefined) or (own_way and not flow.function.is_root)
        if is_entry(value):
            flow.summary.drives |= 1 << value - 1
        if private:
            # A piece of this code or a callback of its driver, by a convention of their own:
            # what it changes is not known, and not held against anybody; what held nothing
            # before may hold something now.
            self.forget(state, CHANGED & (state.empty | state.left))
            flow.unexplored[address] = COMPUTED_CALL
            self.after(state, address)
            return True
        self.unknown_callee(state, address, False, False)
        return True

    def is_tls(self, address: int, bit: int) -> bool:
        """The end of the sequence `adrp x0; ldr xN, [x0]; add x0, x0; blr xN`."""
        words = [self.flow.code.image.word(address - 4 * back) or 0 for back in (1, 2, 3)]
        return (
            words[0] & 0xFF8003FF == 0x91000000
            and words[1] & 0xFFC003FF == 0xF9400000 | bit
            and words[2] & 0x9F00001F == 0x90000000
        )

    # --- leaving ------------------------------------------------------------------------------

    def branch(self, state: State, address: int, target: int) -> None:
        """A direct branch: inside, to a part of this function, or a tail call."""
        flow = self.flow
        function = flow.function
        if (name := flow.code.extern_at(target)) is not None:
            self.tail(state, address, name, target)
            return
        callee = flow.code.functions.get(target)
        inside = function.start < target < function.end
        if callee is None or inside or (callee is function and not is_clean(state, flow.profile)):
            flow.go(state, target, address)
            return
        if not is_clean(state, flow.profile) and (callee.is_part or self.needs_our_frame(callee)):
            flow.go(state, target, address)
            return
        if callee is function:
            return  # it begins anew as a tail call: nothing that it does not do anyway
        self.compatible(state, address)
        summary = self.summaries.get(target)
        if summary is not None:
            self.arguments(state, address, summary)
            if summary.returns:
                self.known_callee(state, address, callee, summary)
                add_return(flow, state, keep_link=True)
            return
        if not never_returns(callee.name):
            self.unknown_callee(state, address, callee.variant, False)
            add_return(flow, state, keep_link=True)

    def needs_our_frame(self, callee: Function) -> bool:
        """Whether a function is one that cannot stand alone: it loses what it never saved."""
        summary = self.summaries.get(callee.start)
        if callee.is_global or summary is None:
            return False
        return summary.sp_change != 0 or bool(summary.lost)

    def tail(self, state: State, address: int, name: str, target: int) -> None:
        """A tail call of a function outside the image."""
        if never_returns(name) or self.flow.code.endings.get(target) == "never":
            return
        self.compatible(state, address)
        self.unknown_callee(state, address, False, False)
        add_return(self.flow, state, keep_link=True)

    def tail_register(self, state: State, address: int, bit: int) -> None:
        flow = self.flow
        value = state.values[bit]
        if is_constant(value) and flow.code.image.code_at(value - CONSTANT_VALUE) is not None:
            self.branch(state, address, value - CONSTANT_VALUE)
            return
        if is_memory(value):
            name = flow.code.image.slots.get(value - MEMORY)
            if name is not None:
                flow.use(state, 1 << bit & state.watch, address)
                self.tail(state, address, name, -1)
                return
        if self.switches(state, address):
            return
        if state.values[SP_BIT] != STACK or state.values[LINK] != entry(LINK):
            flow.unexplored[address] = "a computed branch is not resolved"
            return
        flow.use(state, 1 << bit & state.watch, address)
        self.compatible(state, address)
        self.unknown_callee(state, address, False, False)
        add_return(flow, state, keep_link=True)

    def compatible(self, state: State, address: int) -> None:
        """Report what is lost at a tail call."""
        passed(self.flow, state, address)
        if state.values[LINK] not in (entry(LINK), UNKNOWN_VALUE):
            self.flow.event("link", address, LINK, 1, root_only=True)
        self.preserved(state, address)

    def leave(self, state: State, address: int, bit: int) -> None:
        """RET, or BR to the link."""
        flow = self.flow
        for result in RESULT_REGISTERS:
            held = state.values[result]
            if held == COPIED or (is_entry(held) and UNDEFINED_AT_ENTRY >> (held - 1) & 1):
                move_of(flow, result, address, left=held == COPIED)
        value = state.values[bit]
        if self.switches(state, address):
            add_return(flow, state)
            return
        if self.is_unwinding(state, address):
            flow.unexplored[address] = "it returns into another frame, as unwinders do"
        elif value == UNKNOWN_VALUE:
            flow.unexplored[address] = "where it returns to is not known"
            if bit != LINK and not self.copies_link():
                flow.event("link", address, bit, severity="warning", root_only=True)
        elif value < 0 and value not in CERTAIN:
            flow.event("link", address, bit, severity="warning", root_only=True)
        elif value != entry(LINK):
            if is_entry(value):
                flow.need(value - 1, address)
            flow.event("link", address, bit, root_only=True)
        self.preserved(state, address)
        add_return(flow, state)

    def is_unwinding(self, state: State, address: int) -> bool:
        """GCC's `__builtin_eh_return`: SP is moved by a register just before the return."""
        if state.values[SP_BIT] != UNKNOWN_VALUE:
            return False
        for place in range(address - 4, address - 4 * NEAR, -4):
            effect = instruction_at(self.flow.code, place)
            if effect.kind >= FIRST_CONTROL:
                return False
            if effect.kind == ADD_REGISTER and effect.a == SP_BIT:
                return effect.e > 0
        return False

    def copies_link(self) -> bool:
        """Whether the function keeps its link in another register, somewhere."""
        operations = (op for block in self.flow.blocks.values() for op in block.operations)
        return any(op[0] == MOVE and op[2] >> LINK & 1 for op in operations)

    def switches(self, state: State, address: int) -> bool:
        """Is this a switch to another context: SP and the preserved registers come from
        memory?  Then all of them must."""
        flow, values = self.flow, state.values
        if not flow.saves and all(values[bit] != entry(bit) for bit in (*SAVED_LIST, LINK)):
            return True  # nothing was saved and everything is another's: it resumes an unwinder's
        if not flow.switched or values[SP_BIT] != UNKNOWN_VALUE:
            return False
        loaded = [bit for bit in SAVED_LIST if values[bit] in (FOREIGN, UNKNOWN_VALUE)]
        if len(loaded) < SWITCHED_REGISTERS:
            return False
        for bit in SAVED_LIST:
            if is_entry(values[bit]):
                flow.event("switch", flow.switched, bit)
        return True

    def preserved(self, state: State, address: int) -> None:
        values = state.values
        pointer = values[SP_BIT]
        if is_stack(pointer):
            if pointer != STACK:
                self.flow.event("stack-lost", address, SP_BIT, pointer - STACK, root_only=True)
        elif self.flow.sp_conflict:
            self.flow.event("stack-lost", address, SP_BIT, 0, "warning", root_only=True)
        else:
            self.flow.unexplored[address] = "SP is not known here"
        for bit in self.flow.profile.saved_list:
            value = values[bit]
            if value == bit + 1:
                continue
            if value == UNKNOWN_VALUE:
                self.flow.unexplored.setdefault(address, "a preserved register is not known here")
            else:
                self.flow.event("lost", address, bit, root_only=True)
