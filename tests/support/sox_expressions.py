"""The expressions of Sox for the evaluator (`sox_evaluator.py` has statements and calls)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from callproof.sox import nodes as ast
from callproof.sox.symbols import (
    CaptureInfo,
    FunctionInfo,
    GlobalInfo,
    LocalInfo,
    Module,
    Resolution,
)
from tests.support.sox_natives import clamp
from tests.support.sox_values import (
    Array,
    Bound,
    Closure,
    Instance,
    SoxError,
    Table,
    Value,
    equal,
    plain_text,
    truthy,
    type_name,
)


class Scope:
    """One variable, and the variables outside of it."""

    __slots__ = ("name", "outer", "symbol", "value")

    def __init__(self, symbol: LocalInfo, value: Value, outer: Scope | None) -> None:
        self.name = symbol.name
        self.symbol = symbol
        self.value = value
        self.outer = outer


def find(scope: Scope | None, name: str) -> Scope | None:
    while scope is not None and scope.name != name:
        scope = scope.outer
    return scope


@dataclass(slots=True)
class Frame:
    label: str  # as a trace shows it: `name()` or `script`
    module: Module
    function: FunctionInfo
    line: int = 0
    copies: dict[LocalInfo, Value] = field(default_factory=dict)  # see `check`
    defers: list[Closure] = field(default_factory=list)


NO_PROPERTY = "Only instances and tables have {}."
NUMBERS = "Operands must be numbers."


def divide(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if left == 0 or left != left:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def remainder(left: float, right: float) -> float:
    if right == 0 or math.isinf(left):
        return math.nan
    return math.fmod(left, right)


ARITHMETIC: dict[str, Callable[[float, float], Value]] = {
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": divide,
    "%": remainder,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class Expressions(ABC):
    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.globals: dict[Module, dict[str, Value]] = {}

    @abstractmethod
    def call(self, callee: Value, arguments: list[Value]) -> Value: ...

    @abstractmethod
    def run_closure(self, closure: Closure, arguments: list[Value], this: Value) -> Value: ...

    @abstractmethod
    def closure(self, function: FunctionInfo, scope: Scope | None) -> Closure: ...

    def check(self, meaning: Resolution, found: Scope | None) -> None:
        """Does the resolver say of a name what we found?

        A captured variable without a cell is copied when the closure is made: the copy must
        still be right.
        """
        frame = self.frames[-1]
        if isinstance(meaning, GlobalInfo):
            assert found is None
            assert meaning.module is frame.module
            return
        assert found is not None
        assert meaning.function is frame.function
        if isinstance(meaning, LocalInfo):
            assert found.symbol is meaning
            return
        assert found.symbol is meaning.local
        assert frame.function.captures[meaning.index] is meaning
        if not meaning.local.needs_cell:
            assert frame.copies[meaning.local] is found.value

    def evaluate(self, node: ast.Expression, scope: Scope | None) -> Value:
        return EVALUATE[type(node)](self, node, scope)

    def at(self, node: ast.Node) -> None:
        """What may fail next is at this node's line."""
        self.frames[-1].line = node.line

    def name(self, node: ast.Variable, scope: Scope | None) -> Value:
        found = find(scope, node.name)
        self.check(node.meaning, found)
        if found is not None:
            return found.value
        names = self.globals[self.frames[-1].module]
        if node.name not in names:
            self.at(node)
            raise SoxError(f"Undefined variable '{node.name}'.")
        return names[node.name]

    def assign(self, node: ast.Assign, scope: Scope | None) -> Value:
        value = self.evaluate(node.value, scope)
        found = find(scope, node.name)
        self.check(node.meaning, found)
        if found is not None:
            assert found.symbol.is_reassigned
            found.value = value
            return value
        names = self.globals[self.frames[-1].module]
        if node.name not in names:
            self.at(node)
            raise SoxError(f"Undefined variable '{node.name}'.")
        assert isinstance(node.meaning, GlobalInfo)
        assert not node.meaning.is_constant
        names[node.name] = value
        return value

    def hidden(self, meaning: LocalInfo | CaptureInfo, scope: Scope | None) -> Value:
        """`this` or the superclass, which are bound as variables `this` and `super`."""
        found = find(scope, meaning.name)
        self.check(meaning, found)
        assert found is not None
        return found.value

    def unary(self, node: ast.Unary, scope: Scope | None) -> Value:
        operand = self.evaluate(node.operand, scope)
        if node.operator == "!":
            return not truthy(operand)
        if not isinstance(operand, float):
            self.at(node)
            raise SoxError("Operand must be a number.")
        return -operand

    def binary(self, node: ast.Binary, scope: Scope | None) -> Value:
        left = self.evaluate(node.left, scope)
        right = self.evaluate(node.right, scope)
        operator = node.operator
        if operator in ("==", "!="):
            return equal(left, right) == (operator == "==")
        numbers = isinstance(left, float) and isinstance(right, float)
        if operator != "+":
            if not numbers:
                self.at(node)
                raise SoxError(NUMBERS)
            return ARITHMETIC[operator](left, right)
        if numbers:
            return left + right
        if isinstance(left, bytes) or isinstance(right, bytes):
            return plain_text(left) + plain_text(right)
        self.at(node)
        raise SoxError("Operands must be two numbers or involve a string.")

    def logical(self, node: ast.Logical, scope: Scope | None) -> Value:
        left = self.evaluate(node.left, scope)
        if truthy(left) == (node.operator == "or"):
            return left
        return self.evaluate(node.right, scope)

    def arguments(self, nodes: list[ast.Expression], scope: Scope | None) -> list[Value]:
        return [self.evaluate(node, scope) for node in nodes]

    def call_(self, node: ast.Call, scope: Scope | None) -> Value:
        callee = self.evaluate(node.callee, scope)
        arguments = self.arguments(node.arguments, scope)
        self.at(node)
        return self.call(callee, arguments)

    def invoke(self, node: ast.Invoke, scope: Scope | None) -> Value:
        receiver = self.evaluate(node.receiver, scope)
        arguments = self.arguments(node.arguments, scope)
        self.at(node)
        match receiver:
            case Instance():
                if node.name in receiver.fields:
                    return self.call(receiver.fields[node.name], arguments)
                method = receiver.of.methods.get(node.name)
                if method is not None:
                    return self.run_closure(method, arguments, receiver)
            case Table():
                key = node.name.encode()
                if key in receiver.values:
                    return self.call(receiver.get(key), arguments)
            case _:
                raise SoxError(NO_PROPERTY.format("methods"))
        raise SoxError(f"Undefined property '{node.name}'.")

    def super_method(self, node: ast.SuperGet | ast.SuperInvoke, scope: Scope | None) -> Bound:
        method = self.hidden(node.parent, scope).methods.get(node.name)
        if method is None:
            raise SoxError(f"Undefined property '{node.name}'.")
        return Bound(self.hidden(node.this, scope), method)

    def super_get(self, node: ast.SuperGet, scope: Scope | None) -> Value:
        self.at(node)
        return self.super_method(node, scope)

    def super_invoke(self, node: ast.SuperInvoke, scope: Scope | None) -> Value:
        arguments = self.arguments(node.arguments, scope)
        self.at(node)
        return self.call(self.super_method(node, scope), arguments)

    def get(self, node: ast.Get, scope: Scope | None) -> Value:
        receiver = self.evaluate(node.receiver, scope)
        self.at(node)
        match receiver:
            case Instance():
                if node.name in receiver.fields:
                    return receiver.fields[node.name]
                method = receiver.of.methods.get(node.name)
                if method is None:
                    raise SoxError(f"Undefined property '{node.name}'.")
                return Bound(receiver, method)
            case Table():
                return receiver.get(node.name.encode())
        raise SoxError(NO_PROPERTY.format("properties"))

    def set(self, node: ast.Set, scope: Scope | None) -> Value:
        receiver = self.evaluate(node.receiver, scope)
        value = self.evaluate(node.value, scope)
        self.at(node)
        match receiver:
            case Instance():
                receiver.fields[node.name] = value
            case Table():
                receiver.set(node.name.encode(), value)
            case _:
                raise SoxError(NO_PROPERTY.format("fields"))
        return value

    def element(self, array: Array, index: float) -> int:
        """The place in the list of an index; fails when it is outside."""
        if not (math.isfinite(index) and 0 <= int(index) < len(array.items)):
            shown = math.trunc(index) if math.isfinite(index) else index
            raise SoxError(f"Index out of bounds. index=({shown}) count=({len(array.items)})")
        return int(index)

    def index(self, node: ast.Index, scope: Scope | None) -> Value:
        receiver = self.evaluate(node.receiver, scope)
        index = self.evaluate(node.index, scope)
        self.at(node)
        match receiver, index:
            case Array(), float():
                return receiver.items[self.element(receiver, index)]
            case Table(), bytes():
                return receiver.get(index)
        self.bad_index(receiver, index, " for arrays", " for tables")

    def bad_index(self, receiver: Value, index: Value, array: str, table: str) -> NoReturn:
        if isinstance(receiver, Array):
            raise SoxError(f"Index value must be a number{array}. type=({type_name(index)})")
        if isinstance(receiver, Table):
            raise SoxError(f"Index value must be a string{table}. type=({type_name(index)})")
        raise SoxError("cannot index non-table or array types.")

    def set_index(self, node: ast.SetIndex, scope: Scope | None) -> Value:
        receiver = self.evaluate(node.receiver, scope)
        index = self.evaluate(node.index, scope)
        value = self.evaluate(node.value, scope)
        self.at(node)
        match receiver, index:
            case Array(), float():
                receiver.items[self.element(receiver, index)] = value
            case Table(), bytes():
                receiver.set(index, value)
            case _:
                self.bad_index(receiver, index, "", "")
        return value

    def slice(self, node: ast.Slice, scope: Scope | None) -> Value:
        receiver = self.evaluate(node.receiver, scope)
        bounds = [
            None if bound is None else self.evaluate(bound, scope)
            for bound in (node.first, node.last)
        ]
        self.at(node)
        if not isinstance(receiver, Array):
            raise SoxError("Array range expects array.")
        for given, bound in zip((node.first, node.last), bounds, strict=True):
            if given is not None and not isinstance(bound, float):
                raise SoxError("Invalid array range definition.")
        first, last = bounds
        length = len(receiver.items)
        start = clamp(first or 0, length)
        behind = length
        if last is not None:
            behind = clamp(math.trunc(last) + 1 if math.isfinite(last) else last, length)
        return Array(receiver.items[start:behind])

    def table(self, node: ast.TableLiteral, scope: Scope | None) -> Value:
        table = Table()
        for key, value in zip(node.keys, node.values, strict=True):
            table.set(key, self.evaluate(value, scope))
        return table


EVALUATE: dict[type[ast.Expression], Callable[[Expressions, Any, Scope | None], Value]] = {
    ast.Nil: lambda e, node, scope: None,
    ast.Boolean: lambda e, node, scope: node.value,
    ast.Number: lambda e, node, scope: float(node.value),
    ast.String: lambda e, node, scope: node.value,
    ast.Variable: Expressions.name,
    ast.Assign: Expressions.assign,
    ast.This: lambda e, node, scope: e.hidden(node.meaning, scope),
    ast.Unary: Expressions.unary,
    ast.Binary: Expressions.binary,
    ast.Logical: Expressions.logical,
    ast.Call: Expressions.call_,
    ast.Invoke: Expressions.invoke,
    ast.SuperGet: Expressions.super_get,
    ast.SuperInvoke: Expressions.super_invoke,
    ast.Get: Expressions.get,
    ast.Set: Expressions.set,
    ast.Index: Expressions.index,
    ast.SetIndex: Expressions.set_index,
    ast.Slice: Expressions.slice,
    ast.TableLiteral: Expressions.table,
    ast.ArrayLiteral: lambda e, node, scope: Array(e.arguments(node.elements, scope)),
    ast.FunctionExpression: lambda e, node, scope: e.closure(node.function, scope),
}
