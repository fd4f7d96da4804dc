"""Reports as SARIF 2.1.0 (OASIS standard), as code-scanning services read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import quote

from callproof import __version__
from callproof.check.checker import Result
from callproof.check.finding import Finding, Step
from callproof.check.rules import RULES, explain

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_sarif(results: Sequence[Result]) -> str:
    """One run with all rules and findings; addresses are those of the image."""
    numbers = {name: index for index, name in enumerate(RULES)}
    findings = [(result, finding) for result in results for finding in result.findings]
    run = {
        "tool": {
            "driver": {
                "name": "callproof",
                "version": __version__,
                "informationUri": "https://pypi.org/project/callproof/",
                "rules": [
                    {
                        "id": rule.name,
                        "shortDescription": {"text": rule.title},
                        "fullDescription": {"text": explain(rule.name)},
                        "help": {"text": rule.remedy},
                    }
                    for rule in RULES.values()
                ],
            }
        },
        "results": [
            _result(result, finding, numbers[finding.rule]) for result, finding in findings
        ],
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": str(problem)}}
                    for result in results
                    for problem in result.problems
                ]
                + [
                    {"level": "note", "message": {"text": f"{report.name}: {note}"}}
                    for result in results
                    for report in result.reports
                    for note in report.notes
                ],
            }
        ],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=1) + "\n"


def _location(result: Result, step: Step, function: str) -> dict[str, object]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(PurePath(result.name).as_posix())},
            "address": {"absoluteAddress": step.address},
        },
        "logicalLocations": [{"name": function, "kind": "function"}],
        "message": {"text": f"{step.text}  // {step.comment}" if step.comment else step.text},
    }


def _result(result: Result, finding: Finding, number: int) -> dict[str, object]:
    here = Step(finding.address, finding.place)
    found: dict[str, object] = {
        "ruleId": finding.rule,
        "ruleIndex": number,
        "level": finding.severity,
        "message": {"text": f"{finding.function}: {finding.message}"},
        "locations": [_location(result, here, finding.function)],
    }
    if finding.steps:
        flow = [{"location": _location(result, s, finding.function)} for s in finding.steps]
        found["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    return found
