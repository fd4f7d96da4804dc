"""`python -m tests.conformance`: the differential campaign against C compilers.

    --count N        signatures for each platform (default: as many as the time allows)
    --seconds S      for each platform (default 40 where no count is given)
    --seed S         another seed, other signatures
    --platform P     aarch64-linux, aarch64-macos, aarch64-windows, aarch64-linux-gcc,
                     x86_64-linux, x86_64-linux-gcc,
                     x86_64-linux-assignments (no code of ours, but all
                     types); may stand several times (default: all but windows and gcc)
    --all            all of them
    --jobs N         processes
    --scheduler A    address of a Dask scheduler instead; its workers need this checkout
                     as their working directory
    --store          keep shrunk failures in tests/conformance/regressions

Ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib import import_module

from tests.conformance.batch import PLATFORMS
from tests.conformance.campaign import Report, run_campaign, store, units

DEFAULT = ("aarch64-linux", "aarch64-macos", "x86_64-linux", "x86_64-linux-assignments")


def _executor(scheduler: str | None, jobs: int) -> tuple[Executor, int]:
    if scheduler is None:
        return ProcessPoolExecutor(jobs), jobs
    client = import_module("distributed").Client(scheduler)
    executor: Executor = client.get_executor(pure=False)
    return executor, max(1, sum(client.nthreads().values()))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance", description="Our calls against C compilers'."
    )
    parser.add_argument("--count", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--platform", action="append", choices=list(PLATFORMS))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--scheduler")
    parser.add_argument("--store", action="store_true")
    options = parser.parse_args()
    if options.count is not None and options.count < 1:
        parser.error("--count must be 1 or more")
    seconds = options.seconds
    if seconds is None and options.count is None:
        seconds = 40.0
    executor, workers = _executor(options.scheduler, options.jobs)
    failed = False
    with executor:
        for name in list(PLATFORMS) if options.all else options.platform or DEFAULT:
            command = PLATFORMS[name].command[0]
            if shutil.which(command) is None:
                print(f"{name}: {command} is not installed here")
                continue

            def progress(report: Report, name: str = name) -> None:
                if sys.stderr.isatty():
                    print(f"\r{name}: {report.signatures} ", end="", file=sys.stderr, flush=True)

            report = run_campaign(
                executor,
                units(name, options.count, options.seed),
                workers=workers,
                seconds=seconds,
                progress=progress,
            )
            print(
                f"{name}: {report.signatures} signatures, "
                f"{len(report.failures)} differences, {report.seconds:.0f} s"
            )
            for failure in report.failures:
                failed = True
                print(failure.text())
                if options.store:
                    print(f"kept as {store(failure)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
