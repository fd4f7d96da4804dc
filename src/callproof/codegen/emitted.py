"""What `emit.py` makes of a function: blocks of lines, bytes, and what objects are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callproof.codegen.machine import MachineBlock
from callproof.codegen.marks import Mark
from callproof.codegen.target import Frame, Line
from callproof.ir.places import Site

if TYPE_CHECKING:
    from callproof.codegen.locate import FunctionLocations


@dataclass(slots=True)
class EmittedBlock:
    """`branches`: those of the lines that lead to a label, in order; `offset` in bytes from
    the function's start; `labelled` if a branch leads here; `size` in bytes, where
    instructions have several sizes.
    """

    block: MachineBlock
    lines: list[Line]
    branches: list[Line]
    offset: int = 0
    labelled: bool = False
    size: int = 0


@dataclass(slots=True)
class CodeRelocation:
    """As in `object.model.Relocation`, with the symbol still a name."""

    offset: int
    type: str
    symbol: str
    addend: int


@dataclass(slots=True)
class EmittedCall:
    """A call that comes back: the byte offset that it returns to, its place in the source
    and, of one that shows registers, the variables in them."""

    returns: int
    place: int
    kept: dict[int, str] | None = None


@dataclass(slots=True)
class EmittedFunction:
    """A function's code; `line_rows` are (byte offset, place), `sites` what places mean
    that were inlined (see `ir/places.py`), `tables` the jump tables' symbols and entries,
    `calls` all calls in order of their addresses.

    `blocks` is empty once `forget` was called: objects are made without it, listings and
    debug information are not.

    With debug information: `marks`, each line with its block, instruction and phase;
    `blurred`, ids of lines at which what is in registers is not known; and `locations`,
    where variables are.
    """

    name: str
    display_name: str
    blocks: list[EmittedBlock]
    frame: Frame
    code: bytes = b""
    relocations: list[CodeRelocation] = field(default_factory=list)
    line_rows: list[tuple[int, int]] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    tables: list[tuple[str, list[EmittedBlock]]] = field(default_factory=list)
    calls: list[EmittedCall] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    blurred: set[int] = field(default_factory=set)
    locations: FunctionLocations | None = None

    def forget(self) -> None:
        """Let go of blocks and lines: no listing and no debug information is wanted.

        Blocks and their instructions refer to each other in circles; these are cut, so that
        the memory is free at once.
        """
        for emitted in self.blocks:
            emitted.lines = []
            emitted.branches = []
            emitted.block.instructions = []
            emitted.block.successors = []
        self.blocks = []
        self.marks = []
