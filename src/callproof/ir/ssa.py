"""Removal of block parameters that only ever stand for one value."""

from __future__ import annotations

from collections import deque

from callproof.ir.model import CONSTANT, VALUE, Block, Function, Operand, Target, Value
from callproof.ir.vectors import zero


def _same(first: Operand, second: Operand) -> bool:
    if first is second:
        return True
    if first.kind != second.kind or first.kind == VALUE:
        return False
    if first.kind == CONSTANT:
        return first.key() == second.key()  # type: ignore[union-attr]
    return first.name == second.name and first.offset == second.offset  # type: ignore[union-attr]


def _final(operand: Operand, replacements: dict[int, Operand]) -> Operand:
    """The end of a chain of replacements; the chain is shortened for whoever comes next."""
    passed = []
    while operand.kind == VALUE:
        number = operand.number  # type: ignore[union-attr]
        other = replacements.get(number)
        if other is None:
            break
        passed.append(number)
        operand = other
    for number in passed[:-1]:
        replacements[number] = operand
    return operand


def _replace(operands: list[Operand], replacements: dict[int, Operand]) -> None:
    for index, operand in enumerate(operands):
        if operand.kind == VALUE and operand.number in replacements:  # type: ignore[union-attr]
            operands[index] = _final(operand, replacements)


def replace_operands(function: Function, replacements: dict[int, Operand]) -> None:
    """Replace values (by number) everywhere; chains of replacements are followed."""
    if not replacements:
        return
    for block in function.blocks:
        for instruction in block.instructions:
            for operand in instruction.operands:
                if operand.kind == VALUE and operand.number in replacements:  # type: ignore[union-attr]
                    _replace(instruction.operands, replacements)
                    break
        for target in block.instructions[-1].targets:
            if target.arguments:
                _replace(target.arguments, replacements)
    if function.debug is not None:
        function.debug.replace(lambda operand: _final(operand, replacements))


def remove_trivial_parameters(function: Function) -> bool:
    """Delete parameters whose arguments are all one operand (or the parameter itself)."""
    # First come, first served: along a line of blocks each is seen after its predecessor.
    pending = deque([block for block in function.blocks[1:] if block.parameters])
    if not pending:
        return False
    edges: dict[Block, list[Target]] = {}
    readers: dict[int, list[Block]] = {}  # parameter's number -> blocks that it is passed to
    for block in function.blocks:
        for target in block.instructions[-1].targets:
            if not target.arguments:
                continue
            edges.setdefault(target.block, []).append(target)
            for operand in target.arguments:
                if operand.kind == VALUE and operand.definition is None:  # type: ignore[union-attr]
                    readers.setdefault(operand.number, []).append(target.block)  # type: ignore[union-attr]
    replacements: dict[int, Operand] = {}
    waiting = set(pending)
    while pending:
        block = pending.popleft()
        waiting.discard(block)
        incoming = edges.get(block, [])
        for index in range(len(block.parameters) - 1, -1, -1):
            parameter = block.parameters[index]
            only = _only_argument(parameter, index, incoming, replacements)
            if only is None:
                continue
            replacements[parameter.number] = only
            del block.parameters[index]
            for target in incoming:
                del target.arguments[index]
            # Blocks that were passed this parameter may have become trivial.
            followers = readers.get(parameter.number, [])
            for follower in followers:
                if follower not in waiting:
                    waiting.add(follower)
                    pending.append(follower)
            if followers and only.kind == VALUE:
                readers.setdefault(only.number, []).extend(followers)  # type: ignore[union-attr]
    replace_operands(function, replacements)
    return bool(replacements)


def _only_argument(
    parameter: Value, index: int, incoming: list[Target], replacements: dict[int, Operand]
) -> Operand | None:
    only: Operand | None = None
    for target in incoming:
        operand = target.arguments[index]
        if operand.kind == VALUE and operand.number in replacements:  # type: ignore[union-attr]
            operand = _final(operand, replacements)
        if operand is parameter:
            continue
        if only is None:
            only = operand
        elif not _same(only, operand):
            return None
    if only is None:
        return zero(parameter.type)
    return only
