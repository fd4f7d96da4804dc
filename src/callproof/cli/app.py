"""The application: its subcommands, and what happens to errors.

Exit statuses, for scripts: 0 done; 1 the input is wrong (diagnostics on standard
error; for Sox programs 65, and 74 where they cannot be read, as the reference does);
2 the command line is wrong; 70 a bug in Callproof; 141 the reader of our output went
away.  `run` ends with the program's own status (128 + n if signal n ended it) and
with 3 if `--trace-calls` saw a call break the convention.  `check` ends with 1 if it
found something and with 2 if it could not look.
"""

from __future__ import annotations

import os

import typer

from callproof.cli import (
    abi,
    asm,
    bench,
    build,
    check,
    gdb_printers,
    ir,
    link,
    repl,
    run_command,
    sox,
    sox_errors,
    survey,
    test,
)
from callproof.cli.guard import COLLECTIONS, guarded
from callproof.cli.link_inputs import LinkCommand

__all__ = ["COLLECTIONS", "app", "run"]

app = typer.Typer(
    name="callproof",
    help="Compile NewBCPL and Sox to stand-alone ARM64 Linux executables whose calls are right.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", context_settings=run_command.CONTEXT)(run_command.run)
app.command("build")(build.build)
app.command("asm")(asm.asm)
app.command("ir")(ir.ir)
app.command("link", cls=LinkCommand)(link.link)
app.command("abi")(abi.abi)
app.command("test")(test.test)
app.command("bench")(bench.bench)
app.command("sox", context_settings=sox.CONTEXT)(sox.sox)
app.command("repl")(repl.repl)
app.command("check")(check.check)
app.command("gdb-printers")(gdb_printers.gdb_printers)
app.command("survey")(survey.survey)


def _version(wanted: bool) -> None:
    if wanted:
        from callproof import version_text

        print(version_text())
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", "-V", callback=_version, is_eager=True, help="Show the version."
    ),
    diagnostics: str = typer.Option(
        "",
        "--diagnostics",
        help="How errors in Sox programs are shown: 'reference' (as Sox itself does; the "
        "default) or 'rich' (with the place in the text).",
    ),
) -> None:
    """Compile NewBCPL and Sox to stand-alone ARM64 Linux executables whose calls are right."""
    if diagnostics not in ("", "reference", "rich"):
        raise typer.BadParameter(f"'{diagnostics}' is none of reference, rich")
    if diagnostics:
        os.environ[sox_errors.VARIABLE] = diagnostics


def run() -> None:
    """Run the command line; errors become diagnostics and exit statuses."""
    guarded(app)
