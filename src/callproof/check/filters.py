"""What is not to be shown: findings of a baseline, and those that a file allows.

A baseline is the JSON of an earlier run.  A suppression file is TOML: under `[allow]` a
symbol (or "*") and the rules that are allowed in it, all registers or the named ones:

    [allow]
    my_context_switch = ["CS1", "AR2(x9)"]
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from callproof.check.checker import Result
from callproof.check.finding import Finding
from callproof.check.rules import RULES
from callproof.source import CallproofError

Key = tuple[str, str, str, str]
_ITEM = re.compile(r"([A-Z]{2}\d)(?:\(([\w.\[\], ]+)\))?")


@dataclass(slots=True)
class Filter:
    """`known` from a baseline; `allowed`: (symbol pattern, rule, registers; none: all)."""

    known: set[Key] = field(default_factory=set)
    allowed: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)

    def hides(self, finding: Finding) -> bool:
        if key_of(finding.file, finding.function, finding.rule, finding.registers) in self.known:
            return True
        return any(
            rule == finding.rule
            and fnmatchcase(finding.function, symbol)
            and (not registers or registers.intersection(finding.registers))
            for symbol, rule, registers in self.allowed
        )

    def apply(self, results: Iterable[Result]) -> int:
        """Take hidden findings out of results; how many they were."""
        hidden = 0
        for result in results:
            for report in result.reports:
                shown = [finding for finding in report.findings if not self.hides(finding)]
                hidden += len(report.findings) - len(shown)
                report.findings = shown
        return hidden


def key_of(file: str, function: str, rule: str, registers: Iterable[str]) -> Key:
    """What stays the same when code around moves: no addresses, no folders."""
    return Path(file).name, function, rule, ",".join(registers)


def read_baseline(path: Path) -> set[Key]:
    """The findings of an earlier `--format json`.  Raises `CallproofError` if it is none."""
    try:
        document = json.loads(path.read_text())
        return {
            key_of(f["file"], f["function"], f["rule"], f["registers"])
            for file in document["files"]
            for image in file["images"]
            for f in image["findings"]
        }
    except OSError as error:
        raise CallproofError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CallproofError(f"{path}: not a report of `check --format json`: {error!r}") from error


def read_allowed(path: Path) -> list[tuple[str, str, frozenset[str]]]:
    """A suppression file.  Raises `CallproofError` with what is wrong in it."""
    try:
        table = tomllib.loads(path.read_text()).get("allow", {})
    except OSError as error:
        raise CallproofError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CallproofError(f"{path}: {error}") from error
    if not isinstance(table, dict):
        raise CallproofError(f"{path}: [allow] must be a table of symbols")
    allowed = []
    for symbol, items in table.items():
        for item in items if isinstance(items, list) else [items]:
            match = _ITEM.fullmatch(item) if isinstance(item, str) else None
            if match is None or match[1] not in RULES:
                raise CallproofError(f"{path}: {symbol}: {item!r} is no rule like CS1 or CS1(x27)")
            registers = frozenset(r.strip() for r in (match[2] or "").split(",") if r.strip())
            allowed.append((symbol, match[1], registers))
    return allowed
