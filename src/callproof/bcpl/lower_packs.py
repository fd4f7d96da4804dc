"""Packs (reference, section 10): lanes in and out of words, arithmetic lane by lane.

A lane is an i64 (sign-extended) in integer packs and an f32 in float packs.  Packs of
more than a word are addresses of words that nobody changes; address 0 stands for zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callproof.bcpl import nodes as ast
from callproof.bcpl.lower_values import ZERO, ValueLowering
from callproof.bcpl.value_types import FLOAT, INTEGER, Pack, ValueType, described
from callproof.ir import operations as op
from callproof.ir.model import CONSTANT, Constant, Operand, Symbol
from callproof.ir.types import F32, F64, I32, I64
from callproof.runtime.entries import ENTRIES
from callproof.source import Note

LANE_OPERATIONS = {
    "+": (op.ADD, op.FADD),
    "-": (op.SUB, op.FSUB),
    "*": (op.MUL, op.FMUL),
    "/": (op.SDIV, op.FDIV),
}
EXTREMES = {"MIN": (op.SLT, op.FLT), "MAX": (op.SGT, op.FGT)}
# The runtime's numbers for what is done to whole vectors (`packs.c`).
VECTOR_OPERATIONS = {"+": 0, "-": 1, "*": 2, "/": 3, "MIN": 4, "MAX": 5}


class PackLowering(ValueLowering):
    """Packs as values."""

    # --- lanes ------------------------------------------------------------------------------

    def box(self, value: Operand) -> Operand:
        """The address of a boxed pack's words, of zeros for 0."""
        zeros = Symbol(self.module.zero_box(), 8)
        return self.builder.value(op.SELECT, I64, value, value, zeros)

    def lane(self, pack: Pack, value: Operand, index: Operand) -> Operand:
        """One lane, raw."""
        builder = self.builder
        if pack.boxed:
            return builder.load(F32, self._lane_address(pack, self.box(value), index))
        at = builder.value(op.MUL, I64, index, Constant(I64, pack.bits))
        low = builder.value(op.LSHR, I64, value, at)
        if pack.is_float:
            return builder.value(op.BITCAST, F32, builder.value(op.TRUNC, I32, low))
        unused = Constant(I64, 64 - pack.bits)
        return builder.value(op.ASHR, I64, builder.value(op.SHL, I64, low, unused), unused)

    def _lane_address(self, pack: Pack, box: Operand, index: Operand) -> Operand:
        inside = self.builder.value(op.AND, I64, index, Constant(I64, pack.lanes - 1))
        offset = self.builder.value(op.SHL, I64, inside, Constant(I64, 2))
        return self.builder.value(op.ADD, I64, box, offset)

    def lanes(self, pack: Pack, value: Operand) -> list[Operand]:
        return [self.lane(pack, value, Constant(I64, index)) for index in range(pack.lanes)]

    def widened(self, pack: Pack, lane: Operand) -> Operand:
        """A raw lane as a value of the language: a word, or a FLOAT."""
        return self.builder.value(op.FEXT, F64, lane) if pack.is_float else lane

    def narrowed(self, pack: Pack, value: Operand, type_: ValueType) -> Operand:
        """A value of the language as a raw lane."""
        if not pack.is_float:
            return self.convert(value, type_, INTEGER)
        return self.builder.value(op.FTRUNC, F32, self.convert(value, type_, FLOAT))

    def _lane_bits(self, pack: Pack, lane: Operand) -> Operand:
        """A raw lane in the low bits of a word, zeros above."""
        builder = self.builder
        if pack.is_float:
            return builder.value(op.ZEXT, I64, builder.value(op.BITCAST, I32, lane))
        return builder.value(op.AND, I64, lane, Constant(I64, (1 << pack.bits) - 1))

    def packed(self, pack: Pack, lanes: Sequence[Operand]) -> Operand:
        """A pack of raw lanes."""
        builder = self.builder
        if pack.boxed:
            box = self.runtime_call(ENTRIES["GETVEC"], Constant(I64, pack.words))
            for index, lane in enumerate(lanes):
                builder.store(F32, lane, box, 4 * index)
            return box
        word: Operand = ZERO
        for index, lane in enumerate(lanes):
            bits = self._lane_bits(pack, lane)
            moved = builder.value(op.SHL, I64, bits, Constant(I64, pack.bits * index))
            word = builder.value(op.OR, I64, word, moved)
        return word

    def with_lane(self, pack: Pack, value: Operand, index: Operand, lane: Operand) -> Operand:
        """The pack with another lane in one place."""
        builder = self.builder
        if pack.boxed:
            box = self.packed(pack, self.lanes(pack, value))
            builder.store(F32, lane, self._lane_address(pack, box, index))
            return box
        at = builder.value(op.MUL, I64, index, Constant(I64, pack.bits))
        mask = builder.value(op.SHL, I64, Constant(I64, (1 << pack.bits) - 1), at)
        others = builder.value(op.XOR, I64, mask, Constant(I64, -1))
        kept = builder.value(op.AND, I64, value, others)
        moved = builder.value(op.SHL, I64, self._lane_bits(pack, lane), at)
        return builder.value(op.OR, I64, kept, moved)

    # --- expressions ------------------------------------------------------------------------

    def lane_index(self, node: ast.Lane, pack: Pack) -> Operand:
        index = self.converted(node.index, INTEGER)
        number = index.value if index.kind == CONSTANT else 0  # type: ignore[union-attr]
        if not 0 <= number < pack.lanes:
            self.module.diagnostics.error(
                f"{described(node.pack.type)} has the lanes 0 to {pack.lanes - 1}, "
                f"not {int(number)}",
                node.index.span,
                code="lane",
            )
        return index

    def pack_of(self, node: ast.Lane) -> Pack | None:
        """The pack whose lane is meant; a message and None if it is none."""
        type_: ValueType = node.pack.type
        if type_.pack is None:
            what = "of no known class" if type_.name in ("WORD", "INTEGER") else described(type_)
            self.module.diagnostics.error(
                f"this is {what} and has no lanes", node.span, self.as_hint(), code="type"
            )
        return type_.pack

    def as_hint(self) -> list[Note]:
        return [Note("a pack that is not known to be one gets its class by AS: LET p AS PAIR = e")]

    def make_pack(self, node: ast.Constructor) -> Operand:
        pack = node.type.pack
        assert isinstance(pack, Pack)
        if len(node.elements) != pack.lanes:
            self.module.diagnostics.error(
                f"{described(node.type)} has {pack.lanes} lanes, {len(node.elements)} values given",
                node.span,
                code="lane",
            )
            return ZERO
        values = [(self.value(element), element.type) for element in node.elements]
        return self.packed(pack, [self.narrowed(pack, value, type_) for value, type_ in values])

    def pack_binary(self, node: ast.Binary, left: Operand) -> Operand:
        """Lane by lane; a number beside a pack stands for a pack full of it."""
        type_: ValueType = node.type
        pack = type_.pack
        assert pack is not None
        right = self.value(node.right)
        sides = []
        for value, side in ((left, node.left.type), (right, node.right.type)):
            if side is type_:
                sides.append(self.lanes(pack, value))
            elif side.pack is not None:
                self.module.diagnostics.error(
                    f"{described(node.left.type)} and {described(node.right.type)} cannot be "
                    "combined: their lanes differ",
                    node.span,
                    code="type",
                )
                return ZERO
            else:
                sides.append([self.narrowed(pack, value, side)] * pack.lanes)
        operation = LANE_OPERATIONS[node.operator][pack.is_float]
        kind = F32 if pack.is_float else I64
        return self.packed(
            pack, [self.builder.value(operation, kind, a, b) for a, b in zip(*sides, strict=True)]
        )

    def negated_pack(self, pack: Pack, value: Operand) -> Operand:
        negate: Callable[[Operand], Operand] = lambda lane: (
            self.builder.value(op.FNEG, F32, lane)
            if pack.is_float
            else self.builder.value(op.SUB, I64, ZERO, lane)
        )
        return self.packed(pack, [negate(lane) for lane in self.lanes(pack, value)])

    def equal_packs(self, pack: Pack, left: Operand, right: Operand) -> Operand:
        """1 if all bits agree, else 0."""
        builder = self.builder
        if not pack.boxed:
            return builder.value(op.EQ, I64, left, right)
        a, b = self.box(left), self.box(right)
        result: Operand = Constant(I64, 1)
        for index in range(pack.words):
            first, second = (builder.load(I64, one, 8 * index) for one in (a, b))
            same = builder.value(op.EQ, I64, first, second)
            result = builder.value(op.AND, I64, result, same)
        return result

    # --- MIN, MAX, SUM -----------------------------------------------------------------------

    def combined(self, name: str, is_float: bool, a: Operand, b: Operand) -> Operand:
        """MIN, MAX or SUM of two raw lanes or two numbers."""
        kind = a.type if is_float else I64
        if name in ("SUM", "ADD"):
            return self.builder.value(op.FADD if is_float else op.ADD, kind, a, b)
        chosen = self.builder.value(EXTREMES[name][is_float], kind, a, b)
        return self.builder.value(op.SELECT, kind, chosen, a, b)

    def combined_packs(self, name: str, pack: Pack, a: Operand, b: Operand) -> Operand:
        lanes = zip(self.lanes(pack, a), self.lanes(pack, b), strict=True)
        return self.packed(pack, [self.combined(name, pack.is_float, x, y) for x, y in lanes])

    def reduced_pack(self, name: str, pack: Pack, value: Operand) -> Operand:
        """All lanes combined into one value of the language."""
        first, *others = (self.widened(pack, lane) for lane in self.lanes(pack, value))
        for lane in others:
            first = self.combined(name, pack.is_float, first, lane)
        return first

    def pairwise_packs(self, name: str, pack: Pack, a: Operand, b: Operand) -> Operand:
        """Neighbours of the first pack combined, then those of the second."""
        found = []
        for value in (a, b):
            lanes = self.lanes(pack, value)
            found += [
                self.combined(name, pack.is_float, lanes[i], lanes[i + 1])
                for i in range(0, pack.lanes, 2)
            ]
        return self.packed(pack, found)
