"""`callproof check`"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callproof.cli.output import print_error
from callproof.cli.progress import progress_bar
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.check import CheckOptions, Result
    from callproof.check.filters import Filter

FORMATS = ("text", "json", "sarif", "html")
FOUND, UNUSABLE = 1, 2


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no address") from None


def check(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Objects, archives, executables, shared objects.")
    ] = None,
    abi: Annotated[
        str,
        typer.Option(
            "--abi",
            help="linux, android, darwin, windows, bare, go, ghc, ocaml, or a profile FILE.toml.",
        ),
    ] = "linux",
    format_: Annotated[str, typer.Option("--format", help="text, json, sarif or html.")] = "text",
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="Exit with 1 for this severity or a graver one.")
    ] = "error",
    rules: Annotated[
        str, typer.Option("--rules", help="Only these, e.g. CS1,LR1 (opt-in rules too).")
    ] = "",
    raw: Annotated[bool, typer.Option("--raw", help="The files are plain code.")] = False,
    base: Annotated[str, typer.Option("--base", help="Where plain code lies.")] = "0",
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="Hide what this JSON report has.")
    ] = None,
    allow: Annotated[
        Path | None, typer.Option("--allow", help="A TOML file of findings that are meant.")
    ] = None,
    unexplored: Annotated[
        bool, typer.Option("--unexplored", help="List what could not be followed.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Files checked at a time.", min=1)] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the report to this file.")
    ] = None,
    progress: Annotated[
        bool | None,
        typer.Option("--progress/--no-progress", help="A progress bar (on a terminal: yes)."),
    ] = None,
    explain: Annotated[str, typer.Option("--explain", help="Show a rule and stop.")] = "",
) -> None:
    """Find broken calls in AArch64 code, whoever compiled it, and in our own x86-64 code.

    Exit status: 0 nothing found, 1 findings at or above --fail-on, 2 unusable input.
    """
    from callproof.check import CheckOptions
    from callproof.check.finding import SEVERITIES
    from callproof.check.rules import RULES
    from callproof.check.rules import explain as text_of

    if explain:
        if explain not in RULES:
            raise typer.BadParameter(f"there is no rule {explain}; there is {', '.join(RULES)}")
        print(text_of(explain), end="")
        return
    if format_ not in FORMATS:
        raise typer.BadParameter(f"--format {format_}: there is {', '.join(FORMATS)}")
    if fail_on not in SEVERITIES:
        raise typer.BadParameter(f"--fail-on {fail_on}: there is {', '.join(SEVERITIES)}")
    if not files:
        raise typer.BadParameter("which files?")
    try:
        chosen = frozenset(name for name in rules.replace(",", " ").split())
        options = CheckOptions(abi, chosen, raw, _number(base), listings=format_ == "html")
        hidden = _filter(baseline, allow)
    except CallproofError as error:
        print_error(error)
        raise typer.Exit(UNUSABLE) from None
    results, unusable = _check_all(files, options, jobs, progress)
    hidden.apply(results)
    _write(_report(results, format_, unexplored), output)
    if unusable:
        raise typer.Exit(UNUSABLE)
    if any(result.at_least(fail_on) for result in results):
        raise typer.Exit(FOUND)


def _filter(baseline: Path | None, allow: Path | None) -> Filter:
    from callproof.check.filters import Filter, read_allowed, read_baseline

    return Filter(
        read_baseline(baseline) if baseline is not None else set(),
        read_allowed(allow) if allow is not None else [],
    )


def _check_all(
    files: list[Path], options: CheckOptions, jobs: int, wanted: bool | None
) -> tuple[list[Result], bool]:
    """The results in the order of the files, and whether some file was unusable."""
    from callproof.check import check_file

    results: list[Result] = []
    unusable = False
    if jobs > 1 and len(files) > 1:
        with (
            ProcessPoolExecutor(min(jobs, len(files))) as pool,
            progress_bar("files", wanted) as advance,
        ):
            futures: list[Future[Result]] = [pool.submit(check_file, f, options) for f in files]
            for done, future in enumerate(futures, 1):
                unusable |= _take(future.result, results)
                if advance is not None:
                    advance(done, len(files))
        return results, unusable
    for file in files:
        with progress_bar(f"functions of {file.name}", wanted) as advance:
            unusable |= _take(partial(check_file, file, options, advance), results)
    return results, unusable


def _take(wait: Callable[[], Result], results: list[Result]) -> bool:
    """Add a result; True if there is none, after saying why."""
    try:
        results.append(wait())
    except CallproofError as error:
        print_error(error)
        return True
    return False


def _report(results: list[Result], format_: str, unexplored: bool) -> str:
    from callproof.check.report import as_json, text
    from callproof.check.report_html import as_html
    from callproof.check.report_sarif import as_sarif

    if format_ == "text":
        return text(results, show_unexplored=unexplored)
    return {"json": as_json, "sarif": as_sarif, "html": as_html}[format_](results)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        print_error(CallproofError(f"cannot write {output}: {error.strerror or error}"))
        raise typer.Exit(UNUSABLE) from None
