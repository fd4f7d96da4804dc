"""An evaluator of Sox that walks the tree: slow, obvious, and the oracle for compiled programs.

It finds names by its own chain of bindings, made as declarations execute, and compares what it
finds with the resolver's word: which variable a name means, which ones need cells.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callproof.source import CallproofError, Diagnostic
from callproof.sox import nodes as ast
from callproof.sox.frontend import load, reference_errors
from callproof.sox.symbols import (
    FunctionInfo,
    GlobalInfo,
    ImportFailure,
    LocalInfo,
    Module,
    Program,
)
from tests.support.sox_expressions import Expressions, Frame, Scope, find
from tests.support.sox_natives import NATIVES, Exit, World
from tests.support.sox_trace import folded
from tests.support.sox_values import (
    Array,
    Bound,
    Class,
    Closure,
    Instance,
    Native,
    Range,
    SoxError,
    Table,
    Value,
    equal,
    printed,
    truthy,
)

DEEPEST = 20_000  # calls; a compiled program may go deeper


@dataclass(slots=True)
class Result:
    """What a program wrote (bytes) and its exit status."""

    output: bytes
    errors: bytes
    status: int


@dataclass(slots=True)
class Returned:
    value: Value


# How a statement ends: None as usual, or one of these.
BREAK, CONTINUE = object(), object()
Signal = Any


class OutOfSteps(Exception):
    """The program has executed as many statements as it may."""


GAVE_UP = -1  # a status that no program has
MANY = 100_000_000  # statements


def text_of(data: bytes) -> str:
    """For messages: any bytes, and back with the same error handler."""
    return data.decode(errors="surrogateescape")


def error_lines(found: Iterable[Diagnostic]) -> bytes:
    return b"".join(line + b"\n" for line in reference_errors(found))


class Evaluator(Expressions):
    def __init__(self, program: Program, arguments: list[bytes], steps: int) -> None:
        self.steps = steps
        self.program = program
        self.output = bytearray()
        self.errors = bytearray()
        super().__init__()
        self.world = World(arguments, random=random.Random(1))
        self.modules: dict[Module, Value] = {}  # finished ones
        self.running: list[Module] = []

    # The program as a whole

    def run(self) -> Result:
        status = 0
        try:
            try:
                self.script()
            except Exit as exit:
                status = exit.status
            self.exit_handlers()
        except SoxError as error:
            status = 70
            self.report(error)
        except Exit as exit:
            status = exit.status
        except OutOfSteps:
            status = GAVE_UP
        return Result(bytes(self.output), bytes(self.errors), status)

    def script(self) -> None:
        module = self.program.script

        def main() -> None:
            function = self.globals[module].get("main")
            if self.program.main is not None and isinstance(function, Closure):
                arguments = [float(len(self.world.arguments)), Array(list(self.world.arguments))]
                self.call(function, arguments if function.maximum else [])

        self.top_level(module, "script", main)

    def top_level(
        self, module: Module, label: str, after: Callable[[], None] | None = None
    ) -> Value:
        """Run a module's statements, then `after`, then what was deferred."""
        world = self.world
        names = {name: make(world) for name, make in NATIVES.items()}
        arguments = {
            "argc": float(len(world.arguments)),
            "argv": Array(list(world.arguments)),
        }
        self.globals[module] = {**names, **arguments}
        self.frames.append(Frame(label, module, module.function))
        value = self.body(module.function, None, after)
        if module is not self.program.script:  # exit handlers run from the script
            self.frames.pop()
        return value

    def exit_handlers(self) -> None:
        while self.world.handlers:
            self.call(self.world.handlers.pop(), [])

    def report(self, error: SoxError) -> None:
        lines = [error.message, f"[line {self.frames[-1].line}] in script"]
        trace = [f"[line {frame.line}] in {frame.label}" for frame in reversed(self.frames)]
        lines += folded(trace)
        self.errors += "\n".join(lines).encode(errors="surrogateescape") + b"\n"

    # Functions

    def body(
        self, function: FunctionInfo, scope: Scope | None, after: Callable[[], None] | None = None
    ) -> Value:
        """Execute a function's statements in the frame that was made for it."""
        frame = self.frames[-1]
        signal = self.block(function.body, scope)
        if signal is None:
            frame.line = function.end_line
        if after is not None:
            after()
        while frame.defers:
            self.call(frame.defers.pop(), [])
        return signal.value if isinstance(signal, Returned) else None

    def run_closure(self, closure: Closure, arguments: list[Value], this: Value) -> Value:
        if not closure.minimum <= len(arguments) <= closure.maximum:
            wanted = str(closure.minimum)
            if closure.maximum != closure.minimum:
                wanted += f" to {closure.maximum}"
            raise SoxError(f"Expected {wanted} arguments but got {len(arguments)}.")
        if len(self.frames) > DEEPEST:
            raise SoxError("Stack overflow.")
        function: FunctionInfo = closure.node
        scope: Scope | None = closure.scope
        if function.receiver is not None:
            scope = Scope(function.receiver, this, scope)
        frame = Frame(f"{closure.name}()", closure.module, function, function.line, closure.copies)
        self.frames.append(frame)
        for index, parameter in enumerate(function.parameters):
            if index < len(arguments):
                value = arguments[index]
            else:
                assert parameter.default is not None
                value = self.evaluate(parameter.default, scope)
            scope = Scope(parameter.local, value, scope)
        result = self.body(function, scope)
        self.frames.pop()
        return this if closure.is_initializer else result

    def call(self, callee: Value, arguments: list[Value]) -> Value:
        match callee:
            case Closure():
                return self.run_closure(callee, arguments, None)
            case Native():
                return callee.run(arguments)
            case Bound():
                return self.run_closure(callee.method, arguments, callee.receiver)
            case Class():
                instance = Instance(callee)
                initializer = callee.methods.get("init")
                if initializer is not None:
                    self.run_closure(initializer, arguments, instance)
                elif arguments:
                    raise SoxError(f"Expected 0 arguments but got {len(arguments)}.")
                return instance
        raise SoxError("Can only call functions and classes.")

    def closure(self, function: FunctionInfo, scope: Scope | None) -> Closure:
        result = Closure(
            function.name,
            function.required,
            len(function.parameters),
            function,
            scope,
            self.frames[-1].module,
            is_initializer=function.kind == "initializer",
        )
        for capture in function.captures:
            assert capture.source.function is self.frames[-1].function
            found = find(scope, capture.name)
            while found is not None and found.symbol is not capture.local:
                found = find(found.outer, capture.name)
            assert found is not None
            if not capture.local.needs_cell:
                result.copies[capture.local] = found.value
        return result

    # Statements

    def block(self, statements: list[ast.Statement], scope: Scope | None) -> Signal:
        for statement in statements:
            self.steps -= 1
            if self.steps == 0:
                raise OutOfSteps
            if isinstance(statement, ast.Definition):
                scope = self.define(statement, scope)
            else:
                signal = EXECUTE[type(statement)](self, statement, scope)
                if signal is not None:
                    return signal
        return None

    def execute(self, statement: ast.Statement, scope: Scope | None) -> Signal:
        return self.block([statement], scope)

    def define(self, node: ast.Definition, scope: Scope | None) -> Scope | None:
        """Execute a declaration; the scope of what follows it."""
        if isinstance(node.symbol, GlobalInfo):
            names = self.globals[self.frames[-1].module]
            assert node.symbol.module is self.frames[-1].module
            assert node.name not in names or not node.symbol.is_constant
            names[node.name] = DEFINE[type(node)](self, node, scope)
            return scope
        if isinstance(node, ast.VarDeclaration | ast.Import):
            return Scope(node.symbol, DEFINE[type(node)](self, node, scope), scope)
        # A function or class may mention itself.
        scope = Scope(node.symbol, None, scope)
        scope.value = DEFINE[type(node)](self, node, scope)
        return scope

    def variable(self, node: ast.VarDeclaration, scope: Scope | None) -> Value:
        if node.initializer is None:
            return Array() if node.is_array else None
        value = self.evaluate(node.initializer, scope)
        if node.is_array and not isinstance(value, Array):
            self.at(node)
            raise SoxError("Array variable expects an array.")
        return value

    def function(self, node: ast.FunctionDeclaration, scope: Scope | None) -> Value:
        return self.closure(node.function, scope)

    def class_(self, node: ast.ClassDeclaration, scope: Scope | None) -> Value:
        info = node.info
        own = scope
        parent = None
        if info.superclass is not None:
            parent = self.evaluate(info.superclass, scope)
            if not isinstance(parent, Class):
                self.at(node)
                raise SoxError("Superclass must be a class.")
            assert info.parent is not None
            scope = Scope(info.parent, parent, scope)
        result = Class(info.name, parent, dict(parent.methods) if parent else {})
        if isinstance(node.symbol, LocalInfo):  # the class has its name before it has methods
            assert own is not None
            own.value = result
        for method in info.methods:
            result.methods[method.name] = self.closure(method, scope)
        return result

    def import_(self, node: ast.Import, scope: Scope | None) -> Value:
        self.at(node)
        target = node.target
        if isinstance(target, ImportFailure):
            self.errors += error_lines(target.errors)
            raise SoxError(text_of(target.message))
        assert target is not None
        if target in self.running:
            raise SoxError(f"Circular import detected: '{text_of(node.path)}'")
        if target not in self.modules:
            self.running.append(target)
            self.modules[target] = self.top_level(target, "()")
            self.running.pop()
        return self.modules[target]

    def expression(self, node: ast.ExpressionStatement, scope: Scope | None) -> Signal:
        self.evaluate(node.expression, scope)

    def if_(self, node: ast.If, scope: Scope | None) -> Signal:
        if truthy(self.evaluate(node.condition, scope)):
            return self.execute(node.then, scope)
        return self.execute(node.otherwise, scope) if node.otherwise is not None else None

    def while_(self, node: ast.While, scope: Scope | None) -> Signal:
        while truthy(self.evaluate(node.condition, scope)):
            signal = self.execute(node.body, scope)
            if signal is BREAK:
                break
            if isinstance(signal, Returned):
                return signal
        return None

    def for_(self, node: ast.For, scope: Scope | None) -> Signal:
        for initial in node.initial:
            if isinstance(initial, ast.Definition):
                scope = self.define(initial, scope)
            else:
                self.execute(initial, scope)
        while node.condition is None or truthy(self.evaluate(node.condition, scope)):
            signal = self.execute(node.body, scope)
            if signal is BREAK:
                break
            if isinstance(signal, Returned):
                return signal
            if node.step is not None:
                self.evaluate(node.step, scope)
        return None

    def for_each(self, node: ast.ForEach, scope: Scope | None) -> Signal:
        container = self.evaluate(node.container, scope)
        self.at(node)
        pairs = self.pairs(container)
        for index, value in pairs:
            inner = scope
            if node.element is not None:
                # One variable: a table gives its keys, everything else its values.
                one = index if isinstance(container, Table) else value
                inner = Scope(node.element, one, inner)
            if node.index is not None:
                inner = Scope(node.index, index, inner)
            if node.value is not None:
                inner = Scope(node.value, value, inner)
            signal = self.execute(node.body, inner)
            if signal is BREAK:
                break
            if isinstance(signal, Returned):
                return signal
        return None

    def pairs(self, container: Value) -> Iterator[tuple[Value, Value]]:
        """Indices or keys, and values."""
        match container:
            case Array():
                return self.elements(container)
            case Table():
                return self.entries(container)
            case Range():
                return ((float(index), value) for index, value in enumerate(container))
            case bytes():
                return ((float(i), container[i : i + 1]) for i in range(len(container)))
        raise SoxError("Get Iterator expects a container.")

    @staticmethod
    def elements(array: Array) -> Iterator[tuple[Value, Value]]:
        """The array is examined again at every step."""
        index = 0
        while index < len(array.items):
            yield float(index), array.items[index]
            index += 1

    @staticmethod
    def entries(table: Table) -> Iterator[tuple[Value, Value]]:
        """The keys that were there at the beginning and still are."""
        for key in table.order():
            if key in table.values:
                yield key, table.get(key)

    def switch(self, node: ast.Switch, scope: Scope | None) -> Signal:
        subject = self.evaluate(node.subject, scope)
        chosen = next((arm for arm in node.arms if arm.is_default), None)
        for arm in node.arms:
            if self.matches(arm, subject, scope):
                chosen = arm
                break
        if chosen is None or chosen.body is None:
            return None
        signal = self.execute(chosen.body, scope)
        return None if signal is BREAK else signal

    def matches(self, arm: ast.SwitchArm, subject: Value, scope: Scope | None) -> bool:
        return any(equal(subject, self.evaluate(value, scope)) for value in arm.values)

    def return_(self, node: ast.Return, scope: Scope | None) -> Signal:
        value = None if node.value is None else self.evaluate(node.value, scope)
        self.at(node)
        return Returned(value)

    def print_(self, node: ast.Print, scope: Scope | None) -> Signal:
        self.output += printed(self.evaluate(node.expression, scope)) + b"\n"

    def assert_(self, node: ast.Assert, scope: Scope | None) -> Signal:
        condition = self.evaluate(node.condition, scope)
        message = None if node.message is None else self.evaluate(node.message, scope)
        if truthy(condition):
            return None
        self.at(node)
        if node.message is None:
            raise SoxError("Assertion failed.")
        if not isinstance(message, bytes):
            raise SoxError("Assertion failed: message must be a string.")
        raise SoxError(f"Assertion failed: {text_of(message)}")

    def defer(self, node: ast.Defer, scope: Scope | None) -> Signal:
        self.frames[-1].defers.append(self.closure(node.function, scope))


Execute = Callable[[Evaluator, Any, Scope | None], Signal]
EXECUTE: dict[type[ast.Statement], Execute] = {
    ast.ExpressionStatement: Evaluator.expression,
    ast.Print: Evaluator.print_,
    ast.Assert: Evaluator.assert_,
    ast.Block: lambda e, node, scope: e.block(node.statements, scope),
    ast.If: Evaluator.if_,
    ast.While: Evaluator.while_,
    ast.For: Evaluator.for_,
    ast.ForEach: Evaluator.for_each,
    ast.Switch: Evaluator.switch,
    ast.Break: lambda e, node, scope: BREAK,
    ast.Continue: lambda e, node, scope: CONTINUE,
    ast.Return: Evaluator.return_,
    ast.Defer: Evaluator.defer,
}
DEFINE: dict[type[ast.Definition], Callable[[Evaluator, Any, Scope | None], Value]] = {
    ast.VarDeclaration: Evaluator.variable,
    ast.FunctionDeclaration: Evaluator.function,
    ast.ClassDeclaration: lambda e, node, scope: e.class_(node, scope),
    ast.Import: Evaluator.import_,
}


STACK = 1 << 29  # bytes for the evaluator's own recursion


def run_file(path: Path, steps: int = MANY) -> Result:
    """Load and evaluate a script; `argv` is `callproof` and the path as it is given here.

    After `steps` statements it gives up: the status is `GAVE_UP`.
    """
    try:
        program = load(path)
    except CallproofError as error:
        return Result(b"", error_lines(error.diagnostics), 65)
    return in_deep_thread(Evaluator(program, [b"callproof", str(path).encode()], steps).run)


def in_deep_thread(run: Callable[[], Result]) -> Result:
    """Call a function where Python may recurse deeply."""
    results: list[Result] = []
    limit = sys.getrecursionlimit()
    size = threading.stack_size(STACK)
    try:
        sys.setrecursionlimit(100 * DEEPEST)
        thread = threading.Thread(target=lambda: results.append(run()))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)
    (result,) = results  # none if the evaluator itself failed: its traceback is shown
    return result
