"""All of A64 by encoding group: which registers a word reads and writes.

The rows of `instructions.py` are the forms that the compiler writes, with their text.
Code that others wrote uses all of the architecture, and what a checker needs of it is
less: registers, flags, memory, control flow.  So here is one line for each group of
encodings that behave alike (DDI 0487, C4.1; the names are the manual's).  A test holds
each row of the instruction table against its group: no fact is stated twice differently.

A pattern is read from bit 31 down; x is a free bit.  The first group that fits counts.

An operand is a role, a kind and a field:

    r read    w written    m read and merged into (partly written)
    X general, 31 is the zero register     P general, 31 is SP
    S scalar: the low 64 bits; writing it clears the high half
    V all 128 bits     Q all of them or the low half, as bit 30 says
    U the low half, or with bit 30 the high half (`sshll`, `sshll2`)
    N written: the low half (clearing the high one), or with bit 30 only the high half (`xtn2`)
    H the high half     L the low half alone
    E the element of a by-element multiplication: register and half from the fields M, Rm, H
    Z the sources of zip1 and zip2: one half of each
    d n m a: the fields at bits 0, 5, 16 and 10

Flags: f read, g written.  `kind` selects what `effects.py` does beyond that.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """One encoding group; `operands` are (role, kind, shift of the field)."""

    name: str
    mask: int
    value: int
    operands: tuple[tuple[str, str, int], ...]
    kind: str
    reads_flags: bool
    writes_flags: bool


SHIFTS = {"d": 0, "n": 5, "m": 16, "a": 10}
GROUPS: list[Group] = []


def _group(name: str, pattern: str, operands: str = "", kind: str = "plain") -> None:
    bits = pattern.replace(" ", "")
    bits += "x" * (32 - len(bits))
    assert len(bits) == 32 and set(bits) <= set("01x"), f"{name}: {pattern}"
    tokens = operands.split()
    GROUPS.append(
        Group(
            name,
            int("".join("0" if bit == "x" else "1" for bit in bits), 2),
            int(bits.replace("x", "0"), 2),
            tuple((t[0], t[1], SHIFTS[t[2]]) for t in tokens if len(t) == 3),
            kind,
            "f" in tokens,
            "g" in tokens,
        )
    )


g = _group

# --- reserved, SME, SVE -----------------------------------------------------------------------
g("udf", "0000000000000000", "", "trap")
g("sme", "1xx0000", "", "scalable")
g("sve", "xxx0010", "", "scalable")

# --- data processing, immediate ---------------------------------------------------------------
g("adr", "0xx10000", "wXd", "adr")
g("adrp", "1xx10000", "wXd", "adrp")
g("add/sub immediate", "xx0100010", "rPn wPd", "add_immediate")
g("adds/subs immediate", "xx1100010", "rPn wXd g", "compare_immediate")
g("addg/subg", "1x01000110", "rPn wPd")
g("min/max immediate", "x001000111", "rXn wXd")
g("logical immediate", "x00100100", "rXn wPd", "logical_immediate")
g("logical immediate", "x01100100", "rXn wPd", "logical_immediate")
g("logical immediate", "x10100100", "rXn wPd", "logical_immediate")
g("ands immediate", "x11100100", "rXn wXd g")
g("movn", "x00100101", "wXd", "move_wide")
g("movz", "x10100101", "wXd", "move_wide")
g("movk", "x11100101", "mXd", "movk")
g("sbfm", "x00100110", "rXn wXd", "bitfield")
g("bfm", "x01100110", "rXn mXd")
g("ubfm", "x10100110", "rXn wXd", "bitfield")
g("extr", "x00100111", "rXn rXm wXd", "extract_bits")

# --- branches, exceptions, system -------------------------------------------------------------
g("b.cond", "01010100xxxxxxxxxxxxxxxxxxx01110", "", "jump19")  # always
g("b.cond", "01010100xxxxxxxxxxxxxxxxxxx01111", "", "jump19")
g("b.cond", "01010100", "f", "branch19")
g("svc", "11010100000xxxxxxxxxxxxxxxx00001", "", "system_call")
g("hvc", "11010100000xxxxxxxxxxxxxxxx00010", "", "monitor_call")
g("smc", "11010100000xxxxxxxxxxxxxxxx00011", "", "monitor_call")
g("brk", "11010100001", "", "trap")
g("hlt", "11010100010", "", "trap")
g("exception", "11010100", "", "trap")
g("hint", "11010101000000110010xxxxxxx11111", "", "hint")
g("barrier", "11010101000000110011")
g("wfet", "11010101000000110001", "rXd")
g("cfinv", "1101010100000000010000000xx11111", "f g")
g("smstart", "11010101000000110100xxxx01111111", "", "scalable")
g("msr immediate", "1101010100000xxx0100xxxxxxx11111")
g("sys", "1101010100001", "rXd")
g("sysl", "1101010100101", "wXd")
g("msr nzcv", "110101010001101101000010000", "rXd g")
g("mrs nzcv", "110101010011101101000010000", "wXd f")
g("msr", "11010101000", "rXd")
g("mrs", "11010101001", "wXd")
g("br", "11010110000111110000", "rXn", "indirect_jump")
g("blr", "11010110001111110000", "rXn", "indirect_call")
g("ret", "1101011001011111000000xxxxx00000", "rXn", "return")
g("retaa", "110101100101111100001x1111111111", "", "return_signed")
g("eret", "11010110100", "", "exception_return")
g("drps", "11010110101", "", "exception_return")
g("braa", "11010111000111110000", "rXn rPd", "indirect_jump")
g("blraa", "11010111001111110000", "rXn rPd", "indirect_call")
g("b", "000101", "", "jump")
g("bl", "100101", "", "call")
g("cbz", "x0110100", "rXd", "branch19")
g("cbnz", "x0110101", "rXd", "branch19")
g("tbz", "x0110110", "rXd", "branch14")
g("tbnz", "x0110111", "rXd", "branch14")

# --- loads and stores -------------------------------------------------------------------------
g("st1-st4 multiple", "0x00110000000000", "rPn", "structure_store")
g("ld1-ld4 multiple", "0x00110001000000", "rPn", "structure_load")
g("st1-st4 multiple, post", "0x001100100", "rPn rXm", "structure_store")
g("ld1-ld4 multiple, post", "0x001100110", "rPn rXm", "structure_load")
g("st1-st4 single", "0x0011010 0x00000", "rPn", "structure_store")
g("ld1-ld4 single", "0x0011010 1x00000", "rPn", "structure_load")
g("st1-st4 single, post", "0x0011011 0x", "rPn rXm", "structure_store")
g("ld1-ld4 single, post", "0x0011011 1x", "rPn rXm", "structure_load")
g("stxr", "xx001000000", "rXd rPn wXm", "other_store")
g("casp", "0x0010000x1xxxxxx11111", "rPn", "compare_and_swap_pair")
g("stxp", "1x001000001", "rXd rXa rPn wXm", "other_store")
g("ldxr", "xx001000010", "wXd rPn")
g("ldxp", "1x001000011", "wXd wXa rPn")
g("stlr", "xx0010001 00", "rXd rPn", "other_store")
g("ldar", "xx0010001 10", "wXd rPn")
g("cas", "xx0010001x1xxxxxx11111", "mXm rXd rPn", "other_store")
g("cpy", "xx011x01xx0xxxxxxxxx01", "mXd mXm mXn g", "other_store")
g("stlur", "xx011001000xxxxxxxxx00", "rXd rPn", "other_store")
g("ldapur", "xx011001xx0xxxxxxxxx00", "wXd rPn")
g("stlur", "xx011101000xxxxxxxxx10", "rVd rPn", "other_store")
g("stlur", "00011101100xxxxxxxxx10", "rVd rPn", "other_store")
g("ldapur", "xx011101xx0xxxxxxxxx10", "wVd rPn")
g("ldg", "11011001011xxxxxxxxx00", "mXd rPn")
g("ldgm", "11011001111xxxxxxxxx00", "wXd rPn")
g("stgm", "11011001xx1xxxxxxxxx00", "rXd rPn", "other_store")
g("stg", "11011001xx1xxxxxxxxx10", "rPd rPn", "other_store")
g("stg, writing back", "11011001xx1xxxxxxxxxx1", "rPd rPn wPn", "other_store")
g("ldr literal", "00011000", "wXd")
g("ldr literal", "01011000", "wXd")
g("ldrsw literal", "10011000", "wXd")
g("prfm literal", "11011000")
g("ldr literal, SIMD", "xx011100", "wVd")
g("stgp", "0110100xx0", "rPn", "tag_pair")
g("stp", "xx10100xx0", "rPn", "pair")
g("ldp", "xx10100xx1", "rPn", "pair")
g("stp, SIMD", "xx10110xx0", "rPn", "pair")
g("ldp, SIMD", "xx10110xx1", "rPn", "pair")
g("prfum", "1111100010 0xxxxxxxxx00", "rPn")
g("prfm register", "1111100010 1xxxxxxxxx10", "rPn rXm")
g("prfm", "1111100110", "rPn")
g("ldapr", "xx1110001011111111 0000", "wXd rPn")
g("ld64b", "1111100000111111110100", "rPn", "unknown")
g("st64b", "11111000001xxxxx1x1x00", "rPn", "unknown")
g("atomic", "xx111000xx1xxxxxxxxx00", "rXm wXd rPn", "other_store")
g("ldraa", "11111000xx1xxxxxxxxx01", "wXd rPn")
g("ldraa, writing back", "11111000xx1xxxxxxxxx11", "wXd rPn wPn")
g("load/store register offset", "xx111x00xx1xxxxxxxxx10", "rPn rXm", "indexed")
g("load/store unscaled", "xx111x00xx0xxxxxxxxx00", "rPn", "single")
g("load/store unprivileged", "xx111000xx0xxxxxxxxx10", "rPn", "single")
g("load/store post", "xx111x00xx0xxxxxxxxx01", "rPn", "single")
g("load/store pre", "xx111x00xx0xxxxxxxxx11", "rPn", "single")
g("load/store scaled", "xx111x01", "rPn", "single")

# --- data processing, register ----------------------------------------------------------------
g("orr shifted", "x0101010xx0", "rXn rXm wXd", "logical_or")
g("eor shifted", "x1001010xx0", "rXn rXm wXd", "cancels")
g("logical shifted", "x0x01010", "rXn rXm wXd")
g("logical shifted", "x1001010", "rXn rXm wXd")
g("ands shifted", "x1101010", "rXn rXm wXd g")
g("add shifted", "x0001011xx0", "rXn rXm wXd", "add_register")
g("sub shifted", "x1001011xx0", "rXn rXm wXd", "sub_register")
g("adds/subs shifted", "xx101011xx0", "rXn rXm wXd g", "compare_register")
g("add extended", "x0001011001", "rPn rXm wPd", "add_register")
g("sub extended", "x1001011001", "rPn rXm wPd", "sub_register")
g("adds/subs extended", "xx101011001", "rPn rXm wXd g", "compare_register")
g("adc/sbc", "xx011010000xxxxx000000", "rXn rXm wXd f")
g("adcs/sbcs", "xx111010000xxxxx000000", "rXn rXm wXd f g")
g("rmif", "10111010000xxxxxx00001", "rXn f g")
g("setf", "00111010000000000x0010", "rXn f g")
g("ccmp register", "xx111010010xxxxxxxxx0", "rXn rXm f g")
g("ccmp immediate", "xx111010010xxxxxxxxx1", "rXn f g")
g("csel", "xx011010100", "rXn rXm wXd f", "select")
g("subp", "10011010110xxxxx000000", "rPn rPm wXd")
g("subps", "10111010110xxxxx000000", "rPn rPm wXd g")
g("irg", "10011010110xxxxx000100", "rPn rXm wPd")
g("gmi", "10011010110xxxxx000101", "rPn rXm wXd")
g("pacga", "10011010110xxxxx001100", "rXn rPm wXd")
g("two sources", "x0011010110", "rXn rXm wXd")
g("one source", "x101101011000000", "rXn wXd")
g("xpac", "110110101100000101000x11111", "mXd")
g("pac, zero modifier", "110110101100000100 1xxx11111", "mXd")
g("pac", "1101101011000001", "mXd rPn")
g("three sources", "x0011011", "rXn rXm rXa wXd")

# --- scalar floating point --------------------------------------------------------------------
g("scvtf fixed", "x0011110xx000010", "rXn wSd")
g("ucvtf fixed", "x0011110xx000011", "rXn wSd")
g("fcvtz fixed", "x0011110xx01100x", "rSn wXd")
g("scvtf/ucvtf", "x0011110xx10001x000000", "rXn wSd")
g("fmov of 64 bits from general", "1001111001100111000000", "rXn wSd", "move_from_general")
g("fmov of 64 bits to general", "1001111001100110000000", "rSn wXd", "move_to_general")
g("fmov from general", "x0011110xx100111000000", "rXn wSd")
g("fmov to the high half", "1001111010101111000000", "rXn wHd", "move_to_high")
g("fmov of the high half", "1001111010101110000000", "rHn wXd", "move_of_high")
g("fjcvtzs", "0001111001111110000000", "rSn wXd g")
g("floating to integer", "x0011110xx1xxxxx000000", "rSn wXd")
g("fmov register", "00011110011000000 10000", "rSn wSd", "move_scalar")
g("floating, one source", "00011110xx1xxxxxx10000", "rSn wSd")
g("fcmp with zero", "00011110xx1xxxxx001000xxxxxx1000", "rSn g")
g("fcmp", "00011110xx1xxxxx001000", "rSn rSm g")
g("fmov immediate", "00011110xx1xxxxxxxx100", "wSd")
g("fccmp", "00011110xx1xxxxxxxxx01", "rSn rSm f g")
g("floating, two sources", "00011110xx1xxxxxxxxx10", "rSn rSm wSd")
g("fcsel", "00011110xx1xxxxxxxxx11", "rSn rSm wSd f", "select")
g("floating, three sources", "00011111", "rSn rSm rSa wSd")

# --- cryptography -----------------------------------------------------------------------------
g("aese/aesd", "0100111000101000010x10", "mVd rVn")
g("aesmc/aesimc", "0100111000101000011x10", "rVn wVd")
g("sha, three registers", "01011110000xxxxx0xxx00", "mVd rVn rVm")
g("sha1h", "0101111000101000000010", "rSn wSd")
g("sha, two registers", "01011110001010000xxx10", "mVd rVn")
g("eor3, bcax, sm3ss1", "110011100xxxxxxx0", "rVn rVm rVa wVd")
g("rax1", "11001110011xxxxx100011", "rVn rVm wVd")
g("sm4ekey", "11001110011xxxxx110010", "rVn rVm wVd")
g("sha512, sm3", "1100111001", "mVd rVn rVm")
g("sm4e, sha512su0", "1100111011000000100xxx", "mVd rVn")
g("xar", "11001110100", "rVn rVm wVd")

# --- scalar SIMD ------------------------------------------------------------------------------
g("dup to scalar", "01011110000xxxxx000001", "wSd", "lane_to_scalar")
g("scalar pairwise, d", "01x11110x111000xxxxx10", "rVn wSd")
g("scalar pairwise", "01x11110x011000xxxxx10", "rSn wSd")
g("suqadd", "01x11110xx10000000 1110", "rSn mSd")
g("scalar, two registers", "01x11110xx10000xxxxx10", "rSn wSd")
g("scalar half, two registers", "01x11110x111100xxxxx10", "rSn wSd")
g("sqrdmlah scalar", "01111110xx0xxxxx1xxxx1", "rSn rSm mSd")
g("scalar, three halves", "01x11110x10xxxxx00xxx1", "rSn rSm wSd")
g("cmeq, sub scalar", "01111110111xxxxx10x011", "rSn rSm wSd", "cancels_scalar")
g("scalar, three registers", "01x11110xx1xxxxxxxxxx1", "rSn rSm wSd")
g("sqdmull scalar", "01x11110xx1xxxxx110100", "rSn rSm wSd")
g("sqdmlal scalar", "01x11110xx1xxxxxxxxx00", "rSn rSm mSd")
g("ssra scalar", "01x111110xxxxxxx00x101", "rSn mSd")
g("sri/sli scalar", "011111110xxxxxxx010x01", "rSn mSd")
g("scalar shift", "01x111110xxxxxxxxxxxx1", "rSn wSd")
for _u, _opcodes in (("0", "1001 1011 1100 1101"), ("1", "1001")):
    for _opcode in _opcodes.split():
        g("scalar by element", f"01{_u}11111xxxxxxxx{_opcode}x0", "rSn rEm wSd")
g("scalar by element, accumulating", "01x11111xxxxxxxxxxxxx0", "rSn rEm mSd")

# --- vectors ----------------------------------------------------------------------------------
g("tbl", "0x001110000xxxxx0xx000", "rQm wQd", "table")
g("tbx", "0x001110000xxxxx0xx100", "rQm mQd", "table")
g("zip", "0x001110xx0xxxxx0x1110", "rZn rZm wQd")
g("permute", "0x001110xx0xxxxx0xxx10", "rQn rQm wQd")
g("ext", "0x101110000xxxxx0xxxx0", "wQd", "extract")
g("dup element", "0x001110000xxxxx000001", "wQd", "lane_to_scalar")
g("dup general", "0x001110000xxxxx000011", "rXn wQd")
g("ins general", "01001110000xxxxx000111", "rXn", "insert_general")
g("smov/umov", "0x001110000xxxxx001x11", "wXd", "lane_to_general")
g("ins element", "01101110000xxxxx0xxxx1", "", "insert_element")
for _opcode in ("10010", "01111", "11001", "11101"):  # mla, saba, fmla, fmlal
    g("accumulating", f"0x001110xx1xxxxx{_opcode}1", "rQn rQm mQd", "lanes")
for _opcode in ("10010", "01111", "11001"):
    g("accumulating", f"0x101110xx1xxxxx{_opcode}1", "rQn rQm mQd", "lanes")
g("eor", "0x101110001xxxxx000111", "rQn rQm wQd", "cancels_vector")
g("bsl/bit/bif", "0x101110xx1xxxxx000111", "rQn rQm mQd", "lanes")
g("orr", "0x001110101xxxxx000111", "rQn rQm wQd", "move_vector")
g("cmeq, sub", "0x101110xx1xxxxx100011", "rQn rQm wQd", "cancels_vector")
g("sub", "0x101110xx1xxxxx100001", "rQn rQm wQd", "cancels_vector")
for _pattern in (  # addp; smaxp and the like; faddp, fmaxnmp, fmaxp
    "0x001110xx1xxxxx101111",
    "0xx01110xx1xxxxx1010x1",
    "0x1011100x1xxxxx110101",
    "0x101110xx1xxxxx110001",
    "0x101110xx1xxxxx111101",
):
    g("pairwise", _pattern, "rQn rQm wQd")
g("three registers", "0x x01110xx1xxxxxxxxxx1", "rQn rQm wQd", "lanes")
g("fmla half", "0x001110x10xxxxx000011", "rQn rQm mQd")
g("three half registers", "0xx01110x10xxxxx00xxx1", "rQn rQm wQd")
g("fcadd", "0x101110xx0xxxxx111x01", "rQn rQm wQd")
g("dot, matrix, complex", "0xx01110xx0xxxxx1xxxx1", "rQn rQm mQd")
for _opcode in ("0000", "0010", "0111", "1100", "1101", "1110"):
    g("long", f"0xx01110xx1xxxxx{_opcode}00", "rUn rUm wVd")
for _opcode in ("0101", "1000", "1010", "1001", "1011"):
    g("long, accumulating", f"0xx01110xx1xxxxx{_opcode}00", "rUn rUm mVd")
g("wide", "0xx01110xx1xxxxx00x100", "rVn rUm wVd")
g("narrow", "0xx01110xx1xxxxx01x000", "rVn rVm wNd")
g("suqadd", "0xx01110xx10000000 1110", "rQn mQd")
g("sadalp", "0xx01110xx100000011010", "rQn mQd")
g("xtn", "0xx01110xx100001001010", "rVn wNd")
g("sqxtn", "0xx01110xx100001010010", "rVn wNd")
g("fcvtn", "0xx01110xx100001011010", "rVn wNd")
g("fcvtl", "0xx01110xx100001011110", "rUn wVd")
g("shll", "0x101110xx100001001110", "rUn wVd")
g("two registers", "0xx01110xx10000xxxxx10", "rQn wQd", "lanes")
g("two half registers", "0xx01110x111100xxxxx10", "rQn wQd")
g("across lanes", "0xx01110xx11000xxxxx10", "rQn wSd")
g("orr/bic immediate", "0xx0111100000xxx0xx101", "mQd")
g("orr/bic immediate", "0xx0111100000xxx10x101", "mQd")
g("modified immediate", "0xx0111100000xxxxxxxx1", "wQd")
g("ssra", "0xx011110xxxxxxx00x101", "rQn mQd", "lanes")
g("sri/sli", "0x1011110xxxxxxx010x01", "rQn mQd", "lanes")
g("shift narrow", "0xx011110xxxxxxx100xx1", "rVn wNd")
g("shift long", "0xx011110xxxxxxx101001", "rUn wVd")
g("shift", "0xx011110xxxxxxxxxxxx1", "rQn wQd", "lanes")
for _u, _opcodes in (("0", "1000 1001 1100 1101"), ("1", "1001")):
    for _opcode in _opcodes.split():
        g("by element", f"0x{_u}01111xxxxxxxx{_opcode}x0", "rQn rEm wQd")
for _u, _opcodes in (("0", "1010 1011"), ("1", "1010")):
    for _opcode in _opcodes.split():
        g("by element, long", f"0x{_u}01111xxxxxxxx{_opcode}x0", "rUn rEm wVd")
for _u, _opcodes in (("0", "0010 0110 0011 0111"), ("1", "0010 0110")):
    for _opcode in _opcodes.split():
        g("by element, long, accumulating", f"0x{_u}01111xxxxxxxx{_opcode}x0", "rUn rEm mVd")
g("by element, accumulating", "0xx01111xxxxxxxxxxxxx0", "rQn rEm mQd")
