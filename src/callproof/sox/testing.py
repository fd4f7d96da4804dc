"""`callproof test`: every `#[test]` function of Sox files as a program of its own (section 14)."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from callproof.source import CallproofError
from callproof.sox.frontend import load, reference_errors

if TYPE_CHECKING:
    from callproof.driver import Options

SUFFIX = "_test.sox"
OK, FAIL, ERROR = "OK   ", "FAIL ", "ERROR"
STATUSES = {0: OK, 1: FAIL}
WIDTH = 37  # columns of a test's name
HEADING = "Running test suite with seed 0x00000000..."


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test, or a file that could not be compiled (`name` ''); `output` is what it printed."""

    file: Path
    name: str
    status: str
    output: str = ""
    errors: str = ""

    @property
    def title(self) -> str:
        return f"sox/{self.file.name.removesuffix(SUFFIX)}/{self.name}"


def files_of(place: Path) -> list[Path]:
    """The test files in a folder, by name; a file stands for itself."""
    if place.is_dir():
        return sorted(path for path in place.glob(f"*{SUFFIX}") if path.is_file())
    if not place.exists():
        raise CallproofError(f"there is no '{place}'")
    return [place]


def run_test(path: Path, name: str, options: Options) -> Outcome:
    """Compile the file for one of its tests and run it."""
    from callproof import driver
    from callproof.run import run

    with tempfile.TemporaryDirectory(prefix="callproof-") as folder:
        executable = Path(folder) / "test"
        driver.build([path], executable, "exe", replace(options, sox_test=name))
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            result = run(
                executable, [], stdout=output.fileno(), stderr=errors.fileno(), name=str(path)
            )
            output.seek(0)
            errors.seek(0)
            shown = [stream.read().decode("utf-8", "replace") for stream in (output, errors)]
    return Outcome(path, name, STATUSES.get(result.exit_status, ERROR), *shown)


def run_file(path: Path, options: Options, report: Callable[[Outcome], None]) -> list[Outcome]:
    """All tests of a file, told one by one."""
    try:
        tests = load(path).script.tests
    except CallproofError as error:
        lines = [line.decode("latin-1") for line in reference_errors(error.diagnostics)]
        errors = "\n".join([*lines, f"Compile error in {path}"]) + "\n"
        outcomes = [Outcome(path, "", ERROR, errors=errors)]
        report(outcomes[0])
        return outcomes
    outcomes = []
    for test in tests:
        outcomes.append(run_test(path, test.name, options))
        report(outcomes[-1])
    return outcomes


def show(outcome: Outcome) -> None:
    """As the reference prints it."""
    sys.stderr.write(outcome.errors)
    sys.stderr.flush()
    if outcome.name:
        sys.stdout.write(f"{outcome.output}{outcome.title:<{WIDTH}}[ {outcome.status}]\n")
        sys.stdout.flush()


def summary(outcomes: list[Outcome]) -> str:
    total = len(outcomes)
    good = sum(outcome.status == OK for outcome in outcomes)
    share = 100 * good // total
    return f"{good} of {total} ({share}%) tests successful, 0 (0%) test skipped."


def junit(outcomes: list[Outcome]) -> str:
    """The outcomes in the XML that build servers read."""
    bad = {status: sum(o.status == status for o in outcomes) for status in (FAIL, ERROR)}
    suite = ElementTree.Element(
        "testsuite",
        name="sox",
        tests=str(len(outcomes)),
        failures=str(bad[FAIL]),
        errors=str(bad[ERROR]),
    )
    for outcome in outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname=outcome.file.stem, name=outcome.name or "(compile)"
        )
        if outcome.status != OK:
            kind = "failure" if outcome.status == FAIL else "error"
            detail = ElementTree.SubElement(case, kind, message=outcome.errors.partition("\n")[0])
            detail.text = printable(outcome.errors)
        if outcome.output:
            ElementTree.SubElement(case, "system-out").text = printable(outcome.output)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(
        suite, encoding="unicode"
    )


def printable(text: str) -> str:
    """Without the characters that XML has no way to write."""
    return "".join(c if c in "\t\n\r" or c >= " " else "\ufffd" for c in text)


def run_suite(
    place: Path, options: Options, report: Callable[[Outcome], None]
) -> tuple[list[Path], list[Outcome]]:
    """All files of a place; the files, and what came of their tests."""
    files = files_of(place)
    return files, [outcome for path in files for outcome in run_file(path, options, report)]
