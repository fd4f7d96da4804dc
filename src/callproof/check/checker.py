"""The checker as a library: bytes or a file in, typed findings out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from callproof.check.finding import SEVERITIES, Finding
from callproof.check.load import load_images, raw_image
from callproof.check.profiles import profile_named
from callproof.check.program import Progress, Report, check_image
from callproof.check.rules import RULES
from callproof.source import CallproofError


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """`abi`: a profile (see `profiles.py`); `rules`: only these (empty: all that are not opt-in);
    `raw`: the bytes are plain code at `base`; `listings`: the code of functions with
    findings is kept for a report."""

    abi: str = "linux"
    rules: frozenset[str] = frozenset()
    raw: bool = False
    base: int = 0
    listings: bool = False

    def __post_init__(self) -> None:
        profile_named(self.abi)
        for name in self.rules:
            if name not in RULES:
                raise CallproofError(f"there is no rule {name}; there is {', '.join(RULES)}")


@dataclass(slots=True)
class Result:
    """One file: a report for each image in it, and what was wrong with some members."""

    name: str
    reports: list[Report] = field(default_factory=list)
    problems: list[CallproofError] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def findings(self) -> list[Finding]:
        return [finding for report in self.reports for finding in report.findings]

    def at_least(self, severity: str) -> list[Finding]:
        """The findings of that severity or a graver one."""
        level = SEVERITIES.index(severity)
        return [f for f in self.findings if SEVERITIES.index(f.severity) >= level]


def check_bytes(
    data: bytes,
    name: str,
    options: CheckOptions | None = None,
    progress: Progress | None = None,
) -> Result:
    """Check what a file holds.  Raises `CallproofError` if nothing in it can be checked."""
    options = options or CheckOptions()
    start = time.perf_counter()
    result = Result(name)
    if options.raw:
        images = [raw_image(data, name, options.base)]
    else:
        images, result.problems = load_images(data, name)
    profile = profile_named(options.abi)
    for image in images:
        report = check_image(
            image, profile, options.rules, listings=options.listings, progress=progress
        )
        result.reports.append(report)
    result.seconds = time.perf_counter() - start
    return result


def check_file(
    path: Path | str, options: CheckOptions | None = None, progress: Progress | None = None
) -> Result:
    """Check a file.  Raises `CallproofError` if it cannot be read or checked."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CallproofError(f"cannot read {path}: {error.strerror or error}") from error
    return check_bytes(data, str(path), options, progress)
