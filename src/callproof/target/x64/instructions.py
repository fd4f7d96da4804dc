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
add("xorps", "xorps", "0F 57 /r", "use_def:x@reg use:x@rm")
add("xorps_xm", "xorps", "0F 57 /r", "use_def:x@reg mem")
add("andps", "andps", "0F 54 /r", "use_def:x@reg use:x@rm")
add("andps_xm", "andps", "0F 54 /r", "use_def:x@reg mem")
add("punpcklqdq", "punpcklqdq", "66 0F 6C /r", "use_def:x@reg use:x@rm")
for s, prefix, compare in (("sd", "F2", "66 "), ("ss", "F3", "")):
    add(f"mov{s}_xm", f"mov{s}", f"{prefix} 0F 10 /r", "def:x@reg mem")
    add(f"mov{s}_mx", f"mov{s}", f"{prefix} 0F 11 /r", "use:x@reg mem", stored=True)
    for name, byte in (("add", 0x58), ("mul", 0x59), ("sub", 0x5C), ("div", 0x5E)):
        add(f"{name}{s}", f"{name}{s}", f"{prefix} 0F {byte:02X} /r", "use_def:x@reg use:x@rm")
        add(f"{name}{s}_xm", f"{name}{s}", f"{prefix} 0F {byte:02X} /r", "use_def:x@reg mem")
    # What these leave of the destination's upper bytes nobody looks at.
    add(f"sqrt{s}", f"sqrt{s}", f"{prefix} 0F 51 /r", "def:x@reg use:x@rm")
    add(f"ucomi{s}", f"ucomi{s}", f"{compare}0F 2E /r", "use:x@reg use:x@rm", flags="w")
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
