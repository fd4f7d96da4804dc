"""The back end as one function: an IR module in, code and an object file out.

for each function:  split_pairs (where the target wants it)
                    legalise_vectors, lower_switch, split_edges, sink_comparisons   (IR)
                    expand_calls                   (IR: one value per part of each plan)
                    select                         (machine code, SSA)
                    put_rare_last, share_constants
                    allocate, allocation_check     (registers, spills)
                    emit                           (bytes and lines)
then                build_object
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callproof.codegen import expand_calls
from callproof.codegen.constants import share_constants
from callproof.codegen.emit import EmittedFunction, emit
from callproof.codegen.flow import Flow
from callproof.codegen.layout import put_rare_last
from callproof.codegen.select import select
from callproof.codegen.target import Target
from callproof.ir.model import Function, Module
from callproof.passes import (
    legalise_vectors,
    lower_switch,
    sink_comparisons,
    split_edges,
    split_pairs,
)

if TYPE_CHECKING:
    from callproof.codegen.cache import CodeCache
    from callproof.codegen.fingerprint import Fingerprint


@dataclass(slots=True)
class Compiled:
    """A module's code; `pool` holds the float constants by symbol."""

    module: Module
    target: Target
    functions: list[EmittedFunction] = field(default_factory=list)
    pool: dict[str, bytes] = field(default_factory=dict)


def prepare(function: Function, target: Target) -> None:
    """The shape that selection takes: vectors of registers' size, two-way branches, no
    critical edges."""
    if target.splits_pairs:
        split_pairs.run(function)
    legalise_vectors.run(function, target.lacks)
    lower_switch.run(function)
    split_edges.run(function)
    sink_comparisons.run(function)


def compile_module(
    module: Module,
    target: Target,
    *,
    verify: bool = False,
    poison: bool = False,
    timings: dict[str, float] | None = None,
    hits: dict[str, int] | None = None,
    comments: bool = True,
    cache: CodeCache | None = None,
    jobs: int = 1,
) -> Compiled:
    """Code for every function of the module.

    `verify` proves each allocation (`allocation_check`); `poison` adds instructions
    that overwrite what a call may change; `timings` collects seconds by stage;
    `hits` counts the selection rules used; without `comments` a listing has no remarks.
    `cache` has code that was compiled before, `jobs` processes work at once (0: as many as
    is of use); neither counts where more than code is wanted: proofs, remarks, counts,
    debug information.
    """
    seconds = timings if timings is not None else {}
    functions = list(module.functions.values())

    def compile_one(function: Function) -> EmittedFunction:
        return compile_function(
            module,
            function,
            target,
            seconds,
            verify=verify,
            poison=poison,
            hits=hits,
            comments=comments,
        )

    only_code = not (verify or comments or hits is not None or module.debug is not None)
    if only_code and (cache is not None or jobs != 1):
        found = _kept_or_compiled(module, target, compile_one, cache, jobs, seconds)
    else:
        found = [compile_one(function) for function in functions]
    compiled = Compiled(module, target, found)
    for emitted in found:
        for relocation in emitted.relocations:
            if relocation.symbol.startswith(target.pool_prefix):
                data = bytes.fromhex(relocation.symbol.removeprefix(target.pool_prefix))
                compiled.pool[relocation.symbol] = data
    return compiled


def _kept_or_compiled(
    module: Module,
    target: Target,
    compile_one: Callable[[Function], EmittedFunction],
    cache: CodeCache | None,
    jobs: int,
    seconds: dict[str, float],
) -> list[EmittedFunction]:
    """The module's functions from the cache, and the others compiled by several processes."""
    start = time.perf_counter()
    functions = list(module.functions.values())
    found: dict[str, EmittedFunction] = {}
    keys: dict[str, Fingerprint] = {}
    if cache is not None:
        from callproof.codegen.fingerprint import Fingerprints

        fingerprints = Fingerprints(module, target)
        for function in functions:
            key = keys[function.name] = fingerprints.of(function)
            kept = cache.find(function, key)
            if kept is not None:
                found[function.name] = kept
        start = _charge(seconds, "cache", start)
    missing = [function for function in functions if function.name not in found]
    made: list[EmittedFunction] = []
    if jobs != 1 and missing:
        from callproof.codegen.parallel import compile_shares, processes, weight

        weights = [weight(function) for function in missing]
        count = processes(jobs, weights)
        if count > 1:
            _load_stages()
            inside: dict[str, float] = dict(seconds)
            made = compile_shares(missing, weights, count, compile_one)
            seconds.clear()  # of this process's share only: what was waited for says more
            seconds.update(inside)
            start = _charge(seconds, f"back end, {count} processes", start)
    if not made:
        made = [compile_one(function) for function in missing]
    start = time.perf_counter()
    for emitted in made:
        found[emitted.name] = emitted
    if cache is not None:
        for emitted in made:
            cache.add(emitted, keys[emitted.name])
        cache.save()
        _charge(seconds, "cache", start)
    return [found[function.name] for function in functions]


def _load_stages() -> None:
    """What `compile_function` imports, so that no fork has to do it again."""
    from callproof.codegen import allocate, allocation_check, kept

    assert allocate and allocation_check and kept


def compile_function(
    module: Module,
    function: Function,
    target: Target,
    seconds: dict[str, float],
    *,
    verify: bool,
    poison: bool,
    hits: dict[str, int] | None,
    comments: bool,
) -> EmittedFunction:
    """Code for one function of a module, whose IR is changed on the way."""
    from callproof.codegen.allocate import allocate
    from callproof.codegen.allocation_check import check
    from callproof.codegen.kept import record_kept

    start = time.perf_counter()
    prepare(function, target)
    expand_calls.run(function, target.convention)
    start = _charge(seconds, "prepare", start)
    machine = select(module, function, target, hits, comments)
    start = _charge(seconds, "select", start)
    put_rare_last(machine)
    flow = Flow(machine)
    share_constants(machine, flow)
    start = _charge(seconds, "hoist constants", start)
    allocation = allocate(machine, target.registers, flow, comments=comments)
    start = _charge(seconds, "allocate", start)
    if verify:
        check(machine, allocation, target.registers)
        start = _charge(seconds, "check allocation", start)
    if module.observers:
        record_kept(machine, allocation, target.registers, module.observers)
    # Frames are described line by line.
    wants_lines = comments or module.debug is not None
    emitted = emit(
        machine,
        allocation,
        target,
        flow,
        poison=poison,
        comments=comments,
        wants_lines=wants_lines,
    )
    start = _charge(seconds, "emit", start)
    if machine.debug is not None:
        from callproof.codegen.locate import locate

        emitted.locations = locate(machine, allocation, target.registers, emitted, target.machine)
        start = _charge(seconds, "debug information", start)
    if not wants_lines:
        emitted.forget()
        _charge(seconds, "emit", start)
    return emitted


def _charge(seconds: dict[str, float], stage: str, start: float) -> float:
    """Add the time since `start` to a stage; the time now."""
    now = time.perf_counter()
    seconds[stage] = seconds.get(stage, 0.0) + now - start
    return now
