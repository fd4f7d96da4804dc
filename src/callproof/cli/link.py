"""`callproof link`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callproof import driver
from callproof.cli import options as shared
from callproof.cli.output import print_timings


def link(
    objects: Annotated[list[Path], typer.Argument(help="ELF objects (.o) and archives (.a).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The executable to write.")],
    runtime: Annotated[
        bool,
        typer.Option(
            "--runtime/--no-runtime", help="Link the NewBCPL runtime and musl's C library too."
        ),
    ] = True,
    target: shared.Target = "aarch64-linux",
    linker: shared.Linker = "builtin",
    time_passes: shared.TimePasses = False,
) -> None:
    """Link objects and archives into a static executable.

    Undefined and duplicate symbols are reported all at once, with the files that
    need or define them.
    """
    options = shared.make((False, False, False), target, False, time_passes, linker=linker)
    driver.link_inputs(objects, output, options, runtime=runtime)
    if options.timings is not None:
        print_timings(options.timings)
