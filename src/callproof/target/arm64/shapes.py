"""How ARM64 code writes frames, moves, spills and pseudo instructions.

The frame, from SP in the body upwards:

    SP + 0          outgoing stack arguments
    + outgoing      frame record: saved X29, X30 (functions that call); X29 points here
                    saved registers, spill slots, stack slots of the program
    + size          the caller's SP: our incoming stack arguments

SP does not move in the body.  X16 and X17 are never allocated: X17 is for
addresses that no addressing mode reaches, X16 for pages of constants.
"""

from __future__ import annotations

from collections.abc import Sequence

from callproof.codegen.machine import (
    Allocation,
    Form,
    FrameReference,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    SymbolReference,
)
from callproof.codegen.slots import place_in_frame
from callproof.codegen.target import Frame, Line
from callproof.source import CallproofError, InternalError
from callproof.target.arm64 import pseudo
from callproof.target.arm64.immediates import move_immediate
from callproof.target.arm64.instructions import FORMS
from callproof.target.arm64.peephole import improve
from callproof.target.arm64.registers import FP, LR, REGISTER_FILE, SP, V0, name
from callproof.target.arm64.select_memory import (
    LO12,
    LOADS,
    PAGE,
    SIGN_EXTENDING_32,
    SIGN_EXTENDING_64,
    STORES,
    Access,
)

ADDRESS_SCRATCH, PAGE_SCRATCH = 17, 16
PAIR_REACH = 504  # largest positive offset of an LDP/STP of 8-byte registers
MAXIMUM_FRAME = 1 << 30
SAVED = REGISTER_FILE.callee_saved & ~(1 << FP | 1 << LR | 1 << SP)
UXTX = 3
ADD_LO12 = "R_AARCH64_ADD_ABS_LO12_NC"

MOVE_GENERAL, MOVE_FLOAT, MOVE_VECTOR = FORMS["mov_x"], FORMS["fmov_d"], FORMS["mov_v16b"]
# Copies that do nothing where both registers are the same.  Not `mov w`: it clears the upper half.
REDUNDANT_COPIES = frozenset((MOVE_GENERAL, MOVE_FLOAT, MOVE_VECTOR, FORMS["fmov_s"]))
ADD_IMM, SUB_IMM = FORMS["add_x_imm"], FORMS["sub_x_imm"]
ADD_EXT, SUB_EXT = FORMS["add_x_ext"], FORMS["sub_x_ext"]
B, ADRP = FORMS["b"], FORMS["adrp"]
LDR_D, LDR_S, LDR_Q = FORMS["ldr_d_uimm"], FORMS["ldr_s_uimm"], FORMS["ldr_q_uimm"]
DUP, INSERT_HIGH, SET_FLAGS = FORMS["dup_v2d_x"], FORMS["ins_d_x"], FORMS["msr_nzcv"]
POISON = 0xBAD0_BAD0_BAD0_BAD0 - (1 << 64)  # in signed form; also sets N and V, clears Z and C
POISONED = [*range(16), *range(V0, V0 + 8), *range(V0 + 16, V0 + 32)]
HALF_SAVED = range(V0 + 8, V0 + 16)
PAIRS = {  # class -> (store pair, load pair)
    False: (FORMS["stp_x_off"], FORMS["ldp_x_off"]),
    True: (FORMS["stp_d_off"], FORMS["ldp_d_off"]),
}
STP_PRE, LDP_POST = FORMS["stp_x_pre"], FORMS["ldp_x_post"]
SPILL = {  # (is float, bytes) -> (store, load)
    (False, 8): (Access("str_x", 8), Access("ldr_x", 8)),
    (True, 8): (Access("str_d", 8), Access("ldr_d", 8)),
    (True, 16): (Access("str_q", 16), Access("ldr_q", 16)),
}
BY_SCALED_FORM: dict[str, Access] = {
    access.scaled.name: access
    for table in (LOADS, STORES, SIGN_EXTENDING_32, SIGN_EXTENDING_64)
    for access in table.values()
}
OPPOSITE = {
    one.name: other
    for pair in (("cbz_x", "cbnz_x"), ("cbz_w", "cbnz_w"), ("tbz", "tbnz"))
    for one, other in ((FORMS[pair[0]], FORMS[pair[1]]), (FORMS[pair[1]], FORMS[pair[0]]))
}
REACH = {"b": 1 << 27, "bl": 1 << 27, "tbz": 1 << 15, "tbnz": 1 << 15}
CONDITIONAL_REACH = 1 << 20


def adjust(form: Form, extended: Form, destination: int, amount: int) -> list[Line]:
    """destination := SP +/- amount, in one or two instructions, or through X17."""
    if amount < 1 << 12:
        return [Line(form, (destination, SP, amount, 0))]
    if amount < 1 << 24:
        lines = [Line(form, (destination, SP, amount >> 12, 12))]
        if amount & 0xFFF:
            lines.append(Line(form, (destination, destination, amount & 0xFFF, 0)))
        return lines
    return [
        *constant(ADDRESS_SCRATCH, amount),
        Line(extended, (destination, SP, ADDRESS_SCRATCH, UXTX, 0)),
    ]


def constant(register: int, value: int) -> list[Line]:
    """register := value by the shortest sequence (`immediates.move_immediate`)."""
    return [Line(FORMS[form], (register, *rest)) for form, rest in move_immediate(value, 64)]


def access(forms: Access, register: int, offset: int) -> list[Line]:
    """Load or store at SP + offset, whatever the offset."""
    if 0 <= offset < 4096 * forms.size and offset % forms.size == 0:
        return [Line(forms.scaled, (register, SP, offset))]
    if -256 <= offset < 256:
        return [Line(forms.unscaled, (register, SP, offset))]
    if register == ADDRESS_SCRATCH:
        raise CallproofError("the frame is too large: a spill slot is out of reach")
    return [
        *adjust(ADD_IMM, ADD_EXT, ADDRESS_SCRATCH, offset),
        Line(forms.scaled, (register, ADDRESS_SCRATCH, 0)),
    ]


class Arm64Shapes:
    """See `codegen.target.Shapes`."""

    __slots__ = ()

    # --- frames ------------------------------------------------------------------------

    def frame(self, function: MachineFunction, allocation: Allocation) -> Frame:
        calls = allocation.makes_calls
        offset = outgoing = -(-function.outgoing_bytes // 16) * 16
        record = offset if calls else None
        if calls:
            offset += 16
        saved = []
        used = allocation.used_registers & SAVED
        while used:
            register = (used & -used).bit_length() - 1
            used &= used - 1
            saved.append((register, offset))
            offset += 8
        spills, slots, offset = place_in_frame(function, allocation, offset, "SP")
        size = -(-offset // 16) * 16
        if size > MAXIMUM_FRAME:
            raise CallproofError(f"the frame of {function.display_name} needs {size} bytes")
        return Frame(size, outgoing, slots, spills, saved, record)

    def prologue(self, frame: Frame) -> list[Line]:
        lines: list[Line] = []
        if frame.record == 0 and frame.size <= PAIR_REACH:
            push = Line(STP_PRE, (FP, LR, SP, -frame.size))
            push.comment = f"frame of {frame.size} bytes"
            lines += [push, Line(ADD_IMM, (FP, SP, 0, 0))]
        else:
            if frame.size:
                lines += adjust(SUB_IMM, SUB_EXT, SP, frame.size)
                lines[-1].comment = f"frame of {frame.size} bytes"
            if frame.record is not None:
                lines += self._pair(0, FP, LR, frame.record)
                lines += adjust(ADD_IMM, ADD_EXT, FP, frame.record)
        return lines + self._saved(frame, 0, "save")

    def epilogue(self, frame: Frame) -> list[Line]:
        lines = self._saved(frame, 1, "restore")
        if frame.record == 0 and frame.size <= PAIR_REACH:
            lines.append(Line(LDP_POST, (FP, LR, SP, frame.size)))
            return lines
        if frame.record is not None:
            lines += self._pair(1, FP, LR, frame.record)
        if frame.size:
            lines += adjust(ADD_IMM, ADD_EXT, SP, frame.size)
        return lines

    def _saved(self, frame: Frame, direction: int, verb: str) -> list[Line]:
        lines: list[Line] = []
        pending = list(frame.saved)
        while pending:
            register, offset = pending.pop(0)
            if pending and (pending[0][0] >= V0) == (register >= V0):
                partner, _ = pending.pop(0)
                new = self._pair(direction, register, partner, offset)
                what = f"{_saved_name(register)}, {_saved_name(partner)}"
            else:
                new = access(SPILL[register >= V0, 8][direction], register, offset)
                what = _saved_name(register)
            new[0].comment = f"{verb} {what}"
            lines += new
        return lines

    def _pair(self, direction: int, first: int, second: int, offset: int) -> list[Line]:
        """STP or LDP at SP + offset; two single accesses where the offset is too large."""
        float_ = first >= V0
        if offset <= PAIR_REACH:
            return [Line(PAIRS[float_][direction], (first, second, SP, offset))]
        forms = SPILL[float_, 8][direction]
        return access(forms, first, offset) + access(forms, second, offset + 8)

    # --- moves --------------------------------------------------------------------------

    def move(
        self, frame: Frame, source: int, destination: int, register_class: int, size: int
    ) -> list[Line]:
        del register_class  # the register's number says its file
        if destination < 0:
            forms = SPILL[source >= V0, size if source >= V0 else 8][0]
            return access(forms, source, frame.spills[~destination])
        if source < 0:
            forms = SPILL[destination >= V0, size if destination >= V0 else 8][1]
            return access(forms, destination, frame.spills[~source])
        if destination >= V0:
            return [Line(MOVE_VECTOR if size == 16 else MOVE_FLOAT, (destination, source))]
        return [Line(MOVE_GENERAL, (destination, source))]

    # --- instructions --------------------------------------------------------------------

    def instruction(
        self, frame: Frame, instruction: MachineInstruction, allocation: Sequence[int]
    ) -> list[Line]:
        form = instruction.form
        expand = EXPANSIONS.get(form)
        if expand is not None:
            return expand(frame, allocation, instruction.immediates)
        immediates = instruction.immediates
        if not immediates:
            # Registers only; behind those that are encoded there may be implicit ones.
            if form in REDUNDANT_COPIES and allocation[0] == allocation[1]:
                return []
            return [Line(form, allocation[: len(form.roles)])]
        registers = iter(allocation)
        others = iter(immediates)
        arguments: list[int | MachineBlock] = []
        reference: SymbolReference | None = None
        frame_reference: FrameReference | None = None
        for role in form.roles:
            if role >= 0:
                arguments.append(next(registers))
                continue
            value = next(others)
            if type(value) is int:
                arguments.append(value)
                continue
            if isinstance(value, SymbolReference):
                reference = value
                value = 0
            elif isinstance(value, FrameReference):
                frame_reference = value
                value = 0
            assert isinstance(value, int | MachineBlock)
            arguments.append(value)
        if frame_reference is not None:
            register = arguments[0]
            assert isinstance(register, int)
            return access(BY_SCALED_FORM[form.name], register, frame.offset(frame_reference))
        if reference is None and form.control == "call":
            raise InternalError(f"a call without a symbol: {instruction!r}")
        return [Line(form, arguments, reference)]

    def line(self, instruction: MachineInstruction, allocation: Sequence[int]) -> Line | None:
        form = instruction.form
        count = form.leading
        if count < 0 or form in UNUSUAL:
            return None
        if count != len(allocation):  # behind those that are encoded there may be implicit ones
            allocation = allocation[:count]
        immediates = instruction.immediates
        if not immediates:
            return Line(form, allocation, None, "", instruction.line)
        kind = type(immediates[0])
        if kind is int or kind is MachineBlock:  # references stand first
            return Line(form, (*allocation, *immediates), None, "", instruction.line)  # type: ignore[arg-type]
        return None

    def poison(self, keep: int) -> list[Line]:
        lines = constant(PAGE_SCRATCH, POISON)
        for register in POISONED:
            if keep >> register & 1:
                continue
            if register < V0:
                lines.append(Line(MOVE_GENERAL, (register, PAGE_SCRATCH)))
            else:
                lines.append(Line(DUP, (register, PAGE_SCRATCH)))
        # Of V8-V15 only the low halves survive a call.
        lines += [Line(INSERT_HIGH, (register, 1, PAGE_SCRATCH)) for register in HALF_SAVED]
        lines += [Line(SET_FLAGS, (PAGE_SCRATCH,)), Line(MOVE_GENERAL, (17, PAGE_SCRATCH))]
        lines[0].comment = "poison what holds nothing here"
        return lines

    def improve(self, lines: list[Line]) -> list[Line]:
        return improve(lines)

    # --- branches ---------------------------------------------------------------------------

    def jump(self, block: MachineBlock) -> Line:
        return Line(B, (block,))

    def invert(self, branch: Line) -> Line:
        form, arguments = branch.form, branch.arguments
        if form.name == "b_cond":
            condition, label = arguments
            assert isinstance(condition, int)
            return Line(form, (condition ^ 1, label), None, branch.comment, branch.line)
        return Line(OPPOSITE[form.name], arguments, None, branch.comment, branch.line)

    def reach(self, branch: Line) -> int:
        return REACH.get(branch.form.name, CONDITIONAL_REACH)

    def lengthen(self, branch: Line, distance: int) -> bool:
        """All instructions have one length."""
        del branch, distance
        return False


def _saved_name(register: int) -> str:
    return name(register, "d" if register >= V0 else "x")


def _no_code(frame: Frame, registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
    del frame, registers, immediates
    return []


def _constant(frame: Frame, registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
    del frame
    (value,) = immediates
    assert isinstance(value, int)
    return constant(registers[0], value)


def _float_constant(
    frame: Frame, registers: Sequence[int], immediates: Sequence[object]
) -> list[Line]:
    return _pooled(LDR_D, 8, registers[0], immediates[0])


def _float32_constant(
    frame: Frame, registers: Sequence[int], immediates: Sequence[object]
) -> list[Line]:
    return _pooled(LDR_S, 4, registers[0], immediates[0])


def _vector_constant(
    frame: Frame, registers: Sequence[int], immediates: Sequence[object]
) -> list[Line]:
    return _pooled(LDR_Q, 16, registers[0], immediates[0])


def _pooled(form: Form, size: int, register: int, symbol: object) -> list[Line]:
    assert isinstance(symbol, SymbolReference)
    return [
        Line(ADRP, (PAGE_SCRATCH, 0), SymbolReference(symbol.name, PAGE, symbol.addend)),
        Line(
            form,
            (register, PAGE_SCRATCH, 0),
            SymbolReference(symbol.name, LO12[size], symbol.addend),
        ),
    ]


def _address(frame: Frame, registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
    del frame
    (symbol,) = immediates
    assert isinstance(symbol, SymbolReference)
    register = registers[0]
    return [
        Line(ADRP, (register, 0), SymbolReference(symbol.name, PAGE, symbol.addend)),
        Line(
            ADD_IMM,
            (register, register, 0, 0),
            SymbolReference(symbol.name, ADD_LO12, symbol.addend),
        ),
    ]


def _slot_address(
    frame: Frame, registers: Sequence[int], immediates: Sequence[object]
) -> list[Line]:
    (slot,) = immediates
    assert isinstance(slot, FrameReference)
    return adjust(ADD_IMM, ADD_EXT, registers[0], frame.offset(slot))


EXPANSIONS = {
    pseudo.ENTRY: _no_code,
    pseudo.CONSTANT: _constant,
    pseudo.FLOAT_CONSTANT: _float_constant,
    pseudo.FLOAT32_CONSTANT: _float32_constant,
    pseudo.VECTOR_CONSTANT: _vector_constant,
    pseudo.ADDRESS: _address,
    pseudo.SLOT_ADDRESS: _slot_address,
}
UNUSUAL = frozenset((*EXPANSIONS, *REDUNDANT_COPIES, FORMS["br"]))
"""Forms that are left out, written as several lines, or more than their arguments say."""
