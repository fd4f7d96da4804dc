"""Global value numbering: what a dominating instruction has computed is not computed again.

Pure operations are looked up in a table that follows the dominator tree.  Loads are
shared inside a block only, as long as nothing that may write memory comes between.
"""

from __future__ import annotations

from callproof.ir.model import CONSTANT, VALUE, Block, Function, Instruction, Value
from callproof.ir.operations import SLOT
from callproof.ir.shape import Shape, shape_of
from callproof.ir.ssa import replace_operands

Key = tuple[object, ...]


def _key(instruction: Instruction, renamed: dict[int, Value]) -> Key:
    keys: list[object] = []
    for operand in instruction.operands:
        if operand.kind == VALUE:
            number = operand.number  # type: ignore[union-attr]
            if number in renamed:
                number = renamed[number].number
            keys.append(number)
        elif operand.kind == CONSTANT:
            keys.append(operand.key())  # type: ignore[union-attr]
        else:
            keys.append((operand.name, operand.offset))  # type: ignore[union-attr]
    operation = instruction.operation
    if operation.commutative:
        first, second = keys
        if type(first) is int:  # values stand behind what is none, the older ones first
            if type(second) is not int or first > second:
                keys.reverse()
        elif type(second) is not int and str(first) > str(second):
            keys.reverse()
    type_ = instruction.type
    kind = type_.shape if type_ is not None else None
    return (operation, kind, instruction.results[0].type, instruction.offset, *keys)


def run(function: Function, shape: Shape | None = None) -> bool:
    tree = shape_of(function, shape).tree()
    renamed: dict[int, Value] = {}
    table: dict[Key, Value] = {}
    changed: dict[Block, None] = {}
    # Entries that a block adds are taken out again when the walk leaves its subtree.
    stack: list[tuple[int, list[Key] | None]] = [(0, None)]
    while stack:
        position, added = stack.pop()
        if added is not None:
            for key in added:
                del table[key]
            continue
        added = []
        stack.append((position, added))
        loads: dict[Key, Value] = {}
        for instruction in tree.order[position].instructions:
            operation = instruction.operation
            if operation.effect:
                if loads:
                    loads.clear()
                continue
            if operation is SLOT:
                continue
            key = _key(instruction, renamed)
            known = loads if operation.reads else table
            found = known.get(key)
            if found is not None:
                renamed[instruction.results[0].number] = found
                changed[tree.order[position]] = None
                if not found.name:
                    found.name = instruction.results[0].name
                continue
            known[key] = instruction.results[0]
            if known is table:
                added.append(key)
        if not added:
            stack.pop()
        for child in tree.children[position]:
            stack.append((child, None))
    if not renamed:
        return False
    for block in changed:
        block.instructions = [
            instruction
            for instruction in block.instructions
            if len(instruction.results) != 1 or instruction.results[0].number not in renamed
        ]
    replace_operands(function, dict(renamed))
    return True
