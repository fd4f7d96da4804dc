"""Calls of small functions, and of functions called in one place, replaced by their code.

`order` gives a module's functions with callees before callers, so that what is copied has
been through the passes itself (but for what stands in one place only in the end, `will_go`),
and `Inliner.run` puts callees into one function. Which:

- a function of which this is the only call, and which nothing else refers to (it is
  deleted afterwards, `remove_unused`);
- a function that is about as small as a call of it; in loops, and at -O2, larger ones;
- at -O2 a function into itself, once.

Not inlined are functions that take objects by value or any number of arguments, calls whose
signature is another, calls on paths that end in an error, calls of what asks for its
own stack frame (`Module.observers`) or is to stay (`Module.kept`), and whatever would make
a function too large.  In a recursive function nothing is inlined that needs much stack, as
each level would.

The copied code's lines tell what was inlined (`ir/places.py`): stack walks print the
same. A stack slot of the callee becomes one of the caller, one for all its copies, as no
two calls from one place are under way at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from callproof.abi.signature import Parameter, Signature
from callproof.components import components
from callproof.ir.dominance import reverse_postorder
from callproof.ir.model import SYMBOL, Block, Function, Instruction, Module, Symbol
from callproof.ir.operations import CALL, CALL_INDIRECT, UNREACHABLE
from callproof.ir.shape import Shape
from callproof.passes.inline_copy import expand
from callproof.passes.survey import CALL_COST, Survey


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are numbers of IR instructions, of a call 2 more than its arguments.

    small, in_loop   a callee may be that much larger than the call of it
    only_call        a callee that is called nowhere else
    itself           a recursive function that is put into itself
    growth           a caller may grow by a factor, and by `room` in any case
    largest          no caller grows beyond this
    """

    small: int
    in_loop: int
    only_call: int
    itself: int
    growth: float
    room: int
    largest: int


LIMITS = {
    1: Limits(small=8, in_loop=40, only_call=400, itself=0, growth=1.5, room=150, largest=3000),
    2: Limits(small=12, in_loop=60, only_call=600, itself=40, growth=3.0, room=300, largest=5000),
}
MOST_STACK = 64  # bytes of slots that may be put into a recursive function


def _without_names(signature: Signature) -> Signature:
    parameters = tuple(Parameter(p.type, "", p.in_memory) for p in signature.parameters)
    return replace(signature, parameters=parameters)


class Inliner:
    """What is known of a module's functions while their callers are dealt with, in `order`.

    `order` has callees before callers (within a circle of calls in any order), `recursive`
    the names of the recursive functions, `surveys` what each mentions, `calls` how often each
    is called by its name, `others` the names that are referred to otherwise.
    """

    def __init__(self, module: Module, level: int) -> None:
        self.module = module
        self.limits = LIMITS[level]
        self.surveys = {name: Survey(function) for name, function in module.functions.items()}
        self.order: list[Function] = []
        self.recursive: set[str] = set()
        self.calls = dict.fromkeys(module.functions, 0)
        self.others = _in_data(module)
        edges: dict[str, dict[str, None]] = {}
        for name, survey in self.surveys.items():
            self.others |= survey.symbols
            own = edges[name] = {}
            for callee, count in survey.calls.items():
                if callee in self.calls:
                    own[callee] = None
                    self.calls[callee] += count
        for members, recurse in components(module.functions, edges):
            if recurse:
                self.recursive.update(members)
            self.order += [module.functions[member] for member in members]
        self.gone: set[str] = set()  # functions some call of which was inlined
        self._sizes: dict[str, int] = {}
        self._refused: set[str] = set()

    def finished(self, function: Function, *, optimised: bool = True) -> None:
        """The function is what callers may copy: it has been `optimised`, or `will_go`."""
        name = function.name
        survey = Survey(function) if optimised else self.surveys[name]
        self._sizes[name] = survey.size
        if survey.through_symbol:  # the passes may have found who is called
            for block in function.blocks:
                for instruction in block.instructions:
                    self._make_direct(instruction)
            survey = Survey(function)
        self.surveys[name] = survey
        observers = self.module.observers
        if (
            name in self.module.kept
            or not _may_be_copied(function)
            or (observers and not observers.isdisjoint(survey.calls))
        ):
            self._refused.add(name)

    def run(self, function: Function, shape: Shape | None = None) -> bool:
        """Inline into one function what is worth it.  Gives whether it changed."""
        survey = self.surveys[function.name]
        if not survey.through_symbol and not any(
            self._may_be_small(name, function) for name in survey.calls
        ):
            return False
        sites = list(self._sites(function))
        if survey.through_symbol:
            survey = self.surveys[function.name] = Survey(function)
        if not sites:
            return False
        limits = self.limits
        size = original = survey.size
        most = min(max(original * limits.growth, original + limits.room), limits.largest)
        chosen: dict[int, Function] = {}
        moved: set[str] = set()
        copied: set[str] = set()
        within: set[Block] = set()
        # Those in loops first: they gain the most.
        for instruction, block, looped in sorted(sites, key=lambda site: not site[2]):
            name = instruction.callee
            callee = self.module.functions[name]
            itself = callee is function
            callee_size = original if itself else self._sizes[name]
            only = not itself and self.only_call(name)
            cost = CALL_COST + len(instruction.operands)
            if only:
                allowed, room = limits.only_call, limits.largest
            else:
                allowed = limits.itself if itself else (limits.in_loop if looped else limits.small)
                allowed, room = allowed + cost, int(most)
            growth = max(callee_size - cost, 0)
            if callee_size > allowed or size + growth > room:
                continue
            size += growth
            if only:
                most += growth
            # What tells debuggers of the variables is copied, and cannot be moved.
            if only and function.debug is None and name not in copied:
                moved.add(name)
            copied.add(name)
            chosen[id(instruction)] = callee
            within.add(block)
            self._count(callee, name, Survey(function) if itself else self.surveys[name])
        if not chosen:
            return False
        expand(function, chosen, within, moved)
        for name in moved:
            self._delete(name)
        self.surveys[function.name] = Survey(function)
        if shape is not None:
            shape.forget()
        return True

    def _may_be_small(self, name: str, caller: Function) -> bool:
        """Whether some call of a function might be worth it, wherever it stands."""
        callee = self.module.functions.get(name)
        if callee is None or name in self._refused:
            return False
        if callee is caller:
            return bool(self.limits.itself)
        size = self._sizes.get(name)
        if size is None:
            return False
        most = (
            CALL_COST + len(callee.entry.parameters) + max(self.limits.in_loop, self.limits.small)
        )
        return size <= most or self.only_call(name)

    def will_go(self, function: Function) -> bool:
        """Whether the function will very likely be a part of its only caller, and of that
        only: there is no need to optimise it by itself."""
        name = function.name
        return (
            self.only_call(name)
            and name not in self.recursive
            and self.surveys[name].size <= self.limits.only_call
        )

    def is_called(self, function: Function) -> bool:
        return self.calls[function.name] > 0

    def only_call(self, name: str) -> bool:
        """Whether nothing but one call refers to the function."""
        function = self.module.functions[name]
        return not function.exported and self.calls[name] == 1 and name not in self.others

    def _count(self, callee: Function, name: str, copied: Survey) -> None:
        self.gone.add(name)
        self.calls[name] -= 1
        if self.calls[name] == 0:  # what it calls is called by its only copy now
            return
        for called, count in copied.calls.items():
            if called in self.calls:
                self.calls[called] += count

    def _sites(self, function: Function) -> Iterator[tuple[Instruction, Block, bool]]:
        """Calls that could be inlined, the blocks that they are in, and whether those are in
        a loop."""
        blocks = reverse_postorder(function)
        place = {block: position for position, block in enumerate(blocks)}
        loops = [0] * (len(blocks) + 1)
        for position, block in enumerate(blocks):
            for target in block.instructions[-1].targets:
                head = place[target.block]
                if head <= position:
                    loops[head] += 1
                    loops[position + 1] -= 1
        depth = 0
        is_recursive = function.name in self.recursive
        for position, block in enumerate(blocks):
            depth += loops[position]
            if block.terminator.operation is UNREACHABLE:
                continue
            for instruction in block.instructions:
                if instruction.operation is CALL_INDIRECT:
                    self._make_direct(instruction)
                if instruction.operation is not CALL:
                    continue
                name = instruction.callee
                callee = self.module.functions.get(name)
                if callee is None or name in self._refused:
                    continue
                if callee is function:
                    if not self.limits.itself or not _may_be_copied(callee):
                        continue
                elif name not in self._sizes or (
                    is_recursive and self.surveys[name].stack > MOST_STACK
                ):
                    continue
                if instruction.signature == callee.signature:
                    yield instruction, block, depth > 0

    def _make_direct(self, instruction: Instruction) -> None:
        """A call through an address that turned out to be a function's is a call of that."""
        if instruction.operation is not CALL_INDIRECT or instruction.operands[0].kind != SYMBOL:
            return
        symbol = instruction.operands[0]
        assert isinstance(symbol, Symbol)
        callee = self.module.functions.get(symbol.name)
        if callee is None or symbol.offset or instruction.signature is None:
            return
        if _without_names(callee.signature) != _without_names(instruction.signature):
            return
        instruction.signature = callee.signature
        instruction.operation = CALL
        instruction.callee = symbol.name
        del instruction.operands[0]
        self.calls[symbol.name] += 1

    def remove_unused(self) -> bool:
        """Delete functions that were inlined and that nothing refers to any more."""
        changed = False
        functions = self.module.functions
        while self.gone:
            used = _in_data(self.module)
            for name in functions:
                used.update(self.surveys[name].calls)
                used |= self.surveys[name].symbols
            unused = [
                name for name in self.gone if not functions[name].exported and name not in used
            ]
            if not unused:
                break
            for name in unused:
                self._delete(name)
            changed = True
        return changed

    def _delete(self, name: str) -> None:
        del self.module.functions[name]
        # What only this one needed goes with it.
        survey = self.surveys[name]
        self.gone.update(survey.calls)
        self.gone |= survey.symbols
        self.gone &= self.module.functions.keys()


def _in_data(module: Module) -> set[str]:
    return {address.symbol for datum in module.data.values() for address in datum.addresses}


def _may_be_copied(function: Function) -> bool:
    signature = function.signature
    return signature.variadic_from is None and not any(
        parameter.in_memory for parameter in signature.parameters
    )
