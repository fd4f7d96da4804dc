"""Which builds keep their functions' code for the next one, and where."""

from __future__ import annotations

import time
from pathlib import Path

from callproof.codegen.cache import CodeCache
from callproof.codegen.parallel import weight
from callproof.codegen.target import Target
from callproof.driver import Options
from callproof.ir.model import Module
from callproof.runtime import cache_folder
from callproof.source import CallproofError, SourceFile

ENOUGH = 5_000  # IR instructions; below it finding out takes half as long as compiling


def cache_for(
    source: SourceFile, module: Module, target: Target, options: Options
) -> CodeCache | None:
    """Where the code of an optimised source is kept; None if that is not to be, does not pay,
    or there is no place for it."""
    more_than_code = options.comments or options.verify or module.debug is not None
    if more_than_code or options.print_after:
        return None
    if sum(map(weight, module.functions.values())) < ENOUGH:
        return None
    start = time.perf_counter()
    try:
        folder = cache_folder() / "code"
    except CallproofError:
        return None
    # What is built in different ways does not push each other out of its file.
    name = f"{Path(source.name).absolute()} {options.level} {options.inlining}"
    cache = CodeCache(folder, name, module, target, options.poison)
    if options.timings is not None:
        spent = time.perf_counter() - start
        options.timings["cache"] = options.timings.get("cache", 0.0) + spent
    return cache
