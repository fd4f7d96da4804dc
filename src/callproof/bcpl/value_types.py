"""The classes of values (reference, section 3): what inference knows of an expression.

Everything is a 64-bit word but FLOATs and packs.  Classes are compared by identity; lists and
list nodes are made by `list_of` and `node_of`, which give the same object for the same
element.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callproof.abi import types as abi
from callproof.ir.types import V2F32, V2I32, V4F32, V4I16, V8F32, V8I8, Type

if TYPE_CHECKING:
    from callproof.bcpl.symbols import ClassInfo


@dataclass(frozen=True, slots=True)
class Pack:
    """Several small numbers in one value: a vector in a SIMD register, lane 0 in the low bits.

    Where a word has to hold it (an element, a field, an atom) it is the word's bits, or
    else (`boxed`) the word is the address of `words` words that are never changed; 0
    stands for zeros.
    """

    vector: Type
    abi: abi.Type

    @property
    def lanes(self) -> int:
        return self.vector.lanes

    @property
    def bits(self) -> int:
        return self.vector.element.bits

    @property
    def is_float(self) -> bool:
        return self.vector.element.is_float

    @property
    def words(self) -> int:
        return self.vector.size // 8

    @property
    def boxed(self) -> bool:
        return self.words > 1


class ValueType:
    """A class of values.

    class_info   of objects
    element      of vectors, lists and list nodes: the class of what is in them; None in a
                 list of which nothing is known
    pack         of PAIR, FPAIR and the like
    """

    __slots__ = ("class_info", "element", "name", "pack")

    def __init__(
        self,
        name: str,
        class_info: ClassInfo | None = None,
        element: ValueType | None = None,
        pack: Pack | None = None,
    ) -> None:
        self.name = name
        self.class_info = class_info
        self.element = element
        self.pack = pack

    def __repr__(self) -> str:
        return self.class_info.name if self.class_info else self.name

    @property
    def is_list(self) -> bool:
        return self.name == "LIST"

    @property
    def is_node(self) -> bool:
        return self.name == "NODE"

    @property
    def is_vector(self) -> bool:
        return self.name in VECTORS


INTEGER = ValueType("INTEGER")
FLOAT = ValueType("FLOAT")
WORD = ValueType("WORD")
NULL = ValueType("NULL")
UNDECIDED = ValueType("UNDECIDED")  # while inference goes on: says nothing yet
STRING = ValueType("STRING")
VEC = ValueType("VEC", element=WORD)
FVEC = ValueType("FVEC", element=FLOAT)


def _packs() -> dict[str, ValueType]:
    """What is short enough goes as AAPCS64's short vectors do, FOCT as C's float32x4x2_t."""
    quad = abi.ShortVector(abi.F32, 4)
    halves = (abi.Field("low", quad, 0), abi.Field("high", quad, 16))
    rows: tuple[tuple[str, Type, abi.Type], ...] = (
        ("PAIR", V2I32, abi.ShortVector(abi.I32, 2)),
        ("FPAIR", V2F32, abi.ShortVector(abi.F32, 2)),
        ("QUAD", V4I16, abi.ShortVector(abi.I16, 4)),
        ("OCT", V8I8, abi.ShortVector(abi.I8, 8)),
        ("FQUAD", V4F32, quad),
        ("FOCT", V8F32, abi.Composite("", halves, 32, 16)),
    )
    return {name: ValueType(name, pack=Pack(vector, passed)) for name, vector, passed in rows}


PACKS = _packs()
PACK_VECTORS = {f"{name}S": ValueType(f"{name}S", element=PACKS[name]) for name in PACKS}
VECTORS = {"VEC": VEC, "FVEC": FVEC, **PACK_VECTORS}

DEEPEST_LIST = 4
_lists: dict[ValueType | None, ValueType] = {}
_nodes: dict[ValueType | None, ValueType] = {}


def list_of(element: ValueType | None) -> ValueType:
    """The class of lists whose atoms all have this class; WORD if they are mixed.

    Of lists in lists in lists ... only so much is known, so that inference comes to an end.
    """
    depth, inner = 0, element
    while inner is not None and inner.is_list:
        depth, inner = depth + 1, inner.element
    if depth >= DEEPEST_LIST:
        element = WORD
    return _lists.setdefault(element, ValueType("LIST", element=element))


def node_of(element: ValueType | None) -> ValueType:
    """The class of the nodes of such a list."""
    return _nodes.setdefault(element, ValueType("NODE", element=element))


ANY_LIST = list_of(None)

BY_NAME = {
    "INTEGER": INTEGER,
    "INT": INTEGER,
    "WORD": WORD,
    "ANY": WORD,
    "CHAR": INTEGER,
    "BYTE": INTEGER,
    "FLOAT": FLOAT,
    "STRING": STRING,
    "VECTOR": VEC,
    "TABLE": VEC,
    "FTABLE": FVEC,
    "OBJECT": WORD,
    "LIST": ANY_LIST,
    **VECTORS,
    **PACKS,
}
# Tags of list atoms (reference 1.2 and 9).
TAGS = {
    "TYPE_INT": 1,
    "TYPE_FLOAT": 2,
    "TYPE_STRING": 3,
    "TYPE_LIST": 4,
    "TYPE_OBJECT": 5,
    "TYPE_PAIR": 6,
}


def tag_of(type_: ValueType) -> int:
    """The tag of an atom with a value of that class."""
    if type_.class_info is not None:
        return TAGS["TYPE_OBJECT"]
    if type_.pack is not None:
        return TAGS["TYPE_PAIR"]
    return {"FLOAT": 2, "STRING": 3, "LIST": 4}.get(type_.name, TAGS["TYPE_INT"])


def short_name(type_: ValueType) -> str:
    """What TYPE(e) gives."""
    if type_.class_info is not None:
        return "OBJECT"
    return {"NULL": "WORD"}.get(type_.name, type_.name)


def described(type_: ValueType) -> str:
    """The class with its article, for messages."""
    name = repr(type_)
    is_an = name[0] in "AEIO" or name[:2] in ("FP", "FQ", "FO", "FV")  # as the F is said
    return f"{'an' if is_an else 'a'} {name}"


def vector_of(element: ValueType) -> ValueType:
    """The class of vectors of such elements."""
    for vector in (FVEC, *PACK_VECTORS.values()):
        if vector.element is element:
            return vector
    return VEC


def join(types: Iterable[ValueType]) -> ValueType:
    """The class of a value that is one of several (3.2.5, 3.2.6)."""
    given = set(types)
    found = given - {NULL, UNDECIDED}
    if len(found) == 1:
        return found.pop()
    if FLOAT in found:
        return FLOAT
    if not found:
        return UNDECIDED if UNDECIDED in given else INTEGER
    for maker, kind in ((list_of, "LIST"), (node_of, "NODE")):
        if all(type_.name == kind for type_ in found):
            elements = {type_.element for type_ in found} - {None}
            return maker(join_elements([e for e in elements if e is not None]))
    infos = [type_.class_info for type_ in found]
    if all(info is not None for info in infos):
        common = _common_base([info for info in infos if info is not None])
        if common is not None:
            return common.type
    return WORD


def join_elements(types: Iterable[ValueType]) -> ValueType | None:
    """The class of a list's atoms: their common one, WORD if they have none, None of none.

    Unlike a variable a list does not convert: an INTEGER among FLOATs makes it mixed.
    """
    found = {type_ for type_ in types if type_ not in (NULL, UNDECIDED)}
    if len(found) <= 1:
        return found.pop() if found else None
    return WORD if FLOAT in found else join(found)


def _common_base(infos: list[ClassInfo]) -> ClassInfo | None:
    for candidate in infos[0].ancestors():
        if all(candidate in info.ancestors() for info in infos):
            return candidate
    return None
