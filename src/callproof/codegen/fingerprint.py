"""What a function's machine code depends on, as a key: equal keys, equal code.

The key is a hash of all that the back end reads of an optimised function, before it
changes it.  Two things are left out of it, so that a change in one function is none in
those behind it, and are put back where code is taken from the cache (`packed.py`):

- places in the source are numbered as they come: the back end only passes them on;
- data of the module with a running number in its name (`sox.cache.17`) are numbered as
  they come too.  What the back end asks of a datum, its alignment, is in the key.

Names that the back end makes itself (constants in memory, jump tables, `memcpy`) are
never numbered, as nothing in the IR stands for them.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from hashlib import blake2b

from callproof.abi.signature import Signature
from callproof.codegen.target import Target
from callproof.ir.model import CONSTANT, VALUE, Function, Instruction, Module, Operand

NUMBERED = re.compile(r".*\.[0-9]+\Z", re.DOTALL)

# All fields of the IR's classes: a test compares, so that no new one is forgotten here.
# In the key:
READ = {
    "Function": "blocks display_name exported name next_number signature",
    "Block": "instructions name parameters",
    "Instruction": "alignment callee cases line object_address offset operands operation "
    "results signature size slot_name tail targets type",
    "Value": "name number type",
    "Constant": "type value",
    "Symbol": "name offset",
    "Target": "arguments block",
}
# Not in it: what others say already (a value's definition is the instruction that has it as
# its result), what only places' meaning needs, and what refuses a key.
NOT_READ = {
    "Function": "debug sites source_name",
    "Value": "block definition",
}


@dataclass(slots=True)
class Fingerprint:
    """`key`; and by the order in which they came the `places` and the `symbols` of the
    function that are only numbers in it."""

    key: bytes = b""
    places: dict[int, int] = field(default_factory=dict)
    symbols: dict[str, int] = field(default_factory=dict)


class Fingerprints:
    """Of the functions of one module; each is to be asked for before the back end has it."""

    __slots__ = ("_kinds", "_module", "_prefix", "_signatures")

    def __init__(self, module: Module, target: Target) -> None:
        self._module = module
        self._prefix = target.pool_prefix
        self._signatures: dict[int, tuple[Signature, str]] = {}
        self._kinds: dict[str, tuple[object, ...] | None] = {}

    def of(self, function: Function) -> Fingerprint:
        """Raises `ValueError` for a function with debug information: that has no key."""
        if function.debug is not None:
            raise ValueError("debug information is not in a function's key")
        found = Fingerprint(places={0: 0})
        indices = {id(block): index for index, block in enumerate(function.blocks)}
        parts: list[object] = [
            function.name,
            function.display_name,
            function.exported,
            function.next_number,
            self._signature(function.signature),
        ]
        for block in function.blocks:
            parameters = [(v.number, v.name, v.type.name) for v in block.parameters]
            instructions = [self._instruction(i, indices, found) for i in block.instructions]
            parts.append((block.name, parameters, instructions))
        found.key = blake2b(repr(parts).encode(), digest_size=20).digest()
        return found

    def _instruction(
        self, instruction: Instruction, indices: dict[int, int], found: Fingerprint
    ) -> tuple[object, ...]:
        i = instruction
        places = found.places
        operands = [
            o.number if o.kind == VALUE else self._operand(o, found)  # type: ignore[union-attr]
            for o in i.operands
        ]
        results = [(v.number, v.name, v.type.name) for v in i.results]
        place = places.setdefault(i.line, len(places))
        type_ = i.type
        start = (i.operation.name, type_.name if type_ is not None else "", i.offset, place)
        given = i.targets or i.signature is not None or i.callee or i.tail or i.cases
        if not (given or i.size or i.alignment or i.slot_name or i.object_address is not None):
            return (*start, operands, results)  # all else is as most instructions have it
        return (
            *start,
            operands,
            results,
            self._callee(i.callee, found),
            self._signature(i.signature),
            i.tail,
            i.cases,
            i.size,
            i.alignment,
            i.slot_name,
            [
                (indices[id(t.block)], [self._operand(o, found) for o in t.arguments])
                for t in i.targets
            ],
            None if i.object_address is None else self._operand(i.object_address, found),
        )

    def _operand(self, operand: Operand, found: Fingerprint) -> object:
        if operand.kind == VALUE:
            return operand.number  # type: ignore[union-attr]
        if operand.kind == CONSTANT:
            value = operand.value  # type: ignore[union-attr]
            if isinstance(value, float):  # its bits: NaNs have several
                return (operand.type.name, struct.pack("<d", value))
            return (operand.type.name, value)
        symbol: object = self._symbol(operand.name, found)  # type: ignore[union-attr]
        return ("@", symbol, operand.offset)  # type: ignore[union-attr]

    def _symbol(self, name: str, found: Fingerprint) -> tuple[object, ...]:
        """A name, or a number in its stead, and what is known of it."""
        kinds = self._kinds
        if name not in kinds:
            datum = self._module.data.get(name)
            numbered = NUMBERED.match(name) and not name.startswith(self._prefix)
            kinds[name] = None if datum is None else (bool(numbered), datum.alignment)
        kind = kinds[name]
        if kind is None or not kind[0]:
            return (name, kind)
        symbols = found.symbols
        return (symbols.setdefault(name, len(symbols)), kind)

    def _callee(self, name: str, found: Fingerprint) -> object:
        return self._symbol(name, found) if name else ""

    def _signature(self, signature: Signature | None) -> str:
        """As text; many calls share one object, which is kept so that its id stays its own."""
        if signature is None:
            return ""
        known = self._signatures.get(id(signature))
        if known is None:
            known = self._signatures[id(signature)] = (signature, repr(signature))
        return known[1]
