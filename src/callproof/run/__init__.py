"""Running programs: natively, under qemu, or in the embedded emulator.

Takes a linked ELF executable for AArch64 or x86-64 Linux and its arguments, gives its exit
status, its faults explained, and on demand a poisoned run, a call trace or an exact
instruction count.  It knows executables, Linux and the calling convention, and reads
what the compiler wrote *into* the executable (symbols, line tables, function records);
it may not know the compiler, its IR or its languages.

Only `emulator.py` and what it loads import Unicorn (GPL-2), and only when it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callproof.run.launch import RunResult, run
    from callproof.run.limits import Limits

__all__ = ["Limits", "RunResult", "run"]


def __getattr__(name: str) -> object:
    """Load on first use: the compiler needs no more than `functions` from here."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from callproof.run import launch

    return getattr(launch, name)
