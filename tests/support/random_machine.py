"""Random machine functions of made-up forms, and an interpreter for them.

The functions keep the rules of `codegen/machine.py` and use every kind of operand
that it has.  The interpreter runs a function as it is before allocation (values in
virtual registers) or after it (values in locations, with everything that an
instruction may change overwritten by rubbish); both give a trace of the values
that each instruction read, which must be the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from callproof.codegen.machine import (
    ANY,
    DEF,
    EARLY,
    FIRST_VIRTUAL,
    FLOAT,
    GENERAL,
    LATE,
    REGISTER,
    SAME_AS,
    STACK,
    USE,
    Allocation,
    Form,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    Operand,
    RegisterFile,
)
from callproof.codegen.parallel_move import sequence

SCRATCH_GENERAL, SCRATCH_FLOAT = (16, 17), (63,)


def form(name: str, control: str = "", *, is_move: bool = False) -> Form:
    def encode(arguments: Sequence[int]) -> int:
        raise AssertionError(f"{name} is only made up")

    def text(arguments: Sequence[int | str]) -> str:
        return f"{name} {', '.join(map(str, arguments))}"

    return Form(name, name, (), encode=encode, text=text, control=control, is_move=is_move)


ENTRY, OPERATE, COPY, CONSTANT = (
    form("entry"),
    form("op"),
    form("copy", is_move=True),
    form("const"),
)
CALL, BRANCH, JUMP = form("call", "call"), form("branch", "branch"), form("jump", "jump")
RETURN, DIVIDE = form("return", "return"), form("divide")


@dataclass(frozen=True)
class Machine:
    """A register file with its calling convention."""

    file: RegisterFile
    call_clobbers: int
    arguments: tuple[tuple[int, ...], tuple[int, ...]]  # by class


def _machine(general: Sequence[int], floats: Sequence[int], saved: Sequence[int]) -> Machine:
    kept = sum(1 << register for register in saved)
    order = [sorted(group, key=lambda r: (r in saved, r)) for group in (general, floats)]
    clobbers = sum(1 << r for r in (*general, *floats) if r not in saved)
    arguments = tuple(tuple(r for r in group if r not in saved)[:8] for group in order)
    return Machine(
        RegisterFile((tuple(order[0]), tuple(order[1])), kept),
        clobbers,
        (arguments[0], arguments[1]),
    )


MACHINES = {
    "three registers": _machine(range(3), range(32, 35), [2, 34]),
    "three registers, none preserved": _machine(range(3), range(32, 35), []),
    "six registers": _machine(range(6), range(32, 38), [4, 5, 37]),
    "ARM64-like": _machine(
        [*range(16), *range(19, 29)], range(32, 63), [*range(19, 29), *range(40, 48)]
    ),
}


def bits(mask: int) -> int:
    return mask.bit_count()


class _Builder:
    def __init__(self, random: Random, machine: Machine, blocks: int, length: int) -> None:
        self.random = random
        self.machine = machine
        self.function = MachineFunction("random")
        self.length = length
        self.pressure = random.choice((3, 6, 12, 40))  # how many recent values are used again
        self.wide = random.random() < 0.4
        self.calls = random.choice((0.0, 0.1, 0.3))
        self.odd_operands = random.random() < 0.5
        self.shape(blocks)

    # --- the flow graph ------------------------------------------------------------------

    def shape(self, count: int) -> None:
        """Random successors; then unreachable blocks go, critical edges get a block."""
        random = self.random
        successors: list[list[int]] = []
        for index in range(count):
            wanted = random.choices((0, 1, 2, 3), (1, 6, 8, 1))[0]
            if index == 0 and count > 1:
                wanted = max(wanted, 1)
            chosen: list[int] = []
            for _ in range(wanted if count > 1 else 0):
                if random.random() < 0.75:
                    to = min(count - 1, index + random.choice((1, 1, 2, 3)))
                else:
                    to = random.randrange(1, count)
                if to and to not in chosen:
                    chosen.append(to)
            successors.append(chosen)
        reached, pending = {0}, [0]
        while pending:
            for to in successors[pending.pop()]:
                if to not in reached:
                    reached.add(to)
                    pending.append(to)
        incoming = [0] * count
        for index in reached:
            for to in successors[index]:
                incoming[to] += 1
        order = sorted(reached)
        if random.random() < 0.2:  # any order of emission is allowed
            rest = order[1:]
            random.shuffle(rest)
            order = [0, *rest]
        made: dict[int, MachineBlock] = {}
        edges: list[tuple[int, int]] = []
        for index in order:
            made[index] = self.function.new_block(f"b{index}")
            if len(successors[index]) > 1:
                for to in successors[index]:
                    if incoming[to] > 1:
                        edges.append((index, to))
                        made[-len(edges)] = self.function.new_block(f"b{index}to{to}")
        names = {edge: -1 - number for number, edge in enumerate(edges)}
        for index in order:
            for to in successors[index]:
                middle = names.get((index, to))
                if middle is None:
                    made[index].successors.append(made[to])
                else:
                    made[index].successors.append(made[middle])
                    made[middle].successors.append(made[to])

    def dominators(self) -> list[set[int]]:
        blocks = self.function.blocks
        predecessors: list[list[int]] = [[] for _ in blocks]
        for block in blocks:
            for successor in block.successors:
                predecessors[successor.index].append(block.index)
        everything = set(range(len(blocks)))
        found = [everything.copy() for _ in blocks]
        found[0] = {0}
        changed = True
        while changed:
            changed = False
            for index in range(1, len(blocks)):
                new = set.intersection(*(found[p] for p in predecessors[index])) | {index}
                if new != found[index]:
                    found[index] = new
                    changed = True
        self.predecessors = predecessors
        return found

    # --- code ----------------------------------------------------------------------------

    def build(self) -> MachineFunction:
        random, function = self.random, self.function
        dominators = self.dominators()
        self.defined: list[list[int]] = [[] for _ in function.blocks]
        for block in function.blocks[1:]:
            if len(self.predecessors[block.index]) > 1:
                for _ in range(random.choice((0, 1, 2, 4))):
                    block.parameters.append(self.new())
                self.defined[block.index] += block.parameters
        # Dominators before what they dominate.
        for index in sorted(range(len(function.blocks)), key=lambda i: len(dominators[i])):
            known: list[int] = []
            for other in sorted(dominators[index], key=lambda i: len(dominators[i])):
                known += self.defined[other]
            self.block(function.blocks[index], known)
        return function

    def new(self, kind: int = -1) -> int:
        random = self.random
        if kind < 0:
            kind = random.choices((GENERAL, FLOAT), (3, 2))[0]
        size = 16 if kind == FLOAT and self.wide and random.random() < 0.4 else 8
        names = self.function.names
        return self.function.new_register(
            kind, f"n{len(names)}" if random.random() < 0.3 else "", size
        )

    def kind(self, register: int) -> int:
        return self.function.classes[register - FIRST_VIRTUAL]

    def size(self, register: int) -> int:
        return self.function.sizes[register - FIRST_VIRTUAL]

    def pick(self, kind: int = -1) -> int:
        """A value that is known here, mostly a recent one; a new constant if there is none."""
        pool = self.known
        if self.random.random() < 0.85:
            pool = pool[-self.pressure :]
        pool = [r for r in pool if kind < 0 or self.kind(r) == kind]
        if not pool:
            return self.constant(kind)
        return self.random.choice(pool)

    def constant(self, kind: int) -> int:
        register = self.new(kind)
        instruction = self.emit(CONSTANT, [Operand(register, DEF)])
        if self.random.random() < 0.7:
            self.function.rematerialise[register] = instruction
        return register

    def emit(self, which: Form, operands: list[Operand], clobbers: int = 0) -> MachineInstruction:
        self.serial += 1
        instruction = MachineInstruction(which, operands, [self.serial], clobbers=clobbers)
        self.here.instructions.append(instruction)
        for operand in operands:
            if operand.role == DEF and operand.register >= FIRST_VIRTUAL:
                self.known.append(operand.register)
                self.defined[self.here.index].append(operand.register)
        return instruction

    serial = 0

    def block(self, block: MachineBlock, known: list[int]) -> None:
        random = self.random
        self.here, self.known = block, known
        if block.index == 0:
            self.entry()
        for _ in range(random.randrange(self.length)):
            roll = random.random()
            if roll < self.calls:
                self.call()
            elif roll < self.calls + 0.1:
                self.constant(-1)
            elif roll < self.calls + 0.15:
                self.divide()
            elif roll < self.calls + 0.2:
                source = self.pick()
                copy = self.new(self.kind(source))
                self.emit(COPY, [Operand(copy, DEF), Operand(source, USE)])
            else:
                self.operation()
        self.terminate(block)

    def entry(self) -> None:
        operands = []
        for kind in (GENERAL, FLOAT):
            for register in self.machine.arguments[kind]:
                if self.random.random() < 0.5:
                    operands.append(Operand(self.new(kind), DEF, register))
        self.emit(ENTRY, operands)

    def operation(self) -> None:
        """Uses and definitions of all kinds, no more than the smallest class has room for."""
        random = self.random
        room = [len(group) for group in self.machine.file.allocatable]
        # Two are enough to see everything; definitions count with the uses, which is the worst.
        uses: list[Operand] = []
        for _ in range(random.choice((0, 1, 2, 2, 3))):
            register = self.pick()
            roll = random.random()
            if self.odd_operands and roll < 0.1:
                uses.append(Operand(register, USE, STACK))
            elif self.odd_operands and roll < 0.25:
                uses.append(Operand(register, USE, ANY))
            elif room[self.kind(register)]:
                room[self.kind(register)] -= 1
                late = self.odd_operands and roll < 0.35
                uses.append(Operand(register, USE, REGISTER, LATE if late else EARLY))
        if self.odd_operands and random.random() < 0.1:
            uses.append(Operand(random.choice((31, 64)), USE))
        tied: dict[int, int] = {}
        for index, use in enumerate(uses):
            kind = self.kind(use.register) if use.register >= FIRST_VIRTUAL else GENERAL
            plain = use.timing == EARLY and use.constraint == REGISTER
            if (
                use.register >= FIRST_VIRTUAL
                and plain
                and random.random() < 0.15
                and room[kind]
                and not tied.get(kind)
            ):
                tied[kind] = index
                room[kind] -= 1
        results: list[Operand] = []
        for index in tied.values():
            results.append(Operand(self.like(uses[index].register), DEF, SAME_AS + index))
        for _ in range(random.choice((0, 1, 1, 1, 2))):
            register = self.new()
            roll = random.random()
            if self.odd_operands and roll < 0.1:
                results.append(Operand(register, DEF, ANY))
            elif self.odd_operands and roll < 0.15:
                results.append(Operand(register, DEF, STACK))
            elif room[self.kind(register)]:
                room[self.kind(register)] -= 1
                early = self.odd_operands and roll < 0.3
                results.append(Operand(register, DEF, REGISTER, EARLY if early else LATE))
        self.emit(OPERATE, uses + results)

    def like(self, register: int) -> int:
        return self.function.new_register(self.kind(register), "", self.size(register))

    def call(self) -> None:
        """Arguments and results in fixed registers, sometimes a pointer and values anywhere."""
        random = self.random
        uses: list[Operand] = []
        free = [len(group) for group in self.machine.file.allocatable]
        for kind in (GENERAL, FLOAT):
            for register in self.machine.arguments[kind]:
                if free[kind] > 1 and random.random() < 0.5:
                    free[kind] -= 1
                    uses.append(Operand(self.pick(kind), USE, register))
        if random.random() < 0.3:
            uses.insert(0, Operand(self.pick(GENERAL), USE))
        if self.odd_operands:
            for _ in range(random.choice((0, 0, 1, 5))):
                uses.append(Operand(self.pick(), USE, random.choice((ANY, ANY, STACK))))
        results = []
        for kind in (GENERAL, FLOAT):
            for register in self.machine.arguments[kind][:2]:
                if random.random() < 0.4:
                    results.append(Operand(self.new(kind), DEF, register))
        self.emit(CALL, uses + results, self.machine.call_clobbers)

    def divide(self) -> None:
        """Like x86's division: two fixed registers read and written, one input elsewhere."""
        random = self.random
        first, second = self.machine.file.allocatable[GENERAL][:2]
        value = self.pick(GENERAL)
        operands = [Operand(value, USE, first)]
        if random.random() < 0.5:
            operands.append(Operand(self.pick(GENERAL), USE, second))
        late = LATE if random.random() < 0.5 else EARLY
        operands.append(Operand(self.pick(GENERAL), USE, REGISTER, late))
        operands.append(Operand(self.new(GENERAL), DEF, first))
        if random.random() < 0.5:
            operands.append(Operand(self.new(GENERAL), DEF, second))
        self.emit(DIVIDE, operands, 1 << second)

    def terminate(self, block: MachineBlock) -> None:
        if not block.successors:
            uses = []
            for kind in (GENERAL, FLOAT):
                for register in self.machine.arguments[kind][:2]:
                    if self.random.random() < 0.5:
                        uses.append(Operand(self.pick(kind), USE, register))
            self.emit(RETURN, uses)
            return
        if len(block.successors) == 1:
            for parameter in block.successors[0].parameters:
                block.arguments.append(self.matching(parameter))
        conditions = [self.pick() for _ in block.successors[1:]]
        for condition in conditions:
            self.emit(BRANCH, [Operand(condition, USE)])
        self.emit(JUMP, [])

    def matching(self, parameter: int) -> int:
        """An argument of the parameter's class and size."""
        kind, size = self.kind(parameter), self.size(parameter)
        pool = [r for r in self.known if self.kind(r) == kind and self.size(r) == size]
        if pool and self.random.random() < 0.95:
            return self.random.choice(pool[-2 * self.pressure :])
        register = self.like(parameter)
        instruction = self.emit(CONSTANT, [Operand(register, DEF)])
        if self.random.random() < 0.7:
            self.function.rematerialise[register] = instruction
        return register


def random_function(
    seed: int, machine: Machine, blocks: int = 12, length: int = 9
) -> MachineFunction:
    """A random function for the machine; the same for the same seed."""
    random = Random(seed)
    return _Builder(random, machine, random.randrange(1, blocks + 1), length).build()


def definitions_first(function: MachineFunction) -> list[MachineInstruction]:
    """Put definitions before uses in the instructions that could be plain, and give these."""
    found = []
    for block in function.blocks:
        for instruction in block.instructions:
            operands = instruction.operands
            if not instruction.clobbers and all(
                operand.constraint == REGISTER and operand.timing == operand.role
                for operand in operands
            ):
                operands.sort(key=lambda operand: -operand.role)
                found.append(instruction)
    return found


def make_plain(instruction: MachineInstruction) -> None:
    operands = instruction.operands
    instruction.registers = tuple(operand.register for operand in operands)
    instruction.defines = sum(operand.role == DEF for operand in operands)
    instruction._operands = None


# --- running ---------------------------------------------------------------------------------

Value = tuple[int, int]  # the low and the high eight bytes
Trace = list[tuple[int, tuple[Value, ...]]]
MASK = (1 << 61) - 1


def mix(*parts: int) -> int:
    result = 0x345678
    for part in parts:
        result = (result ^ part) * 1000003 & MASK
        result ^= result >> 29
    return result


class _Run(ABC):
    """What both ways of running share: what instructions compute and where branches go."""

    def __init__(self, function: MachineFunction, steps: int) -> None:
        self.function = function
        self.steps = steps
        self.trace: Trace = []

    def result(self, instruction: MachineInstruction, which: int, uses: list[Value]) -> Value:
        operand = instruction.operands[which]
        serial = instruction.immediates[0]
        assert isinstance(serial, int)
        if instruction.form is CONSTANT:  # the same whenever it is computed
            low = mix(serial)
        elif instruction.form is COPY:
            low = uses[0][0]
        else:
            low = mix(serial, which, len(self.trace), *(part for use in uses for part in use))
        wide = self.function.sizes[operand.register - FIRST_VIRTUAL] == 16
        return low, mix(low, 7) if wide else 0

    def go(self) -> Trace:
        block: MachineBlock | None = self.function.blocks[0]
        while block is not None:
            block = self.block(block)
        return self.trace

    def block(self, block: MachineBlock) -> MachineBlock | None:
        taken = 0
        for index, instruction in enumerate(block.instructions):
            if len(self.trace) >= self.steps:
                return None
            self.before(block, index)
            uses = self.execute(instruction)
            serial = instruction.immediates[0]
            assert isinstance(serial, int)
            self.trace.append((serial, tuple(uses)))
            control = instruction.form.control
            if control == "branch":
                if mix(len(self.trace), uses[0][0]) & 1:
                    return block.successors[taken]
                taken += 1
            elif control == "jump":
                self.arguments(block)
                return block.successors[taken]
            elif control == "return":
                return None
        raise AssertionError("a block without an end")

    @abstractmethod
    def before(self, block: MachineBlock, index: int) -> None: ...

    @abstractmethod
    def execute(self, instruction: MachineInstruction) -> list[Value]: ...

    @abstractmethod
    def arguments(self, block: MachineBlock) -> None: ...


class _RunVirtual(_Run):
    def __init__(self, function: MachineFunction, steps: int) -> None:
        super().__init__(function, steps)
        self.values: dict[int, Value] = {}

    def before(self, block: MachineBlock, index: int) -> None:
        pass

    def execute(self, instruction: MachineInstruction) -> list[Value]:
        operands = instruction.operands
        uses = [
            self.values[o.register]
            for o in operands
            if o.role == USE and o.register >= FIRST_VIRTUAL
        ]
        for which, operand in enumerate(operands):
            if operand.role == DEF:
                self.values[operand.register] = self.result(instruction, which, uses)
        return uses

    def arguments(self, block: MachineBlock) -> None:
        passed = [self.values[argument] for argument in block.arguments]
        self.values.update(zip(block.successors[0].parameters, passed, strict=bool(passed)))


class _RunAllocated(_Run):
    """Locations hold values; whatever may be overwritten is."""

    def __init__(
        self, function: MachineFunction, allocation: Allocation, machine: Machine, steps: int
    ) -> None:
        super().__init__(function, steps)
        self.allocation = allocation
        self.machine = machine
        self.places: dict[int, Value] = {}
        self.rubbish = 0

    def poison(self, place: int) -> None:
        self.rubbish += 1
        self.places[place] = (mix(self.rubbish, 99), mix(self.rubbish, 98))

    def read(self, place: int, register: int) -> Value:
        if place not in self.places:
            self.poison(place)
        low, high = self.places[place]
        return low, high if self.function.sizes[register - FIRST_VIRTUAL] == 16 else 0

    def before(self, block: MachineBlock, index: int) -> None:
        function = self.function
        for group in self.allocation.edits.get((block.index, index), ()):
            steps = sequence(
                group, SCRATCH_GENERAL, SCRATCH_FLOAT, function.classes, function.sizes
            )
            for step in steps:
                assert step.rematerialise or step.source >= 0 or step.destination >= 0
                value = (
                    self.result(step.rematerialise, 0, [])
                    if step.rematerialise
                    else self.read(step.source, step.register)
                )
                self.places[step.destination] = value
            for scratch in (*SCRATCH_GENERAL, *SCRATCH_FLOAT):
                self.poison(scratch)

    def execute(self, instruction: MachineInstruction) -> list[Value]:
        operands, places = instruction.operands, instruction.allocation
        assert places is not None
        pairs = list(zip(operands, places, strict=True))
        for operand, place in pairs:
            if operand.role == DEF and operand.timing == EARLY:
                self.poison(place)
        read: dict[int, Value] = {}
        for which, (operand, place) in enumerate(pairs):
            if (
                operand.role == USE
                and operand.timing == EARLY
                and operand.register >= FIRST_VIRTUAL
            ):
                read[which] = self.read(place, operand.register)
        for register in range(64):
            if instruction.clobbers >> register & 1:
                self.poison(register)
        for operand, place in pairs:
            if operand.role == DEF:
                self.poison(place)
        if instruction.is_call:  # of the wide registers only the low halves are preserved
            for register in self.machine.file.allocatable[FLOAT]:
                if register in self.places:
                    self.rubbish += 1
                    self.places[register] = (self.places[register][0], mix(self.rubbish, 97))
        for which, (operand, place) in enumerate(pairs):
            if operand.role == USE and operand.timing == LATE and operand.register >= FIRST_VIRTUAL:
                read[which] = self.read(place, operand.register)
        uses = [read[which] for which in sorted(read)]
        for which, (operand, place) in enumerate(pairs):
            if operand.role == DEF:
                self.places[place] = self.result(instruction, which, uses)
        return uses

    def arguments(self, block: MachineBlock) -> None:
        pass  # the moves have done it


def run_virtual(function: MachineFunction, steps: int = 300) -> Trace:
    """The trace of the function before allocation, of at most `steps` instructions."""
    return _RunVirtual(function, steps).go()


def run_allocated(
    function: MachineFunction, allocation: Allocation, machine: Machine, steps: int = 300
) -> Trace:
    """The trace of the function with its values where the allocation says."""
    return _RunAllocated(function, allocation, machine, steps).go()
