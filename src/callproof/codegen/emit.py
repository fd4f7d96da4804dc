"""From allocated machine code to bytes: edits placed, frames written, branches relaxed.

The result is a list of `Line`s per block.  Bytes and the listing are both made
from these same lines, so that what is printed is what is encoded.
"""

from __future__ import annotations

import struct
from collections.abc import Container

from callproof.codegen.branches import branches, fall_through, forward_empty_blocks, relax
from callproof.codegen.emitted import CodeRelocation, EmittedBlock, EmittedCall, EmittedFunction
from callproof.codegen.flow import Flow
from callproof.codegen.intervals import IN_MEMORY
from callproof.codegen.layout import reachable, repeat_returns
from callproof.codegen.machine import (
    DEF,
    FIRST_VIRTUAL,
    FLOAT,
    Allocation,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    Move,
)
from callproof.codegen.marks import Mark, blurred_lines, marked, repeat_marks
from callproof.codegen.parallel_move import sequence
from callproof.codegen.target import Line, Target
from callproof.codegen.wrapping import wrap
from callproof.source import InternalError


class _Emitter:
    __slots__ = (
        "allocation",
        "blurred",
        "comments",
        "edited",
        "frame",
        "function",
        "marks",
        "poison",
        "target",
        "used_saved",
        "wants_all",
        "wrapping",
    )

    def __init__(
        self,
        function: MachineFunction,
        allocation: Allocation,
        target: Target,
        flow: Flow | None,
        poison: bool,
        comments: bool,
    ) -> None:
        self.poison = poison
        self.comments = comments
        self.function = function
        self.allocation = allocation
        self.target = target
        self.frame = target.shapes.frame(function, allocation)
        self.used_saved = target.convention.callee_saved
        frame = self.frame
        framed = frame.size or frame.saved or frame.record is not None
        self.wrapping = wrap(function, allocation, target.registers, flow) if framed else None
        self.blurred: set[int] = set()  # ids of lines
        self.marks: list[Mark] | None = [] if function.debug is not None else None
        # Whether more than code is wanted of every instruction.
        self.wants_all = bool(comments or poison or allocation.kept or self.marks is not None)
        self.edited: dict[int, list[int]] = {}  # block -> its instructions with moves before them
        for number, index in allocation.edits:
            self.edited.setdefault(number, []).append(index)

    # --- comments ----------------------------------------------------------------------

    def name(self, register: int) -> str:
        names = self.function.names
        index = register - FIRST_VIRTUAL
        return names[index] if 0 <= index < len(names) and names[index] else ""

    def kept(self, register: int, location: int) -> str:
        """The remark for a value that calls leave alone because of where it is."""
        crossed = self.allocation.crossed_calls.get(register, 0)
        if not crossed or location < 0 or not self.used_saved >> location & 1:
            return ""
        name = self.name(register)
        what = f"'{name}'" if name else "a value"
        return f"keep {what} across {crossed} call{'' if crossed == 1 else 's'}"

    def move_comment(self, move: Move, follower: MachineInstruction | None) -> str:
        destination = move.destination
        name = self.name(move.register)
        quoted = f"'{name}'" if name else "a value"
        if destination < 0:
            return f"spill {quoted}"
        if follower is not None and follower.is_call:
            argument = follower.argument_names.get(destination, "")
            if argument:
                return f"argument {argument}" + (f" := {name}" if name != argument else "")
        kept = self.kept(move.register, destination)
        if kept:
            return kept
        if move.rematerialise is None and move.source < 0:
            return f"reload {quoted}"
        return name

    # --- lines ---------------------------------------------------------------------------

    def edits(self, groups: list[list[Move]], follower: MachineInstruction | None) -> list[Line]:
        lines: list[Line] = []
        comments = self.comments
        for group in groups:
            by_destination = {move.destination: move for move in group} if comments else {}
            classes, sizes = self.function.classes, self.function.sizes
            for step in sequence(
                group, self.target.scratch_general, self.target.scratch_float, classes, sizes
            ):
                index = step.register - FIRST_VIRTUAL
                if step.rematerialise is not None:
                    new = self.remade(step, classes[index], sizes[index])
                else:
                    new = self.target.shapes.move(
                        self.frame, step.source, step.destination, classes[index], sizes[index]
                    )
                if new and comments:
                    move = by_destination.get(step.destination, step)
                    new[-1].comment = self.move_comment(move, follower)
                lines += new
        return lines

    def remade(self, move: Move, register_class: int, size: int) -> list[Line]:
        """A value computed again into its place; through a scratch register into memory."""
        made = move.rematerialise
        assert made is not None
        target = self.target
        place = move.destination
        if place < 0:
            place = (target.scratch_float if register_class == FLOAT else target.scratch_general)[0]
        others = (
            made.registers[1:] if made.defines >= 0 else [o.register for o in made.operands[1:]]
        )
        lines = target.shapes.instruction(self.frame, made, [place, *others])
        if move.destination < 0:
            lines += target.shapes.move(self.frame, place, move.destination, register_class, size)
        return lines

    def block(self, block: MachineBlock) -> list[Line]:
        shapes, frame = self.target.shapes, self.frame
        only_line, own_lines = shapes.line, shapes.instruction
        lines = self.around(block)
        eventful = self.eventful(block)
        for index, instruction in enumerate(block.instructions):
            registers = instruction.allocation
            if registers is None:
                raise InternalError(f"{self.function.name}: an instruction has no allocation")
            if registers and registers[0] == IN_MEMORY:
                own = []  # a constant that is made where it is wanted
            else:
                if index not in eventful:
                    line = only_line(instruction, registers)
                    if line is not None:
                        lines.append(line)
                        continue
                own = own_lines(frame, instruction, registers)
            if index in eventful:
                lines += self.eventful_lines(block, index, own)
                continue
            place = instruction.line
            for line in own:
                line.line = place
                lines.append(line)
            if instruction.table is not None:
                lines[-1].table = instruction.table
        if self.marks is None:
            return shapes.improve(lines)
        if self.function.debug is not None and self.function.debug.in_memory:
            return lines  # nothing that is known of variables may be blurred
        improved = shapes.improve(lines)
        self.blurred |= blurred_lines(lines, improved)
        return improved

    def around(self, block: MachineBlock) -> list[Line]:
        """What a block begins with where not the whole function has a frame."""
        wrapping = self.wrapping
        if wrapping is None:
            return []
        lines: list[Line] = []
        if block.index == wrapping.start:
            lines = self.target.shapes.prologue(self.frame)
        elif block.index in wrapping.left:
            lines = self.target.shapes.epilogue(self.frame)
        for line in lines:
            line.line = block.instructions[0].line
        return lines

    def eventful(self, block: MachineBlock) -> Container[int]:
        """The instructions of a block, by index, that are more than their own lines."""
        if self.wants_all:
            return range(len(block.instructions))
        found = set(self.edited.get(block.index, ()))
        if block.index == 0:
            found.add(0)  # the entry
        last = block.instructions[-1]
        if last.form.control == "return" or self.wrapping is not None:
            found.add(len(block.instructions) - 1)
        return found

    def eventful_lines(self, block: MachineBlock, index: int, own: list[Line]) -> list[Line]:
        """An instruction's lines with all that goes with it: moves, frames, remarks, poison."""
        shapes, frame, wrapping = self.target.shapes, self.frame, self.wrapping
        instruction = block.instructions[index]
        form, entry = instruction.form, self.target.calls.entry
        if own:
            last = own[-1]
            last.table = instruction.table
            if self.comments:
                last.comment = instruction.comment or self.definition_comment(instruction)
            if self.allocation.kept:
                last.kept = self.allocation.kept.get(id(instruction))
        groups = self.allocation.edits.get((block.index, index))
        new = self.edits(groups, instruction) if groups is not None else []
        moves = len(new)
        if form.control == "return":
            leaves = wrapping is None or wrapping.inside[block.index]
        else:
            leaves = wrapping is not None and block.index in wrapping.leave
            leaves = leaves and index == len(block.instructions) - 1
        if leaves:
            new += shapes.epilogue(frame)
        leaving = len(new)
        new += own
        done = len(new)
        if self.poison and (form is entry or instruction.is_call):
            # After allocation, so that nothing could make room for it.
            new += shapes.poison(_defined(instruction))
        if form is entry and wrapping is None:
            new += shapes.prologue(frame)
        if self.marks is not None:
            sizes = (moves, leaving - moves, done - leaving, len(new) - done)
            self.marks += marked(block.index, index, new, sizes)
        for line in new:
            line.line = instruction.line
        return new

    def definition_comment(self, instruction: MachineInstruction) -> str:
        registers = instruction.allocation or ()
        for operand, location in zip(instruction.operands, registers, strict=True):
            if operand.role == DEF and operand.register >= FIRST_VIRTUAL:
                return self.kept(operand.register, location) or self.name(operand.register)
        return ""


def _defined(instruction: MachineInstruction) -> int:
    """Mask of the registers in which an entry's parameters or a call's results arrive."""
    mask = 0
    for operand in instruction.operands:
        if operand.role == DEF and operand.constraint >= 0:
            mask |= 1 << operand.constraint
    return mask


def emit(
    function: MachineFunction,
    allocation: Allocation,
    target: Target,
    flow: Flow | None = None,
    *,
    poison: bool = False,
    comments: bool = True,
    wants_lines: bool = True,
) -> EmittedFunction:
    """Bytes, relocations and printable lines of an allocated function.

    With `poison` every call and the entry are followed by code that overwrites the
    registers that hold nothing there.  `comments`: the remarks of a listing are wanted;
    `wants_lines`: the lines are, and where they are.
    """
    emitter = _Emitter(function, allocation, target, flow, poison, comments)
    blocks = []
    for block in function.blocks:
        lines = emitter.block(block)
        blocks.append(EmittedBlock(block, lines, branches(lines)))
    repeated: list[tuple[Line, Line]] = []
    if len(blocks) > 1:
        forward_empty_blocks(blocks)
        blocks = reachable(blocks)
        repeated = repeat_returns(blocks)
        if repeated:
            blocks = reachable(blocks)
        fall_through(blocks, target)
    relax(blocks, target)
    result = EmittedFunction(function.name, function.display_name, blocks, emitter.frame)
    result.sites = function.sites
    result.marks = emitter.marks or []
    result.blurred = emitter.blurred
    if result.marks:
        repeat_marks(result.marks, result.blurred, repeated)
    _encode(result, target.instruction_size, wants_lines)
    return result


def _encode(function: EmittedFunction, uniform: int, wants_lines: bool) -> None:
    """Bytes, relocations, lines and calls; `uniform`: the size of all instructions, or 0.

    With `wants_lines` each line gets its offset and size.
    """
    blocks = function.blocks
    offsets = {emitted.block.index: emitted.offset for emitted in blocks}
    labelled: set[int] = set()
    words: list[int] = []
    code = bytearray()
    last_line = offset = 0
    size = uniform
    for emitted in blocks:
        for line in emitted.lines:
            form = line.form
            arguments = line.arguments
            if not uniform:
                size = line.size
            if wants_lines:
                line.offset, line.size = offset, size
            if form.control:
                if line.table is not None:
                    by_index = {one.block.index: one for one in blocks}
                    entries = [by_index[block.index] for block in line.table.blocks]
                    function.tables.append((line.table.symbol, entries))
                    labelled.update(block.index for block in line.table.blocks)
                if arguments and type(label := arguments[-1]) is MachineBlock:
                    labelled.add(label.index)
                    arguments = (*arguments[:-1], offsets[label.index] - offset)
                if form.is_call:
                    function.calls.append(EmittedCall(offset + size, line.line, line.kept))
            reference = line.reference
            if reference is not None:
                if not reference.relocation:
                    raise InternalError(f"{function.name}: {form.name} has no relocation type")
                # A field's relocation counts from behind the instruction (x86-64), which is
                # `field_end` bytes behind the field.
                end = form.field_end
                place = offset + size - end if end else offset
                function.relocations.append(
                    CodeRelocation(
                        place, reference.relocation, reference.name, reference.addend - end
                    )
                )
            try:
                if uniform:
                    words.append(form.encode(arguments))  # type: ignore[arg-type]
                else:
                    code += form.code(arguments)  # type: ignore[misc,arg-type]
            except ValueError as error:
                raise InternalError(f"{function.name}: {form.name}: {error}") from error
            if line.line != last_line and line.line:
                function.line_rows.append((offset, line.line))
                last_line = line.line
            offset += size
    for emitted in blocks:
        emitted.labelled = emitted.block.index in labelled
    if uniform:
        assert uniform == 4
        function.code = struct.pack(f"<{len(words)}I", *words)
    else:
        function.code = bytes(code)


__all__ = ["CodeRelocation", "EmittedBlock", "EmittedCall", "EmittedFunction", "emit"]
