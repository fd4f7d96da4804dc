"""How x86-64 code writes frames, moves, spills and branches.

The frame, from RSP in the body upwards:

    RSP + 0         outgoing stack arguments
                    spill slots, stack slots of the program
                    saved registers (pushed)
    size - 16       frame record: the saved RBP (functions that call); RBP points here
    size - 8        the return address
    + size          our incoming stack arguments

Where a call wants RSP aligned to more than 16 bytes, the prologue rounds RSP down below the
pushed registers, and RBP leads to what lies above.  RSP does not move in the body.  R11 and
XMM15 are never allocated.
"""

from __future__ import annotations

from collections.abc import Sequence

from callproof.codegen.machine import (
    Allocation,
    FrameReference,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    SymbolReference,
)
from callproof.codegen.slots import place_in_frame
from callproof.codegen.target import Frame, Line
from callproof.source import CallproofError, InternalError
from callproof.target.x64.expand import EXPANSIONS
from callproof.target.x64.instructions import FORMS
from callproof.target.x64.registers import RBP, REGISTER_FILE, RSP, SCRATCH, XMM0, name

MAXIMUM_FRAME = 1 << 30
WORD = 8
PUSH, POP, MOVE_GENERAL, MOVE_FLOAT = (
    FORMS["push"],
    FORMS["pop"],
    FORMS["mov_q_rr"],
    FORMS["movaps"],
)
ADD_IMM, SUB_IMM, AND_IMM = FORMS["add_q_ri"], FORMS["sub_q_ri"], FORMS["and_q_ri"]
LEA = FORMS["lea_q_b"]
REDUNDANT_COPIES = frozenset((MOVE_GENERAL, MOVE_FLOAT))  # not `mov_l`: it clears the upper half
SPILL = {  # (is float, bytes) -> (store, load)
    (False, 8): (FORMS["mov_q_mr_b"], FORMS["mov_q_rm_b"]),
    (True, 8): (FORMS["movsd_mx_b"], FORMS["movsd_xm_b"]),
    (True, 16): (FORMS["movups_mx_b"], FORMS["movups_xm_b"]),
}
# Left out, written as several lines, or more than their arguments say.
UNUSUAL = frozenset((*EXPANSIONS, *REDUNDANT_COPIES, FORMS["jmp_r"]))
LONGER = {"jmp_short": FORMS["jmp"], "j_short": FORMS["j"]}
SHORT = 2
POISON = 0xBAD0_BAD0_BAD0_BAD0 - (1 << 64)  # in signed form
POISONED = [
    register
    for group in REGISTER_FILE.allocatable
    for register in group
    if not REGISTER_FILE.callee_saved >> register & 1
]
MOVE_CONSTANT, TO_FLOAT, BOTH_HALVES, SET_FLAGS = (
    FORMS["movabs"],
    FORMS["movq_xr"],
    FORMS["punpcklqdq"],
    FORMS["test_q_rr"],
)


class X64Shapes:
    """See `codegen.target.Shapes`."""

    __slots__ = ()

    # --- frames ------------------------------------------------------------------------

    def frame(self, function: MachineFunction, allocation: Allocation) -> Frame:
        calls = allocation.makes_calls
        wanted = function.stack_alignment
        offset = outgoing = -(-function.outgoing_bytes // 16) * 16
        spills, slots, offset = place_in_frame(function, allocation, offset, "RSP")
        used = allocation.used_registers & REGISTER_FILE.callee_saved
        kept = [r for r in range(16) if used >> r & 1 and r not in (RSP, RBP)]
        pushed = WORD * (1 + calls + len(kept))
        size = offset + pushed
        if wanted > 16:
            size = -(-offset // wanted) * wanted + pushed
        elif offset or calls:
            size = -(-size // 16) * 16
        if size > MAXIMUM_FRAME:
            raise CallproofError(f"the frame of {function.display_name} needs {size} bytes")
        record = size - 2 * WORD if calls else None
        first = size - WORD * (2 + calls)
        saved = [(register, first - WORD * index) for index, register in enumerate(kept)]
        return Frame(size, outgoing, slots, spills, saved, record, wanted)

    @staticmethod
    def _room(frame: Frame) -> int:
        """What is taken below the pushed registers."""
        return frame.size - WORD * (1 + len(frame.saved) + (frame.record is not None))

    def prologue(self, frame: Frame) -> list[Line]:
        lines: list[Line] = []
        if frame.record is not None:
            lines = [Line(PUSH, (RBP,)), Line(MOVE_GENERAL, (RBP, RSP))]
        for register, _ in frame.saved:
            lines.append(Line(PUSH, (register,), None, f"save {name(register, WORD)}"))
        room = self._room(frame)
        if room:
            lines.append(Line(SUB_IMM, (RSP, room)))
        if frame.alignment > 16:
            lines.append(Line(AND_IMM, (RSP, -frame.alignment)))
        if lines and not lines[0].comment:
            lines[0].comment = f"frame of {frame.size} bytes"
        return lines

    def epilogue(self, frame: Frame) -> list[Line]:
        lines: list[Line] = []
        room = self._room(frame)
        if frame.alignment > 16:
            lines.append(Line(LEA, (RSP, RBP, -WORD * len(frame.saved))))
        elif room:
            lines.append(Line(ADD_IMM, (RSP, room)))
        for register, _ in reversed(frame.saved):
            lines.append(Line(POP, (register,), None, f"restore {name(register, WORD)}"))
        if frame.record is not None:
            lines.append(Line(POP, (RBP,)))
        return lines

    # --- moves --------------------------------------------------------------------------

    def move(
        self, frame: Frame, source: int, destination: int, register_class: int, size: int
    ) -> list[Line]:
        del register_class  # the register's number says its file
        if destination < 0:
            form = SPILL[source >= XMM0, size if source >= XMM0 else WORD][0]
            return [Line(form, (source, RSP, frame.spills[~destination]))]
        if source < 0:
            form = SPILL[destination >= XMM0, size if destination >= XMM0 else WORD][1]
            return [Line(form, (destination, RSP, frame.spills[~source]))]
        form = MOVE_FLOAT if destination >= XMM0 else MOVE_GENERAL
        return [Line(form, (destination, source))]

    # --- instructions --------------------------------------------------------------------

    def instruction(
        self, frame: Frame, instruction: MachineInstruction, allocation: Sequence[int]
    ) -> list[Line]:
        form = instruction.form
        expand = EXPANSIONS.get(form)
        if expand is not None:
            return expand(allocation, instruction.immediates)
        registers = iter(allocation)
        immediates = iter(instruction.immediates)
        arguments: list[int | MachineBlock] = []
        reference: SymbolReference | None = None
        for spec in form.operands:
            if spec.is_register:
                arguments.append(next(registers))
                continue
            value = next(immediates)
            if isinstance(value, SymbolReference):
                reference = value
                value = 0
            elif isinstance(value, FrameReference):
                if value.kind == "incoming" and frame.alignment > 16:
                    # The base is the argument before: RSP, whose distance is not known here.
                    arguments[-1] = RBP
                    value = 2 * WORD + value.offset
                else:
                    value = frame.offset(value)
            assert isinstance(value, int | MachineBlock)
            arguments.append(value)
        if form in REDUNDANT_COPIES and arguments[0] == arguments[1]:
            return []
        if reference is None and form.control == "call":
            raise InternalError(f"a call without a symbol: {instruction!r}")
        return [Line(form, tuple(arguments), reference)]

    def line(self, instruction: MachineInstruction, allocation: Sequence[int]) -> Line | None:
        form = instruction.form
        count = form.leading
        if count < 0 or form in UNUSUAL:
            return None
        for value in instruction.immediates:
            if type(value) is not int and type(value) is not MachineBlock:
                return None
        arguments = (*allocation[:count], *instruction.immediates)
        return Line(form, arguments, None, "", instruction.line)  # type: ignore[arg-type]

    def poison(self, keep: int) -> list[Line]:
        lines = [Line(MOVE_CONSTANT, (SCRATCH, POISON), None, "poison what holds nothing here")]
        for register in POISONED:
            if keep >> register & 1:
                continue
            if register < XMM0:
                lines.append(Line(MOVE_GENERAL, (register, SCRATCH)))
            else:
                lines.append(Line(TO_FLOAT, (register, SCRATCH)))
                lines.append(Line(BOTH_HALVES, (register, register)))
        lines.append(Line(SET_FLAGS, (SCRATCH, SCRATCH)))
        return lines

    # --- branches ---------------------------------------------------------------------------

    def improve(self, lines: list[Line]) -> list[Line]:
        return lines

    def jump(self, block: MachineBlock) -> Line:
        return Line(FORMS["jmp_short"], (block,))

    def invert(self, branch: Line) -> Line:
        condition, label = branch.arguments
        assert isinstance(condition, int)
        return Line(branch.form, (condition ^ 1, label), None, branch.comment, branch.line)

    def reach(self, branch: Line) -> int:
        del branch
        return 1 << 31

    def lengthen(self, branch: Line, distance: int) -> bool:
        """Make a branch of one byte of distance one of four, where it has to be."""
        longer = LONGER.get(branch.form.name)
        if longer is None or -128 <= distance - SHORT < 128:
            return False
        branch.form = longer
        return True
