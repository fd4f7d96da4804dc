"""`callproof build` with plain words, without the command line's library.

Importing that library and making its parsers of our functions takes as long as compiling
a hundred lines.  So the words of a build are read here if they are files and the options
of `VALUES` and `FLAGS`, each once; everything else (help, mistakes, other spellings, other
subcommands) is left to `app.py`, which is what defines the command line.  A test compares
the two.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

# word -> what it sets: a name in `driver.Options`, or 'output', 'emit'
VALUES = {
    "-o": "output",
    "--output": "output",
    "--emit": "emit",
    "--target": "target",
    "--linker": "linker",
    "-I": "include",
    "--module-path": "module_path",
    "--jobs": "jobs",
}
NUMBERS = frozenset(("jobs",))
MANY = frozenset(("include", "module_path"))
FLAGS: dict[str, tuple[str, object]] = {
    "-O0": ("level", 0),
    "-O1": ("level", 1),
    "-O2": ("level", 2),
    "-g": ("debug", True),
    "--verify": ("verify", True),
    "--poison": ("poison", True),
    "--bounds-check": ("bounds_check", True),
    "--werror": ("warnings_are_errors", True),
    "--no-cache": ("cache", False),
    "--time-passes": ("timings", True),
}


@dataclass(slots=True)
class Request:
    """What the words ask for: the files, and by name what the options say."""

    files: list[Path] = field(default_factory=list)
    chosen: dict[str, object] = field(default_factory=dict)
    many: dict[str, list[str]] = field(default_factory=dict)


def parse(words: Sequence[str]) -> Request | None:
    """The words behind `build`; None if any of them is not plain."""
    request = Request()
    pending = list(reversed(words))
    while pending:
        word = pending.pop()
        flag = FLAGS.get(word)
        name = VALUES.get(word)
        if not word.startswith("-"):
            request.files.append(Path(word))
        elif flag is not None:
            if flag[0] in request.chosen:
                return None
            request.chosen[flag[0]] = flag[1]
        elif name is None or not pending or pending[-1].startswith("-"):
            return None
        elif name in MANY:
            request.many.setdefault(name, []).append(pending.pop())
        elif name in request.chosen:
            return None
        elif name in NUMBERS:
            number = pending.pop()
            if not (number.isascii() and number.isdecimal()) or len(number) > 4:
                return None
            request.chosen[name] = int(number)
        else:
            request.chosen[name] = pending.pop()
    return request if request.files else None


def build(request: Request) -> None:
    """Do what was asked for.  Raises as `driver.build` does."""
    from callproof import driver
    from callproof.cli.output import print_diagnostics, print_timings, progress

    gc.disable()  # and it stays so: the process ends with the build
    chosen = dict(request.chosen)
    output, emit = chosen.pop("output", None), chosen.pop("emit", "exe")
    options = driver.Options(progress=progress, cache=True, jobs=0)
    for name, value in chosen.items():
        setattr(options, name, value)
    if "timings" in chosen:
        options.timings = {}
    options.include = tuple(Path(folder) for folder in request.many.get("include", ()))
    options.module_path = tuple(request.many.get("module_path", ()))
    path = None if output is None else Path(str(output))
    _, warnings = driver.build(request.files, path, str(emit), options)
    print_diagnostics(warnings)
    if options.timings is not None:
        print_timings(options.timings)
    gc.freeze()  # nothing is garbage that the process's end does not free anyway
