"""A whole image: its functions, callees first, and the findings in them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from callproof.check.conventions import SAVED_LIST, Profile
from callproof.check.evidence import Evidence
from callproof.check.finding import Finding, register_name
from callproof.check.flow import Event, Flow
from callproof.check.functions import Code, Function, find_functions
from callproof.check.image import Image
from callproof.check.listing import Listing, make_listing
from callproof.check.quick import Quick
from callproof.check.quick_state import outline_of
from callproof.check.rules import RULES
from callproof.check.rules.base import Rule
from callproof.check.scan import look
from callproof.check.summaries import Summary
from callproof.components import components as graph_components
from callproof.source import CallproofError

Progress = Callable[[int, int], None]
LEAST = 300  # instructions; fewer in a region are not worth a quick look
MOST_ROUNDS = 12
MOST_KEPT = 300  # functions whose flows are kept while their group settles
FRAME_BITS = frozenset(SAVED_LIST) - {29}  # saving X29 alone says little: so do most


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
    listings: list[Listing] = field(default_factory=list)  # only if asked for
    notes: list[str] = field(default_factory=list)  # what to know about this report


def edges_of(code: Code, members: Iterable[int]) -> dict[int, list[int]]:
    """The functions that each of some functions calls or branches to."""
    edges: dict[int, list[int]] = {start: [] for start in members}
    for places in (code.calls, code.jumps):
        for start in edges:
            function = code.functions[start]
            first = bisect_left(places, (start, 0))
            last = bisect_left(places, (function.end, 0))
            for _, target in places[first:last]:
                if target in code.functions:
                    if target != start or places is code.calls:
                        edges[start].append(target)
                elif not start <= target < function.end:
                    inside = code.containing(target)  # a shared tail or the like
                    if inside is not None:
                        edges[start].append(inside.start)
    return edges


def components(code: Code) -> list[tuple[list[int], bool]]:
    """Groups of functions that call each other, callees first, and whether they do recurse."""
    return graph_components(code.starts, edges_of(code, code.functions))


def rules_by_kind(chosen: frozenset[str]) -> dict[str, list[Rule]]:
    """The rules that look at an event; those that are only run if asked for, if they are."""
    table: dict[str, list[Rule]] = {}
    for rule in RULES.values():
        if (chosen and rule.name not in chosen) or (not chosen and rule.opt_in):
            continue
        for kind in rule.kinds:
            table.setdefault(kind, []).append(rule)
    return table


def check_image(
    image: Image,
    profile: Profile,
    chosen: frozenset[str] = frozenset(),
    *,
    listings: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Find everything in an image that breaks the profile's convention.

    `listings`: with the code of the functions that have findings; `progress` is told how
    many functions are done, of how many.
    """
    if image.machine == "x86_64":
        from callproof.check import x64

        if profile.name != "linux":
            raise CallproofError(f"{image.name}: x86-64 code is checked with --abi linux only")
        return x64.check_image(image, chosen, listings=listings, progress=progress)
    report = Report(image.name)
    report.code_bytes = sum(len(r.data) for r in image.regions if r.executable)
    if image.language or profile.exempt:
        report.exempt = image.language or profile.name
        return report
    code = find_functions(image)
    report.functions = len(code.functions)
    rules = rules_by_kind(chosen)
    groups = components(code)
    summaries = Summaries(code, profile, groups)
    opt_in = any(RULES[name].opt_in for name in chosen)
    quick = None
    if code.functions and not opt_in and profile.is_standard and _is_worth(image):
        quick = Quick(code, profile)
    found: Found = []
    done = 0
    for group, recursive in groups:
        done += len(group)
        if progress is not None:
            progress(done, len(code.functions))
        if quick is not None:
            plain = quick.are_plain(group) if recursive else quick.is_plain(group[0])
            if plain:
                summaries.postpone(group)
                report.instructions += sum(quick.outlines[start].instructions for start in group)
                continue
        flows = summaries.settle(group) if recursive else {}
        for start in group:
            flow = flows.get(start) or run_flow(code, start, summaries, profile)
            look(flow)
            summaries[start] = flow.summary
            _collect(report, found, flow, rules, listings)
        if quick is not None:
            for start in group:
                quick.outlines[start] = outline_of(code.functions[start], summaries[start])
        code.made.clear()
    seen: set[tuple[str, int, tuple[str, ...]]] = set()
    for function, event, own_frame, finding in found:
        if event.root_only and not _matters(function, event, own_frame):
            continue
        key = (finding.rule, finding.address, finding.registers)
        if key not in seen:
            seen.add(key)
            report.findings.append(finding)
    report.findings.sort(key=lambda f: (f.address, f.rule, f.registers))
    kept = {id(finding) for finding in report.findings}
    for listing in report.listings:
        listing.findings = [finding for finding in listing.findings if id(finding) in kept]
    report.listings = [listing for listing in report.listings if listing.findings]
    return report


def _is_worth(image: Image) -> bool:
    """Whether the quick look saves more than cutting up the code costs: each region costs."""
    sizes = [len(region.words) for region in image.regions if region.executable]
    return sum(sizes) >= LEAST * (len(sizes) + 5)


def run_flow(code: Code, start: int, summaries: dict[int, Summary], profile: Profile) -> Flow:
    """The full flow over a function."""
    flow = Flow(code, code.functions[start], summaries, profile)
    flow.run()
    return flow


class Summaries(dict[int, Summary]):
    """The summaries of functions; those of the ones that the quick look has passed are made
    when somebody asks for them."""

    def __init__(self, code: Code, profile: Profile, groups: list[tuple[list[int], bool]]) -> None:
        super().__init__()
        self.code = code
        self.profile = profile
        self.groups = groups
        self.numbers = {start: n for n, (group, _) in enumerate(groups) for start in group}
        self.postponed: set[int] = set()

    def postpone(self, group: list[int]) -> None:
        self.postponed.update(group)

    def get(self, start: int, default: object = None) -> Summary | None:  # type: ignore[override]
        if start in self.postponed:
            self.make(start)
        return super().get(start)

    def __contains__(self, start: object) -> bool:
        return start in self.postponed or super().__contains__(start)

    def make(self, start: int) -> None:
        """Run the full flow over a function and, before, over all that it calls."""
        wanted = {self.numbers[start]}
        open_ = [start]
        while open_:
            group = self.groups[self.numbers[open_.pop()]][0]
            self.postponed.difference_update(group)
            for targets in edges_of(self.code, group).values():
                for target in targets:
                    if target in self.postponed:
                        self.postponed.discard(target)
                        wanted.add(self.numbers[target])
                        open_.append(target)
        for number in sorted(wanted):
            group, recursive = self.groups[number]
            flows = self.settle(group) if recursive else {}
            for member in group:
                flow = flows.get(member) or run_flow(self.code, member, self, self.profile)
                self[member] = flow.summary

    def settle(self, group: list[int]) -> dict[int, Flow]:
        """Summaries of functions that call each other: from nothing upwards until they agree.

        If they do not within some rounds, calls among them are by the convention only.  Gives
        the last flows, unless that are too many to keep.
        """
        members = set(group)
        callers: dict[int, set[int]] = {start: set() for start in group}
        for start, targets in edges_of(self.code, members).items():
            for target in targets:
                if target in members:
                    callers[target].add(start)
        for start in group:
            self[start] = Summary()
        flows: dict[int, Flow] = {}
        dirty = members
        for _ in range(MOST_ROUNDS):
            following: set[int] = set()
            for start in group:
                if start not in dirty:
                    continue
                flow = run_flow(self.code, start, self, self.profile)
                if len(group) <= MOST_KEPT:
                    flows[start] = flow
                if self[start].facts() != flow.summary.facts():
                    following |= callers[start]
                self[start] = flow.summary
            if not following:
                return flows
            dirty = following
        for start in group:
            del self[start]
        return {}


Found = list[tuple[Function, Event, bool, Finding]]


def _collect(
    report: Report, found: Found, flow: Flow, rules: dict[str, list[Rule]], listings: bool
) -> None:
    """Findings of one function, as long as its flow is there to give the evidence."""
    function = flow.function
    report.instructions += flow.instructions
    if flow.unexplored:
        place, why = next(iter(flow.unexplored.items()))
        report.unexplored[function.name] = f"{flow.code.image.place(place)}: {why}"
    own_frame = not function.is_part and any(bit in FRAME_BITS for bit in flow.saves)
    mine: list[Finding] = []
    for event in list(flow.events.values()):
        for rule in rules.get(event.kind, ()):
            if rule.takes(event):
                mine.append(_finding(flow, rule, event))
                found.append((function, event, own_frame, mine[-1]))
    if listings and mine:
        report.listings.append(make_listing(flow, mine))


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
    evidence = Evidence(flow)
    severity = event.severity
    if (
        event.kind in ("read-after-call", "argument")
        and severity == "error"
        and not evidence.is_certain(event.address, event.bit)
    ):
        severity = "warning"
    message, steps = rule.describe(evidence, event)
    inside = flow.code.containing(event.address) or function
    return Finding(
        rule.name,
        severity,
        image.name,
        inside.name,
        event.address,
        image.place(event.address),
        message,
        (register_name(event.bit),) if event.bit >= 0 else (),
        steps,
        rule.clause,
        rule.remedy,
        rule.assumption if severity != "error" else "",
    )
