"""The order of the passes for each optimisation level: the compiler's table of contents.

`-O0` does nothing.  `-O1` is one run of the list, `-O2` repeats it while it helps, and
makes calls that stand last jumps (they are missing in stack walks then).  Functions are
dealt with after those that they call, which are inlined first (`inline.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from callproof.ir.model import Function, Module
from callproof.ir.shape import Shape
from callproof.ir.text import print_function
from callproof.ir.verify import problems
from callproof.passes import (
    copy_propagation,
    dce,
    fold,
    gvn,
    if_convert,
    inline,
    licm,
    loop_tests,
    memory,
    ranges,
    rotate,
    simplify_cfg,
    strength_reduction,
    tail_calls,
    tail_recursion,
    thread_branches,
    unroll,
)
from callproof.passes.aliases import Memory
from callproof.passes.debug_guard import CAREFUL, Guard
from callproof.source import CallproofError, InternalError

# Of a function, and of its module if the name is in WITH_MODULE; `shape=` what is known of it
Pass = Callable[..., bool]
Step = Callable[[Function, Shape], bool]
ANYTHING, BLOCKS, LOOPS = (
    0,
    1,
    2,
)  # what a pass needs to have something to do: several blocks, loops
Prepared = tuple[str, int, int, Step]
"""Name, a number that is the same for the same pass, what it needs, and what runs it."""

ONCE: list[tuple[str, Pass]] = [
    ("simplify-cfg", simplify_cfg.run),
    ("tail-recursion", tail_recursion.run),
    ("thread-branches", thread_branches.run),
    ("rotate", rotate.run),
    ("fold", fold.run),
    ("copy-propagation", copy_propagation.run),
    ("memory", memory.run),
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
WITH_MODULE = frozenset(("memory", "tail-recursion"))
WITH_MEMORY = frozenset(("licm",))
LAST: list[tuple[str, Pass]] = [("tail-calls", tail_calls.run)]  # at -O2
# What has nothing to do without loops, and what has nothing to do in a function of one block.
FOR_LOOPS = frozenset(("rotate", "licm", "unroll", "strength-reduction", "loop-tests"))
FOR_BLOCKS = frozenset(
    (
        *("simplify-cfg", "thread-branches", "copy-propagation", "ranges", "if-convert"),
        "simplify-cfg-2",
    )
)
FIRST_ROUND_ONLY = {"unroll"}  # each round would do it again
MAXIMUM_ROUNDS = {0: 0, 1: 1, 2: 4}
INLINE = "inline"  # first of all, into each function whose callees are finished
NAMES = ["all", INLINE, *(name for name, _ in [*ONCE, *LAST])]
_OF_RUN = {run: number for number, run in enumerate(dict.fromkeys(run for _, run in ONCE))}


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
    runner = _Runner(module, print_after, show, verify_each, timings)
    inliner = inline.Inliner(module, level) if inlining and level else None
    aliases = None
    if level:
        aliases = Memory(module, inliner.surveys.values() if inliner is not None else None)
    steps = _steps(module, aliases, inlining)
    functions = inliner.order if inliner else list(module.functions.values())
    rounds = MAXIMUM_ROUNDS[level]
    postponed: list[Function] = []
    for function in functions:
        shape = Shape(function)
        if inliner is not None and runner.plain:
            inliner.run(function, shape)
        elif inliner is not None:
            runner.run(INLINE, inliner.run, function, shape)
        if inliner is not None and inliner.will_go(function):
            postponed.append(function)
            inliner.finished(function, optimised=False)
            continue
        _optimise_one(function, shape, steps, rounds, runner)
        if inliner is not None:
            inliner.finished(function)
    if inliner is not None:
        for function in postponed:
            if inliner.is_called(function):  # it did not go, as its caller was too large
                _optimise_one(function, Shape(function), steps, rounds, runner)
                inliner.finished(function)
        inliner.remove_unused()
    if level >= 2 and not module.trace_names:
        for function in module.functions.values():
            for name, run in LAST:
                runner.run(name, run, function, Shape(function))


def _steps(module: Module, aliases: Memory | None, inlining: bool) -> list[Prepared]:
    """The passes of one round."""

    def step(name: str, run: Pass) -> Step:
        if name in WITH_MODULE:
            return lambda function, shape: run(function, module, shape)
        if name in WITH_MEMORY:
            return lambda function, shape: run(function, aliases, shape)
        return run

    return [
        (name, _OF_RUN[run], _needs(name), step(name, run))
        for name, run in ONCE
        if inlining or name != "tail-recursion"
    ]


def _needs(name: str) -> int:
    return LOOPS if name in FOR_LOOPS else BLOCKS if name in FOR_BLOCKS else ANYTHING


def _optimise_one(
    function: Function,
    shape: Shape,
    steps: list[Prepared],
    rounds: int,
    runner: _Runner,
) -> None:
    """All passes over one function, but for those that would find what they found before."""
    version = 0  # how often the function was changed
    # By the pass's number: at which version it had nothing (more) to do.
    quiet = [-1] * len(_OF_RUN)
    plain = runner.plain and function.debug is None
    for number in range(rounds):
        before = version
        for name, which, needs, step in steps:
            if quiet[which] == version or (
                needs and (len(function.blocks) == 1 or (needs == LOOPS and not shape.has_loops()))
            ):
                if not plain:
                    runner.skip(name, function)
                continue
            if number and name in FIRST_ROUND_ONLY:
                continue
            if step(function, shape) if plain else runner.run(name, step, function, shape):
                version += 1
                if step is not dce.run:  # what is dead goes all at once
                    continue
            quiet[which] = version
        if version == before:
            break


class _Runner:
    """Runs a pass, and does around it what was asked for: times, texts, verification."""

    __slots__ = ("module", "plain", "print_after", "seconds", "show", "verify_each")

    def __init__(
        self,
        module: Module,
        print_after: str | None,
        show: Callable[[str], None] | None,
        verify_each: bool,
        seconds: dict[str, float] | None,
    ) -> None:
        self.module = module
        self.print_after = print_after
        self.show = show
        self.verify_each = verify_each
        self.seconds = seconds
        self.plain = (  # nothing was asked for
            print_after is None and not verify_each and seconds is None
        )

    def run(self, name: str, step: Step, function: Function, shape: Shape) -> bool:
        start = time.perf_counter()
        guard = None
        if function.debug is not None and name not in CAREFUL:
            guard = Guard(function)
        changed = step(function, shape)
        if guard is not None:
            guard.check(function)
        if self.seconds is not None:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
        if self.verify_each:
            found = problems(function, self.module)
            if found:
                raise InternalError(f"after {name}, @{function.name}: {found[0]}")
            if not shape.is_true():
                raise InternalError(f"after {name}, @{function.name}: its shape has changed")
        self.skip(name, function)
        return changed

    def skip(self, name: str, function: Function) -> None:
        """Show the function behind a pass, which may have had nothing to do."""
        if self.print_after in (name, "all") and self.show is not None:
            self.show(f"; after {name}\n{print_function(function, self.module)}")
