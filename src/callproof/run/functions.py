"""Function records: what the compiler tells the emulator about each function's call.

A record says what a function is called, and where each parameter and the result
travel.  The compiler puts them into the section `.callproof.functions` of its
objects (not loaded; nothing refers to addresses, the symbol table has those), and
`run/` reads them from the linked executable to poison and to trace.

The encoding is one line of JSON (UTF-8) a function, so that the sections of several
objects can be concatenated by any linker, with or without zero padding between:

    {"name": "Point$CREATE", "display": "Point::CREATE",
     "parameters": [{"name": "x", "type": "i64", "where": [["x", 1, 8]]}],
     "result": {"type": "f64", "where": [["v", 0, 8]]}}

A place is ["x", number, bytes], ["v", number, bytes] or ["stack", offset above SP at the
call, bytes]; a value has one place per part.  "indirect" on a value: the part holds the
address of the value's memory.  "variadic": anonymous arguments may follow.  "external":
the function is declared here and defined elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from callproof.abi.plan import Assignment, CallPlan, InRegister
from callproof.abi.types import Type
from callproof.source import CallproofError

SECTION = ".callproof.functions"
V0 = 32
ST0 = 64  # x86-64's x87 registers, where a long double comes back, have no place in a record

FULL_SIZE = {"x": 8, "v": 16}


class Malformed(ValueError):
    """A line that is not a function record; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """`kind` 'x', 'v' or 'stack'; `number` of the register, or offset above SP; `size` bytes."""

    kind: str
    number: int
    size: int


@dataclass(frozen=True, slots=True)
class ValueRecord:
    """A parameter or result: `type` as the ABI's types print ('i64', 'f64', 'ptr', '{…}')."""

    name: str
    type: str
    where: tuple[Place, ...]
    indirect: bool = False


@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """One function; `name` is its symbol, `display` the name to show.

    An `external` record tells the signature of a function that another compiler made:
    its arguments and result are known, how its code uses registers inside is not.
    """

    name: str
    display: str
    parameters: tuple[ValueRecord, ...] = ()
    result: ValueRecord | None = None
    variadic: bool = False
    external: bool = False


# Types print themselves slowly, and the same objects come again and again.
_TEXTS: dict[int, tuple[Type, str]] = {}
MOST_TEXTS = 4096


def _text_of(type_: Type) -> str:
    found = _TEXTS.get(id(type_))
    if found is None:
        if len(_TEXTS) >= MOST_TEXTS:
            _TEXTS.clear()
        found = _TEXTS[id(type_)] = type_, str(type_)
    return found[1]


def _value_of(assignment: Assignment) -> ValueRecord:
    places = []
    for part in assignment.parts:
        location = part.location
        size = max(part.size, part.extend // 8)
        if isinstance(location, InRegister):
            number = location.register
            if number >= ST0:
                continue
            kind, number = ("v", number - V0) if number >= V0 else ("x", number)
            places.append(Place(kind, number, size))
        else:
            places.append(Place("stack", location.offset, part.size))
    return ValueRecord(
        assignment.name, _text_of(assignment.type), tuple(places), assignment.indirect
    )


def record_of(
    symbol: str, display_name: str, plan: CallPlan, *, external: bool = False
) -> FunctionRecord:
    """The record of a function that is called by this plan; `external` if only declared."""
    return FunctionRecord(
        symbol,
        display_name,
        tuple(_value_of(assignment) for assignment in plan.parameters),
        None if plan.result is None else _value_of(plan.result),
        plan.signature.variadic_from is not None,
        external,
    )


_quoted = json.encoder.encode_basestring


def _encode_value(value: ValueRecord, name: str = "") -> str:
    """A value as an object; `name` is its first member, if it has one."""
    where = ",".join([f'["{place.kind}",{place.number},{place.size}]' for place in value.where])
    indirect = ',"indirect":true' if value.indirect else ""
    return f'{{{name}"type":{_quoted(value.type)},"where":[{where}]{indirect}}}'


def encode_records(records: Iterable[FunctionRecord]) -> bytes:
    """The bytes of `.callproof.functions` for these records, in order."""
    lines = []
    for record in records:
        parameters = ",".join(
            [_encode_value(one, f'"name":{_quoted(one.name)},') for one in record.parameters]
        )
        result = "null" if record.result is None else _encode_value(record.result)
        variadic = ',"variadic":true' if record.variadic else ""
        external = ',"external":true' if record.external else ""
        lines.append(
            f'{{"name":{_quoted(record.name)},"display":{_quoted(record.display)},'
            f'"parameters":[{parameters}],"result":{result}{variadic}{external}}}\n'
        )
    return "".join(lines).encode("utf-8", "surrogatepass")


def decode_records(data: bytes) -> list[FunctionRecord]:
    """The records in (concatenated) sections.

    Raises `CallproofError` that names the line if one cannot be understood.
    """
    records = []
    for number, line in enumerate(data.split(b"\n"), 1):
        line = line.strip(b"\0 \r\t")
        if not line:
            continue
        try:
            records.append(_decode_record(json.loads(line.decode("utf-8", "surrogatepass"))))
        except (ValueError, RecursionError) as error:
            raise CallproofError(f"{SECTION}, line {number}: not a function record: {error}") from (
                error
            )
    return records


def _decode_record(encoded: object) -> FunctionRecord:
    fields = _mapping(encoded)
    name = _text(fields, "name")
    parameters = fields.get("parameters", [])
    if not isinstance(parameters, list):
        raise Malformed("'parameters' is not a list")
    result = fields.get("result")
    return FunctionRecord(
        name,
        _text(fields, "display", name),
        tuple(_decode_value(value) for value in parameters),
        None if result is None else _decode_value(result),
        bool(fields.get("variadic", False)),
        bool(fields.get("external", False)),
    )


def _decode_value(encoded: object) -> ValueRecord:
    fields = _mapping(encoded)
    where = fields.get("where", [])
    if not isinstance(where, list):
        raise Malformed("'where' is not a list")
    return ValueRecord(
        _text(fields, "name", ""),
        _text(fields, "type"),
        tuple(_decode_place(place) for place in where),
        bool(fields.get("indirect", False)),
    )


def _decode_place(encoded: object) -> Place:
    if not isinstance(encoded, list) or len(encoded) not in (2, 3):
        raise Malformed(f"a place is [kind, number, size], not {encoded!r}")
    kind, number = encoded[0], encoded[1]
    size = encoded[2] if len(encoded) == 3 else FULL_SIZE.get(kind, 8)
    limit = {"x": 31, "v": 32, "stack": 1 << 31}.get(kind) if isinstance(kind, str) else None
    if limit is None:
        raise Malformed(f"a place is in 'x', 'v' or 'stack', not {kind!r}")
    if type(number) is not int or not 0 <= number < limit:
        raise Malformed(f"no {kind!r} numbered {number!r}")
    if type(size) is not int or not 0 < size <= FULL_SIZE.get(kind, 1 << 16):
        raise Malformed(f"{size!r} bytes do not fit in {kind!r}")
    return Place(kind, number, size)


def _mapping(encoded: object) -> dict[str, object]:
    if not isinstance(encoded, dict):
        raise Malformed("not a JSON object")
    return encoded


def _text(fields: dict[str, object], key: str, default: str | None = None) -> str:
    value = fields.get(key, default)
    if not isinstance(value, str):
        raise Malformed(f"'{key}' is missing or not a text")
    return value
