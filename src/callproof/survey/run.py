"""A survey: which paths there are, what is done already, who does the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from callproof.check import CheckOptions
from callproof.source import CallproofError
from callproof.survey.optional import optional
from callproof.survey.store import Parts, check_name, write_tables
from callproof.survey.work import FileRow, Part, check_path

IN_FLIGHT = 3  # paths given out for each worker, so that none waits
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Survey:
    """What is surveyed and how.  `jobs`: processes, or (with `scheduler`, the address of a
    Dask scheduler whose workers see the same files) ignored; `limit`: seconds for a file."""

    paths: list[Path]
    out: Path
    options: CheckOptions = field(default_factory=CheckOptions)
    jobs: int = 1
    scheduler: str = ""
    limit: int = 600


def files_below(paths: Iterable[Path]) -> list[Path]:
    """All files of folders, in order; links are not followed."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob("*"))
            found += [file for file in inside if file.is_file() and not file.is_symlink()]
        elif path.exists():
            found.append(path)
        else:
            raise CallproofError(f"there is no {path}")
    return list(dict.fromkeys(found))


@contextmanager
def _workers(wanted: Survey) -> Iterator[tuple[Executor, int]]:
    if wanted.scheduler:
        client = optional("distributed", "--scheduler").Client(wanted.scheduler)
        try:
            yield client.get_executor(pure=False), max(1, sum(client.nthreads().values()))
        finally:
            client.close()
        return
    with ProcessPoolExecutor(wanted.jobs) as pool:
        yield pool, wanted.jobs


def survey(wanted: Survey, progress: Progress | None = None) -> tuple[int, int]:
    """Check everything and write the tables; (paths, how many of them were done before).

    May be killed and called again: paths that are done are not done again.
    """
    check_name(wanted.out)
    paths = files_below(wanted.paths)
    parts = Parts(wanted.out, wanted.options)
    rest = [path for path in paths if not parts.has(path)]
    before = done = len(paths) - len(rest)

    def keep(path: Path, part: Part) -> None:
        nonlocal done
        parts.write(path, part)
        done += 1
        if progress is not None:
            progress(done, len(paths))

    if rest:
        alone = _all(rest, wanted, keep)
        for path in alone:
            keep(path, _alone(path, wanted))
    write_tables(wanted.out, parts, paths)
    parts.remove()
    return len(paths), before


def _all(paths: list[Path], wanted: Survey, keep: Callable[[Path, Part], None]) -> list[Path]:
    """The paths that were under way when a worker died, and those not yet begun then."""
    waiting = list(reversed(paths))
    under_way: dict[Future[Part], Path] = {}
    try:
        with _workers(wanted) as (executor, workers):
            while waiting or under_way:
                while waiting and len(under_way) < IN_FLIGHT * workers:
                    path = waiting.pop()
                    work = executor.submit(
                        check_path, str(path.absolute()), str(path), wanted.options, wanted.limit
                    )
                    under_way[work] = path
                finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for work in finished:
                    keep(under_way[work], work.result())
                    del under_way[work]
    except (BrokenProcessPool, CancelledError):
        return [*under_way.values(), *reversed(waiting)]
    return []


def _alone(path: Path, wanted: Survey) -> Part:
    """A path in a process of its own, which may die (of memory, for one)."""
    with ProcessPoolExecutor(1) as pool:
        work = pool.submit(check_path, str(path), str(path), wanted.options, wanted.limit)
        try:
            return work.result()
        except BrokenProcessPool:
            return Part([FileRow(str(path), "", "crashed", "its process died")])
