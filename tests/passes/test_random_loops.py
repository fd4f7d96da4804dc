"""Random loops: optimised or not, interpreted or run, they give the same.

40 modules of three functions in each run; CALLPROOF_RANDOM_LOOPS=5000 for a campaign.
"""

from __future__ import annotations

import os

import pytest
from tests.support.execute import run_main
from tests.support.execute_x64 import NATIVE, run_main_x64
from tests.support.random_loops import random_loops

from callproof.ir.interpret import Interpreter, Trap
from callproof.ir.verify import verify
from callproof.passes.pipeline import ONCE, WITH_MODULE, optimise

MODULES = int(os.environ.get("CALLPROOF_RANDOM_LOOPS", "40"))
GROUP = 20
STEPS = 60_000


@pytest.mark.parametrize("group", range(MODULES // GROUP))
def test_all_agree(group: int) -> None:
    compared = 0
    for seed in range(group * GROUP, (group + 1) * GROUP):
        module = random_loops(seed)
        verify(module)
        try:
            (expected,) = Interpreter(module, limit=STEPS).call("main")
        except Trap as trap:
            assert "steps" in str(trap)
            continue
        compared += 1
        for level in (1, 2):
            module = random_loops(seed)
            optimise(module, level, verify_each=True)
            assert Interpreter(module, limit=STEPS).call("main") == [expected], (seed, level)
            if seed % 4 == level:
                assert run_main(module) == expected, (seed, level)
        if NATIVE and seed % 4 == 0:
            module = random_loops(seed)
            optimise(module, 1)
            assert run_main_x64(module) == expected, seed
    assert compared >= GROUP // 2


def test_every_loop_pass_has_work() -> None:
    """The modules are not beside the point: each pass changes many of their functions."""
    changed = dict.fromkeys(
        ("rotate", "if-convert", "licm", "unroll", "strength-reduction", "loop-tests"), 0
    )
    for seed in range(20):
        module = random_loops(seed)
        for function in module.functions.values():
            for name, run in ONCE:
                has_work = run(function, module) if name in WITH_MODULE else run(function)
                if has_work and name in changed:
                    changed[name] += 1
    assert all(count >= 5 for count in changed.values()), changed
