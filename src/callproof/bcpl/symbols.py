"""What names mean: variables, functions, classes."""

from __future__ import annotations

from dataclasses import dataclass, field

from callproof.abi.signature import Parameter as AbiParameter
from callproof.abi.signature import Signature
from callproof.abi.types import F64, I64, Type
from callproof.bcpl import nodes as ast
from callproof.bcpl.value_types import FLOAT, ValueType
from callproof.runtime.entries import Entry
from callproof.source import Span


@dataclass(slots=True, eq=False)
class Variable:
    """A local, a parameter or a global variable.

    `symbol` of a global's memory, '' for others; `in_memory` if its address is taken;
    `vector_size` of a vector with which it begins, if that is known; `is_assigned` later.
    `seen`: the last of the inference's walks that asked for its class.
    `dominates`: whoever can see it comes behind its declaration (but for GOTO and DEFER).
    """

    name: str
    type: ValueType
    span: Span
    symbol: str = ""
    in_memory: bool = False
    is_parameter: bool = False
    fixed_type: bool = False
    slot: object = None
    vector_size: int | None = None
    is_assigned: bool = False
    seen: int = -1
    dominates: bool = False


@dataclass(slots=True, eq=False)
class Constant:
    """A MANIFEST: an integer or a float."""

    name: str
    value: int | float
    span: Span


@dataclass(slots=True, eq=False)
class FunctionInfo:
    """A function, routine or method; `parameters` without the hidden `this` of methods.

    `packs_as_words`: of methods that are used as values, or whose overrides disagree on
    the classes of packs: all that share a vtable slot pass packs as words.
    What its body asks for, by the resolver: the variables and functions that it names
    (`named`), any members of objects, and functions that it calls by their value.
    """

    name: str
    symbol: str
    declaration: ast.FunctionDeclaration
    parameters: list[Variable]
    result: ValueType
    class_info: ClassInfo | None = None
    used_as_value: bool = False
    has_defer: bool = False
    has_labels: bool = False
    this: Variable | None = None
    slot: int = -1
    packs_as_words: bool = False
    named: set[object] = field(default_factory=set)
    uses_members: bool = False
    uses_values: bool = False

    def signature(self) -> Signature:
        """Words in general registers, FLOATs and packs in SIMD registers; result always."""
        return self._signature(self.packs_as_words)

    def value_signature(self) -> Signature:
        """How the function is called by its value: who does that may not know of packs."""
        return self._signature(True)

    @property
    def needs_adapter(self) -> bool:
        """Whether its value is the address of other code than calls by its name reach."""
        return self.value_signature() != self.signature()

    @property
    def value_symbol(self) -> str:
        return f"{self.symbol}$words" if self.needs_adapter else self.symbol

    def _signature(self, packs_as_words: bool) -> Signature:
        found = [AbiParameter(I64, "this")] if self.class_info else []
        found += [
            AbiParameter(passed(parameter.type, packs_as_words), parameter.name)
            for parameter in self.parameters
        ]
        return Signature(tuple(found), passed(self.result, packs_as_words))


def passed(type_: ValueType, packs_as_words: bool) -> Type:
    """The ABI's type of a value that is passed."""
    if type_.pack is not None and not packs_as_words:
        return type_.pack.abi
    return F64 if type_ is FLOAT else I64


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
        found = []
        current: ClassInfo | None = self
        while current is not None:
            found.append(current)
            current = current.base
        return found


@dataclass(slots=True)
class ProgramInfo:
    """A resolved program.

    `globals` in order of initialisation; `annotations`: the classes behind VALOF AS.
    """

    functions: list[FunctionInfo] = field(default_factory=list)
    classes: dict[str, ClassInfo] = field(default_factory=dict)
    globals: list[tuple[list[Variable], list[ast.Expression]]] = field(default_factory=list)
    statics: list[tuple[Variable, int | float | str]] = field(default_factory=list)
    names: dict[str, object] = field(default_factory=dict)
    annotations: dict[ast.Valof, ValueType] = field(default_factory=dict)
    start: FunctionInfo | None = None
    has_brk: bool = False


@dataclass(slots=True, frozen=True, eq=False)
class Library:
    """A name of the runtime library."""

    name: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Special:
    """A library routine that is not simply one C function: how many arguments it takes.

    `most` is None where any number may follow.  What it gives is in `infer_library.py`,
    how it is done in `lower_library.py`.
    """

    least: int
    most: int | None


_PAIR_OF_VALUES, _ONE_OR_TWO = Special(2, 2), Special(1, 2)
SPECIALS: dict[str, Special] = {
    **{name: Special(1, None) for name in ("WRITEF", *(f"WRITEF{n}" for n in range(1, 8)))},
    **dict.fromkeys("LENGTH FLTOFX AS_INT AS_FLOAT AS_STRING AS_LIST".split(), Special(1, 1)),
    **dict.fromkeys("COPYLIST DEEPCOPYLIST REVERSE BCPL_FREE_LIST FREEVEC".split(), Special(1, 1)),
    **dict.fromkeys("APND FPND SPND LPND CONCAT FIND FILTER MAP".split(), _PAIR_OF_VALUES),
    **dict.fromkeys("MIN MAX SUM".split(), _ONE_OR_TWO),
    **dict.fromkeys("PAIRWISE_MIN PAIRWISE_MAX PAIRWISE_ADD".split(), _ONE_OR_TWO),
    "SETTYPE": _PAIR_OF_VALUES,
    "BCPL_ALLOC_WORDS": Special(1, None),
}


def special_name(name: str) -> str:
    """The special routine that is meant, in upper or in lower case; '' if none."""
    if name in SPECIALS:
        return name
    return name.upper() if name.islower() and name.upper() in SPECIALS else ""


@dataclass(frozen=True, slots=True, eq=False)
class SpecialRoutine:
    """The meaning of a name in `SPECIALS`."""

    name: str
    special: Special
