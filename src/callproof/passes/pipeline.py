"""The order of the passes for each optimisation level: the compiler's table of contents.

`-O0` does nothing.  `-O1` is one run of the list, `-O2` repeats it while it helps, and
makes calls that stand last jumps (they are missing in stack walks then).  Functions are
dealt with after those that they call, which are inlined first (`inline.py`).
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
    inline,
    licm,
    memory,
    simplify_cfg,
    tail_calls,
    tail_recursion,
    thread_branches,
)
from callproof.passes.aliases import Memory
from callproof.passes.debug_guard import CAREFUL, Guard
from callproof.source import CallproofError, InternalError

Pass = Callable[..., bool]  # of a function, and of its module if the name is in WITH_MODULE

ONCE: list[tuple[str, Pass]] = [
    ("simplify-cfg", simplify_cfg.run),
    ("tail-recursion", tail_recursion.run),
    ("thread-branches", thread_branches.run),
    ("fold", fold.run),
    ("copy-propagation", copy_propagation.run),
    ("memory", memory.run),
    ("gvn", gvn.run),
    ("fold-2", fold.run),
    ("dce", dce.run),
    ("licm", licm.run),
    ("simplify-cfg-2", simplify_cfg.run),
]
WITH_MODULE = frozenset(("memory", "tail-recursion"))
LAST: list[tuple[str, Pass]] = [("tail-calls", tail_calls.run)]  # at -O2
WITH_MEMORY: dict[str, Callable[[Function, Memory], bool]] = {"licm": licm.run}
MAXIMUM_ROUNDS = {0: 0, 1: 1, 2: 4}
INLINE = "inline"  # first of all, into each function whose callees are finished
NAMES = ["all", INLINE, *(name for name, _ in [*ONCE, *LAST])]


def optimise(
    module: Module,
    level: int,
    *,
    print_after: str | None = None,
    show: Callable[[str], None] | None = None,
    verify_each: bool = False,
    inlining: bool = True,
    timings: dict[str, float] | None = None,
) -> None:
    """Run the level's passes over every function, in place.

    `show` is given the text of each function after the pass named `print_after` ('all'
    for every pass).  Without `inlining` all calls stay calls.  `verify_each` raises
    `InternalError` naming a pass that broke the IR.
    """
    if print_after is not None and print_after not in NAMES:
        raise CallproofError(f"there is no pass '{print_after}'; there is {', '.join(NAMES)}")
    seconds = timings if timings is not None else {}
    aliases = Memory(module) if level else None

    def run_pass(name: str, run: Pass, function: Function) -> bool:
        start = time.perf_counter()
        guard = None
        if function.debug is not None and name not in CAREFUL:
            guard = Guard(function)
        if aliases is not None and name in WITH_MEMORY:
            changed = WITH_MEMORY[name](function, aliases)
        else:
            changed = run(function, module) if name in WITH_MODULE else run(function)
        if guard is not None:
            guard.check(function)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
        if verify_each:
            found = problems(function, module)
            if found:
                raise InternalError(f"after {name}, @{function.name}: {found[0]}")
        if print_after in (name, "all") and show is not None:
            show(f"; after {name}\n{print_function(function, module)}")
        return changed

    inliner = inline.Inliner(module, level) if inlining and level else None
    functions = inliner.order if inliner else list(module.functions.values())
    for function in functions:
        if inliner is not None:
            run_pass(INLINE, inliner.run, function)
        for _ in range(MAXIMUM_ROUNDS[level]):
            changed = False
            for name, run in ONCE:
                if name == "tail-recursion" and not inlining:
                    continue
                changed |= run_pass(name, run, function)
            if not changed:
                break
        if inliner is not None:
            inliner.finished(function)
    if inliner is not None:
        inliner.remove_unused()
    if level >= 2 and not module.trace_names:
        for function in module.functions.values():
            for name, run in LAST:
                run_pass(name, run, function)
