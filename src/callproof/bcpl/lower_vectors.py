"""Arithmetic on whole vectors (reference, section 10): loops in functions made once a module.

Two elements go through a SIMD register at a time, the last odd one alone.  Sums of floats
are made in the order of the elements, so they are what a loop of the program's own gives.
Elements that are boxed packs (FQUADS, FOCTS) are taken out of their boxes one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import POINTER
from callproof.bcpl.lower_packs import LANE_OPERATIONS, PackLowering
from callproof.bcpl.lower_values import ONE, ZERO, in_word, ir_type, nothing_of
from callproof.bcpl.symbols import passed
from callproof.bcpl.value_types import FLOAT, ValueType
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import Constant, Function, Operand
from callproof.ir.types import BY_NAME, F64, I64, PTR, V2F64, V2I64, Type
from callproof.runtime.entries import ENTRIES

if TYPE_CHECKING:
    from callproof.bcpl.lower import ModuleLowering

NAMES = {"+": "add", "-": "sub", "*": "mul", "/": "div", "SUM": "add", "ADD": "add"}
EIGHT, SIXTEEN = Constant(I64, 8), Constant(I64, 16)
LENGTH_AT = -8
_BOTH = Signature((Parameter(POINTER, "a"), Parameter(POINTER, "b")), POINTER)


def element_of(vector: ValueType) -> ValueType:
    assert vector.element is not None
    return vector.element


def two_elements(element: ValueType) -> Type | None:
    """The vector type of two neighbouring elements in memory; None of boxed packs."""
    if element is FLOAT:
        return V2F64
    pack = element.pack
    if pack is None:
        return V2I64
    vector = pack.vector
    return None if pack.boxed else BY_NAME[f"v{2 * vector.lanes}{vector.element.name}"]


def elementwise(module: ModuleLowering, name: str, vector: ValueType) -> tuple[str, Signature]:
    """The function that makes a new vector of two, as long as the shorter one."""
    symbol = f"vectors.{vector.name}.{NAMES.get(name, name.lower())}"
    if symbol not in module.module.functions:
        shown = f"{vector.name} {name} {vector.name}"
        _Loops(module, symbol, shown, _BOTH, vector).elementwise(name)
    return symbol, _BOTH


def reduction(module: ModuleLowering, name: str, vector: ValueType) -> tuple[str, Signature]:
    """The function that combines all elements; zero of an empty vector."""
    symbol = f"vectors.{vector.name}.{name.lower()}_of_all"
    signature = Signature((Parameter(POINTER, "v"),), passed(element_of(vector), False))
    if symbol not in module.module.functions:
        _Loops(module, symbol, f"{name} of {vector.name}", signature, vector).reduction(name)
    return symbol, signature


def pairwise(module: ModuleLowering, name: str, vector: ValueType) -> tuple[str, Signature]:
    """The function that combines neighbours: those of `b`, if it is not 0, behind those of `a`."""
    symbol = f"vectors.{vector.name}.pairwise_{name.lower()}"
    if symbol not in module.module.functions:
        shown = f"PAIRWISE_{name} of {vector.name}"
        _Loops(module, symbol, shown, _BOTH, vector).pairwise(name)
    return symbol, _BOTH


class _Loops(PackLowering):
    """One such function being built."""

    def __init__(
        self,
        module: ModuleLowering,
        symbol: str,
        shown: str,
        signature: Signature,
        vector: ValueType,
    ) -> None:
        function = Function(symbol, signature)
        function.display_name = shown
        function.exported = False
        module.module.functions[symbol] = function
        super().__init__(module, FunctionBuilder(function), None)
        self.element = element_of(vector)
        self.arguments = list(self.builder.entry.parameters)

    # --- the parts of a loop ----------------------------------------------------------------

    def length(self, vector: Operand) -> Operand:
        """Of 0 it is 0."""
        builder = self.builder
        some, end = builder.new_block("some"), builder.new_block("length")
        result = object()
        builder.declare(result, I64, "length")
        builder.write(result, ZERO)
        builder.branch(vector, some, end)
        builder.start(some)
        builder.write(result, builder.load(I64, vector, LENGTH_AT, "length"))
        builder.jump(end)
        builder.start(end)
        return builder.read(result)

    def loop(
        self, first: Operand, end: Operand, step: Operand, body: Callable[[Operand], None]
    ) -> None:
        """`body(offset)` for offsets from `first` on, as long as they are below `end`."""
        builder = self.builder
        inside, done = builder.new_block("loop"), builder.new_block("done")
        offset = object()
        builder.declare(offset, I64, "offset")
        builder.write(offset, first)
        builder.branch(builder.value(op.SLT, I64, first, end), inside, done)
        builder.start(inside, seal=False)
        body(builder.read(offset))
        following = builder.value(op.ADD, I64, builder.read(offset), step)
        builder.write(offset, following)
        builder.branch(builder.value(op.SLT, I64, following, end), inside, done)
        builder.seal(inside)
        builder.start(done)

    def at(self, base: Operand, offset: Operand) -> Operand:
        return self.builder.value(op.ADD, PTR, base, offset)

    def is_float(self) -> bool:
        return self.element is FLOAT or (
            self.element.pack is not None and self.element.pack.is_float
        )

    def combine(self, name: str, a: Operand, b: Operand) -> Operand:
        """Two elements, or two times two."""
        if a.type.lanes > 1:
            return self.builder.value(LANE_OPERATIONS[name][self.is_float()], a.type, a, b)
        return self.combined(name, self.is_float(), a, b)

    def new_vector(self, length: Operand) -> Operand:
        return self.runtime_call(ENTRIES["GETVEC"], length)

    # --- the functions ----------------------------------------------------------------------

    def elementwise(self, name: str) -> None:
        builder = self.builder
        a, b = self.arguments
        lengths = [self.length(a), self.length(b)]
        shorter = builder.value(op.SLT, I64, *lengths)
        length = builder.value(op.SELECT, I64, shorter, *lengths, name="length")
        result = self.new_vector(length)
        end = builder.value(op.SHL, I64, length, Constant(I64, 3))
        first: Operand = ZERO
        two = two_elements(self.element)
        if two is not None:
            first = builder.value(op.AND, I64, end, Constant(I64, -16))

            def both(offset: Operand) -> None:
                pair = [builder.load(two, self.at(one, offset)) for one in (a, b)]
                builder.store(two, self.combine(name, *pair), self.at(result, offset))

            self.loop(ZERO, first, SIXTEEN, both)

        def single(offset: Operand) -> None:
            pair = [self.load_value(self.element, self.at(one, offset)) for one in (a, b)]
            self.store_value(self.element, self.combine(name, *pair), self.at(result, offset))

        self.loop(first, end, EIGHT, single)
        builder.return_(result)
        builder.finish()

    def reduction(self, name: str) -> None:
        builder = self.builder
        (vector,) = self.arguments
        length = self.length(vector)
        some, done = builder.new_block("elements"), builder.new_block("reduced")
        result = object()
        builder.declare(result, ir_type(self.element), "result")
        builder.write(result, nothing_of(self.element))
        builder.branch(builder.value(op.SGT, I64, length, ZERO), some, done)
        builder.start(some)
        builder.write(result, self.load_value(self.element, vector))
        end = builder.value(op.SHL, I64, length, Constant(I64, 3))

        def next_one(offset: Operand) -> None:
            value = self.load_value(self.element, self.at(vector, offset))
            builder.write(result, self.combine(name, builder.read(result), value))

        self.loop(EIGHT, end, EIGHT, next_one)
        builder.jump(done)
        builder.start(done)
        builder.return_(*self.passed(self.element, builder.read(result), False))
        builder.finish()

    def pairwise(self, name: str) -> None:
        """Of numbers half as many as there are, of packs one for each."""
        builder, pack = self.builder, self.element.pack
        kind: Type = F64 if self.is_float() else I64
        counts = []
        for vector in self.arguments:
            length = self.length(vector)
            halved = builder.value(op.ASHR, I64, length, ONE) if pack is None else length
            counts.append(halved)
        result = self.new_vector(builder.value(op.ADD, I64, *counts))
        to = result
        for vector, count in zip(self.arguments, counts, strict=True):
            end = builder.value(op.SHL, I64, count, Constant(I64, 3))

            def one(offset: Operand, vector: Operand = vector, to: Operand = to) -> None:
                if pack is not None:
                    value = self.load_value(self.element, self.at(vector, offset))
                    found = self.reduced_pack(name, pack, value)
                else:
                    twice = builder.value(op.SHL, I64, offset, ONE)
                    place = self.at(vector, twice)
                    pair = [builder.load(in_word(self.element), place, at) for at in (0, 8)]
                    found = self.combine(name, *pair)
                builder.store(kind, found, self.at(to, offset))

            self.loop(ZERO, end, EIGHT, one)
            to = self.at(to, end)
        builder.return_(result)
        builder.finish()


__all__ = ["elementwise", "pairwise", "reduction"]
