"""Lowering of loops and of SWITCHON."""

from __future__ import annotations

from collections.abc import Callable

from callproof.bcpl import nodes as ast
from callproof.bcpl.lower_assignment import AssignmentLowering
from callproof.bcpl.lower_values import ONE, ZERO
from callproof.bcpl.symbols import Variable
from callproof.bcpl.types import foreach_types
from callproof.bcpl.value_types import FLOAT, INTEGER, STRING, WORD, ValueType, described
from callproof.ir import operations as op
from callproof.ir.model import CONSTANT, Block, Constant, Operand
from callproof.ir.types import I64

# Where a jump leads, and how many USINGs stay open there.
Exit = tuple[Block, int]


class LoopLowering(AssignmentLowering):
    """Where BREAK, LOOP and ENDCASE lead is kept on stacks while bodies are walked."""

    breaks: list[Exit]
    loops: list[Exit]
    switch_ends: list[Exit]
    open_usings: list[Variable]

    def statement(self, node: ast.Statement) -> None:
        raise AssertionError("provided by FunctionLowering")

    def exit_to(self, block: Block) -> Exit:
        return block, len(self.open_usings)

    def loop_body(self, body: ast.Statement, leave: Block, again: Block) -> None:
        self.breaks.append(self.exit_to(leave))
        self.loops.append(self.exit_to(again))
        self.statement(body)
        self.breaks.pop()
        self.loops.pop()

    def while_(self, node: ast.While) -> None:
        builder = self.builder
        body, end = builder.new_block("body"), builder.new_block("endwhile")
        if _is_small(node.condition):
            # The test stands before the loop and at its end: no jump back to it.
            again = builder.new_block("while")
            self._while_test(node, body, end)
            builder.start(body, seal=False)
            self.loop_body(node.body, end, again)
            self.go(again)
            builder.start(again)
            builder.line = node.span.line
            self._while_test(node, body, end)
            builder.seal(body)
            builder.start(end)
            return
        head = builder.new_block("while")
        builder.jump(head)
        builder.start(head, seal=False)
        self._while_test(node, body, end)
        builder.start(body)
        self.loop_body(node.body, end, head)
        self.go(head)
        builder.seal(head)
        builder.start(end)

    def _while_test(self, node: ast.While, body: Block, end: Block) -> None:
        if node.negated:
            self.branch(node.condition, end, body)
        else:
            self.branch(node.condition, body, end)

    def repeat(self, node: ast.Repeat) -> None:
        builder = self.builder
        body, test = builder.new_block("repeat"), builder.new_block("until")
        end = builder.new_block("endrepeat")
        builder.jump(body)
        builder.start(body, seal=False)
        self.loop_body(node.body, end, test)
        self.go(test)
        builder.start(test)
        if node.condition is None:
            builder.jump(body)
        elif node.negated:
            self.branch(node.condition, end, body)
        else:
            self.branch(node.condition, body, end)
        builder.seal(body)
        builder.start(end)

    def for_(self, node: ast.For) -> None:
        """Bounds and step are evaluated once; a step that is no constant decides as it runs."""
        builder = self.builder
        (variable,) = self.module.locals_of[node]
        first = self.converted(node.start, INTEGER)
        last = self.converted(node.end, INTEGER)
        step: Operand = ONE
        if node.step is not None:
            step = self.converted(node.step, INTEGER)
        self.declare(variable, first)
        body, again = builder.new_block("body"), builder.new_block("next")
        end = builder.new_block("endfor")
        builder.line = node.span.line
        self._for_test(self.read_variable(variable), step, last, body, end)
        builder.start(body, seal=False)
        self.loop_body(node.body, end, again)
        self.go(again)
        builder.start(again)
        builder.line = node.span.line
        value = self.read_variable(variable)
        following = builder.value(op.ADD, I64, value, step, name=variable.name)
        self.write_variable(variable, following)
        self._for_test(following, step, last, body, end)
        builder.seal(body)
        builder.start(end)

    def _for_test(
        self, value: Operand, step: Operand, last: Operand, body: Block, end: Block
    ) -> None:
        """Before the loop and at its end, so that no jump leads back to it."""
        builder = self.builder
        if step.kind == CONSTANT:
            down = int(step.value) < 0  # type: ignore[union-attr]
            condition = builder.value(op.SGE if down else op.SLE, I64, value, last)
            builder.branch(condition, body, end)
            return
        upwards, downwards = builder.new_block("up"), builder.new_block("down")
        builder.branch(builder.value(op.SGE, I64, step, ZERO), upwards, downwards)
        for block, comparison in ((upwards, op.SLE), (downwards, op.SGE)):
            builder.start(block)
            builder.branch(builder.value(comparison, I64, value, last), body, end)

    # --- FOREACH -----------------------------------------------------------------------------

    def foreach(self, node: ast.Foreach) -> None:
        """Over a vector, a string or a list; nothing for null."""
        variables = self.module.locals_of[node]
        type_: ValueType = node.collection.type
        collection = self.value(node.collection)
        if type_.is_list:
            self.walk_list(
                collection,
                lambda atom, end, again: self._list_body(node, variables, atom, end, again),
            )
        else:
            self._over_elements(node, variables, collection)

    def _list_body(
        self,
        node: ast.Foreach,
        variables: list[Variable],
        atom: Operand,
        end: Block,
        again: Block,
    ) -> None:
        element = node.collection.type.element or WORD
        if len(variables) == 2 and not node.is_pattern:  # T, V
            tag, value = variables
            self.declare(tag, self.convert(self.load(op.LOAD_S32, atom), INTEGER, tag.type))
            self.declare(value, self.convert(atom, INTEGER, value.type))
        else:
            self._bind(
                node, variables, element, lambda wanted: self.node_value(atom, element, wanted)
            )
        self.loop_body(node.body, end, again)

    def _bind(
        self,
        node: ast.Foreach,
        variables: list[Variable],
        element: ValueType,
        load: Callable[[ValueType], Operand],
    ) -> None:
        """Give the variables the element, or its lanes."""
        if len(variables) == 1 and not node.is_pattern:
            (variable,) = variables
            wanted = FLOAT if variable.type is FLOAT else element
            self.declare(variable, self.convert(load(wanted), wanted, variable.type))
            return
        pack = element.pack
        if pack is None or pack.lanes != len(variables):
            self.module.diagnostics.error(
                f"{len(variables)} names take packs of so many lanes, not {described(element)}",
                node.span,
                code="type",
            )
            for variable in variables:
                self.declare(variable, self.convert(ZERO, INTEGER, variable.type))
            return
        lanes = self.lanes(pack, load(element))
        types = foreach_types(node, node.collection.type)
        for variable, lane, type_ in zip(variables, lanes, types, strict=True):
            self.declare(variable, self.convert(self.widened(pack, lane), type_, variable.type))

    def _over_elements(
        self, node: ast.Foreach, variables: list[Variable], collection: Operand
    ) -> None:
        builder = self.builder
        type_: ValueType = node.collection.type
        if type_ is FLOAT or type_.pack is not None or type_.class_info is not None:
            self.module.diagnostics.error(
                f"FOREACH goes over vectors, strings and lists, not over {described(type_)}",
                node.collection.span,
                code="type",
            )
        self.warn_unknown(type_, node.collection.span)
        sized, head = builder.new_block("sized"), builder.new_block("foreach")
        body, again = builder.new_block("body"), builder.new_block("next")
        end = builder.new_block("endforeach")
        builder.branch(collection, sized, end)
        builder.start(sized)
        length = builder.load(I64, collection, -8, "length")
        index = object()
        builder.declare(index, I64, "index")
        builder.write(index, ZERO)
        builder.jump(head)
        builder.start(head, seal=False)
        at = builder.read(index)
        builder.branch(builder.value(op.SLT, I64, at, length), body, end)
        builder.start(body)
        operator = "%" if type_ is STRING else "!"
        element = type_.element if type_.is_vector and type_.element is not None else INTEGER

        def load(wanted: ValueType) -> Operand:
            if operator == "%":
                character = self.load_element(operator, collection, at, INTEGER)
                return self.convert(character, INTEGER, wanted)
            return self.load_element(operator, collection, at, wanted)

        self._bind(node, variables, element, load)
        self.loop_body(node.body, end, again)
        self.go(again)
        builder.start(again)
        builder.write(index, builder.value(op.ADD, I64, builder.read(index), Constant(I64, 1)))
        builder.jump(head)
        builder.seal(head)
        builder.start(end)

    # --- SWITCHON ----------------------------------------------------------------------------

    def switch(self, node: ast.Switch) -> None:
        """A block for each label; what stands before the next label falls through to it."""
        builder = self.builder
        selector = self.converted(node.value, INTEGER)
        end = builder.new_block("endswitch")
        default = end
        cases: list[tuple[int, Block]] = []
        blocks: dict[ast.Case, Block] = {}
        for item in node.body.statements:
            if isinstance(item, ast.Case):
                block = blocks[item] = builder.new_block("case" if item.value else "default")
                if item.value is None:
                    default = block
                elif isinstance(item.value, ast.IntegerLiteral):
                    cases.append((item.value.value, block))
        builder.switch(selector, default, cases)
        self.switch_ends.append(self.exit_to(end))
        builder.unreachable_block()  # what stands before the first label
        for item in node.body.statements:
            if isinstance(item, ast.Case):
                self.go(blocks[item])
                builder.start(blocks[item])
            else:
                self.statement(item)
        self.switch_ends.pop()
        self.go(end)
        builder.start(end)


def _is_small(node: ast.Expression, most: int = 12) -> bool:
    """Whether a condition may stand twice: a few operators over names and numbers."""
    count = 0
    pending = [node]
    while pending:
        one = pending.pop()
        count += 1
        if isinstance(one, ast.Binary):
            pending += [one.left, one.right]
        elif isinstance(one, ast.Unary):
            pending.append(one.operand)
        elif not isinstance(
            one, ast.Name | ast.IntegerLiteral | ast.FloatLiteral | ast.NullLiteral
        ):
            return False
    return count <= most
