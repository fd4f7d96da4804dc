"""Questions about the syntax of a program; what values can be is found in `flow.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from callproof.sox import nodes as ast
from callproof.sox.symbols import GlobalInfo


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


_PARTS: dict[type, tuple[str, ...]] = {}  # the names of the fields of each kind of node


def walk(item: object) -> Iterator[ast.Node]:
    """All nodes of a function's own body; not those of functions inside it."""
    pending = [item]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += one
        elif isinstance(one, ast.Node):
            yield one
            kind = type(one)
            parts = _PARTS.get(kind)
            if parts is None:
                parts = _PARTS[kind] = tuple(part.name for part in fields(one))
            pending += [getattr(one, name) for name in parts]


__all__ = ["constant_step", "is_range", "walk"]
