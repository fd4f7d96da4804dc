"""An assertion for tests: a library keeps to the calling convention."""

from __future__ import annotations

from pathlib import Path

from callproof.check.checker import CheckOptions, Result, check_file
from callproof.check.filters import Filter, read_allowed
from callproof.check.finding import SEVERITIES
from callproof.check.report import text
from callproof.source import CallproofError


def assert_calls_ok(
    path: Path | str,
    *,
    abi: str = "linux",
    allow: Path | str | None = None,
    fail_on: str = "error",
    rules: str = "",
) -> Result:
    """Fails with the report if the file has findings of severity `fail_on` or a graver one.

    `abi`, `allow` and `rules` are those of `callproof check`.  Gives the result, less what
    `allow` hides.  Raises `CallproofError` if the file cannot be checked at all.
    """
    if fail_on not in SEVERITIES:
        raise CallproofError(f"fail_on={fail_on!r}: there is {', '.join(SEVERITIES)}")
    options = CheckOptions(abi, frozenset(rules.replace(",", " ").split()))
    result = check_file(path, options)
    if allow is not None:
        Filter(allowed=read_allowed(Path(allow))).apply([result])
    found = result.at_least(fail_on)
    if found:
        raise AssertionError(f"{path}: {len(found)} broken calls\n{text([result])}")
    return result
