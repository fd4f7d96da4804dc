"""From allocated machine code to bytes: edits placed, frames written, branches relaxed.

The result is a list of `Line`s per block.  Bytes and the listing are both made
from these same lines, so that what is printed is what is encoded.
"""

from __future__ import annotations

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
        "frame",
        "function",
        "marks",
        "poison",
        "target",
        "used_saved",
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
        shapes, frame, entry = self.target.shapes, self.frame, self.target.calls.entry
        own_lines = shapes.instruction
        edits, kept, comments = self.allocation.edits, self.allocation.kept, self.comments
        number = block.index
        wrapping = self.wrapping
        inside = wrapping is None or wrapping.inside[number]
        lines: list[Line] = []
        last_index = -1
        if wrapping is not None:
            if number == wrapping.start:
                lines = shapes.prologue(frame)
            elif number in wrapping.left:
                lines = shapes.epilogue(frame)
            if number in wrapping.leave:
                last_index = len(block.instructions) - 1
            for line in lines:
                line.line = block.instructions[0].line
        for index, instruction in enumerate(block.instructions):
            form = instruction.form
            registers = instruction.allocation
            if registers is None:
                raise InternalError(f"{self.function.name}: an instruction has no allocation")
            if registers and registers[0] == IN_MEMORY:
                own = []  # a constant that is made where it is wanted
            else:
                own = own_lines(frame, instruction, registers)
            if own:
                last = own[-1]
                last.table = instruction.table
                if comments:
                    last.comment = instruction.comment or self.definition_comment(instruction)
                if kept:
                    last.kept = kept.get(id(instruction))
            groups = edits.get((number, index))
            new = self.edits(groups, instruction) if groups is not None else []
            moves = len(new)
            if (form.control == "return" and inside) or index == last_index:
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
                self.marks += marked(number, index, new, sizes)
            source_line = instruction.line
            for line in new:
                line.line = source_line
            lines += new
        if self.marks is None:
            return shapes.improve(lines)
        if self.function.debug is not None and self.function.debug.in_memory:
            return lines  # nothing that is known of variables may be blurred
        improved = shapes.improve(lines)
        self.blurred |= blurred_lines(lines, improved)
        return improved

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
) -> EmittedFunction:
    """Bytes, relocations and printable lines of an allocated function.

    With `poison` every call and the entry are followed by code that overwrites the
    registers that hold nothing there.  `comments`: the remarks of a listing are wanted.
    """
    emitter = _Emitter(function, allocation, target, flow, poison, comments)
    blocks = [EmittedBlock(block, emitter.block(block)) for block in function.blocks]
    for emitted in blocks:
        emitted.branches = _branches(emitted.lines)
    _forward_empty_blocks(blocks)
    blocks = reachable(blocks)
    repeated = repeat_returns(blocks)
    if repeated:
        blocks = reachable(blocks)
    _fall_through(blocks, target)
    _relax(blocks, target)
    result = EmittedFunction(function.name, function.display_name, blocks, emitter.frame)
    result.sites = function.sites
    result.marks = emitter.marks or []
    result.blurred = emitter.blurred
    if result.marks:
        repeat_marks(result.marks, result.blurred, repeated)
    _encode(result)
    return result


def _branches(lines: list[Line]) -> list[Line]:
    """Lines with labels, and jumps through tables."""
    return [
        line
        for line in lines
        if (line.arguments and type(line.arguments[-1]) is MachineBlock) or line.table is not None
    ]


def _label(line: Line) -> MachineBlock | None:
    """The block that a branch leads to: labels are always the last argument."""
    if line.arguments:
        last = line.arguments[-1]
        if isinstance(last, MachineBlock):
            return last
    return None


def _retarget(line: Line, block: MachineBlock) -> None:
    line.arguments = (*line.arguments[:-1], block)


def _forward_empty_blocks(blocks: list[EmittedBlock]) -> None:
    """Lead branches to a block that only jumps on straight to where it jumps."""
    forwards: dict[int, MachineBlock] = {}
    for emitted in blocks:
        if len(emitted.lines) == 1 and emitted.lines[0].form.control == "jump":
            label = _label(emitted.lines[0])
            if label is not None:
                forwards[emitted.block.index] = label

    def destination(block: MachineBlock) -> MachineBlock:
        seen = {block.index}
        while block.index in forwards and forwards[block.index].index not in seen:
            block = forwards[block.index]
            seen.add(block.index)
        return block

    if not forwards:
        return
    for emitted in blocks:
        for line in emitted.branches:
            label = _label(line)
            if label is not None and label.index in forwards:
                _retarget(line, destination(label))
            if line.table is not None:
                line.table.blocks = [destination(block) for block in line.table.blocks]


def _fall_through(blocks: list[EmittedBlock], target: Target) -> None:
    """Drop jumps to the next block; turn a branch round where that lets its jump drop."""
    for position, emitted in enumerate(blocks):
        lines = emitted.lines
        if position + 1 == len(blocks) or not lines or lines[-1].form.control != "jump":
            continue
        following = blocks[position + 1].block
        otherwise = _label(lines[-1])
        if otherwise is following:
            lines.pop()
            emitted.branches.pop()
            continue
        if len(lines) >= 2 and lines[-2].form.control == "branch":
            branch = lines[-2]
            if _label(branch) is following and otherwise is not None:
                inverted = target.shapes.invert(branch)
                _retarget(inverted, otherwise)
                lines[-2:] = [inverted]
                emitted.branches[-2:] = [inverted]


def _measure(lines: list[Line]) -> None:
    """Set sizes; those of some instructions depend on their operands, but no label's distance."""
    for line in lines:
        form = line.form
        line.size = form.size or form.measure(line.arguments)  # type: ignore[misc,arg-type]


def _relax(blocks: list[EmittedBlock], target: Target) -> None:
    """Set offsets; branches that do not reach become longer ones.

    Where there is no longer one, a jump is put behind the opposite branch.  Nothing ever
    gets shorter again, so this ends.
    """
    shapes = target.shapes
    for emitted in blocks:
        _measure(emitted.lines)
    while True:
        offset = 0
        for emitted in blocks:
            emitted.offset = offset
            for line in emitted.lines:
                line.offset = offset
                offset += line.size
        offsets = {emitted.block.index: emitted.offset for emitted in blocks}
        too_far = False
        for position, emitted in enumerate(blocks):
            for line in reversed(emitted.branches):
                label = _label(line)
                if label is None:
                    continue
                distance = offsets[label.index] - line.offset
                if shapes.lengthen(line, distance):
                    line.size = line.form.size
                    too_far = True
                    continue
                if line.form.control != "branch":
                    continue
                # A margin for what this round itself inserts between the two.
                if -shapes.reach(line) + 4096 <= distance < shapes.reach(line) - 4096:
                    continue
                too_far = True
                index = next(i for i, one in enumerate(emitted.lines) if one is line)
                _branch_far(blocks, position, index, label, target)
                break
        if not too_far:
            return


def _branch_far(
    blocks: list[EmittedBlock], position: int, index: int, label: MachineBlock, target: Target
) -> None:
    """`b.c far` becomes `b.!c next; b far; next:`; what follows moves into a block of its own."""
    emitted = blocks[position]
    rest = MachineBlock(f"{emitted.block.name}.far", 1 + max(b.block.index for b in blocks))
    inverted = target.shapes.invert(emitted.lines[index])
    _retarget(inverted, rest)
    tail = emitted.lines[index + 1 :]
    emitted.lines[index:] = [inverted, target.shapes.jump(label)]
    _measure(emitted.lines)
    emitted.branches = _branches(emitted.lines)
    blocks.insert(position + 1, EmittedBlock(rest, tail, branches=_branches(tail)))


def _encode(function: EmittedFunction) -> None:
    offsets = {emitted.block.index: emitted.offset for emitted in function.blocks}
    by_index = {emitted.block.index: emitted for emitted in function.blocks}
    labelled: set[int] = set()
    code = bytearray()
    last_line = 0
    for emitted in function.blocks:
        for line in emitted.lines:
            form = line.form
            arguments = line.arguments
            if line.table is not None:
                entries = [by_index[block.index] for block in line.table.blocks]
                function.tables.append((line.table.symbol, entries))
                labelled.update(block.index for block in line.table.blocks)
            if arguments and type(label := arguments[-1]) is MachineBlock:
                labelled.add(label.index)
                arguments = (*arguments[:-1], offsets[label.index] - line.offset)
            reference = line.reference
            if reference is not None:
                if not reference.relocation:
                    raise InternalError(f"{function.name}: {form.name} has no relocation type")
                # A field's relocation counts from behind the instruction (x86-64), which is
                # `field_end` bytes behind the field.
                end = form.field_end
                place = line.offset + line.size - end if end else line.offset
                function.relocations.append(
                    CodeRelocation(
                        place, reference.relocation, reference.name, reference.addend - end
                    )
                )
            try:
                word = form.encode(arguments)  # type: ignore[arg-type]
            except ValueError as error:
                raise InternalError(f"{function.name}: {form.name}: {error}") from error
            code += word.to_bytes(line.size, "little")
            if line.line and line.line != last_line:
                function.line_rows.append((line.offset, line.line))
                last_line = line.line
            if form.is_call:
                function.calls.append(EmittedCall(line.offset + line.size, line.line, line.kept))
    for emitted in function.blocks:
        emitted.labelled = emitted.block.index in labelled
    function.code = bytes(code)


__all__ = ["CodeRelocation", "EmittedBlock", "EmittedCall", "EmittedFunction", "emit"]
