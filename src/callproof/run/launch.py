"""`run`: choose where a program runs, run it there, say how it ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from callproof.object.macho_read import is_macho
from callproof.run.limits import Limits
from callproof.run.loader import load, read_executable
from callproof.run.native import is_native, run_native
from callproof.run.process import Stream, open_file
from callproof.run.qemu import find_qemu, run_qemu
from callproof.source import CallproofError

PLACES = ("native", "qemu", "emulator")


@dataclass(slots=True)
class RunResult:
    """How a program ended.

    exit_status   its own; 128 + n for signal n, as a shell has it; 3 if `trace_calls` saw
                  a register that was not preserved; 124 past the time limit
    on            where it ran: 'native', 'qemu' or 'emulator'
    instructions  executed, if they were counted
    violations    registers not preserved, as `trace_calls` reported them
    poisoned      how often `poison` filled the registers
    """

    exit_status: int
    on: str
    instructions: int | None = None
    violations: int = 0
    poisoned: int = 0


def choose(on: str | None, *, must_emulate: bool, machine: str = "aarch64") -> str:
    """Where to run: as asked, else the host itself, else qemu, else the emulator.

    Raises `CallproofError` for an unknown place or one that cannot do what is wanted.
    """
    if on is not None and on not in PLACES:
        raise CallproofError(f"--on {on}: there is {', '.join(PLACES)}")
    if machine != "aarch64" and on == "qemu":
        raise CallproofError(
            f"--on qemu: that is for AArch64; a program for {machine} runs "
            "natively or in the emulator"
        )
    if must_emulate:
        if on not in (None, "emulator"):
            raise CallproofError(
                "poisoning, tracing and counting need the emulator; "
                f"they cannot be had with --on {on}"
            )
        return "emulator"
    if on is not None:
        return on
    if is_native(machine):
        return "native"
    return "qemu" if machine == "aarch64" and find_qemu() else "emulator"


def run(
    executable: Path | bytes,
    arguments: Sequence[str],
    *,
    on: str | None = None,
    poison: bool = False,
    strict: bool = False,
    trace_calls: TextIO | None = None,
    count_instructions: bool = False,
    stdin: Stream | None = None,
    stdout: Stream | None = None,
    stderr: Stream | None = None,
    environment: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    name: str | None = None,
    notes: TextIO | None = None,
) -> RunResult:
    """Run a Linux executable (AArch64 or x86-64) and wait for its end.

    One that is loaded with shared libraries runs natively or under qemu only.

    on                  'native', 'qemu', 'emulator', or None for the first that can be had
    poison              fill with rubbish what calls may change (`poison.py`); `strict` does
                        it in all code, not only where there are function records
    trace_calls         where to write the call trace (`trace.py`)
    count_instructions  count them exactly
    stdin stdout stderr descriptors or binary streams; None for this process's own
    environment         the program's; None for this process's own
    name                argv[0]; None for the file's path
    notes               where to tell of system calls that the emulator does not provide

    Raises `CallproofError` for a file that cannot be run.
    """
    limits = limits or Limits()
    must_emulate = poison or trace_calls is not None or count_instructions
    choose(on, must_emulate=must_emulate)
    data = executable if isinstance(executable, bytes) else read_executable(executable)
    name = name or ("program" if isinstance(executable, bytes) else str(executable))
    if is_macho(data):
        raise CallproofError(
            f"{name}: a program for macOS, which cannot be run here: "
            "`callproof build` makes it, a Mac runs it"
        )
    image = load(data, name, any_machine=True, any_loader=True)
    place = choose(on, must_emulate=must_emulate, machine=image.machine)
    if image.interpreter and place == "emulator":
        raise CallproofError(
            f"{name}: it is loaded with shared libraries by {image.interpreter}, which the "
            "emulator does not do; link it without --dynamic, or run it natively or under qemu"
        )
    if poison and not strict and not image.records:
        raise CallproofError(
            f"{name}: it has no function records (its code was not compiled by Callproof, or "
            "it was stripped), so there is no code that --poison may assume to follow the ABI"
        )
    environment = os.environ if environment is None else environment
    files = {0: open_file(stdin, 0), 1: open_file(stdout, 1), 2: open_file(stderr, 2)}
    # What was printed before must come out before what the program prints.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    if place == "native":
        status = run_native(
            executable, arguments, environment, files, name, limits.seconds, image.machine
        )
        return RunResult(status, place)
    if place == "qemu":
        status = run_qemu(
            executable,
            arguments,
            environment,
            files,
            name,
            limits.stack_bytes,
            limits.seconds,
            image.interpreter,
        )
        return RunResult(status, place)
    try:
        from callproof.run.emulator import Emulator
    except ImportError as error:
        raise CallproofError(f"the emulator needs the package 'unicorn': {error}") from error
    emulator = Emulator(
        image,
        arguments,
        environment,
        files=files,
        name=name,
        limits=limits,
        notes=notes,
    )
    outcome = emulator.run(
        poison=poison,
        strict=strict,
        trace_calls=trace_calls,
        count_instructions=count_instructions,
    )
    return RunResult(
        outcome.exit_status,
        place,
        outcome.instructions,
        outcome.violations,
        outcome.poisoned,
    )
