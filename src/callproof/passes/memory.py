"""Loads of what is known to be in memory, and stores that nothing reads.

Along the dominator tree's paths, `_Facts` says which values are at which addresses: what was
stored or loaded there last. It is kept where paths join if all of them agree, and into a
loop if nothing in the loop can write there. Loads of constant data become constants.

Two accesses are of different memory if
- both are at constant distances from the same address, and these do not overlap;
- one is of a stack slot whose address gets nowhere (it is only loaded from, stored to and
  added to), the other is not of the same slot;
- they are of different slots, of a slot and a datum, or of different data of the module.
Everything else may be the same, and a call may write everything but such slots.

A store is deleted if another one of its block overwrites it before anything can read it, or
if it is to a slot that is never read.
"""

from __future__ import annotations

from callproof.ir.debug import DebugFunction
from callproof.ir.dominance import Dominators
from callproof.ir.interpret import signed, unpack
from callproof.ir.model import (
    CONSTANT,
    SYMBOL,
    VALUE,
    Block,
    Constant,
    Datum,
    Function,
    Instruction,
    Module,
    Operand,
    Symbol,
)
from callproof.ir.operations import (
    ADD,
    BITCAST,
    CALL,
    CALL_INDIRECT,
    LOAD,
    LOAD_S8,
    LOAD_S16,
    LOAD_S32,
    RETURN,
    SLOT,
    STORE,
    UNREACHABLE,
    Operation,
)
from callproof.ir.shape import Shape, shape_of
from callproof.ir.ssa import replace_operands
from callproof.ir.types import Type, compatible
from callproof.passes.aliases import access_size
from callproof.passes.debug_homes import Access, tell_of_missing

MOST_FACTS = 48  # at one place: what there is to compare stays linear in the function
MOST_STEPS = 8  # through additions to an address' base
SIGNED = frozenset((LOAD_S8, LOAD_S16, LOAD_S32))

Base = int | str  # the number of a value, or a symbol's name


class Place:
    """Bytes in memory: `size` of them, `offset` from a base; None for an unknown distance.

    `slot`: the base is the address of a stack slot.
    """

    __slots__ = ("base", "offset", "size", "slot")

    def __init__(self, base: Base, offset: int | None, size: int, slot: bool) -> None:
        self.base = base
        self.offset = offset
        self.size = size
        self.slot = slot


Key = tuple[Base, int, Operation, str]
Facts = dict[Key, tuple[Place, Operand]]


def run(function: Function, module: Module, shape: Shape | None = None) -> bool:
    """Change one function of a module; gives whether anything was changed."""
    accesses = False
    slots: list[int] = []
    for block in function.blocks:
        for i in block.instructions:
            operation = i.operation
            if operation is SLOT:
                slots.append(i.results[0].number)
            elif operation.reads or operation.stores:
                accesses = True
    if not accesses:
        return False
    tree = shape_of(function, shape).tree()
    forwarding = _Forwarding(function, module, tree, _Places(function, module, slots))
    changed = forwarding.run()
    for block in forwarding.with_stores:
        changed |= _delete_stores(block, forwarding.places, function.debug)
    return changed


class _Places:
    """What addresses are, as far as it can be told from how they are computed."""

    def __init__(self, function: Function, module: Module, slots: list[int]) -> None:
        self.module = module
        self.replaced: dict[int, Operand] = {}
        self.slots = set(slots)
        # Values that are addresses in a slot: which slot
        self.owners: dict[int, int] = {number: number for number in slots}
        self.escaped: set[int] = set()  # slots that others may read and write
        self.unread: set[int] = set()
        self.known: dict[Instruction, Place | None] = {}
        if slots:
            self._look_at_slots(function)

    def final(self, operand: Operand) -> Operand:
        while operand.kind == VALUE:
            other = self.replaced.get(operand.number)  # type: ignore[union-attr]
            if other is None:
                break
            operand = other
        return operand

    def base(self, operand: Operand) -> tuple[Base | None, int | None]:
        """The base of an address and the distance from it, None if that is not known."""
        distance = 0
        replaced = self.replaced
        if replaced:
            operand = self.final(operand)
        for _ in range(MOST_STEPS):
            definition = operand.definition if operand.kind == VALUE else None  # type: ignore[union-attr]
            if definition is None or definition.operation is not ADD:
                break
            first, second = definition.operands
            if replaced:
                first, second = self.final(first), self.final(second)
            if second.kind != CONSTANT:
                break
            operand = first
            distance += int(second.value)  # type: ignore[union-attr]
        if operand.kind == VALUE:
            number: int = operand.number  # type: ignore[union-attr]
            owner = self.owners.get(number)
            if owner is not None and owner != number:
                return owner, None  # somewhere in the slot
            return number, distance
        if operand.kind == SYMBOL:
            return operand.name, distance + operand.offset  # type: ignore[union-attr]
        return None, None

    def of(self, instruction: Instruction) -> Place | None:
        """What a load or store accesses; None if nothing is known of the address."""
        base, offset = self.base(instruction.operands[-1])
        if base is None:
            return None
        if offset is not None:
            offset += instruction.offset
        return Place(base, offset, access_size(instruction), base in self.slots)

    def met(self, instruction: Instruction) -> Place | None:
        """The same, for good: what the address is made of has been through the walk."""
        known = self.known
        if instruction in known:
            return known[instruction]
        place = known[instruction] = self.of(instruction)
        return place

    def written(self, instruction: Instruction) -> Access | None:
        """What a store writes, for `debug_homes`."""
        place = self.of(instruction) if instruction.operation.stores else None
        return None if place is None else (place.base, place.offset, place.size)

    def may_overlap(self, one: Place | None, other: Place | None) -> bool:
        if one is None or other is None:
            known = one or other
            return known is None or not self.is_private(known)
        if one.base == other.base:
            if one.offset is None or other.offset is None:
                return True
            return one.offset < other.offset + other.size and other.offset < one.offset + one.size
        if one.slot and other.slot:
            return False
        if one.slot or other.slot:
            slot, unknown = (one, other) if one.slot else (other, one)
            return not isinstance(unknown.base, str) and slot.base in self.escaped
        data = self.module.data
        return not (one.base in data and other.base in data)

    def is_private(self, place: Place) -> bool:
        """Of a slot that only the loads and stores that are seen here can reach."""
        return place.slot and place.base not in self.escaped

    def _look_at_slots(self, function: Function) -> None:
        """Which slots escape: their address is used for more than accesses and sums.

        A sum with an address of a slot is looked at in turn; one of two slots escapes both.
        """
        instructions = [i for block in function.blocks for i in block.instructions]
        owners = self.owners
        read: set[int] = set()
        changed = True
        while changed:  # sums of sums may be met before what they are made of
            changed = False
            for i in instructions:
                if i.operation is ADD and i.results[0].number not in owners:
                    inside = [
                        owners[one.number]  # type: ignore[union-attr]
                        for one in i.operands
                        if one.kind == VALUE and one.number in owners  # type: ignore[union-attr]
                    ]
                    if len(inside) == 1:
                        owners[i.results[0].number] = inside[0]
                        changed = True
        for i in instructions:
            operation = i.operation
            for index, operand in enumerate(i.operands):
                if operand.kind != VALUE:
                    continue
                owner = owners.get(operand.number)  # type: ignore[union-attr]
                if owner is None:
                    continue
                if operation.reads:
                    read.add(owner)
                elif operation is ADD:
                    if owners.get(i.results[0].number) is None:
                        self.escaped.add(owner)
                elif not (operation.stores and index == 1):
                    self.escaped.add(owner)
            for target in i.targets:
                for operand in target.arguments:
                    if operand.kind == VALUE:
                        owner = owners.get(operand.number)  # type: ignore[union-attr]
                        if owner is not None:
                            self.escaped.add(owner)
        self.unread = self.slots - read - self.escaped


def constant_at(datum: Datum, offset: int, instruction: Instruction) -> Operand | None:
    """What a load finds in data that is never written; None if that is no constant."""
    size = access_size(instruction)
    type_ = instruction.type
    assert type_ is not None
    if datum.writable or type_.lanes > 1 or offset < 0 or offset + size > len(datum.data):
        return None
    for address in datum.addresses:
        if address.offset == offset and size == 8 and not type_.is_float:
            return Symbol(address.symbol, address.addend)
        if address.offset < offset + size and offset < address.offset + 8:
            return None
    data = datum.data[offset : offset + size]
    if instruction.operation is LOAD:
        value = unpack(data, type_)
        return Constant(type_, value) if value == value else None  # a NaN's bits might get lost
    raw = int.from_bytes(data, "little", signed=instruction.operation in SIGNED)
    return Constant(type_, signed(raw, type_.bits))


class _Forwarding:
    """The walk that replaces loads."""

    def __init__(
        self, function: Function, module: Module, tree: Dominators, places: _Places
    ) -> None:
        self.function = function
        self.module = module
        self.tree = tree
        self.places = places
        self.with_stores: list[Block] = []
        self.changed = False

    def run(self) -> bool:
        tree = self.tree
        order, predecessors = tree.order, tree.predecessors
        at_end: list[Facts] = []
        for position, block in enumerate(order):
            facts = self.at_start(position, tree, predecessors, at_end)
            self.block(block, facts)
            at_end.append(facts)
        if self.places.replaced:
            for block in order:
                block.instructions = [
                    i
                    for i in block.instructions
                    if len(i.results) != 1 or i.results[0].number not in self.places.replaced
                ]
            replace_operands(self.function, dict(self.places.replaced))
            self.changed = True
        return self.changed

    def at_start(
        self,
        position: int,
        tree: Dominators,
        predecessors: list[list[int]],
        at_end: list[Facts],
    ) -> Facts:
        """What holds on all ways to a block."""
        around = predecessors[position]  # in ascending order
        if not around or around[0] >= position:
            return {}
        facts = at_end[around[0]]
        if not facts:
            return {}
        facts = dict(facts)
        if len(around) == 1:
            return facts
        behind = [one for one in around if one >= position]
        for one in behind:
            if not tree.dominates(position, one):
                return {}
        for other in around[1:]:
            if other >= position:
                break
            known = at_end[other]
            for key, (_, value) in list(facts.items()):
                found = known.get(key)
                if found is None or not _same(found[1], value):
                    del facts[key]
        if behind and facts:
            self.through_loop(facts, position, behind, tree, predecessors)
        return facts

    def through_loop(
        self,
        facts: Facts,
        head: int,
        latches: list[int],
        tree: Dominators,
        predecessors: list[list[int]],
    ) -> None:
        """Forget what the loop may overwrite."""
        inside = {head}
        pending = list(latches)
        while pending and facts:
            position = pending.pop()
            if position in inside:
                continue
            inside.add(position)
            pending += predecessors[position]
        for position in inside:
            if not facts:
                return
            for instruction in tree.order[position].instructions:
                operation = instruction.operation
                if operation.stores:
                    self.store(facts, self.places.of(instruction))
                elif operation.effect and not operation.terminator:
                    self.call(facts)

    def store(self, facts: Facts, place: Place | None) -> None:
        """Forget what a store to a place may overwrite."""
        may_overlap = self.places.may_overlap
        gone: list[Key] = []
        if place is None or place.offset is None:
            gone = [key for key, (known, _) in facts.items() if may_overlap(known, place)]
        else:
            base, start = place.base, place.offset
            end = start + place.size
            for key, (known, _) in facts.items():
                if key[0] == base:  # two distances from one address
                    if key[1] < end and start < key[1] + known.size:
                        gone.append(key)
                elif may_overlap(known, place):
                    gone.append(key)
        for key in gone:
            del facts[key]

    def call(self, facts: Facts) -> None:
        """Forget what a call may write."""
        places = self.places
        if not places.slots:
            facts.clear()
            return
        for key in [key for key, (known, _) in facts.items() if not places.is_private(known)]:
            del facts[key]

    def block(self, block: Block, facts: Facts) -> None:
        places = self.places
        stores = False
        for instruction in block.instructions:
            operation = instruction.operation
            if operation.reads:
                self.load(instruction, facts)
            elif operation.stores:
                stores = True
                place = places.met(instruction)
                if facts:
                    self.store(facts, place)
                if operation is STORE and place is not None and place.offset is not None:
                    assert instruction.type is not None
                    self.learn(facts, place, LOAD, instruction.type, instruction.operands[0])
            elif facts and operation.effect and not operation.terminator:
                self.call(facts)
        if stores:
            self.with_stores.append(block)

    def learn(
        self, facts: Facts, place: Place, operation: Operation, type_: Type, value: Operand
    ) -> None:
        assert place.offset is not None
        if len(facts) >= MOST_FACTS:
            del facts[next(iter(facts))]
        name = "" if operation is LOAD else type_.name
        if self.places.replaced:
            value = self.places.final(value)
        facts[place.base, place.offset, operation, name] = place, value

    def load(self, instruction: Instruction, facts: Facts) -> None:
        place = self.places.met(instruction)
        if place is None or place.offset is None:
            return
        type_, operation = instruction.type, instruction.operation
        assert type_ is not None
        result = instruction.results[0]
        datum = self.module.data.get(place.base) if type(place.base) is str else None
        if datum is not None:
            constant = constant_at(datum, place.offset, instruction)
            # The address of data is loaded by as many instructions as it is made by, and
            # a load can stay in a register over a loop's calls; a function's can be called.
            if constant is not None and (
                not isinstance(constant, Symbol) or constant.name in self.module.functions
            ):
                self.places.replaced[result.number] = constant
                return
        key = (place.base, place.offset, operation, "" if operation is LOAD else type_.name)
        found = facts.get(key)
        if found is not None and found[0].size == place.size:
            value = found[1]
            if compatible(value.type, type_):
                self.places.replaced[result.number] = value
                if value.kind == VALUE and not value.name:  # type: ignore[union-attr]
                    value.name = result.name  # type: ignore[union-attr]
                return
            if value.kind != SYMBOL and value.type.bits == type_.bits <= 64:
                instruction.operation, instruction.operands = BITCAST, [value]
                instruction.offset = 0
                self.changed = True
                return
        self.learn(facts, place, operation, type_, result)


def _same(first: Operand, second: Operand) -> bool:
    if first is second:
        return True
    if first.kind == CONSTANT and second.kind == CONSTANT:
        return first.key() == second.key()  # type: ignore[union-attr]
    return (
        isinstance(first, Symbol)
        and isinstance(second, Symbol)
        and (first.name, first.offset) == (second.name, second.offset)
    )


def _delete_stores(block: Block, places: _Places, debug: DebugFunction | None) -> bool:
    dead: set[int] = set()
    # Places that are written further down, before anything reads them.
    coming: list[Place] = []
    ends = block.terminator.operation in (RETURN, UNREACHABLE)  # nothing reads slots then
    for instruction in reversed(block.instructions):
        operation = instruction.operation
        if operation.stores:
            place = places.met(instruction)
            if place is None:
                continue
            if (
                place.base in places.unread
                or (ends and places.is_private(place))
                or (coming and any(_covers(one, place) for one in coming))
            ):
                dead.add(id(instruction))
            elif place.offset is not None and len(coming) < MOST_FACTS:
                coming.append(place)
        elif operation.reads:
            place = places.met(instruction)
            if place is not None and places.is_private(place):
                ends = False  # of stores above, this may be the reader
            if coming:
                coming = [one for one in coming if not places.may_overlap(one, place)]
        elif coming and (operation is CALL or operation is CALL_INDIRECT):
            coming = [one for one in coming if places.is_private(one)]
    if dead:
        if debug is not None:
            tell_of_missing(debug, block.instructions, dead, places.written)
        block.instructions = [i for i in block.instructions if id(i) not in dead]
    return bool(dead)


def _covers(one: Place, other: Place) -> bool:
    """Whether a store to one place overwrites all of the other."""
    if one.base != other.base or one.offset is None or other.offset is None:
        return False
    return one.offset <= other.offset and other.offset + other.size <= one.offset + one.size
