"""System calls that fail, one after the other, and kills: the old output stays or the new one is
whole, and the user is told in a line.

`strace` makes the calls fail; those of Python's start and imports are let through.  Of what
`make` builds once (runtimes), nothing is missing here.
`CALLPROOF_FAULTS=N` tries N places of each kind instead of one, 0 all of them.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

OLD = b"what was there before"
EXAMPLES = Path(__file__).parent.parent / "examples"
PLACES = int(os.environ.get("CALLPROOF_FAULTS", "1"))
KILLS = int(os.environ.get("CALLPROOF_KILLS", "2"))
OUTPUT = "program"
# Imports everything by doing each command once; then does one in a new process for each line that
# it reads.  That stops at first, so that it can be traced.
SERVER = """
import os, signal, sys
from callproof.cli import main
def once(words):
    sys.argv = ["callproof", *words]
    try:
        main()
    except SystemExit as ended:
        return ended.code or 0
    return 0
def renewed(number):
    opened = os.open(f"to{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(opened, number)
    os.close(opened)
for line in sys.stdin:
    count, *words = line.split()
    child = os.fork()
    if child == 0:
        renewed(1), renewed(2)
        if count == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        sys.exit(once(words))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    if count == "warm":
        once(words)
"""
HELLO = 'LET add(a, b) = a + b\nLET START() BE WRITEF("%N*N", add(2, 3))\n'
COMMANDS = {
    "link": f"link hello.o -o {OUTPUT}",
    "build": f"build hello.bcl -g -o {OUTPUT}",
    "listing": f"build hello.bcl --emit asm -o {OUTPUT}",
    "macos": f"build hello.bcl --target aarch64-macos -o {OUTPUT}",
}
# Calls and the errors that they may end with.
FAULTS = {
    "write": ("ENOSPC", "EIO", "EDQUOT"),
    "openat": ("ENOSPC", "EIO", "EMFILE"),
    "rename,?renameat,?renameat2": ("EIO", "EDQUOT"),
    "chmod,?fchmodat": ("EIO",),
    "read": ("EIO",),
    "close": ("EIO",),
    "newfstatat,?fstat,?statx": ("EIO",),
    "mmap": ("ENOMEM",),
    "ftruncate,?fsync": ("EIO",),
}


@cache
def cannot_trace() -> str:
    """Why system calls cannot be made to fail here; '' if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    command = ["strace", "-f", "-o", os.devnull, "-e", "inject=getppid:error=EIO", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"strace cannot trace: {done.stderr.strip()[:100]}" if done.returncode else ""


def calls_in(log: Path, kind: str) -> int:
    pattern = rf"(?m)^(?:\d+\s+)?(?:{'|'.join(kind.replace('?', '').split(','))})\("
    return len(re.findall(pattern, log.read_text(errors="replace")))


class Runner:
    """Commands in a folder, each in a process of its own that has everything imported."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.log = folder, folder.parent / "log"
        (folder / "hello.bcl").write_text(HELLO)
        self.errors = folder / "to2"
        self.server = subprocess.Popen(
            [sys.executable, "-B", "-c", SERVER],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self.run("build hello.bcl --emit obj -o hello.o", "warm") == 0
        assert self.run("link nothing.o -o nothing", "warm") == 1

    def start(self, words: str, how: str = "go") -> int:
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write(f"{how} {words}\n")
        return int(self.server.stdout.readline())

    def ended(self) -> int:
        assert self.server.stdout is not None
        return int(self.server.stdout.readline())

    def run(self, words: str, how: str = "go") -> int:
        self.start(words, how)
        return self.ended()

    def traced(self, words: str, *options: str) -> int:
        """The exit status; the process is stopped until strace has it."""
        child = self.start(words, "stopped")
        while Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)
        command = ["strace", "-f", "-o", str(self.log), *options, "-p", str(child)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            first = tracer.stderr.readline()
            os.kill(child, signal.SIGCONT)
            assert "attached" in first, first
            status = self.ended()
            tracer.stderr.read()
        return status

    def files(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} - {OUTPUT}

    def close(self) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    made = Runner(tmp_path_factory.mktemp("faults") / "work")
    yield made
    made.close()


def chosen(count: int, source: random.Random) -> list[int]:
    """Numbers from 1 to `count`; the last ones are the writer's."""
    if not PLACES or count <= PLACES:
        return list(range(1, count + 1))
    near = source.randrange(max(1, count - 7), count + 1)
    return sorted({near, *source.sample(range(1, count + 1), PLACES - 1)})


@pytest.mark.parametrize("name", COMMANDS)
def test_system_calls_that_fail(name: str, runner: Runner) -> None:
    if cannot_trace():
        pytest.skip(cannot_trace())
    words, output = COMMANDS[name], runner.folder / OUTPUT
    assert runner.run(words, "warm") == 0
    source = random.Random(name)
    new = output.read_bytes()
    given = runner.files()
    failed = 0
    for kind, errors in FAULTS.items():
        assert runner.traced(words, "-e", f"trace={kind}") == 0
        for number in chosen(calls_in(runner.log, kind), source):
            error, is_once = source.choice(errors), source.random() < 0.3
            before = source.choice((OLD, None))
            output.unlink(missing_ok=True)
            if before is not None:
                output.write_bytes(before)
            when = f"{number}{'' if is_once else '+'}"
            fault = f"inject={kind}:error={error}:when={when}"
            status = runner.traced(words, "-e", f"trace={kind}", "-e", fault)
            said = runner.errors.read_text(errors="replace")
            what = f"{fault}: {status} {said!r}"
            found = output.read_bytes() if output.exists() else None
            assert status in (0, 1) and "Traceback" not in said, what
            assert found == (before if status else new), what
            assert runner.files() == given, what
            failed += status
            # A message is written too.
            if status and (is_once or kind != "write"):
                assert re.fullmatch(r"error: .*\n", said), what
    assert failed >= 3


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment(name: str, runner: Runner) -> None:
    words, output = COMMANDS[name], runner.folder / OUTPUT
    assert runner.run(words, "warm") == 0
    start = time.monotonic()
    assert runner.run(words) == 0
    whole = time.monotonic() - start
    new = output.read_bytes()
    given = runner.files()
    source = random.Random(name)
    for _ in range(KILLS):
        output.write_bytes(OLD)
        child = runner.start(words)
        time.sleep(whole * source.uniform(0.1, 1.1))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        status = runner.ended()
        found = output.read_bytes()
        assert found in (OLD, new) and (status or found == new)
        for name_ in runner.files() - given:
            assert re.fullmatch(rf"\.{OUTPUT}\.\w{{8}}", name_)  # nobody could clean up
            (runner.folder / name_).unlink()
    assert runner.run(words) == 0 and output.read_bytes() == new


@pytest.mark.parametrize("words", ["asm {}", "ir {}", "check --explain CR1", "--version", "--help"])
def test_output_that_cannot_be_written(words: str) -> None:
    code = "from callproof.cli import main; main()"
    command = [sys.executable, "-c", code, *words.format(EXAMPLES / "hello.bcl").split()]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: input or output failed: No space left on device\n"
