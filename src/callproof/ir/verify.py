"""The IR's rules, checked: types, dominance, blocks, signatures.

A module that passes has a meaning; every pass must keep it so (`--verify` checks
after each).  What is wrong is reported all at once.
"""

from __future__ import annotations

from collections.abc import Callable

from callproof.ir import operations as op
from callproof.ir.dominance import Dominators
from callproof.ir.model import (
    CONSTANT,
    SYMBOL,
    VALUE,
    Block,
    Constant,
    Function,
    Instruction,
    Module,
    Operand,
    Symbol,
    Value,
    parameter_leaves,
    result_leaves,
)
from callproof.ir.text import CONVERSIONS, instruction_text, operand_types
from callproof.ir.types import F32, F64, HALVES, I8, I16, I32, I64, PTR, Type, compatible
from callproof.ir.vectors import CHOICES, REDUCTIONS, VECTOR_OPERATIONS
from callproof.source import CallproofError, Diagnostic

INTEGERS = frozenset((I8, I16, I32, I64, PTR))
FLOATS = frozenset((F32, F64))
FLOAT_CHOICES = frozenset((op.FMIN, op.FMAX))
FLOAT_OPERATIONS = frozenset(
    (
        op.FADD,
        op.FSUB,
        op.FMUL,
        op.FDIV,
        op.FNEG,
        op.FABS,
        op.FSQRT,
        op.FEQ,
        op.FNE,
        op.FLT,
        op.FLE,
        op.FGT,
        op.FGE,
    )
)
# (result type, operand type) of each conversion
CONVERSION_RULES: dict[op.Operation, Callable[[Type, Type], bool]] = {
    op.SITOF: lambda to, from_: to in FLOATS and from_ in (I32, I64, PTR),
    op.FTOSI: lambda to, from_: to in INTEGERS and from_ in FLOATS,
    op.FLOORTOSI: lambda to, from_: to in INTEGERS and from_ in FLOATS,
    op.FEXT: lambda to, from_: to is F64 and from_ is F32,
    op.FTRUNC: lambda to, from_: to is F32 and from_ is F64,
    op.BITCAST: lambda to, from_: to.bits == from_.bits <= 128,
    op.SEXT: lambda to, from_: to in INTEGERS and from_ in INTEGERS and to.bits > from_.bits,
    op.ZEXT: lambda to, from_: to in INTEGERS and from_ in INTEGERS and to.bits > from_.bits,
    op.TRUNC: lambda to, from_: to in INTEGERS and from_ in INTEGERS and to.bits < from_.bits,
}
NARROW_LIMITS = {
    op.LOAD_S8: 8,
    op.LOAD_U8: 8,
    op.LOAD_S16: 16,
    op.LOAD_U16: 16,
    op.LOAD_S32: 32,
    op.LOAD_U32: 32,
    op.STORE8: 8,
    op.STORE16: 16,
    op.STORE32: 32,
}


def verify(module: Module) -> None:
    """Raise `CallproofError` with everything that is wrong in the module."""
    messages = []
    for function in module.functions.values():
        messages += [f"@{function.name}: {text}" for text in problems(function, module)]
    for datum in module.data.values():
        if datum.zero_bytes and (datum.data or datum.addresses):
            messages.append(f"@{datum.name}: zero-filled data has bytes")
        if datum.alignment < 1 or datum.alignment & (datum.alignment - 1):
            messages.append(f"@{datum.name}: alignment {datum.alignment} is no power of two")
        for address in datum.addresses:
            if address.offset < 0 or address.offset + 8 > len(datum.data):
                messages.append(f"@{datum.name}: an address lies outside the data")
    if messages:
        raise CallproofError(Diagnostic("error", f"invalid IR: {text}") for text in messages)


def problems(function: Function, module: Module) -> list[str]:
    """What is wrong in a function; empty if nothing is."""
    return _Verifier(function, module).run()


class _Verifier:
    __slots__ = ("found", "function", "module", "place", "position", "values")

    def __init__(self, function: Function, module: Module) -> None:
        self.function = function
        self.module = module
        self.found: list[str] = []
        self.place = ""
        # Where each value is defined: (block position in reverse postorder, index in block).
        self.position: dict[int, tuple[int, int]] = {}
        self.values: dict[int, Value] = {}

    def bad(self, message: str) -> None:
        self.found.append(f"{self.place}{message}")

    def run(self) -> list[str]:
        function = self.function
        if not function.blocks:
            return ["has no blocks"]
        for block in function.blocks:
            self.shape(block)
        if self.found:
            return self.found
        known = {id(block) for block in function.blocks}
        for block in function.blocks:
            for target in block.terminator.targets:
                if id(target.block) not in known:
                    self.bad(f"^{block.name} jumps to ^{target.block.name}, which is not here")
                elif target.block is function.blocks[0]:
                    self.bad(f"^{block.name} jumps to the entry")
        wanted = [type_ for type_, _ in parameter_leaves(function.signature)]
        actual = [value.type for value in function.blocks[0].parameters]
        if len(wanted) != len(actual) or not all(map(compatible, wanted, actual)):
            self.bad(f"entry parameters are {actual}, the signature says {wanted}")
        if self.found:
            return self.found
        dominators = Dominators(function)
        for position, block in enumerate(dominators.order):
            for value in block.parameters:
                self.define(value, position, -1)
            for index, instruction in enumerate(block.instructions):
                for value in instruction.results:
                    self.define(value, position, index)
        for position, block in enumerate(dominators.order):
            for index, instruction in enumerate(block.instructions):
                self.place = f"^{block.name}: {_shown(instruction)}: "
                for operand in instruction.operands:
                    self.available(operand, position, index, dominators)
                for target in instruction.targets:
                    for operand in target.arguments:
                        self.available(operand, position, index, dominators)
                self.check(instruction)
        return self.found

    def shape(self, block: Block) -> None:
        self.place = f"^{block.name}: "
        if not block.instructions:
            self.bad("the block is empty")
            return
        for instruction in block.instructions[:-1]:
            if instruction.operation.terminator:
                self.bad(f"'{instruction.operation}' is not at the end")
        if not block.terminator.operation.terminator:
            self.bad(f"ends with '{block.terminator.operation}'")
        self.place = ""

    def define(self, value: Value, position: int, index: int) -> None:
        if value.number in self.position:
            self.bad(f"{value!r} is defined twice")
        if value.number >= self.function.next_number:
            self.bad(f"{value!r} is beyond the function's next number")
        self.position[value.number] = (position, index)
        self.values[value.number] = value

    def available(self, operand: Operand, position: int, index: int, tree: Dominators) -> None:
        if operand.kind == VALUE:
            assert isinstance(operand, Value)
            place = self.position.get(operand.number)
            if place is None or self.values[operand.number] is not operand:
                self.bad(f"{operand!r} is not defined (or not reachable)")
            elif place[0] == position:
                if place[1] >= index:
                    self.bad(f"{operand!r} is used before its definition")
            elif not tree.dominates(place[0], position):
                self.bad(f"the definition of {operand!r} does not dominate this use")
        elif operand.kind == CONSTANT:
            assert isinstance(operand, Constant)
            is_float = operand.type.is_float and operand.type.lanes == 1
            if is_float != isinstance(operand.value, float):
                self.bad(f"constant {operand!r} does not suit its type")
            elif isinstance(operand.value, int):
                limit = 1 << (operand.type.bits - 1)
                if not -limit <= operand.value < limit:
                    self.bad(f"constant {operand!r} is out of range")
        elif operand.kind == SYMBOL:
            assert isinstance(operand, Symbol)
            module = self.module
            known = operand.name in module.data or operand.name in module.external_data
            if not known and module.signature_of(operand.name) is None:
                self.bad(f"@{operand.name} is neither defined nor declared")

    def expect(self, operand: Operand, type_: Type, what: str = "operand") -> None:
        if not compatible(operand.type, type_):
            self.bad(f"{what} {operand!r} is {operand.type}, not {type_}")

    def check(self, i: Instruction) -> None:
        operation = i.operation
        if operation.arity >= 0 and len(i.operands) != operation.arity:
            self.bad(f"has {len(i.operands)} operands, not {operation.arity}")
            return
        if operation is op.CALL or operation is op.CALL_INDIRECT:
            self.call(i)
        elif operation.terminator:
            self.terminator(i)
        elif operation is op.SLOT:
            if i.size < 0 or i.alignment < 1 or i.alignment & (i.alignment - 1):
                self.bad("the size or alignment is wrong")
        else:
            self.plain(i)
        if not operation.effect:
            self.result(i)

    def result(self, i: Instruction) -> None:
        if len(i.results) != 1:
            self.bad(f"has {len(i.results)} results")
            return
        wanted = I64 if i.operation.compares else i.type
        assert wanted is not None
        if not compatible(i.results[0].type, wanted):
            self.bad(f"the result is {i.results[0].type}, not {wanted}")

    def plain(self, i: Instruction) -> None:
        operation, type_ = i.operation, i.type
        if type_ is None:
            self.bad("has no type")
            return
        if operation.reads or operation.effect:
            self.expect(i.operands[-1], PTR, "address")
            if operation.effect:
                self.expect(i.operands[0], type_, "stored value")
            limit = NARROW_LIMITS.get(operation)
            if limit is not None and (type_.is_float or type_.bits < limit):
                self.bad(f"{type_} is too narrow")
            return
        if operation in CONVERSIONS:
            if not CONVERSION_RULES[operation](type_, i.operands[0].type):
                self.bad(f"no conversion from {i.operands[0].type} to {type_}")
            return
        if operation is op.SELECT:
            self.expect(i.operands[0], I64, "condition")
            self.expect(i.operands[1], type_)
            self.expect(i.operands[2], type_)
            return
        if operation in VECTOR_OPERATIONS:
            self.vector(i, type_)
            return
        if operation.compares and type_.lanes > 1:
            self.bad("compares scalars only")
        if operation in FLOAT_OPERATIONS:
            if not type_.element.is_float:
                self.bad(f"is for floats, not {type_}")
        elif type_.element.is_float:
            self.bad(f"is for integers, not {type_}")
        for operand in i.operands:
            self.expect(operand, type_)

    def vector(self, i: Instruction, type_: Type) -> None:
        """The operations that only vectors have."""
        operation = i.operation
        source = i.operands[0].type
        vector = source if operation is op.EXTRACT or operation in REDUCTIONS else type_
        if vector.lanes == 1 or (operation in (op.LOW, op.HIGH) and source.lanes == 1):
            self.bad(f"is for vectors, not {vector if vector.lanes == 1 else source}")
            return
        wanted = operand_types(operation, type_)
        if operation is op.EXTRACT and type_ is not source.element:
            self.bad(f"the lanes of {source} are {source.element}, not {type_}")
        elif operation in REDUCTIONS:
            if type_ is not I64 or source.element.is_float or source.element is I64:
                self.bad(f"cannot make {type_} of {source}")
        elif operation in (op.LOW, op.HIGH):
            wanted = [source]
            if HALVES.get(source) is not type_:
                self.bad(f"{type_} is no half of {source}")
        elif operation is op.JOIN:
            wanted = [HALVES.get(type_, type_)] * 2
        elif operation in CHOICES and type_.element.is_float != (operation in FLOAT_CHOICES):
            self.bad(f"is not for {type_}")
        for operand, expected in zip(i.operands, wanted, strict=True):
            if expected is not None:
                self.expect(operand, expected)
        if operation is op.EXTRACT or operation is op.INSERT:
            index = i.operands[1]
            if not isinstance(index, Constant) or not 0 <= index.value < vector.lanes:
                self.bad(f"{vector} has no lane {index!r}")

    def call(self, i: Instruction) -> None:
        signature = i.signature
        if signature is None:
            self.bad("has no signature")
            return
        arguments = i.operands
        if i.operation is op.CALL_INDIRECT:
            if not arguments:
                self.bad("has no callee")
                return
            self.expect(arguments[0], PTR, "callee")
            arguments = arguments[1:]
        else:
            known = self.module.signature_of(i.callee)
            if known is None:
                self.bad(f"@{i.callee} is neither defined nor declared")
            elif known != signature and signature.variadic_from is None:
                self.bad(f"the signature is not that of @{i.callee}")
        wanted = [type_ for type_, _ in parameter_leaves(signature)]
        if len(wanted) != len(arguments):
            self.bad(f"passes {len(arguments)} values, the signature has {len(wanted)}")
        for operand, type_ in zip(arguments, wanted, strict=False):
            self.expect(operand, type_, "argument")
        results = result_leaves(signature)
        if len(results) != len(i.results):
            self.bad(f"has {len(i.results)} results, the signature says {len(results)}")
        for value, type_ in zip(i.results, results, strict=False):
            self.expect(value, type_, "result")

    def terminator(self, i: Instruction) -> None:
        operation = i.operation
        if operation is op.RETURN:
            wanted = result_leaves(self.function.signature)
            if len(wanted) != len(i.operands):
                self.bad(f"returns {len(i.operands)} values, the signature says {len(wanted)}")
            for operand, type_ in zip(i.operands, wanted, strict=False):
                self.expect(operand, type_, "result")
        elif operation is op.BRANCH:
            if i.operands[0].type.is_float or i.operands[0].type.bits < 32:
                self.bad(f"the condition is {i.operands[0].type}")
        elif operation is op.SWITCH:
            if len(set(i.cases)) != len(i.cases):
                self.bad("two cases are equal")
            if len(i.cases) + 1 != len(i.targets):
                self.bad("cases and targets do not match")
        counts = {op.JUMP: 1, op.BRANCH: 2, op.RETURN: 0, op.UNREACHABLE: 0}
        if operation in counts and len(i.targets) != counts[operation]:
            self.bad(f"has {len(i.targets)} targets")
        for target in i.targets:
            parameters = target.block.parameters
            if len(parameters) != len(target.arguments):
                self.bad(
                    f"passes {len(target.arguments)} arguments to ^{target.block.name}, "
                    f"which has {len(parameters)} parameters"
                )
            for operand, value in zip(target.arguments, parameters, strict=False):
                self.expect(operand, value.type, f"argument for {value!r}")


def _shown(instruction: Instruction) -> str:
    """The instruction's text, whatever is wrong with it."""
    try:
        return instruction_text(instruction)
    except (AssertionError, ValueError, IndexError):
        return f"'{instruction.operation}'"
