"""Options that several subcommands share, so that they mean the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from callproof.cli.output import log, progress
from callproof.driver import Options

Source = Annotated[Path, typer.Argument(help="NewBCPL source (.bcl) or IR text (.ir).")]
Target = Annotated[
    str, typer.Option("--target", help="What to compile for: aarch64-linux or x86_64-linux.")
]
RunTarget = Annotated[
    str,
    typer.Option(
        "--target", help="What to compile for: aarch64-linux or x86_64-linux (default: the host)."
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Check the IR after every pass and prove every register allocation.",
    ),
]
TimePasses = Annotated[
    bool, typer.Option("--time-passes", help="Show where the time went, by stage.")
]
Level0 = Annotated[bool, typer.Option("-O0", help="Do not optimise.")]
Level1 = Annotated[bool, typer.Option("-O1", help="Optimise (the default).")]
Level2 = Annotated[bool, typer.Option("-O2", help="Optimise harder; may take longer.")]
Linker = Annotated[
    str,
    typer.Option("--linker", help="'builtin', or 'system' for an installed cross linker."),
]
Include = Annotated[
    list[Path] | None,
    typer.Option("-I", help="A folder where GET looks for headers (may be repeated)."),
]
BoundsCheck = Annotated[
    bool,
    typer.Option(
        "--bounds-check", help="Have a NewBCPL program test the indices that it reads with."
    ),
]
WarningsAreErrors = Annotated[
    bool, typer.Option("--werror", help="Refuse a program of which anything is warned.")
]
GcStress = Annotated[
    bool, typer.Option("--gc-stress", help="Sox: collect garbage at every allocation.")
]
GcStats = Annotated[
    bool, typer.Option("--gc-stats", help="Sox: what the collector did, at the end.")
]
LogCalls = Annotated[
    bool,
    typer.Option("--log-calls", help="Sox: tell of each call site whether it is direct."),
]
ModulePath = Annotated[
    list[str] | None,
    typer.Option("--module-path", help="Sox: where imports look last; may be repeated."),
]


def collector(stress: bool, statistics: bool) -> None:
    """Tell the runtime of programs that are run from here, by its variables."""
    for wanted, variable in (
        (stress, "CALLPROOF_GC_STRESS"),
        (statistics, "CALLPROOF_GC_STATS"),
    ):
        if wanted:
            os.environ[variable] = "1"


def sox(options: Options, log_calls: bool, module_path: Sequence[str] | None) -> None:
    """What only Sox programs are compiled with."""
    options.module_path = tuple(module_path or ())
    if log_calls:
        options.log = log


def level(o0: bool, o1: bool, o2: bool) -> int:
    """The optimisation level; raises a usage error if several are asked for."""
    chosen = [number for number, wanted in enumerate((o0, o1, o2)) if wanted]
    if len(chosen) > 1:
        raise typer.BadParameter("give one of -O0, -O1, -O2")
    return chosen[0] if chosen else 1


def make(
    levels: Sequence[bool],
    target: str,
    verify: bool,
    time_passes: bool,
    *,
    poison: bool = False,
    linker: str = "builtin",
    include: Sequence[Path] | None = None,
    bounds_check: bool = False,
    warnings_are_errors: bool = False,
) -> Options:
    return Options(
        level=level(*levels),
        target=target,
        verify=verify,
        poison=poison,
        timings={} if time_passes else None,
        linker=linker,
        include=tuple(include or ()),
        bounds_check=bounds_check,
        warnings_are_errors=warnings_are_errors,
        progress=progress,
    )
