"""Reports as text and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from callproof.check.checker import Result
from callproof.check.finding import Finding

VERSION = 1  # of the JSON


def text(results: Sequence[Result], *, show_unexplored: bool = False) -> str:
    """For people: grouped by file and function, then one line of figures."""
    lines: list[str] = []
    for result in results:
        function = ("", "")
        for finding in result.findings:
            if (finding.file, finding.function) != function:
                function = (finding.file, finding.function)
                lines += [f"{finding.file}: in {finding.function}:"]
            lines += [*_finding(finding), ""]
        for problem in result.problems:
            lines.append(str(problem))
        for report in result.reports:
            if report.exempt:
                lines.append(f"{report.name}: exempt: {report.exempt} code has its own convention")
            lines += [f"{report.name}: note: {note}" for note in report.notes]
            if show_unexplored:
                for name, why in report.unexplored.items():
                    lines.append(f"{report.name}: unexplored: {name}: {why}")
    lines.append(summary(results))
    return "\n".join(lines) + "\n"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"  {finding.place}: {finding.severity}: {finding.rule}: {finding.message}"
    width = max((len(step.text) for step in finding.steps), default=0)
    for step in finding.steps:
        comment = f"  // {step.comment}" if step.comment else ""
        yield f"      {step.address:#10x}  {step.text:<{min(width, 48)}}{comment}"
    if finding.assumption:
        yield f"    assumed: {finding.assumption}"
    yield f"    clause: {finding.clause}"
    yield f"    remedy: {finding.remedy}"


def summary(results: Sequence[Result]) -> str:
    """The last line: what was looked at, and what came of it."""
    reports = [report for result in results for report in result.reports]
    counts = dict.fromkeys(("error", "warning", "note"), 0)
    for result in results:
        for finding in result.findings:
            counts[finding.severity] += 1
    functions = sum(report.functions for report in reports)
    unexplored = sum(len(report.unexplored) for report in reports)
    found = ", ".join(
        f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items()
    )
    return (
        f"{functions} functions in {len(results)} files: {found}; {unexplored} unexplored in part"
    )


def as_json(results: Sequence[Result]) -> str:
    """One document: files, their figures and findings, and what is unexplored."""
    document = {
        "version": VERSION,
        "files": [
            {
                "name": result.name,
                "seconds": round(result.seconds, 3),
                "problems": [str(problem) for problem in result.problems],
                "images": [
                    {
                        "name": report.name,
                        "functions": report.functions,
                        "instructions": report.instructions,
                        "code_bytes": report.code_bytes,
                        "exempt": report.exempt,
                        "notes": report.notes,
                        "unexplored": report.unexplored,
                        "findings": [asdict(finding) for finding in report.findings],
                    }
                    for report in result.reports
                ],
            }
            for result in results
        ],
    }
    return json.dumps(document, indent=1) + "\n"
