"""A function's code with what its registers hold at each instruction, for reports.

The states are those of the flow that has run: nothing is guessed again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callproof.check.blocks import Block, instruction_at
from callproof.check.evidence import Evidence, disassemble
from callproof.check.finding import Finding, register_name
from callproof.check.state import STACK, State, is_entry
from callproof.target.arm64 import effects as e

if TYPE_CHECKING:
    from callproof.check.flow import Flow

MOST_LINES = 600  # of one function; of a longer one, what is near the steps of its findings
AROUND = 12
MOST_REGISTERS = 12
HOLDS = {
    "e": "the value that it had when the function was entered",
    "v": "a value of the function's own",
    "x": "what a call left in it",
    "?": "nothing that could be followed",
}
MARKS = {"w": "written", "r": "read", "b": "read and written", "c": "changed by this call"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One register at one instruction: what it `holds` after it (a key of HOLDS) and what
    the instruction does to it (`mark`, a key of MARKS or empty)."""

    holds: str
    mark: str = ""


@dataclass(slots=True)
class Line:
    """An instruction; `cells` in the order of the listing's registers.  `gap`: instructions
    before it are left out."""

    address: int
    text: str
    cells: list[Cell]
    gap: bool = False


@dataclass(slots=True)
class Listing:
    """The code that a function's findings are about."""

    function: str
    registers: list[str]
    lines: list[Line]
    findings: list[Finding] = field(default_factory=list)


def make_listing(flow: Flow, findings: list[Finding]) -> Listing:
    """The function of a flow that has run, with the lifelines of the findings' registers."""
    bits = _registers(flow, findings)
    steps = {step.address for finding in findings for step in finding.steps}
    steps |= {finding.address for finding in findings}
    rows: dict[int, list[Cell]] = {}
    for block in sorted(flow.blocks.values(), key=lambda block: block.start):
        if block.start in flow.inputs:
            _block(flow, block, bits, rows)
    shown = sorted(rows)
    if len(shown) > MOST_LINES:
        places = {address: index for index, address in enumerate(shown)}
        near: set[int] = set()
        for address in steps:
            if address in places:
                first = max(places[address] - AROUND, 0)
                near.update(shown[first : places[address] + AROUND + 1])
        shown = sorted(near)
    lines = []
    before = shown[0] - 4 if shown else 0
    for address in shown:
        text = disassemble(flow, address)
        lines.append(Line(address, text, rows[address], gap=address != before + 4))
        before = address
    return Listing(flow.function.name, [register_name(bit) for bit in bits], lines, findings)


def _registers(flow: Flow, findings: list[Finding]) -> list[int]:
    """Those of the findings, and those that their steps read and write."""
    names = {register_name(bit): bit for bit in range(e.REGISTERS)}
    bits = [names[name] for finding in findings for name in finding.registers if name in names]
    for finding in findings:
        for step in finding.steps:
            effect = instruction_at(flow.code, step.address)
            if effect.kind < e.FIRST_CONTROL:
                mask = (effect.reads | effect.writes) & (1 << e.HIGH) - 1
                bits += [bit for bit in range(e.HIGH) if mask >> bit & 1]
    return sorted(dict.fromkeys(bits[: 4 * MOST_REGISTERS]))[:MOST_REGISTERS]


def _holds(state: State, bit: int) -> str:
    value = state.values[bit]
    if value < 0:
        return "x"
    if is_entry(value):
        return "e" if value == bit + 1 else "v"
    if bit == e.SP_BIT and value == STACK:
        return "e"
    return "v"


def _block(flow: Flow, block: Block, bits: list[int], rows: dict[int, list[Cell]]) -> None:
    """The rows of a block: its operations are gone through once more, one at a time."""
    state = flow.inputs[block.start].copy()
    events, unexplored = dict(flow.events), dict(flow.unexplored)
    flow.pending, flow.current = [], block.start
    ends = [operation[1] for operation in block.operations[1:]] + [block.end]
    evidence = Evidence(flow)
    for operation, end in zip(block.operations, ends, strict=True):
        holds = [_holds(state, bit) for bit in bits]
        flow.go_through(state, [operation])
        for address in range(operation[1], end, 4):
            effect = instruction_at(flow.code, address)
            is_call = effect.kind in (e.CALL, e.CALL_REGISTER)
            last = address + 4 == end
            row = []
            for place, bit in enumerate(bits):
                reads, writes = effect.reads >> bit & 1, evidence.writes(effect, address, bit)
                if last:
                    holds[place] = _holds(state, bit)
                elif writes:
                    holds[place] = "v"
                mark = "c" if is_call and writes else " rwb"[reads + 2 * writes].strip()
                row.append(Cell(holds[place], mark))
            rows[address] = row
    flow.events, flow.unexplored = events, unexplored
