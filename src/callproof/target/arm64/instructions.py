"""THE instruction table of ARM64: one row per form, in `*_rows.py`, gathered here.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4 and
C6/C7.  The encoder, the assembly printer, the allocator's constraints and the
decoder all come from these rows (see `table.py` for the notation).

Names: mnemonic, operand width (x, w; b, h, s, d, q for SIMD and FP registers; v and
the arrangement for vectors), then what distinguishes the form: imm, shift, ext; and
for memory uimm (scaled), unscaled, reg, pre, post, off (of pairs), lit.
"""

from __future__ import annotations

from callproof.codegen.machine import Form
from callproof.target.arm64.float_rows import FLOATING
from callproof.target.arm64.integer_rows import INTEGER
from callproof.target.arm64.memory_rows import MEMORY
from callproof.target.arm64.table import Row
from callproof.target.arm64.vector_rows import VECTOR

ROWS: list[Row] = [*INTEGER.rows, *MEMORY.rows, *FLOATING.rows, *VECTOR.rows]
FORMS: dict[str, Form] = {entry.form.name: entry.form for entry in ROWS}
assert len(FORMS) == len(ROWS), "two rows have one name"


def form(form_name: str) -> Form:
    """The form of that name; KeyError if there is none."""
    return FORMS[form_name]


def _index() -> dict[int, list[Row]]:
    """Rows by the bits 24..31 of the words that they can match; more fixed bits first."""
    index: dict[int, list[Row]] = {top: [] for top in range(256)}
    for entry in sorted(ROWS, key=lambda r: -r.mask.bit_count()):
        for top in range(256):
            if (top << 24 ^ entry.fixed) & entry.mask & 0xFF000000 == 0:
                index[top].append(entry)
    return index


_BY_TOP: dict[int, list[Row]] = {}


def decode(word: int) -> tuple[Form, list[int]] | None:
    """The form and arguments of an instruction word; None if no row matches it."""
    if not _BY_TOP:
        _BY_TOP.update(_index())
    for entry in _BY_TOP[word >> 24]:
        arguments = entry.decode(word)
        if arguments is not None:
            return entry.form, arguments
    return None
