"""Runs a program in the emulator and compares what debuggers would see with the truth."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unicorn import UC_HOOK_CODE

from callproof.object.dwarf_expressions import REGISTERS
from callproof.run.emulator import Emulator
from callproof.run.limits import Limits
from callproof.run.loader import load
from callproof.run.process import OpenFile
from tests.debug.dwarf import (
    PRESERVED,
    STACK_POINTER,
    Frame,
    Function,
    Information,
    Wrong,
    number_of,
    size_of,
)
from tests.debug.programs import Active, Truth

TICKS = {"bcpl": "bcpl_writen", "sox": "sox_print"}


@dataclass(slots=True)
class Seen:
    """Counts: variables that had to be visible at ticks, and those that had values; frames
    and variables at all other instructions.  `wrong`: what was not as it is in truth."""

    visible: int = 0
    located: int = 0
    frames: int = 0
    elsewhere: int = 0
    unwound: int = 0
    wrong: list[str] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)

    def fail(self, text: str) -> None:
        if len(self.wrong) < 20:
            self.wrong.append(text)


@dataclass(slots=True)
class Entered:
    """A function as it was entered: its CFA, where it returns to, its caller's registers."""

    start: int
    cfa: int
    back: int
    preserved: dict[int, int]


class Watcher:
    """Listens to each instruction of the program's own functions, and to ticks."""

    def __init__(
        self, path: Path, language: str, truth: Truth, functions: frozenset[str], every: int
    ) -> None:
        data = path.read_bytes()
        self.information = Information(data)
        self.truth = truth
        self.functions = functions
        self.every = every
        self.seen = Seen()
        self.count = 0
        self.ticks = 0
        self.entered: list[Entered] = []
        self.tick = self.information.symbol(TICKS[language])
        image = load(data, path.name, any_machine=True)
        self.output = io.BytesIO()
        files = {1: OpenFile(stream=self.output)}
        self.emulator = Emulator(
            image, [], {}, files=files, name=path.name, limits=Limits(), notes=io.StringIO()
        )
        machine = self.emulator.machine
        table = REGISTERS["aarch64" if self.information.machine == "AArch64" else "x86_64"]
        self.numbers = {
            dwarf: machine.numbers[ours] for ours, dwarf in table.items() if ours in machine.numbers
        }
        uc: Any = self.emulator.uc
        own = [one for one in self.information.functions if one.name in functions]
        start, end = min(one.start for one in own), max(one.end for one in own)
        uc.hook_add(UC_HOOK_CODE, self.at_instruction, None, start, end - 1)
        uc.hook_add(UC_HOOK_CODE, self.at_tick, None, self.tick, self.tick)

    def registers(self) -> dict[int, int]:
        uc: Any = self.emulator.uc
        return {
            dwarf: int(uc.reg_read(number)) & (1 << 64) - 1
            for dwarf, number in self.numbers.items()
        }

    def memory(self, address: int, size: int) -> bytes:
        uc: Any = self.emulator.uc
        return bytes(uc.mem_read(address, size))

    # --- at ticks ---------------------------------------------------------------------------

    def at_tick(self, _uc: Any, _address: int, _size: int, _data: object) -> None:
        index, self.ticks = self.ticks, self.ticks + 1
        if index >= len(self.truth.ticks):
            return  # the result, printed at the end
        try:
            self.walk(index, self.truth.ticks[index])
        except Wrong as wrong:
            self.seen.fail(f"tick {index}: {wrong}")

    def walk(self, index: int, active: list[Active]) -> None:
        information = self.information
        registers = self.registers()
        # The runtime's function has just been entered: its return address and SP are known.
        if information.machine == "AArch64":
            back, stack = registers[30], registers[31]
        else:
            stack = registers[7]
            back = int.from_bytes(self.memory(stack, 8), "little")
            stack += 8
        kept = PRESERVED[information.machine]
        frame = Frame(back, {one: value for one, value in registers.items() if one in kept})
        frame.registers[STACK_POINTER[information.machine]] = stack
        position = 0
        while position < len(active):
            at = frame.pc - 1
            function = information.function(at)
            if function is None or function.name not in self.functions:
                raise Wrong(f"frame {position} at {at:#x} is in no function of the program")
            position += self.inlined(function, at, active, position)
            expected = active[position]
            if function.name != expected.function:
                raise Wrong(f"frame {position} is of {function.name}, not {expected.function}")
            line = information.line(at)
            if line != expected.line:
                raise Wrong(f"frame {position} is at line {line}, not {expected.line}")
            self.seen.frames += 1
            self.compare(index, function, frame, at, expected)
            frame = information.caller(frame, self.memory, at)
            position += 1

    def inlined(self, function: Function, at: int, active: list[Active], position: int) -> int:
        """How many functions stand inlined here; they must be those that are under way."""
        here = [
            one
            for one in sorted(function.inlined, key=lambda i: -i.depth)
            if any(start <= at < end for start, end in one.ranges)
        ]
        for number, one in enumerate(here):
            if one.name != active[position + number].function:
                raise Wrong(f"{one.name} stands inlined for {active[position + number].function}")
            if one.call_line != active[position + number + 1].line:
                raise Wrong(f"{one.name} is called at line {one.call_line}")
        return len(here)

    def compare(
        self, index: int, function: Function, frame: Frame, at: int, expected: Active
    ) -> None:
        visible = function.visible(at)
        for name, truth in expected.values.items():
            self.seen.visible += 1
            variable = visible.get(name)
            if variable is None:
                self.seen.why["no entry"] += 1
                continue
            expression = variable.expression(at)
            if expression is None:
                self.seen.why["no location"] += 1
                continue
            size = size_of(variable.type)
            data = self.information.value(expression, frame, self.memory, at, size)
            found = number_of(variable.type, data)
            self.seen.located += 1
            if found != truth:
                self.seen.fail(
                    f"tick {index}, {expected.function} line {expected.line}, at {at:#x}: "
                    f"{name} is {truth}, shown as {found}"
                )
        for name, variable in visible.items():
            if name not in expected.values and variable.expression(at) is not None:
                self.seen.fail(f"{name} is shown at {at:#x}, where it is not declared")

    # --- frames at every instruction --------------------------------------------------------

    def unwound(self, pc: int) -> None:
        """The frame description of each instruction gives back what was there at the entry."""
        information = self.information
        function = information.function(pc)
        if function is None:
            return
        is_arm = information.machine == "AArch64"
        registers = self.registers()
        stack = registers[STACK_POINTER[information.machine]]
        while self.entered and pc == self.entered[-1].back and stack == self.entered[-1].cfa:
            self.entered.pop()
        if pc == function.start and not (self.entered and self.entered[-1].cfa == stack):
            back = registers[30] if is_arm else int.from_bytes(self.memory(stack, 8), "little")
            kept = {one: registers[one] for one in PRESERVED[information.machine]}
            cfa = stack if is_arm else stack + 8
            kept[STACK_POINTER[information.machine]] = cfa
            self.entered.append(Entered(function.start, cfa, back, kept))
        if not self.entered or self.entered[-1].start != function.start:
            return
        truth = self.entered[-1]
        try:
            caller = information.caller(Frame(pc, registers), self.memory, pc)
        except Wrong as wrong:
            self.seen.fail(f"at {pc:#x}: {wrong}")
            return
        self.seen.unwound += 1
        if caller.pc != truth.back:
            self.seen.fail(f"at {pc:#x}: it returns to {truth.back:#x}, not {caller.pc:#x}")
        for number, value in truth.preserved.items():
            if caller.registers.get(number, value) != value:
                self.seen.fail(f"at {pc:#x}: register {number} of the caller is wrong")
            if number not in caller.registers:
                self.seen.fail(f"at {pc:#x}: register {number} of the caller is lost")

    # --- elsewhere --------------------------------------------------------------------------

    def at_instruction(self, _uc: Any, address: int, _size: int, _data: object) -> None:
        self.count += 1
        self.unwound(address)
        if self.count % self.every or self.ticks >= len(self.truth.seen):
            return
        function = self.information.function(address)
        if function is None or function.name not in self.functions:
            return
        if any(s <= address < e for one in function.inlined for s, e in one.ranges):
            return
        line = self.information.line(address)
        frame: Frame | None = None
        for name, variable in function.visible(address).items():
            expression = variable.expression(address)
            if expression is None:
                continue
            possible: set[int] = set()
            for truth in self.truth.seen[max(0, self.ticks - 1) : self.ticks + 2]:
                possible |= truth.get((function.name, line, name), set())
            if [one.op_name for one in expression] == ["DW_OP_fbreg"]:
                # In memory it is what it is now, also where an instruction of the line
                # was moved away from it, out of a loop.
                for (_, _, variable_name), values in self.truth.seen[self.ticks].items():
                    possible |= values if variable_name == name else set()
            if not possible:
                continue  # the function's first line, say, which is no statement's
            frame = frame or Frame(address, self.registers())
            size = size_of(variable.type)
            try:
                data = self.information.value(expression, frame, self.memory, address, size)
                found = number_of(variable.type, data)
            except Wrong as wrong:
                self.seen.fail(f"{name} at {address:#x}: {wrong}")
                continue
            self.seen.elsewhere += 1
            if found not in possible:
                self.seen.fail(
                    f"tick {self.ticks}, {function.name} line {line}, at {address:#x}: "
                    f"{name} is one of {sorted(possible)[:8]}, shown as {found}"
                )


def watch(
    path: Path, language: str, truth: Truth, functions: frozenset[str], every: int = 1
) -> Seen:
    """Run the program at `path`; look at each instruction, or at one of `every`."""
    watcher = Watcher(path, language, truth, functions, every)
    outcome = watcher.emulator.run()
    if outcome.exit_status or outcome.signal:
        watcher.seen.fail(f"the program ended with {outcome}")
    if watcher.ticks != len(truth.ticks) + 1:
        watcher.seen.fail(f"{watcher.ticks} ticks, not {len(truth.ticks) + 1}")
    return watcher.seen
