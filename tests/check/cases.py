"""For each rule programs that break it and programs that only look like it.

A case is its text and the (rule, register) pairs of errors and warnings that must be
found: exactly these.
"""

from __future__ import annotations

from tests.check.assembled import FRAME, LEAVE, function

Expected = set[tuple[str, str]]
CASES: dict[str, tuple[str, Expected]] = {}


def case(name: str, body: str, *expected: tuple[str, str], more: str = "") -> None:
    CASES[name] = (function("f", body) + more, set(expected))


# --- CS1 ---------------------------------------------------------------------------------------

case("cs1_never_saved", "mov x19, x0\nret", ("CS1", "x19"))
case(
    "cs1_saved_after", "mov x19, x0\nstr x19, [sp, #-16]!\nldr x19, [sp], #16\nret", ("CS1", "x19")
)
case(
    "cs1_other_slot",
    "sub sp, sp, #32\nstr x19, [sp, #8]\nmov x19, x0\nldr x19, [sp, #16]\nadd sp, sp, #32\nret",
    ("CS1", "x19"),
)
case(
    "cs1_swapped",
    "stp x19, x20, [sp, #-16]!\nmov x19, x0\nmov x20, x1\nldp x20, x19, [sp], #16\nret",
    ("CS1", "x19"),
    ("CS1", "x20"),
)
case(
    "cs1_narrow",
    "str s8, [sp, #-16]!\nfmov d8, x0\nldr s8, [sp], #16\nret",
    ("CS1", "d8"),
)
case(
    "cs1_narrow_general",
    "str x19, [sp, #-16]!\nmov x19, x0\nldr w19, [sp], #16\nret",
    ("CS1", "x19"),
)
case(
    "cs1_one_path",
    "cbz x0, 1f\nstr x19, [sp, #-16]!\nmov x19, x0\nldr x19, [sp], #16\nret\n1: mov x19, #1\nret",
    ("CS1", "x19"),
)
case(
    "cs1_slot_overwritten",
    "stp x19, x20, [sp, #-32]!\nmov x19, x0\nstr x1, [sp]\nldp x19, x20, [sp], #32\nret",
    ("CS1", "x19"),
)
case("cs1_stack", "sub sp, sp, #32\nstr x0, [sp]\nadd sp, sp, #16\nret", ("CS1", "sp"))
case(
    "cs1_stack_by_path",
    "cbz x0, 1f\nsub sp, sp, #32\nstr x0, [sp]\nadd sp, sp, #16\n1: ret",
    ("CS1", "sp"),
)
case("cs1_d8", "fmov d8, d0\nfadd d0, d8, d8\nret", ("CS1", "d8"))
case("cs1_upper_half_only", "mov v8.d[1], x0\nret")
case("cs1_tail", "mov x20, x0\nb g", ("CS1", "x20"))
case("cs1_loaded", "ldr x21, [x0]\nldr x0, [x21]\nret", ("CS1", "x21"))
case(
    "cs1_tail_not_popped",
    f"{FRAME}bl g\nb g",
    ("CS1", "sp"),
    ("CS1", "x29"),
    ("LR1", "x30"),
)
case(
    "cs1_full",
    "stp q8, q9, [sp, #-32]!\nmovi v8.2d, #0\nmovi v9.2d, #0\nldr d8, [sp]\nldr d9, [sp, #16]\n"
    "add sp, sp, #32\nret",
)
case(
    "cs1_lists",
    "sub sp, sp, #64\nst1 {v8.2d-v11.2d}, [sp]\nmovi v8.2d, #0\nmovi v11.2d, #0\n"
    "ld1 {v8.2d-v11.2d}, [sp], #64\nret",
)
case(
    "cs1_shrink_wrapped",
    f"cbz x0, 1f\n{FRAME}str x19, [sp, #16]\nmov x19, x0\nbl g\nmov x0, x19\nldr x19, [sp, #16]\n"
    "ldp x29, x30, [sp], #48\n1: ret",
)
case(
    "cs1_alloca",
    f"{FRAME}str x19, [x29, #16]\nmov x19, x0\nsub sp, sp, x1\nmov x0, sp\nbl g\n"
    f"ldr x19, [x29, #16]\nmov sp, x29\n{LEAVE}",
)
case("cs1_moved_aside", "mov x9, x19\nmov x19, x0\nadd x0, x19, x1\nmov x19, x9\nret")
case(
    "cs1_big_frame",
    "mov x9, #4112\nsub sp, sp, x9\nstr x19, [sp, #4096]\nmov x19, x0\nldr x19, [sp, #4096]\n"
    "add sp, sp, #4096\nadd sp, sp, #16\nret",
)
_STORE = "".join(f"stp x{n}, x{n + 1}, [x0, #{8 * (n - 19)}]\n" for n in range(19, 29, 2))
_LOAD = "".join(f"ldp x{n}, x{n + 1}, [x1, #{8 * (n - 19)}]\n" for n in range(19, 29, 2))
_STORE_D = "".join(f"stp d{n}, d{n + 1}, [x0, #{112 + 8 * (n - 8)}]\n" for n in range(8, 16, 2))
_LOAD_D = "".join(f"ldp d{n}, d{n + 1}, [x1, #{112 + 8 * (n - 8)}]\n" for n in range(8, 16, 2))
_SP = "mov x9, sp\nstp x29, x30, [x0, #80]\nstr x9, [x0, #96]\n"
_NEW_SP = "ldp x29, x30, [x1, #80]\nldr x9, [x1, #96]\nmov sp, x9\nret"
case("switch_complete", _STORE + _STORE_D + _SP + _LOAD + _LOAD_D + _NEW_SP)
case(
    "switch_forgets_d8",
    _STORE + _SP + _LOAD + _NEW_SP,
    *(("CS1", f"d{number}") for number in range(8, 16)),
)

# --- CR1, CR2, CS2 -----------------------------------------------------------------------------

case("cr1_x9", f"{FRAME}mov x9, x0\nbl g\nadd x0, x0, x9\n{LEAVE}", ("CR1", "x9"))
case("cr1_argument", f"{FRAME}bl g\nadd x0, x0, x5\n{LEAVE}", ("CR1", "x5"))
case("cr1_flags", f"{FRAME}cmp x0, #1\nbl g\ncset x0, eq\n{LEAVE}", ("CR1", "nzcv"))
case(
    "cr1_v16",
    f"{FRAME}fmov d16, d0\nbl g\nfadd d0, d0, d16\n{LEAVE}",
    ("CR1", "d16"),
)
case(
    "cr1_constructor",  # the story of this project: a parameter kept in x15
    f"{FRAME}mov x15, x3\nbl parent\nstr x15, [x0, #24]\n{LEAVE}",
    ("CR1", "x15"),
)
case(
    "cr1_through_slot",
    f"{FRAME}mov x9, x0\nbl g\nstr x9, [sp, #16]\nldr x1, [sp, #16]\nadd x0, x0, x1\n{LEAVE}",
    ("CR1", "x1"),
)
case(
    "cr1_one_path",
    f"{FRAME}mov x9, x0\ncbz x1, 1f\nbl g\n1: add x0, x0, x9\n{LEAVE}",
    ("CR1", "x9"),
)
case("cr1_loop", f"{FRAME}mov w9, #9\n1: bl g\nsubs w9, w9, #1\nb.ne 1b\n{LEAVE}", ("CR1", "x9"))
case("cr1_blr", f"{FRAME}mov x10, x1\nblr x0\nadd x0, x0, x10\n{LEAVE}", ("CR1", "x10"))
case("cr1_result", f"{FRAME}bl g\nadd x0, x0, x1\nfadd d0, d0, d3\n{LEAVE}")
case("cr1_only_stored", f"{FRAME}bl g\nstr x9, [sp, #16]\n{LEAVE}")
case("cr1_cleared", f"{FRAME}bl g\neor x9, x9, x9\nadd x0, x0, x9\n{LEAVE}")
case(
    "cr1_saved_register",
    f"{FRAME}str x19, [sp, #16]\nmov x19, x0\nbl g\nadd x0, x0, x19\nldr x19, [sp, #16]\n{LEAVE}",
)
case(
    "cr1_known_callee",
    f"{FRAME}mov x9, x0\nbl quiet\nadd x0, x0, x9\n{LEAVE}",
    more=function("quiet", "add x0, x0, #1\nret", is_global=False),
)
case(
    "cr1_known_callee_changes",
    f"{FRAME}mov x9, x0\nbl loud\nadd x0, x0, x9\n{LEAVE}",
    ("CR1", "x9"),
    more=function("loud", "mov x9, #1\nadd x0, x0, x9\nret", is_global=False),
)
case(
    "cr1_callee_of_callee",
    f"{FRAME}mov x9, x0\nbl middle\nadd x0, x0, x9\n{LEAVE}",
    ("CR1", "x9"),
    more=function("middle", f"{FRAME}bl loud\n{LEAVE}", is_global=False)
    + function("loud", "mov x9, #1\nadd x0, x0, x9\nret", is_global=False),
)
case(
    "cr1_private_result",
    f"{FRAME}bl table\nadd x0, x0, x9\n{LEAVE}",
    more=function("table", "mov x9, #1\nret", is_global=False),
)
case("cr1_does_not_return", f"{FRAME}mov x9, x0\ncbz x1, 1f\nbl abort\n1: add x0, x0, x9\n{LEAVE}")
case(
    "cr1_last_call_of_all",
    f"{FRAME}mov x9, x0\ncbnz x1, 1f\nadd x0, x0, x9\n{LEAVE}1: bl oops",
    ("AR2", "x9"),  # in h, and nothing in f
    more=function("h", "mov x0, x9\nret", is_global=False),
)
case(
    "cr2_x16",
    f"{FRAME}mov x16, x0\nbl quiet\nadd x0, x0, x16\n{LEAVE}",
    ("CR2", "x16"),
    more=function("quiet", "add x0, x0, #1\nret"),
)
case("cr2_x18", f"{FRAME}mov x18, x0\nbl g\nadd x0, x0, x18\n{LEAVE}", ("CR2", "x18"))
case(
    "cs2_upper_half",
    f"{FRAME}str d8, [sp, #16]\nldr q8, [x0]\nbl g\nfaddp v0.4s, v8.4s, v8.4s\nldr d8, [sp, #16]\n"
    f"{LEAVE}",
    ("CS2", "v8.d[1]"),
)
case(
    "cs2_stored",
    f"{FRAME}stp d8, d19, [sp, #16]\nstr x0, [sp, #32]\nldr q8, [x0]\nbl g\nldr x0, [sp, #32]\n"
    f"fadd v0.4s, v8.4s, v8.4s\nstr q0, [x0]\nldr d8, [sp, #16]\n{LEAVE}",
    ("CR1", "v0.d[1]"),
)
case(
    "cs2_copysign",
    f"{FRAME}str d8, [sp, #16]\nfmov d8, d0\nbl g\nmovi v1.2d, #0\nbit v0.16b, v8.16b, v1.16b\n"
    f"fadd d0, d0, d0\nldr d8, [sp, #16]\n{LEAVE}",
)
case(
    "cs2_lower_half",
    f"{FRAME}str d8, [sp, #16]\nldr q8, [x0]\nbl g\nfadd v0.2s, v8.2s, v8.2s\nldr d8, [sp, #16]\n"
    f"{LEAVE}",
)
case(
    "tls_descriptor",
    f"{FRAME}mov x9, x2\nadrp x0, :tlsdesc:v\nldr x1, [x0, :tlsdesc_lo12:v]\n"
    f"add x0, x0, :tlsdesc_lo12:v\n.tlsdesccall v\nblr x1\nadd x0, x0, x9\n{LEAVE}",
)

# --- AR1, AR2, MV1 -----------------------------------------------------------------------------

_TAKES_TWO = function("two", "add x0, x0, x1\nret")
case(
    "ar1_second",
    f"{FRAME}bl g\nbl g\nmov x0, #1\nbl two\n{LEAVE}",
    more=_TAKES_TWO,
)  # x1 may be a result of g
case(
    "ar1_third",
    f"{FRAME}bl g\nmov x0, #1\nmov x1, #2\nbl three\n{LEAVE}",
    ("AR1", "x2"),
    more=function("three", "add x0, x0, x1\nadd x0, x0, x2\nret"),
)
case(
    "ar1_transitive",
    f"{FRAME}bl g\nmov x0, #1\nmov x1, #2\nbl outer\n{LEAVE}",
    ("AR1", "x2"),
    more=function("outer", "b three") + function("three", "add x0, x0, x1\nadd x0, x0, x2\nret"),
)
case("ar1_own_parameter", "mov x0, #1\nb two", more=_TAKES_TWO)
case("ar2_x9", "add x0, x0, x9\nret", ("AR2", "x9"))
case("ar2_v20", "fadd d0, d0, d20\nret", ("AR2", "d20"))
case("ar2_flags", "cset x0, eq\nret", ("AR2", "nzcv"))
case("ar2_cleared", "eor x9, x9, x9\nadd x0, x0, x9\nmovi v16.2d, #0\nret")
case("ar2_saved_only", "str x9, [sp, #-16]!\nldr x9, [sp], #16\nret")
case(
    "ar2_private",
    f"{FRAME}mov x9, #1\nbl h\n{LEAVE}",
    more=function("h", "add x0, x0, x9\nret", is_global=False),
)
case("mv1_swap", "mov x0, x1\nmov x1, x0\nb g", ("MV1", "x0"))
case("mv1_there_and_back", "fmov d0, x0\nfmov x0, d0\nb g")
case("mv1_right", "mov x9, x0\nmov x0, x1\nmov x1, x9\nb g")
case("mv1_shift", "mov x0, x1\nmov x1, x2\nmov x2, x3\nb g")

# --- SP, LR, PL, RL ----------------------------------------------------------------------------

case(
    "sp1_call",
    "sub sp, sp, #24\nstr x30, [x0]\nbl g\nldr x30, [x0]\nadd sp, sp, #24\nret",
    ("SP1", "sp"),
)
case("sp1_access", "sub sp, sp, #8\nstr x0, [sp]\nadd sp, sp, #8\nret", ("SP1", "sp"))
case("sp1_right", "sub sp, sp, #16\nstr x0, [sp, #8]\nadd sp, sp, #16\nret")
case("sp2", "str x0, [sp, #-16]\nldr x1, [sp, #-16]\nadd x0, x0, x1\nret", ("SP2", "sp"))
case("sp2_popped", "str x0, [sp, #-16]!\nadd sp, sp, #16\nldr x0, [sp, #-16]\nret", ("SP2", "sp"))
case("sp2_right", "str x0, [sp, #-16]!\nldr x1, [sp], #16\nret")
_NINE = function("nine", "ldr x9, [sp]\nadd x0, x0, x9\nret")
case(
    "sp3",
    "stp x29, x30, [sp, #-48]!\nbl nine\nldp x29, x30, [sp], #48\nret",
    more=_NINE,
)  # [sp] holds x29: something was written
case(
    "sp3_missing",
    "sub sp, sp, #32\nstr x30, [sp, #16]\nbl nine\nldr x30, [sp, #16]\nadd sp, sp, #32\nret",
    ("SP3", "sp"),
    more=_NINE,
)
case("lr1_leaf_that_calls", "bl g\nret", ("LR1", "x30"))
case(
    "lr1_one_path",
    f"{FRAME}bl g\ncbz x0, 1f\n{LEAVE}1: add sp, sp, #48\nret",
    ("CS1", "x29"),
    ("LR1", "x30"),
)
case("lr1_aside", "mov x9, x30\nmov x0, x9\nret x9")
case("lr1_signed", f"paciasp\n{FRAME}bl g\nldp x29, x30, [sp], #48\nautiasp\nret")
case("lr1_retaa", f"paciasp\n{FRAME}bl g\nldp x29, x30, [sp], #48\nretaa")
case("rl1", f"{FRAME}.inst 0x94000000\n{LEAVE}", ("RL1", ""))
case("rl1_relocated", f"{FRAME}bl somewhere\n{LEAVE}")

# --- shapes that must be understood ------------------------------------------------------------

case(
    "jump_table",
    f"{FRAME}str x19, [sp, #16]\nmov x19, x0\ncmp w1, #3\nb.hi 9f\n"
    "adrp x2, table\nadd x2, x2, :lo12:table\nldrb w3, [x2, w1, uxtw]\nadr x4, 1f\n"
    "add x4, x4, w3, sxtb #2\nbr x4\n1: add x0, x0, #1\nb 9f\n2: mov x9, x19\nbl g\n"
    f"add x0, x0, x9\n9: mov x0, x19\nldr x19, [sp, #16]\n{LEAVE}"
    ".section .rodata\ntable: .byte 0, (2b-1b)/4, 0, 0\n.text",
    ("CR1", "x9"),
)
case(
    "outlined",
    f"{FRAME}str x19, [sp, #16]\nmov x19, x0\nbl g\nmov x0, x19\nb OUTLINED_FUNCTION_0",
    more=function("OUTLINED_FUNCTION_0", f"ldr x19, [sp, #16]\n{LEAVE}", is_global=False),
)
case(
    "cold_part",
    f"{FRAME}str x19, [sp, #16]\nmov x19, x0\ncbz x0, f.cold\n8: mov x0, x19\nldr x19, [sp, #16]\n"
    f"{LEAVE}",
    more='.section .text.unlikely,"ax",%progbits\n'
    + function("f.cold", f"bl g\nldr x19, [sp, #16]\n{LEAVE}", is_global=False),
)
case(
    "recursion",
    f"{FRAME}str x19, [sp, #16]\nmov x19, x0\ncbz x0, 1f\nsub x0, x0, #1\nbl f\n"
    f"1: add x0, x0, x19\nldr x19, [sp, #16]\n{LEAVE}",
)
case(
    "shadow_stack",
    f"str x30, [x18], #8\n{FRAME}bl g\nldp x29, x30, [sp], #48\nldr x30, [x18, #-8]!\nret",
)
