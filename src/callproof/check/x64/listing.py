"""A function's code with what its registers hold, for the HTML report (see `check/listing.py`)."""

from __future__ import annotations

from callproof.abi.sysv64 import RSP
from callproof.check.finding import Finding
from callproof.check.listing import AROUND, MOST_LINES, MOST_REGISTERS, Cell, Line, Listing
from callproof.check.x64.code import Instruction
from callproof.check.x64.findings import CALLS, disassemble, writes
from callproof.check.x64.flow import Flow
from callproof.check.x64.state import State
from callproof.check.x64.values import COUNT, ENTRY, name_of, stack


def make_listing(flow: Flow, findings: list[Finding]) -> Listing:
    """The function of a flow that has run, with the registers of the findings and their steps."""
    registers = _registers(flow, findings)
    rows: dict[int, list[Cell]] = {}
    flow.told = False  # the events are known
    for start in flow.inputs:
        state = flow.inputs[start].copy()
        for instruction in flow.function.blocks[start]:
            flow.step(state, instruction)
            rows[instruction.address] = [_cell(state, instruction, r) for r in registers]
    shown = sorted(rows)
    if len(shown) > MOST_LINES:
        steps = {step.address for finding in findings for step in finding.steps}
        near: set[int] = set()
        for index, address in enumerate(shown):
            if address in steps:
                near.update(shown[max(index - AROUND, 0) : index + AROUND + 1])
        shown = sorted(near)
    lines = []
    expected = shown[0] if shown else 0
    for address in shown:
        instruction = flow.function.instructions[address]
        text = disassemble(flow, instruction)
        lines.append(Line(address, text, rows[address], gap=address != expected))
        expected = instruction.end
    names = [name_of(register) for register in registers]
    return Listing(flow.function.name, names, lines, findings)


def _registers(flow: Flow, findings: list[Finding]) -> list[int]:
    numbers = {name_of(register): register for register in (*range(16), *range(32, COUNT))}
    found = [numbers[name] for finding in findings for name in finding.registers]
    for finding in findings:
        for step in finding.steps:
            instruction = flow.function.instructions.get(step.address)
            if instruction is not None:
                found += [*instruction.effect.reads, *instruction.effect.writes]
    return sorted(dict.fromkeys(found))[:MOST_REGISTERS]


def _cell(state: State, instruction: Instruction, register: int) -> Cell:
    value = state.values[register]
    at_entry = value == ENTRY[register] or (register == RSP and value == stack(0, 0))
    holds = "x" if value.is_left else "e" if at_entry else "v"
    effect = instruction.effect
    written = writes(instruction, register)
    if written and instruction.form.control in CALLS:
        return Cell(holds, "c")
    read = register in effect.reads or register in effect.address
    return Cell(holds, " rwb"[read + 2 * written].strip())
