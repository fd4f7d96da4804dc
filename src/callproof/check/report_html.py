"""Reports as one HTML page that needs nothing from outside.

Each function with findings is shown as its code, with a lifeline for each register that
matters.  The page is complete without its script, which only filters; the filter is kept
in the address (`#rule=CS1&function=name&severity=error`), so that a view can be linked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from callproof import __version__
from callproof.check.checker import Result
from callproof.check.finding import SEVERITIES, Finding
from callproof.check.listing import HOLDS, MARKS, Cell, Line, Listing
from callproof.check.report import summary
from callproof.check.rules import RULES

SIGNS = {"w": "●", "r": "○", "b": "◉", "c": "✕", "": ""}
CLASSES = {"e": "entry", "v": "own", "x": "left", "?": "lost"}


def as_html(results: Sequence[Result]) -> str:
    """The whole page.  The results must come from a check with `listings`."""
    style, script = (
        (files("callproof.check") / name).read_text("utf-8") for name in ("report.css", "report.js")
    )
    found = [finding for result in results for finding in result.findings]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>Callproof: {len(found)} findings</title>",
        f"<style>{style}</style></head><body>",
        "<header><h1>Broken calls</h1>",
        f"<p>{escape(summary(results))}</p>",
        *_filters(found),
        "</header><main>",
    ]
    for result in results:
        parts += _result(result)
    parts += [
        '<p id="nothing" hidden>No finding fits the filter.</p>',
        f"</main><footer>callproof {escape(__version__)}</footer>",
        f"<script>{script}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _filters(found: list[Finding]) -> Iterator[str]:
    counts = Counter(finding.rule for finding in found)
    yield '<form id="filter">'
    yield '<label>Function <input name="function" type="search" placeholder="part of a name">'
    yield '</label><label>Severity <select name="severity"><option value="">any</option>'
    for severity in reversed(SEVERITIES):
        number = sum(finding.severity == severity for finding in found)
        yield f'<option value="{severity}">{severity} ({number})</option>'
    yield "</select></label><fieldset><legend>Rules</legend>"
    for rule in RULES.values():
        if counts[rule.name]:
            yield (
                f'<label title="{escape(rule.title)}"><input type="checkbox" name="rule" '
                f'value="{rule.name}" checked>{rule.name} '
                f"<small>{counts[rule.name]}</small></label>"
            )
    yield '</fieldset><span id="shown" role="status"></span></form>'
    yield '<p class="legend">'
    yield "; ".join(
        f'<span class="life {CLASSES[key]}"></span> {escape(text)}' for key, text in HOLDS.items()
    )
    yield "; " + "; ".join(f"<b>{SIGNS[key]}</b> {escape(text)}" for key, text in MARKS.items())
    yield "</p>"


def _result(result: Result) -> Iterator[str]:
    for problem in result.problems:
        yield f'<p class="problem">{escape(str(problem))}</p>'
    for report in result.reports:
        if report.exempt:
            name, why = escape(report.name), escape(report.exempt)
            yield f'<p class="problem">{name}: exempt: {why} code has its own convention</p>'
        for note in report.notes:
            yield f'<p class="problem">{escape(report.name)}: {escape(note)}</p>'
        kept = {id(finding) for finding in report.findings}
        for listing in report.listings:
            findings = [finding for finding in listing.findings if id(finding) in kept]
            if findings:
                yield from _function(report.name, listing, findings)
        if report.unexplored:
            yield f"<details><summary>{escape(report.name)}: {len(report.unexplored)} functions "
            yield "unexplored in part</summary><ul>"
            for function, why in report.unexplored.items():
                yield f"<li><code>{escape(function)}</code>: {escape(why)}</li>"
            yield "</ul></details>"


def _function(file: str, listing: Listing, findings: list[Finding]) -> Iterator[str]:
    yield f'<section class="function" data-function="{escape(listing.function)}">'
    yield f"<h2><code>{escape(listing.function)}</code> <small>{escape(file)}</small></h2>"
    for finding in findings:
        yield from _finding(finding)
    yield from _code(listing, findings)
    yield "</section>"


def _finding(finding: Finding) -> Iterator[str]:
    yield (
        f'<article class="finding {finding.severity}" data-rule="{finding.rule}" '
        f'data-severity="{finding.severity}" data-function="{escape(finding.function)}">'
    )
    yield f"<h3><b>{finding.rule}</b> {finding.severity}: {escape(finding.message)}</h3>"
    yield f'<p><code>{escape(finding.place)}</code>: {escape(finding.clause)}</p><ol class="path">'
    for step in finding.steps:
        yield (
            f'<li><code class="address">{step.address:#x}</code> <code>{escape(step.text)}</code> '
            f"<i>{escape(step.comment)}</i></li>"
        )
    yield "</ol>"
    if finding.assumption:
        yield f"<p>Assumed: {escape(finding.assumption)}.</p>"
    yield f"<p>Remedy: {escape(finding.remedy)}.</p></article>"


def _code(listing: Listing, findings: list[Finding]) -> Iterator[str]:
    """The table: a row for each instruction, a column for each register."""
    comments: dict[int, list[str]] = {}
    for finding in findings:
        for step in finding.steps:
            text = f"{finding.rule}: {step.comment}"
            if step.comment and text not in comments.setdefault(step.address, []):
                comments[step.address].append(text)
    bad = {finding.address for finding in findings}
    yield '<details class="code" open><summary>Code and registers</summary><table><thead><tr>'
    yield "<th>address</th><th>instruction</th>"
    yield "".join(f'<th class="register">{escape(name)}</th>' for name in listing.registers)
    yield "<th></th></tr></thead><tbody>"
    for line in listing.lines:
        if line.gap:
            yield f'<tr class="gap"><td colspan="{len(listing.registers) + 3}">…</td></tr>'
        yield _row(line, listing, comments.get(line.address, []), line.address in bad)
    yield "</tbody></table></details>"


def _row(line: Line, listing: Listing, comments: list[str], bad: bool) -> str:
    cells = "".join(
        _cell(cell, name) for cell, name in zip(line.cells, listing.registers, strict=True)
    )
    kind = ' class="bad"' if bad else ' class="step"' if comments else ""
    return (
        f'<tr{kind}><td class="address">{line.address:#x}</td>'
        f'<td class="text">{escape(line.text)}</td>{cells}'
        f'<td class="comment">{escape("; ".join(comments))}</td></tr>'
    )


def _cell(cell: Cell, register: str) -> str:
    title = f"{register}: holds {HOLDS[cell.holds]}"
    if cell.mark:
        title += f"; {MARKS[cell.mark]} here"
    mark = f" mark-{cell.mark}" if cell.mark else ""
    return (
        f'<td class="life {CLASSES[cell.holds]}{mark}" title="{escape(title)}">'
        f"<span>{SIGNS[cell.mark]}</span></td>"
    )
