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
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.check import CheckOptions, Result
    from callproof.check.filters import Filter

FORMATS = ("text", "json", "sarif")
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
        str, typer.Option("--abi", help="linux, android, darwin, windows, bare, go, ghc, ocaml.")
    ] = "linux",
    format_: Annotated[str, typer.Option("--format", help="text, json or sarif.")] = "text",
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
    explain: Annotated[str, typer.Option("--explain", help="Show a rule and stop.")] = "",
) -> None:
    """Find broken calls in AArch64 code, whoever compiled it.

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
        options = CheckOptions(abi, chosen, raw, _number(base))
        hidden = _filter(baseline, allow)
    except CallproofError as error:
        print_error(error)
        raise typer.Exit(UNUSABLE) from None
    results, unusable = _check_all(files, options, jobs)
    hidden.apply(results)
    _print(results, format_, unexplored)
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


def _check_all(files: list[Path], options: CheckOptions, jobs: int) -> tuple[list[Result], bool]:
    """The results in the order of the files, and whether some file was unusable."""
    from callproof.check import check_file

    results: list[Result] = []
    unusable = False
    if jobs > 1 and len(files) > 1:
        with ProcessPoolExecutor(min(jobs, len(files))) as pool:
            futures: list[Future[Result]] = [pool.submit(check_file, f, options) for f in files]
            waiting = [future.result for future in futures]
            for wait in waiting:
                unusable |= _take(wait, results)
        return results, unusable
    for file in files:
        unusable |= _take(partial(check_file, file, options), results)
    return results, unusable


def _take(wait: Callable[[], Result], results: list[Result]) -> bool:
    """Add a result; True if there is none, after saying why."""
    try:
        results.append(wait())
    except CallproofError as error:
        print_error(error)
        return True
    return False


def _print(results: list[Result], format_: str, unexplored: bool) -> None:
    from callproof.check.report import as_json, text
    from callproof.check.report_sarif import as_sarif

    if format_ == "text":
        shown = text(results, show_unexplored=unexplored)
    else:
        shown = {"json": as_json, "sarif": as_sarif}[format_](results)
    sys.stdout.write(shown)
