"""`callproof abi` as one HTML page without anything from outside."""

from __future__ import annotations

from html import escape

from callproof.abi.clauses import CLAUSES
from callproof.abi.report import Layout, Report
from callproof.cli import abi_svg

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #223; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border: 1px solid #bbc; padding: .25em .6em; text-align: left; vertical-align: top; }
th { background: #f0f2f6; } code, pre, .where { font-family: ui-monospace, monospace; }
.differs td { background: #fff3d6; } .hole { color: #99a; } small { color: #556; }
"""


def render(report: Report, *, explain: bool, assembly: dict[str, str], declaration: str) -> str:
    """The page; `declaration` is the text that was asked about."""
    parts = [
        "<!doctype html>",
        f'<html lang="en"><meta charset="utf-8"><title>{escape(report.name)}</title>',
        f"<style>{STYLE}</style>",
        f"<h1><code>{escape(report.name)}</code></h1>",
        f"<pre>{escape(declaration)}</pre>",
        *_table(report, explain),
        abi_svg.render(report),
    ]
    for view in report.views:
        if view.convention.name in assembly:
            parts.append(f"<h2>{escape(view.convention.title)}: the call</h2>")
            parts.append(f"<pre>{escape(assembly[view.convention.name])}</pre>")
    shown: dict[Layout, list[str]] = {}
    for view in report.views:
        for layout in view.layouts:
            shown.setdefault(layout, []).append(view.convention.name)
    for layout, names in shown.items():
        parts += _layout(layout, names if len(names) < len(report.views) else [])
    return "\n".join([*parts, "</html>"]) + "\n"


def _cells(tag: str, texts: list[str]) -> str:
    return "".join(f"<{tag}>{text}</{tag}>" for text in texts)


def _table(report: Report, explain: bool) -> list[str]:
    titles = [escape(view.convention.title) for view in report.views]
    lines = ["<table>", f"<tr>{_cells('th', ['parameter', 'type', *titles])}</tr>"]
    for index, row in enumerate(report.views[0].rows):
        cells = [escape(f"... {row.name}" if row.anonymous else row.name), escape(row.type)]
        for view in report.views:
            one = view.rows[index]
            text = f'<span class="where">{escape(one.where)}</span>'
            if explain:
                for name in one.assignment.rules:
                    clause = CLAUSES[name]
                    number = f" {name}" if name[0] in "BC6" else ""
                    text += f"<br><small>{escape(clause.source + number)}: "
                    text += f"{escape(clause.text)}</small>"
            cells.append(text)
        attribute = ' class="differs"' if row.differs else ""
        lines.append(f"<tr{attribute}>{_cells('td', cells)}</tr>")
    return [*lines, "</table>"]


def _layout(layout: Layout, names: list[str]) -> list[str]:
    where = f" ({', '.join(names)})" if names else ""
    title = f"{layout.name}: {layout.size} bytes, alignment {layout.alignment}{where}"
    lines = [f"<h2>{escape(title)}</h2>", "<table>"]
    lines.append(f"<tr>{_cells('th', ['offset', 'bytes', 'member', 'type'])}</tr>")
    for row in layout.rows:
        attribute = "" if row.name else ' class="hole"'
        type_ = f"{row.type} {row.bits}".strip()
        cells = [str(row.offset), str(row.size), escape(row.name), escape(type_)]
        lines.append(f"<tr{attribute}>{_cells('td', cells)}</tr>")
    return [*lines, "</table>"]
