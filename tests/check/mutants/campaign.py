"""The campaign: edit, confirm by running, check, count."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from callproof.check.conventions import PROFILES
from callproof.check.finding import Finding
from callproof.check.functions import Function, find_functions
from callproof.check.image import Image
from callproof.check.load_object import image_of_object
from callproof.check.program import check_image
from callproof.object.model import ObjectFile
from callproof.target.arm64 import effects as e
from callproof.target.arm64.effects import effect_of
from tests.check.mutants.corpus import objects
from tests.check.mutants.edits import Edit, edits_of
from tests.check.mutants.machine import Machine, Outcome

INPUTS, SEEDS = (1, 2, 3), (11, 12)
SHOWN = frozenset(("error", "warning"))
Key = tuple[int, int]


@dataclass(slots=True)
class Count:
    """By kind of edit: proposed, confirmed by a run, found; `missed` in words."""

    proposed: Counter[str] = field(default_factory=Counter)
    confirmed: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    by_compiler: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    unclean: list[str] = field(default_factory=list)
    functions: int = 0

    @property
    def recall(self) -> float:
        return self.found.total() / max(1, self.confirmed.total())


@dataclass(slots=True)
class _Subject:
    """A function that runs, with what it does unbroken."""

    function: Function
    words: dict[int, int]
    before: dict[Key, Outcome]
    compared: tuple[int, ...]  # parts of `seen` that rubbish does not change


def _subjects(machine: Machine, image: Image, functions: list[Function]) -> Iterator[_Subject]:
    for function in functions:
        before = {(i, s): machine.run(function.start, i, s) for i in INPUTS for s in SEEDS}
        if not all(o.returned and not o.lost and not o.misaligned for o in before.values()):
            continue
        compared = tuple(
            part
            for part in range(len(before[INPUTS[0], SEEDS[0]].seen))
            if all(before[i, SEEDS[0]].seen[part] == before[i, SEEDS[1]].seen[part] for i in INPUTS)
        )
        words = {a: image.word(a) or 0 for a in range(function.start, function.end, 4)}
        yield _Subject(function, words, before, compared)


def _part(outcome: Outcome, compared: tuple[int, ...]) -> tuple[object, ...]:
    return tuple(outcome.seen[part] for part in compared)


def _confirm(machine: Machine, subject: _Subject, edit: Edit) -> set[str] | None:
    """What a run shows to be lost (for the way 'lost'), or None if it shows nothing."""
    start, compared = subject.function.start, subject.compared
    machine.write(edit.words)
    try:
        if edit.way == "signals":
            for i in INPUTS:
                after = machine.run(start, i, SEEDS[0], signals=True)
                if _part(after, compared) != _part(subject.before[i, SEEDS[0]], compared):
                    return set()
            return None
        lost: set[str] = set()
        shown = False
        for i in INPUTS:
            first = machine.run(start, i, SEEDS[0])
            if edit.way == "lost":
                shown |= bool(first.lost) or not first.returned
                lost |= first.lost
            elif edit.way == "misaligned":
                shown |= first.misaligned
            elif edit.way == "platform":
                shown |= first.platform
            elif edit.way == "different":
                normal = subject.before[i, SEEDS[0]]
                shown |= _part(first, compared) != _part(normal, compared)
            else:
                second = machine.run(start, i, SEEDS[1])
                shown |= _part(first, compared) != _part(second, compared)
        return lost if shown else None
    finally:
        machine.write({address: subject.words[address] for address in edit.words})


def _broken(image: Image, edit: Edit) -> Image:
    """The image with the edit in it."""
    regions = []
    for region in image.regions:
        data = bytearray(region.data)
        for address, word in edit.words.items():
            if region.address <= address < region.end:
                offset = address - region.address
                data[offset : offset + 4] = word.to_bytes(4, "little")
        regions.append(type(region)(region.address, bytes(data), region.executable, region.name))
    broken = Image(
        image.name,
        regions,
        image.labels,
        image.externs,
        image.slots,
        set(image.pointers),
        image.relocated - edit.unrelocated,
        list(image.marks),
        image.frames,
        set(image.starts),
        image.entry,
        image.relocatable,
    )
    return broken.finish()


def _place_is_right(image: Image, function: Function, finding: Finding, edit: Edit) -> bool:
    """Whether the finding stands where its rule says that things go wrong."""
    effect = effect_of(image.word(finding.address) or 0)
    leaves = effect.kind in (e.RETURN, e.JUMP, e.BRANCH, e.JUMP_REGISTER)
    by_rule: dict[str, Callable[[], bool]] = {
        "CS1": lambda: leaves or effect.writes >> 31 & 1 == 1,
        "LR1": lambda: leaves,
        "SP1": lambda: effect.kind in (e.CALL, e.CALL_REGISTER) or effect.reads >> 31 & 1 == 1,
        "SP2": lambda: effect.kind == e.LOAD,
        "SP3": lambda: effect.kind == e.CALL,
        "RL1": lambda: finding.address in edit.words,
        "AR1": lambda: effect.kind in (e.CALL, e.JUMP),
        "PL1": lambda: effect.writes >> 18 & 1 == 1,
        "MV1": lambda: effect.kind == e.MOVE,
    }
    test = by_rule.get(finding.rule, lambda: bool(effect.reads))
    if edit.way == "rubbish" and image.code_at(finding.address) is not None:
        return test()  # an argument that was not set is read in the callee
    return function.start <= finding.address < function.end and test()


def _is_found(
    image: Image, function: Function, edit: Edit, lost: set[str]
) -> tuple[bool, list[Finding]]:
    profile = PROFILES["android" if edit.way == "platform" else "linux"]
    broken = _broken(image, edit)
    findings = check_image(broken, profile).findings
    registers = edit.registers or (lost | {"x30", "sp"})
    levels = SHOWN | ({"note"} if edit.way == "different" else set())
    for finding in findings:
        if finding.rule not in edit.rules or finding.severity not in levels:
            continue
        named = not finding.registers or registers.intersection(finding.registers)
        if finding.rule in ("LR1", "RL1", "SP1"):
            named = True
        if edit.way == "rubbish" and not function.start <= finding.address < function.end:
            named = True  # a callee read it from the stack, into a register of its own
        if named and _place_is_right(broken, function, finding, edit):
            return True, findings
    return False, findings


def run_object(
    compiler: str, file: ObjectFile, count: Count, source: random.Random, most: int
) -> None:
    """Break the functions of an object; at most so many edits of each function."""
    image = image_of_object(file)
    report = check_image(image_of_object(file), PROFILES["linux"])
    count.unclean += [
        f"{file.name} {f.function}: {f.rule} {f.registers}"
        for f in report.findings
        if f.severity in SHOWN
    ]
    code = find_functions(image)
    machine = Machine(image)
    functions = [f for f in code.functions.values() if f.is_global or f.typed]
    globals_ = [f for f in functions if f.is_root]
    callees = {place for place, target in code.calls if target in code.functions}
    for subject in _subjects(machine, image, globals_):
        count.functions += 1
        edits = list(edits_of(subject.words, callees))
        if len(edits) > most:
            edits = source.sample(edits, most)
        for edit in edits:
            count.proposed[edit.kind] += 1
            lost = _confirm(machine, subject, edit)
            if lost is None:
                continue
            count.confirmed[edit.kind] += 1
            count.by_compiler[compiler] += 1
            found, findings = _is_found(image, subject.function, edit, lost)
            if found:
                count.found[edit.kind] += 1
            else:
                seen = sorted({(f.rule, *f.registers, f.severity, f.place) for f in findings})
                where = {hex(address): hex(word) for address, word in edit.words.items()}
                count.missed.append(
                    f"{file.name} {subject.function.name}: {edit.kind} {where}: "
                    f"lost {sorted(lost)}, "
                    f"found {seen[:4]}"
                )


def run(
    folder: Path,
    *,
    seeds: int,
    modules: int,
    most: int,
    seconds: float = 1e9,
    wanted: int = 1 << 30,
) -> Count:
    """Until all objects are done, the time is over or as many as wanted are confirmed."""
    count, source = Count(), random.Random(20261121)
    end = time.monotonic() + seconds
    for compiler, file in objects(folder, seeds=seeds, modules=modules):
        run_object(compiler, file, count, source, most)
        if time.monotonic() > end or count.confirmed.total() >= wanted:
            break
    return count
