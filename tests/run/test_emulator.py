"""Programs in the emulator: Linux as they know it, faults explained, instructions counted."""

from __future__ import annotations

import io
import os
import signal
import struct
import sys
import threading
from pathlib import Path

import pytest

from callproof.link import link
from callproof.object.dwarf import FunctionLines, debug_sections
from callproof.object.model import ObjectFile, Section, Symbol
from callproof.run import Limits, run
from callproof.run.qemu import find_qemu
from callproof.source import CallproofError
from tests.run.programs import assembly, c_program, execute

# --- what programs get ----------------------------------------------------------------------


def test_arguments_streams_and_exit_status() -> None:
    ran = execute(c_program(), "hello", "wörld")
    assert (ran.out, ran.err, ran.status) == ("hello 3 3.142 wörld\n", "to stderr\n", 7)


def test_standard_input() -> None:
    text = b"line\n" * 5000 + b"no end"
    assert execute(c_program(), "cat", data=text).out.encode() == text


def test_descriptors_are_passed_through(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    with (
        (tmp_path / "in").open("rb") as source,
        (tmp_path / "out").open("wb") as target,
    ):
        run(
            c_program(),
            ["cat"],
            on="emulator",
            stdin=source.fileno(),
            stdout=target.fileno(),
        )
        os.write(target.fileno(), b".")  # still open
    assert (tmp_path / "out").read_bytes() == b"from a file."


def test_the_environment() -> None:
    ran = execute(c_program(), "environment", environment={"ANSWER": "42"})
    assert ran.out == "42\n"
    assert execute(c_program(), "environment", environment={}).out == "unset\n"


def test_files(tmp_path: Path) -> None:
    ran = execute(c_program(), "files", str(tmp_path / "file"))
    assert ran.out.splitlines() == [
        "stat: ok",
        "size 13 regular 1",
        "second",
        "at 13",
        "readv 7 fir st",
        "mapped first",
        "close: ok",
        "close again: Bad file descriptor",
        "rename: ok",
        "unlink: ok",
        "unlink again: No such file or directory",
        "open missing: No such file or directory",
        "directory as a file: Is a directory",
    ]
    assert list(tmp_path.iterdir()) == []


def test_memory() -> None:
    ran = execute(c_program(), "memory")
    assert ran.out.splitlines() == [
        "mprotect: ok",
        "munmap: ok",
        "too much: Out of memory",
        "right 1",
    ]


def test_time() -> None:
    assert execute(c_program(), "times").out == "slept 1, now 1\nbad clock: Invalid argument\n"


def test_errors_are_errno_and_not_the_end() -> None:
    notes = io.StringIO()
    ran = execute(c_program(), "errors", notes=notes)
    assert ran.out.splitlines() == [
        "write from nowhere: Bad address",
        "read to nowhere: ok",  # nothing is read at the end of the input
        "bad descriptor: Bad file descriptor",
        "seek a pipe: Invalid seek",
        "unknown call: Function not implemented",
        "unmap unaligned: Invalid argument",
        "terminal: Not a tty",
        "thread: Function not implemented",
    ]
    assert execute(c_program(), "errors", data=b"data").out.splitlines()[1] == (
        "read to nowhere: Bad address"
    )
    assert "system call 1999 is not provided" in notes.getvalue()


def test_various_calls() -> None:
    ran = execute(c_program(), "various", limits=Limits(stack_bytes=1 << 20))
    assert ran.out.splitlines() == [
        f"Linux aarch64, stack {1 << 20}",
        "random 16",
        "here 1",
        "pipe: ok",
        "poll 0",
        "poll 1",
        "read 2",
        "pids 1",
    ]


def test_deep_recursion_and_longjmp() -> None:
    assert execute(c_program(), "deep").out == "40000\n"
    assert execute(c_program(), "jumps").out.splitlines()[-1] == "round 3 came 5"


def test_a_closed_pipe_ends_the_writer_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = run(c_program(), ["hello"], on="emulator", stdout=writer, stderr=writer)
    finally:
        os.close(writer)
    assert result.exit_status == 128 + 13


def test_a_closed_pipe_is_reported_to_nobody() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    out = io.BytesIO()
    try:
        result = run(c_program(), ["null"], on="emulator", stdout=out, stderr=writer)
    finally:
        os.close(writer)
    assert result.exit_status == 139


@pytest.mark.skipif(find_qemu() is None, reason="qemu-aarch64 is not installed")
@pytest.mark.parametrize("what", ["hello", "cat", "jumps", "deep", "sort", "times", "null", "trap"])
def test_the_emulator_does_as_qemu_does(what: str) -> None:
    here = execute(c_program(), what, data=b"some\ninput")
    there = execute(c_program(), what, data=b"some\ninput", on="qemu")
    assert (here.out, here.status) == (there.out, there.status)


# --- faults ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "status", "message"),
    [
        ("null", 139, "segmentation fault (SIGSEGV): read at unmapped address 0x0"),
        ("overflow", 139, "stack overflow: the stack of 8 MiB is used up"),
        ("constant", 139, "write to read-only memory at 0x"),
        ("wild", 139, "jump to unmapped address 0x123450"),
        ("stale", 139, "read at unmapped address 0x"),
        ("abort", 134, "aborted (SIGABRT): the program ended itself with SIGABRT"),
        ("kill", 143, "the program ended itself with SIGTERM"),
        ("trap", 133, "trap (SIGTRAP): the program executed a breakpoint (0xd4200020)"),
    ],
)
def test_faults_have_a_signal_a_status_and_a_report(what: str, status: int, message: str) -> None:
    ran = execute(c_program(), what)
    assert ran.status == status
    assert ran.err.startswith("callproof: program: ")
    assert message in ran.err.splitlines()[0]


def test_a_fault_names_the_function_and_its_callers() -> None:
    lines = execute(c_program(), "null").err.splitlines()
    assert lines[1].startswith("  in read_through")
    assert lines[2].startswith("  called from middle+")
    assert lines[3].startswith("  called from main+")


def test_a_fault_names_the_source_line(tmp_path: Path) -> None:
    code = [0xD2800000, 0xF9400001]  # mov x0, #0; ldr x1, [x0]
    text = Section(".text", "code", struct.pack("<2I", *code), alignment=4)
    start = Symbol("_start", text, size=8, kind="function")
    lines = FunctionLines(start, "_start", 8, "prog.bcl", [(0, 10), (4, 11)])
    sections = [text, *debug_sections("prog.bcl", [lines])]
    link([ObjectFile("prog.o", sections=sections, symbols=[start])], tmp_path / "prog")
    ran = execute(tmp_path / "prog")
    assert ran.err.splitlines()[1].startswith("  in _start+0x4 (prog.bcl:11), at ")


def test_a_jump_to_nowhere_names_its_caller() -> None:
    assert "  called from main+" in execute(c_program(), "wild").err


def test_undefined_instructions() -> None:
    ran = execute(assembly(".globl _start\n_start: nop\n.word 0\n"))
    assert ran.status == 132
    assert "illegal instruction (SIGILL): undefined instruction (0x00000000)" in ran.err
    assert "in _start+0x4" in ran.err


def test_an_ignored_signal_is_ignored() -> None:
    ran = execute(c_program(), "raise ignored")
    assert (ran.out, ran.status) == ("alive\n", 0)


@pytest.mark.parametrize("count", [False, True])
def test_the_time_limit(count: bool) -> None:
    ran = execute(c_program(), "forever", limits=Limits(seconds=0.5), count=count)
    assert ran.status == 124
    assert "it ran for more than 0.5 seconds" in ran.err
    assert "in main" in ran.err


@pytest.mark.parametrize("count", [False, True])
def test_an_interrupt_stops_the_program(count: bool) -> None:
    # A shell starts its background jobs, hence perhaps these tests, with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            execute(c_program(), "forever", limits=Limits(seconds=20), count=count)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)


def test_too_many_arguments_are_refused() -> None:
    with pytest.raises(CallproofError, match="too long"):
        execute(c_program(), *["x" * 1000] * 3000)


def test_a_program_that_does_not_fit_is_refused() -> None:
    with pytest.raises(CallproofError, match="does not fit into memory"):
        execute(c_program(), limits=Limits(memory_bytes=1 << 20))


# --- counting -------------------------------------------------------------------------------

LOOP = """
.globl _start
_start:
    mov  x0, #1000
loop:
    subs x0, x0, #1
    tbz  x0, #0, even
    nop
even:
    cbnz x0, loop
    mov  x8, #172
    svc  #0
    mov  x0, #0
    {end}
"""
# 1, then 1000 times subs, tbz, cbnz and 500 times nop, then mov, svc, mov
LOOP_COUNT = 1 + 3 * 1000 + 500 + 3


def test_instructions_are_counted_exactly() -> None:
    ran = execute(assembly(LOOP.format(end="mov x8, #93\nsvc #0")), count=True)
    assert (ran.status, ran.result.instructions) == (0, LOOP_COUNT + 2)


@pytest.mark.parametrize("end", ["brk #0", ".word 0", "nop\nldr x1, [x0]\nnop\nnop", "br x0"])
def test_an_instruction_that_faults_does_not_count(end: str) -> None:
    ran = execute(assembly(LOOP.format(end=end)), count=True)
    completed = {"nop": 1, "br x": 1}.get(end[:3] if end[:3] == "nop" else end[:4], 0)
    assert ran.status in (132, 133, 139)
    assert ran.result.instructions == LOOP_COUNT + completed


def test_the_clock_does_not_disturb_the_program() -> None:
    """A stop from outside and a second start once made wrong sums, now and then."""
    text = LOOP.replace("#1000", "#0x40, lsl #16").format(end="mov x8, #93\nsvc #0")
    limits = Limits(seconds=100)
    assert (
        execute(assembly(text.replace("mov  x0, #0x", "movz x0, #0x")), limits=limits).status == 0
    )


def test_counting_is_the_same_every_time() -> None:
    counts = {execute(c_program(), "sort", count=True).result.instructions for _ in range(3)}
    assert len(counts) == 1


# --- where ----------------------------------------------------------------------------------


def test_what_needs_the_emulator_cannot_be_had_elsewhere() -> None:
    with pytest.raises(CallproofError, match="need the emulator"):
        execute(c_program(), on="qemu", trace=True)


def test_unknown_places_are_refused() -> None:
    with pytest.raises(CallproofError, match="there is native, qemu, emulator"):
        execute(c_program(), on="moon")


def test_native_says_why_it_cannot() -> None:
    if sys.platform == "linux" and os.uname().machine == "aarch64":
        assert execute(c_program(), "hello", on="native").status == 7
        return
    with pytest.raises(CallproofError, match="--on native: this host is"):
        execute(c_program(), on="native")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallproofError, match="cannot read"):
        execute(tmp_path / "nothing")


def test_importing_run_does_not_import_the_emulator() -> None:
    import subprocess

    code = "import sys, callproof.run; sys.exit('unicorn' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
