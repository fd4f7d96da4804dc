"""The kinds of bugs that real code has had, and the same code put right.

Each `real_bugs/NAME.s` says in its first lines what it is, and what must be found in it
(`// expect: RULE register, ...`), under which profile and (if not an error) with which
severity.  With FIXED it must be clean.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from callproof.check import CheckOptions, check_file
from tests.check.assembled import assemble_all

FOLDER = Path(__file__).parent / "real_bugs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.s"))


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    sources = {}
    for name in NAMES:
        text = (FOLDER / f"{name}.s").read_text()
        sources[f"{name}_broken"] = f".set FIXED, 0\n{text}"
        sources[f"{name}_fixed"] = f".set FIXED, 1\n{text}"
    return assemble_all(sources, tmp_path_factory.mktemp("real_bugs"))


def header(name: str, key: str) -> str:
    found = re.search(rf"^// {key}: (.*)$", (FOLDER / f"{name}.s").read_text(), re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize("name", NAMES)
def test_a_known_kind_of_bug_is_found(name: str, objects: dict[str, Path]) -> None:
    options = CheckOptions(header(name, "abi") or "linux")
    severity = header(name, "severity") or "error"
    expected = {tuple(item.strip().split(" ")) for item in header(name, "expect").split(",")}
    found = check_file(objects[f"{name}_broken"], options).at_least(severity)
    assert {(f.rule, *f.registers) for f in found} == expected
    assert all(f.steps and f.remedy for f in found)
    assert check_file(objects[f"{name}_fixed"], options).at_least("warning") == []


def test_there_are_enough_kinds() -> None:
    rules = {item.split()[0] for name in NAMES for item in header(name, "expect").split(",")}
    assert len(NAMES) >= 15 and len(rules) >= 9
