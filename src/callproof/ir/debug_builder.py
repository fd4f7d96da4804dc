"""A builder that also says what each variable's value is at each instruction.

Instructions get `Place`s for lines.  A new one is made when the next instruction comes
after anything has changed: the line, the block, a variable.  What a variable is at a
block's beginning may only be known when the function is complete, and is looked up
then: by following the ways that lead there back to the last writes.  If that is one
write, or one block parameter, it is the value.  No parameter is ever made for this: the
code is the same as without.

With `in_memory` variables are kept in memory instead: each has room in the frame.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from callproof.ir.builder import FunctionBuilder
from callproof.ir.debug import DebugFunction, DebugVariable, Place, Scope
from callproof.ir.model import CONSTANT, VALUE, Block, Function, Operand, Symbol, Value
from callproof.ir.places import PlaceNumber


@dataclass(slots=True)
class _Pending:
    """The value of `key` at the beginning of `block`: part `index` of a variable at a place."""

    place: Place
    variable: DebugVariable
    index: int
    block: Block
    key: Hashable


class DebugBuilder(FunctionBuilder):
    """Builds a function together with its `function.debug`."""

    keeps_debug = True
    _number = 0
    _place: Place | None = None
    _block: Block | None = None
    _info: DebugFunction | None = None

    def __init__(self, function: Function, info: DebugFunction, in_memory: bool) -> None:
        self._scope = info.scope
        self._in_memory = in_memory
        self._keys: dict[DebugVariable, tuple[Hashable, ...]] = {}
        self._parameters: dict[Hashable, DebugVariable] = {}
        self._written: set[Hashable] = set()
        self._watched: set[Hashable] = set()
        self._homes: dict[Hashable, tuple[Value, int]] = {}
        self._at_entry: dict[tuple[Block, Hashable], Value] = {}
        self._unknown: list[_Pending] = []
        super().__init__(function)
        self._info = info
        function.debug = info

    # --- places ---------------------------------------------------------------------------

    def place(self) -> PlaceNumber:
        if self._info is None:
            return self.line
        if self._place is None or self._block is not self.current or self.line != self._number:
            self._number = self.line
            self._place = self._here(self._info)
            self._block = self.current
        return self._place

    def _here(self, info: DebugFunction) -> Place:
        place = Place(self._number)
        place.owner, place.scope = info, self._scope
        place.values = {}
        definitions = self._places[self.current].definitions
        scope: Scope | None = self._scope
        while scope is not None:
            for variable in scope.variables:
                keys = self._keys[variable]
                if not all(key in self._written for key in keys):
                    if len(variable.incoming) == len(keys):
                        place.values[variable] = variable.incoming
                    continue
                if variable.home is not None:
                    place.values[variable] = ()
                    continue
                parts: list[Operand | None] = []
                for index, key in enumerate(keys):
                    found = definitions.get(key)
                    parts.append(found)
                    if found is None:
                        self._unknown.append(_Pending(place, variable, index, self.current, key))
                place.values[variable] = tuple(parts)
            scope = scope.parent
        info.places.append(place)
        return place

    # --- scopes and variables ---------------------------------------------------------------

    def enter(self) -> object:
        outer = self._scope
        self._scope = Scope(outer)
        self._place = None
        return outer

    def leave(self, mark: object) -> None:
        assert isinstance(mark, Scope)
        self._scope = mark
        self._place = None

    def show(self, variable: DebugVariable, keys: Sequence[Hashable]) -> None:
        """A variable whose parts are `keys` is there, from when all of them are written."""
        if self._info is None or variable in self._keys:
            return
        self._keys[variable] = tuple(keys)
        self._watched.update(keys)
        self._scope.variables.append(variable)
        if variable.is_parameter:
            self._info.parameters.append(variable)
        if variable.is_parameter or variable.content:  # what came with the closure is there too
            self._parameters.update(dict.fromkeys(keys, variable))
        if self._in_memory:
            types = [self._types[key][0] for key in keys]
            size = sum(type_.size for type_ in types)
            home = self.slot(size, 16 if size > 8 else 8, variable.name)
            variable.home = home
            offset = 0
            for key, type_ in zip(keys, types, strict=True):
                self._homes[key] = home, offset
                offset += type_.size
        self._place = None

    def show_slot(
        self, variable: DebugVariable, address: Value, incoming: Operand | None = None
    ) -> None:
        """A variable that has a `slot` of its own anyway; it is there from `stored` on, a
        parameter before that where the function is given it (`incoming`)."""
        if self._info is None or variable in self._keys:
            return
        self._keys[variable] = (variable,)
        variable.home = address
        self._scope.variables.append(variable)
        if variable.is_parameter:
            self._info.parameters.append(variable)
            if isinstance(incoming, Value) and incoming.block is self.entry:
                variable.incoming = (incoming,)
        self._place = None

    def stored(self, variable: DebugVariable) -> None:
        """A variable of `show_slot` has its first value."""
        self._written.add(variable)
        self._place = None

    def write(self, variable: Hashable, value: Operand) -> None:
        home = self._homes.get(variable)
        if variable in self._parameters and variable not in self._written:
            shown = self._parameters[variable]
            if value.kind == VALUE and value.block is self.entry:  # type: ignore[union-attr]
                shown.incoming += (value,)
                self._place = None
        if home is not None:
            self.store(self._types[variable][0], value, home[0], home[1])
        else:
            super().write(variable, value)
        if variable in self._watched:
            self._written.add(variable)
            self._place = None

    def fix(self, variable: Hashable, value: Operand) -> None:
        self.write(variable, value)
        if variable not in self._homes:
            super().fix(variable, value)

    def read(self, variable: Hashable) -> Operand:
        home = self._homes.get(variable)
        if home is not None:
            type_, name = self._types[variable]
            return self.load(type_, home[0], home[1], name)
        return super().read(variable)

    def _parameter(self, block: Block, variable: Hashable) -> Value:
        value = super()._parameter(block, variable)
        self._at_entry[block, variable] = value
        return value

    def slot(self, size: int, alignment: int, name: str) -> Value:
        """It stands at the function's beginning, which is no part of the current line."""
        value = super().slot(size, alignment, name)
        assert value.definition is not None
        value.definition.line = 0
        return value

    # --- the end ------------------------------------------------------------------------------

    def finish(self) -> Function:
        reached = self._reached()
        known: dict[tuple[Block, Hashable], Operand | None] = {}
        for one in self._unknown:
            where = (one.block, one.key)
            if where not in known:
                known[where] = self._reaching(one.block, one.key, reached)
            parts = list(one.place.values[one.variable])
            parts[one.index] = known[where]
            one.place.values[one.variable] = tuple(parts)
        return super().finish()

    def _reached(self) -> set[Block]:
        found = {self.entry}
        pending = [self.entry]
        while pending:
            instructions = pending.pop().instructions
            if not instructions or not instructions[-1].operation.terminator:
                continue
            for target in instructions[-1].targets:
                if target.block not in found:
                    found.add(target.block)
                    pending.append(target.block)
        return found

    def _reaching(self, block: Block, key: Hashable, reached: set[Block]) -> Operand | None:
        """The one value that `key` has at a block's beginning on all ways; None for several."""
        only: Operand | None = None
        seen = {block}
        pending = [block]
        while pending:
            current = pending.pop()
            found: Operand | None = self._at_entry.get((current, key))
            if found is None:
                before = [one for one in self._places[current].predecessors if one.block in reached]
                if not before and current is not block:
                    return None  # from the function's beginning there is a way without a write
                if current is self.entry:
                    return None
                for one in before:
                    written = one.definitions.get(key)
                    if written is None:
                        if one.block not in seen:
                            seen.add(one.block)
                            pending.append(one.block)
                    elif only is None:
                        only = written
                    elif not _same(only, written):
                        return None
            elif only is None:
                only = found
            elif not _same(only, found):
                return None
        return only


def _same(first: Operand, second: Operand) -> bool:
    if first is second:
        return True
    if first.kind != second.kind or first.kind == VALUE:
        return False
    if first.kind == CONSTANT:
        return first.key() == second.key()  # type: ignore[union-attr]
    assert isinstance(first, Symbol) and isinstance(second, Symbol)
    return first.name == second.name and first.offset == second.offset
