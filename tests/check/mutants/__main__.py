"""`python -m tests.check.mutants`: break correct functions, and count what the checker finds."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.check.mutants.campaign import Count, run

LEAST_RECALL, LEAST_CONFIRMED, LEAST_KINDS = 0.99, 2000, 20


def show(count: Count, *, missed: int) -> None:
    table = Table(title="edits of correct functions, by kind", box=None)
    for column in ("kind", "proposed", "confirmed", "found"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for kind in sorted(count.proposed):
        numbers = (count.proposed[kind], count.confirmed[kind], count.found[kind])
        table.add_row(kind, *map(str, numbers))
    console = Console()
    console.print(table)
    for line in count.missed[:missed]:
        console.print("missed:", line, markup=False, soft_wrap=True)
    for line in count.unclean:
        console.print("not clean before the edit:", line, markup=False, soft_wrap=True)
    kinds = sum(1 for number in count.confirmed.values() if number)
    console.print(
        f"{count.functions} functions, {count.confirmed.total()} confirmed mutants of {kinds} "
        f"kinds ({dict(count.by_compiler)}), {count.found.total()} found: "
        f"recall {100 * count.recall:.2f} %; {len(count.unclean)} findings before any edit"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--seeds", type=int, default=6, help="C sources for each compiler")
    parser.add_argument("--modules", type=int, default=20, help="random modules of our compiler")
    parser.add_argument("--most", type=int, default=14, help="edits of a function")
    parser.add_argument("--missed", type=int, default=40, help="how many misses to show")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        count = run(
            Path(folder), seeds=arguments.seeds, modules=arguments.modules, most=arguments.most
        )
    show(count, missed=arguments.missed)
    kinds = sum(1 for number in count.confirmed.values() if number)
    enough = count.confirmed.total() >= LEAST_CONFIRMED and kinds >= LEAST_KINDS
    return 0 if enough and count.recall >= LEAST_RECALL and not count.unclean else 1


if __name__ == "__main__":
    sys.exit(main())
