"""Random IR: functions that end, with everything that code generation has to get right.

Built with `FunctionBuilder`, so variables become SSA values and block parameters.
Functions call only those made before them; loops count down a variable of their own.
Floats are observed through comparisons and conversions only, as the bits of a NaN
may differ between machines.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import F32 as ABI_F32
from callproof.abi.types import F64 as ABI_F64
from callproof.abi.types import I8 as ABI_I8
from callproof.abi.types import I16 as ABI_I16
from callproof.abi.types import I32 as ABI_I32
from callproof.abi.types import I64 as ABI_I64
from callproof.abi.types import POINTER, VALUE
from callproof.abi.types import Type as AbiType
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import (
    Constant,
    Datum,
    Function,
    Module,
    Operand,
    Symbol,
    parameter_leaves,
    result_leaves,
)
from callproof.ir.types import F32, F64, I8, I16, I32, I64, PTR, Type
from tests.support import random_vectors

PARAMETER_TYPES: list[AbiType] = [
    ABI_I64, ABI_I64, ABI_I64, ABI_F64, ABI_F64, ABI_I32, ABI_I16, ABI_I8, ABI_F32, VALUE, POINTER
]  # fmt: skip
RESULT_TYPES: list[AbiType | None] = [ABI_I64, ABI_I64, ABI_F64, ABI_I32, ABI_F32, VALUE, None]
INTEGERS = [I64, I32, I16, I8]
FLOATS = [F64, F32]
BINARY = [op.ADD, op.SUB, op.MUL, op.SDIV, op.UDIV, op.SREM, op.UREM, op.AND, op.OR, op.XOR,
          op.SHL, op.LSHR, op.ASHR]  # fmt: skip
COMPARE = [op.EQ, op.NE, op.SLT, op.SLE, op.SGT, op.SGE, op.ULT, op.ULE, op.UGT, op.UGE]
FLOAT_BINARY = [op.FADD, op.FSUB, op.FMUL, op.FDIV]
FLOAT_COMPARE = [op.FEQ, op.FNE, op.FLT, op.FLE, op.FGT, op.FGE]
NARROW_LOADS = [op.LOAD_S8, op.LOAD_U8, op.LOAD_S16, op.LOAD_U16, op.LOAD_S32, op.LOAD_U32]
NARROW_STORES = [op.STORE8, op.STORE16, op.STORE32]
INTERESTING = [0, 1, -1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 4095, 4096,
               65535, 65536, 0x5555, -128, -129, 0x7FFFFFFF, -0x80000000, 1 << 40, (1 << 63) - 1,
               -(1 << 63), 0x00FF00FF00FF00FF]  # fmt: skip
INTERESTING_FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.25, 1e10, -1e-10, 1e300, 123456.789, 0.1]


@dataclass(slots=True)
class Size:
    """How large a function gets."""

    statements: int = 12
    depth: int = 3
    variables: int = 8
    vectors: bool = True


class _Generator:
    def __init__(self, module: Module, source: random.Random, size: Size) -> None:
        self.module = module
        self.source = source
        self.size = size
        self.builder: FunctionBuilder
        self.variables: dict[Type, list[str]] = {}
        self.slot: Operand = Symbol("memory")
        self.callees: list[Function] = []
        self.counters = 0

    def constant(self, type_: Type) -> Constant:
        if type_.lanes > 1:
            return random_vectors.vector_constant(self, type_)
        if type_.is_float:
            value = self.source.choice(INTERESTING_FLOATS)
            return Constant(type_, _single(value) if type_ is F32 else value)
        number = self.source.choice(INTERESTING)
        if self.source.random() < 0.3:
            number = self.source.getrandbits(self.source.choice((4, 12, 16, 32, 64)))
        number &= (1 << type_.bits) - 1
        return Constant(type_, number - (1 << type_.bits) if number >> (type_.bits - 1) else number)

    def operand(self, type_: Type, constants: float = 0.25) -> Operand:
        names = self.variables.get(I64 if type_ is PTR else type_)
        if names and self.source.random() >= constants:
            return self.builder.read(self.source.choice(names))
        return self.constant(I64 if type_ is PTR else type_)

    def assign(self, type_: Type, value: Operand) -> None:
        names = self.variables.setdefault(type_, [])
        if not names or (len(names) < self.size.variables and self.source.random() < 0.3):
            name = f"{type_.name}v{len(names)}"
            self.builder.declare(name, type_, name)
            names.append(name)
            self.builder.write(name, value)
            return
        self.builder.write(self.source.choice(names), value)

    # --- statements --------------------------------------------------------------------------

    def statement(self, depth: int) -> None:
        pick = self.source.random()
        if pick < 0.34:
            self.arithmetic()
        elif pick < 0.48:
            self.float_arithmetic()
        elif pick < 0.56:
            self.conversion()
        elif pick < 0.66:
            self.memory()
        elif pick < 0.73:
            self.call()
        elif pick < 0.80 and self.size.vectors:
            for _ in range(3):
                random_vectors.statement(self)
        elif depth <= 0:
            self.arithmetic()
        elif pick < 0.88:
            self.if_(depth)
        elif pick < 0.95:
            self.loop(depth)
        else:
            self.switch(depth)

    def arithmetic(self) -> None:
        type_ = self.source.choice(INTEGERS)
        pick = self.source.random()
        if pick < 0.15:
            value = self.comparison()
            self.assign(I64, value)
            return
        if pick < 0.25:
            condition = self.comparison()
            chosen = self.builder.value(
                op.SELECT, type_, condition, self.operand(type_), self.operand(type_)
            )
            self.assign(type_, chosen)
            return
        operation = self.source.choice(BINARY)
        first = self.operand(type_)
        if operation in (op.SHL, op.LSHR, op.ASHR) and self.source.random() < 0.7:
            second: Operand = Constant(type_, self.source.randrange(0, min(70, type_.bits + 4)))
        else:
            second = self.operand(type_)
        value = self.builder.value(operation, type_, first, second)
        if self.source.random() < 0.2:  # shapes that selection folds
            outer = self.source.choice((op.ADD, op.SUB, op.AND, op.OR, op.XOR))
            value = self.builder.value(outer, type_, self.operand(type_), value)
        self.assign(type_, value)

    def comparison(self) -> Operand:
        if self.source.random() < 0.3:
            type_ = self.source.choice(FLOATS)
            operation = self.source.choice(FLOAT_COMPARE)
        else:
            type_ = self.source.choice(INTEGERS)
            operation = self.source.choice(COMPARE)
        return self.builder.value(operation, type_, self.operand(type_), self.operand(type_, 0.5))

    def float_arithmetic(self) -> None:
        type_ = self.source.choice(FLOATS)
        pick = self.source.random()
        if pick < 0.7:
            operation = self.source.choice(FLOAT_BINARY)
            operands = [self.operand(type_), self.operand(type_)]
        elif pick < 0.8:
            chosen = self.builder.value(
                op.SELECT, type_, self.comparison(), self.operand(type_), self.operand(type_)
            )
            self.assign(type_, chosen)
            return
        else:
            operation = self.source.choice((op.FNEG, op.FABS, op.FSQRT))
            operands = [self.operand(type_)]
        self.assign(type_, self.builder.value(operation, type_, *operands))

    def conversion(self) -> None:
        builder, choose = self.builder, self.source.choice
        pick = self.source.randrange(6)
        if pick == 0:
            to = choose(FLOATS)
            self.assign(to, builder.value(op.SITOF, to, self.operand(choose((I64, I32)))))
        elif pick == 1:
            to = choose(INTEGERS)
            operation = choose((op.FTOSI, op.FLOORTOSI))
            self.assign(to, builder.value(operation, to, self.operand(choose(FLOATS))))
        elif pick == 2:
            self.assign(F64, builder.value(op.FEXT, F64, self.operand(F32)))
        elif pick == 3:
            self.assign(F32, builder.value(op.FTRUNC, F32, self.operand(F64)))
        else:
            wide, narrow = sorted(self.source.sample(INTEGERS, 2), key=lambda t: -t.bits)
            if pick == 4:
                value = builder.value(choose((op.SEXT, op.ZEXT)), wide, self.operand(narrow))
                self.assign(wide, value)
            else:
                self.assign(narrow, builder.value(op.TRUNC, narrow, self.operand(wide)))

    def memory(self) -> None:
        """Typed places in the stack slot or the global; 64 bytes each."""
        builder = self.builder
        base: Operand = self.slot if self.source.random() < 0.6 else Symbol("memory")
        if self.source.random() < 0.15:  # one of the two: the slot's address gets about
            base = builder.value(op.SELECT, PTR, self.comparison(), base, self.slot)
        pick = self.source.random()
        if pick < 0.05:
            type_ = self.source.choice(INTEGERS)
            offset = self.source.randrange(0, 33 - type_.size)
            self.assign(type_, builder.load(type_, Symbol("table"), offset))
            return
        if pick < 0.25:  # the integer half: any width, also indexed
            index = builder.value(op.AND, I64, self.operand(I64), Constant(I64, 3))
            scaled = builder.value(op.SHL, I64, index, Constant(I64, 3))
            address = builder.value(op.ADD, I64, base, scaled)
            if self.source.random() < 0.5:
                builder.store(I64, self.operand(I64), address)
            else:
                self.assign(I64, builder.load(I64, address))
            return
        if pick < 0.75:
            type_ = self.source.choice(INTEGERS)
            offset = self.source.randrange(0, 33 - type_.size)
            if self.source.random() < 0.3:
                if self.source.random() < 0.5:
                    operation = self.source.choice(NARROW_STORES)
                    builder.emit(operation, I64, [self.operand(I64), base], offset=offset % 28)
                else:
                    operation = self.source.choice(NARROW_LOADS)
                    loaded = builder.emit(operation, I64, [base], offset=offset % 28)
                    assert loaded is not None
                    self.assign(I64, loaded)
            elif self.source.random() < 0.5:
                builder.store(type_, self.operand(type_), base, offset)
            else:
                self.assign(type_, builder.load(type_, base, offset))
            return
        type_ = self.source.choice(FLOATS)  # the float half: one place for each type
        offset = 32 + (0 if type_ is F64 else 16)
        if self.source.random() < 0.5:
            builder.store(type_, self.operand(type_), base, offset)
        else:
            self.assign(type_, builder.load(type_, base, offset))

    def call(self) -> None:
        if not self.callees:
            self.arithmetic()
            return
        callee = self.source.choice(self.callees)
        arguments = [self.operand(type_) for type_, _ in parameter_leaves(callee.signature)]
        target: str | Operand = callee.name
        if self.source.random() < 0.3:
            target = Symbol(callee.name)
            if self.source.random() < 0.5:  # through a value that nobody can see through
                mask = self.builder.value(op.AND, I64, self.operand(I64), Constant(I64, 0))
                target = self.builder.value(op.ADD, I64, target, mask)
        results = self.builder.call(target, callee.signature, arguments)
        for value, type_ in zip(results, result_leaves(callee.signature), strict=True):
            self.assign(type_, value)

    def body(self, depth: int) -> None:
        for _ in range(self.source.randrange(1, 4)):
            self.statement(depth - 1)

    def if_(self, depth: int) -> None:
        builder = self.builder
        then, otherwise = builder.new_block("then"), builder.new_block("else")
        end = builder.new_block("end")
        condition = self.comparison() if self.source.random() < 0.8 else self.operand(I64)
        builder.branch(condition, then, otherwise)
        known = {type_: list(names) for type_, names in self.variables.items()}
        for block in (then, otherwise):
            builder.start(block)
            self.body(depth)
            builder.jump(end)
            self.variables = {type_: list(names) for type_, names in known.items()}
        builder.start(end)

    def loop(self, depth: int) -> None:
        builder = self.builder
        counter = f"counter{self.counters}"
        self.counters += 1
        builder.declare(counter, I64, counter)
        builder.write(counter, Constant(I64, self.source.randrange(1, 5)))
        head, body = builder.new_block("head"), builder.new_block("body")
        end = builder.new_block("end")
        builder.jump(head)
        builder.start(head, seal=False)
        condition = builder.value(op.SGT, I64, builder.read(counter), Constant(I64, 0))
        builder.branch(condition, body, end)
        builder.start(body)
        known = {type_: list(names) for type_, names in self.variables.items()}
        self.body(depth)
        left = builder.value(op.SUB, I64, builder.read(counter), Constant(I64, 1))
        builder.write(counter, left)
        builder.jump(head)
        builder.seal(head)
        self.variables = known
        builder.start(end)

    def switch(self, depth: int) -> None:
        builder = self.builder
        count = self.source.randrange(1, 12)
        values = self.source.sample(range(-4, 12), count)
        if self.source.random() < 0.3:
            values = [value * 1000 + 5 if value > 5 else value for value in values]
        blocks = [builder.new_block("case") for _ in values]
        default, end = builder.new_block("default"), builder.new_block("end")
        masked = builder.value(op.AND, I64, self.operand(I64), Constant(I64, 15))
        masked = builder.value(op.SUB, I64, masked, Constant(I64, 5))
        builder.switch(masked, default, list(zip(values, blocks, strict=True)))
        known = {type_: list(names) for type_, names in self.variables.items()}
        for block in (*blocks, default):
            builder.start(block)
            self.body(depth)
            builder.jump(end)
            self.variables = {type_: list(names) for type_, names in known.items()}
        builder.start(end)

    # --- functions --------------------------------------------------------------------------------

    def function(self, name: str) -> Function:
        choose = self.source.choice
        count = choose((0, 1, 2, 3, 4, 6, 9, 12, 20))
        found, results = PARAMETER_TYPES, RESULT_TYPES
        if self.size.vectors and self.source.random() < 0.4:
            found = [*found, *random_vectors.PARAMETERS, *random_vectors.PARAMETERS]
            results = [*results, *random_vectors.PARAMETERS]
        parameters = tuple(Parameter(choose(found), f"p{i}") for i in range(count))
        signature = Signature(parameters, choose(results))
        function = Function(name, signature)
        self.module.functions[name] = function
        self.builder = builder = FunctionBuilder(function)
        self.variables = {}
        self.slot = builder.slot(random_vectors.MEMORY_SIZE, 16, "local")
        for value in builder.entry.parameters:
            type_ = I64 if value.type is PTR else value.type
            names = self.variables.setdefault(type_, [])
            names.append(f"{value.name}_{value.number}")
            builder.declare(names[-1], type_, value.name)
            builder.write(names[-1], value)
        for offset in range(0, random_vectors.MEMORY_SIZE, 8):
            if offset in (32, 48):
                kind = F64 if offset == 32 else F32
                builder.store(kind, Constant(kind, 0.0), self.slot, offset)
            else:
                builder.store(I64, Constant(I64, 0), self.slot, offset)
        for _ in range(self.source.randrange(2, self.size.statements)):
            self.statement(self.size.depth)
        if self.size.vectors:
            random_vectors.keep(self)
        builder.return_(*(self.operand(type_) for type_ in result_leaves(signature)))
        return builder.finish()


def _single(value: float) -> float:
    import struct

    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return 1.5


def random_module(seed: int, functions: int = 6, size: Size | None = None) -> Module:
    """A module with `functions` random functions and `@main() -> i64`, a hash of their results."""
    source = random.Random(seed)
    module = Module(f"random{seed}")
    module.data["memory"] = Datum("memory", alignment=16, writable=True, zero_bytes=112)
    table = Datum("table", bytes(source.choices(range(256), k=32)), alignment=8)
    module.data["table"] = table
    # Half of the modules have vectors, with odd and even seeds among them.
    generator = _Generator(module, source, size or Size(vectors=seed % 4 < 2))
    made: list[Function] = []
    for index in range(functions):
        generator.callees = source.sample(made, min(len(made), 2))
        made.append(generator.function(f"f{index}"))
        made[-1].exported = source.random() < 0.5
    main = Function("main", Signature((), ABI_I64))
    module.functions["main"] = main
    generator.builder = builder = FunctionBuilder(main)
    generator.variables = {}
    builder.declare("hash", I64, "hash")
    builder.write("hash", Constant(I64, seed))
    for function in made:
        arguments: list[Operand] = [
            generator.constant(I64 if type_ is PTR else type_)
            for type_, _ in parameter_leaves(function.signature)
        ]
        results = [*builder.call(function.name, function.signature, arguments)]
        if generator.size.vectors:
            results += random_vectors.observed(generator)
        for result in results:
            word: Operand = result
            if result.type.lanes > 1:
                element = result.type.element
                lane = Constant(I64, result.type.lanes - 1)
                result = builder.value(op.EXTRACT, element, result, lane)
                word = result
            if result.type.is_float:
                word = builder.value(op.FTOSI, I64, result)
            elif result.type.bits < 64:
                word = builder.value(op.SEXT, I64, result)
            mixed = builder.value(op.MUL, I64, builder.read("hash"), Constant(I64, 1000003))
            builder.write("hash", builder.value(op.XOR, I64, mixed, word))
    builder.return_(builder.read("hash"))
    builder.finish()
    return module
