"""Random IR: interpreter, optimised interpreter and emulator agree; the text round-trips.

300 modules of seven functions in each run (2 100 functions), at all -O levels, with
every register allocation proved; odd seeds have poison compiled in.  Every third module also
runs natively as x86-64 code, at one level, where the host is that.
"""

from __future__ import annotations

import os

import pytest

from callproof.ir.interpret import Interpreter, Trap
from callproof.ir.parse import parse_module
from callproof.ir.text import print_module
from callproof.ir.verify import verify
from callproof.passes.pipeline import optimise
from tests.support.execute import run_main
from tests.support.execute_x64 import NATIVE, run_main_x64
from tests.support.random_ir import Size, random_module

MODULES = int(os.environ.get("CALLPROOF_RANDOM_MODULES", "300"))
GROUP = 10
STEPS = 400_000


@pytest.mark.parametrize("group", range(MODULES // GROUP))
def test_all_agree(group: int) -> None:
    compared = 0
    for seed in range(group * GROUP, (group + 1) * GROUP):
        module = random_module(seed)
        verify(module)
        try:
            (expected,) = Interpreter(module, limit=STEPS).call("main")
        except Trap as trap:
            assert "steps" in str(trap)  # loops in calls in loops: too long for this test
            continue
        compared += 1
        for level in (0, 1, 2):
            module = random_module(seed)
            optimise(module, level, verify_each=True)
            assert Interpreter(module, limit=STEPS).call("main") == [expected], (seed, level)
            assert run_main(module, poison=bool(seed & 1)) == expected, (seed, level)
            if NATIVE and level == seed // 3 % 3 and seed % 3 == 0:
                module = random_module(seed)
                optimise(module, level)
                assert run_main_x64(module, poison=bool(seed & 2)) == expected, (seed, level)
    assert compared >= GROUP // 2


@pytest.mark.parametrize("seed", range(20))
def test_text_round_trips(seed: int) -> None:
    text = print_module(random_module(seed))
    again = parse_module(text)
    verify(again)
    assert print_module(again) == text


def test_large_functions() -> None:
    """Pressure: many variables alive, so that both register files spill."""
    for seed in range(4):
        size = Size(statements=150, depth=2, variables=40)
        module = random_module(seed, functions=2, size=size)
        (expected,) = Interpreter(module, limit=10 * STEPS).call("main")
        optimise(module, 1)
        assert run_main(module) == expected
        if NATIVE:
            module = random_module(seed, functions=2, size=size)
            optimise(module, 1)
            assert run_main_x64(module) == expected
