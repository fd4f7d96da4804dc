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

HIDDEN = (ast.This, ast.SuperGet, ast.SuperInvoke, ast.FunctionExpression)


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
        """The fields, and whether the body consists of nothing else."""
        found: list[str] = []
        if function.receiver is None or depth > 20:
            return found, False
        defaults = [one.default for one in function.parameters if one.default is not None]
        if not all(is_blind(default, found) for default in defaults):
            return found, False
        for node in function.body:
            if isinstance(node, ast.VarDeclaration):
                if node.initializer is not None and not is_blind(node.initializer, found):
                    return found, False
                continue
            if not isinstance(node, ast.ExpressionStatement):
                return found, False
            expression = node.expression
            if isinstance(expression, ast.SuperInvoke):
                more, is_all = self._inherited(expression, function, found, depth)
                found += [name for name in more if name not in found]
                if not is_all:
                    return found, False
                continue
            if not isinstance(expression, ast.Set) or not is_own(expression.receiver, function):
                return found, False
            if not is_blind(expression.value, found):
                return found, False
            if expression.name not in found:
                found.append(expression.name)
        return found, True

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


def is_blind(node: ast.Expression, fields: list[str]) -> bool:
    """Whether evaluating this shows `this` to nobody: it reads the fields there are, at most."""
    plain = {
        id(one.receiver)
        for one in walk(node)
        if isinstance(one, ast.Get) and isinstance(one.receiver, ast.This) and one.name in fields
    }
    return all(not isinstance(one, HIDDEN) or id(one) in plain for one in walk(node))
