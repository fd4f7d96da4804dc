"""What a link leaves behind, whatever happens: the old output, or the new one; never a part.

And equal input gives equal output, wherever the files are and however Python hashes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.link.test_link import MAIN, calls, returns

from callproof.files import write_output
from callproof.link import link
from callproof.object import write_archive, write_elf
from callproof.source import CallproofError

RUN = "from callproof.cli import main; main()"
OLD = b"what was there before"
KILLS = int(os.environ.get("CALLPROOF_KILLS", "3"))  # of each signal


# --- faults of the system -----------------------------------------------------------------------


class Fault(Exception):
    """Not an error of the system: as if the process ended here."""


STEPS = ("tempfile.mkstemp", "os.fdopen", "os.umask", "os.chmod", "os.replace", "stream.write")
KINDS: dict[str, Callable[[], BaseException]] = {
    "full disk": lambda: OSError(28, "No space left on device"),
    "interrupt": KeyboardInterrupt,
    "ours": Fault,
}


def break_step(step: str, error: BaseException, patch: pytest.MonkeyPatch) -> None:
    """Let one step of the writer fail before it has done anything."""

    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    if step == "stream.write":
        real = os.fdopen

        def fdopen(*arguments: Any, **options: Any) -> Any:
            stream = real(*arguments, **options)

            class Broken:
                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *what: object) -> None:
                    stream.close()

                def write(self, data: bytes) -> None:
                    stream.write(data[: len(data) // 2])
                    stream.flush()
                    raise error

            return Broken()

        patch.setattr(os, "fdopen", fdopen)
    else:
        module, _, name = step.partition(".")
        patch.setattr({"os": os, "tempfile": tempfile}[module], name, fail)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [OLD, None], ids=["old", "none"])
def test_a_fault_at_any_step_leaves_the_old_output_and_nothing_else(
    step: str, kind: str, before: bytes | None, tmp_path: Path
) -> None:
    output = tmp_path / "program"
    if before is not None:
        output.write_bytes(before)
    error = KINDS[kind]()
    expected = CallproofError if isinstance(error, OSError) else type(error)
    descriptors = os.listdir("/proc/self/fd")
    with pytest.MonkeyPatch.context() as patch:
        break_step(step, error, patch)
        with pytest.raises(expected) as raised:
            write_output(output, b"new" * 1000, executable=True)
    if expected is CallproofError:
        assert str(raised.value) == f"error: cannot write {output}: No space left on device"
    assert [path.name for path in tmp_path.iterdir()] == (["program"] if before else [])
    assert before is None or output.read_bytes() == before
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def test_a_disk_that_is_full_in_earnest(tmp_path: Path) -> None:
    """By the limit of file sizes, in a process of its own."""
    output = tmp_path / "program"
    output.write_bytes(OLD)
    (tmp_path / "main.o").write_bytes(write_elf(returns("main", 1)))
    code = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); "
    code += RUN
    words = ["link", "main.o", "--no-runtime", "--entry", "main", "-o", "program"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        # Python would keep bytecode cut off at the limit, and not load it again.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "cannot write program: File too large" in done.stderr
    assert output.read_bytes() == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main.o", "program"]


# --- killed -----------------------------------------------------------------------------------

# A link that writes much: most of the kills are to meet the writer.
LARGE = 16 << 20


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_killed_at_any_moment(number: signal.Signals, tmp_path: Path) -> None:
    """`callproof link`, killed at random moments from its start to its end."""
    main = returns("main", 1)
    main.sections[0].data = bytes(main.sections[0].data).ljust(LARGE, b"\0")
    (tmp_path / "main.o").write_bytes(write_elf(main))
    output = tmp_path / "program"
    command = [sys.executable, "-c", RUN, "link", "main.o", "--no-runtime"]
    command += ["--entry", "main", "-o", "program"]
    start = time.monotonic()
    subprocess.run(command, cwd=tmp_path, check=True)
    whole = time.monotonic() - start
    new = output.read_bytes()
    assert len(new) > LARGE
    source = random.Random(int(number))
    for _ in range(KILLS):
        output.write_bytes(OLD)
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(whole * source.uniform(0.3, 1.1))
            process.send_signal(number)
            status = process.wait()
        found = output.read_bytes()
        assert found in (OLD, new)
        assert status != 0 or found == new
        left = [path for path in tmp_path.iterdir() if path.name.startswith(".program.")]
        # Nobody cleans up behind a process that is killed outright.
        assert number != signal.SIGINT or not left
        for path in left:
            path.unlink()


# --- reproducible --------------------------------------------------------------------------------


def program_files(folder: Path) -> list[str]:
    """Objects and an archive of a small program; their names."""
    folder.mkdir(parents=True)
    objects = [calls(f"f{n}", f"f{n + 1}") for n in range(20)]
    members = [(f"{file.name}", write_elf(file)) for file in [*objects[1:], returns("f20", 7)]]
    (folder / "main.o").write_bytes(write_elf(calls("main", "f0")))
    (folder / "first.o").write_bytes(write_elf(objects[0]))
    (folder / "lib.a").write_bytes(write_archive(members))
    return ["main.o", "first.o", "lib.a"]


def test_equal_input_gives_equal_output_anywhere(tmp_path: Path) -> None:
    """Other folders, relative and absolute names, other seeds of Python's hashes."""
    images = set()
    for number, seed in enumerate(("0", "1", "4711")):
        folder = tmp_path / f"folder{'-longer' * number}"
        names = program_files(folder)
        where = folder if number != 1 else tmp_path
        inputs = names if number != 1 else [str(folder / name) for name in names]
        command = [sys.executable, "-c", RUN, "link", *inputs, "--no-runtime"]
        command += ["--entry", "main", "--build-id", "--icf", "safe", "-o", str(folder / "out")]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, cwd=where, env=environment, check=True)
        images.add((folder / "out").read_bytes())
    assert len(images) == 1


def test_linking_again_in_one_process_gives_the_same(tmp_path: Path) -> None:
    """Members of archives are remembered from link to link, and must not be changed by one."""
    names = [tmp_path / "in" / name for name in program_files(tmp_path / "in")]
    for number in range(3):
        link(names, tmp_path / str(number), MAIN)
    images = {(tmp_path / str(number)).read_bytes() for number in range(3)}
    assert len(images) == 1
