"""Values of calls become the parts of their plans: one SSA value per part, nothing else.

In the IR a value that a call passes is a list of scalars (the leaves of its type) or
the address of an object (`byval`, `sret`).  A `CallPlan` has parts: eight bytes in X2,
four in the argument area at SP + 12.  After this step, which runs just before
selection, every call, return and entry has exactly one operand, result or parameter
per part, in the plan's order, so that `calls.py` only puts each in its place:

- objects are loaded from and stored to memory part by part, never beyond their end;
- what travels by reference (AAPCS64 stage B.4) is copied, and the copy's address passed;
- narrow integers are extended where the convention makes that the caller's duty;
- results and parameters that are objects get a stack slot where they come in registers.

Where leaves and parts agree one to one nothing changes.  Stack slots that want more
alignment than SP has are also dealt with here.
"""

from __future__ import annotations

from callproof.abi.plan import Assignment, CallPlan, Convention, InRegister, OnStack, Part
from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import I64 as ABI_I64
from callproof.abi.types import (
    POINTER,
    Integer,
    Scalar,
    leaves,
    round_up,
)
from callproof.codegen.pieces import FIRST_VECTOR, is_same, one_to_one, passing, powers, x87_offsets
from callproof.ir import operations as op
from callproof.ir.model import (
    CONSTANT,
    Block,
    Constant,
    Function,
    Instruction,
    Operand,
    Value,
)
from callproof.ir.operations import Operation
from callproof.ir.places import PlaceNumber
from callproof.ir.types import F32, F64, I8, I16, I32, I64, PTR, V2I64, Type, of_scalar
from callproof.source import InternalError

STACK_ALIGNMENT = 16
EXPANDED = frozenset((op.CALL, op.CALL_INDIRECT, op.RETURN, op.SLOT))
LARGEST_INLINE_COPY = 128  # bytes; beyond it memcpy is called
MEMCPY = Signature(
    (Parameter(POINTER, "to"), Parameter(POINTER, "from"), Parameter(ABI_I64, "bytes")), POINTER
)
INTEGERS = {1: I8, 2: I16, 4: I32, 8: I64, 16: V2I64}
FLOATS = {2: F32, 4: F32, 8: F64, 16: V2I64}
ZERO_EXTENDING = {1: op.LOAD_U8, 2: op.LOAD_U16, 4: op.LOAD_U32, 8: op.LOAD}


class _Code:
    """Instructions under construction, all of one source line."""

    __slots__ = ("function", "instructions", "line")

    def __init__(self, function: Function, line: PlaceNumber = 0) -> None:
        self.function = function
        self.line = line
        self.instructions: list[Instruction] = []

    def emit(
        self,
        operation: Operation,
        type_: Type | None,
        operands: list[Operand],
        result: Type | Value | None = None,
        offset: int = 0,
    ) -> Instruction:
        results = []
        if result is not None:
            value = result if isinstance(result, Value) else self.function.new_value(result)
            value.block = None
            results = [value]
        instruction = Instruction(operation, type_, operands, results, self.line)
        instruction.offset = offset
        self.instructions.append(instruction)
        return instruction

    def make(
        self, operation: Operation, type_: Type, operands: list[Operand], offset: int = 0
    ) -> Value:
        return self.emit(operation, type_, operands, type_, offset).result

    def slot(self, size: int, alignment: int, name: str, value: Value | None = None) -> Value:
        """Stack memory; `value` if its address already has a name."""
        made = self.emit(op.SLOT, None, [], value if value is not None else PTR)
        made.size = max(size, 1)
        made.alignment = alignment
        made.slot_name = name
        return made.result

    # --- bytes between memory and parts ---------------------------------------------------

    def load_part(self, address: Operand, part: Part) -> Value:
        """The part's bytes from an object at `address`, never more than it has."""
        size, offset = part.size, part.offset
        if isinstance(part.location, InRegister) and part.location.register >= FIRST_VECTOR:
            if size == 2:
                half = self.make(op.LOAD_U16, I32, [address], offset)
                return self.make(op.BITCAST, F32, [half])
            if size in FLOATS:
                return self.make(op.LOAD, FLOATS[size], [address], offset)
            return self.make(op.BITCAST, F64, [self.load_bytes(address, size, offset)])
        if size in (8, 16):
            return self.make(op.LOAD, INTEGERS[size], [address], offset)
        if size <= 2 or size == 4:
            return self.make(ZERO_EXTENDING[size], I64, [address], offset)
        return self.load_bytes(address, size, offset)

    def load_bytes(self, address: Operand, size: int, offset: int) -> Value:
        """Up to 7 bytes of memory as an i64, in pieces."""
        total: Value | None = None
        done = 0
        for width in powers(size):
            piece = self.make(ZERO_EXTENDING[width], I64, [address], offset + done)
            if total is not None:
                piece = self.make(op.SHL, I64, [piece, Constant(I64, 8 * done)])
                piece = self.make(op.OR, I64, [total, piece])
            total, done = piece, done + width
        assert total is not None
        return total

    def store_part(self, address: Operand, part: Part, value: Operand) -> None:
        """The part's bytes into an object at `address`, no byte beyond them."""
        size, offset = part.size, part.offset
        if value.type.is_float and (size == 2 or size in FLOATS):
            if size == 2:
                half = self.make(op.BITCAST, I32, [value])
                self.emit(op.STORE16, I32, [half, address], None, offset)
            else:
                self.emit(op.STORE, value.type, [value, address], None, offset)
            return
        if value.type.is_float:
            value = self.make(op.BITCAST, I64, [value])
        done = 0
        for width in powers(size):
            piece = value
            if done:
                piece = self.make(op.LSHR, I64, [value, Constant(I64, 8 * done)])
            self.emit(_STORE[width], piece.type, [piece, address], None, offset + done)
            done += width

    def copy(self, to: Operand, from_: Operand, size: int) -> None:
        if size > LARGEST_INLINE_COPY:
            operands: list[Operand] = [to, from_, Constant(I64, size)]
            call = self.emit(op.CALL, None, operands, PTR)
            call.callee, call.signature = "memcpy", MEMCPY
            return
        done = 0
        for width in powers(size, 16):
            piece = Part(done, width, OnStack(0, width))
            value = self.load_part(from_, piece)
            if width == 16:
                self.emit(op.STORE, V2I64, [value, to], None, done)
            else:
                self.emit(_STORE[width], value.type, [value, to], None, done)
            done += width

    # --- leaves and memory ------------------------------------------------------------------

    def store_leaves(self, address: Operand, assignment: Assignment, values: list[Operand]) -> None:
        for (offset, _), value in zip(leaves(assignment.type), values, strict=True):
            self.emit(op.STORE, value.type, [value, address], None, offset)

    def load_leaf(self, address: Operand, offset: int, result: Value) -> None:
        self.emit(op.LOAD, result.type, [address], result, offset)


_STORE = {1: op.STORE8, 2: op.STORE16, 4: op.STORE32, 8: op.STORE}


def part_type(part: Part) -> Type:
    """The SSA type that carries a part which is not a leaf."""
    location = part.location
    if isinstance(location, InRegister):
        return FLOATS.get(part.size, F64) if location.register >= FIRST_VECTOR else I64
    if part.size == 16:
        return V2I64
    return I64 if location.size >= 8 else INTEGERS[location.size]


def _object_size(assignment: Assignment) -> int:
    """Bytes of a slot that takes whole parts."""
    return round_up(assignment.type.size, 16)


def _slot_alignment(assignment: Assignment) -> int:
    return max(assignment.type.alignment, 8)


def _extended(code: _Code, part: Part, scalar: Scalar, value: Operand) -> Operand:
    """The caller's duty on some platforms: a narrow integer in 32 bits."""
    if not part.extend or not isinstance(scalar, Integer) or value.type.bits >= part.extend:
        return value
    if value.kind == CONSTANT:
        assert isinstance(value, Constant)
        number = int(value.value)
        return Constant(I32, number if scalar.signed else number & ((1 << scalar.bits) - 1))
    return code.make(op.SEXT if scalar.signed else op.ZEXT, I32, [value])


def _outgoing(
    code: _Code,
    assignment: Assignment,
    values: list[Operand],
    in_memory: bool,
) -> list[Operand]:
    """The operands, one per part, that pass a value (given as leaves or as an address)."""
    type_ = assignment.type
    if not in_memory:
        scalars = leaves(type_)
        if one_to_one(assignment, scalars):
            return values
        if len(scalars) == 1 and len(assignment.parts) == 1 and not assignment.indirect:
            part, (_, scalar) = assignment.parts[0], scalars[0]
            if part.offset == 0 and is_same(part, scalar):
                return [_extended(code, part, scalar, values[0])]
        address: Operand = code.slot(
            _object_size(assignment), _slot_alignment(assignment), assignment.name
        )
        code.store_leaves(address, assignment, values)
        return (
            [address]
            if assignment.indirect
            else [code.load_part(address, part) for part in assignment.parts]
        )
    (address,) = values
    if assignment.indirect:
        copy = code.slot(type_.size, _slot_alignment(assignment), assignment.name)
        code.copy(copy, address, type_.size)
        return [copy]
    loaded: list[Operand] = []
    for part in assignment.parts:
        value: Operand = code.load_part(address, part)
        if part.extend and isinstance(type_, Integer):
            narrow = code.make(op.TRUNC, of_scalar(type_), [value])
            value = _extended(code, part, type_, narrow)
        loaded.append(value)
    return loaded


def _incoming(
    code: _Code,
    assignment: Assignment,
    values: list[Value],
    in_memory: bool,
) -> list[Value]:
    """New values, one per part, from which the old ones (leaves, or an address) are made."""
    if not in_memory:
        scalars = leaves(assignment.type)
        if len(scalars) == len(assignment.parts) == 1 and not assignment.indirect:
            (part,) = assignment.parts
            if part.offset == 0 and is_same(part, scalars[0][1]):
                return values  # whoever extended it, the value's own bits are there
        if one_to_one(assignment, scalars):
            return values
        if assignment.indirect:
            address = code.function.new_value(PTR, assignment.name)
            for (offset, _), value in zip(scalars, values, strict=True):
                code.load_leaf(address, offset, value)
            return [address]
        slot = code.slot(_object_size(assignment), _slot_alignment(assignment), assignment.name)
        parts = _store_parts(code, assignment, slot)
        for (offset, _), value in zip(scalars, values, strict=True):
            code.load_leaf(slot, offset, value)
        return parts
    (address,) = values
    if assignment.indirect:
        return [address]
    code.slot(_object_size(assignment), _slot_alignment(assignment), assignment.name, address)
    return _store_parts(code, assignment, address)


def _store_parts(code: _Code, assignment: Assignment, address: Operand) -> list[Value]:
    """Values for the parts, stored into a slot that has room for whole registers."""
    values = []
    for part in assignment.parts:
        value = code.function.new_value(part_type(part), assignment.name)
        values.append(value)
        if value.type is F32 and part.size == 2:
            code.store_part(address, part, value)
        else:
            code.emit(op.STORE, value.type, [value, address], None, part.offset)
    return values


class _Expansion:
    __slots__ = ("convention", "function", "passing", "plan", "result_address")

    def __init__(self, function: Function, convention: Convention) -> None:
        self.function = function
        self.convention = convention
        self.passing = passing(function.signature, convention)
        self.plan = self.passing.plan
        self.result_address: Value | None = None

    def run(self) -> None:
        function = self.function
        parameters = len(function.entry.parameters)
        is_direct = self.passing.is_direct and parameters == len(self.passing.arguments)
        entry = [] if is_direct else self.entry()
        for index, block in enumerate(function.blocks):
            for instruction in block.instructions:
                if instruction.operation in EXPANDED and not self.stays(instruction):
                    self.expand(block)
                    break
            if index == 0 and entry:
                block.instructions = entry + block.instructions

    def stays(self, instruction: Instruction) -> bool:
        """Whether nothing is to be done for a call, a return or a slot."""
        operation = instruction.operation
        if operation is op.SLOT:
            return instruction.alignment <= STACK_ALIGNMENT
        if operation is op.RETURN:
            return self.passing.is_direct or self.plan.result is None
        signature = instruction.signature
        if signature is None:
            return False
        known = passing(signature, self.convention)
        count = len(instruction.operands) - (operation is op.CALL_INDIRECT)
        return known.is_direct and count == len(known.arguments)

    def expand(self, block: Block) -> None:
        found: list[Instruction] = []
        for instruction in block.instructions:
            operation = instruction.operation
            if operation is op.CALL or operation is op.CALL_INDIRECT:
                found += self.call(instruction)
            elif operation is op.RETURN:
                found += self.return_(instruction)
            elif operation is op.SLOT and instruction.alignment > STACK_ALIGNMENT:
                found += aligned_slot(self.function, instruction)
            else:
                found.append(instruction)
        block.instructions = found

    def entry(self) -> list[Instruction]:
        function, signature = self.function, self.function.signature
        code = _Code(function)
        old = list(function.entry.parameters)
        new: list[Value] = []
        result = self.plan.result
        if signature.result_in_memory:
            assert result is not None
            self.result_address = old.pop(0)
            if result.indirect:
                new.append(self.result_address)
            else:
                code.slot(
                    _object_size(result), _slot_alignment(result), "result", self.result_address
                )
        elif result is not None and result.indirect:
            self.result_address = function.new_value(PTR, "result")
            new.append(self.result_address)
        for parameter, assignment in zip(signature.parameters, self.plan.parameters, strict=True):
            count = 1 if parameter.in_memory else len(leaves(parameter.type))
            values, old = old[:count], old[count:]
            new += _incoming(code, assignment, values, parameter.in_memory)
        if old:
            raise InternalError(f"@{function.name} has more parameters than its signature")
        for value in new:
            value.block = function.entry
        function.entry.parameters = new
        return _with_aligned_slots(function, code.instructions)

    def return_(self, instruction: Instruction) -> list[Instruction]:
        result = self.plan.result
        if result is None:
            return [instruction]
        code = _Code(self.function, instruction.line)
        address = self.result_address
        values = instruction.operands
        if self.function.signature.result_in_memory:
            assert address is not None
            if x87_offsets(self.plan):
                instruction.object_address = address
                values = []
            elif not result.indirect:
                values = [code.load_part(address, part) for part in result.parts]
                if isinstance(result.type, Integer) and result.parts[0].extend:
                    narrow = code.make(op.TRUNC, of_scalar(result.type), [values[0]])
                    values = [_extended(code, result.parts[0], result.type, narrow)]
        elif result.indirect:
            assert address is not None
            code.store_leaves(address, result, values)
        else:
            values = _outgoing(code, result, values, in_memory=False)
        if result.indirect:
            values = [] if self.plan.returned_pointer is None else [address]  # type: ignore[list-item]
        instruction.operands = values
        return [*_with_aligned_slots(self.function, code.instructions), instruction]

    def call(self, instruction: Instruction) -> list[Instruction]:
        signature = instruction.signature
        if signature is None:
            raise InternalError(f"a call in @{self.function.name} has no signature")
        call_plan = passing(signature, self.convention).plan
        before = _Code(self.function, instruction.line)
        after = _Code(self.function, instruction.line)
        direct = instruction.operation is op.CALL
        old = instruction.operands if direct else instruction.operands[1:]
        new: list[Operand] = [] if direct else [instruction.operands[0]]
        old = list(old)
        result = call_plan.result
        if signature.result_in_memory:
            assert result is not None
            address = old.pop(0)
            if result.indirect:
                new.append(address)
            elif x87_offsets(call_plan):
                instruction.object_address = address
            else:
                instruction.results = self.results_of(call_plan)
                for part, value in zip(result.parts, instruction.results, strict=True):
                    after.store_part(address, part, value)
        elif result is not None and not one_to_one(result, leaves(result.type)):
            new += self.leaves_of_result(instruction, call_plan, before, after)
        for parameter, assignment in zip(signature.parameters, call_plan.parameters, strict=True):
            count = 1 if parameter.in_memory else len(leaves(parameter.type))
            values, old = old[:count], old[count:]
            new += _outgoing(before, assignment, values, parameter.in_memory)
        if old:
            raise InternalError(f"a call in @{self.function.name} has too many operands")
        instruction.operands = new
        for value in instruction.results:
            value.definition = instruction
        return [
            *_with_aligned_slots(self.function, before.instructions),
            instruction,
            *after.instructions,
        ]

    def results_of(self, call_plan: CallPlan) -> list[Value]:
        assert call_plan.result is not None
        return [self.function.new_value(part_type(part)) for part in call_plan.result.parts]

    def leaves_of_result(
        self, instruction: Instruction, call_plan: CallPlan, before: _Code, after: _Code
    ) -> list[Operand]:
        """Results that are leaves, from parts or from memory; the operands to add."""
        result = call_plan.result
        assert result is not None
        scalars = leaves(result.type)
        if len(scalars) == len(result.parts) == 1 and not result.indirect:
            (part,) = result.parts
            if is_same(part, scalars[0][1]):
                return []  # it comes extended, and its own bits are what we want
        slot = before.slot(_object_size(result), _slot_alignment(result), "result")
        old = instruction.results
        if result.indirect:
            instruction.results = []
        else:
            instruction.results = self.results_of(call_plan)
            for part, value in zip(result.parts, instruction.results, strict=True):
                after.store_part(slot, part, value)
        for (offset, _), value in zip(scalars, old, strict=True):
            after.load_leaf(slot, offset, value)
        return [slot] if result.indirect else []


def aligned_slot(function: Function, instruction: Instruction) -> list[Instruction]:
    """A slot that wants more alignment than SP has: a larger one, and the address rounded up."""
    alignment = instruction.alignment
    code = _Code(function, instruction.line)
    raw = code.slot(
        instruction.size + alignment - STACK_ALIGNMENT, STACK_ALIGNMENT, instruction.slot_name
    )
    above = code.make(op.ADD, I64, [raw, Constant(I64, alignment - 1)])
    code.emit(op.AND, I64, [above, Constant(I64, -alignment)], instruction.result)
    return code.instructions


def _with_aligned_slots(function: Function, found: list[Instruction]) -> list[Instruction]:
    if not any(i.operation is op.SLOT and i.alignment > STACK_ALIGNMENT for i in found):
        return found
    result: list[Instruction] = []
    for instruction in found:
        if instruction.operation is op.SLOT and instruction.alignment > STACK_ALIGNMENT:
            result += aligned_slot(function, instruction)
        else:
            result.append(instruction)
    return result


def run(function: Function, convention: Convention) -> None:
    """Bring every call, return and the entry into the shape that `calls.py` takes.

    Raises `CallproofError` for types that the convention does not have.
    """
    _Expansion(function, convention).run()
