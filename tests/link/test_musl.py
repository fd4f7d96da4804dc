"""Linking what Clang compiled with musl: thread-local variables, constructors, the C library."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from tests.support.clang import ZIG_CC

from callproof.link import link
from callproof.run import run
from callproof.runtime import runtime_files

PROGRAM = r"""
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local int counter = 40;
static _Thread_local char zeroed[100];
static volatile int constructed;
extern int maybe(void) __attribute__((weak));

__attribute__((constructor)) static void first(void) { constructed = constructed * 2 + 1; }
__attribute__((constructor(101))) static void earlier(void) { constructed += 10; }
__attribute__((destructor)) static void last(void) { puts("destroyed"); }

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int main(int argc, char **argv) {
    int numbers[] = {5, 3, 9, 1, 7};
    char *copy = malloc(1 << 20);
    counter += 2;
    qsort(numbers, 5, sizeof *numbers, compare);
    errno = 0;
    strcpy(copy, "text");
    if (fopen("/nowhere/at/all", "r") != NULL) return 1;
    printf("%d %d %d %d\n", counter, zeroed[99], constructed, errno == ENOENT);
    printf("%d%d%d%d%d %s %.6f %d\n", numbers[0], numbers[1], numbers[2], numbers[3], numbers[4],
           copy, sin(1.0) + strtod("0.25", NULL), maybe ? maybe() : -1);
    printf("%d %s\n", argc, argc > 1 ? argv[1] : "-");
    return 3;
}
"""
EXPECTED = "42 0 21 1\n13579 text 1.091471 -1\n2 hello\ndestroyed\n"


@pytest.fixture(scope="module", params=["-O0", "-O2"])
def executable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("musl")
    source, middle, output = folder / "p.c", folder / "p.o", folder / "p"
    source.write_text(PROGRAM)
    options = [request.param, "-fno-sanitize=all", "-c", str(source), "-o", str(middle)]
    subprocess.run([*ZIG_CC, *options], check=True)
    files = runtime_files("aarch64-linux")
    link([files.crt1, middle, files.libc, files.compiler_rt], output)
    return output


def test_it_runs_in_the_emulator(executable: Path) -> None:
    with tempfile.TemporaryFile() as stream:
        result = run(executable, ["hello"], on="emulator", stdout=stream.fileno())
        stream.seek(0)
        assert (result.exit_status, stream.read().decode()) == (3, EXPECTED)


def test_it_runs_under_qemu(executable: Path) -> None:
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("qemu-aarch64 is not installed; the emulator's test says the same")
    done = subprocess.run(
        ["qemu-aarch64", str(executable), "hello"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, EXPECTED)


def test_the_thread_local_image_has_a_segment(executable: Path) -> None:
    with executable.open("rb") as stream:
        file = ELFFile(stream)
        (segment,) = [s for s in file.iter_segments() if s["p_type"] == "PT_TLS"]
        assert segment["p_filesz"] < segment["p_memsz"]
        table: Any = file.get_section_by_name(".init_array")
        assert table["sh_size"] == 16
