"""Constant expressions (reference, section 4, MANIFEST) and the arithmetic of words."""

from __future__ import annotations

from collections.abc import Callable

from callproof.bcpl import nodes as ast


def wrap(value: int) -> int:
    """A 64-bit word in signed form."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _quotient(a: int, b: int) -> int:
    if b == 0:
        return 0
    magnitude = abs(a) // abs(b)
    return -magnitude if (a < 0) != (b < 0) else magnitude


FOLD: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "REM": lambda a, b: a - _quotient(a, b) * b,
    "<<": lambda a, b: a << b if 0 <= b < 64 else 0,
    ">>": lambda a, b: (a & (1 << 64) - 1) >> b if 0 <= b < 64 else 0,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "NEQV": lambda a, b: a ^ b,
    "EQV": lambda a, b: int(a == b),
    "XOR": lambda a, b: int((a != 0) != (b != 0)),
    "AND": lambda a, b: int(a != 0 and b != 0),
    "OR": lambda a, b: int(a != 0 or b != 0),
}
RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "~=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _fold_floats(operator: str, a: float, b: float) -> int | float | None:
    """As the program would calculate; None for what it is not worth to do here."""
    if operator in RELATIONS:
        return int(RELATIONS[operator](a, b))
    if operator == "/":
        return a / b if b else None
    return {"+": a + b, "-": a - b, "*": a * b}.get(operator)


def fold(node: ast.Expression, constant: Callable[[str], int | float | None]) -> int | float | None:
    """The value of a constant expression, None if it is none."""
    if isinstance(node, ast.IntegerLiteral | ast.FloatLiteral):
        return node.value
    if isinstance(node, ast.NullLiteral):
        return 0
    if isinstance(node, ast.Name):
        return constant(node.name)
    if isinstance(node, ast.Unary):
        value = fold(node.operand, constant)
        if value is None or node.operator not in ("-", "+", "~", "NOT"):
            return None
        if node.operator == "-":
            return -value if isinstance(value, float) else wrap(-value)
        if node.operator == "+":
            return value
        if isinstance(value, float):
            return None
        return wrap(~value) if node.operator == "~" else int(value == 0)
    if isinstance(node, ast.Binary):
        left, right = fold(node.left, constant), fold(node.right, constant)
        if left is None or right is None or node.float_marked:
            return None
        if isinstance(left, int) and isinstance(right, int):
            if node.operator in FOLD:
                return wrap(FOLD[node.operator](left, right))
            compare = RELATIONS.get(node.operator)
            return int(compare(left, right)) if compare is not None else None
        return _fold_floats(node.operator, float(left), float(right))
    return None
