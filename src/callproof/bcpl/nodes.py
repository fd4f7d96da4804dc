"""The abstract syntax of NewBCPL.

Every node has a `span`.  Expressions have a `type` that inference sets
(`callproof.bcpl.types`).  `dump` gives a compact text for tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from callproof.source import Span


@dataclass(slots=True, eq=False, repr=False)
class Node:
    span: Span


@dataclass(slots=True, eq=False, repr=False)
class Expression(Node):
    type: Any = field(default=None, kw_only=True, repr=False)


@dataclass(slots=True, eq=False, repr=False)
class Statement(Node):
    pass


@dataclass(slots=True, eq=False, repr=False)
class IntegerLiteral(Expression):
    value: int


@dataclass(slots=True, eq=False, repr=False)
class FloatLiteral(Expression):
    value: float


@dataclass(slots=True, eq=False, repr=False)
class StringLiteral(Expression):
    value: str


@dataclass(slots=True, eq=False, repr=False)
class NullLiteral(Expression):
    pass


@dataclass(slots=True, eq=False, repr=False)
class Name(Expression):
    name: str
    meaning: Any = field(default=None, kw_only=True, repr=False)


@dataclass(slots=True, eq=False, repr=False)
class Unary(Expression):
    """`operator`: - + ~ NOT ! @ % LEN HD TL REST FLOAT FIX TRUNC ENTIER FSQRT TYPE TYPEOF."""

    operator: str
    operand: Expression


@dataclass(slots=True, eq=False, repr=False)
class Binary(Expression):
    """`operator`: + - * / REM << >> = ~= < <= > >= & | AND OR XOR EQV NEQV ! %.

    `float_marked` for the spellings with a dot or a number sign.
    """

    operator: str
    left: Expression
    right: Expression
    float_marked: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Conditional(Expression):
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(slots=True, eq=False, repr=False)
class Valof(Expression):
    body: Statement
    is_float: bool
    annotation: TypeExpression | None = None


@dataclass(slots=True, eq=False, repr=False)
class Call(Expression):
    callee: Expression
    arguments: list[Expression]


@dataclass(slots=True, eq=False, repr=False)
class MethodCall(Expression):
    receiver: Expression
    method: str
    arguments: list[Expression]


@dataclass(slots=True, eq=False, repr=False)
class SuperCall(Expression):
    method: str
    arguments: list[Expression]


@dataclass(slots=True, eq=False, repr=False)
class New(Expression):
    class_name: str
    arguments: list[Expression]


@dataclass(slots=True, eq=False, repr=False)
class FieldAccess(Expression):
    receiver: Expression
    name: str


@dataclass(slots=True, eq=False, repr=False)
class Lane(Expression):
    """`member`: the word it was written with, which may name a field of an object."""

    pack: Expression
    index: Expression
    member: str | None = None


@dataclass(slots=True, eq=False, repr=False)
class BitField(Expression):
    word: Expression
    start: Expression
    width: Expression | None


@dataclass(slots=True, eq=False, repr=False)
class Constructor(Expression):
    """`kind`: VEC FVEC TABLE FTABLE STRING LIST MANIFESTLIST PAIR FPAIR QUAD ... PAIRS ...

    `size` for the forms that take a size, else `elements`.
    """

    kind: str
    elements: list[Expression]
    size: Expression | None = None


@dataclass(slots=True, eq=False, repr=False)
class Block(Statement):
    statements: list[Statement]


@dataclass(slots=True, eq=False, repr=False)
class If(Statement):
    """`negated` for UNLESS."""

    condition: Expression
    then: Statement
    otherwise: Statement | None
    negated: bool = False


@dataclass(slots=True, eq=False, repr=False)
class While(Statement):
    """`negated` for UNTIL."""

    condition: Expression
    body: Statement
    negated: bool


@dataclass(slots=True, eq=False, repr=False)
class Repeat(Statement):
    """Tests after the body; no condition: forever."""

    body: Statement
    condition: Expression | None
    negated: bool


@dataclass(slots=True, eq=False, repr=False)
class For(Statement):
    name: str
    start: Expression
    end: Expression
    step: Expression | None
    body: Statement


@dataclass(slots=True, eq=False, repr=False)
class Foreach(Statement):
    names: list[str]
    collection: Expression
    body: Statement
    is_pattern: bool
    annotation: TypeExpression | None = None


@dataclass(slots=True, eq=False, repr=False)
class Case(Statement):
    """A label of a switch; no value for DEFAULT."""

    value: Expression | None


@dataclass(slots=True, eq=False, repr=False)
class Switch(Statement):
    """`body` has `Case` labels between its statements."""

    value: Expression
    body: Block


@dataclass(slots=True, eq=False, repr=False)
class Resultis(Statement):
    value: Expression


@dataclass(slots=True, eq=False, repr=False)
class Jump(Statement):
    """`kind`: RETURN FINISH BREAK LOOP ENDCASE BRK."""

    kind: str


@dataclass(slots=True, eq=False, repr=False)
class Goto(Statement):
    """`using_depth`: how many USINGs are around the label, once it is resolved."""

    label: str
    using_depth: int | None = None


@dataclass(slots=True, eq=False, repr=False)
class Label(Statement):
    name: str


@dataclass(slots=True, eq=False, repr=False)
class Assignment(Statement):
    targets: list[Expression]
    values: list[Expression]


@dataclass(slots=True, eq=False, repr=False)
class CallStatement(Statement):
    call: Expression


@dataclass(slots=True, eq=False, repr=False)
class Using(Statement):
    name: str
    value: Expression
    body: Statement


@dataclass(slots=True, eq=False, repr=False)
class Defer(Statement):
    body: Statement


@dataclass(slots=True, eq=False, repr=False)
class Ownership(Statement):
    """`kind`: RETAIN REMANAGE ACCEPT SEND FREEVEC FREELIST."""

    kind: str
    name: str
    value: Expression | None


@dataclass(slots=True, eq=False, repr=False)
class TypeExpression(Node):
    """`is_pointer` for a ^ or POINTER TO before it."""

    name: str
    of: TypeExpression | None = None
    is_pointer: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Parameter(Node):
    name: str
    annotation: TypeExpression | None = None


@dataclass(slots=True, eq=False, repr=False)
class Let(Statement):
    """`LET a, b = e1, e2`; in classes the values may be missing."""

    names: list[str]
    values: list[Expression]
    is_float: bool
    annotation: TypeExpression | None = None
    visibility: str = "PUBLIC"  # of fields


@dataclass(slots=True, eq=False, repr=False)
class FunctionDeclaration(Statement):
    """`body` an expression (function) or a statement (routine); `is_float` for FLET."""

    name: str
    parameters: list[Parameter]
    body: Expression | Statement
    is_float: bool
    name_span: Span
    annotation: TypeExpression | None = None
    visibility: str = "PUBLIC"
    is_virtual: bool = False
    is_final: bool = False

    @property
    def is_routine(self) -> bool:
        return isinstance(self.body, Statement)


@dataclass(slots=True, eq=False, repr=False)
class Manifest(Statement):
    names: list[str]
    values: list[Expression]
    spans: list[Span]


@dataclass(slots=True, eq=False, repr=False)
class Static(Statement):
    names: list[str]
    values: list[Expression | None]
    is_float: bool


@dataclass(slots=True, eq=False, repr=False)
class Globals(Statement):
    declarations: list[Let]


@dataclass(slots=True, eq=False, repr=False)
class Forward(Statement):
    """Names of a classic `GLOBAL $( F : 101 $)`."""

    names: list[str]


@dataclass(slots=True, eq=False, repr=False)
class Get(Statement):
    path: str


@dataclass(slots=True, eq=False, repr=False)
class Fields(Statement):
    """`DECL a, b` in a class."""

    names: list[str]
    annotation: TypeExpression | None
    visibility: str = "PUBLIC"


@dataclass(slots=True, eq=False, repr=False)
class ClassDeclaration(Statement):
    name: str
    base: str | None
    members: list[Statement]
    name_span: Span


@dataclass(slots=True, eq=False, repr=False)
class ExternalFunction(Node):
    """A C function; its parameters' annotations and `result` name C types.

    `symbol` as C calls it; no `result` for a ROUTINE; `is_variadic` for a final `...`.
    """

    name: str
    parameters: list[Parameter]
    result: TypeExpression | None
    symbol: str
    name_span: Span
    is_variadic: bool = False


@dataclass(slots=True, eq=False, repr=False)
class External(Statement):
    """`EXTERNAL "library" $( ... $)`; without a library's name it is musl's, "c"."""

    library: str
    functions: list[ExternalFunction]


@dataclass(slots=True, eq=False, repr=False)
class Program(Node):
    declarations: list[Statement]


def dump(node: object) -> str:
    """A node as an s-expression: its class and its fields, without spans and types."""
    if isinstance(node, list):
        return "[" + " ".join(dump(item) for item in node) + "]"
    if not isinstance(node, Node):
        return repr(node)
    parts = [type(node).__name__]
    for item in fields(node):
        value = getattr(node, item.name)
        if (
            isinstance(value, Span)
            or (isinstance(value, list) and value and isinstance(value[0], Span))
            or item.name in ("type", "meaning", "member")
            or value is None
            or value is False
        ):
            continue
        parts.append(f"{item.name}={dump(value)}" if isinstance(value, bool) else dump(value))
    return f"({' '.join(parts)})"
