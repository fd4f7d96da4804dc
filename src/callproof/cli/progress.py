"""A progress bar on standard error, where that is a terminal and the work is long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.7  # seconds without a bar
Advance = Callable[[int, int], None]
"""Told how much is done, of how much."""


class _Bar:
    """Made at the first report after PATIENCE; short work shows nothing."""

    __slots__ = ("_bar", "_name", "_start", "_task")

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            if monotonic() - self._start < PATIENCE:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

            self._bar = Progress(
                "[progress.description]{task.description}",
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=total)
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def progress_bar(name: str, wanted: bool | None = None) -> Iterator[Advance | None]:
    """A function to tell progress to; None where no bar is to be shown.

    `wanted`: None means that a bar is shown on a terminal.
    """
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield None
        return
    bar = _Bar(name)
    try:
        yield bar
    finally:
        bar.close()
