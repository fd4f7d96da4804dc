"""Building functions: instructions at a place, and variables that become SSA values.

Promotion happens while building (after Braun and others, "Simple and Efficient
Construction of SSA Form"): `write` and `read` a variable at the current block; where
paths meet, reading makes a block parameter.  A block is sealed when all jumps to it
are known; until then its parameters wait for their arguments.  No recursion, so
functions may be as large as they like.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from callproof.abi.signature import Signature
from callproof.ir import operations as op
from callproof.ir.model import (
    Block,
    Function,
    Instruction,
    Operand,
    Target,
    Value,
    parameter_leaves,
    result_leaves,
)
from callproof.ir.places import PlaceNumber
from callproof.ir.ssa import remove_trivial_parameters
from callproof.ir.types import I64, PTR, Type
from callproof.ir.vectors import zero

if TYPE_CHECKING:
    from callproof.ir.debug import DebugVariable


class _Place:
    """What is known of a block while the function is built.

    `definitions` has the variables' values at its end (so far), `incomplete` the parameters
    that wait for arguments until all jumps to it are known: until it is `sealed`.
    """

    __slots__ = ("block", "definitions", "incomplete", "predecessors", "sealed")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.definitions: dict[Hashable, Operand] = {}
        self.predecessors: list[_Place] = []
        self.sealed = False
        self.incomplete: list[tuple[Hashable, Value]] = NOTHING_INCOMPLETE


NOTHING_INCOMPLETE: list[tuple[Hashable, Value]] = []  # shared, never changed
Pending = list[tuple[_Place, Hashable, Value]]


class FunctionBuilder:
    """Builds one function; `line` is put on every instruction made."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.line: PlaceNumber = 0
        self._names: dict[str, int] = {}
        self._places: dict[Block, _Place] = {}
        self._types: dict[Hashable, tuple[Type, str]] = {}
        self._fixed: dict[Hashable, Operand] = {}  # variables with one value, see `fix`
        # parameter -> block it came from -> argument
        self._arguments: dict[Value, dict[Block, Operand]] = {}
        self.entry = self.new_block("entry")
        self.start(self.entry)
        for type_, name in parameter_leaves(function.signature):
            function.add_parameter(self.entry, type_, name.replace(".", "_"))

    # --- blocks ---------------------------------------------------------------------------

    def new_block(self, name: str) -> Block:
        number = self._names.get(name, 0)
        self._names[name] = number + 1
        block = self.function.new_block(f"{name}{number}" if number else name)
        self._places[block] = _Place(block)
        return block

    def seal(self, block: Block) -> None:
        """All jumps to the block have been made."""
        self._seal(self._places[block])

    def _seal(self, place: _Place) -> None:
        place.sealed = True
        if place.incomplete:
            incomplete, place.incomplete = place.incomplete, NOTHING_INCOMPLETE
            self._complete([(place, variable, value) for variable, value in incomplete])

    def start(self, block: Block, *, seal: bool = True) -> None:
        """Go on building at a block."""
        place = self._places[block]
        if seal:
            self._seal(place)
        self.current = block
        self._current = place

    @property
    def is_terminated(self) -> bool:
        instructions = self.current.instructions
        return bool(instructions) and instructions[-1].operation.terminator

    def unreachable_block(self) -> None:
        """Go on in a block that nothing jumps to, behind a jump away."""
        self.start(self.new_block("dead"))

    # --- instructions -----------------------------------------------------------------------

    def emit(
        self,
        operation: op.Operation,
        type_: Type | None,
        operands: list[Operand],
        *,
        name: str = "",
        offset: int = 0,
    ) -> Value | None:
        """Append an instruction; its result if the operation has one."""
        if operation.effect:
            instruction = Instruction(operation, type_, operands, [], self.place())
            instruction.offset = offset
            self.current.instructions.append(instruction)
            return None
        assert type_ is not None
        function = self.function
        result = Value(function.next_number, I64 if operation.compares else type_, name)
        function.next_number += 1
        instruction = Instruction(operation, type_, operands, [result], self.place())
        instruction.offset = offset
        self.current.instructions.append(instruction)
        return result

    def value(
        self, operation: op.Operation, type_: Type, *operands: Operand, name: str = ""
    ) -> Value:
        function = self.function
        result = Value(function.next_number, I64 if operation.compares else type_, name)
        function.next_number += 1
        instruction = Instruction(operation, type_, list(operands), [result], self.place())
        self.current.instructions.append(instruction)
        return result

    def load(self, type_: Type, address: Operand, offset: int = 0, name: str = "") -> Value:
        function = self.function
        result = Value(function.next_number, type_, name)
        function.next_number += 1
        instruction = Instruction(op.LOAD, type_, [address], [result], self.place())
        instruction.offset = offset
        self.current.instructions.append(instruction)
        return result

    def store(self, type_: Type, value: Operand, address: Operand, offset: int = 0) -> None:
        instruction = Instruction(op.STORE, type_, [value, address], [], self.place())
        instruction.offset = offset
        self.current.instructions.append(instruction)

    def slot(self, size: int, alignment: int, name: str) -> Value:
        """Stack memory; made in the entry block, so that a loop does not make it again."""
        value = self.function.new_value(PTR, name)
        instruction = Instruction(op.SLOT, PTR, [], [value], self.place())
        instruction.size, instruction.alignment = size, alignment
        instruction.slot_name = name
        self.entry.instructions.insert(0, instruction)
        return value

    def call(
        self, callee: str | Operand, signature: Signature, arguments: Sequence[Operand]
    ) -> list[Value]:
        """A direct call of a name, or an indirect one of a value; its result values."""
        function = self.function
        results = []
        for type_ in result_leaves(signature):
            results.append(Value(function.next_number, type_))
            function.next_number += 1
        if isinstance(callee, str):
            call = Instruction(op.CALL, None, list(arguments), results, self.place())
            call.callee = callee
        else:
            operands = [callee, *arguments]
            call = Instruction(op.CALL_INDIRECT, None, operands, results, self.place())
        call.signature = signature
        self.current.instructions.append(call)
        return results

    def _terminate(
        self, operation: op.Operation, operands: list[Operand], *blocks: Block
    ) -> Instruction:
        instruction = Instruction(operation, None, operands, [], self.place())
        instruction.targets = list(map(Target, blocks))
        self.current.instructions.append(instruction)
        here, places = self._current, self._places
        for block in blocks:
            places[block].predecessors.append(here)
        return instruction

    def jump(self, block: Block) -> None:
        self._terminate(op.JUMP, [], block)

    def branch(self, condition: Operand, then: Block, otherwise: Block) -> None:
        self._terminate(op.BRANCH, [condition], then, otherwise)

    def switch(self, selector: Operand, default: Block, cases: Sequence[tuple[int, Block]]) -> None:
        blocks = [block for _, block in cases]
        instruction = self._terminate(op.SWITCH, [selector], default, *blocks)
        instruction.cases = [value for value, _ in cases]

    def return_(self, *values: Operand) -> None:
        self._terminate(op.RETURN, list(values))

    def unreachable(self) -> None:
        self._terminate(op.UNREACHABLE, [])

    # --- variables ------------------------------------------------------------------------------

    def declare(self, variable: Hashable, type_: Type, name: str) -> None:
        self._types[variable] = (type_, name)

    # What a debugger shall know is kept by `debug_builder`'s builder; here it costs nothing.

    keeps_debug = False

    def place(self) -> PlaceNumber:
        """What the next instruction's `line` is."""
        return self.line

    def enter(self) -> object:
        """A block of the source begins; the answer is for `leave`."""
        return None

    def leave(self, mark: object) -> None:
        """It ends: variables shown since are not visible any more."""

    def show(self, variable: DebugVariable, keys: Sequence[Hashable]) -> None:
        """A variable of the source, whose value are the declared variables `keys`."""

    def show_slot(
        self, variable: DebugVariable, address: Value, incoming: Operand | None = None
    ) -> None:
        """A variable of the source that will be in the memory of a `slot`."""

    def stored(self, variable: DebugVariable) -> None:
        """It is there now."""

    def write(self, variable: Hashable, value: Operand) -> None:
        self._current.definitions[variable] = value

    def fix(self, variable: Hashable, value: Operand) -> None:
        """Write a variable that is written nowhere else, and read only behind this.

        What a loop reads of other variables are first parameters of its head, as they may yet
        be written; for this one, as for most variables, that need not be found out.
        """
        self._fixed[variable] = value

    def read(self, variable: Hashable) -> Operand:
        found = self._fixed.get(variable)
        if found is not None:
            return found
        found = self._current.definitions.get(variable)
        if found is not None:
            return found
        pending: Pending = []
        found = self._lookup(variable, self._current, pending)
        if pending:
            self._complete(pending)
        return found

    def _lookup(self, variable: Hashable, place: _Place, pending: Pending) -> Operand:
        """The variable's value at the end of a block; parameters made on the way join `pending`."""
        found = place.definitions.get(variable)
        if found is not None:
            return found
        passed = [place]
        while True:
            if not place.sealed:
                found = self._parameter(place.block, variable)
                if place.incomplete is NOTHING_INCOMPLETE:
                    place.incomplete = []
                place.incomplete.append((variable, found))
                break
            predecessors = place.predecessors
            if len(predecessors) == 1:
                place = predecessors[0]
                found = place.definitions.get(variable)
                if found is not None:
                    break
                passed.append(place)
                continue
            if not predecessors:  # read before any write: only in code that is not reached
                found = zero(self._types[variable][0])
                break
            found = self._parameter(place.block, variable)
            pending.append((place, variable, found))
            break
        for place in passed:
            place.definitions[variable] = found
        return found

    def _parameter(self, block: Block, variable: Hashable) -> Value:
        type_, name = self._types[variable]
        value = self.function.add_parameter(block, type_, name)
        self._arguments[value] = {}
        return value

    def _complete(self, pending: Pending) -> None:
        while pending:
            place, variable, value = pending.pop()
            arguments = self._arguments[value]
            for predecessor in place.predecessors:
                arguments[predecessor.block] = self._lookup(variable, predecessor, pending)

    def finish(self) -> Function:
        """Put the arguments into the jumps; drop what cannot be reached."""
        function = self.function
        for block in function.blocks:
            if not block.instructions or not block.instructions[-1].operation.terminator:
                self.current = block
                self.unreachable()
        reached = {self.entry}
        pending = [self.entry]
        while pending:
            for target in pending.pop().instructions[-1].targets:
                if target.block not in reached:
                    reached.add(target.block)
                    pending.append(target.block)
        blocks = function.blocks
        if len(reached) != len(blocks):
            blocks = function.blocks = [block for block in blocks if block in reached]
        for block in blocks:
            for target in block.instructions[-1].targets:
                parameters = target.block.parameters
                if parameters:
                    target.arguments = [self._arguments[value][block] for value in parameters]
        remove_trivial_parameters(function)
        return function
