"""Strings: concatenations of many pieces at once, comparisons that mostly see it at a glance.

Strings of less than two bytes have one object each (`sox_bytes`, `sox_empty`), literals
among them, so comparing with such a one compares addresses.
"""

from __future__ import annotations

from collections.abc import Callable

from callproof.ir import operations as op
from callproof.ir.model import SYMBOL, Operand
from callproof.ir.types import I64
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.lower_state import State
from callproof.sox.values import SoxValue, object_value, word

Add = Callable[[SoxValue, SoxValue, int], SoxValue]  # the last: the tags the sum can have


class StringLowering(State):
    """See the module."""

    def literal(self, value: SoxValue) -> bytes | None:
        """The text of a string that is known."""
        if value.known_tag != layout.STRING or value.payload is None:
            return None
        if value.payload.kind != SYMBOL:
            return None
        symbol = value.payload
        return self.program.texts.get((symbol.name, symbol.offset))  # type: ignore[union-attr]

    # --- concatenation ------------------------------------------------------------------------

    def sum(self, node: ast.Binary, add: Add) -> SoxValue:
        """A chain of `+`; from the first known string on, its pieces go into one string.

        Turning a value into text and joining texts has no effect and cannot fail, so
        it may wait until all pieces are there.  `add` is for what is before.
        """
        return self.joined(self.pieces(node, add))

    def pieces(self, node: ast.Binary, add: Add) -> list[SoxValue]:
        """What the text of the chain is made of: two or more; or one value, its sum."""
        left = node.left
        if isinstance(left, ast.Binary) and left.operator == "+":
            pieces = self.pieces(left, add)
        else:
            pieces = [self.expression(left)]
        if len(pieces) == layout.MOST_PIECES:
            pieces = [self.joined(pieces)]
        right = self.expression(node.right)
        self.at(node)
        if len(pieces) > 1 or layout.STRING in (self.tag_of(pieces[0]), self.tag_of(right)):
            return [*pieces, right]
        tags = self.flow.tags(node)
        return [self.with_tags(add(pieces[0], right, tags), tags)]

    def joined(self, pieces: list[SoxValue]) -> SoxValue:
        if len(pieces) == 1:
            return pieces[0]
        if len(pieces) == 2:
            found = self.runtime_value("sox_add", *self.words(*pieces))
        else:
            place = self.spill(pieces)
            are_strings = all(self.tag_of(one) == layout.STRING for one in pieces)
            symbol = "sox_concatenate_strings" if are_strings else "sox_concatenate"
            found = self.runtime_value(symbol, word(len(pieces)), place)
        assert found.payload is not None
        return object_value(layout.STRING, found.payload)

    # --- comparison ---------------------------------------------------------------------------

    def equal_strings(self, left: SoxValue, right: SoxValue) -> Operand:
        """Whether they are equal, one of which is known to be a string."""
        builder = self.builder
        texts = self.literal(left), self.literal(right)
        if None not in texts:
            return word(int(texts[0] == texts[1]))
        both = self.has_tag(left, layout.STRING), self.has_tag(right, layout.STRING)
        a, b = self.payload(left), self.payload(right)
        if any(text is not None and len(text) < 2 for text in texts):
            return self.all_true(*both, builder.value(op.EQ, I64, a, b))
        strings, done = builder.new_block("strings"), builder.new_block("equal")
        key = object()
        builder.declare(key, I64, "equal")
        builder.write(key, word(0))
        self.branch(self.all_true(*both), strings, done)
        builder.start(strings)
        self.compare_strings(key, left, right)
        builder.jump(done)
        builder.start(done)
        return builder.read(key)

    def compare_strings(self, key: object, left: SoxValue, right: SoxValue) -> None:
        """Writes into the variable whether two strings are equal: the same one, of one length
        and with the same bytes; what that does not decide is the runtime's."""
        builder = self.builder
        a, b = self.payload(left), self.payload(right)
        other, same_length, contents, done = map(
            builder.new_block, ("others", "lengths", "contents", "compared")
        )
        builder.write(key, word(1))
        builder.branch(builder.value(op.EQ, I64, a, b), done, other)
        builder.start(other)
        builder.write(key, word(0))
        lengths = [self.length_of(left), self.length_of(right)]
        builder.branch(builder.value(op.EQ, I64, *lengths), same_length, done)
        builder.start(same_length)
        builder.write(key, word(1))
        places = [builder.load(I64, one, layout.STRING_BYTES) for one in (a, b)]
        builder.branch(builder.value(op.EQ, I64, *places), done, contents)
        builder.start(contents)
        builder.write(key, self.runtime("sox_same_contents", a, b)[0])
        builder.jump(done)
        builder.start(done)

    def length_of(self, string: SoxValue) -> Operand:
        text = self.literal(string)
        if text is not None:
            return word(len(text))
        return self.builder.load(I64, self.payload(string), layout.STRING_LENGTH)

    def equal_others(self, left: SoxValue, right: SoxValue) -> Operand:
        """Whether two values are equal of which anything may be known but that both are
        numbers: of one kind with the same words, or strings."""
        builder = self.builder
        kinds, words_differ, strings, done = map(
            builder.new_block, ("kinds", "differ", "strings", "equal")
        )
        key = object()
        builder.declare(key, I64, "equal")
        builder.write(key, word(0))
        builder.branch(builder.value(op.EQ, I64, left.tag, right.tag), kinds, done)
        builder.start(kinds)
        builder.write(key, word(1))
        same = builder.value(op.EQ, I64, self.payload(left), self.payload(right))
        builder.branch(same, done, words_differ)
        builder.start(words_differ)
        builder.write(key, word(0))
        self.branch(self.has_tag(left, layout.STRING), strings, done)
        builder.start(strings)
        self.compare_strings(key, left, right)
        builder.jump(done)
        builder.start(done)
        return builder.read(key)
