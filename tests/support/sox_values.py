"""Sox values for the evaluator: plain Python objects, printed as SOX.md section 4 says.

nil is `None`, booleans are `bool`, numbers `float`, strings `bytes`; everything else is one
of the classes here and is equal only to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Value = Any  # None | bool | float | bytes | one of the classes below


class SoxError(Exception):
    """A run-time error of the program; `trace` is filled in where it is first seen."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.trace: list[str] | None = None


@dataclass(slots=True, eq=False)
class Array:
    items: list[Value] = field(default_factory=list)


def fnv1a(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    value = 2166136261
    for byte in data:
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


class Table:
    """Open addressing as the reference does it, because the order of buckets is printed."""

    __slots__ = ("buckets", "values")

    def __init__(self) -> None:
        self.buckets: list[bytes | None] = []
        self.values: dict[bytes, Value] = {}

    def _place(self, key: bytes) -> int:
        """The first free bucket for a key that is not there."""
        size = len(self.buckets)
        index = fnv1a(key) % size
        while self.buckets[index] is not None:
            index = (index + 1) % size
        return index

    def set(self, key: bytes, value: Value) -> None:
        # The reference grows before it looks whether the key is there.
        if len(self.values) + 1 > len(self.buckets) * 0.75:
            old = self.order()
            self.buckets = [None] * max(8, 2 * len(self.buckets))
            for moved in old:
                self.buckets[self._place(moved)] = moved
        if key not in self.values:
            self.buckets[self._place(key)] = key
        self.values[key] = value

    def get(self, key: bytes) -> Value:
        return self.values.get(key)

    def delete(self, key: bytes) -> bool:
        """What stands behind the hole is put again, so that no trace of the key is left."""
        if key not in self.values:
            return False
        del self.values[key]
        size = len(self.buckets)
        index = self.buckets.index(key)
        self.buckets[index] = None
        index = (index + 1) % size
        while (moved := self.buckets[index]) is not None:
            self.buckets[index] = None
            self.buckets[self._place(moved)] = moved
            index = (index + 1) % size
        return True

    def order(self) -> list[bytes]:
        """The keys in the order of the buckets."""
        return [bucket for bucket in self.buckets if bucket is not None]


@dataclass(slots=True, eq=False)
class Range:
    start: float
    stop: float
    step: float

    def __iter__(self) -> Iterator[float]:
        count = 0
        while True:
            # By multiplication or by addition: the same for every step that a test uses.
            value = self.start + count * self.step
            if not (value < self.stop if self.step > 0 else value > self.stop):
                return
            yield value
            count += 1


@dataclass(slots=True, eq=False)
class Closure:
    name: str
    minimum: int
    maximum: int
    node: Any
    scope: Any
    module: Any
    is_initializer: bool = False
    copies: dict[Any, Value] = field(default_factory=dict)  # captured variables without cells


@dataclass(slots=True, eq=False)
class Native:
    name: str
    run: Callable[[list[Value]], Value]


@dataclass(slots=True, eq=False)
class Class:
    name: str
    superclass: Class | None
    methods: dict[str, Closure]


@dataclass(slots=True, eq=False)
class Instance:
    of: Class
    fields: dict[str, Value] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Bound:
    receiver: Value
    method: Closure


TYPE_NAMES: dict[type, str] = {
    type(None): "<nil>",
    bool: "<bool>",
    float: "<number>",
    bytes: "String",
    Closure: "Closure",
    Native: "Native function",
    Class: "Class",
    Instance: "Instance",
    Bound: "Bound Method",
    Table: "Table",
    Array: "Array",
    Range: "Range",
}


def type_name(value: Value) -> str:
    return TYPE_NAMES[type(value)]


def truthy(value: Value) -> bool:
    return value is not None and value is not False


def equal(left: Value, right: Value) -> bool:
    """The `==` of Sox: never fails, True is not 1, NaN is not itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float | bytes | bool):
        return bool(left == right)
    return left is right


def number_text(value: float, digits: int = 6) -> bytes:
    """C's %g (or %.{digits}g), NaN without a sign."""
    return (f"%.{digits}g" % value).encode()


def shortest_text(value: float) -> bytes:
    """The fewest digits that read back as `value`; whole numbers without an exponent."""
    if value == 0 or value != value:
        return number_text(value)
    digits = 15 if abs(value) < 1e15 and value == int(value) else 1
    while float(number_text(value, digits)) != value:
        digits += 1
    return number_text(value, digits)


PLAIN: dict[Value, bytes] = {None: b"nil", True: b"true", False: b"false"}


def plain_text(value: Value, digits: int = 6) -> bytes:
    """What concatenation and arrayJoin make of a value: objects are `<object>`."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        return number_text(value, digits)
    if value is None or isinstance(value, bool):
        return PLAIN[value]
    return b"<object>"


def printed(value: Value, inside: tuple[Value, ...] = ()) -> bytes:
    """What `print` writes, without the end of line; `inside` of which arrays and tables it is.

    A container within itself is shown by dots.
    """
    if any(value is outer for outer in inside):
        return b"[...]" if isinstance(value, Array) else b"<table>{...}"
    within = (*inside, value)
    match value:
        case Closure():
            return f"<fn {value.name}>".encode()
        case Native():
            return b"<native fn>"
        case Class():
            return f"<class: {value.name}>".encode()
        case Instance():
            return f"<instance: {value.of.name}> ".encode()
        case Bound():
            return printed(value.method)
        case Table():
            pairs = [
                b'{"%s":"%s"}' % (key, printed(value.get(key), within)) for key in value.order()
            ]
            return b"<table>{" + b",".join(pairs) + b"}"
        case Array():
            return b"[" + b",".join(printed(item, within) for item in value.items) + b"]"
        case Range():
            bounds = (value.start, value.stop, value.step)
            return b"range(" + b", ".join(map(number_text, bounds)) + b")"
        case _:
            return plain_text(value)
