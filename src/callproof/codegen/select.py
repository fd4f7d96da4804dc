"""Instruction selection: the driver.  The rules are the target's.

Blocks are visited so that uses come before definitions (reverse of reverse
postorder, and backwards inside a block).  A rule that folds an operand's
definition into its own instruction simply does not ask for that operand's
register; a pure instruction whose register nobody asked for is not emitted at
all.  So folding needs no bookkeeping, and dead code vanishes.
"""

from __future__ import annotations

from callproof.codegen import calls
from callproof.codegen.machine import (
    FIRST_VIRTUAL,
    FLOAT,
    GENERAL,
    Form,
    JumpTable,
    MachineBlock,
    MachineFunction,
    MachineInstruction,
    Operand,
)
from callproof.codegen.machine_debug import MachineDebug
from callproof.codegen.target import Target
from callproof.ir.dominance import reverse_postorder
from callproof.ir.model import VALUE, Block, Function, Instruction, Module, Value
from callproof.ir.model import Operand as IrOperand
from callproof.ir.operations import (
    CALL,
    CALL_INDIRECT,
    LOAD,
    RETURN,
    SLOT,
    STORE,
    STORE8,
    STORE16,
    STORE32,
    SWITCH,
    Operation,
)
from callproof.ir.places import PlaceNumber
from callproof.ir.types import Type
from callproof.source import InternalError

STORES = (STORE, STORE8, STORE16, STORE32)


class Selector:
    """State of the selection of one function; the target's rules work on it."""

    __slots__ = (
        "_address_uses",
        "_block_index",
        "_done",
        "_epochs",
        "_home",
        "_line",
        "_machine_blocks",
        "_registers",
        "_slots",
        "block",
        "comments",
        "epoch",
        "function",
        "hits",
        "machine",
        "module",
        "target",
        "uses",
    )

    def __init__(
        self,
        module: Module,
        function: Function,
        target: Target,
        hits: dict[str, int] | None = None,
        comments: bool = True,
    ) -> None:
        self.comments = comments  # whether a listing will want to say what is passed where
        self.module = module
        self.function = function
        self.target = target
        self.machine = MachineFunction(function.name, function.display_name)
        self.machine.sites = function.sites
        self.hits = hits
        self._registers = [0] * function.next_number  # by value; 0: nobody asked for it
        # A block's code, the last first, but in order what belongs to the IR instruction that
        # is being selected.
        self._done: list[MachineInstruction] = []
        self._line: PlaceNumber = 0
        self._slots: dict[int, int] = {}
        self._machine_blocks: dict[int, MachineBlock] = {}
        # For each value (by number): how often it is used, and in which block it is defined.
        self.uses = [0] * function.next_number
        self._home = [-1] * function.next_number
        # For each load's result, and for the instruction being selected: how many
        # instructions with effects come before.
        self._epochs = [-1] * function.next_number
        self.epoch = 0
        self._block_index = 0
        self._address_uses: list[int] | None = None
        self.block: Block = function.blocks[0]

    # --- what rules may ask --------------------------------------------------------

    def register(self, value: Value) -> int:
        """The virtual register of a value; asking makes its definition be emitted."""
        number = value.number
        register = self._registers[number]
        if not register:
            type_ = value.type
            machine = self.machine
            classes = machine.classes
            register = self._registers[number] = FIRST_VIRTUAL + len(classes)
            classes.append(FLOAT if type_.is_float else GENERAL)
            machine.sizes.append(16 if type_.size == 16 else 8)
            machine.names.append(value.name)
        return register

    def is_requested(self, value: Value) -> bool:
        return self._registers[value.number] != 0

    def new_register(self, type_: Type, name: str = "") -> int:
        return self.machine.new_register(
            FLOAT if type_.is_float else GENERAL, name, 16 if type_.size == 16 else 8
        )

    def definition(self, operand: IrOperand, operation: Operation) -> Instruction | None:
        """The operand's defining instruction, if it is that operation in this block."""
        if operand.kind != VALUE:
            return None
        assert isinstance(operand, Value)
        definition = operand.definition
        if (
            definition is None
            or definition.operation is not operation
            or self._home[operand.number] != self._block_index
        ):
            return None
        return definition

    def only_use(self, operand: IrOperand, operation: Operation) -> Instruction | None:
        """Like `definition`, and nothing else uses the value: folding it saves an instruction."""
        definition = self.definition(operand, operation)
        if definition is None or self.uses[definition.results[0].number] != 1:
            return None
        return definition

    def only_addresses(self, value: Value) -> bool:
        """Whether nothing but loads and stores of the value's own block use it, as addresses
        without an offset: who folds it into all of these has it made nowhere."""
        counts = self._address_uses
        if counts is None:
            counts = self._address_uses = [0] * self.function.next_number
            home = self._home
            for index, block in enumerate(reverse_postorder(self.function)):
                for instruction in block.instructions:
                    operation = instruction.operation
                    if instruction.offset:
                        continue
                    if operation.reads:
                        address = instruction.operands[0]
                    elif operation in STORES:
                        address = instruction.operands[1]
                    else:
                        continue
                    if address.kind == VALUE and home[address.number] == index:  # type: ignore[union-attr]
                        counts[address.number] += 1  # type: ignore[union-attr]
        return counts[value.number] == self.uses[value.number]

    def loaded(self, operand: IrOperand, operation: Operation = LOAD) -> Instruction | None:
        """The load of a value that only this instruction uses, if it may as well be done here."""
        load = self.only_use(operand, operation)
        if load is None or self._epochs[load.results[0].number] != self.epoch:
            return None
        return load

    def comparison(self, operand: IrOperand) -> Instruction | None:
        """The comparison in this block that computes the operand, if one does."""
        if operand.kind != VALUE:
            return None
        assert isinstance(operand, Value)
        definition = operand.definition
        if (
            definition is None
            or not definition.operation.compares
            or self._home[operand.number] != self._block_index
        ):
            return None
        return definition

    def slot(self, instruction: Instruction) -> int:
        """The index of the stack slot that a `slot` instruction makes."""
        assert instruction.operation is SLOT
        return self._slots[instruction.results[0].number]

    def machine_block(self, block: Block) -> MachineBlock:
        return self._machine_blocks[id(block)]

    def jump_table(self, instruction: Instruction) -> JumpTable:
        """The table of a `switch` (see `passes/lower_switch.py`)."""
        blocks = [self.machine_block(target.block) for target in instruction.targets[1:]]
        number = self.machine.tables
        self.machine.tables += 1
        return JumpTable(f"{self.machine.name}.switch{number}", blocks)

    # --- what rules may do ---------------------------------------------------------

    def emit(self, form: Form, *arguments: object) -> MachineInstruction:
        """Append an instruction with its arguments in assembly order."""
        count = form.leading
        if count >= 0 and len(arguments) == len(form.roles):
            instruction = MachineInstruction(
                form,
                None,
                arguments[count:],
                arguments[:count],  # type: ignore[arg-type]
                form.defines,
            )
        else:
            pairs = list(zip(form.roles, arguments, strict=True))
            operands = [Operand(a, role) for role, a in pairs if role >= 0]  # type: ignore[arg-type]
            instruction = MachineInstruction(form, operands, [a for role, a in pairs if role < 0])
        instruction.line = self._line
        self._done.append(instruction)
        return instruction

    def append(self, instruction: MachineInstruction) -> None:
        instruction.line = self._line
        self._done.append(instruction)

    # --- the driver ------------------------------------------------------------------

    def run(self) -> MachineFunction:
        machine = self.machine
        blocks = self.function.blocks
        order = reverse_postorder(self.function) if len(blocks) > 1 else blocks
        ends = self._survey(order)
        for index in range(len(order) - 1, -1, -1):
            self.epoch = ends[index]
            self._select_block(order[index], index)
        if self.function.debug is not None:
            debug = self.module.debug
            machine.debug = MachineDebug(
                self.function.debug,
                {number: one for number, one in enumerate(self._registers) if one},
                self._slots,
                debug is not None and debug.in_memory,
            )
        return machine

    def _survey(self, order: list[Block]) -> list[int]:
        """Count uses, note homes and epochs, make blocks and slots; the blocks' ends as epochs."""
        machine, uses, home, epochs = self.machine, self.uses, self._home, self._epochs
        ends = []
        epoch = 0
        for index, block in enumerate(order):
            self._machine_blocks[id(block)] = machine.new_block(block.name)
            for instruction in block.instructions:
                operation = instruction.operation
                for operand in instruction.operands:
                    if operand.kind == VALUE:
                        uses[operand.number] += 1  # type: ignore[union-attr]
                if operation.effect and not operation.reads:
                    epoch += 1
                for result in instruction.results:
                    home[result.number] = index
                    if operation.reads:
                        epochs[result.number] = epoch
                    elif operation is SLOT:
                        self._slots[result.number] = len(machine.slots)
                        machine.slots.append(calls.stack_slot(instruction))
            for target in block.instructions[-1].targets:
                for operand in target.arguments:
                    if operand.kind == VALUE:
                        uses[operand.number] += 1  # type: ignore[union-attr]
            ends.append(epoch)
        return ends

    def _select_block(self, block: Block, index: int) -> None:
        self._block_index = index
        self.block = block
        machine_block = self._machine_blocks[id(block)]
        instructions = block.instructions
        last = instructions[-1]
        if last.targets:
            targets = [self._machine_blocks[id(target.block)] for target in last.targets]
            # Several entries of a table may lead to one block.
            is_table = last.operation is SWITCH
            machine_block.successors = list(dict.fromkeys(targets)) if is_table else targets
        else:
            tail = calls.tail_call(self.function, block, self.target.convention)
            if tail is not None:
                instructions = instructions[:-2]  # the return is its own
                self.epoch -= 2
                self._line = tail.line
                calls.lower_tail_call(self, tail)
                self._done.reverse()
        machine = self.machine
        constants = len(machine.rematerialise) + len(machine.movable)
        registers = self._registers
        rules_of = self.target.rules.get
        vector_rules_of = (self.target.vector_rules or self.target.rules).get
        done = self._done
        for instruction in reversed(instructions):
            operation = instruction.operation
            if operation.effect:
                self.epoch -= 1
            else:
                for result in instruction.results:
                    if registers[result.number]:
                        break
                else:
                    continue
            self._line = instruction.line
            start = len(done)
            # Rules choose by width, so a vector must never reach one for scalars.
            type_ = instruction.type
            if type_ is not None and (
                type_.lanes > 1 or (instruction.operands and instruction.operands[0].type.lanes > 1)
            ):
                rules = vector_rules_of(operation, ())
            else:
                rules = rules_of(operation, ())
            for rule in rules:
                if rule.apply(self, instruction):
                    if self.hits is not None:
                        self.hits[rule.name] = self.hits.get(rule.name, 0) + 1
                    break
            else:
                self._lower(instruction)
            if len(done) - start > 1:
                done[start:] = reversed(done[start:])
        if index == 0:
            self._line = 0
            start = len(done)
            calls.lower_entry(self, block)
            done[start:] = reversed(done[start:])
        elif block.parameters:
            machine_block.parameters = [self.register(value) for value in block.parameters]
        made = len(machine.rematerialise) + len(machine.movable)
        machine_block.makes_constants = made != constants
        done.reverse()
        machine_block.instructions = done
        self._done = []

    def _lower(self, instruction: Instruction) -> None:
        """What no rule is for: calls and returns."""
        operation = instruction.operation
        if operation is CALL or operation is CALL_INDIRECT:
            calls.lower_call(self, instruction)
        elif operation is RETURN:
            calls.lower_return(self, instruction)
        else:
            raise InternalError(
                f"{self.target.name}: no rule selects '{operation}' of type "
                f"{instruction.type} in @{self.function.name}"
            )


def select(
    module: Module,
    function: Function,
    target: Target,
    hits: dict[str, int] | None = None,
    comments: bool = True,
) -> MachineFunction:
    """Machine code in SSA form for a function that has been through `passes.prepare`."""
    return Selector(module, function, target, hits, comments).run()
