"""Lowering of statements and of VALOF."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from callproof.bcpl import nodes as ast
from callproof.bcpl.lower_expressions import FLOAT_ZERO, ZERO, ExpressionLowering, ir_type
from callproof.bcpl.resolve import not_yet
from callproof.bcpl.symbols import FLOAT, FVEC, STRING, FieldInfo, FunctionInfo, ValueType, Variable
from callproof.ir import operations as op
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import Block, Constant, Operand
from callproof.ir.types import F64, I64
from callproof.runtime.entries import ENTRIES

if TYPE_CHECKING:
    from callproof.bcpl.lower import ModuleLowering

PLACE = tuple[Callable[[Operand], None], ValueType]


class FunctionLowering(ExpressionLowering):
    """One function: where jumps lead is kept on stacks while its statements are walked."""

    def __init__(
        self, module: ModuleLowering, builder: FunctionBuilder, function: FunctionInfo | None
    ) -> None:
        super().__init__(module, builder, function)
        self.breaks: list[Block] = []
        self.loops: list[Block] = []
        self.switch_ends: list[Block] = []
        self.valofs: list[tuple[object, Block, ValueType]] = []

    def parameters(self) -> None:
        assert self.function is not None
        variables = list(self.function.parameters)
        if self.function.this is not None:
            variables.insert(0, self.function.this)
        for variable, value in zip(variables, self.builder.entry.parameters, strict=True):
            variable.slot = None
            self.declare(variable, value)

    def return_nothing(self) -> None:
        assert self.function is not None
        self.builder.return_(FLOAT_ZERO if self.function.result is FLOAT else ZERO)

    # --- statements ----------------------------------------------------------------------------

    def statement(self, node: ast.Statement) -> None:
        if self.builder.is_terminated:
            self.builder.unreachable_block()
        self.builder.line = node.span.line
        STATEMENTS[type(node)](self, node)

    def block(self, node: ast.Block) -> None:
        for item in node.statements:
            self.statement(item)

    def nothing(self, node: ast.Statement) -> None:
        """Declarations that were dealt with before."""

    def let(self, node: ast.Let) -> None:
        variables = self.module.locals_of[node]
        values = [
            self.converted(value, variable.type)
            for value, variable in zip(node.values, variables, strict=False)
        ]
        for variable, value in zip(variables, values, strict=False):
            self.declare(variable, value)

    def if_(self, node: ast.If) -> None:
        builder = self.builder
        then, end = builder.new_block("then"), builder.new_block("endif")
        otherwise = builder.new_block("else") if node.otherwise is not None else end
        if node.negated:
            self.branch(node.condition, otherwise, then)
        else:
            self.branch(node.condition, then, otherwise)
        builder.start(then)
        self.statement(node.then)
        self.go(end)
        if node.otherwise is not None:
            builder.start(otherwise)
            self.statement(node.otherwise)
            self.go(end)
        builder.start(end)

    def go(self, block: Block) -> None:
        """Jump there, unless a jump away came before."""
        if not self.builder.is_terminated:
            self.builder.jump(block)

    def loop_body(self, body: ast.Statement, leave: Block, again: Block) -> None:
        self.breaks.append(leave)
        self.loops.append(again)
        self.statement(body)
        self.breaks.pop()
        self.loops.pop()

    def while_(self, node: ast.While) -> None:
        builder = self.builder
        head, body = builder.new_block("while"), builder.new_block("body")
        end = builder.new_block("endwhile")
        builder.jump(head)
        builder.start(head, seal=False)
        if node.negated:
            self.branch(node.condition, end, body)
        else:
            self.branch(node.condition, body, end)
        builder.start(body)
        self.loop_body(node.body, end, head)
        self.go(head)
        builder.seal(head)
        builder.start(end)

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
        first = self.converted(node.start, STRING)
        last = self.converted(node.end, STRING)
        step: Operand = Constant(I64, 1)
        if node.step is not None:
            step = self.converted(node.step, STRING)
        variable.slot = None
        self.declare(variable, first)
        head, body = builder.new_block("for"), builder.new_block("body")
        again, end = builder.new_block("next"), builder.new_block("endfor")
        builder.jump(head)
        builder.start(head, seal=False)
        value = self.read_variable(variable)
        builder.line = node.span.line
        if step.kind == 1:
            down = int(step.value) < 0  # type: ignore[union-attr]
            condition = builder.value(op.SGE if down else op.SLE, I64, value, last)
            builder.branch(condition, body, end)
        else:
            upwards, downwards = builder.new_block("up"), builder.new_block("down")
            builder.branch(builder.value(op.SGE, I64, step, ZERO), upwards, downwards)
            for block, comparison in ((upwards, op.SLE), (downwards, op.SGE)):
                builder.start(block)
                builder.branch(builder.value(comparison, I64, value, last), body, end)
        builder.start(body)
        self.loop_body(node.body, end, again)
        self.go(again)
        builder.start(again)
        builder.line = node.span.line
        value = self.read_variable(variable)
        self.write_variable(variable, builder.value(op.ADD, I64, value, step, name=variable.name))
        builder.jump(head)
        builder.seal(head)
        builder.start(end)

    def foreach(self, node: ast.Foreach) -> None:
        """Over the words of a vector or the characters of a string; nothing for null."""
        builder = self.builder
        (variable,) = self.module.locals_of[node]
        is_string = node.collection.type is STRING
        collection = self.value(node.collection)
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
        element = FLOAT if node.collection.type is FVEC else STRING
        value = self.load_element("%" if is_string else "!", collection, at, element)
        variable.slot = None
        self.declare(variable, self.convert(value, element, variable.type))
        self.loop_body(node.body, end, again)
        self.go(again)
        builder.start(again)
        builder.write(index, builder.value(op.ADD, I64, builder.read(index), Constant(I64, 1)))
        builder.jump(head)
        builder.seal(head)
        builder.start(end)

    def switch(self, node: ast.Switch) -> None:
        """A block for each label; what stands before the next label falls through to it."""
        builder = self.builder
        selector = self.converted(node.value, STRING)
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
        self.switch_ends.append(end)
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

    def valof(self, node: ast.Valof) -> Operand:
        builder = self.builder
        end = builder.new_block("valof")
        result = object()
        builder.declare(result, ir_type(node.type), "")
        self.valofs.append((result, end, node.type))
        outer = self.breaks, self.loops, self.switch_ends
        self.breaks, self.loops, self.switch_ends = [], [], []
        self.statement(node.body)
        self.breaks, self.loops, self.switch_ends = outer
        self.valofs.pop()
        if not builder.is_terminated:  # without a RESULTIS the value is undefined: 0
            builder.write(result, FLOAT_ZERO if node.type is FLOAT else ZERO)
            builder.jump(end)
        builder.start(end)
        return builder.read(result)

    def resultis(self, node: ast.Resultis) -> None:
        if not self.valofs:  # in a routine it ends the routine
            self.value(node.value)
            self.return_nothing()
            return
        result, end, type_ = self.valofs[-1]
        value = self.converted(node.value, type_)
        self.builder.write(result, value)
        self.builder.jump(end)

    def jump(self, node: ast.Jump) -> None:
        kind = node.kind
        if kind == "RETURN":
            self.return_nothing()
        elif kind == "BREAK":
            self.builder.jump(self.breaks[-1])
        elif kind == "LOOP":
            self.builder.jump(self.loops[-1])
        elif kind == "ENDCASE":
            self.builder.jump(self.switch_ends[-1])
        elif kind == "FINISH":
            entry = ENTRIES["FINISH"]
            self.module.declare(entry.symbol, entry.signature)
            self.builder.call(entry.symbol, entry.signature, [])
            self.builder.unreachable()

    def call_statement(self, node: ast.CallStatement) -> None:
        self.value(node.call)

    def ownership(self, node: ast.Ownership) -> None:
        """FREEVEC and FREELIST: releasing is optional, the operand is evaluated."""
        assert node.value is not None
        self.value(node.value)

    # --- assignment -------------------------------------------------------------------------------

    def assignment(self, node: ast.Assignment) -> None:
        """All values first, then all targets; a single one needs no such care."""
        values = [self.value(value) for value in node.values]
        for target, source, value in zip(node.targets, node.values, values, strict=False):
            store, type_ = self.place(target)
            store(self.convert(value, source.type, type_))

    def place(self, node: ast.Expression) -> PLACE:
        """How to assign to a target, and the class that it takes."""
        builder = self.builder
        if isinstance(node, ast.Name):
            meaning = node.meaning
            if isinstance(meaning, FieldInfo):
                type_ = meaning.variable.type
                this = self.this()
                return self.store_at(this, meaning.offset, type_)
            assert isinstance(meaning, Variable)
            variable = meaning
            return (lambda value: self.write_variable(variable, value)), variable.type
        if isinstance(node, ast.FieldAccess):
            base, offset, type_ = self.field(node)
            return self.store_at(base, offset, type_)
        if isinstance(node, ast.BitField):
            return self.bit_field_place(node)
        if isinstance(node, ast.Unary):
            address = self.value(node.operand)
            if node.operator == "%":
                return self.store_character(address, 0)
            return (lambda value: self.store_bits(value, address, 0)), _AS_IT_IS
        assert isinstance(node, ast.Binary)
        base = self.value(node.left)
        index = self.converted(node.right, STRING)
        address, offset = self.element(node.operator, base, index)
        if node.operator == "%":
            return self.store_character(address, offset)
        if node.type is FLOAT:
            return (lambda value: builder.store(F64, value, address, offset)), FLOAT
        return self.store_at(address, offset, STRING)

    def bit_field_place(self, node: ast.BitField) -> PLACE:
        """The word is read, changed and written; its address is computed once."""
        word_node = node.word
        if isinstance(word_node, ast.Name) and isinstance(word_node.meaning, Variable):
            variable = word_node.meaning
            start, mask = self.field_bounds(node)

            def store(value: Operand) -> None:
                word = self.convert(self.read_variable(variable), variable.type, STRING)
                changed = self.inserted(word, start, mask, value)
                self.write_variable(variable, self.convert(changed, STRING, variable.type))

            return store, STRING
        address = self.address(word_node)
        start, mask = self.field_bounds(node)
        is_character = isinstance(word_node, ast.Binary | ast.Unary) and word_node.operator == "%"
        if is_character or word_node.type is FLOAT:
            not_yet(self.module.diagnostics, "a bit field of a character or FLOAT", node.span)

        def store_there(value: Operand) -> None:
            word = self.builder.load(I64, address)
            self.builder.store(I64, self.inserted(word, start, mask, value), address)

        return store_there, STRING

    def store_at(self, base: Operand, offset: int, type_: ValueType) -> PLACE:
        kind = ir_type(type_)
        return (lambda value: self.builder.store(kind, value, base, offset)), type_

    def store_character(self, address: Operand, offset: int) -> PLACE:
        def store(value: Operand) -> None:
            self.builder.emit(op.STORE32, I64, [value, address], offset=offset)

        return store, STRING

    def store_bits(self, value: Operand, address: Operand, offset: int) -> None:
        self.builder.store(I64, value, address, offset)


_AS_IT_IS = STRING

STATEMENTS: dict[type, Callable[..., None]] = {
    ast.Block: FunctionLowering.block,
    ast.If: FunctionLowering.if_,
    ast.While: FunctionLowering.while_,
    ast.Repeat: FunctionLowering.repeat,
    ast.For: FunctionLowering.for_,
    ast.Foreach: FunctionLowering.foreach,
    ast.Switch: FunctionLowering.switch,
    ast.Resultis: FunctionLowering.resultis,
    ast.Jump: FunctionLowering.jump,
    ast.Assignment: FunctionLowering.assignment,
    ast.CallStatement: FunctionLowering.call_statement,
    ast.Let: FunctionLowering.let,
    ast.Manifest: FunctionLowering.nothing,
    ast.Static: FunctionLowering.nothing,
    ast.FunctionDeclaration: FunctionLowering.nothing,
    ast.Ownership: FunctionLowering.ownership,
}
