"""One example for each clause: a declaration, and where the named value must be.

`docs/calling-conventions.md` has the same as a table; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """`name` is the parameter, or '(result)'; `where` as `callproof abi` prints it."""

    convention: str
    declaration: str
    name: str
    where: str
    arguments: str | None = None


_L7 = "long a, long b, long c, long d, long e, long g, long h"
_L8 = _L7 + ", long i"
_D7 = "double a, double b, double c, double d, double e, double g, double h"
_D8 = _D7 + ", double i"
_HFA = "struct h { double x, y; };"
_BIG = "struct b { long x[3]; };"
_ODD = "struct o { char c[11]; };"
_QUAD = "struct q { __int128 x; };"

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "empty": (
        Example("aapcs64", "struct e {}; void f(struct e x, int y);", "x", "nowhere"),
        Example("aapcs64", "struct e {}; void f(struct e x, int y);", "y", "w0"),
    ),
    "B.4": (
        Example("aapcs64", _BIG + "void f(int n, struct b x);", "x", "address of a copy in x1"),
        Example("aapcs64", _BIG + f"void f({_L8}, struct b x);", "x",
                "address of a copy in [sp+0]"),
    ),
    "B.5": (
        Example("aapcs64", _ODD + "void f(struct o x, int y);", "x", "x0, x1"),
        Example("aapcs64", _ODD + "void f(struct o x, int y);", "y", "w2"),
    ),
    "B.6": (
        Example(
            "aapcs64",
            "struct s { int x; } __attribute__((aligned(16))); void f(int n, struct s x);",
            *("x", "x1, x2"),
        ),
    ),
    "C.1": (
        Example("aapcs64", "void f(int n, float x);", "x", "s0"),
        Example("aapcs64", "void f(double x, long double y);", "y", "q1"),
        Example("aapcs64", "void f(_Float16 x);", "x", "h0"),
    ),
    "C.2": (
        Example("aapcs64", _HFA + "void f(int n, struct h x);", "x", "d0, d1"),
        Example("aapcs64", "union u { float a[4]; float b; }; void f(union u x);", "x",
                "s0, s1, s2, s3"),
    ),
    "C.3": (
        Example("aapcs64", _HFA + f"void f({_D7}, struct h x, float y);", "x",
                "[sp+0], 16 bytes"),
        Example("aapcs64", _HFA + f"void f({_D7}, struct h x, float y);", "y", "[sp+16]"),
    ),
    "C.4": (
        Example("aapcs64", _HFA + f"void f({_D7}, struct h x);", "x", "[sp+0], 16 bytes"),
    ),
    "C.5": (Example("aapcs64", f"void f({_D8}, float x, float y);", "y", "[sp+8]"),),
    "C.6": (Example("aapcs64", f"void f({_D8}, double x);", "x", "[sp+0]"),),
    "C.9": (
        Example("aapcs64", "void f(double d, char x);", "x", "w0"),
        Example("aapcs64", f"void f({_L7}, void *x);", "x", "x7"),
    ),
    "C.10": (
        Example("aapcs64", "void f(int n, __int128 x);", "x", "x2, x3"),
        Example("aapcs64", _QUAD + "void f(int n, struct q x, int y);", "y", "w4"),
    ),
    "C.11": (Example("aapcs64", "void f(__int128 x);", "x", "x0, x1"),),
    "C.12": (
        Example("aapcs64", _ODD + "void f(int n, struct o x);", "x", "x1, x2"),
        Example("aapcs64", "struct s { int a; float b; }; void f(struct s x);", "x", "x0"),
    ),
    "C.13": (
        Example("aapcs64", _ODD + f"void f({_L7}, struct o x, int y);", "x", "[sp+0], 11 bytes"),
        Example("aapcs64", _ODD + f"void f({_L7}, struct o x, int y);", "y", "[sp+16]"),
    ),
    "C.14": (
        Example("aapcs64", f"void f({_L8}, int n, __int128 x);", "x", "[sp+16], 16 bytes"),
    ),
    "C.15": (Example("aapcs64", _ODD + f"void f({_L8}, struct o x);", "x", "[sp+0], 11 bytes"),),
    "C.16": (Example("aapcs64", f"void f({_L8}, char x, char y);", "y", "[sp+8]"),),
    "C.17": (Example("aapcs64", f"void f({_L8}, long x, long y);", "y", "[sp+8]"),),
    "6.9": (
        Example("aapcs64", _HFA + "struct h f(int n);", "(result)", "d0, d1"),
        Example("aapcs64", _ODD + "struct o f(int n);", "(result)", "x0, x1"),
    ),
    "6.9-memory": (Example("aapcs64", _BIG + "struct b f(int n);", "(result)", "memory at x8"),),
    "darwin-variadic": (
        Example("darwin64", "void f(int n, ...);", "anonymous1", "[sp+0]", "int, double"),
        Example("darwin64", "void f(int n, ...);", "anonymous2", "[sp+8]", "int, double"),
        Example("aapcs64", "void f(int n, ...);", "anonymous2", "d0", "int, double"),
    ),
    "darwin-packed": (
        Example("darwin64", f"void f({_L8}, char x, short y, int z);", "y", "[sp+2]"),
        Example("darwin64", f"void f({_D8}, float x, float y);", "y", "[sp+4]"),
    ),
    "darwin-odd-pairs": (
        Example("darwin64", "void f(int n, __int128 x);", "x", "x1, x2"),
    ),
    "darwin-extend": (Example("darwin64", "void f(signed char x);", "x", "w0"),),
    "windows-variadic": (
        Example("windows64", "void f(int n, ...);", "anonymous1", "x1", "double"),
        Example("windows64", _HFA + "void f(int n, struct h x, ...);", "x", "x1, x2", ""),
    ),
    "windows-split": (
        Example("windows64", f"void f({_L7}, ...);", "anonymous1", "x7, [sp+0]",
                "struct p { void *x, *y; }"),
    ),
    "sysv-INTEGER": (
        Example("sysv64", "void f(double d, int x);", "x", "edi"),
        Example("sysv64", "struct s { int a; double b; }; void f(struct s x);", "x", "rdi, xmm0"),
    ),
    "sysv-SSE": (
        Example("sysv64", "struct s { float a, b, c; }; void f(struct s x);", "x", "xmm0, xmm1"),
    ),
    "sysv-SSEUP": (Example("sysv64", "void f(__float128 x);", "x", "xmm0"),),
    "sysv-X87": (Example("sysv64", "void f(int n, long double x);", "x", "[sp+0]"),),
    "sysv-X87UP": (Example("sysv64", "void f(int n, long double x);", "x", "[sp+0]"),),
    "sysv-COMPLEX_X87": (
        Example("sysv64", "void f(_Complex long double x);", "x", "[sp+0]"),
    ),
    "sysv-NO_CLASS": (
        Example("sysv64", "struct s { int a; } __attribute__((aligned(16))); void f(struct s x);",
                "x", "rdi"),
    ),
    "sysv-MEMORY": (
        Example("sysv64", _BIG + "void f(struct b x, int y);", "x", "[sp+0]"),
        Example("sysv64", "struct s { char a; int b; } __attribute__((packed)); "
                "void f(struct s x);", "x", "[sp+0]"),
    ),
    "sysv-whole": (
        Example("sysv64", "struct p { long x, y; }; void f(long a, long b, long c, long d, long e, "
                "struct p x, long z);", "x", "[sp+0]"),
        Example("sysv64", "struct p { long x, y; }; void f(long a, long b, long c, long d, long e, "
                "struct p x, long z);", "z", "r9"),
    ),
    "sysv-extend": (Example("sysv64", "void f(short x);", "x", "di"),),
    "sysv-result-INTEGER": (
        Example("sysv64", "struct p { long x, y; }; struct p f(void);", "(result)", "rax, rdx"),
    ),
    "sysv-result-SSE": (
        Example("sysv64", "struct s { long a; double b; }; struct s f(void);", "(result)",
                "rax, xmm0"),
    ),
    "sysv-result-NO_CLASS": (
        Example("sysv64", "struct s { int a; } __attribute__((aligned(16))); struct s f(void);",
                "(result)", "rax"),
    ),
    "sysv-result-X87": (Example("sysv64", "long double f(void);", "(result)", "st(0)"),),
    "sysv-result-COMPLEX_X87": (
        Example("sysv64", "_Complex long double f(void);", "(result)", "st(0), st(1)"),
    ),
    "sysv-result-memory": (
        Example("sysv64", _BIG + "struct b f(int n);", "(result)", "memory at rdi"),
        Example("sysv64", _BIG + "struct b f(int n);", "n", "esi"),
    ),
}  # fmt: skip
