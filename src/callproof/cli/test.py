"""`callproof test`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from callproof.cli import options as shared
from callproof.driver import Options
from callproof.target import host


def test(
    place: Annotated[
        Path, typer.Argument(help="A folder with *_test.sox files, or one file.")
    ] = Path("."),
    format_: Annotated[str, typer.Option("--format", help="text or junit.")] = "text",
    o0: shared.Level0 = False,
    o1: shared.Level1 = False,
    o2: shared.Level2 = False,
    target: shared.RunTarget = "",
    verify: shared.Verify = False,
) -> None:
    """Run the `#[test]` functions of Sox files, each in a program of its own.

    Ends with 1 if a test fails.

    Example: `callproof test tests --format junit > report.xml`
    """
    if format_ not in ("text", "junit"):
        raise typer.BadParameter(f"'{format_}' is none of text, junit")
    raise typer.Exit(
        run_tests(place, format_, shared.make((o0, o1, o2), target or host(), verify, False))
    )


def run_tests(place: Path, format_: str, options: Options) -> int:
    """The exit status; `callproof sox --test` is the same."""
    from callproof.sox import testing

    if format_ == "junit":
        _, outcomes = testing.run_suite(place, options, lambda outcome: None)
        print(testing.junit(outcomes))
        return int(any(outcome.status != testing.OK for outcome in outcomes))
    if not testing.files_of(place):
        print(f"No test files found in {place}")
        return 0
    print(testing.HEADING, flush=True)
    _, outcomes = testing.run_suite(place, options, testing.show)
    if not outcomes:
        print("No tests run, 0 (100%) skipped.", file=sys.stderr)
        return 0
    print(testing.summary(outcomes))
    return int(any(outcome.status != testing.OK for outcome in outcomes))
