"""Programs of any size to measure the compiler with: families of functions of many kinds.

Member n of a family differs from the others in its names and numbers, so nothing is
shared; what a member does is what people's programs do (arithmetic, vectors, strings,
loops, switches, calls, classes).  Every program runs and prints a number.
"""

from __future__ import annotations

BCPL_FAMILY = """\
CLASS Account{n} $(
    DECL balance, rate
    ROUTINE CREATE(first, rate) BE $(
        SELF.balance := first
        SELF.rate := rate
    $)
    FUNCTION grow(years) = VALOF $(
        FOR year = 1 TO years DO balance := balance + balance * rate / {k}
        RESULTIS balance
    $)
$)

LET work{n}(a, b, c) = VALOF $(
    LET total = a * {k} + b
    LET v = VEC 16
    FOR i = 0 TO 15 DO $(
        v!i := total + i * c
        IF v!i REM {m} = 0 THEN total := total + v!i
    $)
    TEST total > {k}
    THEN total := total - helper{n}(total, b)
    ELSE total := helper{n}(b, total) + c
    WHILE total > 1000 DO total := total / 3
    RESULTIS total + LEN(v)
$)

LET helper{n}(x, y) = VALOF $(
    LET low, high = x & 255, y >> 3
    UNLESS low = high DO low := low + high
    RESULTIS (low | {m}) + (high -> x, y)
$)

LET kind{n}(code) = VALOF $(
    SWITCHON code REM 8 INTO $(
        CASE 0: RESULTIS {m}
        CASE 1: CASE 2: RESULTIS code * 2
        CASE 5: code := code - {k}; ENDCASE
        DEFAULT: code := code >> 1
    $)
    RESULTIS code
$)

LET mean{n}(count) = VALOF $(
    LET sum, place = 0.0, 0.5
    LET values = FVEC 8
    FOR i = 0 TO 7 DO values.%i := FLOAT(i) * place + {m}.25
    FOR i = 0 TO 7 DO sum := sum + values.%i
    RESULTIS FIX(sum / FLOAT(count))
$)

LET text{n}(s, t) = VALOF $(
    LET same = 0
    FOR i = 0 TO LEN(s) - 1 DO IF s%i = t%i | s%i = {m} THEN same := same + 1
    RESULTIS same
$)

LET sort{n}(v, size) BE $(
    FOR i = 1 TO size - 1 DO $(
        LET x, j = v!i, i - 1
        WHILE j >= 0 & v!j > x DO $(
            v!(j + 1) := v!j
            j := j - 1
        $)
        v!(j + 1) := x
    $)
$)

LET all{n}(x) = VALOF $(
    LET v = VEC [x, {m}, {k}, 7, x + 1]
    LET a = NEW Account{n}(x + 1000, {m})
    sort{n}(v, 5)
    LET same = text{n}("abc{n}", "abd{n}")
    RESULTIS work{n}(x, v!2, 7) + kind{n}(v!0) + mean{n}(4) + same + a.grow(3)
$)

"""

SOX_FAMILY = """\
class Account{n} {
    init(balance, rate) {
        this.balance = balance
        this.rate = rate
    }
    grow(years) {
        for var year = 0; year < years; year = year + 1 {
            this.balance = this.balance + this.balance * this.rate / {k}
        }
        return this.balance
    }
}

fn work{n}(a, b, c) {
    var total = a * {k} + b
    var values[]
    for i in range(16) {
        push(values, total + i * c)
        if values[i] % {m} == 0 { total = total + values[i] }
    }
    if total > {k} {
        total = total - helper{n}(total, b)
    } else {
        total = helper{n}(b, total) + c
    }
    while total > 1000 { total = total / 3 }
    return total + len(values)
}

fn helper{n}(x, y) {
    var low = x % 255
    var high = y / 8
    if low != high { low = low + high }
    return low + {m}
}

fn kind{n}(code) {
    var rest = code % 8
    if rest == 0 { return {m} }
    if rest == 1 or rest == 2 { return code * 2 }
    if !(rest < 5) and code > {m} { code = code - {k} }
    return code / 2
}

fn counter{n}(start) {
    var count = start
    return fn (step) {
        count = count + step
        return count
    }
}

fn text{n}(name, times) {
    var out = ""
    for var i = 0; i < times; i = i + 1 {
        out = out + name + i + ","
    }
    return len(out)
}

fn sort{n}(v) {
    for var i = 1; i < len(v); i = i + 1 {
        var x = v[i]
        var j = i - 1
        while j >= 0 and v[j] > x {
            v[j + 1] = v[j]
            j = j - 1
        }
        v[j + 1] = x
    }
    return v
}

fn all{n}(x) {
    var v = sort{n}({x, {m}, {k}, 7, x + 1})
    var a = Account{n}(x + 1000, {m})
    var next = counter{n}({m})
    next(1)
    return work{n}(x, v[2], 7) + kind{n}(v[0]) + next(2) + text{n}("abc{n}", 3) + a.grow(3)
}

"""

# Statements of one huge function, with loops and branches between them.
HUGE_STEP = """\
    v!{k} := total * {n} + x
    IF v!{j} > y THEN total := total + v!{i} - {n}
    FOR i = {m} TO {m} + 9 DO x := x + i * y + v!i
    TEST x > total THEN y := y + x REM {n} ELSE y := (y >> 1) | {k}
"""


def _member(family: str, n: int) -> str:
    text = family.replace("{n}", str(n))
    return text.replace("{k}", str(1000 + n)).replace("{m}", str(3 + n % 13))


def bcpl(lines: int) -> str:
    """A NewBCPL program of about so many lines (at least one member of the family)."""
    count = max(1, lines // (BCPL_FAMILY.count("\n") + 1))
    parts = [_member(BCPL_FAMILY, n) for n in range(count)]
    for start in range(0, count, 100):
        calls = [
            f"    total := total + all{n}({n})\n" for n in range(start, min(start + 100, count))
        ]
        parts.append(
            f"LET part{start}(total) = VALOF $(\n{''.join(calls)}    RESULTIS total\n$)\n\n"
        )
    calls = [f"    total := part{start}(total)\n" for start in range(0, count, 100)]
    parts.append(f"LET START() BE $(\n    LET total = 1\n{''.join(calls)}    WRITEN(total)\n$)\n")
    return "".join(parts)


def sox(lines: int) -> str:
    """A Sox program of about so many lines."""
    count = max(1, lines // (SOX_FAMILY.count("\n") + 1))
    parts = [_member(SOX_FAMILY, n) for n in range(count)]
    for start in range(0, count, 100):
        calls = [
            f"    total = total + all{n}({n})\n" for n in range(start, min(start + 100, count))
        ]
        parts.append(f"fn part{start}(total) {{\n{''.join(calls)}    return total\n}}\n\n")
    parts += ["var total = 1\n"]
    parts += [f"total = part{start}(total)\n" for start in range(0, count, 100)]
    parts.append("print total\n")
    return "".join(parts)


def huge(steps: int) -> str:
    """A NewBCPL program whose one function has about 25 IR instructions for each step."""
    parts = ["LET f(a, b, c) = VALOF $(\n    LET total, x, y = a, b, c\n    LET v = VEC 64\n"]
    for n in range(steps):
        text = HUGE_STEP.replace("{n}", str(n + 3)).replace("{k}", str(n % 61))
        text = text.replace("{j}", str((n + 7) % 64)).replace("{i}", str(n * 3 % 64))
        parts.append(text.replace("{m}", str(n % 5)))
    parts.append("    RESULTIS total + x + y\n$)\n\nLET START() BE WRITEN(f(1, 2, 3))\n")
    return "".join(parts)
