"""The abstract syntax of Sox.

Every node has a `span` and the `line` that the reference would report for a run-time error in
it: that of the last token that was read when it emits the failing instruction.  Names carry
their resolution (`symbols.py`).  `dump` gives a compact text for tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from callproof.source import Span
from callproof.sox.symbols import (
    CaptureInfo,
    ClassInfo,
    FunctionInfo,
    GlobalInfo,
    ImportFailure,
    LocalInfo,
    Module,
    Resolution,
)


@dataclass(slots=True, eq=False, repr=False)
class Node:
    span: Span
    line: int


@dataclass(slots=True, eq=False, repr=False)
class Expression(Node):
    pass


@dataclass(slots=True, eq=False, repr=False)
class Statement(Node):
    pass


# --- expressions --------------------------------------------------------------------------------


@dataclass(slots=True, eq=False, repr=False)
class Nil(Expression):
    pass


@dataclass(slots=True, eq=False, repr=False)
class Boolean(Expression):
    value: bool


@dataclass(slots=True, eq=False, repr=False)
class Number(Expression):
    value: float


@dataclass(slots=True, eq=False, repr=False)
class String(Expression):
    value: bytes


@dataclass(slots=True, eq=False, repr=False)
class Variable(Expression):
    name: str
    meaning: Resolution


@dataclass(slots=True, eq=False, repr=False)
class Assign(Expression):
    name: str
    value: Expression
    meaning: Resolution


@dataclass(slots=True, eq=False, repr=False)
class This(Expression):
    meaning: LocalInfo | CaptureInfo


@dataclass(slots=True, eq=False, repr=False)
class Unary(Expression):
    """`operator`: ! -."""

    operator: str
    operand: Expression


@dataclass(slots=True, eq=False, repr=False)
class Binary(Expression):
    """`operator`: + - * / % == != < <= > >=."""

    operator: str
    left: Expression
    right: Expression


@dataclass(slots=True, eq=False, repr=False)
class Logical(Expression):
    """`operator`: and or; the value is that of the deciding operand."""

    operator: str
    left: Expression
    right: Expression


@dataclass(slots=True, eq=False, repr=False)
class Call(Expression):
    callee: Expression
    arguments: list[Expression]


@dataclass(slots=True, eq=False, repr=False)
class Invoke(Expression):
    """`receiver.name(arguments)`: the name is looked up after the arguments are evaluated."""

    receiver: Expression
    name: str
    arguments: list[Expression]


@dataclass(slots=True, eq=False, repr=False)
class SuperGet(Expression):
    """`super.name`: the superclass's method bound to `this`."""

    name: str
    this: LocalInfo | CaptureInfo
    parent: LocalInfo | CaptureInfo


@dataclass(slots=True, eq=False, repr=False)
class SuperInvoke(Expression):
    name: str
    arguments: list[Expression]
    this: LocalInfo | CaptureInfo
    parent: LocalInfo | CaptureInfo


@dataclass(slots=True, eq=False, repr=False)
class Get(Expression):
    receiver: Expression
    name: str


@dataclass(slots=True, eq=False, repr=False)
class Set(Expression):
    receiver: Expression
    name: str
    value: Expression


@dataclass(slots=True, eq=False, repr=False)
class Index(Expression):
    receiver: Expression
    index: Expression


@dataclass(slots=True, eq=False, repr=False)
class SetIndex(Expression):
    receiver: Expression
    index: Expression
    value: Expression


@dataclass(slots=True, eq=False, repr=False)
class Slice(Expression):
    """`receiver[first:last]`, the last element included; None for an omitted bound."""

    receiver: Expression
    first: Expression | None
    last: Expression | None


@dataclass(slots=True, eq=False, repr=False)
class TableLiteral(Expression):
    """Keys and values in order; a later equal key wins."""

    keys: list[bytes]
    values: list[Expression]


@dataclass(slots=True, eq=False, repr=False)
class ArrayLiteral(Expression):
    elements: list[Expression]


@dataclass(slots=True, eq=False, repr=False)
class FunctionExpression(Expression):
    function: FunctionInfo


# --- statements ---------------------------------------------------------------------------------


@dataclass(slots=True, eq=False, repr=False)
class ExpressionStatement(Statement):
    expression: Expression


@dataclass(slots=True, eq=False, repr=False)
class Print(Statement):
    expression: Expression


@dataclass(slots=True, eq=False, repr=False)
class Assert(Statement):
    condition: Expression
    message: Expression | None


@dataclass(slots=True, eq=False, repr=False)
class Block(Statement):
    statements: list[Statement]


@dataclass(slots=True, eq=False, repr=False)
class If(Statement):
    condition: Expression
    then: Statement
    otherwise: Statement | None


@dataclass(slots=True, eq=False, repr=False)
class While(Statement):
    condition: Expression
    body: Statement


@dataclass(slots=True, eq=False, repr=False)
class For(Statement):
    """No condition means true.  `initial` may declare one variable or several."""

    initial: list[Statement]
    condition: Expression | None
    step: Expression | None
    body: Statement


@dataclass(slots=True, eq=False, repr=False)
class ForEach(Statement):
    """`foreach var index, value in container`, or with one variable: `element` instead.

    Each iteration has variables of its own (closures keep what they saw).
    """

    index: LocalInfo | None
    value: LocalInfo | None
    element: LocalInfo | None
    container: Expression
    body: Block


@dataclass(slots=True, eq=False, repr=False)
class SwitchArm(Node):
    """The values that lead to `body`; `is_default` if also all others do.

    No body (a last `case` without a block): nothing is done.
    """

    values: list[Expression]
    is_default: bool
    body: Statement | None


@dataclass(slots=True, eq=False, repr=False)
class Switch(Statement):
    """All arms' values are tried in order, before the default wherever that stands."""

    subject: Expression
    arms: list[SwitchArm]


@dataclass(slots=True, eq=False, repr=False)
class Break(Statement):
    """Leaves the innermost loop or switch."""


@dataclass(slots=True, eq=False, repr=False)
class Continue(Statement):
    """Of the innermost loop, across switches."""


@dataclass(slots=True, eq=False, repr=False)
class Return(Statement):
    value: Expression | None


@dataclass(slots=True, eq=False, repr=False)
class Definition(Statement):
    """A statement that binds a name in the scope where it stands."""

    name: str
    symbol: GlobalInfo | LocalInfo


@dataclass(slots=True, eq=False, repr=False)
class VarDeclaration(Definition):
    """No initializer: nil, or an empty array for `var x[]`, whose value must be an array."""

    initializer: Expression | None
    is_array: bool = False


@dataclass(slots=True, eq=False, repr=False)
class FunctionDeclaration(Definition):
    function: FunctionInfo


@dataclass(slots=True, eq=False, repr=False)
class ClassDeclaration(Definition):
    """`line` is that of the superclass's name, if it has one.

    In order: the class is made and bound to `symbol`, the superclass evaluated and bound to
    `info.parent`, its methods inherited, then the methods added one by one.
    """

    info: ClassInfo


@dataclass(slots=True, eq=False, repr=False)
class Import(Definition):
    """`target` is set when the modules are loaded."""

    path: bytes
    target: Module | ImportFailure | None = field(default=None, repr=False)


@dataclass(slots=True, eq=False, repr=False)
class Defer(Statement):
    """Registers a closure that is called (with no arguments) when the function ends."""

    function: FunctionInfo


# --- text for tests -----------------------------------------------------------------------------


def dump(item: object) -> str:
    """A node, function or list of them as an s-expression, with resolutions, without places."""
    if isinstance(item, list):
        return "[" + " ".join(dump(one) for one in item) + "]"
    if isinstance(item, Node) and type(item) not in _DUMPS:
        parts = [type(item).__name__]
        for one in fields(item):
            value = getattr(item, one.name)
            if one.name not in ("span", "line", "target"):
                parts.append(dump(value) if value is not None else "-")
        return f"({' '.join(parts)})"
    return _DUMPS.get(type(item), str)(item)


def _function(item: FunctionInfo) -> str:
    parts = [item.kind, item.name or "-"]
    for one in item.parameters:
        default = f"={dump(one.default)}" if one.default is not None else ""
        parts.append(_local(one.local) + default)
    if item.captures:
        parts.append("<" + " ".join(_source(one) for one in item.captures) + ">")
    flags = ("uses_this", "uses_super", "has_defer", "is_test")
    parts += [flag for flag in flags if getattr(item, flag)]
    return f"{{{' '.join(parts)} {dump(item.body)}}}"


def _local(item: LocalInfo) -> str:
    mark = "&" if item.needs_cell else "^" if item.is_captured else ""
    return f"{item.name}%{item.index}{mark}"


def _source(item: CaptureInfo) -> str:
    source = item.source
    return _local(source) if isinstance(source, LocalInfo) else _capture(source)


def _capture(item: CaptureInfo) -> str:
    return f"{item.name}^{item.index}"


def _class(item: ClassInfo) -> str:
    parent = "" if item.superclass is None else f" < {dump(item.superclass)}"
    return f"{{class {item.name}{parent} {' '.join(_function(one) for one in item.methods)}}}"


_DUMPS: dict[type, Callable[[Any], str]] = {
    Nil: lambda item: "nil",
    Boolean: lambda item: str(item.value).lower(),
    Number: lambda item: f"{item.value:g}",
    String: lambda item: repr(item.value)[1:],
    Variable: lambda item: dump(item.meaning),
    This: lambda item: dump(item.meaning),
    FunctionInfo: _function,
    ClassInfo: _class,
    LocalInfo: _local,
    CaptureInfo: _capture,
    GlobalInfo: lambda item: f"@{item.name}",
    bytes: repr,
    bool: lambda item: str(item).lower(),
    str: repr,
    float: lambda item: f"{item:g}",
}
