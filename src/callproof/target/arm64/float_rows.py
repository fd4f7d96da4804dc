"""Rows of the instruction table: scalar floating point (DDI 0487, C4.1.96).

Written in the notation of `table.py`; the names of forms are explained in
`instructions.py`.
"""

from __future__ import annotations

from callproof.target.arm64.table import Table

FLOATING = Table()
row = FLOATING.row
WIDTHS = (("x", "1"), ("w", "0"))
FLOATS = (("s", "00"), ("d", "01"), ("h", "11"))
for _f, _type in FLOATS:
    for _name, _bits in (
        ("fmul", "0000"),
        ("fdiv", "0001"),
        ("fadd", "0010"),
        ("fsub", "0011"),
        ("fmax", "0100"),
        ("fmin", "0101"),
        ("fmaxnm", "0110"),
        ("fminnm", "0111"),
        ("fnmul", "1000"),
    ):
        row(
            f"{_name}_{_f}",
            _name,
            f"00011110 {_type} 1 m:5 {_bits} 10 n:5 d:5",
            f"def:{_f}@d use:{_f}@n use:{_f}@m",
        )
    for _name, _bits in (
        ("fmov", "000000"),
        ("fabs", "000001"),
        ("fneg", "000010"),
        ("fsqrt", "000011"),
        ("frintn", "001000"),
        ("frintp", "001001"),
        ("frintm", "001010"),
        ("frintz", "001011"),
        ("frinta", "001100"),
        ("frintx", "001110"),
        ("frinti", "001111"),
    ):
        row(
            f"{_name}_{_f}",
            _name,
            f"00011110 {_type} 1 {_bits} 10000 n:5 d:5",
            f"def:{_f}@d use:{_f}@n",
            is_move=_name == "fmov",
        )
    for _to, _bits in (("s", "00"), ("d", "01"), ("h", "11")):
        if _to != _f:
            row(
                f"fcvt_{_to}_{_f}",
                "fcvt",
                f"00011110 {_type} 1 0001 {_bits} 10000 n:5 d:5",
                f"def:{_to}@d use:{_f}@n",
            )
    for _name, _o1, _o0 in (
        ("fmadd", "0", "0"),
        ("fmsub", "0", "1"),
        ("fnmadd", "1", "0"),
        ("fnmsub", "1", "1"),
    ):
        row(
            f"{_name}_{_f}",
            _name,
            f"00011111 {_type} {_o1} m:5 {_o0} a:5 n:5 d:5",
            f"def:{_f}@d use:{_f}@n use:{_f}@m use:{_f}@a",
        )
    row(
        f"fmov_{_f}_imm",
        "fmov",
        f"00011110 {_type} 1 imm:8 100 00000 d:5",
        f"def:{_f}@d fp8@imm",
    )
    for _name, _bits in (("fcmp", "00"), ("fcmpe", "10")):
        row(
            f"{_name}_{_f}",
            _name,
            f"00011110 {_type} 1 m:5 001000 n:5 {_bits} 000",
            f"use:{_f}@n use:{_f}@m",
            flags="w",
        )
        row(
            f"{_name}_{_f}_zero",
            _name,
            f"00011110 {_type} 1 00000 001000 n:5 {_bits[0]}1 000",
            f"use:{_f}@n",
            "{0}, #0.0",
            flags="w",
        )
    for _name, _bits in (("fccmp", "0"), ("fccmpe", "1")):
        row(
            f"{_name}_{_f}",
            _name,
            f"00011110 {_type} 1 m:5 cond:4 01 n:5 {_bits} nzcv:4",
            f"use:{_f}@n use:{_f}@m u4@nzcv cond@cond",
            flags="rw",
        )
    row(
        f"fcsel_{_f}",
        "fcsel",
        f"00011110 {_type} 1 m:5 cond:4 11 n:5 d:5",
        f"def:{_f}@d use:{_f}@n use:{_f}@m cond@cond",
        flags="r",
    )
    for _w, _sf in WIDTHS:
        for _name, _bits in (
            ("fcvtns", "00 000"),
            ("fcvtnu", "00 001"),
            ("fcvtps", "01 000"),
            ("fcvtpu", "01 001"),
            ("fcvtms", "10 000"),
            ("fcvtmu", "10 001"),
            ("fcvtzs", "11 000"),
            ("fcvtzu", "11 001"),
            ("fcvtas", "00 100"),
            ("fcvtau", "00 101"),
        ):
            row(
                f"{_name}_{_w}_{_f}",
                _name,
                f"{_sf} 0011110 {_type} 1 {_bits} 000000 n:5 d:5",
                f"def:{_w}@d use:{_f}@n",
            )
        for _name, _bits in (("scvtf", "010"), ("ucvtf", "011")):
            row(
                f"{_name}_{_f}_{_w}",
                _name,
                f"{_sf} 0011110 {_type} 1 00 {_bits} 000000 n:5 d:5",
                f"def:{_f}@d use:{_w}@n",
            )
for _w, _f, _sf, _type in (("x", "d", "1", "01"), ("w", "s", "0", "00")):
    row(
        f"fmov_{_w}_{_f}",
        "fmov",
        f"{_sf} 0011110 {_type} 1 00 110 000000 n:5 d:5",
        f"def:{_w}@d use:{_f}@n",
    )
    row(
        f"fmov_{_f}_{_w}",
        "fmov",
        f"{_sf} 0011110 {_type} 1 00 111 000000 n:5 d:5",
        f"def:{_f}@d use:{_w}@n",
    )
