"""A function that ends by calling itself starts again instead: a loop, in one frame.

    f(n, s):                               f(n, s):
      ...                                    jump ^again(n, s)
      r = call f(n - 1, s * n)             ^again(n, s):
      return r                               ...
                                             jump ^again(n - 1, s * n)

A jump to a block that only returns counts as the return that it is.  Not where stack walks
show each call, in functions with stack slots (whose addresses the call may have been given:
each activation has its own), and not with objects passed by value or any number of
arguments.
"""

from __future__ import annotations

from callproof.ir.model import Block, Function, Instruction, Module, Operand, Target, Value
from callproof.ir.operations import CALL, JUMP, SLOT
from callproof.ir.places import PlaceNumber
from callproof.ir.shape import Shape
from callproof.passes.tail_calls import returned, same_values


def run(function: Function, module: Module, shape: Shape | None = None) -> bool:
    signature = function.signature
    if (
        module.trace_names
        or signature.variadic_from is not None
        or signature.result_in_memory
        or any(parameter.in_memory for parameter in signature.parameters)
    ):
        return False
    found = [block for block in function.blocks if _calls_itself(block, function)]
    if not found:
        return False
    for block in function.blocks:
        if any(instruction.operation is SLOT for instruction in block.instructions):
            return False
    again = _split_entry(function)
    for block in found:
        call = block.instructions[-2]
        del block.instructions[-2:]
        block.instructions.append(_jump(again, list(call.operands), call.line))
    if shape is not None:
        shape.forget()
    return True


def _calls_itself(block: Block, function: Function) -> bool:
    if len(block.instructions) < 2:
        return False
    call, last = block.instructions[-2:]
    if call.operation is not CALL or call.callee != function.name:
        return False
    if call.signature != function.signature:
        return False
    values = returned(last)
    return values is not None and same_values(values, call)


def _jump(block: Block, arguments: list[Operand], line: PlaceNumber) -> Instruction:
    jump = Instruction(JUMP, None, [], [], line)
    jump.targets = [Target(block, arguments)]
    return jump


def _split_entry(function: Function) -> Block:
    """The entry's code as a block that can be jumped to, with the function's parameters."""
    entry = function.blocks[0]
    names = {block.name for block in function.blocks}
    name = next(
        name
        for name in ("again", *(f"again{n}" for n in range(len(names) + 1)))
        if name not in names
    )
    again = Block(name)
    again.parameters, again.instructions = entry.parameters, entry.instructions
    incoming: list[Value] = []
    for parameter in again.parameters:
        parameter.block = again
        made = function.new_value(parameter.type, parameter.name)
        made.block = entry
        incoming.append(made)
    entry.parameters = incoming
    entry.instructions = [_jump(again, list(incoming), again.instructions[0].line)]
    function.blocks.insert(1, again)
    return again
