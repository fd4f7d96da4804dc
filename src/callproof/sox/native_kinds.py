"""What natives give, and what they do with values: the runtime's C, as the flow must know it.

A native that stores a value somewhere, calls a function or gives out what it was given is
in SPECIAL; all others give new numbers, strings and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from callproof.sox.kinds import (
    A_NIL,
    A_STRING,
    ARRAY,
    BOOL,
    CLOSURE,
    NIL,
    NOTHING,
    NUMBER,
    RANGE,
    STRING,
    TABLE,
    Kind,
    Site,
)

if TYPE_CHECKING:
    from callproof.sox.flow_values import ValueFlow

_ROWS = {
    NUMBER: """len clock usleep stringIndexOf mathSqrt mathPow mathFloor mathCeil mathRound mathSin
        mathCos mathTan mathRandom mathRandomInt arrayIndexOf""",
    STRING: """type stringUpper stringLower stringTrim stringSubstring stringReplace stringEscape
        arrayJoin sysPlatform numberToString""",
    BOOL: "stringStartsWith stringEndsWith arrayContains tableDelete tableHas fileWrite",
    TABLE: "Table",
    RANGE: "range",
    NIL: "mathSrand sysSleep sysExit test_error test_fatal",
    STRING | NIL: "sysGetenv fileRead",
    NUMBER | NIL: "stringToNumber",
}
PLAIN: dict[str, int] = {name: tags for tags, names in _ROWS.items() for name in names.split()}


def _first(arguments: list[Kind]) -> Kind:
    return arguments[0] if arguments else NOTHING


def _push(flow: ValueFlow, arguments: list[Kind], site: Site) -> Kind:
    array = _first(arguments)
    if not array.tags & ARRAY or len(arguments) < 2:
        return NOTHING
    for place in array.sites:
        flow.join(("element", place), arguments[1])
    return Kind(ARRAY, array.sites)


def _pop(flow: ValueFlow, arguments: list[Kind], site: Site) -> Kind:
    return flow.elements(_first(arguments))


def _part(flow: ValueFlow, arguments: list[Kind], site: Site) -> Kind:
    return flow.array(site, flow.elements(_first(arguments)))


def _strings(flow: ValueFlow, arguments: list[Kind], site: Site) -> Kind:
    return flow.array(site, A_STRING)


def _on_exit(flow: ValueFlow, arguments: list[Kind], site: Site) -> Kind:
    handler = _first(arguments)
    flow.call(Kind(handler.tags & CLOSURE, handler.sites), [], site)
    return A_NIL


SPECIAL: dict[str, Callable[[ValueFlow, list[Kind], Site], Kind]] = {
    "push": _push,
    "pop": _pop,
    "arraySlice": _part,
    "arrayReverse": _part,
    "stringSplit": _strings,
    "tableKeys": _strings,
    "sysArgs": _strings,
    "sysOnExit": _on_exit,
}
