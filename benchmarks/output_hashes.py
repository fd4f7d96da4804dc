"""Hashes of what Callproof makes of every program here, to compare before and after a change.

    python benchmarks/output_hashes.py > before; (change) ...
    python benchmarks/output_hashes.py --against before

One line per program, level and target: the hash of the object file, of the assembly
listing and of the executable for some, or of the errors.  Every program is compiled at
one level for one target, chosen by its name; `--all` takes all levels and both targets
(some minutes).  Exit status 1 if anything differs from the file of `--against`.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from callproof import driver
from callproof.object import write_elf
from callproof.object.model import ObjectFile
from callproof.source import CallproofError

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("examples", "benchmarks", "tests/programs")
TARGETS = ("aarch64-linux", "x86_64-linux")
WAYS = [(level, target) for level in (0, 1, 2) for target in TARGETS]


def programs() -> list[Path]:
    found = [
        path.relative_to(ROOT)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in driver.SOURCE_SUFFIXES
    ]
    return sorted(found)


def hashed(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def line_of(path: Path, level: int, target: str, folder: Path, debug: bool) -> str:
    options = driver.Options(level=level, target=target, debug=debug)
    number = zlib.crc32(f"{path} {level} {target}".encode())
    try:
        compilation = driver.compile_file(path, options)
        made: ObjectFile = compilation.object_file()
        parts = [hashed(write_elf(made))]
        if number % 8 == 0:
            parts.append(hashed(compilation.listing().encode()))
        if number % 4 == 1:
            output = folder / "program"
            driver.link_inputs([made], output, options, origins=compilation.module.origins)
            parts.append(hashed(output.read_bytes()))
    except CallproofError as error:
        parts = ["error", hashed(str(error).encode())]
    return f"{path} -O{level} {target} {' '.join(parts)}"


def lines(every_way: bool, share: int, debug: bool) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        for path in programs():
            number = zlib.crc32(str(path).encode())
            if number % share:
                continue
            for level, target in WAYS if every_way else [WAYS[number // share % len(WAYS)]]:
                yield line_of(path, level, target, Path(folder), debug)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="all levels, both targets")
    parser.add_argument("--share", type=int, default=1, help="only one program in this many")
    parser.add_argument("--debug", action="store_true", help="with debug information")
    parser.add_argument("--against", type=Path, help="a file of former hashes")
    arguments = parser.parse_args()
    gc.set_threshold(50_000, 20, 50)
    before: dict[str, str] = {}
    if arguments.against:
        for line in arguments.against.read_text().splitlines():
            before[" ".join(line.split()[:3])] = line
    different = seen = 0
    with contextlib.chdir(ROOT):
        for line in lines(arguments.all, arguments.share, arguments.debug):
            if not arguments.against:
                print(line)
                continue
            former = before.get(" ".join(line.split()[:3]))
            if former is None:
                continue
            seen += 1
            if former != line:
                different += 1
                print(f"- {former}\n+ {line}")
    if arguments.against:
        print(f"{seen} compared, {different} different", file=sys.stderr)
        sys.exit(1 if different or not seen else 0)


if __name__ == "__main__":
    main()
