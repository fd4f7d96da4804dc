"""Pseudo instructions written out; see `pseudo.py` for what each means.

Jumps inside an expansion have plain distances: what they jump over has a known size.
R11 and XMM15 are never allocated, so an expansion may use them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callproof.codegen.machine import Form
from callproof.codegen.target import Line
from callproof.target.x64 import pseudo
from callproof.target.x64.instructions import FORMS, ROWS
from callproof.target.x64.pseudo import FLOAT_EQUAL, FLOAT_NOT_EQUAL
from callproof.target.x64.registers import FLOAT_SCRATCH, RAX, RDX, SCRATCH

NO, B, E, NE, A, P, NP = 1, 2, 4, 5, 7, 10, 11
JUMP, BRANCH = FORMS["jmp_short"], FORMS["j_short"]
SHORT = 2  # bytes of either
SET, MOVZX, MOVAPS, XORPS = FORMS["set"], FORMS["movzbl"], FORMS["movaps"], FORMS["xorps"]
AND_32, OR_32, XOR_32, SBB = (FORMS[f"{name}_rr"] for name in ("and_l", "or_l", "xor_l", "sbb_q"))
MOV_CONSTANT = FORMS["mov_l_ri"]
TEST_Q, CMP_Q_IMM, NOT_Q, SBB_Q_IMM = (
    FORMS[name] for name in ("test_q_rr", "cmp_q_ri", "not_q", "sbb_q_ri")
)
BY_WIDTH = {
    bits: {
        name: FORMS[name.replace("?", w)]
        for name in (
            "mov_?_rr",
            "test_?_rr",
            "lea_?_b",
            "lea_?_x",
            "add_?_ri",
            "add_?_rr",
            "cmp_?_ri",
            "not_?",
            "and_?_rr",
            "imul_?_rr",
            "idiv_?",
            "div_?",
        )
    }
    for bits, w in ((64, "q"), (32, "l"))
}
WIDEN = {64: FORMS["cqto"], 32: FORMS["cltd"]}
FROM_INTEGER = {
    (to, bits): FORMS[f"cvtsi2{'sd' if to == 64 else 'ss'}_{'q' if bits == 64 else 'l'}"]
    for to in (32, 64)
    for bits in (32, 64)
}
TO_INTEGER = {64: FORMS["cvttsd2si_q"], 32: FORMS["cvttss2si_q"]}
UCOMI = {64: FORMS["ucomisd"], 32: FORMS["ucomiss"]}


def size_of(lines: Sequence[Line]) -> int:
    total = 0
    for line in lines:
        total += len(ROWS[line.form.name].bytes_of(line.arguments))  # type: ignore[arg-type]
    return total


def skip(condition: int, over: list[Line]) -> list[Line]:
    """The lines, jumped over if the condition holds."""
    return [Line(BRANCH, (condition, SHORT + size_of(over))), *over]


def otherwise(first: list[Line], condition: int, second: list[Line]) -> list[Line]:
    """If the condition holds the second lines, else the first."""
    first = [*first, Line(JUMP, (SHORT + size_of(second),))]
    return [*skip(condition, first), *second]


def _entry(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
    del registers, immediates
    return []


def _zero_float(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
    del immediates
    return [Line(XORPS, (registers[0], registers[0]))]


def _set(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
    (condition,) = immediates
    assert isinstance(condition, int)
    register = registers[0]
    last = Line(MOVZX, (register, register))
    if condition < FLOAT_EQUAL:
        return [Line(SET, (condition, register)), last]
    equal = condition == FLOAT_EQUAL
    return [
        Line(SET, (NP if equal else P, register)),
        Line(SET, (E if equal else NE, SCRATCH)),
        Line(AND_32 if equal else OR_32, (register, SCRATCH)),
        last,
    ]


def _carry_mask(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
    del immediates
    return [Line(SBB, (registers[0], registers[0]))]


def _float_select(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
    (condition,) = immediates
    assert isinstance(condition, int)
    move = [Line(MOVAPS, (registers[0], registers[1]))]
    if condition < FLOAT_EQUAL:
        return skip(condition ^ 1, move)
    if condition == FLOAT_EQUAL:
        return skip(NE, skip(P, move))
    # Not equal, or unordered: the first branch leads to the move, the second around it.
    around = skip(NP, move)
    return [Line(BRANCH, (NE, 2 * SHORT)), *around]


def _add_constant(bits: int) -> Callable[[Sequence[int], Sequence[object]], list[Line]]:
    forms = BY_WIDTH[bits]

    def expand(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
        result, source = registers
        (value,) = immediates
        assert isinstance(value, int)
        if result == source:
            return [Line(forms["add_?_ri"], (result, value))]
        return [Line(forms["lea_?_b"], (result, source, value))]

    return expand


def _add_registers(bits: int) -> Callable[[Sequence[int], Sequence[object]], list[Line]]:
    forms = BY_WIDTH[bits]

    def expand(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
        del immediates
        result, first, second = registers
        if result in (first, second):
            other = second if result == first else first
            return [Line(forms["add_?_rr"], (result, other))]
        return [Line(forms["lea_?_x"], (result, first, second, 0, 0))]

    return expand


def _divide(is_signed: bool, bits: int) -> Callable[[Sequence[int], Sequence[object]], list[Line]]:
    forms = BY_WIDTH[bits]

    def expand(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
        del immediates
        divisor = registers[0]
        if is_signed:
            division = [Line(WIDEN[bits], ()), Line(forms["idiv_?"], (divisor,))]
        else:
            division = [Line(XOR_32, (RDX, RDX)), Line(forms["div_?"], (divisor,))]
        if not is_signed:
            by_zero = [Line(forms["mov_?_rr"], (RDX, RAX)), Line(XOR_32, (RAX, RAX))]
            test = Line(forms["test_?_rr"], (divisor, divisor))
            return [test, *otherwise(by_zero, NE, division)]
        # Of 0 and -1 the divisor's product with the dividend is the quotient (0, or the
        # dividend negated), and the remainder is the dividend and 0.
        special = [
            Line(forms["mov_?_rr"], (RDX, divisor)),
            Line(forms["not_?"], (RDX,)),
            Line(forms["and_?_rr"], (RDX, RAX)),
            Line(forms["imul_?_rr"], (RAX, divisor)),
        ]
        return [
            Line(forms["lea_?_b"], (SCRATCH, divisor, 1)),
            Line(forms["cmp_?_ri"], (SCRATCH, 1)),
            *otherwise(special, A, division),
        ]

    return expand


def _from_integer(form: Form) -> Callable[[Sequence[int], Sequence[object]], list[Line]]:
    def expand(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
        del immediates
        result, source = registers
        # The conversion keeps the upper bytes, and would wait for whoever wrote them.
        return [Line(XORPS, (result, result)), Line(form, (result, source))]

    return expand


def _keeping(form: Form) -> Callable[[Sequence[int], Sequence[object]], list[Line]]:
    """As above; where it is one register, who wrote it has to be waited for anyway."""

    def expand(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
        del immediates
        result, source = registers
        line = Line(form, (result, source))
        return [line] if result == source else [Line(XORPS, (result, result)), line]

    return expand


def _to_integer(bits: int, floor: bool) -> Callable[[Sequence[int], Sequence[object]], list[Line]]:
    convert, compare = TO_INTEGER[bits], UCOMI[bits]

    def expand(registers: Sequence[int], immediates: Sequence[object]) -> list[Line]:
        del immediates
        result, source = registers
        # What does not fit, and NaN, becomes the least number, from which 1 cannot be taken.
        nan = [Line(XOR_32, (result, result))]
        positive = [Line(NOT_Q, (result,))]
        special = [
            Line(XORPS, (FLOAT_SCRATCH, FLOAT_SCRATCH)),
            Line(compare, (source, FLOAT_SCRATCH)),
        ]
        # Unordered sets the carry flag too, so the parity flag is asked first.
        special += otherwise(skip(B, positive), P, nan)
        start = [Line(convert, (result, source)), Line(CMP_Q_IMM, (result, 1))]
        if not floor:
            return [*start, *skip(NO, special)]
        lower = [
            Line(XORPS, (FLOAT_SCRATCH, FLOAT_SCRATCH)),
            Line(FROM_INTEGER[bits, 64], (FLOAT_SCRATCH, result)),
            Line(compare, (source, FLOAT_SCRATCH)),
            Line(SBB_Q_IMM, (result, 0)),  # less than its own whole part: one less
        ]
        return [*start, *otherwise(special, NO, lower)]

    return expand


EXPANSIONS: dict[Form, Callable[[Sequence[int], Sequence[object]], list[Line]]] = {
    pseudo.ENTRY: _entry,
    pseudo.ZERO_FLOAT: _zero_float,
    pseudo.SET: _set,
    pseudo.CARRY_MASK: _carry_mask,
    pseudo.FLOAT_SELECT: _float_select,
    **{form: _add_constant(bits) for bits, form in pseudo.ADD_CONSTANT.items()},
    **{form: _add_registers(bits) for bits, form in pseudo.ADD_REGISTERS.items()},
    **{form: _divide(*key) for key, form in pseudo.DIVIDE.items()},
    **{form: _from_integer(FROM_INTEGER[key]) for key, form in pseudo.FROM_INTEGER.items()},
    **{form: _keeping(FORMS[name]) for name, form in pseudo.KEEPING.items()},
    **{form: _to_integer(*key) for key, form in pseudo.TO_INTEGER.items()},
}
assert FLOAT_NOT_EQUAL == FLOAT_EQUAL ^ 1
