"""Rows of the instruction table: Advanced SIMD (DDI 0487, C4.1.96), by arrangement.

Written in the notation of `table.py`; the names of forms are explained in
`instructions.py`.  Arrangements are part of the name: `add_v4s`, `dup_v2d_x`.
"""

from __future__ import annotations

from callproof.target.arm64.table import Table

VECTOR = Table()
row = VECTOR.row

# arrangement, Q, size
INTEGERS = (
    ("8b", "0", "00"),
    ("16b", "1", "00"),
    ("4h", "0", "01"),
    ("8h", "1", "01"),
    ("2s", "0", "10"),
    ("4s", "1", "10"),
    ("2d", "1", "11"),
)
# arrangement, Q, sz
FLOATS = (("2s", "0", "0"), ("4s", "1", "0"), ("2d", "1", "1"))

# A plain copy, so that it is known as one: ORR of a register with itself.  Before ORR, which
# has the same fixed bits: the first of two such rows is the one that decodes.
row(
    "mov_v16b",
    "mov",
    "0 1 0 01110 10 1 m:5 000111 n:5 d:5",
    "def:v16b@d use:v16b_twice@m+n",
    is_move=True,
)
row("movi_v2d_zero", "movi", "0 1 1 0111100000 000 1110 01 00000 d:5", "def:v2d@d", "{0}, #0")


def _three(
    name: str, arrangement: str, start: str, opcode: str, *, accumulates: bool = False
) -> None:
    kind = f"v{arrangement}"
    row(
        f"{name}_{kind}",
        name,
        f"{start} 1 m:5 {opcode} 1 n:5 d:5",
        f"{'use_def' if accumulates else 'def'}:{kind}@d use:{kind}@n use:{kind}@m",
    )


# --- three registers of one arrangement -------------------------------------------------------

for _arrangement, _q in (("8b", "0"), ("16b", "1")):
    for _name, _u, _size in (
        ("and", "0", "00"),
        ("bic", "0", "01"),
        ("orr", "0", "10"),
        ("orn", "0", "11"),
        ("eor", "1", "00"),
        ("bsl", "1", "01"),
        ("bit", "1", "10"),
        ("bif", "1", "11"),
    ):
        _three(
            _name,
            _arrangement,
            f"0 {_q} {_u} 01110 {_size}",
            "00011",
            accumulates=_name in ("bsl", "bit", "bif"),
        )

for _arrangement, _q, _size in INTEGERS:
    for _name, _u, _opcode in (
        ("add", "0", "10000"),
        ("sub", "1", "10000"),
        ("mul", "0", "10011"),
        ("mla", "0", "10010"),
        ("mls", "1", "10010"),
        ("addp", "0", "10111"),
        ("cmeq", "1", "10001"),
        ("cmgt", "0", "00110"),
        ("cmge", "0", "00111"),
        ("cmhi", "1", "00110"),
        ("cmhs", "1", "00111"),
        ("sshl", "0", "01000"),
        ("ushl", "1", "01000"),
        ("smax", "0", "01100"),
        ("smin", "0", "01101"),
        ("umax", "1", "01100"),
        ("umin", "1", "01101"),
        ("smaxp", "0", "10100"),
        ("sminp", "0", "10101"),
    ):
        if _arrangement == "2d" and _name in "mul mla mls smax smin umax umin smaxp sminp".split():
            continue
        _three(
            _name,
            _arrangement,
            f"0 {_q} {_u} 01110 {_size}",
            _opcode,
            accumulates=_name in ("mla", "mls"),
        )
    for _name, _opcode in (
        ("uzp1", "001"),
        ("trn1", "010"),
        ("zip1", "011"),
        ("uzp2", "101"),
        ("trn2", "110"),
        ("zip2", "111"),
    ):
        _kind = f"v{_arrangement}"
        row(
            f"{_name}_{_kind}",
            _name,
            f"0 {_q} 0 01110 {_size} 0 m:5 0 {_opcode} 10 n:5 d:5",
            f"def:{_kind}@d use:{_kind}@n use:{_kind}@m",
        )

for _arrangement, _q, _sz in FLOATS:
    for _name, _u, _a, _opcode in (
        ("fadd", "0", "0", "11010"),
        ("fsub", "0", "1", "11010"),
        ("fmul", "1", "0", "11011"),
        ("fdiv", "1", "0", "11111"),
        ("fmla", "0", "0", "11001"),
        ("fmls", "0", "1", "11001"),
        ("fmax", "0", "0", "11110"),
        ("fmin", "0", "1", "11110"),
        ("fmaxnm", "0", "0", "11000"),
        ("fminnm", "0", "1", "11000"),
        ("faddp", "1", "0", "11010"),
        ("fcmeq", "0", "0", "11100"),
        ("fcmge", "1", "0", "11100"),
        ("fcmgt", "1", "1", "11100"),
    ):
        _three(
            _name,
            _arrangement,
            f"0 {_q} {_u} 01110 {_a}{_sz}",
            _opcode,
            accumulates=_name in ("fmla", "fmls"),
        )

row(
    "ext_v16b",
    "ext",
    "0 1 1 01110 00 0 m:5 0 from:4 0 n:5 d:5",
    "def:v16b@d use:v16b@n use:v16b@m u4@from",
)

# --- two registers ------------------------------------------------------------------------------

for _arrangement, _q, _size in INTEGERS:
    for _name, _u in (("abs", "0"), ("neg", "1")):
        row(
            f"{_name}_v{_arrangement}",
            _name,
            f"0 {_q} {_u} 01110 {_size} 10000 01011 10 n:5 d:5",
            f"def:v{_arrangement}@d use:v{_arrangement}@n",
        )
for _arrangement, _q in (("8b", "0"), ("16b", "1")):
    for _name, _mnemonic, _u in (("cnt", "cnt", "0"), ("not", "mvn", "1")):
        row(
            f"{_name}_v{_arrangement}",
            _mnemonic,
            f"0 {_q} {_u} 01110 00 10000 00101 10 n:5 d:5",
            f"def:v{_arrangement}@d use:v{_arrangement}@n",
        )
for _arrangement, _q, _sz in FLOATS:
    for _name, _u, _a, _opcode in (
        ("fabs", "0", "1", "01111"),
        ("fneg", "1", "1", "01111"),
        ("fsqrt", "1", "1", "11111"),
        ("scvtf", "0", "0", "11101"),
        ("ucvtf", "1", "0", "11101"),
        ("fcvtzs", "0", "1", "11011"),
        ("fcvtzu", "1", "1", "11011"),
        ("frintm", "0", "0", "11001"),
        ("frintz", "0", "1", "11001"),
    ):
        row(
            f"{_name}_v{_arrangement}",
            _name,
            f"0 {_q} {_u} 01110 {_a}{_sz} 10000 {_opcode} 10 n:5 d:5",
            f"def:v{_arrangement}@d use:v{_arrangement}@n",
        )

# Over all elements; the sum of `saddlv` is twice as wide as they are.
for _arrangement, _q, _size, _element, _wide in (
    ("8b", "0", "00", "b", "h"),
    ("16b", "1", "00", "b", "h"),
    ("4h", "0", "01", "h", "s"),
    ("8h", "1", "01", "h", "s"),
    ("4s", "1", "10", "s", "d"),
):
    for _name, _to, _opcode in (
        ("addv", _element, "11011"),
        ("saddlv", _wide, "00011"),
        ("smaxv", _element, "01010"),
        ("sminv", _element, "11010"),
    ):
        row(
            f"{_name}_{_to}_v{_arrangement}",
            _name,
            f"0 {_q} 0 01110 {_size} 11000 {_opcode} 10 n:5 d:5",
            f"def:{_to}@d use:v{_arrangement}@n",
        )
for _arrangement, _q, _size, _wide in (
    ("8b", "0", "00", "4h"),
    ("16b", "1", "00", "8h"),
    ("4h", "0", "01", "2s"),
    ("8h", "1", "01", "4s"),
    ("2s", "0", "10", "1d"),
    ("4s", "1", "10", "2d"),
):
    row(
        f"saddlp_v{_wide}_v{_arrangement}",
        "saddlp",
        f"0 {_q} 0 01110 {_size} 10000 00010 10 n:5 d:5",
        f"def:v{_wide}@d use:v{_arrangement}@n",
    )
row("fcvtl_v2d_v2s", "fcvtl", "0 0 0 01110 01 10000 10111 10 n:5 d:5", "def:v2d@d use:v2s@n")
row("addp_d_v2d", "addp", "01 0 11110 11 11000 11011 10 n:5 d:5", "def:d@d use:v2d@n")
row("faddp_s_v2s", "faddp", "01 1 11110 00 11000 01101 10 n:5 d:5", "def:s@d use:v2s@n")
row("faddp_d_v2d", "faddp", "01 1 11110 01 11000 01101 10 n:5 d:5", "def:d@d use:v2d@n")

# Shifts by a constant.
for _arrangement, _q, _immh, _bits in (
    ("8b", "0", "0001", 8),
    ("16b", "1", "0001", 8),
    ("4h", "0", "001", 16),
    ("8h", "1", "001", 16),
    ("2s", "0", "01", 32),
    ("4s", "1", "01", 32),
    ("2d", "1", "1", 64),
):
    _field = f"{_immh} amount:{_bits.bit_length() - 1}"
    for _name, _u, _opcode, _kind in (
        ("shl", "0", "01010", f"u{_bits.bit_length() - 1}"),
        ("sshr", "0", "00000", f"right{_bits}"),
        ("ushr", "1", "00000", f"right{_bits}"),
    ):
        row(
            f"{_name}_v{_arrangement}",
            _name,
            f"0 {_q} {_u} 011110 {_field} {_opcode} 1 n:5 d:5",
            f"def:v{_arrangement}@d use:v{_arrangement}@n {_kind}@amount",
        )

# --- immediates, in the fields abc and defgh ------------------------------------------------------
for _arrangement, _q, _cmode in (
    ("8b", "0", "1110"),
    ("16b", "1", "1110"),
    ("4h", "0", "1000"),
    ("8h", "1", "1000"),
    ("2s", "0", "0000"),
    ("4s", "1", "0000"),
):
    row(
        f"movi_v{_arrangement}",
        "movi",
        f"0 {_q} 0 0111100000 high:3 {_cmode} 01 low:5 d:5",
        f"def:v{_arrangement}@d u8v@high+low",
    )
for _arrangement, _q, _op in (("2s", "0", "0"), ("4s", "1", "0"), ("2d", "1", "1")):
    row(
        f"fmov_v{_arrangement}_imm",
        "fmov",
        f"0 {_q} {_op} 0111100000 high:3 1111 01 low:5 d:5",
        f"def:v{_arrangement}@d fp8v@high+low",
    )

# --- elements -------------------------------------------------------------------------------------

# element, general register, imm5 with the element's index, imm4 with another's
ELEMENTS = (
    ("b", "w", "lane:4 1", "from:4"),
    ("h", "w", "lane:3 10", "from:3 0"),
    ("s", "w", "lane:2 100", "from:2 00"),
    ("d", "x", "lane:1 1000", "from:1 000"),
)
for _element, _width, _imm5, _imm4 in ELEMENTS:
    _lane = f"lane_{_element}"
    row(
        f"ins_{_element}_{_width}",
        "mov",
        f"0 1 0 01110000 {_imm5} 0 0011 1 n:5 d:5",
        f"use_def:v{_element}@d {_lane}@lane use:{_width}@n",
        "{0}{1}, {2}",
    )
    row(
        f"ins_{_element}_{_element}",
        "mov",
        f"0 1 1 01110000 {_imm5} 0 {_imm4} 1 n:5 d:5",
        f"use_def:v{_element}@d {_lane}@lane use:v{_element}@n {_lane}@from",
        "{0}{1}, {2}{3}",
    )
    row(
        f"umov_{_width}_{_element}",
        "mov" if _element in "sd" else "umov",
        f"0 {int(_element == 'd')} 0 01110000 {_imm5} 0 0111 1 n:5 d:5",
        f"def:{_width}@d use:v{_element}@n {_lane}@lane",
        "{0}, {1}{2}",
    )
    for _q, _to in (("0", "w"), ("1", "x")):
        if _element in ("bhs" if _to == "x" else "bh"):
            row(
                f"smov_{_to}_{_element}",
                "smov",
                f"0 {_q} 0 01110000 {_imm5} 0 0101 1 n:5 d:5",
                f"def:{_to}@d use:v{_element}@n {_lane}@lane",
                "{0}, {1}{2}",
            )
    row(
        f"dup_{_element}_{_element}",
        "mov",
        f"01 0 11110000 {_imm5} 0 0000 1 n:5 d:5",
        f"def:{_element}@d use:v{_element}@n {_lane}@lane",
        "{0}, {1}{2}",
    )
    for _arrangement, _q, _size in INTEGERS:
        if not _arrangement.endswith(_element):
            continue
        row(
            f"dup_v{_arrangement}_{_element}",
            "dup",
            f"0 {_q} 0 01110000 {_imm5} 0 0000 1 n:5 d:5",
            f"def:v{_arrangement}@d use:v{_element}@n {_lane}@lane",
            "{0}, {1}{2}",
        )
        _, _, _one = _imm5.partition(" ")
        row(
            f"dup_v{_arrangement}_{_width}",
            "dup",
            f"0 {_q} 0 01110000 {'0' * (5 - len(_one))}{_one} 0 0001 1 n:5 d:5",
            f"def:v{_arrangement}@d use:{_width}@n",
        )
