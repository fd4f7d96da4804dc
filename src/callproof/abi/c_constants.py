"""Integer constant expressions: array sizes, bit-field widths, enumeration values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from pycparser import c_ast, c_parser

from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.abi.c_types import Evaluator

LARGEST = 1 << 127


def _quotient(a: int, b: int) -> int:
    """C's division truncates towards zero."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


BINARY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "%": lambda a, b: a - b * _quotient(a, b),
    "<<": lambda a, b: a << b if 0 <= b < 128 else 0,
    ">>": lambda a, b: a >> b if 0 <= b < 128 else 0,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&&": lambda a, b: int(bool(a) and bool(b)),
    "||": lambda a, b: int(bool(a) or bool(b)),
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
}
UNARY: dict[str, Callable[[int], int]] = {
    "+": lambda a: a,
    "-": lambda a: -a,
    "~": lambda a: ~a,
    "!": lambda a: int(not a),
}
ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "a": 7, "b": 8, "f": 12, "v": 11}


class Constants:
    """`names` are the enumeration constants known so far."""

    __slots__ = ("evaluator", "names")

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.names: dict[str, int] = {}

    def evaluate(self, node: c_ast.Node) -> int:
        """The value of an expression; raises `CallproofError` with its place."""
        value = self._value(node)
        if abs(value) >= LARGEST:
            raise self.evaluator.error("this constant is too large", node)
        return value

    def _value(self, node: c_ast.Node) -> int:
        if isinstance(node, c_ast.Constant):
            return self._literal(node)
        if isinstance(node, c_ast.ID):
            if node.name in self.names:
                return self.names[node.name]
            raise self.evaluator.error(f"'{node.name}' is not a constant", node)
        if isinstance(node, c_ast.UnaryOp):
            if node.op in ("sizeof", "_Alignof"):
                if isinstance(node.expr, c_ast.Typename):
                    type_ = self.evaluator.evaluate(node.expr.type)
                    measure = (
                        self.evaluator.size if node.op == "sizeof" else self.evaluator.alignment
                    )
                    return measure(type_, node)
            elif node.op in UNARY:
                return UNARY[node.op](self.evaluate(node.expr))
        if isinstance(node, c_ast.BinaryOp) and node.op in BINARY:
            left, right = self.evaluate(node.left), self.evaluate(node.right)
            if node.op in "/%" and right == 0:
                raise self.evaluator.error("division by zero", node)
            return BINARY[node.op](left, right)
        if isinstance(node, c_ast.TernaryOp):
            chosen = node.iftrue if self.evaluate(node.cond) else node.iffalse
            return self.evaluate(chosen)
        if isinstance(node, c_ast.Cast):
            return self.evaluate(node.expr)
        raise self.evaluator.error("this is not an integer constant expression", node)

    def _literal(self, node: c_ast.Constant) -> int:
        text = str(node.value)
        if len(text) > 64:
            raise self.evaluator.error("this constant is too large", node)
        if text.startswith("'") and text.endswith("'"):
            return self._character(text[1:-1], node)
        match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)[uUlL]*", text.replace("'", ""))
        if match is None:
            raise self.evaluator.error(f"'{text}' is not an integer", node)
        digits = match[1]
        if re.fullmatch(r"0[0-9]+", digits):
            if not re.fullmatch(r"[0-7]+", digits):
                raise self.evaluator.error(f"'{text}' is not an octal number", node)
            return int(digits, 8)
        return int(digits, 0)

    def _character(self, text: str, node: c_ast.Node) -> int:
        if len(text) == 1:
            return ord(text)
        if text.startswith("\\x"):
            return int(text[2:], 16) if re.fullmatch(r"[0-9a-fA-F]+", text[2:]) else 0
        if re.fullmatch(r"\\[0-7]+", text):
            return int(text[1:], 8)
        if len(text) == 2 and text[0] == "\\":
            return ESCAPES.get(text[1], ord(text[1]))
        raise self.evaluator.error("this character constant is not understood", node)

    def of_text(self, text: str, node: c_ast.Node, start: int) -> int:
        """The value of an attribute's argument at offset `start`."""
        if re.fullmatch(r"[0-9]{1,12}", text):
            return int(text)
        from callproof.abi.c_names import PRELUDE

        try:
            tree = c_parser.CParser().parse(f"{PRELUDE}\ntypedef char t[{text}];", "argument")
        except c_parser.ParseError:
            tree = None
        dimension = tree.ext[-1].type.dim if tree is not None and len(tree.ext) else None
        if dimension is None:
            raise self.evaluator.error(f"'{text}' is not an integer", node, start)
        try:
            return self.evaluate(dimension)
        except CallproofError as error:
            message = error.diagnostics[0].message
            raise self.evaluator.error(message, node, start) from None
