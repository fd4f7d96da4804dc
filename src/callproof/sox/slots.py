"""Fields whose slot is known: those that every instance of a class has, in one order.

An initializer that begins with assignments `this.field = ...` gives these fields the
slots 0, 1, 2 ..., before anything else can see the instance: no instance without them
is ever met.  Statements that could let `this` out, or leave early, end the list.
"""

from __future__ import annotations

from callproof.sox import nodes as ast
from callproof.sox.flow import Flow
from callproof.sox.infer import walk
from callproof.sox.symbols import ClassInfo, FunctionInfo

# What may show an instance to others, now or later, or leave the function.
HIDDEN = (
    ast.This,
    ast.SuperGet,
    ast.SuperInvoke,
    ast.FunctionExpression,
    ast.FunctionDeclaration,
    ast.ClassDeclaration,
    ast.Defer,
    ast.Return,
    ast.Break,
    ast.Continue,
)
DEEPEST = 20  # superclasses


class Slots:
    """Asks the flow for classes' initializers; answers are kept."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self._fields: dict[ClassInfo, list[str]] = {}

    def slot(self, classes: list[ClassInfo], name: str) -> int | None:
        """The slot that the field has in all instances of all these classes."""
        found: set[int] = set()
        for info in classes:
            fields = self.fields(info)
            if name not in fields:
                return None
            found.add(fields.index(name))
        return found.pop() if len(found) == 1 else None

    def fields(self, info: ClassInfo) -> list[str]:
        """The first fields of every instance, as far as they are certain."""
        known = self._fields.get(info)
        if known is None:
            self._fields[info] = []  # for a class that, at last, inherits from itself
            initializers = self.flow.methods_of(info, "init")
            if len(initializers) == 1:
                known, _ = self._beginning(initializers[0])
                self._fields[info] = known
            else:
                known = []
        return known

    def _beginning(self, function: FunctionInfo, depth: int = 0) -> tuple[list[str], bool]:
        """The fields, and whether the body does nothing else with the instance."""
        found: list[str] = []
        if function.receiver is None or depth > DEEPEST:
            return found, False
        defaults = [one.default for one in function.parameters if one.default is not None]
        if not all(is_blind(default, found) for default in defaults):
            return found, False
        return found, self._statements(function.body, function, found, depth)

    def _statements(
        self, nodes: list[ast.Statement], function: FunctionInfo, found: list[str], depth: int
    ) -> bool:
        """Adds the fields that the statements make; whether all were looked through."""
        return all(self._statement(node, function, found, depth) for node in nodes)

    def _statement(
        self, node: ast.Statement, function: FunctionInfo, found: list[str], depth: int
    ) -> bool:
        if is_blind(node, found):
            return True
        if isinstance(node, ast.Block):
            return self._statements(node.statements, function, found, depth)
        if isinstance(node, ast.If):
            return self._choice(node, function, found, depth)
        if not isinstance(node, ast.ExpressionStatement):
            return False
        expression = node.expression
        if isinstance(expression, ast.SuperInvoke):
            more, is_all = self._inherited(expression, function, found, depth)
            found += [name for name in more if name not in found]
            return is_all
        if not isinstance(expression, ast.Set) or not is_own(expression.receiver, function):
            return False
        if not is_blind(expression.value, found):
            return False
        if expression.name not in found:
            found.append(expression.name)
        return True

    def _choice(self, node: ast.If, function: FunctionInfo, found: list[str], depth: int) -> bool:
        """Both ways must make the same fields in the same order."""
        if not is_blind(node.condition, found):
            return False
        ways = []
        for arm in (node.then, node.otherwise):
            fields = list(found)
            if arm is not None and not self._statement(arm, function, fields, depth):
                return False
            ways.append(fields)
        if ways[0] != ways[1]:
            return False
        found[:] = ways[0]
        return True

    def _inherited(
        self, node: ast.SuperInvoke, function: FunctionInfo, found: list[str], depth: int
    ) -> tuple[list[str], bool]:
        """What `super.init(...)` gives an instance."""
        methods = self.flow.inherited(node.name, node.parent)
        if node.name != "init" or len(methods) != 1 or node.this is not function.receiver:
            return [], False
        if not all(is_blind(argument, found) for argument in node.arguments):
            return [], False
        return self._beginning(methods[0], depth + 1)


def is_own(node: ast.Expression, function: FunctionInfo) -> bool:
    return isinstance(node, ast.This) and node.meaning is function.receiver


def is_blind(node: ast.Node, fields: list[str]) -> bool:
    """Whether this shows `this` to nobody and goes on behind: it reads the fields there are."""
    plain = {
        id(one.receiver)
        for one in walk(node)
        if isinstance(one, ast.Get) and isinstance(one.receiver, ast.This) and one.name in fields
    }
    return all(not isinstance(one, HIDDEN) or id(one) in plain for one in walk(node))
