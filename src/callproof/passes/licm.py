"""Loop-invariant code motion: what gives the same in each turn is computed before the loop.

Pure operations may always be computed early (none of them traps); a load only if nothing
in the loop may write what it reads, and if it cannot fail or would be executed anyway.
Instructions go to the outermost loop's preheader at which their operands are known.

What the processor does as a part of another instruction stays, unless that one moves too:
comparisons (flags), the sum that is one access's address, the shift that is one addition's
operand.  Each loop keeps a limited number of values; where it calls functions, whose
results of that kind must be saved, only dear operations move.
"""

from __future__ import annotations

from callproof.ir import debug
from callproof.ir import operations as op
from callproof.ir.loops import Loop
from callproof.ir.model import CONSTANT, SYMBOL, VALUE, Block, Function, Instruction, Operand, Value
from callproof.ir.operations import Operation
from callproof.ir.shape import Shape, shape_of
from callproof.ir.ssa import replace_operands
from callproof.passes.aliases import Memory, Place, place
from callproof.passes.preheaders import make_preheaders

# Values from outside that a loop may use, by register class (general, float).
MOST = (16, 20)
MOST_WITH_CALLS = (7, 6)
WIDEST = 16  # bytes of what one register holds

CALLS = frozenset((op.CALL, op.CALL_INDIRECT))
FOLDED_SHIFT = frozenset((op.ADD, op.SUB, op.AND, op.OR, op.XOR))
DEAR = frozenset(
    (
        *(op.MUL, op.SDIV, op.UDIV, op.SREM, op.UREM, op.FADD, op.FSUB, op.FMUL, op.FDIV),
        *(op.FSQRT, op.SITOF, op.FTOSI, op.FLOORTOSI, op.FEXT, op.FTRUNC),
    )
)
# Copies, or nothing at all: they move with what needs them only.
FREE = frozenset((op.BITCAST, op.TRUNC, op.EXTRACT, op.LOW, op.SLOT))


def run(function: Function, memory: Memory | None = None, shape: Shape | None = None) -> bool:
    """Move what is invariant, in place.  Without `memory` loads stay."""
    shape = shape_of(function, shape)
    return shape.has_loops() and _Mover(function, shape, memory).run()


class _Facts:
    """Of one loop, those in it included: what it writes, what it takes from outside."""

    __slots__ = ("has_calls", "kept", "stores", "taken")

    def __init__(self) -> None:
        self.has_calls = False
        self.stores: list[Place] = []
        self.taken: set[int] = set()
        self.kept = [0, 0]


class _Mover:
    __slots__ = (
        "facts",
        "function",
        "home",
        "level",
        "loops",
        "memory",
        "shape",
        "tree",
        "user",
        "users",
    )

    def __init__(self, function: Function, shape: Shape, memory: Memory | None) -> None:
        self.function = function
        self.shape = shape
        self.tree = shape.tree()
        self.loops = shape.loops()
        self.memory = memory
        count = function.next_number
        # By value number: the innermost loop around its definition, or around where it may go.
        self.home: list[Loop | None] = [None] * count
        self.users = [0] * count
        self.user: list[Instruction | None] = [None] * count
        self.facts = {loop: _Facts() for loop in self.loops.loops}
        # Instructions (by id) that may move, and the loop that they may leave.
        self.level: dict[int, Loop] = {}

    def run(self) -> bool:
        for position, block in enumerate(self.tree.order):
            loop = self.loops.innermost[position]
            for value in block.parameters:
                self.home[value.number] = loop
                if loop is not None and position == loop.header:
                    self.facts[loop].kept[value.type.is_float] += 1
            for instruction in block.instructions:
                self._survey(instruction, loop)
        self._count_outside_values()
        for position, block in enumerate(self.tree.order):
            loop = self.loops.innermost[position]
            if loop is None:
                continue
            for instruction in block.instructions:
                found = self._outermost(instruction, loop, position)
                if found is not None:
                    self.level[id(instruction)] = found
                    self.home[instruction.results[0].number] = found.parent
        return bool(self.level) and self._move()

    def _survey(self, instruction: Instruction, loop: Loop | None) -> None:
        for operand in instruction.operands:
            if operand.kind == VALUE:
                self.users[operand.number] += 1  # type: ignore[union-attr]
                self.user[operand.number] = instruction  # type: ignore[union-attr]
        for target in instruction.targets:
            for operand in target.arguments:
                if operand.kind == VALUE:
                    self.users[operand.number] += 1  # type: ignore[union-attr]
                    self.user[operand.number] = None  # type: ignore[union-attr]
        for result in instruction.results:
            self.home[result.number] = loop
        operation = instruction.operation
        if operation in CALLS:
            while loop is not None:
                self.facts[loop].has_calls = True
                loop = loop.parent
        elif operation.stores:
            written = place(instruction)
            while loop is not None:
                self.facts[loop].stores.append(written)
                loop = loop.parent

    def _count_outside_values(self) -> None:
        """What each loop uses of the values made before it takes registers all through it."""
        for position, block in enumerate(self.tree.order):
            innermost = self.loops.innermost[position]
            if innermost is None:
                continue
            for instruction in block.instructions:
                for operand in instruction.operands:
                    if operand.kind != VALUE:
                        continue
                    number = operand.number  # type: ignore[union-attr]
                    loop: Loop | None = innermost
                    while loop is not None and not _is_in(self.home[number], loop):
                        facts = self.facts[loop]
                        if number not in facts.taken:
                            facts.taken.add(number)
                            facts.kept[operand.type.is_float] += 1
                        loop = loop.parent

    # --- what may move, and to where ---------------------------------------------------

    def _outermost(self, instruction: Instruction, loop: Loop, position: int) -> Loop | None:
        """The outermost loop that the instruction may leave; None if it must stay."""
        operation = instruction.operation
        if operation.effect or operation is op.SLOT:
            return None
        result = instruction.results[0]
        if result.type.size > WIDEST:
            return None
        read = None
        if operation.reads:
            if self.memory is None:
                return None
            read = place(instruction)
        best: Loop | None = None
        around: Loop | None = loop
        while around is not None:
            if any(
                operand.kind == VALUE and _is_in(self.home[operand.number], around)  # type: ignore[union-attr]
                for operand in instruction.operands
            ):
                break
            if read is not None and not self._is_steady(read, around, position):
                break
            best = around
            around = around.parent
        return best

    def _is_steady(self, read: Place, loop: Loop, position: int) -> bool:
        """Whether a place may be read before the loop instead of at `position` in it."""
        assert self.memory is not None
        memory, facts = self.memory, self.facts[loop]
        if not memory.is_constant(read) and (
            facts.has_calls or any(memory.may_meet(read, other) for other in facts.stores)
        ):
            return False
        if memory.is_there(read) or position == loop.header:
            return True
        # Behind a call that does not come back the load would not have been reached.
        return not facts.has_calls and self._is_passed(loop, position)

    def _is_passed(self, loop: Loop, position: int) -> bool:
        """Whether each way from the loop's header out of it or around it goes by the block."""
        if self.loops.innermost[position] is not loop:
            return False
        tree = self.tree
        for member in loop.blocks:
            leaves = member in loop.latches or any(
                tree.index[successor] not in loop.members
                for successor in tree.order[member].successors()
            )
            if leaves and not tree.dominates(position, member):
                return False
        return True

    # --- which of them move ---------------------------------------------------------------

    def _move(self) -> bool:
        """Users before what they use, so that what moves along is known in time."""
        wanted: set[int] = set()
        moved: list[tuple[Loop, Instruction]] = []
        for block in reversed(self.tree.order):
            for instruction in reversed(block.instructions):
                loop = self.level.get(id(instruction))
                if loop is None:
                    continue
                result = instruction.results[0]
                along = result.number in wanted
                if along or (self._is_worth(instruction) and self._has_room(instruction, loop)):
                    moved.append((loop, instruction))
                    if not along:
                        self._occupy(result, block, loop)
                    for operand in instruction.operands:
                        if operand.kind == VALUE:
                            wanted.add(operand.number)  # type: ignore[union-attr]
        if not moved:
            return False
        gone = {id(instruction) for _, instruction in moved}
        for block in self.tree.order:
            kept = [i for i in block.instructions if id(i) not in gone]
            if len(kept) != len(block.instructions):
                block.instructions = kept
        left = {loop for loop, _ in moved}
        places = make_preheaders(
            self.function, self.shape, [loop for loop in self.loops.loops if loop in left]
        )
        known: dict[tuple[object, ...], Value] = {}
        renamed: dict[int, Operand] = {}
        for loop, instruction in reversed(moved):
            key = (id(loop), *_key(instruction))
            first = known.setdefault(key, instruction.results[0])
            if first is instruction.results[0]:
                instruction.line = debug.moved(instruction.line)
                places[loop].instructions.insert(-1, instruction)
            else:
                renamed[instruction.results[0].number] = first
        replace_operands(self.function, renamed)
        return True

    def _is_worth(self, instruction: Instruction) -> bool:
        """Whether an instruction of the loop is saved; not if it is a part of another."""
        operation = instruction.operation
        if operation.compares or operation in FREE:
            return False
        number = instruction.results[0].number
        user = self.user[number] if self.users[number] == 1 else None
        return user is None or not _is_folded(operation, instruction, user)

    def _has_room(self, instruction: Instruction, loop: Loop) -> bool:
        facts = self.facts[loop]
        if facts.has_calls and not (instruction.operation in DEAR or _reads_symbol(instruction)):
            return False
        most = MOST_WITH_CALLS if facts.has_calls else MOST
        class_ = instruction.results[0].type.is_float
        return facts.kept[class_] < most[class_]

    def _occupy(self, result: Value, block: Block, loop: Loop) -> None:
        """Count a value kept in all the loops that it now comes from outside of."""
        inner = self.loops.innermost[self.tree.index[block]]
        while inner is not None:
            self.facts[inner].kept[result.type.is_float] += 1
            if inner is loop:
                break
            inner = inner.parent


def _is_in(loop: Loop | None, other: Loop) -> bool:
    """Whether a loop is another one or in it."""
    while loop is not None and loop.depth > other.depth:
        loop = loop.parent
    return loop is other


def _reads_symbol(instruction: Instruction) -> bool:
    return instruction.operation.reads and instruction.operands[0].kind == SYMBOL


def _is_folded(operation: Operation, instruction: Instruction, user: Instruction) -> bool:
    """Whether the only user does the instruction's work too, at no cost."""
    if operation is op.ADD:
        accesses = user.operation.reads or user.operation.stores
        if not accesses or user.offset or user.operands[-1] is not instruction.results[0]:
            return False
        return all(operand.kind == VALUE for operand in instruction.operands)
    if operation is op.SHL:
        return instruction.operands[1].kind == CONSTANT and user.operation in FOLDED_SHIFT
    if operation is op.XOR:
        return user.operation in (op.AND, op.OR)
    return False


def _key(instruction: Instruction) -> tuple[object, ...]:
    operands: list[object] = []
    for operand in instruction.operands:
        if operand.kind == CONSTANT:
            operands.append(operand.key())  # type: ignore[union-attr]
        elif operand.kind == SYMBOL:
            operands.append((operand.name, operand.offset))  # type: ignore[union-attr]
        else:
            operands.append(operand.number)  # type: ignore[union-attr]
    return (instruction.operation.index, instruction.type, instruction.offset, *operands)


__all__ = ["CALLS", "run"]
