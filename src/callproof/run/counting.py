"""Executed instructions of programs: under qemu with a plugin of ours, or in the emulator.

qemu is some thirty times as fast, but needs a C compiler for the plugin and knows the
interface that the plugin is written for only up to its version 8.2.  So it is tried first
with a program that is known to end, and the emulator does what it cannot.  The two agree but
for some tens of instructions of a program's start; what is compared must be counted by one.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callproof.run.launch import run
from callproof.run.limits import TIMEOUT_STATUS, Limits

PLUGIN = Path(__file__).parent / "count_plugin.c"
QEMU = {"aarch64": "qemu-aarch64", "x86_64": "qemu-x86_64"}
REPORT = re.compile(r"^executed (\d+)$", re.MULTILINE)
# The same for all that is counted: start-up code walks over the environment.
ENVIRONMENT = {"CALLPROOF_SEED": "1"}


@dataclass(slots=True, frozen=True)
class Counted:
    """One run: its exit status (124 past the limit), both streams' text, instructions if ended."""

    status: int
    output: bytes
    errors: bytes
    instructions: int | None


@dataclass(slots=True, frozen=True)
class Counter:
    """`qemu` and `plugin` are paths, or both empty for the emulator."""

    qemu: str = ""
    plugin: str = ""

    @property
    def place(self) -> str:
        return Path(self.qemu).name if self.qemu else "the emulator"

    def count(
        self,
        executable: Path,
        seconds: float | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Counted:
        """Run a static Linux executable without input; `seconds` limits the time it takes.

        Raises `CallproofError` for what is no executable.
        """
        environment = ENVIRONMENT if environment is None else environment
        if self.qemu:
            return self._under_qemu(executable, seconds, environment)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            with open("/dev/null", "rb") as nothing:
                result = run(
                    executable,
                    [],
                    on="emulator",
                    count_instructions=True,
                    stdin=nothing.fileno(),
                    stdout=output.fileno(),
                    stderr=errors.fileno(),
                    environment=environment,
                    limits=Limits(seconds=seconds),
                    name="program",
                )
            output.seek(0)
            errors.seek(0)
            return Counted(result.exit_status, output.read(), errors.read(), result.instructions)

    def _under_qemu(
        self, executable: Path, seconds: float | None, environment: Mapping[str, str]
    ) -> Counted:
        with tempfile.TemporaryDirectory(prefix="callproof-") as folder:
            report = Path(folder) / "report"
            words = [self.qemu, "-0", "program", "-d", "plugin", "-D", str(report)]
            words += ["-plugin", self.plugin, str(executable.absolute())]
            try:
                done = subprocess.run(
                    words,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired as late:
                return Counted(TIMEOUT_STATUS, late.stdout or b"", late.stderr or b"", None)
            found = REPORT.search(report.read_text() if report.exists() else "")
        # qemu ends itself by the signal that ended the program.
        status = 128 - done.returncode if done.returncode < 0 else done.returncode
        return Counted(status, done.stdout, done.stderr, int(found[1]) if found else None)


def find_counter(machine: str, folder: Path, trial: Path) -> Counter:
    """The fastest counter that works: `trial` is a program that ends with 0.

    The plugin is built in `folder`, which must stay as long as the counter is used.
    """
    qemu = shutil.which(QEMU.get(machine, ""))
    plugin = folder / "count_plugin.so"
    if qemu and _built(plugin):
        counter = Counter(qemu, str(plugin))
        counted = counter.count(trial, 60)
        if counted.status == 0 and counted.instructions:
            return counter
    return Counter()


def _built(plugin: Path) -> bool:
    """Build the plugin with the first C compiler that can."""
    compilers = [[path] for name in ("gcc", "cc", "clang") if (path := shutil.which(name))]
    if importlib.util.find_spec("ziglang") is not None:
        compilers.append([sys.executable, "-m", "ziglang", "cc"])
    flags = ["-O2", "-shared", "-fPIC", "-o", str(plugin), str(PLUGIN)]
    return any(
        subprocess.run([*compiler, *flags], capture_output=True, check=False).returncode == 0
        for compiler in compilers
    )
