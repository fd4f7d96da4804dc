"""Sox against Lua 5.4's interpreter: executed ARM64 instructions of the same programs.

    python benchmarks/sox.py [-O LEVEL] [NAME ...]

One line per program of `benchmarks/sox`: instructions of our executable, of `lua` running
the same program in Lua, and the second divided by the first (more is better for us).
The count is exact (QEMU with the plugin `insncount`, `$INSNCOUNT`, default
`../shared/tools/insncount.so` beside the checkout, or built from the `.c` there with gcc).
Lua is `$LUA_ROOT`, a folder with the unpacked arm64 packages lua5.4, libc6, libreadline8
and libtinfo6 of Debian.  Without either, only our own counts are printed, by the emulator.
Both print the same checksum, which is compared.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from callproof import driver
from callproof.run import run

FOLDER = Path(__file__).parent / "sox"
SHARED = Path(__file__).parents[2] / "shared" / "tools" / "insncount.c"


def plugin(folder: Path) -> Path | None:
    """The counting plugin, built if need be; None where that cannot be."""
    given = os.environ.get("INSNCOUNT")
    if given:
        return Path(given)
    if shutil.which("qemu-aarch64") is None or shutil.which("gcc") is None or not SHARED.exists():
        return None
    output = folder / "insncount.so"
    command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(output), str(SHARED)]
    subprocess.run(command, check=True)
    return output


def count(counter: Path, command: list[str], folder: Path) -> tuple[int, bytes]:
    """Executed instructions of an ARM64 program under QEMU, and what it prints."""
    report = folder / "count.txt"
    qemu = ["qemu-aarch64", "-d", "plugin", "-D", str(report)]
    qemu += ["-plugin", f"{counter},inline=on"]
    done = subprocess.run([*qemu, *command], capture_output=True, check=True)
    match = re.search(r"insns (\d+)", report.read_text())
    assert match is not None
    return int(match[1]), done.stdout


def ours(name: str, level: int, counter: Path | None, folder: Path) -> tuple[int, bytes]:
    executable = folder / name
    driver.build([FOLDER / f"{name}.sox"], executable, "exe", driver.Options(level=level))
    if counter is not None:
        return count(counter, [str(executable)], folder)
    output = folder / "output"
    with output.open("wb") as stream:
        result = run(executable, [], on="emulator", stdout=stream.fileno(), count_instructions=True)
    assert result.instructions is not None
    return result.instructions, output.read_bytes()


def main() -> int:
    parser = argparse.ArgumentParser(description="Sox against Lua 5.4, executed instructions")
    parser.add_argument("names", nargs="*")
    parser.add_argument("-O", type=int, default=1, dest="level")
    options = parser.parse_args()
    names = options.names or sorted(path.stem for path in FOLDER.glob("*.sox"))
    root = os.environ.get("LUA_ROOT")
    ratios = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        counter = plugin(folder)
        print(f"{'program':<18}{'Sox -O' + str(options.level):>16}{'Lua 5.4':>16}{'Lua / Sox':>11}")
        for name in names:
            expected = (FOLDER / f"{name}.out").read_bytes()
            own, output = ours(name, options.level, counter, folder)
            if output != expected:
                print(f"{name}: prints {output!r}, not {expected!r}")
                return 1
            if root is None or counter is None:
                print(f"{name:<18}{own:>16,}")
                continue
            lua = [f"{root}/usr/bin/lua5.4", str(FOLDER / f"{name}.lua")]
            os.environ["QEMU_LD_PREFIX"] = root
            theirs, output = count(counter, lua, folder)
            assert output == expected, f"{name}.lua prints {output!r}"
            ratios.append(theirs / own)
            print(f"{name:<18}{own:>16,}{theirs:>16,}{theirs / own:>11.2f}", flush=True)
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"{'geometric mean':<50}{mean:>11.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
