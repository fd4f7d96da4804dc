"""Machine code before and after register allocation, for any target.

This is the contract between selection, the allocator, the allocation checker,
frames, emission and the listing; it is all that the allocator knows.

Registers are plain integers everywhere:

    0 .. 63          physical: on ARM64 0..30 = X0..X30, 31 = SP, 32..63 = V0..V31;
                     on x86-64 0..15 = RAX.. R15, 32..47 = XMM0..XMM15
    64               the zero register (ARM64: XZR); never allocated
    128 ..           virtual, number - 128 indexes the tables of `MachineFunction`

Register sets are integer masks over the physical numbers.  After allocation a
virtual register's *location* at a point is a physical register (>= 0) or a
spill slot, written as `~slot` (< 0).

Code is SSA until allocation: each virtual register has one definition, blocks
have parameters.  Rules that selection keeps, and the allocator may rely on:

1. there are no critical edges (an edge block is inserted where one would be);
2. only a block with a single successor passes arguments;
3. the entry block has no predecessors and no parameters; incoming values are
   definitions (constraint fixed) of its first instruction, the pseudo `entry`;
4. a `fixed(r)` use says "this value is in r when the instruction reads its
   operands"; the allocator inserts the copies, all those of one instruction as
   one parallel move (so they cannot overwrite each other).  The same virtual
   register may appear in several uses, fixed and not;
5. a `fixed(r)` definition: the result appears in r; the allocator copies it on;
6. `clobbers` are changed by the instruction after its early uses are read; the
   fixed definitions are not in conflict with clobbers of the same register;
7. physical registers below 128 may stand in operands only if they are not
   allocatable (SP, ZR, FP, scratch registers); the allocator passes them through;
8. moves, loads, stores and rematerialisations inserted by the allocator do not
   change the flags, so a flag-setting instruction and its reader may be apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from callproof.codegen.machine_debug import MachineDebug
from callproof.ir.places import PlaceNumber, Site

FIRST_VIRTUAL = 128
ZERO_REGISTER = 64

GENERAL, FLOAT = 0, 1  # register classes: indexes into the target's tables

USE, DEF = 0, 1
EARLY, LATE = 0, 1
"""A use is EARLY unless it must survive until the definitions are written (LATE);
a definition is LATE unless it is written before all uses are read (EARLY)."""

# Constraints are small integers, so that inner loops compare and index only.
ANY = -1  # a register or a spill slot
REGISTER = -2  # any register of the class
STACK = -3  # a spill slot
# >= 0 and < 64:      fixed in that physical register
# >= SAME_AS:         a definition in the register of the instruction's operand (c - SAME_AS)
SAME_AS = 1000


class Operand:
    """One register operand of an instruction, as the allocator sees it."""

    __slots__ = ("constraint", "register", "role", "timing")

    def __init__(self, register: int, role: int, constraint: int = REGISTER, timing: int = -1):
        self.register = register
        self.role = role
        self.constraint = constraint
        self.timing = timing if timing >= 0 else role  # a use is EARLY, a definition LATE

    def __repr__(self) -> str:
        return (
            f"{'def' if self.role == DEF else 'use'} {self.register}"
            f" constraint={self.constraint} {'late' if self.timing == LATE else 'early'}"
        )


class OperandSpec:
    """One assembly operand of a form.

    kind      the target's name for how it is encoded and printed ('x', 'x_sp', 'd',
              'imm12', 'label26', ...)
    role      'use', 'def', 'use_def' for registers, '' otherwise
    register_class   GENERAL or FLOAT for registers, -1 otherwise
    """

    __slots__ = ("is_register", "kind", "name", "register_class", "role")

    def __init__(self, name: str, kind: str, role: str = "", register_class: int = -1) -> None:
        self.name = name
        self.kind = kind
        self.role = role
        self.register_class = register_class
        self.is_register = register_class >= 0


class Form:
    """One row of a target's instruction table.

    operands        in assembly order
    control         '' | 'jump' | 'branch' (conditional) | 'call' | 'indirect_call' |
                    'indirect_jump' | 'return' | 'trap'
    is_move         a plain register-to-register copy (operand 0 := operand 1)
    memory          '' | 'load' | 'store'
    encode          arguments in operand order (registers as numbers, immediates as
                    plain integers, labels as byte distances) -> instruction bytes as an
                    integer; raises `ValueError` with a reason if one does not fit
    code            the same as bytes, where instructions have several sizes
    roles           USE or DEF of each operand, -1 of those that are no registers
    leading         how many registers the operands begin with, if all others are none and
                    definitions stand before uses; -1 for any other order
    defines         so many of these are definitions
    is_special      the allocator looks at more than the operands: copies, branches, jumps
    size            bytes; 0 where that depends on the arguments: then `measure` tells
    field_end       how many bytes before the instruction's end the field of a symbol
                    begins; 0 where a relocation means the whole instruction
    text            the same arguments -> assembly text ('add x0, x1, #16');
                    labels may be strings there
    """

    __slots__ = (
        "code",
        "control",
        "defines",
        "encode",
        "field_end",
        "is_call",
        "is_move",
        "is_special",
        "leading",
        "measure",
        "memory",
        "mnemonic",
        "name",
        "operands",
        "reads_flags",
        "roles",
        "size",
        "text",
        "writes_flags",
    )

    def __init__(
        self,
        name: str,
        mnemonic: str,
        operands: tuple[OperandSpec, ...],
        *,
        encode: Callable[[Sequence[int]], int],
        text: Callable[[Sequence[int | str]], str],
        control: str = "",
        memory: str = "",
        is_move: bool = False,
        reads_flags: bool = False,
        writes_flags: bool = False,
        size: int = 4,
        measure: Callable[[Sequence[int]], int] | None = None,
        code: Callable[[Sequence[int]], bytes] | None = None,
        field_end: int = 0,
    ) -> None:
        self.code = code
        self.measure = measure
        self.field_end = field_end
        self.name = name
        self.mnemonic = mnemonic
        self.operands = operands
        self.roles = tuple(
            (DEF if spec.role == "def" else USE) if spec.is_register else -1 for spec in operands
        )
        self.defines = self.roles.count(DEF)
        uses = self.roles.count(USE)
        self.leading = self.defines + uses
        if self.roles[: self.leading] != (DEF,) * self.defines + (USE,) * uses:
            self.leading = -1
        self.encode = encode
        self.text = text
        self.control = control
        self.is_call = control in ("call", "indirect_call")
        self.memory = memory
        self.is_move = is_move
        self.is_special = is_move or control in ("branch", "jump")
        self.reads_flags = reads_flags
        self.writes_flags = writes_flags
        self.size = size

    def __repr__(self) -> str:
        return f"<{self.name}>"


class SymbolReference:
    """An immediate that the linker fills in: relocation type name, symbol, addend."""

    __slots__ = ("addend", "name", "relocation")

    def __init__(self, name: str, relocation: str, addend: int = 0) -> None:
        self.name = name
        self.relocation = relocation
        self.addend = addend


@dataclass(slots=True)
class JumpTable:
    """Read-only data, a symbol of its own: for each entry the 32-bit distance from the
    table's start to a block."""

    symbol: str
    blocks: list[MachineBlock]


class MachineInstruction:
    """A form with its arguments.

    operands    the register operands: first those that the form encodes, in assembly
                order (a 'use_def' one appears as a use and, at its place among the
                implicit ones, a SAME_AS definition), then implicit ones (a call's fixed
                uses and definitions)
    immediates  the other arguments of the form, in assembly order: integers,
                `MachineBlock` labels, `SymbolReference`s, `FrameReference`s
    clobbers    mask of physical registers changed besides the definitions
    allocation  set by the allocator: a location for each of `operands`
    comment     for the listing
    line        source line, 0 for none, and what inlined it (see `ir/places.py`)
    is_call     control leaves the function and comes back here
    table       of a jump through a table: where it leads
    argument_names   calls: physical register -> the parameter's name, for the listing

    Most instructions are *plain*: their operands may be in any registers, and are read and
    written when that is usual.  Of these only `registers` are kept, first the definitions,
    `defines` of them (elsewhere it is -1): a number is made faster than an object, and
    looked at faster.  Who asks for `operands` makes it an instruction like all others.
    """

    __slots__ = (
        "_operands",
        "allocation",
        "argument_names",
        "clobbers",
        "comment",
        "defines",
        "form",
        "immediates",
        "is_call",
        "line",
        "registers",
        "table",
    )

    def __init__(
        self,
        form: Form,
        operands: list[Operand] | None,
        immediates: Sequence[object] = (),
        registers: tuple[int, ...] = (),
        defines: int = -1,
        *,
        clobbers: int = 0,
        comment: str = "",
    ) -> None:
        """`operands` None: a plain instruction, with `registers` and `defines`."""
        self.form = form
        self._operands = operands
        self.immediates = immediates
        self.registers = registers
        self.defines = defines
        self.clobbers = clobbers
        self.line: PlaceNumber = 0
        self.comment = comment
        self.is_call = form.is_call
        self.allocation: list[int] | None = None
        self.table: JumpTable | None = None
        self.argument_names: dict[int, str] = NO_NAMES

    @property
    def operands(self) -> list[Operand]:
        operands = self._operands
        if operands is None:
            defines = self.defines
            operands = [
                Operand(register, DEF if index < defines else USE)
                for index, register in enumerate(self.registers)
            ]
            self._operands, self.defines, self.registers = operands, -1, ()
        return operands

    def rename(self, old: int, new: int) -> None:
        """Read another register instead of one."""
        if self.defines >= 0:
            self.registers = tuple([new if one == old else one for one in self.registers])
            return
        for operand in self.operands:
            if operand.register == old and operand.role != DEF:
                operand.register = new

    def __repr__(self) -> str:
        return f"{self.form.name} {self._operands or self.registers} {list(self.immediates)}"


def plain(
    form: Form, registers: tuple[int, ...], immediates: Sequence[object] = ()
) -> MachineInstruction:
    """A plain instruction; the form's definitions stand first."""
    return MachineInstruction(form, None, immediates, registers, form.defines)


NO_NAMES: dict[int, str] = {}  # shared, never changed


class FrameReference:
    """An immediate that the frame decides: an offset from SP (or from the incoming SP).

    kind 'slot' (index of `MachineFunction.slots`), 'spill' (index of a spill slot),
    'incoming' (byte offset in the incoming stack arguments), 'outgoing' (byte offset
    in the outgoing argument area).  The base register operand is SP; frame.py
    rewrites both where the distance does not fit.
    """

    __slots__ = ("index", "kind", "offset")

    def __init__(self, kind: str, index: int, offset: int = 0) -> None:
        self.kind = kind
        self.index = index
        self.offset = offset


class MachineBlock:
    """`successors` in order of the terminators' labels; `arguments` go to the only
    successor's `parameters` (rule 2).  `rare`: it hardly ever runs.  `makes_constants`: there
    may be instructions in it that make something from nothing, and their readers."""

    __slots__ = (
        "arguments",
        "index",
        "instructions",
        "makes_constants",
        "name",
        "parameters",
        "rare",
        "successors",
    )

    def __init__(self, name: str, index: int) -> None:
        self.name = name
        self.index = index
        self.parameters: list[int] = []
        self.instructions: list[MachineInstruction] = []
        self.successors: list[MachineBlock] = []
        self.arguments: list[int] = []
        self.rare = False
        self.makes_constants = True

    def __repr__(self) -> str:
        return f"<block {self.index} {self.name}>"


@dataclass(slots=True)
class StackSlot:
    """Memory of the program (not a spill): `size` bytes aligned to `alignment`."""

    name: str
    size: int
    alignment: int


class MachineFunction:
    """Blocks in emission order, `blocks[0]` the entry, `blocks[i].index == i`.

    The tables are indexed by virtual register number - FIRST_VIRTUAL:
    `classes` GENERAL or FLOAT; `sizes` bytes to spill (8 or 16); `names` the source's
    name or ''.  `rematerialise` maps a virtual register to an instruction without
    register uses (except non-allocatable physical ones) that computes it anywhere in
    the function: its operand 0 is the definition.  `movable` has those that may stand
    anywhere as well, but cost more than to spill and reload them.
    """

    __slots__ = (
        "blocks",
        "classes",
        "debug",
        "display_name",
        "movable",
        "name",
        "names",
        "outgoing_bytes",
        "rematerialise",
        "sites",
        "sizes",
        "slots",
        "stack_alignment",
        "tables",
    )

    def __init__(self, name: str, display_name: str = "") -> None:
        self.name = name
        self.display_name = display_name or name
        self.blocks: list[MachineBlock] = []
        self.sites: list[Site] = []  # what was inlined (see `ir/places.py`)
        self.classes: list[int] = []
        self.sizes: list[int] = []
        self.names: list[str] = []
        self.rematerialise: dict[int, MachineInstruction] = {}
        self.movable: dict[int, MachineInstruction] = {}
        self.slots: list[StackSlot] = []
        self.outgoing_bytes = 0
        self.tables = 0  # jump tables made so far
        self.stack_alignment = 16
        self.debug: MachineDebug | None = None

    def new_register(self, register_class: int, name: str = "", size: int = 8) -> int:
        self.classes.append(register_class)
        self.sizes.append(size)
        self.names.append(name)
        return FIRST_VIRTUAL + len(self.classes) - 1

    def new_block(self, name: str) -> MachineBlock:
        block = MachineBlock(name, len(self.blocks))
        self.blocks.append(block)
        return block


@dataclass(slots=True)
class RegisterFile:
    """What the allocator knows of a target.

    `allocatable[class]`: physical registers in order of preference (caller-saved
    first); `callee_saved`: mask; using one of these costs a save and a restore.
    """

    allocatable: tuple[tuple[int, ...], tuple[int, ...]]
    callee_saved: int


class Move:
    """`destination := source` (locations) of one value, part of a parallel group.

    `register` is the virtual register whose value is moved; with `rematerialise` the
    value is recomputed into `destination` instead, and `source` means nothing.
    """

    __slots__ = ("destination", "register", "rematerialise", "source")

    def __init__(
        self,
        source: int,
        destination: int,
        register: int,
        rematerialise: MachineInstruction | None = None,
    ) -> None:
        self.source = source
        self.destination = destination
        self.register = register
        self.rematerialise = rematerialise

    def __repr__(self) -> str:
        what = "remat" if self.rematerialise else self.source
        return f"{self.destination} := {what} (v{self.register})"


@dataclass(slots=True)
class SpillSlot:
    """A stack location made by the allocator; `names` of the variables that use it."""

    size: int
    names: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Allocation:
    """The allocator's answer; each instruction's `allocation` is set too.

    edits          (block index, instruction index) -> groups of parallel moves, done in
                   order just before that instruction
    spill_slots    sizes and users
    used_registers mask of all physical registers that the function writes
    makes_calls    whether the function calls anything and goes on
    crossed_calls  virtual register -> number of call instructions that it is alive across
    kept           id of a call's instruction -> register -> the variables in it (`kept.py`)
    """

    edits: dict[tuple[int, int], list[list[Move]]] = field(default_factory=dict)
    spill_slots: list[SpillSlot] = field(default_factory=list)
    used_registers: int = 0
    makes_calls: bool = False
    crossed_calls: dict[int, int] = field(default_factory=dict)
    kept: dict[int, dict[int, str]] = field(default_factory=dict)
