"""Statements one after another, and loops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import Block, Constant, Operand
from callproof.ir.types import F64, I64
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.infer import constant_step, is_range, walk
from callproof.sox.kinds import ALL
from callproof.sox.lower_calls import CallLowering
from callproof.sox.lower_foreach import take_step
from callproof.sox.lower_state import ORDERING
from callproof.sox.symbols import FunctionInfo, LocalInfo
from callproof.sox.values import constant_number, number_value, word

if TYPE_CHECKING:
    from callproof.sox.lower import ProgramLowering

LARGEST_COPY = 12  # nodes of a condition
COPIED = (ast.Number, ast.Boolean, ast.Nil, ast.Variable, ast.Unary, ast.Binary, ast.Logical)

# How each kind of statement is lowered; `lower_statements.py` has those that are not here.
STATEMENTS: dict[type, Any] = {}
# What they declare is visible behind them, up to the end of the block around them.
DECLARING = frozenset(
    (ast.VarDeclaration, ast.FunctionDeclaration, ast.ClassDeclaration, ast.Import)
)


class LoopLowering(CallLowering):
    """See the module."""

    def __init__(
        self, program: ProgramLowering, builder: FunctionBuilder, function: FunctionInfo
    ) -> None:
        super().__init__(program, builder, function)
        self.typed = program.typed(function)
        self.breaks: list[Block] = []
        self.continues: list[Block] = []

    def statements(self, nodes: list[ast.Statement]) -> None:
        for node in nodes:
            if self.builder.is_terminated:
                self.builder.unreachable_block()
            self.statement(node)

    def statement(self, node: ast.Statement) -> None:
        self.builder.line = node.line
        if not self.builder.keeps_debug or type(node) in DECLARING:
            STATEMENTS[type(node)](self, node)
            return
        mark = self.builder.enter()
        STATEMENTS[type(node)](self, node)
        self.builder.leave(mark)

    def inside(self, node: ast.Statement, following: Block) -> None:
        """A statement that may not be reached: what is learnt in it does not hold behind it."""
        facts = dict(self.facts)
        self.statement(node)
        self.facts = facts
        if not self.builder.is_terminated:
            self.builder.jump(following)

    def loop(
        self,
        condition: ast.Expression | None,
        step: ast.Expression | None,
        body: ast.Statement,
    ) -> None:
        if condition is not None and is_simple(condition):
            self.simple_loop(condition, step, body)
            return
        builder = self.builder
        head, inside, again, done = map(builder.new_block, ("loop", "body", "step", "endloop"))
        facts = dict(self.facts)
        builder.jump(head)
        builder.start(head, seal=False)
        ordered: tuple[Operand, ...] = ()
        if condition is None:
            builder.jump(inside)
        else:
            ordered = self.condition(condition, inside, done)
        builder.start(inside)
        self.learn_ordered(ordered)
        self.breaks.append(done)
        self.continues.append(again)
        self.inside(body, again)
        self.breaks.pop()
        self.continues.pop()
        builder.start(again)
        if step is not None:
            self.expression(step)
        builder.jump(head)
        builder.seal(head)
        self.facts = facts
        builder.start(done)

    def simple_loop(
        self, condition: ast.Expression, step: ast.Expression | None, body: ast.Statement
    ) -> None:
        """With the condition before the loop and at its end: a jump less each time round."""
        builder = self.builder
        inside, again, done = map(builder.new_block, ("body", "step", "endloop"))
        facts = dict(self.facts)
        line = builder.line
        self.condition(condition, inside, done)
        self.facts = dict(facts)
        builder.start(inside, seal=False)
        # What either condition has compared is what the variable is now.
        self.learn_ordered(tuple(self.compared_locals(condition)))
        self.breaks.append(done)
        self.continues.append(again)
        self.inside(body, again)
        self.breaks.pop()
        self.continues.pop()
        self.facts = dict(facts)
        builder.start(again)
        if step is not None:
            self.expression(step)
        builder.line = line
        self.condition(condition, inside, done)
        builder.seal(inside)
        self.facts = facts
        builder.start(done)

    def compared_locals(self, condition: ast.Expression) -> Iterator[Operand]:
        """The f64s of local variables that a true condition has compared."""
        if isinstance(condition, ast.Logical) and condition.operator == "and":
            yield from self.compared_locals(condition.left)
            yield from self.compared_locals(condition.right)
        if isinstance(condition, ast.Binary) and condition.operator in ORDERING:
            for side in (condition.left, condition.right):
                meaning = side.meaning if isinstance(side, ast.Variable) else None
                if isinstance(meaning, LocalInfo) and meaning in self.numeric:
                    yield self.number(self.read_local(meaning))

    def while_(self, node: ast.While) -> None:
        self.loop(node.condition, None, node.body)

    def for_(self, node: ast.For) -> None:
        self.statements(node.initial)
        self.loop(node.condition, node.step, node.body)

    def foreach(self, node: ast.ForEach) -> None:
        if node.element is not None and is_range(node.container):
            self.range_loop(node, node.element)
            return
        builder = self.builder
        container = self.expression(node.container)
        self.at(node)
        if self.tag_of(container) == layout.ARRAY:
            self.array_loop(node, self.payload(container))
            return
        state = builder.slot(layout.ITERATION_SIZE, 16, "iteration")
        self.runtime("sox_iterate", state, *self.words(container))
        head, inside, done = map(builder.new_block, ("loop", "body", "endloop"))
        builder.jump(head)
        builder.start(head, seal=False)
        facts = dict(self.facts)
        self.at(node)
        with_index = node.element is None
        first, second = take_step(self, container, state, inside, done, with_index=with_index)
        if node.element is not None:
            self.new_local(node.element, first)
        else:
            assert node.index is not None and node.value is not None
            self.new_local(node.index, first)
            self.new_local(node.value, second)
        self.breaks.append(done)
        self.continues.append(head)
        self.inside(node.body, head)
        self.breaks.pop()
        self.continues.pop()
        builder.seal(head)
        self.facts = facts
        builder.start(done)

    def array_loop(self, node: ast.ForEach, array: Operand) -> None:
        """Over a known array, which is looked at anew at each step, as the runtime does."""
        builder = self.builder
        position = object()
        builder.declare(position, I64, "position")
        builder.write(position, word(0))
        head, inside, again, done = map(builder.new_block, ("loop", "body", "next", "endloop"))
        builder.jump(head)
        builder.start(head, seal=False)
        facts = dict(self.facts)
        at = builder.read(position)
        count = builder.load(I64, array, layout.ARRAY_COUNT)
        builder.branch(builder.value(op.ULT, I64, at, count), inside, done)
        builder.start(inside)
        items = builder.load(I64, array, layout.ARRAY_ITEMS)
        offset = builder.value(op.SHL, I64, at, word(4))
        tags = self.flow.elements(self.flow.kind(node.container)).tags
        element = self.load_value(builder.value(op.ADD, I64, items, offset), 0, tags or ALL)
        element = self.with_tags(element, tags)
        if node.element is not None:
            self.new_local(node.element, element)
        else:
            assert node.index is not None and node.value is not None
            number = builder.value(op.SITOF, F64, at)
            self.learn_ordered((number,))
            self.new_local(node.index, number_value(number))
            self.new_local(node.value, element)
        self.breaks.append(done)
        self.continues.append(again)
        self.inside(node.body, again)
        self.breaks.pop()
        self.continues.pop()
        builder.start(again)
        builder.write(position, builder.value(op.ADD, I64, at, word(1)))
        builder.jump(head)
        builder.seal(head)
        self.facts = facts
        builder.start(done)

    def range_loop(self, node: ast.ForEach, element: LocalInfo) -> None:
        """`for x in range(...)` without the range: start + position * step, as the runtime's."""
        builder = self.builder
        assert isinstance(node.container, ast.Call)
        given = self.arguments(node.container.arguments)
        self.at(node.container)
        if len(given) == 1:
            given.insert(0, constant_number(0.0))
        if len(given) == 2:
            given.append(constant_number(1.0))
        self.require_numbers("sox_range", *given)
        stride = (
            constant_step(node.container.arguments[2])
            if len(node.container.arguments) == 3
            else 1.0
        )
        start, end = self.number(given[0]), self.number(given[1])
        position = object()
        builder.declare(position, F64, "position")
        builder.write(position, Constant(F64, 0.0))
        head, inside, again, done = map(builder.new_block, ("loop", "body", "next", "endloop"))
        builder.jump(head)
        builder.start(head, seal=False)
        facts = dict(self.facts)
        self.at(node)
        at = builder.read(position)
        way = at if stride == 1.0 else builder.value(op.FMUL, F64, at, Constant(F64, stride))
        x = builder.value(op.FADD, F64, start, way)
        comparison = op.FLT if stride > 0 else op.FGT
        builder.branch(builder.value(comparison, F64, x, end), inside, done)
        builder.start(inside)
        self.learn_ordered((x,))
        self.new_local(element, number_value(x))
        self.breaks.append(done)
        self.continues.append(again)
        self.inside(node.body, again)
        self.breaks.pop()
        self.continues.pop()
        builder.start(again)
        builder.write(position, builder.value(op.FADD, F64, at, Constant(F64, 1.0)))
        builder.jump(head)
        builder.seal(head)
        self.facts = facts
        builder.start(done)


def is_simple(condition: ast.Expression) -> bool:
    """Small, and may as well stand in two places: no calls, and no variable is set."""
    nodes = list(walk(condition))
    return len(nodes) <= LARGEST_COPY and all(isinstance(node, COPIED) for node in nodes)


STATEMENTS[ast.While] = LoopLowering.while_
STATEMENTS[ast.For] = LoopLowering.for_
STATEMENTS[ast.ForEach] = LoopLowering.foreach
