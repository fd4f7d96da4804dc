"""A whole image: its functions, callees first, and the findings in them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from callproof.check.calls import Summary
from callproof.check.conventions import Profile
from callproof.check.evidence import Evidence
from callproof.check.finding import Finding, register_name
from callproof.check.flow import Event, Flow
from callproof.check.functions import Code, Function, find_functions
from callproof.check.image import Image
from callproof.check.rules import RULES
from callproof.check.rules.base import Rule
from callproof.check.scan import look

FRAME_BITS = frozenset((*range(19, 29), 30, *range(40, 48)))


@dataclass(slots=True)
class Report:
    """What was found in an image, and what could not be looked at."""

    name: str
    findings: list[Finding] = field(default_factory=list)
    functions: int = 0
    instructions: int = 0
    code_bytes: int = 0
    unexplored: dict[str, str] = field(default_factory=dict)  # function -> why
    exempt: str = ""


def order(code: Code) -> list[int]:
    """Function starts, callees before callers where there is no recursion (depth first)."""
    edges: dict[int, list[int]] = {}
    for places in (code.calls, code.jumps):
        for start, function in code.functions.items():
            first = bisect_left(places, (start, 0))
            last = bisect_left(places, (function.end, 0))
            targets = edges.setdefault(start, [])
            for _, target in places[first:last]:
                if target in code.functions and target != start:
                    targets.append(target)
    done: set[int] = set()
    result: list[int] = []
    for root in code.starts:
        if root in done:
            continue
        done.add(root)
        stack: list[tuple[int, Iterator[int]]] = [(root, iter(edges[root]))]
        while stack:
            node, rest = stack[-1]
            for target in rest:
                if target not in done:
                    done.add(target)
                    stack.append((target, iter(edges[target])))
                    break
            else:
                result.append(node)
                stack.pop()
    return result


def rules_by_kind(chosen: frozenset[str]) -> dict[str, list[Rule]]:
    """The rules that look at an event; those that are only run if asked for, if they are."""
    table: dict[str, list[Rule]] = {}
    for rule in RULES.values():
        if chosen and rule.name not in chosen or not chosen and rule.opt_in:
            continue
        for kind in rule.kinds:
            table.setdefault(kind, []).append(rule)
    return table


def check_image(image: Image, profile: Profile, chosen: frozenset[str] = frozenset()) -> Report:
    """Find everything in an image that breaks the profile's convention."""
    report = Report(image.name)
    report.code_bytes = sum(len(r.data) for r in image.regions if r.executable)
    if image.language or profile.exempt:
        report.exempt = image.language or profile.name
        return report
    code = find_functions(image)
    report.functions = len(code.functions)
    rules = rules_by_kind(chosen)
    summaries: dict[int, Summary] = {}
    found: list[tuple[Function, Event, bool, Finding]] = []
    for start in order(code):
        function = code.functions[start]
        flow = Flow(code, function, summaries, profile)
        flow.run()
        look(flow)
        summaries[start] = flow.summary
        report.instructions += flow.instructions
        if flow.unexplored:
            place, why = next(iter(flow.unexplored.items()))
            report.unexplored[function.name] = f"{image.place(place)}: {why}"
        own_frame = not function.is_part and any(bit in FRAME_BITS for bit in flow.saves)
        if flow.events:
            found += [
                (function, event, own_frame, _finding(flow, rule, event))
                for event in list(flow.events.values())
                for rule in rules.get(event.kind, ())
                if rule.takes(event)
            ]
    seen: set[tuple[str, int, tuple[str, ...]]] = set()
    for function, event, own_frame, finding in found:
        if event.root_only and not _matters(function, event, own_frame):
            continue
        key = (finding.rule, finding.address, finding.registers)
        if key not in seen:
            seen.add(key)
            report.findings.append(finding)
    report.findings.sort(key=lambda f: (f.address, f.rule, f.registers))
    return report


def _matters(function: Function, event: Event, own_frame: bool) -> bool:
    """Whether who calls this function relies on the convention.

    A local function may have one of its own with its callers; one that saves registers
    follows the common one as far as they are concerned.
    """
    if function.is_part or function.signal or function.name in ("_init", "_fini"):
        return False
    if function.how == "entry" or function.name in ("_start", "__start"):
        return False
    return function.is_root or (own_frame and event.kind != "undefined")


def _finding(flow: Flow, rule: Rule, event: Event) -> Finding:
    function, image = flow.function, flow.code.image
    message, steps = rule.describe(Evidence(flow), event)
    inside = flow.code.containing(event.address) or function
    return Finding(
        rule.name,
        event.severity,
        image.name,
        inside.name,
        event.address,
        image.place(event.address),
        message,
        (register_name(event.bit),) if event.bit >= 0 else (),
        steps,
        rule.clause,
        rule.remedy,
        rule.assumption if event.severity != "error" else "",
    )
