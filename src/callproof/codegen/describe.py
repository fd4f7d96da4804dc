"""The debug sections of a module that was compiled with debug information."""

from __future__ import annotations

from pathlib import Path

from callproof.codegen.emit import EmittedFunction
from callproof.codegen.target import Target
from callproof.codegen.unwind import unwind_rows
from callproof.ir.debug import DebugModule
from callproof.object.dwarf import MACHINES, FunctionLines, line_files, line_section
from callproof.object.dwarf_entries import Relocations
from callproof.object.dwarf_expressions import REGISTERS
from callproof.object.dwarf_frames import (
    FrameFacts,
    FrameRow,
    FunctionFrame,
    frame_section,
    loaded_section,
)
from callproof.object.dwarf_info import DescribedFunction, Description, info_sections
from callproof.object.model import Section, Symbol
from callproof.source import InternalError

# DWARF's numbers of what is no register of ours: x86-64's return address.
RETURN_ADDRESSES = {"x86_64": {64: 16}}


def described_sections(
    module: DebugModule,
    functions: list[EmittedFunction],
    lines: list[FunctionLines],
    symbols: dict[str, Symbol],
    target: Target,
) -> list[Section]:
    """Lines, entries, lists and frames; `lines` are in the functions' order."""
    machine = MACHINES[target.machine]
    unit = lines[0].file if lines else "none"
    folder = str(Path.cwd())
    description = Description(unit, folder, module)
    for emitted, table in zip(functions, lines, strict=True):
        known = emitted.locations
        if known is not None:
            table.rows = [(offset, line) for offset, line, _ in known.rows]
            table.files = [file for _, _, file in known.rows]
        description.functions.append(DescribedFunction(table.symbol, table.name, table.size, known))
    relocations = Relocations(machine.address, machine.offset, symbols)
    files = line_files(unit, lines)
    return [
        line_section(unit, lines, machine, folder),
        *info_sections(description, files, relocations),
        *frames(functions, symbols, target),
    ]


def frames(
    functions: list[EmittedFunction], symbols: dict[str, Symbol], target: Target
) -> list[Section]:
    """`.debug_frame` and `.eh_frame` with an entry for every function."""
    machine, unwinding = MACHINES[target.machine], target.unwinding
    if unwinding is None:
        raise InternalError(f"{target.name} has no frame steps")
    numbers = REGISTERS[target.machine] | RETURN_ADDRESSES.get(target.machine, {})

    def numbered(saved: dict[int, int]) -> tuple[tuple[int, int], ...]:
        return tuple(sorted((numbers[one], at) for one, at in saved.items()))

    (first, distance), *_ = unwinding.distances.items()
    entry = FrameRow(0, numbers[first], distance, numbered(unwinding.saved))
    found = []
    for emitted in functions:
        rows = [
            FrameRow(
                row.offset,
                numbers[row.base],
                row.distance,
                numbered(row.saved),
                frozenset(numbers[one] for one in row.lost),
            )
            for row in unwind_rows(emitted, target)
        ]
        found.append(FunctionFrame(symbols[emitted.name], len(emitted.code), rows))
    facts = FrameFacts(
        entry,
        numbers[unwinding.return_address],
        machine.unit,
        machine.address,
        machine.offset,
        machine.relative,
    )
    described = [frame_section(found, facts)]
    if target.compact_unwind is None:  # else unwinders have that
        described.append(loaded_section(found, facts))
    return described
