"""Options that several subcommands share, so that they mean the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from callproof.cli.output import log, progress
from callproof.driver import Options
from callproof.source import CallproofError

Source = Annotated[Path, typer.Argument(help="NewBCPL source (.bcl) or IR text (.ir).")]
Target = Annotated[
    str,
    typer.Option(
        "--target", help="What to compile for: aarch64-linux, x86_64-linux or aarch64-macos."
    ),
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
Debug = Annotated[
    bool,
    typer.Option(
        "-g",
        help="Describe variables, types and frames to debuggers; with -O0 variables stay in "
        "memory, so that all of them can be seen.",
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Compile every function anew: neither use code that was kept nor keep any.",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        min=0,
        help="How many processes compile at once (default: as many as help a large program).",
    ),
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


Pie = Annotated[
    bool, typer.Option("--pie", help="A position-independent program: it is loaded anywhere.")
]
Dynamic = Annotated[
    bool,
    typer.Option("--dynamic", help="Use the system's C library and other shared libraries."),
]
Libraries = Annotated[
    list[str] | None,
    typer.Option("-l", help="A library to link with: libNAME.so with --dynamic, else libNAME.a."),
]
LibraryPath = Annotated[
    list[Path] | None, typer.Option("-L", help="A folder where -l looks (may be repeated).")
]
Rpath = Annotated[
    list[str] | None,
    typer.Option("--rpath", help="A folder where the program's loader looks for libraries."),
]
Interpreter = Annotated[
    str, typer.Option("--dynamic-linker", help="The program's loader (default: glibc's).")
]
AsNeeded = Annotated[
    bool, typer.Option("--as-needed", help="Ask only for libraries of which something is used.")
]
ExportDynamic = Annotated[
    bool, typer.Option("--export-dynamic", help="Let libraries see all of the program's names.")
]
Relr = Annotated[
    bool, typer.Option("--relr", help="Packed relative relocations (glibc from 2.36).")
]


def loading(
    pie: bool,
    dynamic: bool,
    rpath: Sequence[str] | None = None,
    interpreter: str = "",
    as_needed: bool = False,
    export_dynamic: bool = False,
    relr: bool = False,
    target: str = "",
) -> dict[str, Any]:
    """Fields of `LinkOptions`; raises `CallproofError` for options that another one needs.

    Programs for macOS are dynamic without being told.
    """
    wanted = {
        "--rpath": rpath if not target.endswith("-macos") else None,
        "--dynamic-linker": interpreter,
        "--as-needed": as_needed,
        "--export-dynamic": export_dynamic,
    }
    for option, value in wanted.items():
        if value and not dynamic:
            raise CallproofError(f"{option} is of use with --dynamic only")
    if relr and not pie and not dynamic:
        raise CallproofError("--relr is of use with --pie or --dynamic only")
    return {
        "pie": pie,
        "dynamic": dynamic,
        "rpath": tuple(rpath or ()),
        "interpreter": interpreter,
        "as_needed": as_needed,
        "export_dynamic": export_dynamic,
        "relr": relr,
    }


def libraries(
    options: Options,
    choices: dict[str, Any],
    names: Sequence[str] | None,
    folders: Sequence[Path] | None,
) -> None:
    """How what is built is linked, and with what."""
    from callproof.link import LinkOptions

    options.libraries = tuple(names or ())
    options.library_path = tuple(folders or ())
    if any(choices.values()):
        options.link = LinkOptions(**choices)


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
    debug: bool = False,
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
        debug=debug,
        progress=progress,
    )
