"""The unit of a module that was compiled with debug information: functions, variables,
blocks, inlined calls and globals as debugging information entries."""

from __future__ import annotations

from dataclasses import dataclass, field

from callproof.codegen.locate import CodeRange, FunctionLocations, Inlined
from callproof.ir.debug import DebugFunction, DebugModule, DebugVariable, Scope
from callproof.object import dwarf_expressions as expressions
from callproof.object.dwarf_entries import (
    LINES,
    LOCATIONS,
    RANGES,
    Entry,
    ListSection,
    Relocations,
    unit_sections,
)
from callproof.object.dwarf_types import AT_NAME, AT_TYPE, Types
from callproof.object.model import Section, Symbol

TAG_PARAMETER, TAG_BLOCK, TAG_UNIT, TAG_INLINED = 0x05, 0x0B, 0x11, 0x1D
TAG_SUBPROGRAM, TAG_VARIABLE = 0x2E, 0x34
AT_LOCATION, AT_STMT_LIST, AT_LOW_PC, AT_HIGH_PC, AT_LANGUAGE = 0x02, 0x10, 0x11, 0x12, 0x13
AT_COMP_DIR, AT_INLINE, AT_PRODUCER, AT_PROTOTYPED, AT_ORIGIN = 0x1B, 0x20, 0x25, 0x27, 0x31
AT_DECL_FILE, AT_DECL_LINE, AT_EXTERNAL, AT_FRAME_BASE = 0x3A, 0x3B, 0x3F, 0x40
AT_RANGES, AT_CALL_FILE, AT_CALL_LINE = 0x55, 0x58, 0x59
AT_OBJECT_POINTER = 0x64
DW_INL_INLINED = 1
# What debuggers know to evaluate expressions in: C++ for objects with fields and `this`, C.
LANGUAGES = {"bcpl": 0x1A, "sox": 0x1D}


@dataclass(slots=True)
class DescribedFunction:
    """A function's code; without `locations` it is none of the source's, and only named."""

    symbol: Symbol
    name: str
    size: int
    locations: FunctionLocations | None


@dataclass(slots=True)
class Description:
    """A unit: its source and the folder it was compiled in, and what is in it."""

    name: str
    folder: str
    module: DebugModule
    functions: list[DescribedFunction] = field(default_factory=list)


class _Unit:
    def __init__(self, given: Description, files: list[str], machine: Relocations) -> None:
        self.given = given
        self.files = files
        self.machine = machine
        self.locations = ListSection(LOCATIONS, machine)
        self.ranges = ListSection(RANGES, machine)
        self.entry = Entry(TAG_UNIT)
        self.types = Types(self.entry)
        self.abstract: dict[DebugFunction, Entry] = {}

    def sections(self) -> list[Section]:
        given, entry = self.given, self.entry
        entry.name(AT_PRODUCER, "callproof")
        entry.number(AT_LANGUAGE, LANGUAGES[given.module.language])
        entry.name(AT_NAME, given.name)
        entry.name(AT_COMP_DIR, given.folder)
        entry.elsewhere(AT_STMT_LIST, LINES, 0)
        rows = [(one.symbol, one.size) for one in given.functions]
        entry.elsewhere(AT_RANGES, RANGES, self.ranges.functions(rows))
        for function in given.functions:
            self.function(function)
        for one in given.module.globals:
            found = entry.child(TAG_VARIABLE)
            found.name(AT_NAME, one.name)
            found.refer(AT_TYPE, self.types.entry(one.type))
            self.declared(found, one.file, one.line)
            found.flag(AT_EXTERNAL)
            where = expressions.address(one.symbol, one.offset)
            found.expression(AT_LOCATION, where)
        return [
            *unit_sections(entry, self.machine),
            self.locations.section(),
            self.ranges.section(),
        ]

    def declared(self, entry: Entry, file: str, line: int) -> None:
        if file in self.files and line:
            entry.number(AT_DECL_FILE, self.files.index(file))
            entry.number(AT_DECL_LINE, line)

    def function(self, function: DescribedFunction) -> None:
        entry = self.entry.child(TAG_SUBPROGRAM)
        entry.name(AT_NAME, function.name)
        entry.address(AT_LOW_PC, function.symbol)
        entry.size(AT_HIGH_PC, function.size)
        entry.expression(AT_FRAME_BASE, expressions.FRAME_BASE)
        known = function.locations
        if known is None:
            return
        if function.symbol.binding == "global":
            entry.flag(AT_EXTERNAL)
        entry.flag(AT_PROTOTYPED)
        self.declared(entry, known.function.file, known.function.line)
        if known.function.result is not None:
            entry.refer(AT_TYPE, self.types.entry(known.function.result))
        for one in self.contents(entry, function, known):
            entry.refer(AT_OBJECT_POINTER, one)

    def contents(
        self, entry: Entry, function: DescribedFunction, known: FunctionLocations | Inlined
    ) -> list[Entry]:
        """Parameters, blocks and inlined calls of a function, or of one that stands inlined;
        gives its `this`, if it has one."""
        this = []
        for variable in known.function.parameters:
            one = self.variable(TAG_PARAMETER, variable, function, known)
            entry.children.append(one)
            if variable.name == "this":
                this.append(one)
        self.scope(entry, function, known)
        return this

    def scope(
        self, entry: Entry, function: DescribedFunction, known: FunctionLocations | Inlined
    ) -> None:
        """A block's variables, and the blocks in it; those without any are not worth an entry."""
        inner: dict[Scope, list[Scope]] = {}
        for one in known.scopes:
            if one.parent is not None:
                inner.setdefault(one.parent, []).append(one)
        calls: dict[Scope, list[Inlined]] = {}
        for call in known.inlined:
            calls.setdefault(call.scope, []).append(call)
        outermost = known.function.scope
        pending = [(entry, outermost)]
        while pending:
            parent, current = pending.pop()
            variables = [one for one in current.variables if not one.is_parameter]
            if variables and current is not outermost:
                ranges = known.scopes.get(current)
                if not ranges:
                    continue
                parent = parent.child(TAG_BLOCK)
                self.extent(parent, function.symbol, ranges)
            for variable in variables:
                parent.children.append(self.variable(TAG_VARIABLE, variable, function, known))
            for call in calls.get(current, ()):
                self.inlined(parent, call, function)
            pending += [(parent, one) for one in inner.get(current, ())]

    def extent(self, entry: Entry, symbol: Symbol, ranges: list[CodeRange]) -> None:
        rows = [(one.start, one.end) for one in ranges]
        entry.elsewhere(AT_RANGES, RANGES, self.ranges.ranges(symbol, rows))

    def variable(
        self,
        tag: int,
        variable: DebugVariable,
        function: DescribedFunction,
        known: FunctionLocations | Inlined,
    ) -> Entry:
        """Without a location where it is nowhere: debuggers say that it is optimised out.

        So is a function as a value if calls of it were replaced and nothing else is left of it.
        """
        entry = Entry(tag)
        entry.name(AT_NAME, variable.name)
        entry.refer(AT_TYPE, self.types.entry(variable.type))
        self.declared(entry, known.function.file, variable.line)
        found = known.variables.get(variable)
        if found:
            symbols = self.locations.machine.symbols
            rows = [
                (one.start, one.end, one.at)
                for one in found
                if all(name in symbols for _, name, _ in one.at.addresses)
            ]
            entry.elsewhere(AT_LOCATION, LOCATIONS, self.locations.locations(function.symbol, rows))
        return entry

    def inlined(self, parent: Entry, call: Inlined, function: DescribedFunction) -> None:
        entry = parent.child(TAG_INLINED)
        entry.refer(AT_ORIGIN, self.abstract_function(call.function))
        self.extent(entry, function.symbol, call.ranges)
        if call.call_file in self.files:
            entry.number(AT_CALL_FILE, self.files.index(call.call_file))
        entry.number(AT_CALL_LINE, call.call_line)
        self.contents(entry, function, call)

    def abstract_function(self, function: DebugFunction) -> Entry:
        found = self.abstract.get(function)
        if found is None:
            found = self.abstract[function] = self.entry.child(TAG_SUBPROGRAM)
            found.name(AT_NAME, function.name)
            self.declared(found, function.file, function.line)
            found.number(AT_INLINE, DW_INL_INLINED)
            if function.result is not None:
                found.refer(AT_TYPE, self.types.entry(function.result))
        return found


def info_sections(given: Description, files: list[str], machine: Relocations) -> list[Section]:
    """`files`: those of the line table, in its order."""
    return _Unit(given, files, machine).sections()
