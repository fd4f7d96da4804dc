"""What the rules are that a plan's decisions name: `Assignment.rules`, in our words.

The numbers of AAPCS64 are those of 2024Q3, section 6.8.2 (parameter passing) and 6.9
(results); System V means the x86-64 psABI 1.0, section 3.2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

_AAPCS, _RESULT = "AAPCS64 6.8.2", "AAPCS64 6.9"
_APPLE = "Apple, Writing ARM64 code"
_WINDOWS = "Microsoft, ARM64 ABI conventions"
_SYSTEM_V = "psABI 3.2.3"


@dataclass(frozen=True, slots=True)
class Clause:
    """`source` is a document and section, `text` one sentence."""

    source: str
    text: str


CLAUSES = {
    name: Clause(source, text)
    for name, source, text in (
        ("empty", "GNU C", "a structure without members takes no place at all"),
        ("B.4", _AAPCS, "a composite of more than 16 bytes is copied by the caller to memory, "
         "and the copy's address takes its place"),
        ("B.5", _AAPCS, "the composite's size counts as a multiple of 8"),
        ("B.6", _AAPCS, "the composite's copy is aligned to 8 or, if its natural alignment is "
         "16 or more, to 16"),
        ("C.1", _AAPCS, "a floating-point number or short vector takes the next V register"),
        ("C.2", _AAPCS, "an HFA or HVA takes one V register for each member, as there are "
         "enough left"),
        ("C.3", _AAPCS, "too few V registers are left for all members: none is used any more"),
        ("C.4", _AAPCS, "the HFA or HVA goes on the stack, aligned to 8 or 16"),
        ("C.5", _AAPCS, "what is smaller than 8 bytes takes a slot of 8"),
        ("C.6", _AAPCS, "no V register is left: the value goes on the stack"),
        ("C.9", _AAPCS, "an integer or pointer of at most 8 bytes takes the next X register"),
        ("C.10", _AAPCS, "an alignment of 16: the next X register's number is rounded up to even"),
        ("C.11", _AAPCS, "a 16-byte integer takes two X registers"),
        ("C.12", _AAPCS, "the composite takes one X register for each 8 bytes, as there are "
         "enough left"),
        ("C.13", _AAPCS, "too few X registers are left: none is used any more"),
        ("C.14", _AAPCS, "the stack address is rounded up to the value's alignment of 16"),
        ("C.15", _AAPCS, "the composite goes on the stack, whole"),
        ("C.16", _AAPCS, "what is smaller than 8 bytes takes a slot of 8"),
        ("C.17", _AAPCS, "the value goes on the stack"),
        ("6.9", _RESULT, "a result is where a first argument of its type would be"),
        ("6.9-memory", _RESULT, "the caller gives memory for the result; its address is in X8"),
        ("darwin-variadic", _APPLE, "an anonymous argument is always on the stack, in slots of 8"),
        ("darwin-packed", _APPLE, "on the stack a value takes its own size and alignment, no "
         "slot of 8"),
        ("darwin-odd-pairs", _APPLE, "a pair of X registers may begin at an odd number"),
        ("darwin-extend", _APPLE, "the giver extends an integer of less than 32 bits to 32"),
        ("windows-variadic", _WINDOWS, "in a call of a variadic function everything counts as "
         "integer: no V register is used, an HFA is an ordinary composite"),
        ("windows-split", _WINDOWS, "the value begins in X7 and goes on in the stack"),
        ("sysv-INTEGER", _SYSTEM_V, "class INTEGER: the next of RDI RSI RDX RCX R8 R9 for each "
         "eightbyte"),
        ("sysv-SSE", _SYSTEM_V, "class SSE: the next XMM register for the eightbyte"),
        ("sysv-SSEUP", _SYSTEM_V, "class SSEUP: the upper half of the XMM register before"),
        ("sysv-X87", _SYSTEM_V, "class X87: a long double argument is always in memory"),
        ("sysv-X87UP", _SYSTEM_V, "class X87UP: goes with X87"),
        ("sysv-COMPLEX_X87", _SYSTEM_V, "class COMPLEX_X87: an argument of it is in memory"),
        ("sysv-NO_CLASS", _SYSTEM_V, "an eightbyte of padding takes no register"),
        ("sysv-MEMORY", _SYSTEM_V, "class MEMORY (more than 16 bytes, or members that are not "
         "aligned): on the stack"),
        ("sysv-whole", _SYSTEM_V, "registers for only some of its eightbytes are left: all of it "
         "goes on the stack, later arguments may still use those registers"),
        ("sysv-extend", "Clang and GCC", "the caller extends an integer of less than 32 bits to "
         "32 (the psABI demands it of _Bool only)"),
        ("sysv-result-INTEGER", _SYSTEM_V, "class INTEGER: RAX, then RDX"),
        ("sysv-result-SSE", _SYSTEM_V, "class SSE: XMM0, then XMM1"),
        ("sysv-result-NO_CLASS", _SYSTEM_V, "an eightbyte of padding takes no register"),
        ("sysv-result-X87", _SYSTEM_V, "class X87: the result is in ST(0)"),
        ("sysv-result-COMPLEX_X87", _SYSTEM_V, "class COMPLEX_X87: real part in ST(0), imaginary "
         "part in ST(1)"),
        ("sysv-result-memory", _SYSTEM_V, "class MEMORY: the caller gives memory for the result, "
         "its address in RDI; the callee gives it back in RAX"),
    )
}  # fmt: skip

__all__ = ["CLAUSES", "Clause"]
