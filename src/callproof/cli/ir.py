"""`callproof ir`"""

from __future__ import annotations

from typing import Annotated

import typer

from callproof import driver
from callproof.cli import options as shared
from callproof.cli.output import print_diagnostics, print_timings


def ir(
    file: shared.Source,
    print_after: Annotated[
        str,
        typer.Option(
            "--print-after",
            help="Show each function after this pass instead ('front-end' for before all; "
            "'all' for after every pass).",
        ),
    ] = "",
    o0: shared.Level0 = False,
    o1: shared.Level1 = False,
    o2: shared.Level2 = False,
    verify: shared.Verify = False,
    time_passes: shared.TimePasses = False,
    include: shared.Include = None,
    bounds_check: shared.BoundsCheck = False,
    werror: shared.WarningsAreErrors = False,
) -> None:
    """Show a program's intermediate representation after optimisation.

    The text parses back: save it as FILE.ir and build, run or optimise it again.
    """
    from callproof.ir.text import print_module

    options = shared.make(
        (o0, o1, o2),
        "aarch64-linux",
        verify,
        time_passes,
        include=include,
        bounds_check=bounds_check,
        warnings_are_errors=werror,
    )
    options.print_after = print_after if print_after != "front-end" else ""
    options.show = print
    _, module, warnings = driver.front_end(file, options)
    print_diagnostics(warnings)
    if print_after != "front-end":
        driver.optimise(module, options)
    if not options.print_after:
        print(print_module(module), end="")
    if options.timings is not None:
        print_timings(options.timings)
