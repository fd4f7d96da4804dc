"""Calls, entries and returns: the only place where a `CallPlan` becomes instructions.

A call is one machine instruction.  Its register arguments are uses fixed in the
plan's registers and its results definitions fixed in the plan's; the allocator
makes all copies of one instruction one parallel move, so arguments cannot
overwrite each other.  Stack arguments are stored just before it, into the
outgoing area at SP; nothing moves SP in a function's body.

In the IR a value that a signature passes as a composite of several scalars is
that many SSA values; here each of them must be one part of the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.abi.plan import Assignment, CallPlan, InRegister, plan
from callproof.abi.types import leaves
from callproof.codegen.machine import (
    DEF,
    FLOAT,
    GENERAL,
    USE,
    FrameReference,
    MachineInstruction,
    Operand,
    StackSlot,
    SymbolReference,
)
from callproof.ir.model import Block, Instruction, Value
from callproof.ir.operations import CALL
from callproof.source import CallproofError, InternalError

if TYPE_CHECKING:
    from callproof.codegen.select import Selector


def _parts(assignment: Assignment, what: str) -> list[tuple[int, InRegister | int]]:
    """Size and place of each leaf: a register, or the offset in the argument area.

    Refuses what has no one-to-one relation between leaves and parts yet: values
    passed by reference, and composites with several members in one word.
    """
    scalars = leaves(assignment.type)
    if assignment.indirect or len(scalars) != len(assignment.parts):
        raise CallproofError(
            f"passing {what} of type {assignment.type} by value is not supported yet"
        )
    found: list[tuple[int, InRegister | int]] = []
    for (offset, scalar), part in zip(scalars, assignment.parts, strict=True):
        if part.offset != offset or part.size < scalar.size:
            raise CallproofError(
                f"passing {what} of type {assignment.type} by value is not supported yet"
            )
        location = part.location
        found.append(
            (scalar.size, location if isinstance(location, InRegister) else location.offset)
        )
    return found


def stack_slot(instruction: Instruction) -> StackSlot:
    return StackSlot(instruction.slot_name, instruction.size, instruction.alignment)


def _memory_size(size: int, register_class: int) -> int:
    """Bytes moved for a stack argument: integers by whole words (AAPCS64 C.16)."""
    return max(size, 8) if register_class == GENERAL else size


def lower_call(selector: Selector, instruction: Instruction) -> None:
    """Stack arguments, then the branch with its fixed operands and clobbers."""
    signature = instruction.signature
    if signature is None:
        raise InternalError(f"a call in @{selector.function.name} has no signature")
    target = selector.target
    forms = target.calls
    call_plan = plan(signature, target.convention)
    direct = instruction.operation is CALL
    arguments = instruction.operands if direct else instruction.operands[1:]

    places = []
    for index, assignment in enumerate(call_plan.parameters):
        name = assignment.name or f"argument {index + 1}"
        places += [(name, *part) for part in _parts(assignment, f"'{name}'")]
    if len(places) != len(arguments):
        raise InternalError(
            f"a call of @{instruction.callee} in @{selector.function.name} has "
            f"{len(arguments)} argument values where its signature has {len(places)}"
        )

    operands: list[Operand] = []
    immediates: list[object] = []
    if direct:
        form = forms.call
        immediates.append(SymbolReference(instruction.callee, forms.call_relocation))
        callee = instruction.callee
    else:
        form = forms.indirect_call
        operands.append(Operand(target.use(selector, instruction.operands[0]), USE))
        callee = "through a pointer"
    shown = []
    argument_names = {}
    for (name, size, place), argument in zip(places, arguments, strict=True):
        register_class = FLOAT if argument.type.is_float else GENERAL
        if isinstance(place, InRegister):
            operands.append(Operand(target.use(selector, argument), USE, place.register))
            argument_names[place.register] = name
            shown.append(f"{name}: {target.register_name(place.register, register_class, size)}")
            continue
        width = _memory_size(size, register_class)
        store = selector.emit(
            forms.store[register_class, width],
            target.use_stored(selector, argument),
            forms.stack_pointer,
            FrameReference("outgoing", 0, place),
        )
        store.comment = f"argument {name}"
        shown.append(f"{name}: [sp, #{place}]")
    if call_plan.result is not None:
        results = _parts(call_plan.result, "a result")
        for value, (_, place) in zip(instruction.results, results, strict=True):
            assert isinstance(place, InRegister)
            operands.append(Operand(selector.register(value), DEF, place.register))
    function = selector.module.functions.get(callee)
    shown_name = function.display_name if function else callee
    prefix = "" if function is None or shown_name == callee else f"{shown_name} "
    call = MachineInstruction(
        form,
        operands,
        immediates,
        clobbers=call_plan.clobbers,
        comment=f"{prefix}({', '.join(shown)})",
    )
    call.argument_names = argument_names
    selector.append(call)
    machine = selector.machine
    machine.outgoing_bytes = max(machine.outgoing_bytes, call_plan.stack_bytes)


def lower_return(selector: Selector, instruction: Instruction) -> None:
    """The result's parts into their registers, and the return; frame.py adds the epilogue."""
    target = selector.target
    signature = selector.function.signature
    call_plan = plan(signature, target.convention)
    operands = [Operand(register, USE) for register in target.calls.return_operands]
    if call_plan.result is not None:
        results = _parts(call_plan.result, "a result")
        for value, (_, place) in zip(instruction.operands, results, strict=True):
            assert isinstance(place, InRegister)
            operands.append(Operand(target.use(selector, value), USE, place.register))
    selector.append(MachineInstruction(target.calls.return_, operands))


def lower_entry(selector: Selector, block: Block) -> None:
    """Parameters in registers are definitions of `entry`; those on the stack are loaded.

    A stack parameter can be loaded again at any time (its memory is the caller's
    argument area, which nothing else writes), so it is never spilled.
    """
    target = selector.target
    forms = target.calls
    call_plan: CallPlan = plan(selector.function.signature, target.convention)
    places = []
    for assignment in call_plan.parameters:
        places += _parts(assignment, f"parameter '{assignment.name}'")
    entry = MachineInstruction(forms.entry, [])
    selector.append(entry)
    requested = selector.is_requested
    for value, (size, place) in zip(block.parameters, places, strict=True):
        if not requested(value):
            continue
        register = selector.register(value)
        if isinstance(place, InRegister):
            entry.operands.append(Operand(register, DEF, place.register))
            continue
        register_class = FLOAT if value.type.is_float else GENERAL
        load = selector.emit(
            forms.load[register_class, _memory_size(size, register_class)],
            register,
            forms.stack_pointer,
            FrameReference("incoming", 0, place),
        )
        load.comment = f"parameter {_name(value)}"
        selector.machine.rematerialise[register] = load


def _name(value: Value) -> str:
    return value.name or f"%{value.number}"
