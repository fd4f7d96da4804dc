"""NewBCPL and Sox programs that the system's loader loads, or that relocate themselves."""

from __future__ import annotations

import io
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from callproof import driver
from callproof.cli.options import loading
from callproof.driver import Options
from callproof.link import LinkOptions
from callproof.link.search import find_shared, system_folders
from callproof.run import run
from callproof.source import CallproofError
from tests.support.shared_libraries import why_not
from tests.test_cli import callproof

PROGRAMS = Path(__file__).parent / "programs"
SQLITE = PROGRAMS / "dynamic" / "sqlite.bcl"
SQLITE_OUTPUT = """0
0
 name=one size=1
 name=three size=3
 name=two size=2
3 rows
27
3
closed: 0
"""
# Where an unpacked libsqlite3 for ARM64 is, if not where the system keeps its own.
ARM64_LIBRARIES = os.environ.get("CALLPROOF_ARM64_LIBRARIES", "")
MACHINES = ("x86_64", "aarch64")
LINKS = {
    "static-pie": LinkOptions(pie=True),
    "dynamic": LinkOptions(dynamic=True),
    "dynamic-pie": LinkOptions(dynamic=True, pie=True, relr=True),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_program_calls_sqlite_and_libm(machine: str, tmp_path: Path) -> None:
    if reason := why_not(machine):
        pytest.skip(reason)
    own = [Path(ARM64_LIBRARIES)] if machine == "aarch64" and ARM64_LIBRARIES else []
    try:
        (found,) = find_shared("sqlite3", [*own, *system_folders(machine)], machine)
    except CallproofError as error:
        pytest.skip(str(error))
    output = tmp_path / "program"
    words = ["-l", "sqlite3", "-l", "m", "--rpath", str(Path(str(found)).parent)]
    words += [word for folder in own for word in ("-L", str(folder))]
    target = ["--target", f"{machine}-linux"]
    done = callproof("build", SQLITE, "--dynamic", *words, *target, "-o", output)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    stream = io.BytesIO()
    assert run(output, [], stdout=stream).exit_status == 0
    assert stream.getvalue().decode() == SQLITE_OUTPUT
    with output.open("rb") as file:
        table: Any = ELFFile(file).get_section_by_name(".dynamic")
        needed = [tag.needed for tag in table.iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
    assert needed == ["libsqlite3.so.0", "libm.so.6", "libc.so.6"]


def output_of(source: Path, machine: str, link: LinkOptions, folder: Path) -> str:
    options = Options(target=f"{machine}-linux", link=link)
    path, _ = driver.build([source], folder / "program", "exe", options)
    stream = io.BytesIO()
    result = run(path, [], stdout=stream, stderr=stream, name="program")
    return f"{result.exit_status}\n{stream.getvalue().decode()}"


CASES = [
    ("bcpl/c_qsort.bcl", "static-pie"),
    ("bcpl/c_qsort.bcl", "dynamic"),
    ("bcpl/c_output_order.bcl", "dynamic-pie"),
    ("sox/gc_cycles.sox", "dynamic-pie"),
    ("sox/gc_cycles.sox", "static-pie"),
]


@pytest.mark.parametrize(("name", "kind"), CASES)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_program_prints_what_the_static_one_prints(
    machine: str, name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = LINKS[kind]
    if link.dynamic and (reason := why_not(machine)):
        pytest.skip(reason)
    monkeypatch.setenv("CALLPROOF_GC_STRESS", "1")
    source = PROGRAMS / name
    expected = source.with_suffix(".out").read_text()
    assert output_of(source, machine, link, tmp_path) == f"0\n{expected}"


def test_the_emulator_says_that_it_loads_no_libraries(tmp_path: Path) -> None:
    if reason := why_not("x86_64"):
        pytest.skip(reason)
    output = tmp_path / "program"
    words = ["--target", "x86_64-linux", "--dynamic", "--pie", "-o", str(output)]
    assert callproof("build", PROGRAMS / "bcpl" / "c_qsort.bcl", *words).returncode == 0
    done = callproof("run", "--on", "emulator", output)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "it is loaded with shared libraries by /lib64/ld-linux-x86-64.so.2" in done.stderr


@pytest.mark.parametrize(
    ("machine", "kind"),
    [("aarch64", "static-pie"), ("aarch64", "dynamic-pie"), ("x86_64", "dynamic")],
)
def test_the_checker_reads_them(machine: str, kind: str, tmp_path: Path) -> None:
    link = LINKS[kind]
    if link.dynamic and (reason := why_not(machine)):
        pytest.skip(reason)
    options = Options(target=f"{machine}-linux", link=link)
    path, _ = driver.build(
        [PROGRAMS / "bcpl" / "c_qsort.bcl"], tmp_path / "program", "exe", options
    )
    done = callproof("check", path)
    assert (done.returncode, " 0 errors, 0 warnings" in done.stdout) == (0, True), done.stdout


def test_options_that_make_no_sense_are_told(tmp_path: Path) -> None:
    with pytest.raises(CallproofError, match="--rpath is of use with --dynamic only"):
        loading(pie=True, dynamic=False, rpath=["/x"])
    with pytest.raises(CallproofError, match="--relr is of use with --pie or --dynamic only"):
        loading(pie=False, dynamic=False, relr=True)
    source, output = PROGRAMS / "bcpl" / "c_qsort.bcl", tmp_path / "out"
    dynamic = Options(target="x86_64-linux", link=LinkOptions(dynamic=True))
    with pytest.raises(CallproofError, match=r"-l nowhere: there is no libnowhere\.so"):
        driver.build([source], output, "exe", replace(dynamic, libraries=("nowhere",)))
    if not why_not("x86_64"):
        with pytest.raises(CallproofError, match="these options are the builtin linker's"):
            driver.build([source], output, "exe", replace(dynamic, linker="system"))
    assert not output.exists()


def test_routines_are_the_programs_own(tmp_path: Path) -> None:
    """A routine of the name of a function of the library is not the library's."""
    if reason := why_not("x86_64"):
        pytest.skip(reason)
    source = tmp_path / "own.bcl"
    source.write_text(
        'LET write(a, b, c) = VALOF $( WRITES("mine*N") RESULTIS c $)\n'
        'LET START() BE $( write(1, 2, 3) WRITES("end*N") $)\n'
    )
    options = Options(target="x86_64-linux", link=LinkOptions(dynamic=True, pie=True))
    path, _ = driver.build([source], tmp_path / "own", "exe", options)
    done = subprocess.run([path], capture_output=True, text=True, check=True)
    assert done.stdout == "mine\nend\n"
    with path.open("rb") as file:
        table: Any = ELFFile(file).get_section_by_name(".dynsym")
        defined = [s.name for s in table.iter_symbols() if s["st_shndx"] != "SHN_UNDEF"]
    assert defined == []
