"""Packs (reference, section 10) are vectors: lanes in and out, arithmetic on all lanes at once.

A raw lane has the vector's element type: i32, i16, i8 or f32.
"""

from __future__ import annotations

from collections.abc import Sequence

from callproof.bcpl import nodes as ast
from callproof.bcpl.lower_values import ONE, ZERO, ValueLowering, nothing_of
from callproof.bcpl.value_types import FLOAT, INTEGER, Pack, ValueType, described
from callproof.ir import operations as op
from callproof.ir.interpret import round_float
from callproof.ir.model import CONSTANT, Constant, Operand
from callproof.ir.types import F32, F64, I32, I64, V2I64, V4F32
from callproof.ir.vectors import constant
from callproof.source import Note

LANE_OPERATIONS = {
    "+": (op.ADD, op.FADD),
    "-": (op.SUB, op.FSUB),
    "*": (op.MUL, op.FMUL),
    "/": (op.SDIV, op.FDIV),
    "SUM": (op.ADD, op.FADD),
    "ADD": (op.ADD, op.FADD),
    "MIN": (op.SMIN, op.FMIN),
    "MAX": (op.SMAX, op.FMAX),
}
EXTREMES = {"MIN": (op.SLT, op.FLT), "MAX": (op.SGT, op.FGT)}
REDUCTIONS = {
    "SUM": op.SUM_LANES,
    "ADD": op.SUM_LANES,
    "MIN": op.SMIN_LANES,
    "MAX": op.SMAX_LANES,
}


class PackLowering(ValueLowering):
    """Packs as values."""

    # --- lanes ------------------------------------------------------------------------------

    def lane(self, pack: Pack, value: Operand, index: Operand) -> Operand:
        """One lane, raw; by a number that is no constant from a word or from memory."""
        builder, element = self.builder, pack.vector.element
        if index.kind == CONSTANT:
            return builder.value(op.EXTRACT, element, value, index)
        if pack.boxed:
            return builder.load(element, self._lane_address(pack, self._spilled(value), index))
        word = builder.value(op.BITCAST, I64, value)
        low = builder.value(op.LSHR, I64, word, self._lane_bit(pack, index))
        if not pack.is_float:
            return builder.value(op.TRUNC, element, low)
        return builder.value(op.BITCAST, F32, builder.value(op.TRUNC, I32, low))

    def _lane_bit(self, pack: Pack, index: Operand) -> Operand:
        return self.builder.value(op.MUL, I64, index, Constant(I64, pack.bits))

    def _spilled(self, value: Operand) -> Operand:
        """The address of a copy of the vector."""
        slot = self.builder.slot(value.type.size, 16, "lanes")
        self.builder.store(value.type, value, slot)
        return slot

    def _lane_address(self, pack: Pack, lanes: Operand, index: Operand) -> Operand:
        inside = self.builder.value(op.AND, I64, index, Constant(I64, pack.lanes - 1))
        offset = self.builder.value(op.SHL, I64, inside, Constant(I64, 2))
        return self.builder.value(op.ADD, I64, lanes, offset)

    def lanes(self, pack: Pack, value: Operand) -> list[Operand]:
        return [self.lane(pack, value, Constant(I64, index)) for index in range(pack.lanes)]

    def widened(self, pack: Pack, lane: Operand) -> Operand:
        """A raw lane as a value of the language: a word, or a FLOAT."""
        if pack.is_float:
            return self.builder.value(op.FEXT, F64, lane)
        return self.builder.value(op.SEXT, I64, lane)

    def narrowed(self, pack: Pack, value: Operand, type_: ValueType) -> Operand:
        """A value of the language as a raw lane."""
        element = pack.vector.element
        if pack.is_float:
            number = self.convert(value, type_, FLOAT)
            if number.kind == CONSTANT:
                return Constant(F32, round_float(number.value, F32))  # type: ignore[union-attr]
            return self.builder.value(op.FTRUNC, F32, number)
        word = self.convert(value, type_, INTEGER)
        if word.kind == CONSTANT:
            half = 1 << (element.bits - 1)
            low = (int(word.value) + half) % (2 * half) - half  # type: ignore[union-attr]
            return Constant(element, low)
        return self.builder.value(op.TRUNC, element, word)

    def packed(self, pack: Pack, lanes: Sequence[Operand]) -> Operand:
        """A pack of raw lanes."""
        builder, vector = self.builder, pack.vector
        numbers = [lane.value if isinstance(lane, Constant) else 0 for lane in lanes]
        others = [index for index, lane in enumerate(lanes) if lane.kind != CONSTANT]
        found: Operand
        if len(others) == len(lanes):
            found = builder.value(op.SPLAT, vector, lanes[0])
            others = [index for index in others if lanes[index] is not lanes[0]]
        else:
            found = constant(vector, numbers)
        for index in others:
            found = builder.value(op.INSERT, vector, found, Constant(I64, index), lanes[index])
        return found

    def with_lane(self, pack: Pack, value: Operand, index: Operand, lane: Operand) -> Operand:
        """The pack with another lane in one place."""
        builder = self.builder
        if index.kind == CONSTANT:
            return builder.value(op.INSERT, pack.vector, value, index, lane)
        if pack.boxed:
            lanes = self._spilled(value)
            builder.store(lane.type, lane, self._lane_address(pack, lanes, index))
            return builder.load(pack.vector, lanes)
        # All lanes are the new one; a mask says which is taken.
        at = self._lane_bit(pack, index)
        mask = builder.value(op.SHL, I64, Constant(I64, (1 << pack.bits) - 1), at)
        word = builder.value(op.BITCAST, I64, value)
        full = builder.value(op.SPLAT, pack.vector, lane)
        new = builder.value(op.AND, I64, builder.value(op.BITCAST, I64, full), mask)
        others = builder.value(op.XOR, I64, mask, Constant(I64, -1))
        kept = builder.value(op.AND, I64, word, others)
        return builder.value(op.BITCAST, pack.vector, builder.value(op.OR, I64, kept, new))

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
            return nothing_of(node.type)
        values = [(self.value(element), element.type) for element in node.elements]
        return self.packed(pack, [self.narrowed(pack, value, type_) for value, type_ in values])

    def pack_binary(self, node: ast.Binary, left: Operand) -> Operand:
        """On all lanes at once; a number beside a pack stands for a pack full of it."""
        type_: ValueType = node.type
        pack = type_.pack
        assert pack is not None
        right = self.value(node.right)
        sides: list[Operand] = []
        for value, side in ((left, node.left.type), (right, node.right.type)):
            if side is type_:
                sides.append(value)
            elif side.pack is not None:
                self.module.diagnostics.error(
                    f"{described(node.left.type)} and {described(node.right.type)} cannot be "
                    "combined: their lanes differ",
                    node.span,
                    code="type",
                )
                return nothing_of(type_)
            else:
                sides.append(self.packed(pack, [self.narrowed(pack, value, side)] * pack.lanes))
        return self.combined_packs(node.operator, pack, sides[0], sides[1])

    def negated_pack(self, pack: Pack, value: Operand) -> Operand:
        if pack.is_float:
            return self.builder.value(op.FNEG, pack.vector, value)
        return self.builder.value(
            op.SUB, pack.vector, constant(pack.vector, [0] * pack.lanes), value
        )

    def equal_packs(self, pack: Pack, left: Operand, right: Operand) -> Operand:
        """1 if all bits agree, else 0."""
        builder = self.builder
        if not pack.boxed:
            words = [builder.value(op.BITCAST, I64, value) for value in (left, right)]
            return builder.value(op.EQ, I64, *words)
        differing = [
            builder.value(op.XOR, V2I64, *pair)
            for pair in zip(self._quads(left), self._quads(right), strict=True)
        ]
        return builder.value(op.EQ, I64, self._any_bit(differing), ZERO)

    def is_zero(self, pack: Pack, value: Operand) -> Operand:
        """1 if no bit is set, else 0."""
        if not pack.boxed:
            word = self.builder.value(op.BITCAST, I64, value)
            return self.builder.value(op.EQ, I64, word, ZERO)
        return self.builder.value(op.EQ, I64, self._any_bit(self._quads(value)), ZERO)

    def _quads(self, value: Operand) -> list[Operand]:
        """A wide pack as one or two pairs of words."""
        builder = self.builder
        halves = [value]
        if value.type is not V4F32:
            halves = [builder.value(half, V4F32, value) for half in (op.LOW, op.HIGH)]
        return [builder.value(op.BITCAST, V2I64, half) for half in halves]

    def _any_bit(self, quads: Sequence[Operand]) -> Operand:
        """A word that is 0 if all bits are."""
        builder = self.builder
        bits = quads[0]
        for other in quads[1:]:
            bits = builder.value(op.OR, V2I64, bits, other)
        words = [builder.value(op.EXTRACT, I64, bits, index) for index in (ZERO, ONE)]
        return builder.value(op.OR, I64, *words)

    # --- MIN, MAX, SUM -----------------------------------------------------------------------

    def combined(self, name: str, is_float: bool, a: Operand, b: Operand) -> Operand:
        """MIN, MAX or SUM of two numbers."""
        kind = a.type if is_float else I64
        if name in ("SUM", "ADD"):
            return self.builder.value(op.FADD if is_float else op.ADD, kind, a, b)
        chosen = self.builder.value(EXTREMES[name][is_float], kind, a, b)
        return self.builder.value(op.SELECT, kind, chosen, a, b)

    def combined_packs(self, name: str, pack: Pack, a: Operand, b: Operand) -> Operand:
        return self.builder.value(LANE_OPERATIONS[name][pack.is_float], pack.vector, a, b)

    def reduced_pack(self, name: str, pack: Pack, value: Operand) -> Operand:
        """All lanes combined into one value of the language."""
        if not pack.is_float:
            return self.builder.value(REDUCTIONS[name], I64, value)
        first, *others = (self.widened(pack, lane) for lane in self.lanes(pack, value))
        for lane in others:
            first = self.combined(name, True, first, lane)
        return first

    def pairwise_packs(self, name: str, pack: Pack, a: Operand, b: Operand) -> Operand:
        """Neighbours of the first pack combined, then those of the second."""
        evens = self.builder.value(op.EVENS, pack.vector, a, b)
        odds = self.builder.value(op.ODDS, pack.vector, a, b)
        return self.combined_packs(name, pack, evens, odds)
