"""What debuggers see is what is: random programs run in the emulator, stopped everywhere.

At each tick all functions that are under way are unwound, and each variable that has a
location must have its true value; at every instruction in between, one of those that its
line saw; and the frame description must give back the caller's registers.  That a variable
has no location is no error but where everything is kept in memory (-O0): there all have.
`CALLPROOF_DEBUG_SEEDS=from:to` runs other and more programs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from callproof import driver
from callproof.codegen import locate
from tests.debug.programs import make
from tests.debug.watch import Seen, watch

TARGETS = ("aarch64-linux", "x86_64-linux")
SUFFIX = {"bcpl": ".bcl", "sox": ".sox"}
LEAST_SHOWN = {0: 1.0, 1: 0.4, 2: 0.3}


def seeds(default: Sequence[int]) -> Sequence[int]:
    given = os.environ.get("CALLPROOF_DEBUG_SEEDS", "")
    if not given:
        return default
    first, _, last = given.partition(":")
    return range(int(first), int(last))


def watched(
    folder: Path, language: str, seed: int, target: str, level: int, in_slots: bool = False
) -> Seen | None:
    made = make(seed, language, in_slots)
    if made is None:
        return None
    text, truth = made
    source = folder / f"program{seed}{SUFFIX[language]}"
    source.write_text(text)
    output = folder / f"program{seed}.{target}.{level}"
    options = driver.Options(level=level, target=target, debug=True, verify=True)
    driver.build([source], output, "exe", options)
    return watch(output, language, truth)


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("language", "chosen"), [("bcpl", (4, 6, 7)), ("sox", (8,))])
def test_variables_are_right_or_absent(
    tmp_path: Path, language: str, chosen: Sequence[int], target: str, level: int
) -> None:
    visible = located = 0
    for seed in seeds(chosen):
        seen = watched(tmp_path, language, seed, target, level)
        if seen is None:
            continue
        assert not seen.wrong, f"seed {seed}: " + "\n".join(seen.wrong)
        visible, located = visible + seen.visible, located + seen.located
        assert seen.elsewhere > 100 and seen.unwound > 50, "the test has looked at next to nothing"
    assert visible and located >= LEAST_SHOWN[level] * visible, f"{located} of {visible}"
    print(f"{language} {target} -O{level}: {located} of {visible} variables")


@pytest.mark.parametrize(
    ("target", "level", "chosen"), [(TARGETS[0], 0, 40), (TARGETS[1], 1, 21), (TARGETS[0], 2, 21)]
)
def test_variables_whose_address_is_taken(
    tmp_path: Path, target: str, level: int, chosen: int
) -> None:
    """They are in memory at all levels, and stores that nothing reads are left out."""
    looked_at = 0
    for seed in seeds((chosen,)):
        seen = watched(tmp_path, "bcpl", seed, target, level, in_slots=True)
        if seen is not None:
            assert not seen.wrong, f"seed {seed}: " + "\n".join(seen.wrong)
            assert level or seen.located == seen.visible
            looked_at += seen.elsewhere
    assert looked_at > 100


def test_it_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locations that ignore what calls change, and values of the wrong moment, are found."""
    true_put = locate._Locator.put

    def careless(self, result, values, start, end, at, ends):  # type: ignore[no-untyped-def]
        del ends
        true_put(self, result, values, start, end, at, at)

    monkeypatch.setattr(locate._Locator, "put", careless)
    seen = watched(tmp_path, "bcpl", 2, "x86_64-linux", 1)
    assert seen is not None and any("is not known" in one for one in seen.wrong)
    monkeypatch.undo()

    def late(self, instruction, state):  # type: ignore[no-untyped-def]
        """What an instruction overwrites is taken to be there still."""
        before = dict(state.held)
        true_instruction(self, instruction, state)
        for place, held in before.items():
            state.held.setdefault(place, held)
            for one in held:
                state.holders.setdefault(one, set()).add(place)

    true_instruction = locate._Recorder.instruction
    monkeypatch.setattr(locate._Recorder, "instruction", late)
    seen = watched(tmp_path, "bcpl", 2, "x86_64-linux", 1)
    assert seen is not None and seen.wrong
