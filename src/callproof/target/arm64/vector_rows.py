"""Rows of the instruction table: Advanced SIMD (DDI 0487, C4.1.96), by arrangement.

Written in the notation of `table.py`; the names of forms are explained in
`instructions.py`.  Arrangements are part of the name: `add_v4s`, `dup_v2d_x`.
"""

from __future__ import annotations

from callproof.target.arm64.table import Table

VECTOR = Table()
row = VECTOR.row

# A plain copy, so that it is known as one: ORR of a register with itself.
row(
    "mov_v16b",
    "mov",
    "0 1 0 01110 10 1 m:5 000111 n:5 d:5",
    "def:v16b@d use:v16b_twice@m+n",
    is_move=True,
)
_SIZES = {
    "8b": "0 00",
    "16b": "1 00",
    "4h": "0 01",
    "8h": "1 01",
    "2s": "0 10",
    "4s": "1 10",
    "2d": "1 11",
}
for _arrangement, _bits in _SIZES.items():
    _q, _size = _bits.split()
    for _name, _u, _opcode in (
        ("add", "0", "10000"),
        ("sub", "1", "10000"),
        ("mul", "0", "10011"),
        ("addp", "0", "10111"),
        ("cmeq", "1", "10001"),
        ("cmgt", "0", "00110"),
        ("smax", "0", "01100"),
        ("smin", "0", "01101"),
    ):
        if _arrangement == "2d" and _name in ("mul", "smax", "smin"):
            continue
        row(
            f"{_name}_v{_arrangement}",
            _name,
            f"0 {_q} {_u} 01110 {_size} 1 m:5 {_opcode} 1 n:5 d:5",
            f"def:v{_arrangement}@d use:v{_arrangement}@n use:v{_arrangement}@m",
        )
for _arrangement, _q, _sz in (("2s", "0", "0"), ("4s", "1", "0"), ("2d", "1", "1")):
    for _name, _u, _a, _opcode in (
        ("fadd", "0", "0", "11010"),
        ("fsub", "0", "1", "11010"),
        ("fmul", "1", "0", "11011"),
        ("fdiv", "1", "0", "11111"),
        ("fmax", "0", "0", "11110"),
        ("fmin", "0", "1", "11110"),
    ):
        row(
            f"{_name}_v{_arrangement}",
            _name,
            f"0 {_q} {_u} 01110 {_a} {_sz} 1 m:5 {_opcode} 1 n:5 d:5",
            f"def:v{_arrangement}@d use:v{_arrangement}@n use:v{_arrangement}@m",
        )
for _element, _general_kind, _imm in (
    ("b", "w", "lane:4 1"),
    ("h", "w", "lane:3 10"),
    ("s", "w", "lane:2 100"),
    ("d", "x", "lane:1 1000"),
):
    row(
        f"ins_{_element}_{_general_kind}",
        "mov",
        f"0 1 0 01110000 {_imm} 0 0011 1 n:5 d:5",
        f"use_def:v{_element}@d lane_{_element}@lane use:{_general_kind}@n",
        "{0}{1}, {2}",
    )
    row(
        f"umov_{_general_kind}_{_element}",
        "mov" if _element in "sd" else "umov",
        f"0 {int(_element == 'd')} 0 01110000 {_imm} 0 0111 1 n:5 d:5",
        f"def:{_general_kind}@d use:v{_element}@n lane_{_element}@lane",
        "{0}, {1}{2}",
    )
for _arrangement, _general_kind, _q, _imm in (
    ("8b", "w", "0", "00001"),
    ("16b", "w", "1", "00001"),
    ("4h", "w", "0", "00010"),
    ("8h", "w", "1", "00010"),
    ("2s", "w", "0", "00100"),
    ("4s", "w", "1", "00100"),
    ("2d", "x", "1", "01000"),
):
    row(
        f"dup_v{_arrangement}_{_general_kind}",
        "dup",
        f"0 {_q} 0 01110000 {_imm} 0 0001 1 n:5 d:5",
        f"def:v{_arrangement}@d use:{_general_kind}@n",
    )
