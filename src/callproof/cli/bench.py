"""`callproof bench`"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from callproof.cli import options as shared
from callproof.cli.sox import WrongUse, run_program, seconds
from callproof.sox import benchmarks
from callproof.target import host

ARM64 = "aarch64-linux"


def bench(
    place: Annotated[
        Path,
        typer.Argument(
            help="A script, or a folder whose scripts have benchmarks; with --compare a program "
            "or a folder of them (a checkout's own: its benchmarks)."
        ),
    ] = Path("."),
    time: Annotated[
        str, typer.Option("--time", "--bench-time", help="Seconds for each (default 1).")
    ] = "",
    filter_: Annotated[
        str, typer.Option("--filter", "--bench-filter", help="Only those with this in the name.")
    ] = "",
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    compare: Annotated[
        str,
        typer.Option(
            "--compare",
            metavar="BASE",
            help="Compile programs of both languages with this commit and with the checkout as "
            "it stands; show executed instructions, code size and compile time side by side.",
        ),
    ] = "",
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Timed pairs of builds of each (--compare).")
    ] = 3,
    o0: shared.Level0 = False,
    o1: shared.Level1 = False,
    o2: shared.Level2 = False,
    target: shared.RunTarget = "",
    module_path: shared.ModulePath = None,
) -> None:
    """Run the functions named `Benchmark*` of Sox scripts; `callproof sox --bench` is the same.

    Ends with 70 if one fails.  With --compare, in a checkout of Callproof, whole programs
    are compiled by two of its commits in turns (default target: aarch64-linux); it ends with
    1 if the newer fails, or makes something else of a program, where BASE was right.

    Example: `callproof bench benchmarks --time 0.2 --format json`,
    `callproof bench --compare main --filter bcpl/`
    """
    if format_ not in ("text", "json"):
        raise typer.BadParameter(f"'{format_}' is none of text, json")
    if compare:
        if time:
            raise typer.BadParameter("--time is for functions named Benchmark*, not --compare")
        from callproof.cli.bench_compare import bench_compare

        level = shared.make((o0, o1, o2), target or host(), False, False).level
        more = [word for folder in module_path or () for word in ("--module-path", str(folder))]
        status = bench_compare(
            place, compare, filter_, rounds, level, target or ARM64, more, format_ == "json"
        )
        raise typer.Exit(status)
    try:
        time = seconds(time) if time else ""
    except WrongUse as error:
        raise typer.BadParameter(str(error)) from error
    options = shared.make((o0, o1, o2), target or host(), False, False)
    options.module_path = tuple(module_path or ())
    files = benchmarks.files_of(place, options)
    if not files:
        print(f"No benchmarks found in {place}", file=sys.stderr)
    status = 0
    if format_ == "text":
        environment = benchmarks.variables(time, filter_)
        for path in files:
            ended = run_program(path, (), replace(options, sox_bench=True), environment)
            status = status or ended
        raise typer.Exit(status)
    environment = benchmarks.variables(time, filter_, suppress=True)
    rows = []
    for path in files:
        ended, measured = benchmarks.measure(path, options, environment)
        status = status or ended
        rows += [
            {
                "file": str(one.file),
                "name": one.name,
                "iterations": one.count,
                "ns_per_op": one.nanoseconds,
            }
            for one in measured
        ]
    print(json.dumps(rows, indent=2))
    raise typer.Exit(status)
