"""What names mean: variables, functions, classes; and the classes of values (types)."""

from __future__ import annotations

from dataclasses import dataclass, field

from callproof.abi.signature import Parameter as AbiParameter
from callproof.abi.signature import Signature
from callproof.abi.types import F64, I64
from callproof.bcpl import nodes as ast
from callproof.runtime.entries import Entry
from callproof.source import Span


class ValueType:
    """The class of a value (reference section 3); all are a word but FLOAT."""

    __slots__ = ("class_info", "name")

    def __init__(self, name: str, class_info: ClassInfo | None = None) -> None:
        self.name = name
        self.class_info = class_info

    def __repr__(self) -> str:
        return self.class_info.name if self.class_info else self.name


INTEGER = ValueType("INTEGER")
FLOAT = ValueType("FLOAT")
WORD = ValueType("WORD")
NULL = ValueType("NULL")
STRING = ValueType("STRING")
VEC = ValueType("VEC")
FVEC = ValueType("FVEC")

BY_NAME = {
    "INTEGER": INTEGER,
    "INT": INTEGER,
    "WORD": WORD,
    "ANY": WORD,
    "CHAR": INTEGER,
    "BYTE": INTEGER,
    "FLOAT": FLOAT,
    "STRING": STRING,
    "VEC": VEC,
    "VECTOR": VEC,
    "TABLE": VEC,
    "FVEC": FVEC,
    "OBJECT": WORD,
}


@dataclass(slots=True, eq=False)
class Variable:
    """A local, a parameter or a global variable.

    `symbol` of a global's memory, '' for others; `in_memory` if its address is taken.
    """

    name: str
    type: ValueType
    span: Span
    symbol: str = ""
    in_memory: bool = False
    is_parameter: bool = False
    fixed_type: bool = False
    slot: object = None


@dataclass(slots=True, eq=False)
class Constant:
    """A MANIFEST: an integer or a float."""

    name: str
    value: int | float
    span: Span


@dataclass(slots=True, eq=False)
class FunctionInfo:
    """A function, routine or method; `parameters` without the hidden `this` of methods."""

    name: str
    symbol: str
    declaration: ast.FunctionDeclaration
    parameters: list[Variable]
    result: ValueType
    class_info: ClassInfo | None = None
    scope: dict[str, object] | None = None
    used_as_value: bool = False
    calls: int = 0
    this: Variable | None = None
    slot: int = -1

    def signature(self) -> Signature:
        """All words in integer registers and FLOATs in float registers; result always."""
        found = [AbiParameter(I64, "this")] if self.class_info else []
        found += [
            AbiParameter(F64 if parameter.type is FLOAT else I64, parameter.name)
            for parameter in self.parameters
        ]
        return Signature(tuple(found), F64 if self.result is FLOAT else I64)


@dataclass(slots=True, eq=False)
class FieldInfo:
    name: str
    variable: Variable
    offset: int
    owner: ClassInfo
    visibility: str
    initialiser: ast.Expression | None


@dataclass(slots=True, eq=False)
class ClassInfo:
    """`fields` and `methods` include the inherited ones; `slots` is the vtable in order
    (None where CREATE or RELEASE are not defined)."""

    name: str
    declaration: ast.ClassDeclaration
    base: ClassInfo | None = None
    fields: dict[str, FieldInfo] = field(default_factory=dict)
    methods: dict[str, FunctionInfo] = field(default_factory=dict)
    slots: list[FunctionInfo | None] = field(default_factory=lambda: [None, None])
    size: int = 8
    own_fields: list[FieldInfo] = field(default_factory=list)
    type: ValueType = field(init=False)

    def __post_init__(self) -> None:
        self.type = ValueType("OBJECT", self)

    @property
    def vtable(self) -> str:
        return f"vtable.{self.name}"

    def ancestors(self) -> list[ClassInfo]:
        """This class and its bases, nearest first."""
        found, current = [], self
        while current is not None:
            found.append(current)
            current = current.base  # type: ignore[assignment]
        return found


@dataclass(slots=True)
class ProgramInfo:
    """A resolved program.  `globals` in order of initialisation."""

    functions: list[FunctionInfo] = field(default_factory=list)
    classes: dict[str, ClassInfo] = field(default_factory=dict)
    globals: list[tuple[list[Variable], list[ast.Expression]]] = field(default_factory=list)
    statics: list[tuple[Variable, int | float]] = field(default_factory=list)
    names: dict[str, object] = field(default_factory=dict)
    start: FunctionInfo | None = None


@dataclass(slots=True, frozen=True, eq=False)
class Library:
    """A name of the runtime library."""

    name: str
    entry: Entry


LIBRARY_SPECIAL = frozenset(["WRITEF", *(f"WRITEF{n}" for n in range(1, 8)), "LENGTH", "FLTOFX"])
LATER_LIBRARY = frozenset(
    """
    SPLIT JOIN SLURP SPIT PACKSTRING UNPACKSTRING APND FPND SPND LPND CONCAT COPYLIST
    DEEPCOPYLIST REVERSE FIND FILTER MAP AS_INT AS_FLOAT AS_STRING AS_LIST BCPL_FREE_LIST
    MIN MAX SUM PAIRWISE_MIN PAIRWISE_MAX PAIRWISE_ADD IGETVEC SGETVEC PGETVEC QGETVEC
    MALLOC BCPL_ALLOC_WORDS BCPL_ALLOC_CHARS HEAP_INFO GC BCPL_CHECK_AND_DISPLAY_ERRORS
    BCPL_CLEAR_ERRORS BCPL_FREE_CELLS FILE_OPEN_READ FILE_OPEN_WRITE FILE_OPEN_APPEND
    FILE_CLOSE FILE_WRITES FILE_READS FILE_READ FILE_WRITE FILE_SEEK FILE_TELL FILE_EOF
    TIMER_START TIMER_END TIMER_DISPLAY SLEEP SETTYPE READN READF
    """.split()
)
