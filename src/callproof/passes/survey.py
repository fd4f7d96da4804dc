"""What a function's code mentions and how large it is, from one walk over it."""

from __future__ import annotations

from callproof.ir.model import SYMBOL, Function
from callproof.ir.operations import CALL, CALL_INDIRECT, JUMP, RETURN, SLOT

CALL_COST = 2


class Survey:
    """Of a function as it was when it was looked at.

    size     about as many machine instructions as it has, without its frame
    stack    bytes of its slots
    calls    how often each function is called by its name, in order of the first calls
    symbols  names whose addresses it uses
    shown    those of them that are used for more than loads and stores there
    through_symbol  whether a call goes through the address of a symbol
    """

    __slots__ = ("calls", "shown", "size", "stack", "symbols", "through_symbol")

    def __init__(self, function: Function) -> None:
        self.calls: dict[str, int] = {}
        self.symbols: set[str] = set()
        self.shown: set[str] = set()
        self.through_symbol = False
        calls, symbols, shown = self.calls, self.symbols, self.shown
        size = stack = 0
        for block in function.blocks:
            instructions = block.instructions
            size += len(instructions)
            for instruction in instructions:
                operation = instruction.operation
                operands = instruction.operands
                for operand in operands:
                    if operand.kind == SYMBOL:
                        name: str = operand.name  # type: ignore[union-attr]
                        symbols.add(name)
                        if not operation.reads and (not operation.stores or operand is operands[0]):
                            shown.add(name)
                if operation is CALL:
                    size += CALL_COST - 1 + len(operands)
                    callee = instruction.callee
                    calls[callee] = calls.get(callee, 0) + 1
                elif operation is CALL_INDIRECT:
                    size += CALL_COST - 1 + len(operands)
                    if operands[0].kind == SYMBOL:
                        self.through_symbol = True
                elif operation is SLOT:
                    size -= 1
                    stack += instruction.size
                elif operation is JUMP or operation is RETURN:
                    size -= 1
            for target in instructions[-1].targets:
                for operand in target.arguments:
                    if operand.kind == SYMBOL:
                        symbols.add(operand.name)  # type: ignore[union-attr]
                        shown.add(operand.name)  # type: ignore[union-attr]
        self.size = size
        self.stack = stack


__all__ = ["CALL_COST", "Survey"]
