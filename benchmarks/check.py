"""Speed of `callproof check`: classification alone and the whole check.

    python benchmarks/check.py [FILE...]

Without files musl's libc and compiler-rt are checked.  Capstone decodes the same code in
the same run, for comparison; times are those of the processor, on one core.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import capstone
import numpy as np
from rich.console import Console
from rich.table import Table

from callproof.check import check_bytes
from callproof.check.image import Image
from callproof.check.load import load_images
from callproof.runtime import runtime_files
from callproof.target.arm64.effects import classify

CAPSTONE_LIMIT = 400_000  # bytes: it takes its time


def code_of(images: list[Image]) -> bytes:
    return b"".join(
        region.data[: len(region.data) & ~3]
        for image in images
        for region in image.regions
        if region.executable
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    files = parser.parse_args().files
    if not files:
        runtime = runtime_files("aarch64-linux")
        files = [runtime.libc, runtime.compiler_rt]
    table = Table(title="megabytes of code a second, one core", box=None)
    columns = ("file", "code MB", "classify", "Capstone", "check", "functions", "peak memory MB")
    for column in columns:
        table.add_column(column, justify="left" if column == "file" else "right")
    for path in files:
        data = path.read_bytes()
        code = code_of(load_images(data, path.name)[0])
        words = np.frombuffer(code, np.uint32)
        start = time.process_time()
        classify(words)
        classified = time.process_time() - start
        engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
        engine.skipdata = True
        start = time.process_time()
        for _ in engine.disasm_lite(code[:CAPSTONE_LIMIT], 0):
            pass
        disassembled = time.process_time() - start
        start = time.process_time()
        result = check_bytes(data, path.name)
        checked = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        table.add_row(
            path.name,
            f"{len(code) / 1e6:.2f}",
            f"{len(code) / classified / 1e6:.1f}",
            f"{min(len(code), CAPSTONE_LIMIT) / disassembled / 1e6:.2f}",
            f"{len(code) / checked / 1e6:.2f}",
            str(sum(report.functions for report in result.reports)),
            f"{peak:.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
