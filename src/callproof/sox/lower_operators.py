"""Operators: one instruction behind a check of the operands' tags, the rest in the runtime."""

from __future__ import annotations

from callproof.ir import operations as op
from callproof.ir.model import CONSTANT, Operand
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.kinds import NUMBER, STRING
from callproof.sox.lower_state import EXPRESSIONS
from callproof.sox.lower_strings import StringLowering
from callproof.sox.values import SoxValue, boolean_value, number_value, word

# Operator: the IR's, and the runtime's for everything that is no pair of numbers.
ARITHMETIC = {
    "+": (op.FADD, "sox_add"),
    "-": (op.FSUB, "sox_subtract"),
    "*": (op.FMUL, "sox_multiply"),
    "/": (op.FDIV, "sox_divide"),
    "%": (None, "sox_remainder"),
}
# All numbers from +0 to there, and nothing else, have bits that are less, without a sign.
BITS_OF_2_53 = 0x4340000000000000
COMPARISONS = {
    "<": (op.FLT, "sox_less"),
    "<=": (op.FLE, "sox_less_equal"),
    ">": (op.FGT, "sox_greater"),
    ">=": (op.FGE, "sox_greater_equal"),
}


class OperatorLowering(StringLowering):
    """See the module."""

    def unary(self, node: ast.Unary) -> SoxValue:
        value = self.expression(node.operand)
        self.at(node)
        builder = self.builder
        if node.operator == "!":
            return boolean_value(builder.value(op.XOR, I64, self.truth(value), word(1)))
        self.require_numbers("sox_negate", value)
        return number_value(builder.value(op.FNEG, F64, self.number(value)))

    def require_numbers(self, symbol: str, *values: SoxValue) -> None:
        """Where one of them is no number, the runtime function ends the program."""
        for value in values:
            if self.tag_of(value) != layout.NUMBER:
                break
        else:
            return
        checks = [self.has_tag(value, layout.NUMBER) for value in values]
        good = [one for one in checks if one.kind != CONSTANT or not one.value]  # type: ignore[union-attr]
        if not good:
            return
        builder = self.builder
        bad, fine = builder.new_block("no_numbers"), builder.new_block("numbers")
        self.branch_all(fine, bad, *good)
        builder.start(bad)
        self.fail(symbol, *self.words(*values))
        builder.start(fine)
        for value in values:
            self.learn(value, layout.NUMBER)

    def binary(self, node: ast.Binary) -> SoxValue:
        if node.operator == "+":
            return self.sum(node, self.add)
        left = self.expression(node.left)
        right = self.expression(node.right)
        self.at(node)
        operator = node.operator
        if operator in ("==", "!="):
            truth = self.equal(left, right)
            if operator == "!=":
                truth = self.builder.value(op.XOR, I64, truth, word(1))
            return boolean_value(truth)
        if operator in COMPARISONS:
            operation, symbol = COMPARISONS[operator]
            self.require_numbers(symbol, left, right)
            numbers = self.number(left), self.number(right)
            self.compared = numbers
            return boolean_value(self.builder.value(operation, F64, *numbers))
        simple, symbol = ARITHMETIC[operator]
        if simple is None:
            return self.remainder(left, right)
        self.require_numbers(symbol, left, right)
        return number_value(self.builder.value(simple, F64, self.number(left), self.number(right)))

    def remainder(self, left: SoxValue, right: SoxValue) -> SoxValue:
        """C's fmod: of whole numbers below 2**53 an integer remainder, the rest outside.

        (The dividend may be 0, but not -0: there is the sign of the result to be kept.)
        """
        self.require_numbers("sox_remainder", left, right)
        builder = self.builder
        a, b = self.number(left), self.number(right)
        fast, slow, done = map(builder.new_block, ("whole", "fraction", "remainder"))
        key = object()
        builder.declare(key, F64, "remainder")
        whole_a = builder.value(op.FTOSI, I64, a)
        bits = builder.value(op.BITCAST, I64, a)
        checks = [
            builder.value(op.ULT, I64, bits, word(BITS_OF_2_53)),
            builder.value(op.FEQ, F64, builder.value(op.SITOF, F64, whole_a), a),
        ]
        if b.kind == CONSTANT and 1 <= b.value < 1 << 53 and b.value == int(b.value):  # type: ignore[union-attr]
            whole_b: Operand = word(int(b.value))  # type: ignore[union-attr]
        else:
            whole_b = builder.value(op.FTOSI, I64, b)
            same_b = builder.value(op.FEQ, F64, builder.value(op.SITOF, F64, whole_b), b)
            checks += [same_b, builder.value(op.NE, I64, whole_b, word(0))]
        self.branch_all(fast, slow, *checks)
        builder.start(fast)
        rest = builder.value(op.SREM, I64, whole_a, whole_b)
        builder.write(key, builder.value(op.SITOF, F64, rest))
        builder.jump(done)
        builder.start(slow)
        found = self.runtime_value("sox_remainder", *self.words(left, right))
        builder.write(key, self.number(found))
        builder.jump(done)
        builder.start(done)
        return number_value(builder.read(key))

    def add(self, left: SoxValue, right: SoxValue, tags: int) -> SoxValue:
        builder = self.builder
        if self.tag_of(left) == layout.NUMBER == self.tag_of(right):
            total = builder.value(op.FADD, F64, self.number(left), self.number(right))
            return number_value(total)
        checks = [self.has_tag(one, layout.NUMBER) for one in (left, right)]
        known = [one.value if one.kind == CONSTANT else None for one in checks]  # type: ignore[union-attr]
        if tags == NUMBER:
            self.require_numbers("sox_add", left, right)
            total = builder.value(op.FADD, F64, self.number(left), self.number(right))
            return number_value(total)
        if 0 in known or None not in known:
            return self.runtime_value("sox_add", *self.words(left, right))
        numbers, others, joined = map(builder.new_block, ("numbers", "others", "sum"))
        pair = self.fresh("sum")
        self.branch_all(numbers, others, *checks)
        builder.start(others)
        self.write_pair(pair, self.runtime_value("sox_add", *self.words(left, right)))
        builder.jump(joined)
        builder.start(numbers)
        total = builder.value(op.FADD, F64, self.number(left), self.number(right))
        self.write_pair(pair, number_value(total))
        builder.jump(joined)
        builder.start(joined)
        return self.read_pair(pair)

    def equal(self, left: SoxValue, right: SoxValue) -> Operand:
        builder = self.builder
        tags = self.tag_of(left), self.tag_of(right)
        common = self.tags_of(left) & self.tags_of(right)
        if not common:
            return word(0)
        if tags[0] == tags[1] == layout.NUMBER:
            return builder.value(op.FEQ, F64, self.number(left), self.number(right))
        for one, other, tag in ((left, right, tags[0]), (right, left, tags[1])):
            # Nil, booleans and most objects are equal if their words are.
            if tag == layout.NIL:
                return self.has_tag(other, tag)
            if tag is not None and tag not in (layout.NUMBER, layout.STRING):
                same = builder.value(op.EQ, I64, self.payload(one), self.payload(other))
                return self.all_true(self.has_tag(other, tag), same)
        if layout.STRING in tags:
            return self.equal_strings(left, right)
        if not common & (NUMBER | STRING):
            same = builder.value(op.EQ, I64, self.payload(left), self.payload(right))
            return self.all_true(builder.value(op.EQ, I64, left.tag, right.tag), same)
        checks = [self.has_tag(one, layout.NUMBER) for one in (left, right)]
        numbers, others, joined = map(builder.new_block, ("numbers", "others", "equal"))
        key = object()
        builder.declare(key, I64, "equal")
        self.branch_all(numbers, others, *checks)
        builder.start(numbers)
        builder.write(key, builder.value(op.FEQ, F64, self.number(left), self.number(right)))
        builder.jump(joined)
        builder.start(others)
        if common == NUMBER:
            builder.write(key, word(0))
        else:
            builder.write(key, self.equal_others(left, right))
        builder.jump(joined)
        builder.start(joined)
        return builder.read(key)

    def logical(self, node: ast.Logical) -> SoxValue:
        builder = self.builder
        left = self.expression(node.left)
        pair = self.fresh("logical", self.flow.tags(node))
        self.write_pair(pair, left)
        more, done = builder.new_block("right"), builder.new_block("decided")
        truth = self.truth(left)
        if node.operator == "and":
            self.branch(truth, more, done)
        else:
            self.branch(truth, done, more)
        builder.start(more)
        facts = dict(self.facts)
        self.write_pair(pair, self.expression(node.right))
        self.facts = facts
        builder.jump(done)
        builder.start(done)
        return self.read_pair(pair)


EXPRESSIONS[ast.Unary] = OperatorLowering.unary
EXPRESSIONS[ast.Binary] = OperatorLowering.binary
EXPRESSIONS[ast.Logical] = OperatorLowering.logical
