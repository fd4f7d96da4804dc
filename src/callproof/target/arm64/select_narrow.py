"""Selection rules: 64-bit operations of which less is wanted, or which are two simple ones.

They come before the general rules of their operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.codegen.target import Rule
from callproof.ir import operations as op
from callproof.ir import types
from callproof.ir.model import CONSTANT, Instruction
from callproof.target.arm64.select_integer import ADD, LSL, SUB, constant, width
from callproof.target.arm64.values import use

if TYPE_CHECKING:
    from callproof.codegen.select import Selector

LOW_WORD = 0xFFFF_FFFF
# Operations whose low 32 bits depend on the low 32 bits of their operands only.
FROM_THE_LOW_END = (op.XOR, op.ADD, op.SUB, op.MUL, op.OR, op.AND)


def low_word(s: Selector, i: Instruction) -> bool:
    """(a + b) & #xFFFFFFFF and the like: a W instruction clears the upper half."""
    if i.type is None or i.type.bits != 64 or constant(i.operands[1]) != LOW_WORD:
        return False
    for operation in FROM_THE_LOW_END:
        inner = s.only_use(i.operands[0], operation)
        if inner is None:
            continue
        narrow = Instruction(operation, types.I32, inner.operands, [])
        narrow.results = [i.result]  # not by the constructor: `i` is what defines it
        return any(rule.apply(s, narrow) for rule in s.target.rules[operation])
    return False


def multiply_by_sum(s: Selector, i: Instruction) -> bool:
    """x * (2**k + 1) is x + (x << k), x * (1 - 2**k) is x - (x << k)."""
    assert i.type is not None
    factor = constant(i.operands[1])
    if factor is None or i.operands[0].kind == CONSTANT:
        return False
    for power, forms in ((factor - 1, ADD), (1 - factor, SUB)):
        if power > 1 and not power & (power - 1):
            shift = power.bit_length() - 1
            if shift < i.type.bits:
                register = use(s, i.operands[0])
                form = width(forms, i.type)
                s.emit(form, s.register(i.result), register, register, LSL, shift)
                return True
    return False


RULES = [
    Rule("low_word", op.AND, low_word),
    Rule("multiply_by_sum", op.MUL, multiply_by_sum),
]
