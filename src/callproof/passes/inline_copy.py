"""The code of functions in place of calls of them: copied, or moved if nothing else calls them."""

from __future__ import annotations

from callproof.ir import debug
from callproof.ir.dominance import edge_counts, reverse_postorder
from callproof.ir.model import VALUE, Block, Function, Instruction, Operand, Target, Value
from callproof.ir.operations import JUMP, RETURN, SLOT
from callproof.ir.places import LINE_BITS, PlaceNumber, Site, inlined

Slots = dict[tuple[str, int], Value]
"""By the function and the how manieth of its slots: one for all copies."""


def expand(
    function: Function, chosen: dict[int, Function], within: set[Block], moved: set[str]
) -> None:
    """Replace the calls with these ids, in the blocks `within`, by the code of their callees.

    The callees with the names `moved` must be called here only; they are of no use afterwards.
    """
    slots: Slots = {}
    bodies: dict[int, list[Block]] = {}
    own_sites = list(function.sites)
    # All bodies are made before anything changes: one may be the function itself.
    for block in function.blocks:
        if block not in within:
            continue
        for instruction in block.instructions:
            callee = chosen.get(id(instruction))
            if callee is None:
                continue
            if callee.name in moved:
                bodies[id(instruction)] = _move(function, callee, instruction, slots)
            else:
                sites = own_sites if callee is function else callee.sites
                copy = _Copy(function, callee, instruction, slots, sites)
                bodies[id(instruction)] = copy.run()
    blocks: list[Block] = []
    for block in function.blocks:
        blocks.append(block)
        if block not in within:
            continue
        instructions, block.instructions = block.instructions, []
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
    reached = edge_counts(function)
    if len(reached) != len(blocks):
        function.blocks = [block for block in blocks if block in reached]


def _jump(target: Target, place: PlaceNumber) -> Instruction:
    jump = Instruction(JUMP, None, [], [], place)
    jump.targets = [target]
    return jump


def _behind(call: Instruction, prefix: str) -> Block:
    """The block that follows the body, with the call's results as parameters."""
    behind = Block(f"{prefix}.behind")
    behind.parameters = call.results
    for value in call.results:
        value.definition, value.block = None, behind
    return behind


def _move(function: Function, callee: Function, call: Instruction, slots: Slots) -> list[Block]:
    """The callee's own blocks, for a call in a function that has no debug information.

    Numbers of values and places become what they are in a copy.
    """
    site = len(function.sites)
    prefix = f"in{site}"
    places: dict[PlaceNumber, PlaceNumber] = {}
    function.sites.append(Site(callee.name, callee.source_name, call.line))
    for one in callee.sites:
        outer = inlined(one.place, site + (one.place >> LINE_BITS))
        function.sites.append(Site(one.callee, one.source_name, outer))
    blocks = reverse_postorder(callee)
    entry = blocks[0]
    arguments = call.operands
    for index, parameter in enumerate(entry.parameters):
        parameter.number = -1 - index  # no other value has such a number
    entry.parameters = []
    behind = _behind(call, prefix)
    number = function.next_number
    number_of_slots = 0
    for block in blocks:
        block.name = f"{prefix}.{block.name}"
        for value in block.parameters:
            value.number = number
            number += 1
        kept: list[Instruction] = []
        for instruction in block.instructions:
            place = instruction.line
            made = places.get(place)
            if made is None:
                made = places[place] = inlined(place, site + (place >> LINE_BITS))
            instruction.line = made
            operands = instruction.operands
            for index, operand in enumerate(operands):
                if operand.kind == VALUE and operand.number < 0:  # type: ignore[union-attr]
                    operands[index] = arguments[-1 - operand.number]  # type: ignore[union-attr]
            for value in instruction.results:
                value.number = number
                number += 1
            if instruction.operation is SLOT:
                slots[callee.name, number_of_slots] = instruction.results[0]
                number_of_slots += 1
            elif instruction.operation is RETURN:
                kept.append(_jump(Target(behind, operands), made))
            else:
                kept.append(instruction)
        block.instructions = kept
        for target in kept[-1].targets:
            if target.block is not behind:
                operands = target.arguments
                for index, operand in enumerate(operands):
                    if operand.kind == VALUE and operand.number < 0:  # type: ignore[union-attr]
                        operands[index] = arguments[-1 - operand.number]  # type: ignore[union-attr]
    function.next_number = number
    return [*blocks, behind]


class _Copy:
    """One copy of a callee's blocks, for one call; the last block is what follows the call."""

    def __init__(
        self,
        function: Function,
        callee: Function,
        call: Instruction,
        slots: Slots,
        sites: list[Site],
    ) -> None:
        self.function = function
        self.callee = callee
        self.call = call
        self.slots = slots
        self.values: dict[int, Operand] = {}
        # By the callee's; with debug information by their ids, as equal ones may differ in what
        # they tell.
        self.places: dict[int, PlaceNumber] = {}
        self.site = len(function.sites)
        function.sites.append(Site(callee.name, callee.source_name, call.line))
        function.sites += [
            Site(one.callee, one.source_name, self.place(one.place)) for one in sites
        ]

    def place(self, place: PlaceNumber) -> PlaceNumber:
        """A place of the callee as one of the function."""
        into = self.function.debug
        key = place if into is None else id(place)
        made = self.places.get(key)
        if made is None:
            made = inlined(place, self.site + (place >> LINE_BITS))
            if into is not None:
                made = debug.inlined(place, self.call.line, made)
                debug.know(made, place, into, self.values)
            self.places[key] = made
        return made

    def operands(self, given: list[Operand]) -> list[Operand]:
        values = self.values
        return [
            values[operand.number] if operand.kind == VALUE else operand  # type: ignore[union-attr]
            for operand in given
        ]

    def new_value(self, value: Value) -> Value:
        made = self.function.new_value(value.type, value.name)
        self.values[value.number] = made
        return made

    def run(self) -> list[Block]:
        callee, call = self.callee, self.call
        # Numbers of sites only grow, so this prefix is new.
        prefix = f"in{self.site}"
        originals = reverse_postorder(callee)
        blocks = {block: Block(f"{prefix}.{block.name}") for block in originals}
        entry = originals[0]
        for parameter, argument in zip(entry.parameters, call.operands, strict=True):
            self.values[parameter.number] = argument
        number_of_slots = 0
        for block in originals:
            if block is not entry:
                for parameter in block.parameters:
                    made = self.new_value(parameter)
                    made.block = blocks[block]
                    made.block.parameters.append(made)
            for instruction in block.instructions:
                if instruction.operation is SLOT:
                    self.slot(instruction, number_of_slots)
                    number_of_slots += 1
                    continue
                for result in instruction.results:
                    self.new_value(result)
        behind = _behind(call, prefix)
        for block in originals:
            made_block = blocks[block]
            for instruction in block.instructions:
                if instruction.operation is RETURN:
                    results = self.operands(instruction.operands)
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

    def instruction(self, instruction: Instruction, blocks: dict[Block, Block]) -> Instruction:
        results: list[Value] = []
        for result in instruction.results:
            made_result = self.values[result.number]
            assert isinstance(made_result, Value)
            results.append(made_result)
        made = Instruction(
            instruction.operation,
            instruction.type,
            self.operands(instruction.operands),
            results,
            self.place(instruction.line),
        )
        made.offset = instruction.offset
        made.callee, made.signature = instruction.callee, instruction.signature
        if instruction.targets:
            made.cases = instruction.cases and list(instruction.cases)
            made.targets = [
                Target(blocks[one.block], self.operands(one.arguments))
                for one in instruction.targets
            ]
        return made


__all__ = ["expand"]
