"""Compile time per thousand source lines, by stage.

    python benchmarks/compile_time.py [--lines N] [--level N]

The program is made of one family of functions (arithmetic, calls, a loop, vector
accesses, output) with other names and numbers each, so that nothing is shared.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from callproof import driver

FAMILY = """\
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

"""
LINES_PER_MEMBER = FAMILY.count("\n")


def program(lines: int) -> str:
    members = max(1, lines // LINES_PER_MEMBER)
    parts = [FAMILY.format(n=n, k=1000 + n, m=3 + n % 13) for n in range(members)]
    calls = "\n".join(f"    total := total + work{n}({n}, total, 7)" for n in range(members))
    parts.append(f"LET START() BE $(\n    LET total = 1\n{calls}\n    WRITEN(total)\n$)\n")
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=4000)
    parser.add_argument("--level", type=int, default=1, choices=(0, 1, 2))
    arguments = parser.parse_args()
    text = program(arguments.lines)
    lines = text.count("\n")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "family.bcl"
        source.write_text(text)
        timings: dict[str, float] = {}
        options = driver.Options(level=arguments.level, timings=timings)
        driver.build([source], Path(folder) / "family", "exe", options)
    total = sum(timings.values())
    table = Table(
        title=f"{lines} lines at -O{arguments.level}: {lines / total:,.0f} lines a second"
    )
    table.add_column("stage")
    table.add_column("ms per 1000 lines", justify="right")
    table.add_column("share", justify="right")
    for stage, seconds in timings.items():
        table.add_row(stage, f"{seconds * 1e6 / lines:.1f}", f"{seconds / total:.1%}")
    table.add_row("total", f"{total * 1e6 / lines:.1f}", "")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
