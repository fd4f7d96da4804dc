"""Random ARM64 instruction words, made from the rows of the instruction table."""

from __future__ import annotations

import random
from collections.abc import Sequence

from callproof.codegen.machine import Form
from callproof.target.arm64.instructions import decode
from callproof.target.arm64.table import Row


def unpredictable(form: Form, arguments: Sequence[int]) -> bool:
    """CONSTRAINED UNPREDICTABLE operands, which assemblers refuse (DDI 0487, K1.2)."""
    if form.memory and form.name.startswith(("stxr", "stlxr")):
        status, *sources = arguments
        return status in sources
    bases = [
        argument
        for spec, argument in zip(form.operands, arguments, strict=True)
        if form.memory and spec.role == "use_def"
    ]
    transferred = [
        argument
        for spec, argument in zip(form.operands, arguments, strict=True)
        if form.memory and spec.is_register and spec.role != "use_def"
    ]
    if any(base in transferred for base in bases):
        return True
    return form.name.startswith("ldp") and arguments[0] == arguments[1]


def random_word(row: Row, source: random.Random) -> int:
    """A word that decodes as this very row, with zeros, ones and equal registers more often
    than chance would have them: that is where aliases and special cases are."""
    for _ in range(2000):
        word = row.fixed
        equal = source.getrandbits(5) if source.random() < 0.2 else None
        for shift, width in row.fields.values():
            bits = source.choice((0, -1, source.getrandbits(width), source.getrandbits(width)))
            if width == 5 and equal is not None:
                bits = equal
            word |= (bits & ((1 << width) - 1)) << shift
        decoded = decode(word)
        if decoded is None or decoded[0] is not row.form or unpredictable(*decoded):
            continue
        # Bits that the processor ignores are written one way: a word stands for its meaning.
        return row.form.encode(decoded[1])
    raise AssertionError(f"no word decodes as {row.form.name}: the row is unreachable")
