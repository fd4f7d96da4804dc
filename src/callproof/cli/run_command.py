"""`callproof run`"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from callproof import driver
from callproof.cli import options as shared
from callproof.cli.output import print_diagnostics, print_timings

CONTEXT = {"allow_interspersed_args": False, "ignore_unknown_options": False}


def run(
    file: Annotated[Path, typer.Argument(help="NewBCPL or Sox source, IR text, or an executable.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Objects and archives to link a source with, then the program's own arguments."
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            "--on",
            help="native, qemu or emulator (default: the first of these that can be had).",
        ),
    ] = "",
    poison: Annotated[
        bool,
        typer.Option(
            "--poison",
            help="Run in the emulator; at every return and entry fill the registers that the "
            "convention lets a call change with rubbish. A correct program prints the same.",
        ),
    ] = False,
    trace_calls: Annotated[
        bool,
        typer.Option(
            "--trace-calls",
            help="Run in the emulator; print every call with its arguments by name, and report "
            "a callee that does not preserve what it must (exit status 3).",
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Where NewBCPL's random numbers begin (default: the time)."),
    ] = None,
    o0: shared.Level0 = False,
    o1: shared.Level1 = False,
    o2: shared.Level2 = False,
    target: shared.RunTarget = "",
    verify: shared.Verify = False,
    linker: shared.Linker = "builtin",
    time_passes: shared.TimePasses = False,
    include: shared.Include = None,
    bounds_check: shared.BoundsCheck = False,
    werror: shared.WarningsAreErrors = False,
    debug: shared.Debug = False,
    gc_stress: shared.GcStress = False,
    gc_stats: shared.GcStats = False,
    log_calls: shared.LogCalls = False,
    module_path: shared.ModulePath = None,
    no_cache: shared.NoCache = False,
    jobs: shared.Jobs = 0,
    pie: shared.Pie = False,
    dynamic: shared.Dynamic = False,
    libraries: shared.Libraries = None,
    library_path: shared.LibraryPath = None,
    rpath: shared.Rpath = None,
) -> None:
    """Compile a program if need be, and run it; ends with the program's exit status.

    Options go before the file; what follows the file is passed to the program, but for
    .o and .a files directly behind a source, which it is linked with ("--" ends them).

    Example: `callproof run --poison examples/colorpoint.bcl`
    """
    if seed is not None:
        os.environ["CALLPROOF_SEED"] = str(seed)
    others, passed = driver.split_run_arguments(file, arguments or [])
    options = shared.make(
        (o0, o1, o2),
        target or driver.target_for_run(others, on),
        verify,
        time_passes,
        linker=linker,
        include=include,
        bounds_check=bounds_check,
        warnings_are_errors=werror,
        debug=debug,
    )
    options.inlining = not trace_calls  # calls that are gone cannot be shown
    shared.sox(options, log_calls, module_path)
    options.cache, options.jobs = not no_cache, jobs
    choices = shared.loading(pie, dynamic, rpath)
    shared.libraries(options, choices, libraries, library_path)
    shared.collector(gc_stress, gc_stats)
    with tempfile.TemporaryDirectory(prefix="callproof-") as folder:
        executable, warnings = driver.build_for_run(file, options, Path(folder), others)
        print_diagnostics(warnings)
        if options.timings is not None:
            print_timings(options.timings)
        from callproof.run import run as execute

        result = execute(
            executable,
            passed,
            on=on or None,
            poison=poison,
            trace_calls=sys.stderr if trace_calls else None,
            name=str(file),
        )
    raise typer.Exit(result.exit_status)
