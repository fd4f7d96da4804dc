"""The abstract syntax tree of NewBCPL, and its text form for golden tests.

Every node has a `span`.  Expressions have a `type` slot that inference fills in;
names (uses and declarations) have a `symbol` slot that resolution fills in.  Nodes
compare and hash by identity, so they may be keys of side tables.

Spellings that mean the same are one node: `$(` and `{`, THEN and DO, `<>` and `~=`,
IF/UNLESS/TEST, `BAND` and `&`.  A chain of left-associative operators is as deep to the
left as it has operators (ten thousand in generated programs): walk the left spine of
`Binary` in a loop, not by recursion.  All other nesting is bounded by the parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from callproof.source import Span


@dataclass(slots=True, eq=False)
class Node:
    """Anything of the tree; `head` is its name in `dump`."""

    head: ClassVar[str] = "node"
    span: Span


@dataclass(slots=True, eq=False)
class Expression(Node):
    """`type` is None until inference has run."""

    type: Any = field(default=None, init=False, repr=False)


@dataclass(slots=True, eq=False)
class Statement(Node):
    """A statement or a declaration: both may stand anywhere in a block."""


# --- names and annotations ---------------------------------------------------------------


@dataclass(slots=True, eq=False)
class TypeAnnotation(Node):
    """`AS [^|POINTER TO] name [OF element]`; `name` is upper case for built-in types."""

    head: ClassVar[str] = "as"
    name: str
    is_pointer: bool = False
    element: TypeAnnotation | None = None


@dataclass(slots=True, eq=False)
class BoundName(Node):
    """A name where it is declared: of a LET, FOR, FOREACH, USING, or a parameter."""

    head: ClassVar[str] = "bind"
    name: str
    annotation: TypeAnnotation | None = None
    symbol: Any = field(default=None, init=False, repr=False)


@dataclass(slots=True, eq=False)
class Parameter(BoundName):
    """A parameter of a function, routine or method."""

    head: ClassVar[str] = "parameter"


# --- literals ----------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class IntegerLiteral(Expression):
    """A 64-bit signed value (already wrapped; `-5` is one literal)."""

    head: ClassVar[str] = "integer"
    value: int


@dataclass(slots=True, eq=False)
class FloatLiteral(Expression):
    head: ClassVar[str] = "float"
    value: float


@dataclass(slots=True, eq=False)
class StringLiteral(Expression):
    """Escapes are resolved; one Python character is one 32-bit character of the string."""

    head: ClassVar[str] = "string"
    value: str


@dataclass(slots=True, eq=False)
class CharLiteral(Expression):
    """`value` is the code point."""

    head: ClassVar[str] = "char"
    value: int


@dataclass(slots=True, eq=False)
class BooleanLiteral(Expression):
    head: ClassVar[str] = "boolean"
    value: bool


@dataclass(slots=True, eq=False)
class NullLiteral(Expression):
    """`?`"""

    head: ClassVar[str] = "null"


# --- expressions -------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Name(Expression):
    """A use of a name; SELF and _this are names too."""

    head: ClassVar[str] = "name"
    name: str
    symbol: Any = field(default=None, init=False, repr=False)


UNARY_OPERATORS = frozenset(
    [
        "-",
        "+",
        "~",
        "NOT",
        "HD",
        "TL",
        "REST",
        "LEN",
        "FLOAT",
        "FIX",
        "TRUNC",
        "ENTIER",
        "FSQRT",
        "TYPE",
        "TYPEOF",
    ]
)
"""Values of `Unary.operator` (BNOT is `~`)."""

BINARY_OPERATORS = frozenset(
    [
        "+",
        "-",
        "*",
        "/",
        "REM",
        "<<",
        ">>",
        "=",
        "~=",
        "<",
        "<=",
        ">",
        ">=",
        "&",
        "|",
        "BXOR",
        "AND",
        "OR",
        "XOR",
        "EQV",
        "NEQV",
    ]
)
"""Values of `Binary.operator`: `&` `|` BXOR are bitwise (BAND, BOR), AND OR (`&&` `||`) logical."""


@dataclass(slots=True, eq=False)
class Unary(Expression):
    """`operator` is one of `UNARY_OPERATORS`."""

    head: ClassVar[str] = "unary"
    operator: str
    operand: Expression


@dataclass(slots=True, eq=False)
class Binary(Expression):
    """`operator` is one of `BINARY_OPERATORS`; `is_float` for the marked forms (`+.` `+#`)."""

    head: ClassVar[str] = "binary"
    operator: str
    left: Expression
    right: Expression
    is_float: bool = False


@dataclass(slots=True, eq=False)
class Conditional(Expression):
    """`condition -> then, otherwise`"""

    head: ClassVar[str] = "->"
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(slots=True, eq=False)
class Valof(Expression):
    """`VALOF body`; `is_float` for FVALOF."""

    head: ClassVar[str] = "valof"
    body: Statement
    is_float: bool = False
    annotation: TypeAnnotation | None = None


@dataclass(slots=True, eq=False)
class Call(Expression):
    """`callee(arguments)`; the callee is a Name for a direct call, or any expression."""

    head: ClassVar[str] = "call"
    callee: Expression
    arguments: list[Expression]


@dataclass(slots=True, eq=False)
class MethodCall(Expression):
    """`receiver.method(arguments)`"""

    head: ClassVar[str] = "method-call"
    receiver: Expression
    method: str
    arguments: list[Expression]


@dataclass(slots=True, eq=False)
class SuperCall(Expression):
    """`SUPER.method(arguments)`"""

    head: ClassVar[str] = "super-call"
    method: str
    arguments: list[Expression]


@dataclass(slots=True, eq=False)
class New(Expression):
    """`NEW class_name(arguments)`; `arguments` is empty without brackets."""

    head: ClassVar[str] = "new"
    class_name: str
    arguments: list[Expression]
    class_span: Span


@dataclass(slots=True, eq=False)
class FieldAccess(Expression):
    """`object.name`: a field, or a lane when `name` is first..fourth and object is a pack."""

    head: ClassVar[str] = "field"
    object: Expression
    name: str


@dataclass(slots=True, eq=False)
class FieldOf(Expression):
    """`operand OF field`"""

    head: ClassVar[str] = "of"
    operand: Expression
    field: Expression


@dataclass(slots=True, eq=False)
class Subscript(Expression):
    """`vector!index`; `is_float` for `.%` and `#%`."""

    head: ClassVar[str] = "!"
    vector: Expression
    index: Expression
    is_float: bool = False


@dataclass(slots=True, eq=False)
class CharSubscript(Expression):
    """`string%index`"""

    head: ClassVar[str] = "%"
    string: Expression
    index: Expression


@dataclass(slots=True, eq=False)
class Lane(Expression):
    """`pack.|index|`"""

    head: ClassVar[str] = "lane"
    pack: Expression
    index: Expression


@dataclass(slots=True, eq=False)
class BitField(Expression):
    """`word %% (start, width)`; width None means 1."""

    head: ClassVar[str] = "%%"
    word: Expression
    start: Expression
    width: Expression | None


@dataclass(slots=True, eq=False)
class AddressOf(Expression):
    """`@operand`"""

    head: ClassVar[str] = "@"
    operand: Expression


@dataclass(slots=True, eq=False)
class Indirection(Expression):
    """`!pointer`"""

    head: ClassVar[str] = "indirect"
    pointer: Expression


@dataclass(slots=True, eq=False)
class CharIndirection(Expression):
    """`%pointer`"""

    head: ClassVar[str] = "char-indirect"
    pointer: Expression


@dataclass(slots=True, eq=False)
class VectorAllocation(Expression):
    """`kind size`: `size` zeroed elements; kind VEC FVEC STRING PAIRS FPAIRS."""

    head: ClassVar[str] = "allocate"
    kind: str
    size: Expression


@dataclass(slots=True, eq=False)
class VectorConstructor(Expression):
    """`VEC[a, b]`, `VEC(a, b)`, `FVEC[a, b]`; kind as in `VectorAllocation`."""

    head: ClassVar[str] = "vector"
    kind: str
    elements: list[Expression]


@dataclass(slots=True, eq=False)
class TableConstructor(Expression):
    """`TABLE(a, b)`; `is_float` for FTABLE."""

    head: ClassVar[str] = "table"
    elements: list[Expression]
    is_float: bool = False


@dataclass(slots=True, eq=False)
class ListConstructor(Expression):
    """`LIST(a, b)`; `is_manifest` for MANIFESTLIST."""

    head: ClassVar[str] = "list"
    elements: list[Expression]
    is_manifest: bool = False


@dataclass(slots=True, eq=False)
class PackConstructor(Expression):
    """`PAIR(a, b)`; kind PAIR FPAIR QUAD FQUAD OCT FOCT, the number of elements is right."""

    head: ClassVar[str] = "pack"
    kind: str
    elements: list[Expression]


# --- statements --------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Block(Statement):
    """`$( statements $)`: a scope."""

    head: ClassVar[str] = "block"
    statements: list[Statement]


@dataclass(slots=True, eq=False)
class Assignment(Statement):
    """`targets := values`: targets are checked by resolution, not by the parser."""

    head: ClassVar[str] = ":="
    targets: list[Expression]
    values: list[Expression]


@dataclass(slots=True, eq=False)
class CallStatement(Statement):
    """`call` is a Call, MethodCall or SuperCall, or a New (for its CREATE's effects)."""

    head: ClassVar[str] = "do"
    call: Expression


@dataclass(slots=True, eq=False)
class If(Statement):
    """IF, TEST; UNLESS has `is_negated`."""

    head: ClassVar[str] = "if"
    condition: Expression
    then: Statement
    otherwise: Statement | None = None
    is_negated: bool = False


@dataclass(slots=True, eq=False)
class While(Statement):
    """WHILE; UNTIL has `is_negated`."""

    head: ClassVar[str] = "while"
    condition: Expression
    body: Statement
    is_negated: bool = False


@dataclass(slots=True, eq=False)
class Repeat(Statement):
    """All REPEAT forms test after the body; condition None is forever; UNTIL has `is_negated`."""

    head: ClassVar[str] = "repeat"
    body: Statement
    condition: Expression | None = None
    is_negated: bool = False


@dataclass(slots=True, eq=False)
class For(Statement):
    """`FOR variable = start TO limit [BY step] DO body`"""

    head: ClassVar[str] = "for"
    variable: BoundName
    start: Expression
    limit: Expression
    step: Expression | None
    body: Statement


@dataclass(slots=True, eq=False)
class Foreach(Statement):
    """`FOREACH variables IN collection DO body`.

    form is 'value' (`x`), 'lanes' (`(x, y)`) or 'tag' (`T, V`).
    """

    head: ClassVar[str] = "foreach"
    form: str
    variables: list[BoundName]
    collection: Expression
    body: Statement


@dataclass(slots=True, eq=False)
class SwitchCase(Node):
    """One or more labels and the statements up to the next label (fall through if no ENDCASE).

    `is_default`: DEFAULT is among the labels.
    """

    head: ClassVar[str] = "case"
    labels: list[Expression]
    is_default: bool
    body: list[Statement]


@dataclass(slots=True, eq=False)
class Switch(Statement):
    """SWITCHON; at most one case `is_default`."""

    head: ClassVar[str] = "switch"
    value: Expression
    cases: list[SwitchCase]


@dataclass(slots=True, eq=False)
class Resultis(Statement):
    head: ClassVar[str] = "resultis"
    value: Expression


@dataclass(slots=True, eq=False)
class Return(Statement):
    head: ClassVar[str] = "return"


@dataclass(slots=True, eq=False)
class Finish(Statement):
    head: ClassVar[str] = "finish"


@dataclass(slots=True, eq=False)
class Break(Statement):
    head: ClassVar[str] = "break"


@dataclass(slots=True, eq=False)
class Loop(Statement):
    head: ClassVar[str] = "loop"


@dataclass(slots=True, eq=False)
class Endcase(Statement):
    head: ClassVar[str] = "endcase"


@dataclass(slots=True, eq=False)
class Brk(Statement):
    """A breakpoint: state on stderr."""

    head: ClassVar[str] = "brk"


@dataclass(slots=True, eq=False)
class Goto(Statement):
    head: ClassVar[str] = "goto"
    label: str


@dataclass(slots=True, eq=False)
class Label(Statement):
    """`name:`; its scope is the function."""

    head: ClassVar[str] = "label"
    name: str


@dataclass(slots=True, eq=False)
class Free(Statement):
    """FREEVEC, FREELIST (`kind`)."""

    head: ClassVar[str] = "free"
    kind: str
    value: Expression


@dataclass(slots=True, eq=False)
class Retain(Statement):
    """`RETAIN x`, or `RETAIN x = value`, which declares x."""

    head: ClassVar[str] = "retain"
    variable: BoundName
    value: Expression | None = None


@dataclass(slots=True, eq=False)
class Remanage(Statement):
    head: ClassVar[str] = "remanage"
    name: Name


@dataclass(slots=True, eq=False)
class Send(Statement):
    """RESULTIS with retain."""

    head: ClassVar[str] = "send"
    value: Expression


@dataclass(slots=True, eq=False)
class Accept(Statement):
    head: ClassVar[str] = "accept"
    name: Name


@dataclass(slots=True, eq=False)
class Using(Statement):
    """`USING variable = value DO body`: RELEASE on every way out."""

    head: ClassVar[str] = "using"
    variable: BoundName
    value: Expression
    body: Statement


@dataclass(slots=True, eq=False)
class Defer(Statement):
    head: ClassVar[str] = "defer"
    body: Statement


# --- declarations ------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Let(Statement):
    """`LET a, b = e1, e2` (FLET: `is_float`); as many values as names, or one to destructure.

    At top level and in GLOBALS the names are global variables.
    """

    head: ClassVar[str] = "let"
    names: list[BoundName]
    values: list[Expression]
    is_float: bool = False


@dataclass(slots=True, eq=False)
class FunctionDeclaration(Statement):
    """`LET f(p) = e`, `LET r(p) BE s`, FUNCTION, ROUTINE, FLET, and each member of an AND chain.

    `body` is a Statement exactly if `is_routine`.  `is_float` for FLET.  As a statement of
    a block it is a nested function.
    """

    head: ClassVar[str] = "function"
    name: str
    name_span: Span
    parameters: list[Parameter]
    body: Expression | Statement
    is_routine: bool
    is_float: bool = False
    annotation: TypeAnnotation | None = None
    symbol: Any = field(default=None, init=False, repr=False)


@dataclass(slots=True, eq=False)
class ConstantEntry(Node):
    """`name = value` of MANIFEST or STATIC (where the value may be absent: 0)."""

    head: ClassVar[str] = "entry"
    name: str
    value: Expression | None
    symbol: Any = field(default=None, init=False, repr=False)


@dataclass(slots=True, eq=False)
class Manifest(Statement):
    head: ClassVar[str] = "manifest"
    entries: list[ConstantEntry]


@dataclass(slots=True, eq=False)
class Static(Statement):
    """STATIC; FSTATIC has `is_float`."""

    head: ClassVar[str] = "static"
    entries: list[ConstantEntry]
    is_float: bool = False


@dataclass(slots=True, eq=False)
class GlobalSlot(Node):
    """`name : number` of a classic GLOBAL block: a forward declaration; the number is ignored."""

    head: ClassVar[str] = "slot"
    name: str
    number: Expression


@dataclass(slots=True, eq=False)
class Globals(Statement):
    """GLOBALS and GLOBAL: variables initialised in order when START begins."""

    head: ClassVar[str] = "globals"
    variables: list[Let]
    slots: list[GlobalSlot]


@dataclass(slots=True, eq=False)
class FieldDeclaration(Node):
    """One field; `visibility` is 'public', 'protected' or 'private'."""

    head: ClassVar[str] = "field-declaration"
    name: str
    visibility: str
    value: Expression | None = None
    is_float: bool = False
    annotation: TypeAnnotation | None = None
    symbol: Any = field(default=None, init=False, repr=False)


@dataclass(slots=True, eq=False)
class MethodDeclaration(Node):
    head: ClassVar[str] = "method"
    function: FunctionDeclaration
    visibility: str
    is_virtual: bool = False
    is_final: bool = False


@dataclass(slots=True, eq=False)
class ClassDeclaration(Statement):
    """`members` in source order; stands at top level only."""

    head: ClassVar[str] = "class"
    name: str
    name_span: Span
    base: str | None
    base_span: Span | None
    members: list[FieldDeclaration | MethodDeclaration]
    is_managed: bool = False
    symbol: Any = field(default=None, init=False, repr=False)


@dataclass(slots=True, eq=False)
class Get(Statement):
    """`GET "path"`"""

    head: ClassVar[str] = "get"
    path: str


@dataclass(slots=True, eq=False)
class Program(Node):
    """`declarations` are Let, FunctionDeclaration, Manifest, Static, Globals, ClassDeclaration, Get.

    They are in source order; AND chains are flattened.
    """

    head: ClassVar[str] = "program"
    declarations: list[Statement]


# --- text --------------------------------------------------------------------------------

_shown_fields: dict[type[Node], tuple[str, ...]] = {}
_NOT_SHOWN = frozenset(("span", "type", "symbol", "name_span", "base_span", "class_span"))


def _fields_of(node: Node) -> tuple[str, ...]:
    kind = type(node)
    names = _shown_fields.get(kind)
    if names is None:
        names = tuple(item.name for item in fields(kind) if item.name not in _NOT_SHOWN)
        _shown_fields[kind] = names
    return names


def _literal_text(node: Node) -> str | None:
    if isinstance(node, IntegerLiteral):
        return str(node.value)
    if isinstance(node, FloatLiteral):
        return repr(node.value)
    if isinstance(node, StringLiteral):
        return '"' + node.value.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'
    if isinstance(node, CharLiteral):
        return f"'{node.value}'"
    if isinstance(node, BooleanLiteral):
        return "TRUE" if node.value else "FALSE"
    if isinstance(node, NullLiteral):
        return "?"
    if isinstance(node, Name):
        return node.name
    if isinstance(node, BoundName) and node.annotation is None:
        return node.name
    return None


def _parts(node: Node) -> Iterator[object]:
    """What stands between the brackets: texts, nodes and lists of nodes."""
    if isinstance(node, Unary):
        yield from (node.operator, node.operand)
        return
    if isinstance(node, Binary):
        yield node.operator + ("." if node.is_float else "")
        yield from (node.left, node.right)
        return
    yield node.head
    for name in _fields_of(node):
        value = getattr(node, name)
        if value is True:
            yield name.removeprefix("is_")
        elif value is None:
            if name in ("step", "otherwise", "condition", "base"):
                yield "_"
        elif value is not False:
            yield value


def dump(node: Node) -> str:
    """The tree as one s-expression: `(if (< x 0) (do (call f 1)) _)`.

    Lists stand in `[ ]`, absent parts as `_`, flags by their name; CharLiterals as `'65'`.
    Top-level declarations of a Program stand on a line each.
    """
    if isinstance(node, Program):
        return "\n".join(dump(declaration) for declaration in node.declarations)
    # An explicit stack: the tree may be deeper than Python's recursion limit.
    pieces: list[str] = []
    stack: list[object] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, Node):
            text = _literal_text(item)
            if text is not None:
                pieces.append(text)
                continue
            pieces.append("(")
            stack.append(_CLOSE_ROUND)
            stack.extend(reversed(list(_parts(item))))
        elif isinstance(item, list):
            pieces.append("[")
            stack.append(_CLOSE_SQUARE)
            stack.extend(reversed(item))
        elif item is _CLOSE_ROUND:
            pieces.append(")")
        elif item is _CLOSE_SQUARE:
            pieces.append("]")
        else:
            pieces.append(str(item))
    return _join(pieces)


_CLOSE_ROUND = object()
_CLOSE_SQUARE = object()


def _join(pieces: list[str]) -> str:
    result: list[str] = []
    previous = "("
    for piece in pieces:
        if previous not in ("(", "[") and piece not in (")", "]"):
            result.append(" ")
        result.append(piece)
        previous = piece
    return "".join(result)
