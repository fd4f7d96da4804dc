"""`callproof asm`"""

from __future__ import annotations

from typing import Annotated

import typer

from callproof import driver
from callproof.cli import options as shared
from callproof.cli.output import print_diagnostics, print_timings


def asm(
    file: shared.Source,
    function: Annotated[
        str, typer.Option("--function", "-f", help="Only this function, e.g. Point::CREATE.")
    ] = "",
    inline: Annotated[
        bool, typer.Option("--inline", help="With --function: also inline calls, as builds do.")
    ] = False,
    o0: shared.Level0 = False,
    o1: shared.Level1 = False,
    o2: shared.Level2 = False,
    target: shared.Target = "aarch64-linux",
    verify: shared.Verify = False,
    time_passes: shared.TimePasses = False,
    include: shared.Include = None,
    bounds_check: shared.BoundsCheck = False,
    werror: shared.WarningsAreErrors = False,
    debug: shared.Debug = False,
) -> None:
    """Show the commented assembly of a program, or of one function of it.

    Comments name what each move into an argument register is, the values that are
    kept across calls and where, spill slots by variable, and the source lines. GNU
    as and Clang accept the text. One function by itself is shown with its calls, also of
    functions that a build would inline. With -g it is the code that `build -g` makes (at -O1
    and -O2 the same); the text has no tables for debuggers.
    """
    options = shared.make(
        (o0, o1, o2),
        target,
        verify,
        time_passes,
        include=include,
        bounds_check=bounds_check,
        warnings_are_errors=werror,
        debug=debug,
    )
    options.keep = function
    options.inlining = inline or not function
    compilation = driver.compile_file(file, options)
    print_diagnostics(compilation.warnings)
    print(compilation.listing(function), end="")
    if options.timings is not None:
        print_timings(options.timings)
