"""Which variables are in which preserved registers while certain functions are called.

For a debugger inside the program: NewBCPL's BRK shows registers with the variables in
them.  What a register holds is worked out by the dataflow of `allocation_check`, from
the allocation alone; that the variable is still wanted behind the call, by `liveness`.
"""

from __future__ import annotations

from callproof.codegen.allocation_check import _Checker, _State
from callproof.codegen.liveness import Ranges
from callproof.codegen.machine import (
    FIRST_VIRTUAL,
    Allocation,
    MachineFunction,
    MachineInstruction,
    RegisterFile,
    SymbolReference,
)


def calls_of(function: MachineFunction, names: frozenset[str]) -> list[MachineInstruction]:
    """The calls of the functions with these names."""
    return [
        instruction
        for block in function.blocks
        for instruction in block.instructions
        if instruction.is_call
        and any(
            isinstance(one, SymbolReference) and one.name in names for one in instruction.immediates
        )
    ]


def record_kept(
    function: MachineFunction,
    allocation: Allocation,
    registers: RegisterFile,
    names: frozenset[str],
) -> None:
    """Fill in `allocation.kept` for the calls of `names`."""
    calls = calls_of(function, names)
    if calls:
        _Recorder(function, allocation, registers, calls).run()


class _Recorder(_Checker):
    """The checker, which besides looks at the state behind some calls."""

    __slots__ = ("live",)

    def __init__(
        self,
        function: MachineFunction,
        allocation: Allocation,
        registers: RegisterFile,
        calls: list[MachineInstruction],
    ) -> None:
        super().__init__(function, allocation, registers)
        wanted = {id(call) for call in calls}
        ranges = Ranges(function)
        self.live: dict[int, frozenset[int]] = {}
        for block in function.blocks:
            for index, instruction in enumerate(block.instructions):
                if id(instruction) in wanted:
                    behind = 4 * (ranges.starts[block.index] + index + 1) + 2
                    self.live[id(instruction)] = frozenset(
                        register
                        for register, pieces in ranges.ranges.items()
                        if any(start <= behind < end - 1 for start, end in pieces)
                    )

    def instruction(self, instruction: MachineInstruction, state: _State) -> None:
        super().instruction(instruction, state)
        live = self.live.get(id(instruction))
        if live is None:
            return
        # The last visit of a block is the one with what holds on all ways to it.
        kept: dict[int, str] = {}
        for place, values in state.held.items():
            names = {self.function.names[value - FIRST_VIRTUAL] for value in values & live}
            names.discard("")
            if place >= 0 and names:
                kept[place] = ", ".join(sorted(names))
        self.allocation.kept[id(instruction)] = kept
