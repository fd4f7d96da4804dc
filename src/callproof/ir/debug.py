"""What a debugger shall know of a module: functions, variables, types, and where values are.

An instruction's line is a number; where debug information was asked for it is a `Place`,
a number that also knows what each visible variable's value is *when control is there*, as
operands of the IR.  Passes copy lines along without looking, and so carry this with them;
`replace_operands` keeps it up to date.  What a pass does not keep (a value that it deletes)
is missing then, never wrong: `codegen/locate.py` only believes operands that it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from callproof.ir.model import VALUE, Function, Operand, Value
from callproof.ir.places import PlaceNumber

# --- types -----------------------------------------------------------------------------------


class DebugType:
    """Compared by identity: one object is one entry in the output."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class BaseType(DebugType):
    """`encoding` is 'signed', 'unsigned', 'float', 'boolean' or 'utf' (of DWARF's DW_ATE)."""

    name: str
    encoding: str
    size: int


@dataclass(slots=True, eq=False)
class PointerType(DebugType):
    """A pointer of 8 bytes; `target` None for one to anything."""

    target: DebugType | None


@dataclass(slots=True, eq=False)
class NamedType(DebugType):
    """Another name of a type."""

    name: str
    target: DebugType


@dataclass(slots=True, eq=False)
class ArrayType(DebugType):
    """`count` elements, None for as many as there are; with `vector` a SIMD register's."""

    element: DebugType
    count: int | None
    vector: bool = False


@dataclass(slots=True, eq=False)
class Member:
    """A field, or with `inherited` the base class; `offset` in bytes."""

    name: str
    type: DebugType
    offset: int
    inherited: bool = False
    visibility: str = ""  # 'public', 'private', 'protected'


@dataclass(slots=True, eq=False)
class StructureType(DebugType):
    """Members may be added later, so that a structure can lead to itself."""

    name: str
    size: int
    members: list[Member] = field(default_factory=list)
    is_class: bool = False


# --- variables -------------------------------------------------------------------------------


Parts = tuple[Operand | None, ...]
"""A variable's value, part by part; None for a part that nothing tells of."""


@dataclass(slots=True, eq=False)
class DebugVariable:
    """A variable, and how its value is put together from IR values.

    sizes      bytes of each part, in the order of memory; one for what is one IR value
    content    (), or: the (only) part is an address, and the variable is in memory that
               many bytes behind it; of several offsets, all but the last lead to an address
    incoming   a parameter's parts as the function is entered
    home       the address of its memory in the frame (`slot`), for one that has such
    """

    name: str
    type: DebugType
    line: int
    is_parameter: bool = False
    sizes: tuple[int, ...] = (8,)
    content: tuple[int, ...] = ()
    home: Value | None = None
    incoming: Parts = ()


@dataclass(slots=True, eq=False)
class DebugGlobal:
    """A variable in the module's data: `offset` bytes behind `symbol`."""

    name: str
    type: DebugType
    file: str
    line: int
    symbol: str
    offset: int = 0


class Scope:
    """A block of the source: `variables` that are declared in it, blocks in `parent`."""

    __slots__ = ("parent", "variables")

    def __init__(self, parent: Scope | None) -> None:
        self.parent = parent
        self.variables: list[DebugVariable] = []


class Place(int):
    """A line, and what is there.

    owner        the function of the source that the line is in (another one than the
                 function of the instruction, where that came by inlining)
    scope        the innermost block
    values       visible variables and their values; () for those in their homes
    inlined_at   the place of the call for which this code stands, None for code in its own
                 function
    """

    owner: DebugFunction
    scope: Scope
    values: dict[DebugVariable, Parts]
    inlined_at: Place | None = None

    def at_call(self, call: Place, number: int | None = None) -> Place:
        """The same place in code that stands for a call, with its `number` there (see
        `places.py`).  Its values are not known: they are the called function's own; who
        copies the code tells what they have become (`know`)."""
        found = Place(self if number is None else number)
        found.owner, found.scope, found.values = self.owner, self.scope, {}
        outer = self.inlined_at
        found.inlined_at = call if outer is None else outer.at_call(call)
        return found


def know(
    line: PlaceNumber, original: PlaceNumber, into: DebugFunction, values: dict[int, Operand]
) -> None:
    """What the variables at `original` are at its copy `line` in the function `into`: the
    `values` there, by the numbers of those in the called function."""
    if not isinstance(line, Place) or not isinstance(original, Place):
        return
    for variable, parts in original.values.items():
        if parts:  # those in memory have another home here, which nothing tells
            line.values[variable] = tuple(
                values.get(part.number) if isinstance(part, Value) else part for part in parts
            )
    into.places.append(line)


def inlined(line: PlaceNumber, call_line: PlaceNumber, number: int | None = None) -> PlaceNumber:
    """The line of an instruction that was copied in place of a call at `call_line`.

    That is the `number` that `places.py` makes of it (else the same), with what `line` tells
    if it is a `Place`.
    """
    if isinstance(line, Place) and isinstance(call_line, Place):
        return line.at_call(call_line, number)
    return line if number is None else number


def moved(line: PlaceNumber) -> PlaceNumber:
    """The line of an instruction that goes to where other values may be known than here.

    It stays the line; of the variables only those in their homes are told of.
    """
    if not isinstance(line, Place):
        return line
    found = Place(line)
    found.owner, found.scope, found.inlined_at = line.owner, line.scope, line.inlined_at
    found.values = {variable: parts for variable, parts in line.values.items() if not parts}
    return found


@dataclass(slots=True, eq=False)
class DebugFunction:
    """A function of the source; `places` are all that were made for it."""

    name: str
    file: str
    line: int
    parameters: list[DebugVariable] = field(default_factory=list)
    result: DebugType | None = None
    scope: Scope = field(default_factory=lambda: Scope(None))
    places: list[Place] = field(default_factory=list)

    def replace(self, final: Callable[[Operand], Operand]) -> None:
        """Values were replaced by other operands."""
        for place in self.places:
            values = place.values
            for variable, parts in values.items():
                for part in parts:
                    if part is not None and part.kind == VALUE and final(part) is not part:
                        values[variable] = tuple(
                            final(one) if one is not None else None for one in parts
                        )
                        break

    def forget(self, values: Sequence[Value]) -> None:
        """These values are not their variables' any more, wherever that was said."""
        gone = {id(value) for value in values}
        for place in self.places:
            for variable, parts in list(place.values.items()):
                if any(id(part) in gone for part in parts):
                    place.values[variable] = tuple(
                        None if id(part) in gone else part for part in parts
                    )

    def forget_all(self) -> None:
        """Nothing is known any more but lines, and variables in memory."""
        for place in self.places:
            place.values = {one: parts for one, parts in place.values.items() if not parts}


@dataclass(slots=True)
class DebugModule:
    """All of a module; `language` is 'bcpl' or 'sox'.  `in_memory`: variables are kept in
    memory, where a debugger always finds them (what is not optimised)."""

    language: str
    in_memory: bool = False
    functions: dict[str, DebugFunction] = field(default_factory=dict)
    globals: list[DebugGlobal] = field(default_factory=list)


def forget_values_of_skipped(function: Function, values: Sequence[Value]) -> None:
    """For a pass that leads control past the blocks which define these values."""
    if function.debug is not None and values:
        function.debug.forget(values)
