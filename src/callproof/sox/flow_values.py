"""What flows where: the state of the whole program's kinds, calls, and expressions.

`flow.py` has the statements, and says what it is all for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from callproof.sox import nodes as ast
from callproof.sox.kinds import (
    A_BOOL,
    A_NIL,
    A_NUMBER,
    A_STRING,
    A_TABLE,
    ALL,
    ARGUMENTS,
    ARRAY,
    BOOL,
    BOUND,
    CLASS,
    CLOSURE,
    INSTANCE,
    NATIVE,
    NIL,
    NOTHING,
    NUMBER,
    SIMPLE,
    STRING,
    TABLE,
    Kind,
    Site,
)
from callproof.sox.native_kinds import PLAIN, SPECIAL
from callproof.sox.symbols import (
    CaptureInfo,
    ClassInfo,
    FunctionInfo,
    GlobalInfo,
    LocalInfo,
    Program,
)

ARITHMETIC = frozenset("-*/%")
TABLES = "the contents of tables"
HIERARCHY = "who inherits from whom"
CONTEXT_NATIVES = frozenset(("test_error", "test_fatal"))


class TooMuchWork(Exception):
    """What has been found is no answer yet."""


class ValueFlow:
    """The kinds of one program.

    `state` maps variables (`LocalInfo`, `GlobalInfo`) and the keys ('element', site),
    ('field', class, name), ('result', function), ('parents', class) and TABLES to kinds.
    """

    def __init__(self, program: Program, limit: int) -> None:
        self.program = program
        self.limit: int | None = limit  # of `work`; None once all is found
        self.state: dict[Hashable, Kind] = {}
        self.nodes: dict[ast.Node, Kind] = {}
        self.methods: dict[ClassInfo, dict[str, FunctionInfo]] = {}
        self.work = 0  # how much there was to do, in no unit
        self._known_methods: dict[tuple[ClassInfo, str], list[FunctionInfo]] = {}
        # Who reads, and in which of all walks through functions it did so last.
        self._readers: dict[Hashable, dict[FunctionInfo, int]] = {}
        self._walk = 0
        self._waiting: deque[FunctionInfo] = deque()
        self._queued: set[FunctionInfo] = set()
        self._current = program.script.function
        for module in program.modules:
            for function in (module.function, *module.functions):
                self._wait(function)

    # --- what is found ------------------------------------------------------------------------

    def tags(self, node: ast.Node) -> int:
        """The tags that an expression can give; ALL where nothing is known."""
        return self.nodes.get(node, NOTHING).tags or ALL

    def kind(self, node: ast.Node) -> Kind:
        return self.nodes.get(node, NOTHING)

    def held(self, key: Hashable) -> Kind:
        """What a variable, an element, a field or a result can be."""
        return self.state.get(key, NOTHING)

    def lineage(self, info: ClassInfo) -> list[ClassInfo]:
        """A class and all that it can inherit from."""
        found = [info]
        seen = {info}
        for one in found:
            for parent in self.read(("parents", one)).classes:
                if parent not in seen:
                    seen.add(parent)
                    found.append(parent)
        return found

    def methods_of(self, info: ClassInfo, name: str) -> list[FunctionInfo]:
        """What a method's name can mean for an instance of exactly this class."""
        self._readers.setdefault(HIERARCHY, {})[self._current] = self._walk
        known = self._known_methods.get((info, name))
        if known is not None:
            return known
        found: list[FunctionInfo] = []
        seen = {info}
        pending = [info]
        for one in pending:
            own = self._own_methods(one).get(name)
            if own is not None:
                found.append(own)
                continue
            for parent in self.read(("parents", one)).classes:
                if parent not in seen:
                    seen.add(parent)
                    pending.append(parent)
        self._known_methods[info, name] = found
        return found

    def _own_methods(self, info: ClassInfo) -> dict[str, FunctionInfo]:
        found = self.methods.get(info)
        if found is None:  # of several of one name the last counts
            found = self.methods[info] = {method.name: method for method in info.methods}
        return found

    # --- the fixed point ------------------------------------------------------------------------

    def _wait(self, function: FunctionInfo) -> None:
        if function not in self._queued:
            self._queued.add(function)
            self._waiting.append(function)

    def read(self, key: Hashable) -> Kind:
        """Who reads is visited again when the answer has grown."""
        self.work = work = self.work + 1
        if self.limit is not None and work > self.limit:
            raise TooMuchWork
        readers = self._readers.get(key)
        if readers is None:
            readers = self._readers[key] = {}
        readers[self._current] = self._walk
        return self.state.get(key, NOTHING)

    def join(self, key: Hashable, kind: Kind) -> None:
        old = self.state.get(key, NOTHING)
        if kind is old:
            return
        new = old | kind
        if new is not old and new != old:
            self.state[key] = new
            self.work += len(new.sites)
            if isinstance(key, tuple) and key[0] == "parents":
                self._known_methods.clear()
                for reader in self._readers.get(HIERARCHY, ()):
                    self._wait(reader)
            current, walk = self._current, self._walk
            for reader, read_in in self._readers.get(key, {}).items():
                # Whoever reads it only after this in its present walk need not walk again.
                if reader is not current or read_in == walk:
                    self._wait(reader)

    def array(self, site: Site, elements: Kind) -> Kind:
        self.join(("element", site), elements)
        return Kind(ARRAY, frozenset((site,)))

    # --- calls ----------------------------------------------------------------------------------

    def enter(self, function: FunctionInfo, arguments: list[Kind]) -> Kind:
        for parameter, argument in zip(function.parameters, arguments, strict=False):
            self.join(parameter.local, argument)
        return self.read(("result", function))

    def call(self, callee: Kind, arguments: list[Kind], site: Site) -> Kind:
        """The result; `site` stands for arrays that a native makes."""
        found = NOTHING
        if callee.tags & (CLOSURE | BOUND):
            for function in callee.functions:
                found |= self.enter(function, arguments)
        if callee.tags & CLASS:
            for info in callee.classes:
                for method in self.methods_of(info, "init"):
                    self.enter(method, arguments)
                found |= Kind(INSTANCE, frozenset((info,)))
        if callee.tags & NATIVE:
            for name in callee.natives:
                found |= self.native(name, arguments, site)
        return found

    def native(self, name: str, arguments: list[Kind], site: Site) -> Kind:
        plain = PLAIN.get(name)
        return SPECIAL[name](self, arguments, site) if plain is None else Kind(plain)

    def elements(self, container: Kind) -> Kind:
        """What an array among them holds."""
        found = NOTHING
        if container.tags & ARRAY:
            for site in container.sites:
                found |= self.read(("element", site))
        return found

    # --- expressions ----------------------------------------------------------------------------

    def expression(self, node: ast.Expression) -> Kind:
        found = self.nodes[node] = EXPRESSIONS[type(node)](self, node)
        return found

    def values(self, nodes: list[ast.Expression]) -> list[Kind]:
        return [self.expression(node) for node in nodes]

    def variable(self, node: ast.Variable) -> Kind:
        meaning = node.meaning
        return self.read(meaning) if type(meaning) is LocalInfo else self.meaning(meaning)

    def meaning(self, meaning: LocalInfo | CaptureInfo | GlobalInfo) -> Kind:
        if type(meaning) is LocalInfo:
            return self.read(meaning)
        if isinstance(meaning, CaptureInfo):
            return self.read(meaning.local)
        found = self.read(meaning)
        if isinstance(meaning, GlobalInfo) and meaning.initial:
            if meaning.is_native:
                return found | Kind(NATIVE, frozenset((meaning.name,)))
            return found | A_NUMBER | self.array(ARGUMENTS, A_STRING)
        return found

    def assign_to(self, meaning: LocalInfo | CaptureInfo | GlobalInfo, kind: Kind) -> None:
        self.join(meaning.local if isinstance(meaning, CaptureInfo) else meaning, kind)

    def assign(self, node: ast.Assign) -> Kind:
        kind = self.expression(node.value)
        self.assign_to(node.meaning, kind)
        return kind

    def this(self, node: ast.This) -> Kind:
        return self.meaning(node.meaning)

    def unary(self, node: ast.Unary) -> Kind:
        self.expression(node.operand)
        return A_NUMBER if node.operator == "-" else A_BOOL

    def binary(self, node: ast.Binary) -> Kind:
        left, right = self.expression(node.left), self.expression(node.right)
        operator = node.operator
        if operator in ARITHMETIC:
            return A_NUMBER
        if operator != "+":
            return A_BOOL
        if left is A_NUMBER and right is A_NUMBER:
            return A_NUMBER
        if not left.tags or not right.tags:
            return NOTHING
        found = (left.tags & right.tags & NUMBER) | ((left.tags | right.tags) & STRING)
        return SIMPLE.get(found) or Kind(found)

    def logical(self, node: ast.Logical) -> Kind:
        left, right = self.expression(node.left), self.expression(node.right)
        if node.operator == "and":
            return Kind(left.tags & (NIL | BOOL)) | right
        return left.without(NIL) | right

    def call_expression(self, node: ast.Call) -> Kind:
        callee = self.expression(node.callee)
        return self.call(callee, self.values(node.arguments), node)

    def invoke(self, node: ast.Invoke) -> Kind:
        receiver = self.expression(node.receiver)
        arguments = self.values(node.arguments)
        found = NOTHING
        if receiver.tags & INSTANCE:
            for info in receiver.classes:
                found |= self.call(self.read(("field", info, node.name)), arguments, node)
                for method in self.methods_of(info, node.name):
                    found |= self.enter(method, arguments)
        if receiver.tags & TABLE:
            found |= self.call(self.read(TABLES), arguments, node)
        return found

    def inherited(self, name: str, parent: LocalInfo | CaptureInfo) -> list[FunctionInfo]:
        classes = self.meaning(parent).classes
        return [method for info in classes for method in self.methods_of(info, name)]

    def super_get(self, node: ast.SuperGet) -> Kind:
        self.meaning(node.this)
        return Kind(BOUND, frozenset(self.inherited(node.name, node.parent)))

    def super_invoke(self, node: ast.SuperInvoke) -> Kind:
        self.meaning(node.this)
        arguments = self.values(node.arguments)
        found = NOTHING
        for method in self.inherited(node.name, node.parent):
            found |= self.enter(method, arguments)
        return found

    def get(self, node: ast.Get) -> Kind:
        receiver = self.expression(node.receiver)
        found = NOTHING
        if receiver.tags & INSTANCE:
            for info in receiver.classes:
                found |= self.read(("field", info, node.name))
                methods = self.methods_of(info, node.name)
                if methods:
                    found |= Kind(BOUND, frozenset(methods))
        if receiver.tags & TABLE:
            found |= self.read(TABLES) | A_NIL
        return found

    def set(self, node: ast.Set) -> Kind:
        receiver = self.expression(node.receiver)
        kind = self.expression(node.value)
        if receiver.tags & INSTANCE:
            for info in receiver.classes:
                self.join(("field", info, node.name), kind)
        if receiver.tags & TABLE:
            self.join(TABLES, kind)
        return kind

    def index(self, node: ast.Index) -> Kind:
        container = self.expression(node.receiver)
        self.expression(node.index)
        found = self.elements(container)
        return found | self.read(TABLES) | A_NIL if container.tags & TABLE else found

    def set_index(self, node: ast.SetIndex) -> Kind:
        container = self.expression(node.receiver)
        self.expression(node.index)
        kind = self.expression(node.value)
        if container.tags & ARRAY:
            for site in container.sites:
                self.join(("element", site), kind)
        if container.tags & TABLE:
            self.join(TABLES, kind)
        return kind

    def slice(self, node: ast.Slice) -> Kind:
        container = self.expression(node.receiver)
        for bound in (node.first, node.last):
            if bound is not None:
                self.expression(bound)
        return self.array(node, self.elements(container))

    def table(self, node: ast.TableLiteral) -> Kind:
        for kind in self.values(node.values):
            self.join(TABLES, kind)
        return A_TABLE

    def array_literal(self, node: ast.ArrayLiteral) -> Kind:
        elements = NOTHING
        for kind in self.values(node.elements):
            elements |= kind
        return self.array(node, elements)

    def function_expression(self, node: ast.FunctionExpression) -> Kind:
        return Kind(CLOSURE, frozenset((node.function,)))


EXPRESSIONS: dict[type, Callable[[ValueFlow, Any], Kind]] = {
    ast.Nil: lambda flow, node: A_NIL,
    ast.Boolean: lambda flow, node: A_BOOL,
    ast.Number: lambda flow, node: A_NUMBER,
    ast.String: lambda flow, node: A_STRING,
    ast.Variable: ValueFlow.variable,
    ast.Assign: ValueFlow.assign,
    ast.This: ValueFlow.this,
    ast.Unary: ValueFlow.unary,
    ast.Binary: ValueFlow.binary,
    ast.Logical: ValueFlow.logical,
    ast.Call: ValueFlow.call_expression,
    ast.Invoke: ValueFlow.invoke,
    ast.SuperGet: ValueFlow.super_get,
    ast.SuperInvoke: ValueFlow.super_invoke,
    ast.Get: ValueFlow.get,
    ast.Set: ValueFlow.set,
    ast.Index: ValueFlow.index,
    ast.SetIndex: ValueFlow.set_index,
    ast.Slice: ValueFlow.slice,
    ast.TableLiteral: ValueFlow.table,
    ast.ArrayLiteral: ValueFlow.array_literal,
    ast.FunctionExpression: ValueFlow.function_expression,
}
