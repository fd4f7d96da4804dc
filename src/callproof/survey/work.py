"""One path of a survey: its code is checked and becomes rows."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from callproof.check import CheckOptions, Result, check_bytes
from callproof.check.finding import Finding
from callproof.source import CallproofError
from callproof.survey.containers import Found, code_in

REMINDER = 0.1  # seconds after which a limit that has gone by is told again


@dataclass(slots=True)
class FileRow:
    """A file with code.  `status`: checked, exempt, unusable, crashed, too slow; `detail`
    says why.  Sizes are in bytes; `unexplored` counts functions."""

    package: str
    file: str
    status: str = "checked"
    detail: str = ""
    sha256: str = ""
    size: int = 0
    code_bytes: int = 0
    functions: int = 0
    instructions: int = 0
    errors: int = 0
    warnings: int = 0
    notes: int = 0
    unexplored: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class FindingRow:
    """`path`: the steps as text, one a line; `registers`: names with commas between."""

    package: str
    file: str
    image: str
    function: str
    rule: str
    severity: str
    registers: str
    address: int
    place: str
    message: str
    path: str
    assumption: str


@dataclass(slots=True)
class Part:
    """All rows of one path."""

    files: list[FileRow] = field(default_factory=list)
    findings: list[FindingRow] = field(default_factory=list)

    def as_dict(self) -> dict[str, list[dict[str, object]]]:
        return {
            "files": [asdict(row) for row in self.files],
            "findings": [asdict(row) for row in self.findings],
        }


class TooSlow(Exception):
    """A file has taken all the time that it may have."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises `TooSlow` inside after that time; 0 means no limit.

    That needs the process's main thread: a Dask worker's other threads have no limit.
    """
    if seconds <= 0 or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_signal: int, _frame: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    # Again and again: what is raised while Python finalises an object goes nowhere.
    signal.setitimer(signal.ITIMER_REAL, seconds, REMINDER)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_path(path: str, package: str, options: CheckOptions, limit: float) -> Part:
    """Check all code in a file; nothing in it makes this fail."""
    part = Part()
    for found in code_in(Path(path)):
        if found.problem:
            part.files.append(FileRow(package, found.name, "unusable", found.problem))
        else:
            _check(part, package, found, options, limit)
    return part


def _check(part: Part, package: str, found: Found, options: CheckOptions, limit: float) -> None:
    row = FileRow(package, found.name, size=len(found.data))
    row.sha256 = hashlib.sha256(found.data).hexdigest()
    part.files.append(row)
    start = time.perf_counter()
    try:
        with limited(limit):
            result = check_bytes(found.data, found.name or Path(package).name, options)
    except CallproofError as error:
        row.status, row.detail = "unusable", str(error)
    except TooSlow:
        row.status, row.detail = "too slow", f"more than {limit:g} seconds"
    except Exception as error:  # one file in a hundred thousand is not to end the survey
        row.status, row.detail = "crashed", f"{type(error).__name__}: {error}"
    else:
        _figures(row, result)
        part.findings += [_finding(package, found.name, f) for f in result.findings]
    row.seconds = round(time.perf_counter() - start, 3)


def _figures(row: FileRow, result: Result) -> None:
    for report in result.reports:
        row.code_bytes += report.code_bytes
        row.functions += report.functions
        row.instructions += report.instructions
        row.unexplored += len(report.unexplored)
        if report.exempt:
            row.status, row.detail = "exempt", report.exempt
    for finding in result.findings:
        match finding.severity:
            case "error":
                row.errors += 1
            case "warning":
                row.warnings += 1
            case _:
                row.notes += 1


def _finding(package: str, file: str, finding: Finding) -> FindingRow:
    path = "\n".join(f"{s.address:#x}  {s.text}  // {s.comment}" for s in finding.steps)
    return FindingRow(
        package,
        file,
        finding.file,
        finding.function,
        finding.rule,
        finding.severity,
        ",".join(finding.registers),
        # Parquet and SQLite have signed numbers of 64 bits.
        finding.address - (finding.address >> 63 << 64),
        finding.place,
        finding.message,
        path,
        finding.assumption,
    )
