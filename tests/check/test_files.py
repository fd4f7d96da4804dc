"""The checker on whole files: our own, musl's, and damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from callproof import driver
from callproof.check import CheckOptions, check_bytes, check_file
from callproof.object import write_archive
from callproof.runtime import runtime_files
from callproof.source import CallproofError
from tests.check.assembled import FRAME, LEAVE, assemble_all, function

PROGRAMS = Path(__file__).parent.parent / "programs" / "bcpl"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.bcl"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0, 2])
def test_our_own_executables_are_clean(name: str, level: int, tmp_path: Path) -> None:
    path = tmp_path / name
    driver.build([PROGRAMS / f"{name}.bcl"], path, "exe", driver.Options(level=level))
    result = check_file(path)
    assert result.at_least("warning") == []
    (report,) = result.reports
    assert report.functions > 40
    assert set(report.unexplored) <= {"_start"}


def test_our_own_objects_are_clean(tmp_path: Path) -> None:
    for name in NAMES[::4]:
        path = tmp_path / f"{name}.o"
        driver.build([PROGRAMS / f"{name}.bcl"], path, "obj", driver.Options())
        assert check_file(path).at_least("warning") == []


# Looked at: LLVM leaves the register of a variable without a value as it is on a path that
# the source never takes (dn_comp's `m`).
MUSL_WARNINGS = {("dn_comp", "CR1")}


def test_the_runtime_and_musl_are_without_errors() -> None:
    files = runtime_files("aarch64-linux")
    for path in (files.crt1, files.libc, files.compiler_rt, *files.libraries.values()):
        result = check_file(path)
        assert result.problems == []
        assert result.at_least("error") == []
        warnings = {(finding.function, finding.rule) for finding in result.at_least("warning")}
        assert warnings <= MUSL_WARNINGS, path
        functions = sum(report.functions for report in result.reports)
        unexplored = sum(len(report.unexplored) for report in result.reports)
        assert unexplored <= 10 and functions >= 1


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    text = function("broken", f"{FRAME}mov x9, x0\nbl g\nadd x0, x0, x9\n{LEAVE}")
    text += '.section .eh_frame,"a"\n.long 12, 0, 0\n.long 8, 12, 99\n'
    return assemble_all({"broken": text}, folder)["broken"]


def test_each_member_of_an_archive_is_checked(broken: Path) -> None:
    archive = write_archive([("one.o", broken.read_bytes()), ("two.o", broken.read_bytes())])
    result = check_bytes(archive, "lib.a")
    assert [f.file for f in result.findings] == ["lib.a(one.o)", "lib.a(two.o)"]


def test_plain_code_is_checked_where_it_lies() -> None:
    code = bytes.fromhex("f303002a c0035fd6".replace(" ", ""))  # mov w19, w0; ret
    (finding,) = check_bytes(code, "code", CheckOptions(raw=True, base=0x8000)).at_least("note")
    assert (finding.rule, finding.address) == ("CS1", 0x8004)
    with pytest.raises(CallproofError, match="not a multiple of 4"):
        check_bytes(code, "code", CheckOptions(raw=True, base=2))


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"!<arch>\n", b"hello", b"\xcf\xfa\xed\xfe"])
def test_what_is_no_code_is_refused_with_a_reason(data: bytes) -> None:
    if data == b"!<arch>\n":
        assert check_bytes(data, "empty.a").reports == []
        return
    with pytest.raises(CallproofError, match="bad"):
        check_bytes(data, "bad")
