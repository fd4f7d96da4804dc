"""Printing: diagnostics, tables, progress.  Colour only on a terminal (and never with NO_COLOR)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from callproof.source import CallproofError, Diagnostic

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"error": "bold red", "warning": "bold magenta", "note": "bold cyan"}


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """To standard error: plain text, or the same text coloured on a terminal.

    Warnings about a Sox program (imports that will fail) are for `--diagnostics rich`.
    """
    for diagnostic in diagnostics:
        if diagnostic.code == "import" and os.environ.get("CALLPROOF_DIAGNOSTICS") != "rich":
            continue
        text = diagnostic.render()
        if not sys.stderr.isatty():
            print(text, file=sys.stderr)
            continue
        from rich.text import Text

        shown = Text(text)
        for severity, style in STYLES.items():
            shown.highlight_regex(rf"(?m)(^|: ){severity}: ", style)
        shown.highlight_regex(r"(?m)^ {6}\| .*$", "green")
        _console().print(shown)


def print_error(error: CallproofError) -> None:
    print_diagnostics(error.diagnostics)


def print_internal_error(message: str) -> None:
    print(
        f"callproof: internal error: {message}\n"
        "This is a bug in Callproof, not in your program; please report it with the input.",
        file=sys.stderr,
    )


def print_timings(timings: dict[str, float]) -> None:
    """The table of `--time-passes`, to standard error."""
    from rich.console import Console
    from rich.table import Table

    total = sum(timings.values())
    table = Table(title="time by stage", box=None)
    table.add_column("stage")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    for stage, seconds in timings.items():
        share = seconds / total if total else 0.0
        table.add_row(stage, f"{seconds * 1000:.2f}", f"{share:.1%}")
    table.add_row("total", f"{total * 1000:.2f}", "")
    Console(stderr=True).print(table)


def log(message: str) -> None:
    """A line that was asked for."""
    print(message, file=sys.stderr, flush=True)


_told: set[str] = set()


def progress(message: str) -> None:
    """What a slow first use is doing, `WHAT [STEP/STEPS]: PART`.

    On a terminal each step takes the place of the one before; a log gets one line for all.
    """
    what, _, step = message.partition(" [")
    if sys.stderr.isatty():
        number, _, steps = step.partition("]")[0].partition("/")
        end = "\n" if number == steps else ""
        print(f"\r\x1b[K{message}", end=end, file=sys.stderr, flush=True)
    elif what not in _told:
        _told.add(what)
        log(what)
