"""Which local variables hold nothing but numbers, so that they can be f64 values.

Optimistic: all plain locals are taken for numbers, then every one to which something
else may be assigned is taken out, until nothing changes.  Arithmetic gives numbers or
ends the program, whatever its operands are; `+` gives one if both operands are numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from callproof.sox import nodes as ast
from callproof.sox.symbols import FunctionInfo, GlobalInfo, LocalInfo

ARITHMETIC = frozenset("-*/%")


def numeric_locals(function: FunctionInfo) -> set[LocalInfo]:
    """The locals of a function that are always numbers once they are set."""
    assigned: dict[LocalInfo, list[ast.Expression | None]] = {}
    others: set[LocalInfo] = {parameter.local for parameter in function.parameters}
    for node in walk(function.body):
        if isinstance(node, ast.VarDeclaration) and isinstance(node.symbol, LocalInfo):
            if node.is_array:
                others.add(node.symbol)
            assigned.setdefault(node.symbol, []).append(node.initializer)
        elif isinstance(node, ast.Definition) and isinstance(node.symbol, LocalInfo):
            others.add(node.symbol)
        elif (
            isinstance(node, ast.ForEach) and node.element is not None and is_range(node.container)
        ):
            assigned.setdefault(node.element, [])
        elif isinstance(node, ast.Assign) and isinstance(node.meaning, LocalInfo):
            assigned.setdefault(node.meaning, []).append(node.value)
    numeric = {local for local in assigned if local not in others and not local.needs_cell}
    changed = True
    while changed:
        changed = False
        for local in list(numeric):
            if not all(one is not None and is_number(one, numeric) for one in assigned[local]):
                numeric.discard(local)
                changed = True
    return numeric


def is_number(node: ast.Expression, numeric: set[LocalInfo]) -> bool:
    """Whether an expression's value, if it has one, is a number."""
    if isinstance(node, ast.Number):
        return True
    if isinstance(node, ast.Variable):
        return node.meaning in numeric
    if isinstance(node, ast.Assign):
        return is_number(node.value, numeric)
    if isinstance(node, ast.Unary):
        return node.operator == "-"
    if isinstance(node, ast.Binary):
        if node.operator in ARITHMETIC:
            return True
        return (
            node.operator == "+"
            and is_number(node.left, numeric)
            and is_number(node.right, numeric)
        )
    if isinstance(node, ast.Logical):
        return is_number(node.left, numeric) and is_number(node.right, numeric)
    return False


def is_range(node: ast.Expression) -> bool:
    """Whether a loop over this is a loop over numbers: `range(...)` with a known direction."""
    if not isinstance(node, ast.Call) or not isinstance(node.callee, ast.Variable):
        return False
    meaning = node.callee.meaning
    if not isinstance(meaning, GlobalInfo) or not (meaning.is_native and meaning.is_constant):
        return False
    count = len(node.arguments)
    return meaning.name == "range" and (
        count in (1, 2) or (count == 3 and bool(constant_step(node.arguments[2])))
    )


def constant_step(node: ast.Expression) -> float:
    """The value of a literal, 0 for anything else."""
    if isinstance(node, ast.Unary) and node.operator == "-":
        return -constant_step(node.operand)
    return node.value if isinstance(node, ast.Number) else 0.0


def walk(item: object) -> Iterator[ast.Node]:
    """All nodes of a function's own body; not those of functions inside it."""
    pending = [item]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += one
        elif isinstance(one, ast.Node):
            yield one
            pending += [getattr(one, part.name) for part in fields(one)]


__all__ = ["constant_step", "is_number", "is_range", "numeric_locals", "walk"]
