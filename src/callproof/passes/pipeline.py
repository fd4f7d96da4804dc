"""The order of the passes for each optimisation level: the compiler's table of contents.

`-O0` does nothing.  `-O1` is one run of the list, `-O2` repeats it while it helps, and
makes calls that stand last jumps (they are missing in stack walks then).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from callproof.ir.model import Function, Module
from callproof.ir.text import print_function
from callproof.ir.verify import problems
from callproof.passes import (
    copy_propagation,
    dce,
    fold,
    gvn,
    if_convert,
    licm,
    loop_tests,
    ranges,
    rotate,
    simplify_cfg,
    strength_reduction,
    tail_calls,
    thread_branches,
    unroll,
)
from callproof.passes.aliases import Memory
from callproof.passes.debug_guard import CAREFUL, Guard
from callproof.source import CallproofError, InternalError

Pass = Callable[[Function], bool]

ONCE: list[tuple[str, Pass]] = [
    ("simplify-cfg", simplify_cfg.run),
    ("thread-branches", thread_branches.run),
    ("rotate", rotate.run),
    ("fold", fold.run),
    ("copy-propagation", copy_propagation.run),
    ("gvn", gvn.run),
    ("fold-2", fold.run),
    ("ranges", ranges.run),
    ("dce", dce.run),
    ("if-convert", if_convert.run),
    ("licm", licm.run),
    ("unroll", unroll.run),
    ("strength-reduction", strength_reduction.run),
    ("dce-2", dce.run),
    ("loop-tests", loop_tests.run),
    ("simplify-cfg-2", simplify_cfg.run),
]
LAST: list[tuple[str, Pass]] = [("tail-calls", tail_calls.run)]  # at -O2
WITH_MEMORY: dict[str, Callable[[Function, Memory], bool]] = {"licm": licm.run}
FIRST_ROUND_ONLY = {"unroll"}  # each round would do it again
MAXIMUM_ROUNDS = {0: 0, 1: 1, 2: 4}
NAMES = ["all", *(name for name, _ in [*ONCE, *LAST])]


def optimise(
    module: Module,
    level: int,
    *,
    print_after: str | None = None,
    show: Callable[[str], None] | None = None,
    verify_each: bool = False,
    timings: dict[str, float] | None = None,
) -> None:
    """Run the level's passes over every function, in place.

    `show` is given the text of each function after the pass named `print_after` ('all'
    for every pass).  `verify_each` raises `InternalError` naming a pass that broke the IR.
    """
    if print_after is not None and print_after not in NAMES:
        raise CallproofError(f"there is no pass '{print_after}'; there is {', '.join(NAMES)}")
    seconds = timings if timings is not None else {}
    memory = Memory(module) if level else None
    for function in module.functions.values():
        rounds = [ONCE] * MAXIMUM_ROUNDS[level]
        if level >= 2 and not module.trace_names:
            rounds.append(LAST)
        changed = True
        for number, passes in enumerate(rounds):
            if not changed and passes is ONCE:
                continue
            changed = False
            for name, run in passes:
                if number and name in FIRST_ROUND_ONLY:
                    continue
                start = time.perf_counter()
                guard = None
                if function.debug is not None and name not in CAREFUL:
                    guard = Guard(function)
                if memory is not None and name in WITH_MEMORY:
                    changed |= WITH_MEMORY[name](function, memory)
                else:
                    changed |= run(function)
                if guard is not None:
                    guard.check(function)
                seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
                if verify_each:
                    found = problems(function, module)
                    if found:
                        raise InternalError(f"after {name}, @{function.name}: {found[0]}")
                if print_after in (name, "all") and show is not None:
                    show(f"; after {name}\n{print_function(function, module)}")
