"""THE instruction table of ARM64: one row per form.

Encodings are those of the Arm Architecture Reference Manual (DDI 0487), C4 and
C6/C7.  The encoder, the assembly printer, the allocator's constraints and the
decoder all come from these rows (see `table.py` for the notation).

Names: mnemonic, operand width (x, w; d, s, q for SIMD and FP registers), then
what distinguishes the form (imm, shift, ext; uimm, unscaled, reg, pre, post).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callproof.codegen.machine import Form
from callproof.target.arm64.registers import SP, XZR, name
from callproof.target.arm64.table import (
    CONDITION_NAMES,
    EXTEND_NAMES,
    SHIFT_NAMES,
    Argument,
    Row,
    _plain,
)

ROWS: list[Row] = []
Alias = Callable[[Sequence[Argument]], str | None]


def row(
    form_name: str,
    mnemonic: str,
    pattern: str,
    operands: str,
    template: str = "",
    *,
    control: str = "",
    memory: str = "",
    is_move: bool = False,
    flags: str = "",
    aliases: Sequence[Alias] = (),
) -> None:
    ROWS.append(
        Row(
            form_name,
            mnemonic,
            pattern,
            operands,
            template,
            control=control,
            memory=memory,
            is_move=is_move,
            flags=flags,
            aliases=aliases,
        )
    )


WIDTHS = (("x", "1"), ("w", "0"))

# --- aliases: what people and disassemblers write --------------------------------------


def _names(width: str, arguments: Sequence[Argument]) -> list[str]:
    return [name(a, width) for a in arguments if isinstance(a, int)]


def _optional_shift(mnemonic: str, width: str, plain: str = "", discard: str = "") -> Alias:
    """`op d, n, m` without a shift of 0; `plain` where n is ZR, `discard` where d is ZR."""

    def alias(a: Sequence[Argument]) -> str | None:
        d, n, m = (name(r, width) for r in a[:3] if isinstance(r, int))
        shift = f", {SHIFT_NAMES[int(a[3])]} #{a[4]}" if a[3] or a[4] else ""
        if discard and a[0] == XZR:
            return f"{discard} {n}, {m}{shift}"
        if plain and a[1] == XZR:
            return f"{plain} {d}, {m}{shift}"
        return f"{mnemonic} {d}, {n}, {m}{shift}"

    return alias


def _optional_extend(mnemonic: str, width: str, discard: str = "") -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        kind, amount = int(a[3]), int(a[4])
        d, n = name(int(a[0]), width), name(int(a[1]), width)
        m = name(int(a[2]), "x" if width == "x" and kind & 3 == 3 else "w")
        word = EXTEND_NAMES[kind]
        if kind == (3 if width == "x" else 2) and SP in (a[0], a[1]):
            word = "lsl"
            shown = f", lsl #{amount}" if amount else ""
        else:
            shown = f", {word}" + (f" #{amount}" if amount else "")
        if discard and a[0] == XZR:
            return f"{discard} {n}, {m}{shown}"
        return f"{mnemonic} {d}, {n}, {m}{shown}"

    return alias


def _immediate(mnemonic: str, width: str, discard: str = "", move: bool = False) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        d, n = name(int(a[0]), width), name(int(a[1]), width)
        if move and a[2] == 0 and a[3] == 0 and SP in (a[0], a[1]):
            return f"mov {d}, {n}"
        shift = f", lsl #{a[3]}" if a[3] else ""
        shown = f"{_plain(a[2])}{shift}"
        if discard and a[0] == XZR:
            return f"{discard} {n}, {shown}"
        return f"{mnemonic} {d}, {n}, {shown}"

    return alias


def _bitfield(width: str, *, signed: bool) -> Alias:
    """SBFM and UBFM as the shifts, extensions and field moves that they are."""
    bits = 64 if width == "x" else 32
    letter = "s" if signed else "u"

    def alias(a: Sequence[Argument]) -> str | None:
        d, n, r, s = name(int(a[0]), width), name(int(a[1]), width), int(a[2]), int(a[3])
        w = name(int(a[1]), "w")
        if s == bits - 1:
            return f"{'asr' if signed else 'lsr'} {d}, {n}, #{r}"
        if not signed and s + 1 == r:
            return f"lsl {d}, {n}, #{bits - r}"
        if r == 0 and s in (7, 15) and (signed or width == "w"):
            return f"{letter}xt{'b' if s == 7 else 'h'} {d}, {w}"
        if r == 0 and s == 31 and signed:
            return f"sxtw {d}, {w}"
        if s < r:
            return f"{letter}bfiz {d}, {n}, #{bits - r}, #{s + 1}"
        return f"{letter}bfx {d}, {n}, #{r}, #{s - r + 1}"

    return alias


def _insert(width: str) -> Alias:
    bits = 64 if width == "x" else 32

    def alias(a: Sequence[Argument]) -> str | None:
        d, n, r, s = name(int(a[0]), width), name(int(a[1]), width), int(a[2]), int(a[3])
        if s < r:
            return f"bfi {d}, {n}, #{bits - r}, #{s + 1}"
        return f"bfxil {d}, {n}, #{r}, #{s - r + 1}"

    return alias


def _accumulate(width: str, plain: str) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        if a[3] != XZR:
            return None
        d, n, m = _names(width, a[:3])
        return f"{plain} {d}, {n}, {m}"

    return alias


def _conditional(width: str, setting: str, changing: str) -> Alias:
    """CSINC and CSINV: CSET and CSETM of the zero register, CINC and CINV of one register."""

    def alias(a: Sequence[Argument]) -> str | None:
        condition = int(a[3])
        if a[1] != a[2] or condition >= 14:
            return None
        opposite = CONDITION_NAMES[condition ^ 1]
        d, n, _ = _names(width, a[:3])
        if a[1] == XZR:
            return f"{setting} {d}, {opposite}"
        return f"{changing} {d}, {n}, {opposite}"

    return alias


def _move_wide(mnemonic: str, width: str) -> Alias:
    """MOVZ and MOVN as `mov` with the value that they make, where that is unambiguous."""
    bits = 64 if width == "x" else 32

    def alias(a: Sequence[Argument]) -> str | None:
        value, shift = a[1], a[2]
        if isinstance(value, str):
            return None
        d = name(int(a[0]), width)
        number = value << int(shift)
        if mnemonic == "movn":
            number = ~number
            if bits == 32 and value == 0xFFFF:
                number = None  # type: ignore[assignment]
        if number is None or (value == 0 and shift):
            shown = f", lsl #{shift}" if shift else ""
            return f"{mnemonic} {d}, #{value}{shown}"
        return f"mov {d}, #{number}" if abs(number) < 1 << 16 else f"mov {d}, #{number:#x}"

    return alias


def _keep(width: str) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        shift = f", lsl #{a[2]}" if a[2] else ""
        return f"movk {name(int(a[0]), width)}, {_plain(a[1])}{shift}"

    return alias


def _logical_move(width: str) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        if a[1] != XZR:
            return None
        return f"mov {name(int(a[0]), width)}, #{int(a[2]):#x}"

    return alias


def _test(width: str) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        if a[0] != XZR:
            return None
        return f"tst {name(int(a[1]), width)}, #{int(a[2]):#x}"

    return alias


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
            aliases=[_immediate(_name, _w, _discard, move=_name == "add")],
        )
    for _name, _bits in (("and", "00"), ("orr", "01"), ("eor", "10"), ("ands", "11")):
        _n = "N:1" if _w == "x" else "0"
        _mask = "mask64@N+r+s" if _w == "x" else "mask32@r+s"
        _d = _w if _name == "ands" else f"{_w}sp"
        _aliases = {"orr": [_logical_move(_w)], "ands": [_test(_w)]}.get(_name, [])
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
            aliases=[_keep(_w) if _name == "movk" else _move_wide(_name, _w)],
        )
    _n = "1" if _w == "x" else "0"
    _six = ("r:6 s:6", "u6") if _w == "x" else ("0 r:5 0 s:5", "u5")
    for _name, _bits in (("sbfm", "00"), ("bfm", "01"), ("ubfm", "10")):
        row(
            f"{_name}_{_w}",
            _name,
            f"{_sf} {_bits} 100110 {_n} {_six[0]} n:5 d:5",
            f"{'use_def' if _name == 'bfm' else 'def'}:{_w}@d use:{_w}@n {_six[1]}@r {_six[1]}@s",
            aliases=[_insert(_w) if _name == "bfm" else _bitfield(_w, signed=_name == "sbfm")],
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
            aliases=[_optional_shift(_name, _w, _plain_name, _discard)],
        )
        _d = _w if _discard else f"{_w}sp"
        row(
            f"{_name}_{_w}_ext",
            _name,
            f"{_sf} {_bits} 01011 00 1 m:5 kind:3 amount:3 n:5 d:5",
            f"def:{_d}@d use:{_w}sp@n use:{_w}@m extend@kind amount4@amount",
            flags="w" if _discard else "",
            aliases=[_optional_extend(_name, _w, _discard)],
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
                _optional_shift(_name, _w, "" if _plain_name == "mov" else _plain_name, _discard)
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
            aliases=[_accumulate(_w, _plain_name)],
        )
    for _name, _bits, _aliases in (
        ("csel", "0 0", []),
        ("csinc", "0 1", [_conditional(_w, "cset", "cinc")]),
        ("csinv", "1 0", [_conditional(_w, "csetm", "cinv")]),
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
    aliases=[
        lambda a: (
            f"b.{CONDITION_NAMES[int(a[0])]} " + (a[1] if isinstance(a[1], str) else f".{a[1]:+d}")
        )
    ],
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
        aliases=[
            lambda a, m=_name: (
                f"{m} {name(int(a[0]), 'x' if int(a[1]) > 31 else 'w')}, #{a[1]}, "  # type: ignore[misc]
                + (a[2] if isinstance(a[2], str) else f".{a[2]:+d}")
            )
        ],
    )
row("br", "br", "1101011 0000 11111 000000 n:5 00000", "use:x@n", control="indirect_jump")
row("blr", "blr", "1101011 0001 11111 000000 n:5 00000", "use:x@n", control="indirect_call")
row(
    "ret",
    "ret",
    "1101011 0010 11111 000000 n:5 00000",
    "use:x@n",
    control="return",
    aliases=[lambda a: "ret" if a[0] == 30 else None],
)
row("svc", "svc", "11010100 000 imm:16 00001", "u16@imm")
row("brk", "brk", "11010100 001 imm:16 00000", "u16@imm", control="trap")
row("hlt", "hlt", "11010100 010 imm:16 00000", "u16@imm", control="trap")
row("udf", "udf", "0000000000000000 imm:16", "u16@imm", control="trap")
row("nop", "nop", "11010101000000110010000000011111", "")
row("hint", "hint", "11010101000000110010 imm:7 11111", "u7@imm")
row("mrs_nzcv", "mrs", "11010101 0011 1011 0100 0010 000 t:5", "def:x@t", "{0}, nzcv", flags="r")
row("msr_nzcv", "msr", "11010101 0001 1011 0100 0010 000 t:5", "use:x@t", "nzcv, {0}", flags="w")
row("mrs_tpidr_el0", "mrs", "11010101 0011 1011 1101 0000 010 t:5", "def:x@t", "{0}, tpidr_el0")
row("msr_tpidr_el0", "msr", "11010101 0001 1011 1101 0000 010 t:5", "use:x@t", "tpidr_el0, {0}")

# --- loads and stores ---------------------------------------------------------------------------

# name, mnemonic, register kind, size field, V, opc, log2 of the bytes
_ACCESSES = (
    ("strb", "strb", "w", "00", "0", "00", 0),
    ("ldrb", "ldrb", "w", "00", "0", "01", 0),
    ("ldrsb_x", "ldrsb", "x", "00", "0", "10", 0),
    ("ldrsb_w", "ldrsb", "w", "00", "0", "11", 0),
    ("strh", "strh", "w", "01", "0", "00", 1),
    ("ldrh", "ldrh", "w", "01", "0", "01", 1),
    ("ldrsh_x", "ldrsh", "x", "01", "0", "10", 1),
    ("ldrsh_w", "ldrsh", "w", "01", "0", "11", 1),
    ("str_w", "str", "w", "10", "0", "00", 2),
    ("ldr_w", "ldr", "w", "10", "0", "01", 2),
    ("ldrsw", "ldrsw", "x", "10", "0", "10", 2),
    ("str_x", "str", "x", "11", "0", "00", 3),
    ("ldr_x", "ldr", "x", "11", "0", "01", 3),
    ("str_b", "str", "b", "00", "1", "00", 0),
    ("ldr_b", "ldr", "b", "00", "1", "01", 0),
    ("str_h", "str", "h", "01", "1", "00", 1),
    ("ldr_h", "ldr", "h", "01", "1", "01", 1),
    ("str_s", "str", "s", "10", "1", "00", 2),
    ("ldr_s", "ldr", "s", "10", "1", "01", 2),
    ("str_d", "str", "d", "11", "1", "00", 3),
    ("ldr_d", "ldr", "d", "11", "1", "01", 3),
    ("str_q", "str", "q", "00", "1", "10", 4),
    ("ldr_q", "ldr", "q", "00", "1", "11", 4),
)


def _base_only(mnemonic: str, kind: str) -> Alias:
    """`[n]` instead of `[n, #0]`."""

    def alias(a: Sequence[Argument]) -> str | None:
        if a[-1] != 0 or isinstance(a[-1], str):
            return None
        return f"{mnemonic} {name(int(a[0]), kind)}, [{name(int(a[1]), 'x')}]"

    return alias


def _indexed(mnemonic: str, kind: str, log2: int) -> Alias:
    def alias(a: Sequence[Argument]) -> str | None:
        t, n, m = name(int(a[0]), kind), name(int(a[1]), "x"), int(a[2])
        extend, shifted = int(a[3]), int(a[4])
        index = name(m, "x" if extend & 1 else "w")
        word = {2: "uxtw", 3: "lsl", 6: "sxtw", 7: "sxtx"}[extend]
        shown = f", {word} #{log2}" if shifted else f", {word}" if extend != 3 else ""
        return f"{mnemonic} {t}, [{n}, {index}{shown}]"

    return alias


for _name, _mnemonic, _kind, _size, _v, _opc, _log2 in _ACCESSES:
    _memory = "load" if _mnemonic.startswith("ld") else "store"
    _t = f"{'def' if _memory == 'load' else 'use'}:{_kind}@t"
    _start = f"{_size} 111 {_v}"
    row(
        f"{_name}_uimm",
        _mnemonic,
        f"{_start} 01 {_opc} imm:12 n:5 t:5",
        f"{_t} use:xsp@n offset{1 << _log2}@imm",
        "{0}, [{1}, {2}]",
        memory=_memory,
        aliases=[_base_only(_mnemonic, _kind)],
    )
    _unscaled = _mnemonic.replace("ldr", "ldur").replace("str", "stur")
    row(
        f"{_name}_unscaled",
        _unscaled,
        f"{_start} 00 {_opc} 0 imm:9 00 n:5 t:5",
        f"{_t} use:xsp@n simm9@imm",
        "{0}, [{1}, {2}]",
        memory=_memory,
        aliases=[_base_only(_unscaled, _kind)],
    )
    for _mode, _bits, _template in (
        ("post", "01", "{0}, [{1}], {2}"),
        ("pre", "11", "{0}, [{1}, {2}]!"),
    ):
        row(
            f"{_name}_{_mode}",
            _mnemonic,
            f"{_start} 00 {_opc} 0 imm:9 {_bits} n:5 t:5",
            f"{_t} use_def:xsp@n simm9@imm",
            _template,
            memory=_memory,
        )
    row(
        f"{_name}_reg",
        _mnemonic,
        f"{_start} 00 {_opc} 1 m:5 kind:3 scaled:1 10 n:5 t:5",
        f"{_t} use:xsp@n use:x@m index@kind u1@scaled",
        memory=_memory,
        aliases=[_indexed(_mnemonic, _kind, _log2)],
    )

for _kind, _opc, _v, _scale in (
    ("w", "00", "0", 4),
    ("x", "10", "0", 8),
    ("s", "00", "1", 4),
    ("d", "01", "1", 8),
    ("q", "10", "1", 16),
):
    for _load, _mnemonic in (("0", "stp"), ("1", "ldp")):
        _memory = "load" if _load == "1" else "store"
        _role = "def" if _load == "1" else "use"
        for _mode, _bits, _template in (
            ("post", "001", "{0}, {1}, [{2}], {3}"),
            ("off", "010", "{0}, {1}, [{2}, {3}]"),
            ("pre", "011", "{0}, {1}, [{2}, {3}]!"),
        ):
            _base = "use" if _mode == "off" else "use_def"
            row(
                f"{_mnemonic}_{_kind}_{_mode}",
                _mnemonic,
                f"{_opc} 101 {_v} {_bits} {_load} imm:7 u:5 n:5 t:5",
                f"{_role}:{_kind}@t {_role}:{_kind}@u {_base}:xsp@n pair{_scale}@imm",
                _template,
                memory=_memory,
            )
for _kind, _bits in (("w", "00 011 0"), ("x", "01 011 0"), ("s", "00 011 1"), ("d", "01 011 1")):
    row(
        f"ldr_{_kind}_lit",
        "ldr",
        f"{_bits} 00 to:19 t:5",
        f"def:{_kind}@t label19@to",
        memory="load",
    )

# --- scalar floating point ------------------------------------------------------------------------

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
    row(
        f"fccmp_{_f}",
        "fccmp",
        f"00011110 {_type} 1 m:5 cond:4 01 n:5 0 nzcv:4",
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

# --- Advanced SIMD ---------------------------------------------------------------------------

row(
    "mov_v16b",
    "mov",
    "0 1 0 01110 10 1 m:5 000111 n:5 d:5",
    "def:v16b@d use:v16b@n use:v16b@m",
    aliases=[],
)
ROWS.pop()


def _vector_copy() -> None:
    """ORR of a register with itself.  The two source fields are one operand."""
    from callproof.target.arm64 import table

    plain = table.KINDS["v16b"]
    table.KINDS["v16b_twice"] = table.Kind(
        "v16b_twice",
        lambda register: plain.encode(register) * 2,
        lambda fields: plain.decode(fields[:1]) if fields[0] == fields[1] else None,
        plain.text,
        register_class=plain.register_class,
        fields=2,
    )
    row(
        "mov_v16b",
        "mov",
        "0 1 0 01110 10 1 m:5 000111 n:5 d:5",
        "def:v16b@d use:v16b_twice@m+n",
        is_move=True,
    )


_vector_copy()
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

# --- access ---------------------------------------------------------------------------------------

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
