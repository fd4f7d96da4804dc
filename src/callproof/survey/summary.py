"""What a survey found, as text and as plots."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from callproof.check.finding import SEVERITIES
from callproof.survey.optional import optional
from callproof.survey.store import read_table

MOST_ROWS = 20
FILE_COLUMNS = (
    "package file status functions code_bytes errors warnings notes unexplored seconds".split()
)
COLOURS = {"error": "#c4321f", "warning": "#e0a100", "note": "#3465a4"}


@dataclass(slots=True)
class Totals:
    """Figures of a package, or of all."""

    files: int = 0
    functions: int = 0
    code_bytes: int = 0
    errors: int = 0
    warnings: int = 0
    notes: int = 0
    unexplored: int = 0
    seconds: float = 0.0

    def add(self, row: dict[str, Any]) -> None:
        self.files += 1
        for name in ("functions", "code_bytes", "errors", "warnings", "notes", "unexplored"):
            setattr(self, name, getattr(self, name) + row[name])
        self.seconds += row["seconds"]

    @property
    def rate(self) -> float:
        """Errors in 10 000 functions."""
        return 10_000 * self.errors / self.functions if self.functions else 0.0


@dataclass(slots=True)
class Summary:
    total: Totals = field(default_factory=Totals)
    packages: dict[str, Totals] = field(default_factory=lambda: defaultdict(Totals))
    statuses: Counter[str] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)  # (rule, severity)


def summarise(out: Path) -> Summary:
    """Read the tables once.  Raises `CallproofError` if they are not there."""
    summary = Summary()
    for row in read_table(out, "files", FILE_COLUMNS):
        summary.total.add(row)
        summary.packages[row["package"]].add(row)
        summary.statuses[row["status"]] += 1
    for row in read_table(out, "findings", ["rule", "severity"]):
        summary.rules[row["rule"], row["severity"]] += 1
    return summary


def show(summary: Summary, console: Console) -> None:
    """The figures as tables."""
    total = summary.total
    statuses = ", ".join(f"{count} {name}" for name, count in sorted(summary.statuses.items()))
    console.print(
        f"{len(summary.packages)} packages, {total.files} files ({statuses}), "
        f"{total.functions} functions, {total.code_bytes / 1e6:.1f} MB of code "
        f"in {total.seconds:.0f} s of checking",
        highlight=False,
    )
    table = Table("rule", *reversed(SEVERITIES), title="Findings")
    for rule in sorted({rule for rule, _ in summary.rules}):
        table.add_row(rule, *(str(summary.rules[rule, s]) for s in reversed(SEVERITIES)))
    console.print(table)
    headings = "files functions MB errors per-10000 warnings unexplored".split()
    table = Table("package", *headings, title="Packages with the most errors")
    ordered = sorted(summary.packages.items(), key=lambda item: (-item[1].errors, item[0]))
    for name, each in ordered[:MOST_ROWS]:
        figures = (each.files, each.functions, f"{each.code_bytes / 1e6:.1f}", each.errors)
        rest = (f"{each.rate:.1f}", each.warnings, each.unexplored)
        table.add_row(Path(name).name, *map(str, figures + rest))
    console.print(table)


def plot(summary: Summary, folder: Path) -> list[Path]:
    """Four plots as SVG; their names."""
    matplotlib = optional("matplotlib", "plots")
    matplotlib.use("Agg")
    pyplot = optional("matplotlib.pyplot", "plots")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in _PLOTS.items():
        figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
        draw(summary, axes)
        written.append(folder / f"{name}.svg")
        figure.savefig(written[-1])
        pyplot.close(figure)
    return written


def _by_rule(summary: Summary, axes: Any) -> None:
    rules = sorted({rule for rule, _ in summary.rules})
    bottom = [0] * len(rules)
    for severity in reversed(SEVERITIES):
        counts = [summary.rules[rule, severity] for rule in rules]
        axes.bar(rules, counts, bottom=bottom, label=severity, color=COLOURS[severity])
        bottom = [low + count for low, count in zip(bottom, counts, strict=True)]
    axes.set_title("Findings by rule")
    axes.legend()


def _by_package(summary: Summary, axes: Any) -> None:
    worst = sorted(summary.packages.items(), key=lambda item: item[1].rate)[-MOST_ROWS:]
    axes.barh([Path(name).name[:40] for name, _ in worst], [each.rate for _, each in worst])
    axes.set_title("Errors in 10 000 functions, by package")


def _unexplored(summary: Summary, axes: Any) -> None:
    shares = [
        100 * each.unexplored / each.functions
        for each in summary.packages.values()
        if each.functions
    ]
    axes.hist(shares, bins=20)
    axes.set_title("Packages by the share of functions not explored wholly")
    axes.set_xlabel("%")


def _speed(summary: Summary, axes: Any) -> None:
    each = [totals for totals in summary.packages.values() if totals.code_bytes]
    axes.scatter([t.code_bytes / 1e6 for t in each], [t.seconds for t in each])
    axes.set_title("Seconds of checking by MB of code")
    axes.set_xlabel("MB")
    axes.set_ylabel("s")


_PLOTS = {
    "rules": _by_rule,
    "packages": _by_package,
    "unexplored": _unexplored,
    "speed": _speed,
}
