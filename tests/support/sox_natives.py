"""The native functions of SOX.md sections 10 and 20, for the evaluator.

Each native is a row: its name, how many arguments it takes and the message for another
number, what each argument must be with the message for another type, and the function.
"""

from __future__ import annotations

import math
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.sox_values import (
    Array,
    Closure,
    Native,
    Range,
    SoxError,
    Table,
    Value,
    equal,
    plain_text,
    shortest_text,
    type_name,
)

SPACES = b" \t\n\v\f\r"


class Exit(Exception):
    """sysExit was called."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class World:
    """What natives know of the running program."""

    arguments: list[bytes]
    handlers: list[Value] = field(default_factory=list)
    random: random.Random = field(default_factory=lambda: random.Random(1))


Check = tuple[type | tuple[type, ...], str]  # a type, the message when it is another
NATIVES: dict[str, Callable[[World], Native]] = {}


def native(
    name: str, counts: range | None, count_message: str, *checks: Check
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Add a native; `counts` None accepts everything; checks go along the arguments."""

    def add(run: Callable[..., Value]) -> Callable[..., Value]:
        def make(world: World) -> Native:
            def checked(arguments: list[Value]) -> Value:
                if counts is not None and len(arguments) not in counts:
                    raise SoxError(f"{name}(): {count_message}")
                # Several arguments may share one check (the reference looks at them together).
                for argument, (wanted, message) in zip(arguments, checks, strict=False):
                    if type(argument) not in (wanted if isinstance(wanted, tuple) else (wanted,)):
                        raise SoxError(message if "(): " in message else f"{name}(): {message}")
                return run(world, *arguments)

            return Native(name, checked)

        NATIVES[name] = make
        return run

    return add


def clamp(at: float, length: int) -> int:
    """`at` truncated and kept between 0 and `length`; NaN is 0."""
    return 0 if not at > 0 else length if at >= length else int(at)


def exactly(count: int) -> range:
    return range(count, count + 1)


COUNT, KIND = "invalid parameter count", "invalid parameter type"
STRING: Check = (bytes, "parameter must be a string")
BOTH_STRINGS: Check = (bytes, "both parameters must be strings")
ALL_STRINGS: Check = (bytes, "all parameters must be strings")
NUMBER: Check = (float, "parameter must be a number")
BOTH_NUMBERS: Check = (float, "both parameters must be numbers")
FIRST_ARRAY: Check = (Array, "first parameter must be an array")


@native("Table", None, "")
def _table(world: World, *ignored: Value) -> Value:
    return Table()


@native("len", exactly(1), COUNT, ((Table, Array, bytes), KIND))
def _len(world: World, value: Value) -> Value:
    if isinstance(value, Table):
        return float(len(value.values))
    return float(len(value.items if isinstance(value, Array) else value))


@native("push", exactly(2), COUNT, (Array, KIND))
def _push(world: World, array: Array, value: Value) -> Value:
    array.items.append(value)
    return array


@native("pop", exactly(1), COUNT, (Array, KIND))
def _pop(world: World, array: Array) -> Value:
    if not array.items:
        raise SoxError("pop(): array is empty")
    return array.items.pop()


@native("type", exactly(1), "invalid argument(s)")
def _type(world: World, value: Value) -> Value:
    return type_name(value).encode()


@native("clock", None, "")
def _clock(world: World, *ignored: Value) -> Value:
    return time.process_time()


@native("usleep", None, "")
def _usleep(world: World, *arguments: Value) -> Value:
    if len(arguments) != 1 or not isinstance(arguments[0], float):
        return -1.0
    time.sleep(max(0.0, arguments[0]) / 1e6)
    return 0.0


@native("stringUpper", exactly(1), COUNT, STRING)
def _upper(world: World, text: bytes) -> Value:
    return text.upper()


@native("stringLower", exactly(1), COUNT, STRING)
def _lower(world: World, text: bytes) -> Value:
    return text.lower()


@native("stringTrim", exactly(1), COUNT, STRING)
def _trim(world: World, text: bytes) -> Value:
    return text.strip(SPACES)


@native("stringIndexOf", exactly(2), COUNT, BOTH_STRINGS, BOTH_STRINGS)
def _index_of(world: World, text: bytes, part: bytes) -> Value:
    return float(text.find(part))


SUBSTRING_TYPES = "invalid parameter types"


@native(
    "stringSubstring",
    range(2, 4),
    "requires 2 or 3 parameters",
    (bytes, SUBSTRING_TYPES),
    (float, SUBSTRING_TYPES),
    (float, "end parameter must be a number"),
)
def _substring(world: World, text: bytes, start: float, end: float | None = None) -> Value:
    first = clamp(start, len(text))
    last = len(text) if end is None else clamp(end, len(text))
    return text[first:last]


@native("stringReplace", exactly(3), "requires 3 parameters", ALL_STRINGS, ALL_STRINGS, ALL_STRINGS)
def _replace(world: World, text: bytes, old: bytes, new: bytes) -> Value:
    return text.replace(old, new, 1) if old else text


@native("stringStartsWith", exactly(2), "requires 2 parameters", BOTH_STRINGS, BOTH_STRINGS)
def _starts_with(world: World, text: bytes, part: bytes) -> Value:
    return text.startswith(part)


@native("stringEndsWith", exactly(2), "requires 2 parameters", BOTH_STRINGS, BOTH_STRINGS)
def _ends_with(world: World, text: bytes, part: bytes) -> Value:
    return text.endswith(part)


@native("stringSplit", exactly(2), "requires 2 parameters", BOTH_STRINGS, BOTH_STRINGS)
def _split(world: World, text: bytes, delimiter: bytes) -> Value:
    if not text:
        return Array()
    if not delimiter:
        return Array([text])
    pieces = text.split(delimiter)
    return Array(list(pieces[:-1] if not pieces[-1] else pieces))


@native("mathSqrt", exactly(1), COUNT, NUMBER)
def _sqrt(world: World, x: float) -> Value:
    if x < 0:
        raise SoxError("mathSqrt(): cannot take square root of negative number")
    return math.sqrt(x)


@native("mathPow", exactly(2), "requires 2 parameters", BOTH_NUMBERS, BOTH_NUMBERS)
def _pow(world: World, base: float, exponent: float) -> Value:
    try:
        return math.pow(base, exponent)
    except OverflowError:  # a negative base with an odd exponent gives -inf
        return -math.inf if base < 0 and math.fmod(exponent, 2) != 0 else math.inf
    except ValueError:
        # C: 0 to a negative power is an infinity, a negative base with a fraction is NaN.
        if base != 0:
            return math.nan
        return math.copysign(math.inf, base) if math.fmod(exponent, 2) else math.inf


def _round(x: float) -> float:
    """C's round: half away from zero, -0 stays."""
    if not abs(x) < 2**52:  # whole already, or not a number
        return x
    whole = math.floor(abs(x))
    return math.copysign(float(whole + (abs(x) - whole >= 0.5)), x)


def _trigonometric(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: function(x) if math.isfinite(x) else math.nan


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    """floor or ceil that keep infinities, NaN and the sign of zero as C does."""
    return lambda x: math.copysign(float(function(x)), x) if math.isfinite(x) else x


for _name, _function in {
    "mathFloor": _whole(math.floor),
    "mathCeil": _whole(math.ceil),
    "mathRound": _round,
    "mathSin": _trigonometric(math.sin),
    "mathCos": _trigonometric(math.cos),
    "mathTan": _trigonometric(math.tan),
}.items():
    native(_name, exactly(1), COUNT, NUMBER)(lambda world, x, run=_function: run(x))


@native("mathRandom", exactly(0), "takes no parameters")
def _random(world: World) -> Value:
    return world.random.random()


@native("mathRandomInt", exactly(2), "requires 2 parameters", BOTH_NUMBERS, BOTH_NUMBERS)
def _random_int(world: World, low: float, high: float) -> Value:
    if int(low) > int(high):
        raise SoxError("mathRandomInt(): min must be <= max")
    return float(world.random.randint(int(low), int(high)))


@native("mathSrand", exactly(1), "requires 1 parameter", (float, "seed must be a number"))
def _srand(world: World, seed: float) -> Value:
    world.random.seed(seed)


@native(
    "arraySlice",
    range(2, 4),
    "requires 2 or 3 parameters",
    FIRST_ARRAY,
    (float, "start index must be a number"),
    (float, "end index must be a number"),
)
def _slice(world: World, array: Array, start: float, end: float | None = None) -> Value:
    length = len(array.items)
    first = clamp(start, length)
    last = length if end is None else clamp(end, length)
    return Array(array.items[first : last + 1] if first < last else [])


@native("arrayReverse", exactly(1), "requires 1 parameter", (Array, "parameter must be an array"))
def _reverse(world: World, array: Array) -> Value:
    return Array(array.items[::-1])


@native("arrayIndexOf", exactly(2), "requires 2 parameters", FIRST_ARRAY)
def _array_index_of(world: World, array: Array, value: Value) -> Value:
    for index, item in enumerate(array.items):
        if equal(item, value):
            return float(index)
    return -1.0


# The reference lets arrayIndexOf look at the arguments, and so reports under its name.
@native(
    "arrayContains",
    exactly(2),
    "requires 2 parameters",
    (Array, "arrayIndexOf(): first parameter must be an array"),
)
def _contains(world: World, array: Array, value: Value) -> Value:
    return any(equal(item, value) for item in array.items)


@native(
    "arrayJoin",
    exactly(2),
    "requires 2 parameters",
    FIRST_ARRAY,
    (bytes, "separator must be a string"),
)
def _join(world: World, array: Array, separator: bytes) -> Value:
    return separator.join(plain_text(item, 14) for item in array.items)


@native("sysArgs", exactly(0), "takes no parameters")
def _args(world: World) -> Value:
    return Array(list(world.arguments))


@native("sysGetenv", exactly(1), "requires 1 parameter", STRING)
def _getenv(world: World, name: bytes) -> Value:
    return os.environb.get(name)


@native(
    "sysOnExit",
    exactly(1),
    "requires 1 parameter (function)",
    (Closure, "parameter must be a function"),
)
def _on_exit(world: World, function: Value) -> Value:
    world.handlers.append(function)


@native("sysExit", range(2), "takes 0 or 1 parameters", (float, "exit code must be a number"))
def _exit(world: World, code: float = 0.0) -> Value:
    raise Exit(int(code) % 256 if math.isfinite(code) else 0)


@native("sysPlatform", exactly(0), "takes no parameters")
def _platform(world: World) -> Value:
    return b"linux"


@native("sysSleep", exactly(1), "requires 1 parameter", NUMBER)
def _sleep(world: World, seconds: float) -> Value:
    if seconds < 0:
        raise SoxError("sysSleep(): sleep time cannot be negative")
    time.sleep(seconds)


RANGE_NUMBERS: Check = (float, "parameters must be numbers")


@native("range", range(1, 4), "requires 1 to 3 parameters", *[RANGE_NUMBERS] * 3)
def _range(world: World, *bounds: float) -> Value:
    start, stop, step = (
        (0.0, bounds[0], 1.0) if len(bounds) == 1 else (bounds[0], bounds[1], *bounds[2:], 1.0)[:3]
    )
    if step == 0:
        raise SoxError("range(): step cannot be zero")
    return Range(start, stop, step)


@native("tableKeys", exactly(1), "requires 1 parameter", (Table, "parameter must be a table"))
def _keys(world: World, table: Table) -> Value:
    return Array(list(table.order()))


FIRST_TABLE: Check = (Table, "first parameter must be a table")
KEY: Check = (bytes, "key must be a string")


@native("tableHas", exactly(2), "requires 2 parameters", FIRST_TABLE, KEY)
def _has(world: World, table: Table, key: bytes) -> Value:
    return key in table.values


@native("tableDelete", exactly(2), "requires 2 parameters", FIRST_TABLE, KEY)
def _delete(world: World, table: Table, key: bytes) -> Value:
    return table.delete(key)


NUMBER_TEXT = re.compile(rb"[+-]?([0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|inf)|nan")


@native("stringToNumber", exactly(1), "requires 1 parameter", STRING)
def _to_number(world: World, text: bytes) -> Value:
    return float(text) if NUMBER_TEXT.fullmatch(text) else None


@native("numberToString", exactly(1), "requires 1 parameter", NUMBER)
def _to_string(world: World, x: float) -> Value:
    return shortest_text(x)


ESCAPES = {ord("n"): b"\n", ord("t"): b"\t", ord('"'): b'"', ord("\\"): b"\\"}


@native("stringEscape", exactly(1), "requires 1 parameter", STRING)
def _escape(world: World, text: bytes) -> Value:
    out = bytearray()
    at = 0
    while at < len(text):
        follows = text[at + 1 : at + 2]
        if text[at] != ord("\\") or not follows:
            out.append(text[at])
            at += 1
        elif follows == b"x" and len(text) >= at + 4:
            out.append(int(text[at + 2 : at + 4], 16))
            at += 4
        else:
            out += ESCAPES.get(follows[0], text[at : at + 2])
            at += 2
    return bytes(out)


@native("fileRead", exactly(1), "requires 1 parameter", STRING)
def _file_read(world: World, path: bytes) -> Value:
    try:
        return Path(os.fsdecode(path)).read_bytes()
    except OSError:
        return None


@native("fileWrite", exactly(2), "requires 2 parameters", BOTH_STRINGS, BOTH_STRINGS)
def _file_write(world: World, path: bytes, data: bytes) -> Value:
    try:
        Path(os.fsdecode(path)).write_bytes(data)
    except OSError:
        return False
    return True
