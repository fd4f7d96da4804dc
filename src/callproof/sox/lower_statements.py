"""Statements, and a function as a whole: parameters and their defaults, defers, returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.ir.model import Operand, Symbol
from callproof.runtime import sox_layout as layout
from callproof.sox import nodes as ast
from callproof.sox.benchmarks import benchmarks_of
from callproof.sox.debug_info import show_captures
from callproof.sox.lower_allocation import new_array
from callproof.sox.lower_loops import STATEMENTS, LoopLowering
from callproof.sox.signatures import Typed, failure_text
from callproof.sox.symbols import (
    INITIALIZER,
    SCRIPT,
    GlobalInfo,
    ImportFailure,
    LocalInfo,
)
from callproof.sox.symbols import Module as SoxModule
from callproof.sox.values import (
    NIL,
    UNDEFINED,
    SoxValue,
    number_value,
    object_value,
    word,
)

if TYPE_CHECKING:
    pass


class FunctionLowering(LoopLowering):
    """One function from its parameters to its last return."""

    def run(self) -> None:
        builder, function = self.builder, self.function
        builder.line = function.line
        for local in function.locals:
            self.declare_local(local)
        if function.has_defer:
            self.defers = builder.slot(layout.VALUE_SIZE, 16, "defers")
            self.store_value(NIL, self.defers)
        self.parameters()
        if builder.keeps_debug:
            show_captures(self)
        if function.kind == SCRIPT:
            self.process_arguments()
        self.statements(function.body)
        if not builder.is_terminated:
            builder.line = function.end_line
            if function.kind == SCRIPT:
                self.call_main()
            self.leave(self.falling_off())

    # --- functions --------------------------------------------------------------------------

    def parameters(self) -> None:
        builder, function = self.builder, self.function
        if self.typed is not None:
            self.typed_parameters(self.typed)
            return
        incoming = builder.entry.parameters[1:]
        if function.receiver is not None:
            self.new_local(function.receiver, object_value(layout.INSTANCE, incoming[1]))
            incoming = incoming[2:]
        for index, parameter in enumerate(function.parameters):
            value = SoxValue(incoming[2 * index], incoming[2 * index + 1])
            if parameter.default is not None:
                value = self.with_default(value, parameter.default)
            self.new_local(parameter.local, value)

    def typed_parameters(self, form: Typed) -> None:
        function = self.function
        incoming: list[Operand] = [*self.builder.entry.parameters[form.has_self :]]
        if function.receiver is not None:
            self.new_local(function.receiver, object_value(layout.INSTANCE, incoming.pop(0)))
        for parameter, tag in zip(function.parameters, form.parameters, strict=True):
            first = incoming.pop(0)
            if tag == layout.NUMBER:
                value = number_value(first)
            elif tag is not None:
                value = object_value(tag, first)
            else:
                value = SoxValue(first, incoming.pop(0))
                if parameter.default is not None:
                    value = self.with_default(value, parameter.default)
            self.new_local(parameter.local, value)

    def with_default(self, value: SoxValue, default: ast.Expression) -> SoxValue:
        builder = self.builder
        pair = self.fresh("parameter")
        self.write_pair(pair, value)
        missing, joined = builder.new_block("missing"), builder.new_block("given")
        builder.branch(self.has_tag(value, layout.UNDEFINED), missing, joined)
        builder.start(missing)
        facts = dict(self.facts)
        self.write_pair(pair, self.expression(default))
        self.facts = facts
        builder.jump(joined)
        builder.start(joined)
        return self.read_pair(pair)

    def process_arguments(self) -> None:
        """`argc` and `argv` of every module, where they are used."""
        for module in self.program.program.modules:
            for name, symbol in (("argc", "sox_argument_count"), ("argv", "sox_argument_values")):
                info = module.globals.get(name)
                if info is not None and self.program.wants_arguments(info):
                    value = self.runtime_value(symbol)
                    self.store_value(value, self.global_address(info))

    def call_main(self) -> None:
        """What comes behind the top level: `main`, or a test, and benchmarks."""
        script = self.program.program.script
        if self.program.test:
            value = self.read(script.globals[self.program.test])
            self.fail("sox_run_test", *self.words(value))
            self.builder.unreachable_block()
            return
        self.call_main_function()
        if self.program.benchmarks:
            for name in benchmarks_of(script):
                text = Symbol(self.program.name_string(name))
                benchmark = self.read(script.globals[name])
                self.runtime("sox_run_benchmark", text, *self.words(benchmark))
            self.runtime("sox_end_benchmarks")

    def call_main_function(self) -> None:
        main = self.program.program.main
        if main is None:
            return
        symbols = ("sox_argument_count", "sox_argument_values")
        given = [self.runtime_value(symbol) for symbol in symbols]
        self.direct(main, word(0), given[: len(main.parameters)])

    def falling_off(self) -> SoxValue:
        if self.function.kind == INITIALIZER:
            assert self.function.receiver is not None
            return self.this_value(self.function.receiver)
        return NIL

    def leave(self, value: SoxValue) -> None:
        """Defers, then the return."""
        result = self.typed.result if self.typed is not None else None
        if result == layout.NUMBER:
            words = [self.number(value)]
        else:
            words = self.words(value) if result is None else [self.payload(value)]
        if self.defers is not None:
            self.runtime("sox_run_defers", self.defers)
        self.builder.return_(*words)

    # --- statements ---------------------------------------------------------------------------

    def expression_statement(self, node: ast.ExpressionStatement) -> None:
        self.expression(node.expression)

    def print(self, node: ast.Print) -> None:
        value = self.expression(node.expression)
        self.at(node)
        self.runtime("sox_print", *self.words(value))

    def assertion(self, node: ast.Assert) -> None:
        builder = self.builder
        condition = self.expression(node.condition)
        message = UNDEFINED if node.message is None else self.expression(node.message)
        self.at(node)
        failed, passed = builder.new_block("failed"), builder.new_block("passed")
        self.branch(self.truth(condition), passed, failed)
        builder.start(failed)
        self.fail("sox_assert_failed", *self.words(message))
        builder.start(passed)

    def block(self, node: ast.Block) -> None:
        self.statements(node.statements)

    def if_(self, node: ast.If) -> None:
        builder = self.builder
        then, done = builder.new_block("then"), builder.new_block("endif")
        otherwise = builder.new_block("else") if node.otherwise is not None else done
        ordered = self.condition(node.condition, then, otherwise)
        builder.start(then)
        facts = dict(self.facts)
        self.learn_ordered(ordered)
        self.inside(node.then, done)
        self.facts = facts
        if node.otherwise is not None:
            builder.start(otherwise)
            self.inside(node.otherwise, done)
        builder.start(done)

    def switch(self, node: ast.Switch) -> None:
        builder = self.builder
        subject = self.expression(node.subject)
        facts = dict(self.facts)
        done = builder.new_block("endswitch")
        bodies = [builder.new_block("arm") for _ in node.arms]
        default = done
        for arm, body in zip(node.arms, bodies, strict=True):
            if arm.is_default:
                default = body
            for one in arm.values:
                value = self.expression(one)
                self.at(arm)
                following = builder.new_block("case")
                self.branch(self.equal(subject, value), body, following)
                builder.start(following)
        builder.jump(default)
        self.facts = facts
        self.breaks.append(done)
        for arm, body in zip(node.arms, bodies, strict=True):
            builder.start(body)
            if arm.body is not None:
                self.inside(arm.body, done)
            else:
                builder.jump(done)
        self.breaks.pop()
        builder.start(done)

    def break_(self, node: ast.Break) -> None:
        self.builder.jump(self.breaks[-1])

    def continue_(self, node: ast.Continue) -> None:
        self.builder.jump(self.continues[-1])

    def return_(self, node: ast.Return) -> None:
        value = self.falling_off() if node.value is None else self.expression(node.value)
        self.at(node)
        if self.function.kind == INITIALIZER:
            value = self.falling_off()
        self.leave(value)

    def defer(self, node: ast.Defer) -> None:
        assert self.defers is not None
        closure = self.closure(node.function)
        self.runtime("sox_defer", self.defers, *self.words(closure))

    # --- definitions --------------------------------------------------------------------------

    def define(self, symbol: GlobalInfo | LocalInfo, value: SoxValue) -> None:
        if isinstance(symbol, LocalInfo):
            self.new_local(symbol, value)
            return
        self.store_value(value, self.global_address(symbol))
        if self.function.kind == SCRIPT:
            self.program.defined.add(symbol)

    def variable_declaration(self, node: ast.VarDeclaration) -> None:
        symbol = node.symbol
        if isinstance(symbol, LocalInfo) and symbol.is_captured_early:
            self.new_local(symbol, NIL)
        if node.is_array:
            value = self.array_variable(node)
        else:
            value = NIL if node.initializer is None else self.expression(node.initializer)
        self.at(node)
        if isinstance(symbol, LocalInfo) and symbol.is_captured_early:
            self.write_local(symbol, value)
            return
        self.define(symbol, value)
        if isinstance(symbol, LocalInfo) and not symbol.is_reassigned and value.is_constant:
            self.constants[symbol] = value

    def array_variable(self, node: ast.VarDeclaration) -> SoxValue:
        is_empty = isinstance(node.initializer, ast.TableLiteral) and not node.initializer.keys
        if node.initializer is None or is_empty:
            self.at(node)
            return new_array(self)
        value = self.expression(node.initializer)
        self.at(node)
        if self.tag_of(value) == layout.ARRAY:
            return value
        required = self.runtime("sox_require_array", *self.words(value))
        return object_value(layout.ARRAY, required[1])

    def function_declaration(self, node: ast.FunctionDeclaration) -> None:
        symbol = node.symbol
        if isinstance(symbol, GlobalInfo):
            self.define(symbol, self.closure(node.function, once=True))
            return
        if not symbol.is_reassigned:
            self.program.local_functions[symbol] = node.function
        if symbol.needs_cell:  # it calls itself: its cell is there before the closure
            self.new_local(symbol, NIL)
            self.write_local(symbol, self.closure(node.function))
        else:
            self.new_local(symbol, self.closure(node.function))

    def class_declaration(self, node: ast.ClassDeclaration) -> None:
        info = node.info
        name = Symbol(self.program.name_string(info.name))
        symbol = node.symbol
        early = isinstance(symbol, LocalInfo) and symbol.needs_cell
        if early:
            assert isinstance(symbol, LocalInfo)
            self.new_local(symbol, NIL)
        if info.superclass is None:
            made = self.runtime("sox_class", name)
        else:
            parent = self.expression(info.superclass)
            self.at(node)
            made = self.runtime("sox_subclass", name, *self.words(parent))
            assert info.parent is not None
            self.new_local(info.parent, parent)
        value = object_value(layout.CLASS, made[1])
        if early:
            assert isinstance(symbol, LocalInfo)
            self.write_local(symbol, value)
        else:
            self.define(symbol, value)
        for method in info.methods:
            closure = self.closure(method, once=True)
            method_name = Symbol(self.program.name_string(method.name))
            self.runtime("sox_method", *self.words(value), method_name, *self.words(closure))

    def import_(self, node: ast.Import) -> None:
        target = node.target
        if isinstance(target, SoxModule):
            importer = self.program.importer_name(target)
            tag, payload = self.builder.call(importer, self.program.importer_signature, [])
            self.define(node.symbol, SoxValue(tag, payload))
            return
        assert isinstance(target, ImportFailure)
        message = Symbol(self.program.c_string(failure_text(target)))
        self.fail("sox_fail", message)
        self.builder.unreachable_block()


STATEMENTS.update(
    {
        ast.ExpressionStatement: FunctionLowering.expression_statement,
        ast.Print: FunctionLowering.print,
        ast.Assert: FunctionLowering.assertion,
        ast.Block: FunctionLowering.block,
        ast.If: FunctionLowering.if_,
        ast.Switch: FunctionLowering.switch,
        ast.Break: FunctionLowering.break_,
        ast.Continue: FunctionLowering.continue_,
        ast.Return: FunctionLowering.return_,
        ast.Defer: FunctionLowering.defer,
        ast.VarDeclaration: FunctionLowering.variable_declaration,
        ast.FunctionDeclaration: FunctionLowering.function_declaration,
        ast.ClassDeclaration: FunctionLowering.class_declaration,
        ast.Import: FunctionLowering.import_,
    }
)
