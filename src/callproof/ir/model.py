"""Modules, functions, blocks, instructions and operands: typed SSA with block parameters.

Operands are of three kinds, told apart by the class attribute `kind` (a small
integer, because inner loops ask): `Value` (an SSA value), `Constant` (a number
with a type), `Symbol` (the address of a function or datum, plus an offset).

There are no phi instructions: a block has parameters, and each jump to it gives
its arguments in its `Target`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callproof.abi import types as abi
from callproof.abi.signature import Signature
from callproof.abi.types import leaves
from callproof.ir.operations import Operation
from callproof.ir.places import PlaceNumber, Site
from callproof.ir.types import PTR, Type, of_scalar
from callproof.source import Note

if TYPE_CHECKING:
    from callproof.ir.debug import DebugFunction, DebugModule

VALUE, CONSTANT, SYMBOL = 0, 1, 2


class Value:
    """An SSA value: `number` is unique in its function, `name` the source's name or ''.

    `definition` is the instruction that defines it, None for block parameters;
    `block` is set for parameters only.
    """

    __slots__ = ("block", "definition", "name", "number", "type")
    kind = VALUE

    def __init__(self, number: int, type_: Type, name: str = "") -> None:
        self.number = number
        self.type = type_
        self.name = name
        self.definition: Instruction | None = None
        self.block: Block | None = None

    def __repr__(self) -> str:
        return f"%{self.name}.{self.number}" if self.name else f"%{self.number}"


class Constant:
    """A number of a type.  Integers are kept in signed form (-2**(bits-1) ..), floats as float.

    Float constants compare by bits (so -0.0 and 0.0 differ and a NaN equals itself):
    use `key()` wherever constants are compared or hashed.
    """

    __slots__ = ("type", "value")
    kind = CONSTANT

    def __init__(self, type_: Type, value: int | float) -> None:
        self.type = type_
        self.value = value

    def key(self) -> tuple[str, str | int]:
        value = self.value
        return (self.type.name, value.hex() if isinstance(value, float) else value)

    def __repr__(self) -> str:
        return f"{self.type} {self.value}"


class Symbol:
    """The address of `name`, plus `offset` bytes."""

    __slots__ = ("name", "offset")
    kind = SYMBOL
    type = PTR

    def __init__(self, name: str, offset: int = 0) -> None:
        self.name = name
        self.offset = offset

    def __repr__(self) -> str:
        return f"@{self.name}{self.offset:+d}" if self.offset else f"@{self.name}"


Operand = Value | Constant | Symbol


class Target:
    """A jump's destination and the arguments for its parameters."""

    __slots__ = ("arguments", "block")

    def __init__(self, block: Block, arguments: list[Operand] | None = None) -> None:
        self.block = block
        self.arguments: list[Operand] = arguments if arguments is not None else []


class Instruction:
    """One operation.

    type       T of the operation (for stores the stored type, for comparisons the
               operands' type, for calls and terminators None)
    operands   see the operation's row
    results    0, 1 or (calls of composites) several values
    offset     loads and stores: bytes added to the address
    targets    terminators
    callee, signature   calls (callee '' for indirect ones)
    tail       calls right before a return of their results: may be made a jump
    cases      switch: signed integers, one per target after the first
    size, alignment, slot_name   slot
    line       source line, 0 for none, and what inlined it (see `places.py`)
    object_address   set by `expand_calls` where a call's results, or a return's, are moved
               between memory and registers that no SSA value can be in (x87's)
    """

    __slots__ = (
        "alignment",
        "callee",
        "cases",
        "line",
        "object_address",
        "offset",
        "operands",
        "operation",
        "results",
        "signature",
        "size",
        "slot_name",
        "tail",
        "targets",
        "type",
    )

    def __init__(
        self,
        operation: Operation,
        type_: Type | None,
        operands: list[Operand],
        results: list[Value],
        line: PlaceNumber = 0,
    ) -> None:
        self.operation = operation
        self.type = type_
        self.operands = operands
        self.results = results
        self.line = line
        self.offset = 0
        self.targets: list[Target] = NO_TARGETS
        self.callee = ""
        self.signature: Signature | None = None
        self.cases: list[int] = NO_CASES
        self.size = 0
        self.alignment = 0
        self.slot_name = ""
        self.tail = False
        self.object_address: Operand | None = None
        for value in results:
            value.definition = self

    @property
    def result(self) -> Value:
        """The only result."""
        (value,) = self.results
        return value


NO_TARGETS: list[Target] = []  # shared, never changed: only terminators get a list of their own
NO_CASES: list[int] = []


class Block:
    """A label, parameters, instructions; the last instruction is the only terminator."""

    __slots__ = ("instructions", "name", "parameters")

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters: list[Value] = []
        self.instructions: list[Instruction] = []

    @property
    def terminator(self) -> Instruction:
        return self.instructions[-1]

    def successors(self) -> list[Block]:
        return [target.block for target in self.instructions[-1].targets]

    def __repr__(self) -> str:
        return f"^{self.name}"


class Function:
    """`blocks[0]` is the entry: it has no predecessors, and its parameters are the
    leaves of the signature's parameters, in order (see `parameter_leaves`).

    `sites`: the calls that were inlined (see `places.py`)."""

    __slots__ = (
        "blocks",
        "debug",
        "display_name",
        "exported",
        "name",
        "next_number",
        "signature",
        "sites",
        "source_name",
    )

    def __init__(self, name: str, signature: Signature, source_name: str = "") -> None:
        self.name = name
        self.display_name = name  # what listings and traces call it
        self.signature = signature
        self.source_name = source_name
        self.blocks: list[Block] = []
        self.sites: list[Site] = []
        self.next_number = 0
        self.exported = True
        self.debug: DebugFunction | None = None  # what a debugger shall know, if asked for

    def new_value(self, type_: Type, name: str = "") -> Value:
        value = Value(self.next_number, type_, name)
        self.next_number += 1
        return value

    def new_block(self, name: str) -> Block:
        """A new block at the end; the name is made unique by the caller or the builder."""
        block = Block(name)
        self.blocks.append(block)
        return block

    def add_parameter(self, block: Block, type_: Type, name: str = "") -> Value:
        value = self.new_value(type_, name)
        value.block = block
        block.parameters.append(value)
        return value

    @property
    def entry(self) -> Block:
        return self.blocks[0]


def parameter_leaves(signature: Signature) -> list[tuple[Type, str]]:
    """Types and names of the SSA values that a signature's parameters are.

    A result in memory is a pointer that comes first, a parameter in memory is one pointer.
    """
    found = []
    if signature.result_in_memory:
        found.append((PTR, "result"))
    for parameter in signature.parameters:
        name = parameter.name
        if parameter.in_memory:
            found.append((PTR, name))
            continue
        types = value_types(parameter.type)
        if len(types) == 1 or not name:
            found += [(type_, name) for type_ in types]
        else:
            found += [(type_, f"{name}.{index}") for index, type_ in enumerate(types)]
    return found


def result_leaves(signature: Signature) -> list[Type]:
    """Types of the SSA values that a signature's result is; [] for none or one in memory."""
    if signature.result is None or signature.result_in_memory:
        return []
    return value_types(signature.result)


# By identity, with the type itself so that it stays: types are few, and slow to hash.
_VALUE_TYPES: dict[int, tuple[abi.Type, list[Type]]] = {}


def value_types(type_: abi.Type) -> list[Type]:
    """The types of the SSA values that a value of an ABI type is; not to be changed."""
    known = _VALUE_TYPES.get(id(type_))
    if known is None:
        found = [of_scalar(scalar) for _, scalar in leaves(type_)]
        known = _VALUE_TYPES[id(type_)] = (type_, found)
    return known[1]


@dataclass(slots=True)
class Address:
    """Inside a datum: 8 bytes at `offset` hold the address of `symbol` + `addend`."""

    offset: int
    symbol: str
    addend: int = 0


@dataclass(slots=True)
class Datum:
    """A global: bytes, addresses in them, and whether it may be written.

    `zero_bytes` > 0 with empty `data` asks for zero-filled memory (.bss).
    `only_read`: whoever finds an address in it, only reads what is there (a collector).
    """

    name: str
    data: bytes = b""
    addresses: list[Address] = field(default_factory=list)
    alignment: int = 8
    writable: bool = False
    zero_bytes: int = 0
    exported: bool = False
    only_read: bool = False


@dataclass(slots=True)
class Module:
    """Functions and data in order of definition, and what is outside: the signatures of
    functions, and the alignment in bytes of data.

    `trace_names`: functions by the names under which the program's own stack walks show
    them; if there are any, tables for such walks are made (data whose names begin with
    `trace_prefix`) and no call becomes a jump.
    `trace_tables`: of a program of several modules in one of them, a name and the prefixes
    of all, for a table of tables.
    `kept`: functions that stay functions, whoever calls them (nothing inlines them).
    `observers`: functions at whose calls the tables tell of the variables in registers.
    `origins`: of some names outside, what the linker shall add if nobody defines them.
    `debug`: what a debugger shall know, if that was asked for.
    """

    name: str = ""
    functions: dict[str, Function] = field(default_factory=dict)
    data: dict[str, Datum] = field(default_factory=dict)
    declarations: dict[str, Signature] = field(default_factory=dict)
    external_data: dict[str, int] = field(default_factory=dict)
    trace_names: dict[str, bytes] = field(default_factory=dict)
    trace_prefix: str = "sox_trace_"
    trace_tables: tuple[str, tuple[str, ...]] | None = None
    kept: frozenset[str] = frozenset()
    observers: frozenset[str] = frozenset()
    origins: dict[str, Note] = field(default_factory=dict)
    debug: DebugModule | None = None

    def signature_of(self, name: str) -> Signature | None:
        function = self.functions.get(name)
        return function.signature if function else self.declarations.get(name)
