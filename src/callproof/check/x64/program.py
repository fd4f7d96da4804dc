"""A whole x86-64 image: its functions one by one, and the findings in them."""

from __future__ import annotations

from collections.abc import Callable

from callproof.check.image import Image
from callproof.check.program import Report
from callproof.check.x64.code import Code, Function, find_functions, make_blocks
from callproof.check.x64.findings import finding_of
from callproof.check.x64.flow import Flow
from callproof.check.x64.listing import make_listing

EXPERIMENTAL = "x86-64 code of other compilers ({} of {} functions): checking it is experimental"


def check_image(
    image: Image,
    chosen: frozenset[str] = frozenset(),
    *,
    listings: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Find what breaks the System V convention; `chosen`: only these rules (empty: all)."""
    report = Report(image.name)
    report.code_bytes = sum(len(r.data) for r in image.regions if r.executable)
    code = find_functions(image)
    report.functions = len(code.functions)
    others = sum(function.record is None for function in code.functions.values())
    for done, function in enumerate(code.functions.values(), 1):
        flow = explore(code, function)
        if function.problem is not None:
            place, why = function.problem
            _unexplored(report, image, function, place, why)
        if flow is not None:
            report.instructions += len(function.instructions)
            for place, why in list(flow.unexplored.items())[:1]:
                _unexplored(report, image, function, place, why)
            findings = [finding_of(flow, event) for event in list(flow.events.values())]
            findings = [one for one in findings if not chosen or one.rule in chosen]
            report.findings += findings
            if listings and findings:
                report.listings.append(make_listing(flow, findings))
        # Of a large file only what is at hand is kept.
        function.instructions, function.blocks, function.predecessors = {}, {}, {}
        if progress is not None:
            progress(done, len(code.functions))
    report.findings.sort(key=lambda f: (f.address, f.rule, f.registers))
    report.notes += image.notes
    if others or not code.functions:
        report.notes.append(EXPERIMENTAL.format(others, len(code.functions)))
    return report


def explore(code: Code, function: Function) -> Flow | None:
    """A function's flow, gone through; None if it could not be decoded (`problem` says why)."""
    make_blocks(code, function)
    if not function.instructions:
        return None
    flow = Flow(code, function)
    flow.run()
    return flow


def _unexplored(report: Report, image: Image, function: Function, place: int, why: str) -> None:
    """Functions of one name (local ones) are all listed."""
    name = function.name
    if name in report.unexplored:
        name = f"{name} at {image.place(function.start)}"
    report.unexplored[name] = f"{image.place(place)}: {why}"
