"""Speed of `callproof check`: decoding alone, the whole check, memory, and two processes.

    python benchmarks/check.py [FILE...]

Without files musl's libc and compiler-rt are checked.  Capstone decodes the same code in
the same run, for comparison; times are those of the processor, on one core.  Memory is the
growth of the peak for each instruction of the file, checked in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import capstone
import numpy as np
from rich.console import Console
from rich.table import Table

from callproof.check import check_bytes
from callproof.check.image import Image
from callproof.check.load import load_images
from callproof.runtime import runtime_files
from callproof.target.arm64.columns import columns_of

CAPSTONE_LIMIT = 400_000  # bytes: it takes its time


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one file: bytes of code, seconds of the processor, bytes for each instruction."""

    code: int
    decoding: float
    capstone: float
    checking: float
    functions: int
    memory: float


def code_of(images: Sequence[Image]) -> bytes:
    return b"".join(
        region.data[: len(region.data) & ~3]
        for image in images
        for region in image.regions
        if region.executable
    )


def peak() -> int:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(path: Path) -> Figures:
    data = path.read_bytes()
    code = code_of(load_images(data, path.name)[0])
    before = peak()
    start = time.process_time()
    result = check_bytes(data, path.name)
    checking = time.process_time() - start
    memory = (peak() - before) / (len(code) / 4)
    words = np.frombuffer(code, np.uint32)
    columns_of(words[:1000])
    start = time.process_time()
    columns_of(words)
    decoding = time.process_time() - start
    engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    engine.skipdata = True
    part = code[:CAPSTONE_LIMIT]
    start = time.process_time()
    for _ in engine.disasm_lite(part, 0):
        pass
    disassembling = (time.process_time() - start) * len(code) / len(part)
    functions = sum(report.functions for report in result.reports)
    return Figures(len(code), decoding, disassembling, checking, functions, memory)


def check(path: Path) -> None:
    check_bytes(path.read_bytes(), path.name)


def scaling(files: Sequence[Path], processes: int) -> float:
    """Wall seconds for all files."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        start = time.perf_counter()
        list(pool.map(check, files))
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--scaling", action="store_true", help="1 and 2 processes, too")
    arguments = parser.parse_args()
    files = arguments.files
    if not files:
        runtime = runtime_files("aarch64-linux")
        files = [runtime.libc, runtime.compiler_rt]
    table = Table(title="megabytes of code a second, one core", box=None)
    columns = ("file", "code MB", "decode", "Capstone", "check", "functions", "bytes/instruction")
    for column in columns:
        table.add_column(column, justify="left" if column == "file" else "right")
    context = multiprocessing.get_context("spawn")
    for path in files:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            figures = pool.submit(measure, path).result()
        table.add_row(
            path.name,
            f"{figures.code / 1e6:.2f}",
            f"{figures.code / figures.decoding / 1e6:.1f}",
            f"{figures.code / figures.capstone / 1e6:.2f}",
            f"{figures.code / figures.checking / 1e6:.2f}",
            str(figures.functions),
            f"{figures.memory:.0f}",
        )
    Console().print(table)
    if arguments.scaling:
        both = [*files, *files]
        seconds = {processes: scaling(both, processes) for processes in (1, 2)}
        print(f"all files twice: {seconds[1]:.1f} s in one process, {seconds[2]:.1f} s in two")


if __name__ == "__main__":
    main()
