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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from callproof.abi.signature import Parameter, Signature
from callproof.components import components
from callproof.ir import debug
from callproof.ir.dominance import reverse_postorder
from callproof.ir.model import (
    SYMBOL,
    VALUE,
    Block,
    Function,
    Instruction,
    Module,
    Operand,
    Symbol,
    Target,
    Value,
)
from callproof.ir.operations import CALL, CALL_INDIRECT, JUMP, RETURN, SLOT, UNREACHABLE
from callproof.ir.places import LINE_BITS, PlaceNumber, Site, inlined
from callproof.ir.shape import Shape


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
CALL_COST = 2


def size_of(function: Function) -> int:
    """About as many machine instructions as the function has, without its frame."""
    size = 0
    for block in function.blocks:
        for instruction in block.instructions:
            operation = instruction.operation
            if operation is CALL or operation is CALL_INDIRECT:
                size += CALL_COST + len(instruction.operands)
            elif operation is not JUMP and operation is not SLOT and operation is not RETURN:
                size += 1
    return size


def order(module: Module) -> tuple[list[Function], set[str]]:
    """Functions, callees before callers (within a circle of calls in any order), and the
    names of the recursive ones."""
    edges = {name: _callees(function, module) for name, function in module.functions.items()}
    found: list[Function] = []
    recursive: set[str] = set()
    for members, recurse in components(module.functions, edges):
        if recurse:
            recursive.update(members)
        found += [module.functions[member] for member in members]
    return found, recursive


def _callees(function: Function, module: Module) -> dict[str, None]:
    return {
        i.callee: None
        for block in function.blocks
        for i in block.instructions
        if i.operation is CALL and i.callee in module.functions
    }


def references(module: Module) -> tuple[dict[str, int], set[str]]:
    """How often each function is called by its name, and which are referred to otherwise."""
    calls = dict.fromkeys(module.functions, 0)
    others = {address.symbol for datum in module.data.values() for address in datum.addresses}
    for function in module.functions.values():
        for block in function.blocks:
            for instruction in block.instructions:
                if instruction.operation is CALL and instruction.callee in calls:
                    calls[instruction.callee] += 1
                others.update(_symbols(instruction))
    return calls, others


def _symbols(instruction: Instruction) -> Iterable[str]:
    for operand in instruction.operands:
        if operand.kind == SYMBOL:
            yield operand.name  # type: ignore[union-attr]
    for target in instruction.targets:
        for operand in target.arguments:
            if operand.kind == SYMBOL:
                yield operand.name  # type: ignore[union-attr]


def _without_names(signature: Signature) -> Signature:
    parameters = tuple(Parameter(p.type, "", p.in_memory) for p in signature.parameters)
    return replace(signature, parameters=parameters)


class Inliner:
    """What is known of a module's functions while their callers are dealt with, in `order`."""

    def __init__(self, module: Module, level: int) -> None:
        self.module = module
        self.limits = LIMITS[level]
        self.order, self.recursive = order(module)
        self.calls, self.others = references(module)
        self.gone: set[str] = set()  # functions some call of which was inlined
        self._sizes: dict[str, int] = {}
        self._refused: set[str] = set()
        self._stack: dict[str, int] = {}

    def finished(self, function: Function) -> None:
        """The function has been through all passes: this is what callers may copy."""
        name = function.name
        self._sizes[name] = size_of(function)
        instructions = [i for block in function.blocks for i in block.instructions]
        for instruction in instructions:  # the passes may have found who is called
            self._make_direct(instruction)
        self._stack[name] = sum(i.size for i in instructions if i.operation is SLOT)
        signature = function.signature
        if (
            name in self.module.kept
            or signature.variadic_from is not None
            or any(parameter.in_memory for parameter in signature.parameters)
            or any(i.callee in self.module.observers for i in instructions)
        ):
            self._refused.add(name)

    def run(self, function: Function, shape: Shape | None = None) -> bool:
        """Inline into one function what is worth it.  Gives whether it changed."""
        sites = list(self._sites(function))
        if not sites:
            return False
        limits = self.limits
        size = original = size_of(function)
        most = min(max(original * limits.growth, original + limits.room), limits.largest)
        chosen: dict[int, Function] = {}
        # Those in loops first: they gain the most.
        for instruction, looped in sorted(sites, key=lambda site: not site[1]):
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
            chosen[id(instruction)] = callee
            self._count(callee, name)
        if chosen:
            expand(function, chosen)
            if shape is not None:
                shape.forget()
        return bool(chosen)

    def will_go(self, function: Function) -> bool:
        """Whether the function will very likely be a part of its only caller, and of that
        only: there is no need to optimise it by itself."""
        name = function.name
        return (
            self.only_call(name)
            and name not in self.recursive
            and size_of(function) <= self.limits.only_call
        )

    def is_called(self, function: Function) -> bool:
        return self.calls[function.name] > 0

    def only_call(self, name: str) -> bool:
        """Whether nothing but one call refers to the function."""
        function = self.module.functions[name]
        return not function.exported and self.calls[name] == 1 and name not in self.others

    def _count(self, callee: Function, name: str) -> None:
        self.gone.add(name)
        self.calls[name] -= 1
        for block in callee.blocks:
            for instruction in block.instructions:
                if instruction.operation is CALL and instruction.callee in self.calls:
                    self.calls[instruction.callee] += 1
        if self.calls[name] == 0:  # what it calls is called by its only copy now
            for block in callee.blocks:
                for instruction in block.instructions:
                    if instruction.operation is CALL and instruction.callee in self.calls:
                        self.calls[instruction.callee] -= 1

    def _sites(self, function: Function) -> Iterator[tuple[Instruction, bool]]:
        """Calls that could be inlined, and whether they are in a loop."""
        blocks = reverse_postorder(function)
        place = {id(block): position for position, block in enumerate(blocks)}
        loops = [0] * (len(blocks) + 1)
        for position, block in enumerate(blocks):
            for successor in block.successors():
                head = place[id(successor)]
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
                elif name not in self._sizes or (is_recursive and self._stack[name] > MOST_STACK):
                    continue
                if instruction.signature == callee.signature:
                    yield instruction, depth > 0

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
        while self.gone:
            calls, others = references(self.module)
            unused = [
                name
                for name in self.gone
                if not self.module.functions[name].exported
                and calls[name] == 0
                and name not in others
            ]
            if not unused:
                break
            for name in unused:
                function = self.module.functions.pop(name)
                # What only this one needed goes with it.
                for block in function.blocks:
                    for instruction in block.instructions:
                        self.gone.add(instruction.callee)
                        self.gone.update(_symbols(instruction))
            self.gone.difference_update(unused)
            self.gone &= set(self.module.functions)
            changed = True
        return changed


def _may_be_copied(function: Function) -> bool:
    signature = function.signature
    return signature.variadic_from is None and not any(
        parameter.in_memory for parameter in signature.parameters
    )


# --- copying ------------------------------------------------------------------------------------


def expand(function: Function, chosen: dict[int, Function]) -> None:
    """Replace the calls with these ids by the code of their callees."""
    slots: dict[tuple[str, int], Value] = {}
    bodies: dict[int, list[Block]] = {}
    own_sites = list(function.sites)
    # All bodies are copied before anything changes: one may be the function itself.
    for block in function.blocks:
        for instruction in block.instructions:
            callee = chosen.get(id(instruction))
            if callee is not None:
                sites = own_sites if callee is function else callee.sites
                copy = _Copy(function, callee, instruction, slots, sites)
                bodies[id(instruction)] = copy.run()
    blocks: list[Block] = []
    for block in function.blocks:
        instructions, block.instructions = block.instructions, []
        blocks.append(block)
        for instruction in instructions:
            body = bodies.get(id(instruction))
            if body is None:
                block.instructions.append(instruction)
                continue
            block.instructions.append(_jump(Target(body[0]), instruction.line))
            blocks += body
            block = body[-1]  # where the code behind the call goes on
    made = [slot.definition for slot in slots.values() if slot.definition is not None]
    blocks[0].instructions[:0] = made
    function.blocks = blocks
    reached = {id(block) for block in reverse_postorder(function)}
    function.blocks = [block for block in blocks if id(block) in reached]


def _jump(target: Target, place: PlaceNumber) -> Instruction:
    jump = Instruction(JUMP, None, [], [], place)
    jump.targets = [target]
    return jump


class _Copy:
    """One copy of a callee's blocks, for one call; the last block is what follows the call."""

    def __init__(
        self,
        function: Function,
        callee: Function,
        call: Instruction,
        slots: dict[tuple[str, int], Value],
        sites: list[Site],
    ) -> None:
        self.function = function
        self.callee = callee
        self.call = call
        self.slots = slots
        self.values: dict[int, Operand] = {}
        self.places: dict[int, PlaceNumber] = {}  # by the ids of the callee's
        self.site = len(function.sites)
        function.sites.append(Site(callee.name, callee.source_name, call.line))
        function.sites += [
            Site(one.callee, one.source_name, self.place(one.place)) for one in sites
        ]

    def place(self, place: PlaceNumber) -> PlaceNumber:
        """A place of the callee as one of the function."""
        number = inlined(place, self.site + (place >> LINE_BITS))
        into = self.function.debug
        if into is None:
            return number
        made = self.places.get(id(place))
        if made is None:
            made = self.places[id(place)] = debug.inlined(place, self.call.line, number)
            debug.know(made, place, into, self.values)
        return made

    def operand(self, operand: Operand) -> Operand:
        return self.values[operand.number] if operand.kind == VALUE else operand  # type: ignore[union-attr]

    def new_value(self, value: Value) -> Value:
        made = self.function.new_value(value.type, value.name)
        self.values[value.number] = made
        return made

    def run(self) -> list[Block]:
        callee, call = self.callee, self.call
        # Numbers of sites only grow, so this prefix is new.
        prefix = f"in{self.site}"
        originals = reverse_postorder(callee)
        blocks = {id(block): Block(f"{prefix}.{block.name}") for block in originals}
        entry = originals[0]
        for parameter, argument in zip(entry.parameters, call.operands, strict=True):
            self.values[parameter.number] = argument
        number_of_slots = 0
        for block in originals:
            if block is not entry:
                for parameter in block.parameters:
                    made = self.new_value(parameter)
                    made.block = blocks[id(block)]
                    made.block.parameters.append(made)
            for instruction in block.instructions:
                if instruction.operation is SLOT:
                    self.slot(instruction, number_of_slots)
                    number_of_slots += 1
                    continue
                for result in instruction.results:
                    self.new_value(result)
        behind = Block(f"{prefix}.behind")
        behind.parameters = call.results
        for value in call.results:
            value.definition, value.block = None, behind
        for block in originals:
            made_block = blocks[id(block)]
            for instruction in block.instructions:
                if instruction.operation is RETURN:
                    results = [self.operand(one) for one in instruction.operands]
                    jump = _jump(Target(behind, results), self.place(instruction.line))
                    made_block.instructions.append(jump)
                elif instruction.operation is not SLOT:
                    made_block.instructions.append(self.instruction(instruction, blocks))
        return [*blocks.values(), behind]

    def slot(self, instruction: Instruction, number: int) -> None:
        key = (self.callee.name, number)
        value = self.slots.get(key)
        if value is None:
            given = instruction.results[0]
            value = self.function.new_value(given.type, given.name)
            made = Instruction(SLOT, instruction.type, [], [value], self.place(instruction.line))
            made.size, made.alignment = instruction.size, instruction.alignment
            made.slot_name = instruction.slot_name
            self.slots[key] = value
        self.values[instruction.results[0].number] = value

    def instruction(self, instruction: Instruction, blocks: dict[int, Block]) -> Instruction:
        operands = [self.operand(one) for one in instruction.operands]
        results: list[Value] = []
        for result in instruction.results:
            made_result = self.values[result.number]
            assert isinstance(made_result, Value)
            results.append(made_result)
        made = Instruction(
            instruction.operation,
            instruction.type,
            operands,
            results,
            self.place(instruction.line),
        )
        made.offset = instruction.offset
        made.callee, made.signature = instruction.callee, instruction.signature
        made.cases = instruction.cases and list(instruction.cases)
        if instruction.targets:
            made.targets = [
                Target(blocks[id(one.block)], [self.operand(value) for value in one.arguments])
                for one in instruction.targets
            ]
        return made
