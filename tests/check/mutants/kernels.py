"""Hand-written functions: context switches, kernels in SIMD registers, swaps of arguments."""

from __future__ import annotations


def _function(name: str, body: str) -> str:
    return f".globl {name}\n.type {name},%function\n{name}:\n{body}\n.size {name},.-{name}\n"


def _pairs(what: str, base: str, letter: str, first: int, last: int, offset: int) -> str:
    return "".join(
        f"{what} {letter}{n}, {letter}{n + 1}, [{base}, #{offset + 8 * (n - first)}]\n"
        for n in range(first, last, 2)
    )


def _simd(count: int) -> str:
    """Uses D8 and up over a loop, with saves in the frame."""
    saved = range(8, 8 + count, 2)
    save = "".join(f"stp d{n}, d{n + 1}, [sp, #{8 * (n - 8) + 16}]\n" for n in saved)
    load = "".join(f"ldp d{n}, d{n + 1}, [sp, #{8 * (n - 8) + 16}]\n" for n in saved)
    fill = "".join(f"ldp d{n}, d{n + 1}, [x0, #{8 * (n - 8)}]\n" for n in saved)
    work = "".join(f"fmadd d0, d{n}, d{n + 1}, d0\nfadd d{n}, d{n}, d1\n" for n in saved)
    return (
        f"sub sp, sp, #96\nstr x19, [sp, #8]\n{save}{fill}mov x19, #4\n1: {work}"
        f"subs x19, x19, #1\nb.ne 1b\n{load}ldr x19, [sp, #8]\nadd sp, sp, #96\nret"
    )


def _calls(first: str, second: str, moves: str) -> str:
    return (
        f"stp x29, x30, [sp, #-48]!\nmov x29, sp\nstp x19, x20, [sp, #16]\nstr x21, [sp, #32]\n"
        f"mov x19, x0\nmov x20, x1\nmov x21, x2\n{moves}bl {first}\nadd x21, x21, x0\n"
        f"mov x0, x19\nmov x1, x20\nbl {second}\nadd x0, x0, x21\nldr x21, [sp, #32]\n"
        "ldp x19, x20, [sp, #16]\nldp x29, x30, [sp], #48\nret"
    )


KERNELS: dict[str, str] = {
    "simd": "".join(_function(f"simd{n}", _simd(n)) for n in (2, 4, 6, 8)),
    "moves": _function("shift", _calls("ext_30", "ext_20", "mov x0, x1\nmov x1, x2\nmov x2, x3\n"))
    + _function("swap", _calls("ext_20", "ext_20", "mov x9, x0\nmov x0, x1\nmov x1, x9\n"))
    + _function(
        "rotate",
        _calls("ext_30", "ext_20", "mov x9, x0\nmov x0, x1\nmov x1, x2\nmov x2, x9\n"),
    )
    + _function("forward", "mov x0, x1\nmov x1, x2\nmov x2, x3\nb ext_30"),
    "popped": "".join(
        _function(
            f"popped{n}",
            f"sub sp, sp, #{n}\nstr x0, [sp, #8]\nadd x1, x1, x0\neor x0, x1, x2\n"
            f"str x1, [x1]\nldr x2, [sp, #8]\nadd sp, sp, #{n}\nadd x0, x0, x2\nret",
        )
        for n in (16, 32, 48, 64, 96)
    ),
    "scratch": "".join(
        _function(
            f"scratch{n}",
            f"ldr x{n}, [x0]\nldr x{n + 1}, [x0, #8]\nadd x{n}, x{n}, x1, lsl #1\n"
            f"eor x{n + 1}, x{n + 1}, x{n}\nfmov d{n + 8}, x{n + 1}\nfmov d0, d{n + 8}\n"
            f"cmp x{n}, x2\ncsel x0, x{n}, x{n + 1}, hi\nret",
        )
        for n in (9, 11, 13, 14)
    ),
    "paths": "".join(
        _function(
            f"paths{n}",
            f"cbz x{n}, 2f\nstp x29, x30, [sp, #-64]!\nmov x29, sp\nstp x19, x20, [sp, #16]\n"
            f"stp d8, d9, [sp, #32]\nstr d10, [sp, #48]\nmov x19, x0\nmov x20, x{n}\n"
            "fmov d8, d0\nfmov d9, d1\nfmov d10, d2\nbl extd_12\nfadd d0, d0, d8\n"
            "fmul d9, d9, d0\nfadd d0, d0, d10\nbl extd_02\nfadd d0, d0, d9\nadd x0, x19, x20\n"
            "ldr d10, [sp, #48]\nldp d8, d9, [sp, #32]\nldp x19, x20, [sp, #16]\n"
            "ldp x29, x30, [sp], #64\nret\n2: mov x0, #0\nret",
        )
        for n in (1, 2, 3)
    ),
}


def context_switch() -> str:
    """Saves all preserved registers into [x0] and loads those of [x1]."""
    return _function(
        "switch_to",
        _pairs("stp", "x0", "x", 19, 29, 0)
        + _pairs("stp", "x0", "d", 8, 16, 112)
        + "mov x9, sp\nstp x29, x30, [x0, #80]\nstr x9, [x0, #96]\n"
        + _pairs("ldp", "x1", "x", 19, 29, 0)
        + _pairs("ldp", "x1", "d", 8, 16, 112)
        + "ldp x29, x30, [x1, #80]\nldr x9, [x1, #96]\nmov sp, x9\nret",
    )


KERNELS["switch"] = context_switch()
