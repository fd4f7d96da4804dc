"""The back end as one function: an IR module in, code and an object file out.

for each function:  split_pairs (where the target wants it)
                    legalise_vectors, lower_switch, split_edges, sink_comparisons   (IR)
                    expand_calls                   (IR: one value per part of each plan)
                    select                         (machine code, SSA)
                    share_constants
                    allocate, allocation_check     (registers, spills)
                    emit                           (bytes and lines)
then                build_object
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from callproof.codegen import expand_calls
from callproof.codegen.constants import share_constants
from callproof.codegen.emit import EmittedFunction, emit
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
) -> Compiled:
    """Code for every function of the module.

    `verify` proves each allocation (`allocation_check`); `poison` adds instructions
    that overwrite what a call may change; `timings` collects seconds by stage;
    `hits` counts the selection rules used; without `comments` a listing has no remarks.
    """
    from callproof.codegen.allocate import allocate
    from callproof.codegen.allocation_check import check
    from callproof.codegen.kept import record_kept

    compiled = Compiled(module, target)
    seconds = timings if timings is not None else {}
    for function in module.functions.values():
        start = time.perf_counter()
        prepare(function, target)
        expand_calls.run(function, target.convention)
        start = _charge(seconds, "prepare", start)
        machine = select(module, function, target, hits)
        start = _charge(seconds, "select", start)
        share_constants(machine)
        start = _charge(seconds, "hoist constants", start)
        allocation = allocate(machine, target.registers)
        start = _charge(seconds, "allocate", start)
        if verify:
            check(machine, allocation, target.registers)
            start = _charge(seconds, "check allocation", start)
        if module.observers:
            record_kept(machine, allocation, target.registers, module.observers)
        emitted = emit(machine, allocation, target, poison=poison, comments=comments)
        start = _charge(seconds, "emit", start)
        if machine.debug is not None:
            from callproof.codegen.locate import locate

            emitted.locations = locate(
                machine, allocation, target.registers, emitted, target.machine
            )
            _charge(seconds, "debug information", start)

        compiled.functions.append(emitted)
        for relocation in emitted.relocations:
            if relocation.symbol.startswith(target.pool_prefix):
                data = bytes.fromhex(relocation.symbol.removeprefix(target.pool_prefix))
                compiled.pool[relocation.symbol] = data
    return compiled


def _charge(seconds: dict[str, float], stage: str, start: float) -> float:
    """Add the time since `start` to a stage; the time now."""
    now = time.perf_counter()
    seconds[stage] = seconds.get(stage, 0.0) + now - start
    return now
