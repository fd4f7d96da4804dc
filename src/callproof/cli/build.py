"""`callproof build`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callproof import driver
from callproof.cli import options as shared
from callproof.cli.output import print_diagnostics, print_timings


def build(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Sources (.bcl, .ir) of one program, and .o and .a files to link with them."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write (default: the source's name)."),
    ] = None,
    emit: Annotated[
        str, typer.Option("--emit", help="What to write: exe, obj, asm or ir.")
    ] = "exe",
    poison: Annotated[
        bool,
        typer.Option(
            "--poison",
            help="Emit code that overwrites, after each call and at each function's entry, "
            "every register that the convention lets it: a soak at full speed.",
        ),
    ] = False,
    o0: shared.Level0 = False,
    o1: shared.Level1 = False,
    o2: shared.Level2 = False,
    target: shared.Target = "aarch64-linux",
    verify: shared.Verify = False,
    linker: shared.Linker = "builtin",
    time_passes: shared.TimePasses = False,
    include: shared.Include = None,
    bounds_check: shared.BoundsCheck = False,
    werror: shared.WarningsAreErrors = False,
    debug: shared.Debug = False,
    log_calls: shared.LogCalls = False,
    module_path: shared.ModulePath = None,
    no_cache: shared.NoCache = False,
    jobs: shared.Jobs = 0,
    pie: shared.Pie = False,
    dynamic: shared.Dynamic = False,
    libraries: shared.Libraries = None,
    library_path: shared.LibraryPath = None,
    rpath: shared.Rpath = None,
    interpreter: shared.Interpreter = "",
    as_needed: shared.AsNeeded = False,
    export_dynamic: shared.ExportDynamic = False,
    relr: shared.Relr = False,
) -> None:
    """Compile a program into a stand-alone executable (or an object, assembly, IR).

    With --dynamic it is one that uses the system's shared libraries.  The output appears
    complete or not at all.

    Example: `callproof build hello.bcl -o hello && callproof run hello`
    """
    options = shared.make(
        (o0, o1, o2),
        target,
        verify,
        time_passes,
        poison=poison,
        linker=linker,
        include=include,
        bounds_check=bounds_check,
        warnings_are_errors=werror,
        debug=debug,
    )
    shared.sox(options, log_calls, module_path)
    options.cache, options.jobs = not no_cache, jobs
    shared.libraries(
        options,
        shared.loading(pie, dynamic, rpath, interpreter, as_needed, export_dynamic, relr, target),
        libraries,
        library_path,
    )
    _, warnings = driver.build(files, output, emit, options)
    print_diagnostics(warnings)
    if options.timings is not None:
        print_timings(options.timings)
