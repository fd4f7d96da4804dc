"""`callproof abi` as plain text: a table, a picture of registers and stack, layouts."""

from __future__ import annotations

from collections.abc import Sequence

from callproof.abi.clauses import CLAUSES
from callproof.abi.report import Layout, Report, View

ANONYMOUS = "..."


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows with their cells aligned; the last column is not padded."""
    if not rows:
        return []
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        (
            indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def render(report: Report, *, explain: bool, assembly: dict[str, str]) -> str:
    """The whole text; `assembly` by convention's name."""
    lines = [f"{report.name}", ""]
    lines += _table(report)
    for view in report.views:
        lines += ["", f"{view.convention.title}", ""]
        lines += _picture(view)
        lines += ["", *(f"  {note}" for note in view.notes)]
        if explain:
            lines += ["", *_clauses(view)]
        if view.convention.name in assembly:
            lines += ["", *("  " + line for line in assembly[view.convention.name].splitlines())]
    lines += _layouts(report)
    return "\n".join(lines).rstrip() + "\n"


def _table(report: Report) -> list[str]:
    first = report.views[0]
    several = len(report.views) > 1
    head = ["", "parameter", "type", "size", "align"]
    rows = [[*head, *(view.convention.name for view in report.views)]]
    for index, row in enumerate(first.rows):
        mark = "*" if row.differs else ""
        types = {view.rows[index].type: None for view in report.views}
        sizes = {str(view.rows[index].size): None for view in report.views}
        alignments = {str(view.rows[index].alignment): None for view in report.views}
        name = f"{ANONYMOUS} {row.name}" if row.anonymous else row.name
        places = [view.rows[index].where for view in report.views]
        rows.append([mark, name, " / ".join(types), "/".join(sizes), "/".join(alignments), *places])
    text = columns(rows, "")
    if several and report.differs:
        text += ["", "* travels differently"]
    return text


def _picture(view: View) -> list[str]:
    used = [cell for cell in view.registers if cell.label]
    rows = [[cell.register, cell.label] for cell in used]
    text = columns(rows) if rows else ["  no argument is in a register"]
    if not view.stack:
        return text
    width = max(10, *(len(cell.label) for cell in view.stack)) + 2
    rule = "  " + " " * 8 + "+" + "-" * width + "+"
    text += ["", rule]
    for cell in reversed(view.stack):
        label = cell.label or "(padding)"
        text.append(f"  {f'sp+{cell.offset}':<8}| {label:<{width - 1}}| {cell.size} bytes")
        text.append(rule)
    return text


def _clauses(view: View) -> list[str]:
    text = []
    for row in view.rows:
        text.append(f"  {row.name}: {row.where}")
        rows = [
            [name if name[0] in "BC6" else "", CLAUSES[name].source, CLAUSES[name].text]
            for name in row.assignment.rules
        ]
        text += columns(rows, "    ")
    return text


def _layouts(report: Report) -> list[str]:
    text: list[str] = []
    shown: dict[Layout, list[str]] = {}
    for view in report.views:
        for layout in view.layouts:
            shown.setdefault(layout, []).append(view.convention.name)
    for layout, names in shown.items():
        where = "" if len(names) == len(report.views) else f"  ({', '.join(names)})"
        text += ["", f"{layout.name}: {layout.size} bytes, alignment {layout.alignment}{where}"]
        text += columns(
            [[str(r.offset), f"{r.size}", r.name or "-", r.type, r.bits] for r in layout.rows]
        )
    return text
