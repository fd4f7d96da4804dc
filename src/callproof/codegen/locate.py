"""Where variables are, instruction by instruction, in emitted code.

Each line of code has a `Place` that says which IR values the variables are.  Where a
value is follows from the allocation alone, by the dataflow of `allocation_check`: it
knows at each point which locations certainly hold it, also after its last use.  A value
that is nowhere gives no entry.

At a call: what it may change is no place for anything from the call's last byte on.
A debugger looks there for the variables of a function that is waiting for a callee.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from callproof.codegen.allocation_check import _Checker, _State
from callproof.codegen.emit import BEHIND, FIRST, FURTHER, LEAVING, MOVES, EmittedFunction
from callproof.codegen.machine import (
    Allocation,
    MachineBlock,
    MachineFunction,
    RegisterFile,
)
from callproof.codegen.target import Frame
from callproof.ir.debug import DebugFunction, DebugVariable, Parts, Place, Scope
from callproof.ir.model import CONSTANT, SYMBOL, Constant, Operand, Symbol, Value
from callproof.ir.places import line_of
from callproof.object import dwarf_expressions as dwarf
from callproof.object.dwarf_expressions import Expression

Held = dict[int, frozenset[int]]
"""Virtual register -> locations that hold its value."""
NOWHERE: frozenset[int] = frozenset()


@dataclass(slots=True)
class CodeRange:
    """Bytes [start, end) from the function's start."""

    start: int
    end: int


@dataclass(slots=True)
class Located:
    """A variable is `at` while control is in the range."""

    start: int
    end: int
    at: Expression


@dataclass(slots=True)
class Inlined:
    """Code of `function` in place of a call at `call_file`:`call_line`; `scope` it stands in."""

    function: DebugFunction
    call_file: str
    call_line: int
    scope: Scope | None
    ranges: list[CodeRange] = field(default_factory=list)
    inner: list[Inlined] = field(default_factory=list)


@dataclass(slots=True)
class FunctionLocations:
    """rows: (offset, line, file), offsets ascending; `scopes`: blocks with code of theirs."""

    function: DebugFunction
    rows: list[tuple[int, int, str]] = field(default_factory=list)
    scopes: dict[Scope, list[CodeRange]] = field(default_factory=dict)
    variables: dict[DebugVariable, list[Located]] = field(default_factory=dict)
    inlined: list[Inlined] = field(default_factory=list)


class _Recorder(_Checker):
    """The checker, which at the end tells what is where around each instruction."""

    __slots__ = ("before", "entries", "wanted")

    def __init__(
        self,
        function: MachineFunction,
        allocation: Allocation,
        registers: RegisterFile,
        wanted: frozenset[int],
    ) -> None:
        super().__init__(function, allocation, registers)
        self.wanted = wanted
        self.entries: dict[int, dict[int, frozenset[int]]] = {}
        # (block, instruction) -> before its moves, behind them, behind the instruction
        self.before: dict[tuple[int, int], tuple[Held, Held, Held]] = {}

    def block(self, block: MachineBlock, state: _State) -> None:
        # The last visit of a block is the one with what holds on all ways to it.
        self.entries[block.index] = dict(state.held)
        super().block(block, state)

    def record(self) -> None:
        """Run, and go through all blocks once more with what is known then."""
        self.run()
        for block in self.function.blocks:
            known = self.entries.get(block.index)
            if known is None:
                continue
            state = _State(known)
            for index, instruction in enumerate(block.instructions):
                first = self._held(state)
                for group in self.allocation.edits.get((block.index, index), ()):
                    self.group(group, state)
                second = self._held(state)
                self.instruction(instruction, state)
                self.before[block.index, index] = first, second, self._held(state)

    def _held(self, state: _State) -> Held:
        holders = state.holders
        return {one: frozenset(holders[one]) for one in self.wanted if holders.get(one)}


def _common(first: Held, second: Held) -> Held:
    return {
        register: places & second[register]
        for register, places in first.items()
        if register in second
    }


class _Locator:
    __slots__ = (
        "allocation",
        "emitted",
        "frame",
        "function",
        "machine_name",
        "numbers",
        "registers",
        "slots",
        "values",
    )

    def __init__(
        self,
        function: MachineFunction,
        allocation: Allocation,
        registers: RegisterFile,
        emitted: EmittedFunction,
        machine_name: str,
    ) -> None:
        assert function.debug is not None
        self.function = function
        self.allocation = allocation
        self.registers = registers
        self.emitted = emitted
        self.frame: Frame = emitted.frame
        self.machine_name = machine_name
        self.numbers = dwarf.REGISTERS[machine_name]
        self.values = function.debug.registers
        self.slots = function.debug.slots

    def states(self) -> dict[int, tuple[Held, Held]]:
        """By id of a line: what holds at its beginning, and just before its end."""
        wanted = set()
        for place in self.places():
            for parts in place.values.values():
                wanted |= {self.values.get(p.number, -1) for p in parts if isinstance(p, Value)}
        for variable in self.function.debug.function.parameters:  # type: ignore[union-attr]
            for part in variable.incoming:
                if isinstance(part, Value):
                    wanted.add(self.values.get(part.number, -1))
        recorder = _Recorder(
            self.function, self.allocation, self.registers, frozenset(wanted - {-1})
        )
        recorder.record()
        found: dict[int, tuple[Held, Held]] = {}
        for line, block, index, phase in self.emitted.marks:
            states = recorder.before.get((block, index))
            if states is None:
                continue
            first, second, third = states
            if phase == MOVES:
                both = _common(first, second)
                found[id(line)] = both, both
            elif phase == FIRST:
                found[id(line)] = second, _common(second, third)
            elif phase == FURTHER:
                both = _common(second, third)
                found[id(line)] = both, both
            elif phase == BEHIND:
                found[id(line)] = third, third
            else:  # registers get their old values back, and the frame goes
                kept = {
                    register: frozenset(
                        place
                        for place in places
                        if place >= 0 and not self.registers.callee_saved >> place & 1
                    )
                    for register, places in second.items()
                }
                found[id(line)] = kept, kept
        return found

    def places(self) -> set[Place]:
        owner = self.function.debug.function  # type: ignore[union-attr]
        return {
            line.line
            for block in self.emitted.blocks
            for line in block.lines
            if isinstance(line.line, Place) and line.line.owner is owner
        }

    # --- expressions ------------------------------------------------------------------------

    def in_frame(self, offset: int) -> Expression:
        """`offset` from SP in the body."""
        if self.frame.alignment > 16:  # how far the caller's SP is, is not known
            stack_pointer = dwarf.STACK_POINTER[self.machine_name]
            return dwarf.based(self.numbers[stack_pointer], offset)
        return dwarf.framed(offset - self.frame.size)

    def home(self, value: Value) -> Expression | None:
        slot = self.slots.get(value.number)
        return None if slot is None else self.in_frame(self.frame.slots[slot])

    def operand(self, operand: Operand | None, held: Held) -> Expression | None:
        """Where an operand's value is; None for nowhere."""
        if operand is None:
            return None
        if operand.kind == CONSTANT:
            assert isinstance(operand, Constant)
            return _constant(operand)
        if operand.kind == SYMBOL:
            assert isinstance(operand, Symbol)
            return dwarf.computed(dwarf.address(operand.name, operand.offset))
        assert isinstance(operand, Value)
        register = self.values.get(operand.number)
        place = self.chosen(held.get(register, NOWHERE)) if register is not None else None
        if place is None:
            home = self.home(operand)  # the address of a slot is known without a register
            return None if home is None else dwarf.computed(home)
        if place < 0:
            return self.in_frame(self.frame.spills[~place])
        return dwarf.register(self.numbers[place])

    def address_in(self, operand: Operand | None, held: Held) -> Expression | None:
        """The same for an address: an expression that gives it."""
        if isinstance(operand, Symbol):
            return dwarf.address(operand.name, operand.offset)
        if not isinstance(operand, Value):
            return None
        register = self.values.get(operand.number)
        place = self.chosen(held.get(register, NOWHERE)) if register is not None else None
        if place is None:
            return None
        if place < 0:
            return dwarf.followed(self.in_frame(self.frame.spills[~place]))
        return dwarf.based(self.numbers[place], 0)

    def chosen(self, places: frozenset[int]) -> int | None:
        """Memory first, then a register that calls keep: what stays longest."""
        if not places:
            return None
        saved = self.registers.callee_saved
        return min(places, key=lambda p: (p >= 0 and not saved >> p & 1, p))

    def variable(self, variable: DebugVariable, parts: Parts, held: Held) -> Expression | None:
        if not parts:
            assert variable.home is not None
            found = self.home(variable.home)
            if found is None or not variable.content:
                return found
            return _behind(dwarf.followed(found), variable.content)
        if variable.content:
            start = self.address_in(parts[0], held)
            return None if start is None else _behind(start, variable.content)
        found_parts = []
        for part, size in zip(parts, variable.sizes, strict=True):
            found = self.operand(part, held)
            if found is None:
                return None
            found_parts.append((found, size))
        return found_parts[0][0] if len(found_parts) == 1 else dwarf.pieces(found_parts)

    # --- all lines ---------------------------------------------------------------------------

    def run(self) -> FunctionLocations:
        debug = self.function.debug
        assert debug is not None
        owner = debug.function
        result = FunctionLocations(owner, [(0, owner.line, owner.file)])
        states = self.states()
        incoming = {v: v.incoming for v in owner.parameters if len(v.incoming) == len(v.sizes)}
        prologue = {id(line) for line, block, index, _ in self.emitted.marks if not block + index}
        leaving = {id(line) for line, _, _, phase in self.emitted.marks if phase == LEAVING}
        nothing: Held = {}
        before = nothing
        for block in self.emitted.blocks:
            for index, line in enumerate(block.lines):
                known = states.get(id(line))
                if known is None:  # a branch that was turned round: nothing changes before it
                    known = (before, before) if index else (nothing, nothing)
                start, end = line.offset, line.offset + line.size
                at, last = known
                before = last
                if start == end:
                    continue
                place = line.line
                if not isinstance(place, Place):
                    is_entry = id(line) in prologue
                    self.put(result, incoming if is_entry else {}, start, end, at, at)
                    continue
                _add_row(result, start, place)
                if place.inlined_at is not None:
                    _add_inlined(result, place, start, end)
                    continue
                if place.owner is not owner:
                    continue
                scope: Scope | None = place.scope
                while scope is not None:
                    _extend(result.scopes.setdefault(scope, []), start, end)
                    scope = scope.parent
                values = place.values
                if self.frame.alignment > 16 and id(line) in leaving:
                    # Their memory is found from SP, which is on its way.
                    values = {one: parts for one, parts in values.items() if parts}
                ends = last if line.form.control in CALLS else at
                self.put(result, values, start, end, at, ends)
        return result

    def put(
        self,
        result: FunctionLocations,
        values: dict[DebugVariable, Parts],
        start: int,
        end: int,
        at: Held,
        ends: Held,
    ) -> None:
        for variable, parts in values.items():
            first = self.variable(variable, parts, at)
            last = first if ends is at else self.variable(variable, parts, ends)
            if first == last:
                _locate(result, variable, start, end, first)
            else:
                _locate(result, variable, start, end - 1, first)
                _locate(result, variable, end - 1, end, last)


CALLS = frozenset(("call", "indirect_call"))


def _behind(start: Expression, content: tuple[int, ...]) -> Expression:
    found = dwarf.moved(start, content[0])
    for offset in content[1:]:
        found = dwarf.moved(dwarf.followed(found), offset)
    return found


def _constant(operand: Constant) -> Expression:
    value, type_ = operand.value, operand.type
    if isinstance(value, float):
        return dwarf.implicit(struct.pack("<d" if type_.size == 8 else "<f", value))
    if type_.lanes > 1:
        return dwarf.implicit((value & ((1 << 8 * type_.size) - 1)).to_bytes(type_.size, "little"))
    return dwarf.constant(value)


def _locate(
    result: FunctionLocations, variable: DebugVariable, start: int, end: int, at: Expression | None
) -> None:
    if at is None:
        return
    found = result.variables.setdefault(variable, [])
    if found and found[-1].end == start and found[-1].at == at:
        found[-1].end = end
    else:
        found.append(Located(start, end, at))


def _extend(ranges: list[CodeRange], start: int, end: int) -> None:
    if ranges and ranges[-1].end == start:
        ranges[-1].end = end
    else:
        ranges.append(CodeRange(start, end))


def _add_row(result: FunctionLocations, start: int, place: Place) -> None:
    number = line_of(place)
    if not number:
        return
    _, line, file = result.rows[-1]
    if line != number or file != place.owner.file:
        row = (start, number, place.owner.file)
        if result.rows[-1][0] == start:
            result.rows[-1] = row
        else:
            result.rows.append(row)


def _add_inlined(result: FunctionLocations, place: Place, start: int, end: int) -> None:
    """Put the code under each of the calls that it stands in, outermost first."""
    chain: list[Place] = [place]
    while chain[-1].inlined_at is not None:
        chain.append(chain[-1].inlined_at)
    calls = result.inlined
    for call, inner in zip(reversed(chain[1:]), reversed(chain[:-1]), strict=True):
        known = next(
            (
                one
                for one in calls
                if one.function is inner.owner
                and one.call_line == line_of(call)
                and one.call_file == call.owner.file
            ),
            None,
        )
        if known is None:
            scope = call.scope if call.owner is result.function else None
            known = Inlined(inner.owner, call.owner.file, line_of(call), scope)
            calls.append(known)
        _extend(known.ranges, start, end)
        calls = known.inner
    scope = chain[-1].scope if chain[-1].owner is result.function else None
    while scope is not None:
        _extend(result.scopes.setdefault(scope, []), start, end)
        scope = scope.parent


def locate(
    function: MachineFunction,
    allocation: Allocation,
    registers: RegisterFile,
    emitted: EmittedFunction,
    machine_name: str,
) -> FunctionLocations:
    """Of a function that was selected and emitted with debug information."""
    return _Locator(function, allocation, registers, emitted, machine_name).run()
