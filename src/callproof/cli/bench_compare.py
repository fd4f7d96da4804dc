"""`callproof bench --compare`: two commits side by side, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from callproof.cli.output import progress
from callproof.compare import (
    QUANTITIES,
    Comparison,
    Figures,
    compare,
    geometric_mean,
    programs,
    toplevel,
    two_sides,
)

HEADS = {"instructions": "instructions", "code": "code, bytes", "seconds": "compile, CPU s"}


def bench_compare(
    place: Path,
    base: str,
    wanted: str,
    rounds: int,
    level: int,
    target: str,
    options: Sequence[str],
    as_json: bool,
) -> int:
    """Measure, print, and give the exit status: 1 if the work fails where the base does not.

    Raises `CallproofError` for a place without programs, and for what is no commit.
    """
    top = toplevel(place)
    chosen = programs(place, top, wanted)
    with two_sides(top, base) as sides:
        found = compare(sides, chosen, rounds, level, target, options, progress)
    print_json(found) if as_json else print_table(found)
    for row in found.rows:
        if row.trouble:
            print(f"{row.name}: {row.trouble}", file=sys.stderr)
    return int(any(row.worse for row in found.rows))


def _value(figures: Figures, quantity: str) -> float | None:
    if quantity == "seconds":
        return median(figures.seconds) if figures.seconds else None
    value: int | None = getattr(figures, quantity)
    return value


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def print_table(found: Comparison) -> None:
    """Ratios are the work's share of the base's: below 1 is better."""
    table = Table(
        title=f"{found.work} / {found.base}: -O{found.level}, {found.target}, counted by "
        f"{found.counted}; below 1 is better"
    )
    table.add_column("program", no_wrap=True)
    for quantity in QUANTITIES:
        for head in (f"{HEADS[quantity]}: base", "work", "ratio"):
            table.add_column(head, justify="right")
    for row in found.rows:
        cells = [row.name]
        for quantity in QUANTITIES:
            form = ".2f" if quantity == "seconds" else ",d"
            cells += [_shown(_value(side, quantity), form) for side in (row.base, row.work)]
            cells.append(_shown(row.ratio(quantity), ".3f"))
        table.add_row(*cells)
    cells = ["geometric mean"]
    for quantity in QUANTITIES:
        mean = geometric_mean(row.ratio(quantity) for row in found.rows)
        cells += ["", "", _shown(mean, ".3f")]
    table.add_row(*cells)
    # In a pipe or a file a table is as wide as it needs.
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def print_json(found: Comparison) -> None:
    """All samples, for other tools."""

    def side(figures: Figures) -> dict[str, object]:
        return {
            "instructions": figures.instructions,
            "code": figures.code,
            "seconds": figures.seconds,
            "failure": figures.failure,
        }

    means = {one: geometric_mean(row.ratio(one) for row in found.rows) for one in QUANTITIES}
    whole = {
        "base": found.base,
        "work": found.work,
        "target": found.target,
        "level": found.level,
        "counted": found.counted,
        "programs": [
            {
                "name": row.name,
                "base": side(row.base),
                "work": side(row.work),
                "ratios": {one: row.ratio(one) for one in QUANTITIES},
                "trouble": row.trouble,
            }
            for row in found.rows
        ],
        "geometric_means": means,
    }
    print(json.dumps(whole, indent=2))
