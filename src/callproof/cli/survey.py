"""`callproof survey`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from callproof.cli.output import print_error
from callproof.cli.progress import progress_bar
from callproof.source import CallproofError

UNUSABLE = 2


def survey(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and folders: packages (.deb, .rpm, .whl), tar, zip, code."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The table to write: .parquet or .sqlite.")
    ] = Path("findings.parquet"),
    abi: Annotated[str, typer.Option("--abi", help="As for check.")] = "linux",
    rules: Annotated[str, typer.Option("--rules", help="As for check.")] = "",
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=0, help="Processes; 0: one for each core.")
    ] = 0,
    scheduler: Annotated[
        str, typer.Option("--scheduler", help="Address of a Dask scheduler to use instead.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", help="Seconds for one file; 0: any.")] = 600,
    report: Annotated[bool, typer.Option("--report", help="Print what the table says.")] = False,
    plots: Annotated[
        Path | None, typer.Option("--plots", help="With --report: plots into this folder.")
    ] = None,
    progress: Annotated[
        bool | None,
        typer.Option("--progress/--no-progress", help="A progress bar (on a terminal: yes)."),
    ] = None,
) -> None:
    """Check all AArch64 code in trees of packages; keep findings and figures as tables.

    If it is killed, the same command goes on where it was.  Exit status: 0 done, 2 not.
    """
    from callproof.check import CheckOptions
    from callproof.survey import Survey
    from callproof.survey import survey as run

    if not paths and not report:
        raise typer.BadParameter("which paths?")
    if plots is not None and not report:
        raise typer.BadParameter("--plots belongs to --report")
    try:
        if paths:
            chosen = frozenset(rules.replace(",", " ").split())
            options = CheckOptions(abi, chosen)
            wanted = Survey(paths, out, options, jobs or os.cpu_count() or 1, scheduler, limit)
            with progress_bar("paths", progress) as advance:
                count, before = run(wanted, advance)
            print(f"{count} paths, {before} of them done before: {out}")
        if report:
            _report(out, plots)
    except CallproofError as error:
        print_error(error)
        raise typer.Exit(UNUSABLE) from None


def _report(out: Path, plots: Path | None) -> None:
    from rich.console import Console

    from callproof.survey.summary import plot, show, summarise

    summary = summarise(out)
    show(summary, Console())
    if plots is not None:
        for path in plot(summary, plots):
            print(path)
