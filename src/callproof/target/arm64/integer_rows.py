"""Rows of the instruction table: integer data processing, branches, system (DDI 0487, C4.1).

Written in the notation of `table.py`; the names of forms are explained in
`instructions.py`.
"""

from __future__ import annotations

from callproof.target.arm64.aliases import (
    accumulate,
    bit_branch,
    bitfield,
    branch_condition,
    branch_target,
    conditional,
    full_system,
    immediate,
    insert,
    keep,
    logical_move,
    move_wide,
    named_hint,
    optional_extend,
    optional_shift,
    plain_return,
    test,
)
from callproof.target.arm64.table import Table

INTEGER = Table()
row = INTEGER.row
WIDTHS = (("x", "1"), ("w", "0"))

# --- plain moves: rows of their own, so that a copy is known as one ----------------------

for _w, _sf in WIDTHS:
    row(
        f"mov_{_w}",
        "mov",
        f"{_sf} 01 01010 00 0 m:5 000000 11111 d:5",
        f"def:{_w}@d use:{_w}@m",
        is_move=True,
    )

# --- data processing, immediate -----------------------------------------------------------

for _w, _sf in WIDTHS:
    for _name, _bits, _discard in (
        ("add", "00", ""),
        ("adds", "01", "cmn"),
        ("sub", "10", ""),
        ("subs", "11", "cmp"),
    ):
        _d = _w if _discard else f"{_w}sp"
        row(
            f"{_name}_{_w}_imm",
            _name,
            f"{_sf} {_bits} 100010 sh:1 imm:12 n:5 d:5",
            f"def:{_d}@d use:{_w}sp@n u12@imm lsl12@sh",
            flags="w" if _discard else "",
            aliases=[immediate(_name, _w, _discard, move=_name == "add")],
        )
    for _name, _bits in (("and", "00"), ("orr", "01"), ("eor", "10"), ("ands", "11")):
        _n = "N:1" if _w == "x" else "0"
        _mask = "mask64@N+r+s" if _w == "x" else "mask32@r+s"
        _d = _w if _name == "ands" else f"{_w}sp"
        _aliases = {"orr": [logical_move(_w)], "ands": [test(_w)]}.get(_name, [])
        row(
            f"{_name}_{_w}_imm",
            _name,
            f"{_sf} {_bits} 100100 {_n} r:6 s:6 n:5 d:5",
            f"def:{_d}@d use:{_w}@n {_mask}",
            flags="w" if _name == "ands" else "",
            aliases=_aliases,
        )
    for _name, _bits in (("movn", "00"), ("movz", "10"), ("movk", "11")):
        row(
            f"{_name}_{_w}",
            _name,
            f"{_sf} {_bits} 100101 hw:2 imm:16 d:5"
            if _w == "x"
            else f"{_sf} {_bits} 100101 0 hw:1 imm:16 d:5",
            f"{'use_def' if _name == 'movk' else 'def'}:{_w}@d u16@imm "
            f"{'hw' if _w == 'x' else 'hw32'}@hw",
            aliases=[keep(_w) if _name == "movk" else move_wide(_name, _w)],
        )
    _n = "1" if _w == "x" else "0"
    _six = ("r:6 s:6", "u6") if _w == "x" else ("0 r:5 0 s:5", "u5")
    for _name, _bits in (("sbfm", "00"), ("bfm", "01"), ("ubfm", "10")):
        row(
            f"{_name}_{_w}",
            _name,
            f"{_sf} {_bits} 100110 {_n} {_six[0]} n:5 d:5",
            f"{'use_def' if _name == 'bfm' else 'def'}:{_w}@d use:{_w}@n {_six[1]}@r {_six[1]}@s",
            aliases=[insert(_w) if _name == "bfm" else bitfield(_w, signed=_name == "sbfm")],
        )
    row(
        f"extr_{_w}",
        "extr",
        f"{_sf} 00 100111 {_n} 0 m:5 " + ("lsb:6" if _w == "x" else "0 lsb:5") + " n:5 d:5",
        f"def:{_w}@d use:{_w}@n use:{_w}@m {_six[1]}@lsb",
    )
row("adr", "adr", "0 lo:2 10000 hi:19 d:5", "def:x@d adr@lo+hi")
row("adrp", "adrp", "1 lo:2 10000 hi:19 d:5", "def:x@d adrp@lo+hi")

# --- data processing, register --------------------------------------------------------------

for _w, _sf in WIDTHS:
    _amount = ("amount:6", "u6") if _w == "x" else ("0 amount:5", "u5")
    for _name, _bits, _plain_name, _discard in (
        ("add", "00", "", ""),
        ("adds", "01", "", "cmn"),
        ("sub", "10", "neg", ""),
        ("subs", "11", "negs", "cmp"),
    ):
        row(
            f"{_name}_{_w}_shift",
            _name,
            f"{_sf} {_bits} 01011 shift:2 0 m:5 {_amount[0]} n:5 d:5",
            f"def:{_w}@d use:{_w}@n use:{_w}@m shift3@shift {_amount[1]}@amount",
            flags="w" if _discard else "",
            aliases=[optional_shift(_name, _w, _plain_name, _discard)],
        )
        _d = _w if _discard else f"{_w}sp"
        row(
            f"{_name}_{_w}_ext",
            _name,
            f"{_sf} {_bits} 01011 00 1 m:5 kind:3 amount:3 n:5 d:5",
            f"def:{_d}@d use:{_w}sp@n use:{_w}@m extend@kind amount4@amount",
            flags="w" if _discard else "",
            aliases=[optional_extend(_name, _w, _discard)],
        )
    for _name, _bits, _plain_name, _discard in (
        ("and", "00 01010 shift:2 0", "", ""),
        ("bic", "00 01010 shift:2 1", "", ""),
        ("orr", "01 01010 shift:2 0", "mov", ""),
        ("orn", "01 01010 shift:2 1", "mvn", ""),
        ("eor", "10 01010 shift:2 0", "", ""),
        ("eon", "10 01010 shift:2 1", "", ""),
        ("ands", "11 01010 shift:2 0", "", "tst"),
        ("bics", "11 01010 shift:2 1", "", ""),
    ):
        row(
            f"{_name}_{_w}_shift",
            _name,
            f"{_sf} {_bits} m:5 {_amount[0]} n:5 d:5",
            f"def:{_w}@d use:{_w}@n use:{_w}@m shift4@shift {_amount[1]}@amount",
            flags="w" if _name in ("ands", "bics") else "",
            aliases=[
                optional_shift(_name, _w, "" if _plain_name == "mov" else _plain_name, _discard)
            ],
        )
    for _name, _bits in (
        ("udiv", "000010"),
        ("sdiv", "000011"),
        ("lslv", "001000"),
        ("lsrv", "001001"),
        ("asrv", "001010"),
        ("rorv", "001011"),
    ):
        row(
            f"{_name}_{_w}",
            _name.removesuffix("v") if _name not in ("udiv", "sdiv") else _name,
            f"{_sf} 0 0 11010110 m:5 {_bits} n:5 d:5",
            f"def:{_w}@d use:{_w}@n use:{_w}@m",
        )
    for _name, _bits, _size in (
        ("rbit", "000000", _w),
        ("rev16", "000001", _w),
        ("rev", "000011" if _w == "x" else "000010", _w),
        ("clz", "000100", _w),
        ("cls", "000101", _w),
    ):
        row(
            f"{_name}_{_w}",
            _name,
            f"{_sf} 1 0 11010110 00000 {_bits} n:5 d:5",
            f"def:{_w}@d use:{_w}@n",
        )
    for _name, _o, _plain_name in (("madd", "0", "mul"), ("msub", "1", "mneg")):
        row(
            f"{_name}_{_w}",
            _name,
            f"{_sf} 00 11011 000 m:5 {_o} a:5 n:5 d:5",
            f"def:{_w}@d use:{_w}@n use:{_w}@m use:{_w}@a",
            aliases=[accumulate(_w, _plain_name)],
        )
    for _name, _bits, _aliases in (
        ("csel", "0 0", []),
        ("csinc", "0 1", [conditional(_w, "cset", "cinc")]),
        ("csinv", "1 0", [conditional(_w, "csetm", "cinv")]),
        ("csneg", "1 1", []),
    ):
        _op, _o2 = _bits.split()
        row(
            f"{_name}_{_w}",
            _name,
            f"{_sf} {_op} 0 11010100 m:5 cond:4 0 {_o2} n:5 d:5",
            f"def:{_w}@d use:{_w}@n use:{_w}@m cond@cond",
            flags="r",
            aliases=_aliases,
        )
    for _name, _op in (("ccmn", "0"), ("ccmp", "1")):
        row(
            f"{_name}_{_w}_reg",
            _name,
            f"{_sf} {_op} 1 11010010 m:5 cond:4 00 n:5 0 nzcv:4",
            f"use:{_w}@n use:{_w}@m u4@nzcv cond@cond",
            flags="rw",
        )
        row(
            f"{_name}_{_w}_imm",
            _name,
            f"{_sf} {_op} 1 11010010 imm:5 cond:4 10 n:5 0 nzcv:4",
            f"use:{_w}@n u5@imm u4@nzcv cond@cond",
            flags="rw",
        )
    for _name, _bits in (("adc", "00"), ("adcs", "01"), ("sbc", "10"), ("sbcs", "11")):
        row(
            f"{_name}_{_w}",
            _name,
            f"{_sf} {_bits} 11010000 m:5 000000 n:5 d:5",
            f"def:{_w}@d use:{_w}@n use:{_w}@m",
            flags="rw" if _name.endswith("s") else "r",
        )
row("rev32_x", "rev32", "1 1 0 11010110 00000 000010 n:5 d:5", "def:x@d use:x@n")
for _name, _bits, _o in (
    ("smaddl", "001", "0"),
    ("smsubl", "001", "1"),
    ("umaddl", "101", "0"),
    ("umsubl", "101", "1"),
):
    row(
        _name,
        _name,
        f"1 00 11011 {_bits} m:5 {_o} a:5 n:5 d:5",
        "def:x@d use:w@n use:w@m use:x@a",
    )
for _name, _bits in (("smulh", "010"), ("umulh", "110")):
    row(_name, _name, f"1 00 11011 {_bits} m:5 0 11111 n:5 d:5", "def:x@d use:x@n use:x@m")

# --- branches, exceptions, system ---------------------------------------------------------------

row("b", "b", "0 00101 to:26", "label26@to", control="jump")
row("bl", "bl", "1 00101 to:26", "label26@to", control="call")
row(
    "b_cond",
    "b",
    "01010100 to:19 0 cond:4",
    "cond@cond label19@to",
    control="branch",
    flags="r",
    aliases=[branch_condition],
)
for _w, _sf in WIDTHS:
    for _name, _op in (("cbz", "0"), ("cbnz", "1")):
        row(
            f"{_name}_{_w}",
            _name,
            f"{_sf} 011010 {_op} to:19 t:5",
            f"use:{_w}@t label19@to",
            control="branch",
        )
for _name, _op in (("tbz", "0"), ("tbnz", "1")):
    row(
        _name,
        _name,
        f"b5:1 011011 {_op} b40:5 to:14 t:5",
        "use:x@t bit@b5+b40 label14@to",
        control="branch",
        aliases=[bit_branch(_name)],
    )
row("br", "br", "1101011 0000 11111 000000 n:5 00000", "use:x@n", control="indirect_jump")
row("blr", "blr", "1101011 0001 11111 000000 n:5 00000", "use:x@n", control="indirect_call")
row(
    "ret",
    "ret",
    "1101011 0010 11111 000000 n:5 00000",
    "use:x@n",
    control="return",
    aliases=[plain_return],
)
row("svc", "svc", "11010100 000 imm:16 00001", "u16@imm")
row("brk", "brk", "11010100 001 imm:16 00000", "u16@imm", control="trap")
row("hlt", "hlt", "11010100 010 imm:16 00000", "u16@imm", control="trap")
row("udf", "udf", "0000000000000000 imm:16", "u16@imm", control="trap")
row("nop", "nop", "11010101000000110010000000011111", "")
row("hint", "hint", "11010101000000110010 imm:7 11111", "u7@imm", aliases=[named_hint])
row("paciasp", "paciasp", "11010101000000110010 0011001 11111", "")
row("autiasp", "autiasp", "11010101000000110010 0011101 11111", "")
row("bti", "bti", "11010101000000110010 0100 to:2 0 11111", "u2@to", aliases=[branch_target])
row("dsb", "dsb", "11010101000000110011 limit:4 100 11111", "barrier@limit")
row("dmb", "dmb", "11010101000000110011 limit:4 101 11111", "barrier@limit")
for _name, _bits in (("clrex", "010"), ("isb", "110")):
    row(
        _name,
        _name,
        f"11010101000000110011 limit:4 {_bits} 11111",
        "u4@limit",
        aliases=[full_system(_name)],
    )
# Any system register by its number; those below that are known by name come first in decoding.
row("mrs", "mrs", "1101010100 1 1 which:15 t:5", "def:x@t system@which")
row("msr", "msr", "1101010100 0 1 which:15 t:5", "system@which use:x@t")
row("mrs_nzcv", "mrs", "11010101 0011 1011 0100 0010 000 t:5", "def:x@t", "{0}, nzcv", flags="r")
row("msr_nzcv", "msr", "11010101 0001 1011 0100 0010 000 t:5", "use:x@t", "nzcv, {0}", flags="w")
row("mrs_tpidr_el0", "mrs", "11010101 0011 1011 1101 0000 010 t:5", "def:x@t", "{0}, tpidr_el0")
row("msr_tpidr_el0", "msr", "11010101 0001 1011 1101 0000 010 t:5", "use:x@t", "tpidr_el0, {0}")
