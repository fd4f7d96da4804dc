"""Lowering of functions: statements, jumps, VALOF, USING and DEFER."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from callproof.bcpl import nodes as ast
from callproof.bcpl.lower_loops import Exit, LoopLowering
from callproof.bcpl.lower_values import ONE, ZERO, ir_type, nothing_of
from callproof.bcpl.symbols import FunctionInfo, Variable
from callproof.bcpl.value_types import FLOAT, STRING, ValueType, described
from callproof.ir.builder import FunctionBuilder
from callproof.ir.model import Block, Constant, Operand, Symbol
from callproof.ir.types import HALVES, I64
from callproof.runtime.entries import BRK, ENTRIES

if TYPE_CHECKING:
    from callproof.bcpl.lower import ModuleLowering


class FunctionLowering(LoopLowering):
    """One function: where jumps lead is kept on stacks while its statements are walked."""

    def __init__(
        self, module: ModuleLowering, builder: FunctionBuilder, function: FunctionInfo | None
    ) -> None:
        super().__init__(module, builder, function)
        self.breaks: list[Exit] = []
        self.loops: list[Exit] = []
        self.switch_ends: list[Exit] = []
        self.open_usings: list[Variable] = []
        self.valofs: list[tuple[object, Exit, ValueType]] = []
        self.labels: dict[str, Block] = {}
        # With a DEFER all ways out meet at one block; of each DEFER a flag says that it was met.
        self.exit: Block | None = None
        self.result = object()
        self.deferred: list[tuple[object, ast.Defer]] = []

    def run(self) -> None:
        """Lower the function's body."""
        assert self.function is not None
        info, builder = self.function, self.builder
        body = info.declaration.body
        builder.line = info.declaration.name_span.line
        if info.has_defer:
            self.exit = builder.new_block("exit")
            builder.declare(self.result, ir_type(info.result), "")
        self.parameters()
        if isinstance(body, ast.Expression):
            value = self.converted(body, info.result)
            if not builder.is_terminated:
                self.leave(value)
        else:
            self.statement(body)
            if not builder.is_terminated:
                self.return_nothing()
        for block in self.labels.values():
            builder.seal(block)
        if self.exit is not None:
            self.run_deferred(self.exit)
        builder.finish()

    def parameters(self) -> None:
        assert self.function is not None
        variables = list(self.function.parameters)
        if self.function.this is not None:
            variables.insert(0, self.function.this)
        incoming = list(self.builder.entry.parameters)
        words = self.function.packs_as_words
        for variable in variables:
            pack = variable.type.pack
            count = 2 if pack is not None and pack.vector in HALVES and not words else 1
            values, incoming = incoming[:count], incoming[count:]
            self.declare(variable, self.received(variable.type, values, words))

    # --- ways out ----------------------------------------------------------------------------

    def return_nothing(self) -> None:
        assert self.function is not None
        self.leave(nothing_of(self.function.result))

    def leave(self, value: Operand) -> None:
        """Return from the function, through the releases of open USINGs and the DEFERs."""
        self.release_to(0)
        if self.exit is None:
            self.return_value(value)
            return
        self.builder.write(self.result, value)
        self.builder.jump(self.exit)

    def release_to(self, depth: int) -> None:
        """Release what is bound by USINGs, innermost first, but for the outer `depth`."""
        for variable in reversed(self.open_usings[depth:]):
            self.release(self.read_variable(variable))

    def run_deferred(self, exit_block: Block) -> None:
        """The last DEFER that was met first; each as often as it was met: not at all or once."""
        builder = self.builder
        builder.start(exit_block)
        self.exit = None
        self.breaks, self.loops, self.switch_ends, self.valofs = [], [], [], []
        known = set(self.labels)
        for flag, node in reversed(self.deferred):
            wanted, done = builder.new_block("deferred"), builder.new_block("done")
            builder.branch(builder.read(flag), wanted, done)
            builder.start(wanted)
            self.statement(node.body)
            self.go(done)
            builder.start(done)
        for name, block in self.labels.items():
            if name not in known:
                builder.seal(block)
        self.return_value(builder.read(self.result))

    def return_value(self, value: Operand) -> None:
        assert self.function is not None
        info = self.function
        self.builder.return_(*self.passed(info.result, value, info.packs_as_words))

    # --- statements ----------------------------------------------------------------------------

    def statement(self, node: ast.Statement) -> None:
        if self.builder.is_terminated:
            self.builder.unreachable_block()
        self.builder.line = node.span.line
        if not self.builder.keeps_debug or type(node) in DECLARING:
            STATEMENTS[type(node)](self, node)
            return
        mark = self.builder.enter()
        STATEMENTS[type(node)](self, node)
        self.builder.leave(mark)

    def block(self, node: ast.Block) -> None:
        for item in node.statements:
            self.statement(item)

    def nothing(self, node: ast.Statement) -> None:
        """Declarations that were dealt with before."""

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

    def valof(self, node: ast.Valof) -> Operand:
        builder = self.builder
        end = builder.new_block("valof")
        result = object()
        builder.declare(result, ir_type(node.type), "")
        self.valofs.append((result, self.exit_to(end), node.type))
        outer = self.breaks, self.loops, self.switch_ends
        self.breaks, self.loops, self.switch_ends = [], [], []
        self.statement(node.body)
        self.breaks, self.loops, self.switch_ends = outer
        self.valofs.pop()
        if not builder.is_terminated:  # without a RESULTIS the value is undefined: 0
            builder.write(result, nothing_of(node.type))
            builder.jump(end)
        builder.start(end)
        return builder.read(result)

    def resultis(self, node: ast.Resultis) -> None:
        self.result_is(node.value)

    def result_is(self, node: ast.Expression) -> None:
        if not self.valofs:  # in a routine it ends the routine
            self.value(node)
            self.return_nothing()
            return
        result, (end, depth), type_ = self.valofs[-1]
        value = self.converted(node, type_)
        self.release_to(depth)
        self.builder.write(result, value)
        self.builder.jump(end)

    def jump(self, node: ast.Jump) -> None:
        kind = node.kind
        if kind == "RETURN":
            self.return_nothing()
        elif kind == "FINISH":
            self.runtime_call(ENTRIES["FINISH"])
            self.builder.unreachable()
        elif kind == "BRK":
            self.brk(node)
        else:
            stack = {"BREAK": self.breaks, "LOOP": self.loops, "ENDCASE": self.switch_ends}[kind]
            block, depth = stack[-1]
            self.release_to(depth)
            self.builder.jump(block)

    def brk(self, node: ast.Jump) -> None:
        """Show where the program is, and the variables in sight, on standard error."""
        builder = self.builder
        assert self.function is not None
        variables = self.module.locals_of.get(node, [])
        array: Operand = ZERO
        if variables:
            array = builder.slot(24 * len(variables), 8, "shown")
        for index, variable in enumerate(variables):
            kind = {FLOAT: 1, STRING: 2}.get(variable.type, 0)
            value = self.as_bits(self.read_variable(variable), variable.type)
            row = (Symbol(self.module.c_string(variable.name)), Constant(I64, kind), value)
            for column, word in enumerate(row):
                builder.store(I64, word, array, 24 * index + 8 * column)
        name = Symbol(self.module.c_string(self.function.name))
        file = Symbol(self.module.c_string(node.span.file.name))
        line, count = Constant(I64, node.span.line), Constant(I64, len(variables))
        self.runtime_call(BRK, name, file, line, count, array)

    def label(self, node: ast.Label) -> None:
        block = self.label_block(node.name)
        self.go(block)
        self.builder.start(block, seal=False)

    def label_block(self, name: str) -> Block:
        """A label's block; sealed at the end, when all GOTOs are known."""
        block = self.labels.get(name)
        if block is None:
            block = self.labels[name] = self.builder.new_block(f"label_{name}")
        return block

    def goto(self, node: ast.Goto) -> None:
        assert node.using_depth is not None
        self.release_to(node.using_depth)
        self.builder.jump(self.label_block(node.label))

    def call_statement(self, node: ast.CallStatement) -> None:
        self.value(node.call)

    def using(self, node: ast.Using) -> None:
        (variable,) = self.module.locals_of[node]
        type_: ValueType = node.value.type
        known = type_.class_info.methods.get("RELEASE") if type_.class_info is not None else None
        if known is not None and known.parameters:
            self.module.diagnostics.error(
                f"USING calls RELEASE, and that of {known.name} takes arguments", node.span
            )
        if type_ is FLOAT or type_ is STRING or type_.pack is not None or type_.element is not None:
            self.module.diagnostics.error(
                f"USING takes an object, not {described(type_)}", node.value.span, code="type"
            )
        self.declare(variable, self.converted(node.value, variable.type))
        self.open_usings.append(variable)
        self.statement(node.body)
        self.open_usings.pop()
        if not self.builder.is_terminated:
            self.release(self.read_variable(variable))

    def defer(self, node: ast.Defer) -> None:
        flag = object()
        self.builder.declare(flag, I64, "")
        self.builder.write(flag, ONE)
        self.deferred.append((flag, node))

    def ownership(self, node: ast.Ownership) -> None:
        """SEND is RESULTIS, RETAIN may declare; releasing is optional, operands are evaluated."""
        if node.value is None:
            return
        if node.kind == "SEND":
            self.result_is(node.value)
            return
        variables = self.module.locals_of.get(node)
        if variables:
            self.declare(variables[0], self.converted(node.value, variables[0].type))
        elif node.kind == "FREEVEC":
            self.free_vector(node.value)
        else:
            self.value(node.value)


# What they declare is visible behind them, up to the end of the block around them.
DECLARING = frozenset((ast.Let, ast.Label))

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
    ast.Label: FunctionLowering.label,
    ast.Goto: FunctionLowering.goto,
    ast.Using: FunctionLowering.using,
    ast.Defer: FunctionLowering.defer,
    ast.Assignment: FunctionLowering.assignment,
    ast.CallStatement: FunctionLowering.call_statement,
    ast.Let: FunctionLowering.let,
    ast.Manifest: FunctionLowering.nothing,
    ast.Static: FunctionLowering.nothing,
    ast.FunctionDeclaration: FunctionLowering.nothing,
    ast.Ownership: FunctionLowering.ownership,
}
