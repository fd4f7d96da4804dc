"""THE x86-64 instruction table: what the compiler needs, with SSE2 for floats.

Facts from the Intel 64 and IA-32 manual, volume 2.  Names: mnemonic, width (q l w b),
then what the operands are: r register, m memory, i immediate, x XMM.
"""

from __future__ import annotations

from callproof.target.x64.registers import RAX, RCX, RDX, RSP
from callproof.target.x64.table import Table

TABLE = Table()
add = TABLE.add

WIDTHS = (("q", "r64", "W "), ("l", "r32", ""))

# --- integers ---------------------------------------------------------------------------

for op, name in enumerate("add or adc sbb and sub xor cmp".split()):
    role = "use" if name == "cmp" else "use_def"
    facts = {"flags": "rw" if name in ("adc", "sbb") else "w"}
    for w, kind, rex in WIDTHS:
        mnemonic, code = f"{name}{w}", 8 * op
        add(
            f"{name}_{w}_rr",
            mnemonic,
            f"{rex}{code + 1:02X} /r",
            f"{role}:{kind}@rm use:{kind}@reg",
            **facts,
        )
        add(
            f"{name}_{w}_rm", mnemonic, f"{rex}{code + 3:02X} /r", f"{role}:{kind}@reg mem", **facts
        )
        add(f"{name}_{w}_ri", mnemonic, f"{rex}81 /{op} ib/id", f"{role}:{kind}@rm imm", **facts)

        # Memory as what is changed or compared; a short and a long row, as the distance of a
        # symbol counts from the instruction's end.
        if name in ("add", "or", "and", "sub", "xor"):
            add(
                f"{name}_{w}_mr",
                mnemonic,
                f"{rex}{code + 1:02X} /r",
                f"use:{kind}@reg mem",
                stored=True,
                **facts,
            )
        if name not in ("adc", "sbb"):
            add(f"{name}_{w}_mi8", mnemonic, f"{rex}83 /{op} ib", "mem imm", **facts)
            add(f"{name}_{w}_mi", mnemonic, f"{rex}81 /{op} id", "mem imm", **facts)
add("cmp_b_mi", "cmpb", "80 /7 ib", "mem imm", flags="w")

for w, kind, rex in WIDTHS:
    add(f"mov_{w}_rr", f"mov{w}", f"{rex}89 /r", f"def:{kind}@rm use:{kind}@reg", is_move=w == "q")
    add(f"mov_{w}_rm", f"mov{w}", f"{rex}8B /r", f"def:{kind}@reg mem")
    add(f"mov_{w}_mr", f"mov{w}", f"{rex}89 /r", f"use:{kind}@reg mem", stored=True)
    add(f"mov_{w}_mi", f"mov{w}", f"{rex}C7 /0 id", "mem imm")
    add(f"lea_{w}", f"lea{w}", f"{rex}8D /r", f"def:{kind}@reg mem")
    add(f"test_{w}_rr", f"test{w}", f"{rex}85 /r", f"use:{kind}@rm use:{kind}@reg", flags="w")
    add(f"test_{w}_ri", f"test{w}", f"{rex}F7 /0 id/acc", f"use:{kind}@rm imm", flags="w")
    add(
        f"imul_{w}_rr", f"imul{w}", f"{rex}0F AF /r", f"use_def:{kind}@reg use:{kind}@rm", flags="w"
    )
    add(f"imul_{w}_rm", f"imul{w}", f"{rex}0F AF /r", f"use_def:{kind}@reg mem", flags="w")
    add(
        f"imul_{w}_rri",
        f"imul{w}",
        f"{rex}69 /r ib/id*",
        f"def:{kind}@reg use:{kind}@rm imm",
        flags="w",
    )
    add(f"not_{w}", f"not{w}", f"{rex}F7 /2", f"use_def:{kind}@rm")
    add(f"neg_{w}", f"neg{w}", f"{rex}F7 /3", f"use_def:{kind}@rm", flags="w")
    for digit, name in ((4, "mul"), (5, "imul")):
        add(
            f"{name}_{w}_wide",
            f"{name}{w}",
            f"{rex}F7 /{digit}",
            f"use:{kind}@rm",
            flags="w",
            reads=(RAX,),
            writes=(RAX, RDX),
        )
    for digit, name in ((6, "div"), (7, "idiv")):
        add(
            f"{name}_{w}",
            f"{name}{w}",
            f"{rex}F7 /{digit}",
            f"use:{kind}@rm",
            flags="w",
            reads=(RAX, RDX),
            writes=(RAX, RDX),
        )
    for digit, name in ((4, "shl"), (5, "shr"), (7, "sar")):
        add(
            f"{name}_{w}_i",
            f"{name}{w}",
            f"{rex}C1 /{digit} i1/ib",
            f"use_def:{kind}@rm imm",
            flags="w",
        )
        add(
            f"{name}_{w}_cl",
            f"{name}{w}",
            f"{rex}D3 /{digit}",
            f"use_def:{kind}@rm",
            flags="w",
            reads=(RCX,),
            template="%cl, {0}",
        )
    add(
        f"cmov_{w}",
        "cmov",
        f"{rex}0F 40 +c /r",
        f"cond use_def:{kind}@reg use:{kind}@rm",
        flags="r",
    )
    for size, source, byte in (("b", "r8", 0), ("w", "r16", 1)):
        add(
            f"movs{size}{w}",
            f"movs{size}{w}",
            f"{rex}0F {0xBE + byte:02X} /r",
            f"def:{kind}@reg use:{source}@rm",
        )
        add(
            f"movs{size}{w}_m",
            f"movs{size}{w}",
            f"{rex}0F {0xBE + byte:02X} /r",
            f"def:{kind}@reg mem",
        )
for size, source, byte in (("b", "r8", 0), ("w", "r16", 1)):
    add(f"movz{size}l", f"movz{size}l", f"0F {0xB6 + byte:02X} /r", f"def:r32@reg use:{source}@rm")
    add(f"movz{size}l_m", f"movz{size}l", f"0F {0xB6 + byte:02X} /r", "def:r32@reg mem")
add("movslq", "movslq", "W 63 /r", "def:r64@reg use:r32@rm")
add("movslq_m", "movslq", "W 63 /r", "def:r64@reg mem")
add("mov_b_mr", "movb", "88 /r", "use:r8@reg mem", stored=True)
add("mov_w_mr", "movw", "66 89 /r", "use:r16@reg mem", stored=True)
add("mov_b_mi", "movb", "C6 /0 ib", "mem imm")
add("mov_w_mi", "movw", "66 C7 /0 iw", "mem imm")
add("mov_l_ri", "movl", "B8 +r id", "def:r32@op imm")
add("mov_q_ri", "movq", "W C7 /0 id", "def:r64@rm imm")
add("movabs", "movabsq", "W B8 +r iq", "def:r64@op imm")
add("cqto", "cqto", "W 99", "", reads=(RAX,), writes=(RDX,))
add("cltd", "cltd", "99", "", reads=(RAX,), writes=(RDX,))
add("set", "set", "0F 90 +c /0", "cond def:r8@rm", flags="r")
add("push", "pushq", "50 +r", "use:r64@op", reads=(RSP,), writes=(RSP,))
add("pop", "popq", "58 +r", "def:r64@op", reads=(RSP,), writes=(RSP,))

# --- control --------------------------------------------------------------------------------

add("jmp_short", "jmp", "EB rel8", "rel", control="jump")
add("jmp", "jmp", "E9 rel32", "rel", control="jump")
add("j_short", "j", "70 +c rel8", "cond rel", control="branch", flags="r")
add("j", "j", "0F 80 +c rel32", "cond rel", control="branch", flags="r")
add("call", "callq", "E8 rel32", "rel", control="call", reads=(RSP,), writes=(RSP,))
add(
    "call_r",
    "callq",
    "FF /2",
    "use:r64@rm",
    control="indirect_call",
    template="*{0}",
    reads=(RSP,),
    writes=(RSP,),
)
add("jmp_r", "jmpq", "FF /4", "use:r64@rm", control="indirect_jump", template="*{0}")
add("ret", "retq", "C3", "", control="return", reads=(RSP,), writes=(RSP,))
add("ud2", "ud2", "0F 0B", "", control="trap")

# --- floats and vectors ----------------------------------------------------------------------

add("movaps", "movaps", "0F 28 /r", "def:x@reg use:x@rm", is_move=True)
add("movups_xm", "movups", "0F 10 /r", "def:x@reg mem")
add("movups_mx", "movups", "0F 11 /r", "use:x@reg mem", stored=True)
add("movq_xr", "movq", "66 W 0F 6E /r", "def:x@reg use:r64@rm")
add("movq_rx", "movq", "66 W 0F 7E /r", "def:r64@rm use:x@reg")
add("movd_xr", "movd", "66 0F 6E /r", "def:x@reg use:r32@rm")
add("movd_rx", "movd", "66 0F 7E /r", "def:r32@rm use:x@reg")
CHANGED = "use_def:x@reg use:x@rm"
CHANGED_BY_MEMORY = "use_def:x@reg mem"  # 16 bytes, which must be aligned
for name, byte in (("xor", 0x57), ("and", 0x54)):
    add(f"{name}ps", f"{name}ps", f"0F {byte:02X} /r", CHANGED)
    add(f"{name}ps_xm", f"{name}ps", f"0F {byte:02X} /r", CHANGED_BY_MEMORY)
for s, prefix in (("ps", ""), ("pd", "66 ")):
    add(f"sqrt{s}", f"sqrt{s}", f"{prefix}0F 51 /r", "def:x@reg use:x@rm")
    for name, byte in (
        *(("add", 0x58), ("mul", 0x59), ("sub", 0x5C), ("min", 0x5D)),
        *(("div", 0x5E), ("max", 0x5F)),
    ):
        add(f"{name}{s}", f"{name}{s}", f"{prefix}0F {byte:02X} /r", CHANGED)
        add(f"{name}{s}_xm", f"{name}{s}", f"{prefix}0F {byte:02X} /r", CHANGED_BY_MEMORY)
for name, byte in (
    *(("paddb", 0xFC), ("paddw", 0xFD), ("paddd", 0xFE), ("paddq", 0xD4)),
    *(("psubb", 0xF8), ("psubw", 0xF9), ("psubd", 0xFA), ("psubq", 0xFB)),
    *(("pand", 0xDB), ("por", 0xEB), ("pxor", 0xEF)),
    *(("pmullw", 0xD5), ("pmaddwd", 0xF5), ("pminsw", 0xEA), ("pmaxsw", 0xEE)),
):
    add(name, name, f"66 0F {byte:02X} /r", CHANGED)
    add(f"{name}_xm", name, f"66 0F {byte:02X} /r", CHANGED_BY_MEMORY)
for name, byte in (
    *(("punpckldq", 0x62), ("punpckhdq", 0x6A), ("punpcklqdq", 0x6C), ("punpckhqdq", 0x6D)),
    *(("packuswb", 0x67), ("packssdw", 0x6B), ("pmuludq", 0xF4), ("psadbw", 0xF6)),
    *(("pcmpgtb", 0x64), ("pcmpgtw", 0x65), ("pcmpgtd", 0x66)),
):
    add(name, name, f"66 0F {byte:02X} /r", CHANGED)
for w, byte, shifts in (("w", 0x71, "lra"), ("d", 0x72, "lra"), ("q", 0x73, "lr")):
    for digit, how in ((6, "l"), (2, "r"), (4, "a")):
        if how in shifts:
            name = f"ps{'ra' if how == 'a' else how + 'l'}{w}"
            add(name, name, f"66 0F {byte:02X} /{digit} ub", "use_def:x@rm imm")
add("pshufd", "pshufd", "66 0F 70 /r ub", "def:x@reg use:x@rm imm")
add("pshuflw", "pshuflw", "F2 0F 70 /r ub", "def:x@reg use:x@rm imm")
add("shufps", "shufps", "0F C6 /r ub", f"{CHANGED} imm")
add("pextrw", "pextrw", "66 0F C5 /r ub", "def:r32@reg use:x@rm imm")
add("pinsrw", "pinsrw", "66 0F C4 /r ub", "use_def:x@reg use:r32@rm imm")
for s, prefix, compare in (("sd", "F2", "66 "), ("ss", "F3", "")):
    add(f"mov{s}", f"mov{s}", f"{prefix} 0F 10 /r", CHANGED)  # the lowest lane only
    add(f"mov{s}_xm", f"mov{s}", f"{prefix} 0F 10 /r", "def:x@reg mem")
    add(f"mov{s}_mx", f"mov{s}", f"{prefix} 0F 11 /r", "use:x@reg mem", stored=True)
    for name, byte in (("add", 0x58), ("mul", 0x59), ("sub", 0x5C), ("div", 0x5E)):
        add(f"{name}{s}", f"{name}{s}", f"{prefix} 0F {byte:02X} /r", "use_def:x@reg use:x@rm")
        add(f"{name}{s}_xm", f"{name}{s}", f"{prefix} 0F {byte:02X} /r", "use_def:x@reg mem")
    # What these leave of the destination's upper bytes nobody looks at.
    add(f"sqrt{s}", f"sqrt{s}", f"{prefix} 0F 51 /r", "def:x@reg use:x@rm")
    add(f"ucomi{s}", f"ucomi{s}", f"{compare}0F 2E /r", "use:x@reg use:x@rm", flags="w")
    add(f"ucomi{s}_xm", f"ucomi{s}", f"{compare}0F 2E /r", "use:x@reg mem", flags="w")
    for w, kind, rex in WIDTHS:
        add(
            f"cvtsi2{s}_{w}", f"cvtsi2{s}{w}", f"{prefix} {rex}0F 2A /r", f"def:x@reg use:{kind}@rm"
        )
        add(f"cvtt{s}2si_{w}", f"cvtt{s}2si", f"{prefix} {rex}0F 2C /r", f"def:{kind}@reg use:x@rm")
add("cvtss2sd", "cvtss2sd", "F3 0F 5A /r", "def:x@reg use:x@rm")
add("cvtsd2ss", "cvtsd2ss", "F2 0F 5A /r", "def:x@reg use:x@rm")

# Results of the type long double come and go by the x87 stack, whose registers no row names.
add("fldt", "fldt", "DB /5", "mem")
add("fstpt", "fstpt", "DB /7", "mem", stored=True)

ROWS = TABLE.rows
FORMS = TABLE.forms()

__all__ = ["FORMS", "ROWS"]
