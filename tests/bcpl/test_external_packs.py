"""Packs to C functions compiled by Clang and back: registers, stack, results, callbacks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from callproof import driver
from tests.support.clang import ZIG_CC
from tests.test_programs import output_of

HERE = Path(__file__).parent
PROGRAM = HERE / "external_packs.bcl"
EXPECTED = HERE / "external_packs.out"


@pytest.fixture(scope="module")
def item(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("packs") / "packs.o"
    flags = ["-O2", "-fno-sanitize=all", "-c", str(HERE / "external_packs.c")]
    subprocess.run([*ZIG_CC, *flags, "-o", str(found)], check=True)
    return found


@pytest.mark.parametrize("level", [0, 1, 2])
def test_packs_into_c_and_back(level: int, item: Path, tmp_path: Path) -> None:
    executable = tmp_path / "program"
    driver.build([PROGRAM, item], executable, "exe", driver.Options(level=level, verify=True))
    assert output_of(executable, poison=False) == EXPECTED.read_bytes()
    assert output_of(executable, poison=True) == EXPECTED.read_bytes()


def test_with_poison_inside(item: Path, tmp_path: Path) -> None:
    executable = tmp_path / "program"
    options = driver.Options(verify=True, poison=True)
    driver.build([PROGRAM, item], executable, "exe", options)
    assert output_of(executable, poison=False) == EXPECTED.read_bytes()
