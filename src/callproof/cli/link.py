"""`callproof link`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callproof import driver
from callproof.cli import options as shared
from callproof.cli.link_inputs import read_inputs
from callproof.cli.output import print_timings
from callproof.files import write_output
from callproof.link import GivenSymbol, LinkOptions
from callproof.link.explain import explain as explain_symbol
from callproof.link.layout import Layout
from callproof.link.link_map import link_map
from callproof.linked_with import machine_of
from callproof.source import CallproofError


def link(
    objects: Annotated[
        list[Path],
        typer.Argument(
            help="ELF objects (.o), archives (.a) and, with --dynamic, shared libraries (.so); "
            "among them -l NAME (of the folders of -L), --start-group ... --end-group, "
            "--whole-archive ... --no-whole-archive."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The executable to write.")],
    runtime: Annotated[
        bool,
        typer.Option(
            "--runtime/--no-runtime", help="Link the NewBCPL runtime and musl's C library too."
        ),
    ] = True,
    entry: Annotated[str, typer.Option("--entry", help="The symbol to start at.")] = "_start",
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Write what is where, and what was left out.")
    ] = None,
    explain: Annotated[
        list[str] | None,
        typer.Option("--explain", help="Say why this symbol is in, where it went, who uses it."),
    ] = None,
    defsym: Annotated[
        list[str] | None,
        typer.Option("--defsym", help="NAME=NUMBER or NAME=SYMBOL[+NUMBER]: define a symbol."),
    ] = None,
    wrap: Annotated[
        list[str] | None,
        typer.Option("--wrap", help="NAME: references to it mean __wrap_NAME; __real_NAME is it."),
    ] = None,
    collect: Annotated[
        bool,
        typer.Option("--gc-sections/--no-gc-sections", help="Leave out what nobody refers to."),
    ] = True,
    build_id: Annotated[
        bool, typer.Option("--build-id", help="Put a hash of the whole into a note.")
    ] = False,
    library_path: Annotated[
        list[Path] | None, typer.Option("-L", help="A folder where -l looks (may be repeated).")
    ] = None,
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered/--any-order",
            help="Search each archive once, at its place in the line, as ld does.",
        ),
    ] = False,
    eh_frame_hdr: Annotated[
        bool,
        typer.Option("--eh-frame-hdr", help="Keep frame descriptions although nobody unwinds."),
    ] = False,
    relro: Annotated[
        bool,
        typer.Option("--relro", help="Let start code protect what is relocated (glibc's does)."),
    ] = False,
    icf: Annotated[
        str, typer.Option("--icf", help="none, or safe: equal functions become one.")
    ] = "none",
    exec_stack: Annotated[
        bool, typer.Option("--exec-stack", help="Allow objects that want to run their stack.")
    ] = False,
    script: Annotated[
        Path | None, typer.Option("--script", "-T", help="Not supported: linker scripts.")
    ] = None,
    debug: Annotated[
        bool,
        typer.Option(
            "-g",
            help="For debuggers: keep frame descriptions, the runtime's too (as build -g does; "
            "what was compiled with -g describes itself).",
        ),
    ] = False,
    pie: shared.Pie = False,
    dynamic: shared.Dynamic = False,
    rpath: shared.Rpath = None,
    interpreter: shared.Interpreter = "",
    as_needed: shared.AsNeeded = False,
    export_dynamic: shared.ExportDynamic = False,
    relr: shared.Relr = False,
    target: shared.Target = "aarch64-linux",
    linker: shared.Linker = "builtin",
    time_passes: shared.TimePasses = False,
) -> None:
    """Link objects and archives into an executable: a static one, unless --dynamic is given.

    Undefined and duplicate symbols are reported all at once, with the files that
    need or define them.  All archives are searched until none has more to give, so
    their order does not matter and groups need no marks (--ordered is as ld does it).
    """
    options = shared.make(
        (False, False, False), target, False, time_passes, linker=linker, debug=debug
    )
    choices = LinkOptions(
        entry=entry,
        collect_garbage=collect,
        wrap=tuple(wrap or ()),
        definitions=dict(map(GivenSymbol.parse, defsym or ())),
        build_id=build_id,
        ordered=ordered,
        eh_frame_hdr=eh_frame_hdr,
        relro=relro,
        icf=icf,
        exec_stack=exec_stack,
        **shared.loading(pie, dynamic, rpath, interpreter, as_needed, export_dynamic, relr, target),
    )
    options.library_path = tuple(library_path or ())
    if script is not None:
        raise CallproofError(
            f"{script}: linker scripts are not supported; --defsym defines symbols, and sections "
            "are laid out as ld's own script has them"
        )
    machine = machine_of(options) if dynamic else ""
    is_darwin = target.endswith("-macos")
    inputs = read_inputs(
        objects, library_path or (), machine, with_libc=runtime, is_darwin=is_darwin
    )
    layout = driver.link_inputs(inputs, output, options, runtime=runtime, choices=choices)
    if map_file is not None:
        write_output(map_file, link_map(_known(layout, "--map")).encode("utf-8", "surrogateescape"))
    for name in explain or ():
        for explanation in explain_symbol(_known(layout, "--explain"), name):
            typer.echo(explanation.text().encode("utf-8", "surrogateescape"))
    if options.timings is not None:
        print_timings(options.timings)


def _known(layout: Layout | None, option: str) -> Layout:
    if layout is None:
        raise CallproofError(f"{option} needs --linker builtin, and a program for Linux")
    return layout
