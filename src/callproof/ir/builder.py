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


class FunctionBuilder:
    """Builds one function; `line` is put on every instruction made."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.line: PlaceNumber = 0
        self._names: dict[str, int] = {}
        self._predecessors: dict[Block, list[Block]] = {}
        self._sealed: set[Block] = set()
        self._definitions: dict[Block, dict[Hashable, Operand]] = {}
        self._types: dict[Hashable, tuple[Type, str]] = {}
        self._incomplete: dict[Block, list[tuple[Hashable, Value]]] = {}
        # parameter -> block it came from -> argument
        self._arguments: dict[Value, dict[Block, Operand]] = {}
        self.entry = self.new_block("entry")
        self.seal(self.entry)
        self.current = self.entry
        for type_, name in parameter_leaves(function.signature):
            function.add_parameter(self.entry, type_, name.replace(".", "_"))

    # --- blocks ---------------------------------------------------------------------------

    def new_block(self, name: str) -> Block:
        number = self._names.get(name, 0)
        self._names[name] = number + 1
        block = self.function.new_block(f"{name}{number}" if number else name)
        self._predecessors[block] = []
        self._definitions[block] = {}
        return block

    def seal(self, block: Block) -> None:
        """All jumps to the block have been made."""
        self._sealed.add(block)
        pending = [(block, variable, value) for variable, value in self._incomplete.pop(block, [])]
        self._complete(pending)

    def start(self, block: Block, *, seal: bool = True) -> None:
        """Go on building at a block."""
        if seal:
            self.seal(block)
        self.current = block

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
        results: list[Value] = []
        if not operation.effect:
            assert type_ is not None
            result_type = I64 if operation.compares else type_
            results = [self.function.new_value(result_type, name)]
        instruction = Instruction(operation, type_, operands, results, self.line)
        instruction.offset = offset
        self.current.instructions.append(instruction)
        return results[0] if results else None

    def value(
        self, operation: op.Operation, type_: Type, *operands: Operand, name: str = ""
    ) -> Value:
        result = self.emit(operation, type_, list(operands), name=name)
        assert result is not None
        return result

    def load(self, type_: Type, address: Operand, offset: int = 0, name: str = "") -> Value:
        result = self.emit(op.LOAD, type_, [address], name=name, offset=offset)
        assert result is not None
        return result

    def store(self, type_: Type, value: Operand, address: Operand, offset: int = 0) -> None:
        self.emit(op.STORE, type_, [value, address], offset=offset)

    def slot(self, size: int, alignment: int, name: str) -> Value:
        """Stack memory; made in the entry block, so that a loop does not make it again."""
        value = self.function.new_value(PTR, name)
        instruction = Instruction(op.SLOT, PTR, [], [value], self.line)
        instruction.size, instruction.alignment = size, alignment
        instruction.slot_name = name
        self.entry.instructions.insert(0, instruction)
        return value

    def call(
        self, callee: str | Operand, signature: Signature, arguments: Sequence[Operand]
    ) -> list[Value]:
        """A direct call of a name, or an indirect one of a value; its result values."""
        results = [self.function.new_value(type_) for type_ in result_leaves(signature)]
        if isinstance(callee, str):
            call = Instruction(op.CALL, None, list(arguments), results, self.line)
            call.callee = callee
        else:
            operands = [callee, *arguments]
            call = Instruction(op.CALL_INDIRECT, None, operands, results, self.line)
        call.signature = signature
        self.current.instructions.append(call)
        return results

    def _terminate(self, operation: op.Operation, operands: list[Operand]) -> Instruction:
        instruction = Instruction(operation, None, operands, [], self.line)
        instruction.targets = []
        self.current.instructions.append(instruction)
        return instruction

    def _target(self, block: Block) -> Target:
        self._predecessors[block].append(self.current)
        return Target(block)

    def jump(self, block: Block) -> None:
        self._terminate(op.JUMP, []).targets = [self._target(block)]

    def branch(self, condition: Operand, then: Block, otherwise: Block) -> None:
        targets = [self._target(then), self._target(otherwise)]
        self._terminate(op.BRANCH, [condition]).targets = targets

    def switch(self, selector: Operand, default: Block, cases: Sequence[tuple[int, Block]]) -> None:
        targets = [self._target(default), *(self._target(block) for _, block in cases)]
        instruction = self._terminate(op.SWITCH, [selector])
        instruction.targets = targets
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
        self._definitions[self.current][variable] = value

    def read(self, variable: Hashable) -> Operand:
        pending: list[tuple[Block, Hashable, Value]] = []
        result = self._lookup(variable, self.current, pending)
        self._complete(pending)
        return result

    def _lookup(
        self, variable: Hashable, block: Block, pending: list[tuple[Block, Hashable, Value]]
    ) -> Operand:
        """The variable's value at the end of a block; parameters made on the way join `pending`."""
        passed = []
        while True:
            found = self._definitions[block].get(variable)
            if found is not None:
                break
            passed.append(block)
            if block not in self._sealed:
                found = self._parameter(block, variable)
                self._incomplete.setdefault(block, []).append((variable, found))
                break
            predecessors = self._predecessors[block]
            if len(predecessors) == 1:
                block = predecessors[0]
                continue
            if not predecessors:  # read before any write: only in code that is not reached
                found = zero(self._types[variable][0])
                break
            found = self._parameter(block, variable)
            pending.append((block, variable, found))
            break
        for block in passed:
            self._definitions[block][variable] = found
        return found

    def _parameter(self, block: Block, variable: Hashable) -> Value:
        type_, name = self._types[variable]
        value = self.function.add_parameter(block, type_, name)
        self._arguments[value] = {}
        return value

    def _complete(self, pending: list[tuple[Block, Hashable, Value]]) -> None:
        while pending:
            block, variable, value = pending.pop()
            for predecessor in self._predecessors[block]:
                argument = self._lookup(variable, predecessor, pending)
                self._arguments[value][predecessor] = argument

    def finish(self) -> Function:
        """Put the arguments into the jumps; drop what cannot be reached."""
        function = self.function
        for block in function.blocks:
            if not block.instructions or not block.instructions[-1].operation.terminator:
                self.current = block
                self.unreachable()
        reached = {id(self.entry)}
        pending = [self.entry]
        while pending:
            for successor in pending.pop().successors():
                if id(successor) not in reached:
                    reached.add(id(successor))
                    pending.append(successor)
        function.blocks = [block for block in function.blocks if id(block) in reached]
        for block in function.blocks:
            for target in block.terminator.targets:
                target.arguments = [
                    self._arguments[value][block] for value in target.block.parameters
                ]
        remove_trivial_parameters(function)
        return function
