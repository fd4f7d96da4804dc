"""Recall: functions of musl's libc, each broken by one edit; nearly all must be found.

musl is compiled by Clang, so its functions are correct (a test says that they are clean);
what the edits break is certain by their construction.
"""

from __future__ import annotations

import random
from collections import Counter

from callproof.check.report import text  # noqa: F401  (for people who look at a miss)
from callproof.object import read_archive
from callproof.runtime import runtime_files
from callproof.source import CallproofError
from tests.check.mutate import check_mutant, mutants_of

WANTED = 400
LEAST = 0.99


def test_nearly_all_mutants_are_found_with_rule_and_register() -> None:
    path = runtime_files("aarch64-linux").libc
    archive = read_archive(path.read_bytes(), path.name)
    offsets = sorted(set(archive.index.values()))
    source = random.Random(20261121)
    source.shuffle(offsets)
    tried: Counter[str] = Counter()
    missed = []
    for offset in offsets:
        if tried.total() >= WANTED:
            break
        try:
            file = archive.member(offset)
        except CallproofError:
            continue
        mutants = list(mutants_of(file))
        for mutant in source.sample(mutants, min(3, len(mutants))):
            report = check_mutant(file, mutant)
            found = {
                (finding.rule, register)
                for finding in report.findings
                if finding.severity in ("error", "warning")
                for register in finding.registers
            }
            tried[mutant.kind] += 1
            if not found & mutant.accepted:
                missed.append((file.name, mutant, found))
    assert tried.total() >= WANTED and len(tried) >= 9, tried
    shown = [(name, m.kind, m.function, {hex(a) for a in m.words}, f) for name, m, f in missed]
    assert len(missed) <= tried.total() * (1 - LEAST), (tried, shown)
