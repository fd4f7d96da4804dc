"""What every expression, variable, field and element of a whole program can hold.

The program is closed: files that it imports are part of it, and the runtime calls functions
in few ways that are all stated here.  So one walk over all functions, repeated where what
it read has grown, gives the least solution: a value can be only what flows to it.  Variables
have one kind for their whole life, arrays one per place that makes them, fields one per class,
tables one for the contents of all of them.

Sound means: at run time every value that an expression gives has one of the tags found for
it, and comes from one of the sites.  Who extends the language's ways to move a value (a
new native, a new statement) extends this file: an unknown kind of node raises KeyError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from callproof.sox import nodes as ast
from callproof.sox.flow_values import CONTEXT_NATIVES, TABLES, TooMuchWork, ValueFlow
from callproof.sox.kinds import (
    A_NIL,
    A_NUMBER,
    A_STRING,
    A_TABLE,
    ARGUMENTS,
    ARRAY,
    CLASS,
    CLOSURE,
    INSTANCE,
    NATIVE,
    NOTHING,
    RANGE,
    STRING,
    TABLE,
    Kind,
)
from callproof.sox.symbols import (
    INITIALIZER,
    FunctionInfo,
    Module,
    Program,
)

MOST_WORK = 1_000_000  # some seconds


class Flow(ValueFlow):
    """See the module.  `test` and `benchmarks` are as for `lower.lower`.

    Where there is more than `limit` to do, nothing is known.
    """

    def __init__(
        self,
        program: Program,
        test: str = "",
        benchmarks: bool = False,
        *,
        limit: int = MOST_WORK,
    ) -> None:
        super().__init__(program, limit)
        self._test, self._benchmarks = test, benchmarks
        if program.script.is_open:
            return  # what is not here yet may do anything: nothing is known
        try:
            while self._waiting:
                function = self._waiting.popleft()
                self._queued.discard(function)
                self._current = function
                self._walk += 1
                self._function(function)
        except TooMuchWork:  # the program compiles without, too
            self.state.clear()
            self.nodes.clear()
        self.limit = None

    def _function(self, function: FunctionInfo) -> None:
        for parameter in function.parameters:
            if parameter.default is not None:
                self.join(parameter.local, self.expression(parameter.default))
        for local in function.locals:
            if local.is_captured_early:
                self.join(local, A_NIL)  # its cell is there before its value
        self.statements(function.body)
        if function.kind == INITIALIZER:
            assert function.receiver is not None
            self.join(("result", function), self.read(function.receiver))
        elif not ends(function.body):
            self.join(("result", function), A_NIL)
        if function is self.program.script.function:
            self._behind_the_script()

    def _behind_the_script(self) -> None:
        """What the runtime calls, and with what."""
        script = self.program.script
        arguments = [A_NUMBER, self.array(ARGUMENTS, A_STRING)]
        if self.program.main is not None:
            main = self.program.main
            self.enter(main, arguments[: len(main.parameters)])
        if self._test:
            self.join(TABLES, Kind(NATIVE, CONTEXT_NATIVES))
            self.call(self.read(script.globals[self._test]), [A_TABLE], script.function)
        if self._benchmarks:
            self.join(TABLES, A_NUMBER | A_STRING)
            for name, info in script.globals.items():
                if name.startswith("Benchmark"):
                    self.call(self.read(info), [A_TABLE], script.function)

    # --- statements -----------------------------------------------------------------------------

    def statements(self, nodes: list[ast.Statement]) -> None:
        for node in nodes:
            STATEMENTS[type(node)](self, node)

    def optional(self, node: ast.Node | None) -> None:
        if isinstance(node, ast.Expression):
            self.expression(node)
        elif isinstance(node, ast.Statement):
            self.statements([node])

    def expression_statement(self, node: ast.ExpressionStatement | ast.Print) -> None:
        self.expression(node.expression)

    def assertion(self, node: ast.Assert) -> None:
        self.expression(node.condition)
        self.optional(node.message)

    def block(self, node: ast.Block) -> None:
        self.statements(node.statements)

    def if_(self, node: ast.If) -> None:
        self.expression(node.condition)
        self.optional(node.then)
        self.optional(node.otherwise)

    def while_(self, node: ast.While) -> None:
        self.expression(node.condition)
        self.optional(node.body)

    def for_(self, node: ast.For) -> None:
        self.statements(node.initial)
        for part in (node.condition, node.step, node.body):
            self.optional(part)

    def foreach(self, node: ast.ForEach) -> None:
        container = self.expression(node.container)
        values = self.elements(container)
        for tag, kind in ((STRING, A_STRING), (RANGE, A_NUMBER)):
            if container.tags & tag:
                values |= kind
        keys = A_STRING if container.tags & TABLE else NOTHING
        if node.element is not None:
            self.join(node.element, values | keys)
        else:
            if container.tags & (ARRAY | STRING | RANGE):
                keys |= A_NUMBER
            if container.tags & TABLE:
                values |= self.read(TABLES)
            self.join(node.index, keys)
            self.join(node.value, values)
        self.block(node.body)

    def switch(self, node: ast.Switch) -> None:
        self.expression(node.subject)
        for arm in node.arms:
            self.values(arm.values)
            self.optional(arm.body)

    def jump(self, node: ast.Break | ast.Continue) -> None:
        pass  # moves no value

    def return_(self, node: ast.Return) -> None:
        function = self._current
        kind = A_NIL if node.value is None else self.expression(node.value)
        if function.kind != INITIALIZER:  # that gives its instance whatever stands here
            self.join(("result", function), kind)

    def defer(self, node: ast.Defer) -> None:
        self.enter(node.function, [])

    def variable_declaration(self, node: ast.VarDeclaration) -> None:
        if node.is_array:
            is_empty = isinstance(node.initializer, ast.TableLiteral) and not node.initializer.keys
            if node.initializer is None or is_empty:
                kind = self.array(node, NOTHING)
            else:
                given = self.expression(node.initializer)
                kind = Kind(given.tags & ARRAY, given.sites)
        else:
            kind = A_NIL if node.initializer is None else self.expression(node.initializer)
        self.join(node.symbol, kind)

    def function_declaration(self, node: ast.FunctionDeclaration) -> None:
        self.join(node.symbol, Kind(CLOSURE, frozenset((node.function,))))

    def class_declaration(self, node: ast.ClassDeclaration) -> None:
        info = node.info
        if info.superclass is not None:
            parents = self.expression(info.superclass)
            parents = Kind(parents.tags & CLASS, parents.sites)
            self.join(("parents", info), parents)
            self.join(info.parent, parents)
        self.join(node.symbol, Kind(CLASS, frozenset((info,))))
        receiver = Kind(INSTANCE, frozenset((info,)))
        for one in self.lineage(info):
            for method in one.methods:
                self.join(method.receiver, receiver)

    def import_(self, node: ast.Import) -> None:
        if isinstance(node.target, Module):
            self.join(node.symbol, self.read(("result", node.target.function)))


def ends(nodes: list[ast.Statement]) -> bool:
    """Whether control surely does not fall off the end."""
    for node in nodes:
        if isinstance(node, ast.Return):
            return True
        if isinstance(node, ast.Block) and ends(node.statements):
            return True
        arms = [node.then, node.otherwise] if isinstance(node, ast.If) else []
        if arms and all(arm is not None and ends([arm]) for arm in arms):
            return True
    return False


STATEMENTS: dict[type, Callable[[Flow, Any], None]] = {
    ast.ExpressionStatement: Flow.expression_statement,
    ast.Print: Flow.expression_statement,
    ast.Assert: Flow.assertion,
    ast.Block: Flow.block,
    ast.If: Flow.if_,
    ast.While: Flow.while_,
    ast.For: Flow.for_,
    ast.ForEach: Flow.foreach,
    ast.Switch: Flow.switch,
    ast.Break: Flow.jump,
    ast.Continue: Flow.jump,
    ast.Return: Flow.return_,
    ast.Defer: Flow.defer,
    ast.VarDeclaration: Flow.variable_declaration,
    ast.FunctionDeclaration: Flow.function_declaration,
    ast.ClassDeclaration: Flow.class_declaration,
    ast.Import: Flow.import_,
}
