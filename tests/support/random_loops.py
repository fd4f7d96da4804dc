"""Random nests of counted loops over memory: what the loop passes change.

A function has up to three loops in each other and behind each other, most of them tested at
their ends as the front ends make them.  Variables begin, step and end anywhere (a few dozen turns);
accesses go to linear functions of them in a table, a stack slot or through a parameter,
always inside.  Loads and stores of all may meet.  Some loops have a second way out, calls,
branches in the body, and values that are used behind them.
"""

from __future__ import annotations

import random

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import I64 as ABI_I64
from callproof.abi.types import POINTER
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import Block, Constant, Datum, Function, Module, Operand, Symbol
from callproof.ir.types import F64, I64, PTR

BYTES = 2048
MOST_TURNS = 13
ACCESSES = (
    (op.LOAD, op.STORE, 8),
    (op.LOAD, op.STORE, 8),
    (op.LOAD_U8, op.STORE8, 1),
    (op.LOAD_S16, op.STORE16, 2),
    (op.LOAD_S32, op.STORE32, 4),
)
ARITHMETIC = (op.ADD, op.SUB, op.MUL, op.XOR, op.AND, op.OR, op.SDIV, op.UREM)


class _Loop:
    """A variable's name, and the least and the greatest value that it has in the body."""

    def __init__(self, name: str, least: int, greatest: int) -> None:
        self.name = name
        self.least = least
        self.greatest = greatest


class _Generator:
    def __init__(self, module: Module, source: random.Random) -> None:
        self.module = module
        self.source = source
        self.builder: FunctionBuilder
        self.loops: list[_Loop] = []
        self.names = 0
        self.pointers: list[Operand] = []

    def number(self, value: int) -> Constant:
        return Constant(I64, value)

    def any_value(self) -> Operand:
        pick = self.source.random()
        if pick < 0.3 and self.loops:
            return self.builder.read(self.source.choice(self.loops).name)
        if pick < 0.8:
            return self.builder.read(self.source.choice(("a", "b", "n")))
        return self.number(self.source.choice((0, 1, 3, 33, 60, -5, 1 << 20, 255)))

    def address(self, size: int) -> tuple[Operand, int]:
        """An address with an offset, inside of an object whatever the variables are."""
        builder, source = self.builder, self.source
        while True:
            factors = [
                (loop, source.choice((0, 1, 1, 2, 3, 5, -1)) * source.choice((1, size, size)))
                for loop in self.loops
            ]
            ends = [sorted((f * loop.least, f * loop.greatest)) for loop, f in factors]
            low, high = sum(end[0] for end in ends), sum(end[1] for end in ends)
            if high - low <= BYTES - size:
                break
        start = source.randrange(-low, BYTES - size - high + 1)
        total: Operand | None = None
        for loop, factor in factors:
            if not factor:
                continue
            value = builder.read(loop.name)
            if source.random() < 0.3:  # (i + c) * factor
                more = source.randrange(-3, 4)
                value = builder.value(op.ADD, I64, value, self.number(more))
                start -= more * factor
            if factor & (factor - 1) == 0 and factor > 1 and source.random() < 0.7:
                value = builder.value(op.SHL, I64, value, self.number(factor.bit_length() - 1))
            elif factor != 1:
                value = builder.value(op.MUL, I64, value, self.number(factor))
            total = value if total is None else builder.value(op.ADD, I64, total, value)
        base = source.choice(self.pointers)
        offset = start if source.random() < 0.5 else 0
        if start != offset:
            left = self.number(start - offset)
            total = left if total is None else builder.value(op.ADD, I64, total, left)
        if total is None:
            return base, offset
        pair = (base, total) if source.random() < 0.8 else (total, base)
        return builder.value(op.ADD, PTR, *pair), offset

    def statement(self) -> None:
        builder, source = self.builder, self.source
        pick = source.random()
        if pick < 0.35:
            load, _, size = source.choice(ACCESSES)
            address, offset = self.address(size)
            loaded = builder.emit(load, I64, [address], offset=offset)
            assert loaded is not None
            mixed = builder.value(source.choice((op.ADD, op.XOR)), I64, builder.read("a"), loaded)
            builder.write("a", mixed)
        elif pick < 0.6:
            _, store, size = source.choice(ACCESSES)
            address, offset = self.address(size)
            builder.emit(store, I64, [self.any_value(), address], offset=offset)
        elif pick < 0.7:
            wide = builder.value(op.SITOF, F64, builder.read(source.choice(("b", "n"))))
            product = builder.value(op.FMUL, F64, wide, Constant(F64, 2.0))
            builder.write("f", builder.value(op.FADD, F64, builder.read("f"), product))
        elif pick < 0.8:
            then, end = builder.new_block("then"), builder.new_block("end")
            compared = builder.value(op.SLT, I64, self.any_value(), self.any_value())
            builder.branch(compared, then, end)
            builder.start(then)
            if source.random() < 0.5:
                more = builder.value(op.ADD, I64, builder.read("a"), self.any_value())
                builder.write("a", more)
            else:
                self.statement()
            builder.jump(end)
            builder.start(end)
        elif pick < 0.84:
            (result,) = builder.call("touch", self.module.functions["touch"].signature, [])
            builder.write("b", builder.value(op.ADD, I64, builder.read("b"), result))
        else:
            name = source.choice(("a", "b"))
            value = builder.value(
                source.choice(ARITHMETIC), I64, self.any_value(), self.any_value()
            )
            builder.write(name, value)

    def loop(self, depth: int) -> None:
        builder, source = self.builder, self.source
        turns = source.randrange(1, MOST_TURNS)
        if depth == 1 and source.random() < 0.3:
            turns = 2 * source.randrange(1, 10)
        step = source.choice((1, 1, 1, 2, 3, -1, -2))
        first = source.randrange(-4, 8)
        last = first + step * (turns - 1)
        name = f"i{self.names}"
        self.names += 1
        builder.declare(name, I64, name)
        builder.write(name, self.number(first))
        body, end = builder.new_block("loop"), builder.new_block("after")
        builder.jump(body)
        builder.start(body, seal=False)
        asks_first = source.random() < 0.25
        if asks_first:
            inside = builder.new_block("inside")
            holds = op.SLE if step > 0 else op.SGE
            tested = builder.value(holds, I64, builder.read(name), self.number(last))
            builder.branch(tested, inside, end)
            builder.start(inside)
        self.loops.append(_Loop(name, min(first, last), max(first, last)))
        for _ in range(source.randrange(1, 4)):
            self.statement()
        if depth > 1:
            self.loop(depth - 1)
            self.statement()
        if source.random() < 0.15:
            self._leave(end)
        if asks_first:
            following = builder.value(op.ADD, I64, builder.read(name), self.number(step))
            builder.write(name, following)
            builder.jump(body)
        else:
            self._test(name, step, last, body, end)
        self.loops.pop()
        builder.seal(body)
        builder.start(end)

    def _leave(self, end: Block) -> None:
        builder = self.builder
        on = builder.new_block("on")
        low = builder.value(op.AND, I64, builder.read("a"), self.number(15))
        builder.branch(builder.value(op.EQ, I64, low, self.number(7)), end, on)
        builder.start(on)

    def _test(self, name: str, step: int, last: int, body: Block, end: Block) -> None:
        """Behind the body: of the next value, of this one, or for being different."""
        builder, source = self.builder, self.source
        value = builder.read(name)
        following = builder.value(op.ADD, I64, value, self.number(step))
        builder.write(name, following)
        up = step > 0
        pick = source.random()
        bound: Operand = self.number(last)
        if source.random() < 0.3:  # a number that cannot be seen
            bound = builder.value(op.ADD, I64, builder.read("zero"), bound)
        if pick < 0.4:
            holds = builder.value(op.SLE if up else op.SGE, I64, following, bound)
            builder.branch(holds, body, end)
        elif pick < 0.6:
            holds = builder.value(op.SGT if up else op.SLT, I64, following, bound)
            builder.branch(holds, end, body)
        elif pick < 0.8:
            holds = builder.value(op.SLT if up else op.SGT, I64, value, bound)
            builder.branch(holds, body, end)
        elif pick < 0.9:
            builder.branch(builder.value(op.NE, I64, value, bound), body, end)
        else:
            builder.branch(builder.value(op.EQ, I64, value, bound), end, body)

    def function(self, name: str) -> Function:
        signature = Signature((Parameter(POINTER, "p"), Parameter(ABI_I64, "n")), ABI_I64)
        function = Function(name, signature)
        self.module.functions[name] = function
        self.builder = builder = FunctionBuilder(function)
        pointer, number = builder.entry.parameters
        slot = builder.slot(BYTES, 16, "local")
        self.pointers = [pointer, Symbol("table"), Symbol("hidden"), Symbol("given"), slot]
        for variable, value in (("a", 1), ("b", 7), ("f", 0), ("n", 0), ("zero", 0)):
            type_ = F64 if variable == "f" else I64
            builder.declare(variable, type_, variable)
            builder.write(variable, Constant(type_, float(value) if type_ is F64 else value))
        builder.write("n", number)
        masked = builder.value(op.AND, I64, number, self.number(0))
        builder.write("zero", masked)
        self._clear(slot)
        for _ in range(self.source.randrange(1, 3)):
            self.loop(self.source.choice((1, 1, 2, 2, 3)))
            self.statement()
        rounded = builder.value(op.FTOSI, I64, builder.read("f"))
        total = builder.value(op.ADD, I64, builder.read("a"), rounded)
        builder.return_(builder.value(op.XOR, I64, total, builder.read("b")))
        return builder.finish()

    def _clear(self, slot: Operand) -> None:
        builder = self.builder
        builder.declare("at", I64, "at")
        builder.write("at", self.number(0))
        body, end = builder.new_block("clear"), builder.new_block("cleared")
        builder.jump(body)
        builder.start(body, seal=False)
        at = builder.read("at")
        builder.store(I64, at, builder.value(op.ADD, PTR, slot, at))
        following = builder.value(op.ADD, I64, at, self.number(8))
        builder.write("at", following)
        builder.branch(builder.value(op.ULT, I64, following, self.number(BYTES)), body, end)
        builder.seal(body)
        builder.start(end)


def random_loops(seed: int) -> Module:
    """A module with `@main() -> i64`, a hash of what some random functions give and write."""
    source = random.Random(seed)
    module = Module(f"loops{seed}")
    # `given` is passed as an address, `hidden` is not, and `touch` writes both it and `table`.
    for name in ("table", "hidden", "given"):
        module.data[name] = Datum(name, alignment=16, writable=True, zero_bytes=BYTES)
    touch = module.functions["touch"] = Function("touch", Signature((), ABI_I64))
    builder = FunctionBuilder(touch)
    for name in ("table", "hidden"):
        counted = builder.load(I64, Symbol(name), 16)
        builder.store(I64, builder.value(op.ADD, I64, counted, Constant(I64, 1)), Symbol(name), 16)
    builder.return_(counted)
    builder.finish()
    generator = _Generator(module, source)
    made = [generator.function(f"f{index}") for index in range(3)]
    main = module.functions["main"] = Function("main", Signature((), ABI_I64))
    builder = FunctionBuilder(main)
    hashed: Operand = Constant(I64, seed)
    for function in made:
        pointer = Symbol(source.choice(("given", "table")))
        arguments: list[Operand] = [pointer, Constant(I64, source.randrange(-20, 20))]
        results = builder.call(function.name, function.signature, arguments)
        for value in (*results, builder.load(I64, Symbol("hidden"), source.randrange(0, 200) * 8)):
            mixed = builder.value(op.MUL, I64, hashed, Constant(I64, 1000003))
            hashed = builder.value(op.XOR, I64, mixed, value)
    builder.return_(hashed)
    builder.finish()
    return module
