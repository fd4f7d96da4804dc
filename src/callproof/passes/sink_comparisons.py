"""Each branch and choice gets its comparison into its own block.

Code generation fuses a comparison with its reader only there; elsewhere its result would
be made a number, kept in a register and compared again.  The operands are alive at the
comparison's first place, so they can be at its readers.  What nobody reads any more is not
selected.
"""

from __future__ import annotations

from callproof.ir.model import VALUE, Function, Instruction
from callproof.ir.operations import BRANCH, SELECT


def run(function: Function) -> bool:
    changed = False
    for block in function.blocks:
        own: set[int] = set()
        copies: dict[int, Instruction] = {}
        found: list[tuple[int, Instruction]] = []
        for index, instruction in enumerate(block.instructions):
            operation = instruction.operation
            if operation.compares:
                own.add(instruction.results[0].number)
            if operation is not BRANCH and operation is not SELECT:
                continue
            condition = instruction.operands[0]
            if condition.kind != VALUE or condition.number in own:  # type: ignore[union-attr]
                continue
            definition = condition.definition  # type: ignore[union-attr]
            if definition is None or not definition.operation.compares:
                continue
            number = condition.number  # type: ignore[union-attr]
            copy = copies.get(number)
            if copy is None:
                copy = copies[number] = Instruction(
                    definition.operation,
                    definition.type,
                    list(definition.operands),
                    [function.new_value(condition.type)],
                    instruction.line,
                )
                found.append((index, copy))
            instruction.operands[0] = copy.results[0]
        for index, copy in reversed(found):
            block.instructions.insert(index, copy)
            changed = True
    return changed
