"""What the back end asks of a target: one record, filled in by `target/<name>/`.

Nothing outside `target/` knows a mnemonic.  `Rule`s drive selection; `CallForms`
let `codegen/calls.py` lower calls without knowing the machine; `Shapes` turns
what allocation decided (moves, spills, frames) into instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from callproof.abi.plan import Convention
from callproof.codegen.machine import (
    Allocation,
    Form,
    FrameReference,
    JumpTable,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    RegisterFile,
    SymbolReference,
)
from callproof.ir.model import Instruction, Operand
from callproof.ir.operations import Operation
from callproof.ir.places import PlaceNumber
from callproof.passes.legalise_vectors import is_missing

if TYPE_CHECKING:
    from callproof.codegen.select import Selector
    from callproof.codegen.unwind import FrameState


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to select an operation.

    `apply` looks at the instruction, and either emits machine instructions and
    returns True, or changes nothing and returns False.  The rules of an operation
    are tried in their order; a test shows that none is unreachable.
    """

    name: str
    operation: Operation
    apply: Callable[[Selector, Instruction], bool]


@dataclass(frozen=True, slots=True)
class CallForms:
    """Forms that `codegen/calls.py` uses; load and store by (class, bytes).

    `load_x87` pushes ten bytes of memory onto the x87 stack, `store_x87` pops them.
    """

    entry: Form
    call: Form
    indirect_call: Form
    return_: Form
    tail_call: Form
    indirect_tail_call: Form
    tail_register: int
    tail_relocation: str
    return_operands: tuple[int, ...]
    call_relocation: str
    stack_pointer: int
    load: dict[tuple[int, int], Form]
    store: dict[tuple[int, int], Form]
    load_x87: Form | None = None
    store_x87: Form | None = None


class Line:
    """One instruction of the output: what is encoded and what is printed, the same object.

    arguments   the form's arguments; a label is a `MachineBlock`, a symbol 0 with
                `reference` set, everything else an integer
    line        as an instruction's (see `ir/places.py`)
    table       of a jump through a table: where it leads
    kept        of a call that shows registers: the variables in them
    offset, size   in bytes; set when it is encoded
    """

    __slots__ = (
        "arguments",
        "comment",
        "form",
        "kept",
        "line",
        "offset",
        "reference",
        "size",
        "table",
    )
    offset: int
    size: int

    def __init__(
        self,
        form: Form,
        arguments: Sequence[int | MachineBlock],
        reference: SymbolReference | None = None,
        comment: str = "",
        line: PlaceNumber = 0,
    ) -> None:
        self.form = form
        self.arguments = arguments
        self.reference = reference
        self.comment = comment
        self.line = line
        self.kept: dict[int, str] | None = None
        self.table: JumpTable | None = None


@dataclass(slots=True)
class Frame:
    """Where everything in a function's frame is; offsets are from SP in the body.

    size          bytes from SP in the body to the incoming SP (a multiple of 16)
    outgoing      bytes of the outgoing argument area at SP
    slots         offset of each `MachineFunction.slots`
    spills        offset of each spill slot
    saved         (register, offset) of each saved callee-saved register
    record        offset of the frame record (saved FP, LR), None without one
    alignment     of SP in the body; where it is more than the incoming SP has, `size` is
                  the distance to the incoming SP only as far as nothing was rounded
    """

    size: int
    outgoing: int
    slots: list[int]
    spills: list[int]
    saved: list[tuple[int, int]]
    record: int | None
    alignment: int = 16

    def offset(self, reference: FrameReference) -> int:
        """The distance from SP that a frame reference means."""
        if reference.kind == "slot":
            return self.slots[reference.index] + reference.offset
        if reference.kind == "spill":
            return self.spills[reference.index] + reference.offset
        if reference.kind == "outgoing":
            return reference.offset
        return self.size + reference.offset  # 'incoming'


class Shapes(Protocol):
    """How a target writes frames, moves and its pseudo instructions."""

    def frame(self, function: MachineFunction, allocation: Allocation) -> Frame: ...

    def prologue(self, frame: Frame) -> list[Line]: ...

    def epilogue(self, frame: Frame) -> list[Line]: ...

    def move(
        self, frame: Frame, source: int, destination: int, register_class: int, size: int
    ) -> list[Line]:
        """Copy between two locations, at most one of them a spill slot."""
        ...

    def instruction(
        self, frame: Frame, instruction: MachineInstruction, allocation: Sequence[int]
    ) -> list[Line]:
        """The instruction with its registers filled in; pseudo instructions expanded."""
        ...

    def line(self, instruction: MachineInstruction, allocation: Sequence[int]) -> Line | None:
        """The only line of an instruction that stands as it is, with its place in the source;
        None for any other: see `instruction`."""
        ...

    def poison(self, keep: int) -> list[Line]:
        """Overwrite what a call may change, except the registers in the mask `keep`."""
        ...

    def improve(self, lines: list[Line]) -> list[Line]:
        """A block's lines, or others with the same effect."""
        ...

    def jump(self, block: MachineBlock) -> Line: ...

    def invert(self, branch: Line) -> Line:
        """The same branch taken in the opposite case, without its label's meaning changed."""
        ...

    def reach(self, branch: Line) -> int:
        """How many bytes a branch reaches to either side."""
        ...

    def lengthen(self, branch: Line, distance: int) -> bool:
        """Whether the branch or jump became a longer one, as it has to for that distance."""
        ...


@dataclass(frozen=True, slots=True)
class Unwinding:
    """How frames are described to debuggers (`unwind.py`): the registers SP and FP; how far
    the CFA is from which register as a function begins, and what is saved by then; the
    registers that it preserves; the return address's; what an instruction does."""

    stack: int
    frame: int
    distances: dict[int, int]
    saved: dict[int, int]
    preserved: int
    return_address: int
    step: Callable[[Line, FrameState], bool]


@dataclass(frozen=True, slots=True)
class Assembly:
    """How listings are written: what begins a comment, the directive for eight bytes, the
    alignment of functions as a power of two, and a place in the argument area."""

    comment: str = "//"
    word: str = ".xword"
    align: int = 2
    stack: str = "[sp, #{}]"


@dataclass(frozen=True, slots=True)
class Target:
    """`vector_rules` are for what works on vectors; `lacks` says of which vector
    operations they do nothing, so that these are done lane by lane; `splits_pairs`: vectors
    of two lanes that are mostly used lane by lane are better two scalars.
    `use` gives an operand's register, making constants and addresses; `use_stored`
    the same for a value that is only stored (the zero register will do for 0).
    Constants in memory have symbols made of `pool_prefix` and their bytes in hexadecimal.
    `register_name(register, class, bytes)` is the assembly name.
    `address_relocation` is an address in data, `distance_relocation` 32 bits from there;
    `instruction_size` in bytes, where all have one, else 0;
    `largest_stack_alignment` what SP can be aligned to at calls; `compact_unwind` Darwin's
    description of a frame."""

    name: str
    machine: str
    convention: Convention
    registers: RegisterFile
    rules: dict[Operation, tuple[Rule, ...]]
    calls: CallForms
    shapes: Shapes
    scratch_general: tuple[int, ...]
    scratch_float: tuple[int, ...]
    register_name: Callable[[int, int, int], str]
    use: Callable[[Selector, Operand], int]
    use_stored: Callable[[Selector, Operand], int]
    pool_prefix: str
    vector_rules: dict[Operation, tuple[Rule, ...]] = field(default_factory=dict)
    lacks: Callable[[Instruction], bool] = is_missing
    splits_pairs: bool = False
    address_relocation: str = "R_AARCH64_ABS64"
    distance_relocation: str = "R_AARCH64_PREL32"
    code_alignment: int = 4
    instruction_size: int = 0
    largest_stack_alignment: int = 16
    assembly: Assembly = Assembly()
    unwinding: Unwinding | None = None
    compact_unwind: Callable[[Frame], int] | None = None
