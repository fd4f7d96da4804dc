"""What the special library routines give (`symbols.SPECIALS`): classes from classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callproof.bcpl import nodes as ast
from callproof.bcpl.symbols import FunctionInfo
from callproof.bcpl.value_types import (
    ANY_LIST,
    FLOAT,
    FVEC,
    INTEGER,
    NULL,
    PACK_VECTORS,
    STRING,
    VEC,
    WORD,
    ValueType,
    join_elements,
    list_of,
    node_of,
)

# What the rows of `runtime.entries` call their results.
ENTRY_RESULTS = {
    "FLOAT": FLOAT,
    "STRING": STRING,
    "VEC": VEC,
    "FVEC": FVEC,
    "INTEGER": INTEGER,
    "STRINGS": list_of(STRING),
    "PAIRS": PACK_VECTORS["PAIRS"],
    "QUADS": PACK_VECTORS["QUADS"],
    "WORD": WORD,
}
Types = Sequence[ValueType]


def element_of(type_: ValueType) -> ValueType:
    """The class of a list's atoms, WORD where it is not known."""
    found = type_.element if type_.is_list or type_.is_node else None
    return found or WORD


def as_list(type_: ValueType) -> ValueType:
    return type_ if type_.is_list else ANY_LIST


def function_result(node: ast.Expression) -> ValueType:
    """What calling a function value gives, as far as it is known which one it is."""
    if isinstance(node, ast.Name) and isinstance(node.meaning, FunctionInfo):
        return node.meaning.result
    return WORD


def _extreme(types: Types) -> ValueType:
    """MIN, MAX and SUM: of two values, of two vectors, or of what is in one vector or pack."""
    first = types[0]
    if len(types) == 1:
        if first.pack is not None:
            return FLOAT if first.pack.is_float else INTEGER
        return first.element if first.is_vector and first.element is not None else first
    second = types[1]
    for one in (first, second):
        if one.pack is not None or one.is_vector:
            return one
    return FLOAT if FLOAT in (first, second) else INTEGER


def _pairwise(types: Types) -> ValueType:
    first = types[0]
    if first.pack is not None and len(types) == 1:
        return FLOAT if first.pack.is_float else INTEGER
    if first.is_vector and first.element is not None and first.element.pack is not None:
        return FVEC if first.element.pack.is_float else VEC
    if first.pack is not None or first.is_vector:
        return first
    return VEC


def _concat(types: Types) -> ValueType:
    if not all(type_.is_list for type_ in types):
        return ANY_LIST
    return list_of(join_elements([t.element for t in types if t.element is not None]))


def _append(types: Types) -> ValueType:
    return as_list(types[0])


NULL_ASIDE = frozenset("MIN MAX SUM PAIRWISE_MIN PAIRWISE_MAX PAIRWISE_ADD".split())
RESULTS: dict[str, Callable[[Types], ValueType]] = {
    "FLTOFX": lambda types: FLOAT,
    "MIN": _extreme,
    "MAX": _extreme,
    "SUM": _extreme,
    "PAIRWISE_MIN": _pairwise,
    "PAIRWISE_MAX": _pairwise,
    "PAIRWISE_ADD": _pairwise,
    "APND": _append,
    "FPND": _append,
    "SPND": _append,
    "LPND": _append,
    "CONCAT": _concat,
    "COPYLIST": _append,
    "DEEPCOPYLIST": _append,
    "REVERSE": _append,
    "FILTER": _append,
    "FIND": lambda types: node_of(types[0].element if types[0].is_list else None),
    "AS_FLOAT": lambda types: FLOAT,
    "AS_STRING": lambda types: STRING,
    "AS_LIST": lambda types: as_list(types[0].element) if types[0].element else ANY_LIST,
    "BCPL_ALLOC_WORDS": lambda types: VEC,
}


def special_result(name: str, types: Types, arguments: Sequence[ast.Expression]) -> ValueType:
    """What a special routine gives; INTEGER of those whose value means nothing."""
    if not types:
        return INTEGER
    if name == "MAP" and len(arguments) == 2:
        return list_of(function_result(arguments[1]))
    if name in NULL_ASIDE:
        types = [type_ for type_ in types if type_ is not NULL] or types
        if len(types) < len(arguments):  # null beside something: that is what counts
            types = [types[0]] * len(arguments)
    rule = RESULTS.get(name)
    return rule(types) if rule is not None else INTEGER


# What a call puts into the list that is its first argument.
APPENDED: dict[str, Callable[[ValueType], ValueType]] = {
    "APND": lambda type_: type_,
    "FPND": lambda type_: FLOAT,
    "SPND": lambda type_: STRING,
    "LPND": as_list,
}
