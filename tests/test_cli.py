"""The command line as a person uses it, and the commands of the README."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from callproof import driver

ROOT = Path(__file__).parent.parent
HELLO = ROOT / "examples" / "hello.bcl"


def callproof(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from callproof.cli import main; main()", *map(str, words)]
    environment = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, check=False, env=environment
    )


def test_build_then_run(tmp_path: Path) -> None:
    output = tmp_path / "hello"
    done = callproof("build", HELLO, "-o", output)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert output.stat().st_mode & 0o777 == 0o755
    done = callproof("run", output)
    assert (done.returncode, done.stdout) == (0, "Hello from NewBCPL\n")


@pytest.mark.parametrize("emit", ["obj", "asm", "ir"])
def test_what_is_emitted_can_be_used_again(emit: str, tmp_path: Path) -> None:
    suffix = {"obj": ".o", "asm": ".s", "ir": ".ir"}[emit]
    middle = tmp_path / f"hello{suffix}"
    assert callproof("build", HELLO, "-o", middle, "--emit", emit).returncode == 0
    output = tmp_path / "hello"
    if emit == "asm":  # Clang assembles the listing; its object links with ours
        from tests.support.clang import ZIG_CC

        object_file = tmp_path / "hello.o"
        subprocess.run([*ZIG_CC, "-c", str(middle), "-o", str(object_file)], check=True)
        middle = object_file
    if emit == "ir":
        done = callproof("build", middle, "-o", output)
    else:
        done = callproof("link", middle, "-o", output)
    assert done.returncode == 0, done.stderr
    assert callproof("run", output).stdout == "Hello from NewBCPL\n"


def test_listing_of_one_function() -> None:
    done = callproof("asm", ROOT / "examples" / "fib.bcl", "--function", "fib")
    assert done.returncode == 0
    assert "keep 'n' across" in done.stdout
    assert "\x1b" not in done.stdout, "no colour but on a terminal"


def test_unknown_function_is_named_with_a_suggestion() -> None:
    done = callproof("asm", ROOT / "examples" / "fib.bcl", "--function", "fob")
    assert done.returncode == 1
    assert "has no function 'fob'; did you mean 'fib'?" in done.stderr


def test_errors_have_a_place_and_status_1(tmp_path: Path) -> None:
    source = tmp_path / "bad.bcl"
    source.write_text("LET START() BE $(\n    WRITEN(nothing)\n$)\n")
    output = tmp_path / "bad"
    output.write_text("as it was")
    done = callproof("build", source, "-o", output)
    assert done.returncode == 1
    assert f"{source}:2:12: error: name 'nothing' is not declared" in done.stderr
    assert "|     WRITEN(nothing)\n      |            ^~~~~~~" in done.stderr
    assert output.read_text() == "as it was"


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["run"], 2, "Missing argument"),
        (["build", "nowhere.bcl"], 1, "cannot read nowhere.bcl"),
        (["build", "README.md"], 1, "what language is '.md'"),
        (["build", "examples/hello.bcl", "--emit", "elf"], 1, "--emit elf"),
        (["build", "examples/hello.bcl", "-O0", "-O2"], 2, "one of -O0, -O1, -O2"),
        (["build", "examples/hello.bcl", "--target", "aarch64-windows"], 1, "there is no runtime"),
        (
            ["build", "examples/hello.bcl", "--target", "aarch64-windows", "--emit", "obj"],
            1,
            "objects for aarch64-windows cannot be written yet",
        ),
        (["build", "examples/hello.bcl", "--target", "vax"], 1, "unknown target 'vax'"),
        (["run", "--on", "moon", "examples/hello.bcl"], 1, "--on moon"),
        (["ir", "examples/hello.bcl", "--print-after", "magic"], 1, "no pass 'magic'"),
        (["link", "examples/hello.bcl", "-o", "/tmp/x"], 1, "neither an ELF object"),
    ],
)
def test_wrong_use_is_told(words: list[str], status: int, text: str) -> None:
    done = callproof(*words, cwd=ROOT)
    assert done.returncode == status
    assert text in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_output_cannot_overwrite_the_source(tmp_path: Path) -> None:
    source = tmp_path / "hello.bcl"
    source.write_text(HELLO.read_text())
    done = callproof("build", source, "-o", source)
    assert done.returncode == 1
    assert "would overwrite an input" in done.stderr
    assert source.read_text() == HELLO.read_text()


def test_ir_after_a_pass() -> None:
    done = callproof("ir", ROOT / "examples" / "fib.bcl", "--print-after", "gvn")
    assert done.returncode == 0
    assert done.stdout.startswith("; after gvn\n")
    assert "call @fib" in done.stdout


def test_time_passes_goes_to_standard_error() -> None:
    done = callproof("asm", HELLO, "--time-passes")
    assert done.returncode == 0
    for stage in ("front end", "gvn", "select", "allocate", "emit"):
        assert stage in done.stderr
    assert "time by stage" not in done.stdout


def test_exit_status_and_arguments_are_the_programs_own(tmp_path: Path) -> None:
    source = tmp_path / "status.bcl"
    source.write_text('LET START() BE $( WRITES("bye*N") EXIT(7) $)\n')
    for on in ("emulator",):
        done = callproof("run", "--on", on, source, "--not-ours")
        assert (done.returncode, done.stdout) == (7, "bye\n")


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", "x86_64-linux"),
        ("linux", "aarch64", "aarch64-linux"),
        ("linux", "riscv64", "aarch64-linux"),
        ("darwin", "arm64", "aarch64-linux"),
        ("win32", "AMD64", "aarch64-linux"),
    ],
)
def test_what_runs_at_once_is_for_the_host(
    system: str, machine: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert driver.target_for_run([]) == expected
    assert driver.target_for_run([], "qemu") == "aarch64-linux"


@pytest.mark.parametrize("target", ["aarch64-linux", "x86_64-linux"])
@pytest.mark.parametrize("archived", [False, True])
def test_or_for_the_machine_of_what_it_is_linked_with(
    target: str, archived: bool, tmp_path: Path
) -> None:
    from callproof.object import write_archive

    file, _ = driver.build([HELLO], tmp_path / "hello.o", "obj", driver.Options(target=target))
    if archived:
        content = file.read_bytes()
        file = tmp_path / "hello.a"
        file.write_bytes(write_archive([("hello.o", content)]))
    assert driver.target_for_run([file]) == target


def test_version_and_help() -> None:
    from callproof import __version__

    assert callproof("--version").stdout.startswith(f"callproof {__version__} (")
    for command in ("run", "build", "asm", "ir", "link", "abi"):
        done = callproof(command, "--help")
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) > 10, "help worth reading"


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    return re.findall(r"^    \.venv/bin/(callproof .*)$", text, re.MULTILINE)


def test_the_readme_shows_commands() -> None:
    assert len(readme_commands()) >= 9


def test_every_command_of_the_readme_works(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for command in readme_commands():
        done = callproof(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, (command, done.stderr)


def test_system_linker_gives_the_same_program(tmp_path: Path) -> None:
    import shutil

    if shutil.which("aarch64-linux-gnu-ld") is None:
        pytest.skip("no cross linker is installed: the refusal is tested elsewhere")
    output = tmp_path / "hello"
    done = callproof("build", HELLO, "-o", output, "--linker", "system")
    assert done.returncode == 0, done.stderr
    assert callproof("run", output).stdout == "Hello from NewBCPL\n"
