"""Calls, entries and returns: the only place where a `CallPlan` becomes instructions.

A call is one machine instruction.  Its register arguments are uses fixed in the
plan's registers and its results definitions fixed in the plan's; the allocator
makes all copies of one instruction one parallel move, so arguments cannot
overwrite each other.  Stack arguments are stored just before it, into the
outgoing area at SP; nothing moves SP in a function's body.

`expand_calls.py` has run: there is one SSA value for each part of the plan, in its order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.abi.plan import CallPlan, Convention, InRegister, Part
from callproof.codegen.machine import (
    DEF,
    FLOAT,
    GENERAL,
    USE,
    Form,
    FrameReference,
    MachineInstruction,
    Operand,
    StackSlot,
    SymbolReference,
)
from callproof.codegen.pieces import passing
from callproof.ir.model import Block, Constant, Function, Instruction, Value
from callproof.ir.operations import CALL, RETURN, SLOT
from callproof.ir.types import I64, Type
from callproof.source import CallproofError, InternalError

if TYPE_CHECKING:
    from callproof.codegen.select import Selector


def stack_slot(instruction: Instruction) -> StackSlot:
    return StackSlot(instruction.slot_name, instruction.size, instruction.alignment)


def _stack_access(part: Part, type_: Type) -> tuple[int, int]:
    """Register class and bytes of a stack argument: integers by whole slots (AAPCS64 C.16)."""
    if type_.is_float:
        return FLOAT, type_.size
    assert not isinstance(part.location, InRegister)
    return GENERAL, min(part.location.size, 8)


def lower_call(selector: Selector, instruction: Instruction) -> None:
    """Stack arguments, then the branch with its fixed operands and clobbers."""
    signature = instruction.signature
    if signature is None:
        raise InternalError(f"a call in @{selector.function.name} has no signature")
    target = selector.target
    forms = target.calls
    known = passing(signature, target.convention)
    call_plan = known.plan
    if call_plan.stack_alignment > target.largest_stack_alignment:
        raise CallproofError(
            f"a call in {selector.function.display_name} needs SP aligned to "
            f"{call_plan.stack_alignment} bytes, which is not supported yet"
        )
    direct = instruction.operation is CALL
    arguments = instruction.operands if direct else instruction.operands[1:]
    parts = known.arguments
    if len(parts) != len(arguments):
        raise InternalError(
            f"a call of @{instruction.callee} in @{selector.function.name} has "
            f"{len(arguments)} argument values where its plan has {len(parts)} parts"
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
    for (name, part), argument in zip(parts, arguments, strict=True):
        place = part.location
        if isinstance(place, InRegister):
            operands.append(Operand(target.use(selector, argument), USE, place.register))
            if not selector.comments:
                continue
            register_class = FLOAT if argument.type.is_float else GENERAL
            argument_names[place.register] = name
            size = max(part.size, part.extend // 8)
            shown.append(f"{name}: {target.register_name(place.register, register_class, size)}")
            continue
        store = selector.emit(
            forms.store[_stack_access(part, argument.type)],
            target.use_stored(selector, argument),
            forms.stack_pointer,
            FrameReference("outgoing", 0, place.offset),
        )
        store.comment = f"argument {name}"
        shown.append(f"{name}: {target.assembly.stack.format(place.offset)}")
    for register, number in call_plan.constants:
        operands.append(Operand(target.use(selector, Constant(I64, number)), USE, register))
    if not (call_plan.result is not None and call_plan.result.indirect):
        for value, register in zip(instruction.results, known.results, strict=True):
            operands.append(Operand(selector.register(value), DEF, register))
    call = MachineInstruction(form, operands, immediates, clobbers=call_plan.clobbers)
    if selector.comments:
        function = selector.module.functions.get(callee)
        shown_name = function.display_name if function else callee
        prefix = "" if function is None or shown_name == callee else f"{shown_name} "
        call.comment = f"{prefix}({', '.join(shown)})"
    call.argument_names = argument_names
    selector.append(call)
    if instruction.object_address is not None:
        # ST(0) is stored, and popped, first.
        for offset in known.x87:
            _x87(selector, forms.store_x87, instruction, offset)
    machine = selector.machine
    if call_plan.stack_bytes > machine.outgoing_bytes:
        machine.outgoing_bytes = call_plan.stack_bytes
    if call_plan.stack_alignment > machine.stack_alignment:
        machine.stack_alignment = call_plan.stack_alignment


def _x87(selector: Selector, form: Form | None, instruction: Instruction, offset: int) -> None:
    """Load or store the top of the x87 stack at an offset from the result's memory."""
    address = instruction.object_address
    assert form is not None and address is not None
    selector.emit(form, selector.target.use(selector, address), offset)


def tail_call(function: Function, block: Block, convention: Convention) -> Instruction | None:
    """The block's last call if a jump can take its place and that of the return behind it.

    The front end, or a pass, allows it (`tail`); here is what else it takes: the callee's
    results come where ours do, nothing in our frame can be needed any more, and the stack
    arguments fit into the area that our caller made for ours.
    """
    instructions = block.instructions
    last = instructions[-1]
    if last.operation is not RETURN or len(instructions) < 2:
        return None
    call = instructions[-2]
    if not call.tail or call.signature is None:
        return None
    if last.operands and not (
        len(last.operands) == len(call.results)
        and all(a is b for a, b in zip(last.operands, call.results, strict=True))
    ):
        return None
    if any(i.operation is SLOT for one in function.blocks for i in one.instructions):
        return None
    our_passing, their_passing = (
        passing(signature, convention) for signature in (function.signature, call.signature)
    )
    ours, theirs = our_passing.plan, their_passing.plan
    if last.operands and (ours.result is None or _places(ours) != _places(theirs)):
        return None
    if any(one.result is not None and one.result.indirect for one in (ours, theirs)):
        return None  # its address would have to be handed on, and to be ours
    if our_passing.x87 or their_passing.x87:
        return None  # moved between memory and the x87 stack on the way
    if theirs.stack_bytes > ours.stack_bytes:
        return None
    if theirs.stack_alignment > convention.stack_alignment:
        return None
    return call


def _places(call_plan: CallPlan) -> tuple[Part, ...]:
    return () if call_plan.result is None else call_plan.result.parts


def writes_incoming(function: Function, convention: Convention) -> bool:
    """Whether a tail call stores arguments over our own stack parameters."""
    return any(
        call is not None
        and call.signature is not None
        and passing(call.signature, convention).plan.stack_bytes > 0
        for call in (tail_call(function, block, convention) for block in function.blocks)
    )


def lower_tail_call(selector: Selector, instruction: Instruction) -> None:
    """Stack arguments over our own, then the jump; frame.py adds the epilogue before it.

    All our stack parameters are in registers or in the frame by now: where a tail call
    has stack arguments they are not loaded again (`lower_entry`).
    """
    target = selector.target
    forms = target.calls
    signature = instruction.signature
    assert signature is not None
    known = passing(signature, target.convention)
    call_plan = known.plan
    direct = instruction.operation is CALL
    arguments = instruction.operands if direct else instruction.operands[1:]
    operands: list[Operand] = []
    immediates: list[object] = []
    form = forms.tail_call
    callee = instruction.callee if direct else "through a pointer"
    if direct:
        immediates.append(SymbolReference(instruction.callee, forms.tail_relocation))
    else:
        form = forms.indirect_tail_call
        pointer = target.use(selector, instruction.operands[0])
        operands.append(Operand(pointer, USE, forms.tail_register))
    operands += [Operand(register, USE) for register in forms.return_operands]
    shown = []
    stored = []
    for (name, part), argument in zip(known.arguments, arguments, strict=True):
        place = part.location
        if isinstance(place, InRegister):
            register_class = FLOAT if argument.type.is_float else GENERAL
            operands.append(Operand(target.use(selector, argument), USE, place.register))
            size = max(part.size, part.extend // 8)
            shown.append(f"{name}: {target.register_name(place.register, register_class, size)}")
            continue
        stored.append((name, part, argument, target.use_stored(selector, argument)))
        shown.append(f"{name}: {target.assembly.stack.format(place.offset)}")
    for name, part, argument, value in stored:
        assert not isinstance(part.location, InRegister)
        store = selector.emit(
            forms.store[_stack_access(part, argument.type)],
            value,
            forms.stack_pointer,
            FrameReference("incoming", 0, part.location.offset),
        )
        store.comment = f"argument {name}"
    for register, number in call_plan.constants:
        operands.append(Operand(target.use(selector, Constant(I64, number)), USE, register))
    function = selector.module.functions.get(callee)
    shown_name = function.display_name if function else callee
    prefix = "" if function is None or shown_name == callee else f"{shown_name} "
    comment = f"tail call {prefix}({', '.join(shown)})"
    selector.append(MachineInstruction(form, operands, immediates, comment=comment))


def lower_return(selector: Selector, instruction: Instruction) -> None:
    """The result's parts into their registers, and the return; frame.py adds the epilogue."""
    target = selector.target
    signature = selector.function.signature
    known = passing(signature, target.convention)
    operands = [Operand(register, USE) for register in target.calls.return_operands]
    for offset in reversed(known.x87):
        _x87(selector, target.calls.load_x87, instruction, offset)
    for value, register in zip(instruction.operands, known.results, strict=True):
        operands.append(Operand(target.use(selector, value), USE, register))
    selector.append(MachineInstruction(target.calls.return_, operands))


def lower_entry(selector: Selector, block: Block) -> None:
    """Parameters in registers are definitions of `entry`; those on the stack are loaded.

    A stack parameter can be loaded again at any time (its memory is the caller's
    argument area, which nothing writes but a tail call), so it is never spilled.
    """
    target = selector.target
    forms = target.calls
    known = passing(selector.function.signature, target.convention)
    entry = MachineInstruction(forms.entry, [])
    selector.append(entry)
    requested = selector.is_requested
    for value, (_, part) in zip(block.parameters, known.arguments, strict=True):
        if not requested(value):
            continue
        register = selector.register(value)
        place = part.location
        if isinstance(place, InRegister):
            entry.operands.append(Operand(register, DEF, place.register))
            continue
        load = selector.emit(
            forms.load[_stack_access(part, value.type)],
            register,
            forms.stack_pointer,
            FrameReference("incoming", 0, place.offset),
        )
        load.comment = f"parameter {_name(value)}"
        if not writes_incoming(selector.function, target.convention):
            selector.machine.rematerialise[register] = load


def _name(value: Value) -> str:
    return value.name or f"%{value.number}"
