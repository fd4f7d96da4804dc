"""The assertion for other people's tests, and the pytest plugin that brings it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import callproof
from callproof.check import assert_calls_ok
from callproof.source import CallproofError
from tests.check.assembled import FRAME, LEAVE, assemble_all, function


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    sources = {
        "good": function("f", "add x0, x0, #1\nret"),
        "bad": function("f", "mov x19, x0\nret"),
        "doubtful": function("f", f"{FRAME}bl g\nadd x0, x0, x5\n{LEAVE}"),
    }
    return assemble_all(sources, tmp_path_factory.mktemp("plugin"))


def test_the_assertion(objects: dict[str, Path], tmp_path: Path) -> None:
    assert assert_calls_ok(objects["good"]).reports[0].functions == 1
    with pytest.raises(AssertionError, match=r"1 broken calls[\s\S]*error: CS1: x19"):
        assert_calls_ok(objects["bad"])
    assert_calls_ok(objects["bad"], rules="CR1 CR2")
    assert len(assert_calls_ok(objects["doubtful"]).findings) == 1
    with pytest.raises(AssertionError):
        assert_calls_ok(objects["doubtful"], fail_on="warning")
    allowed = tmp_path / "allowed.toml"
    allowed.write_text('[allow]\nf = "CS1"\n')
    assert assert_calls_ok(objects["bad"], allow=allowed).findings == []
    with pytest.raises(CallproofError, match="fail_on"):
        assert_calls_ok(objects["bad"], fail_on="never")


TESTS = """
import pytest

@pytest.mark.parametrize("name", ["good", "bad", "doubtful"])
def test_one(name, assert_calls_ok):
    assert_calls_ok(FOLDER + "/" + name + ".o")
"""


@pytest.mark.parametrize(
    ("settings", "failed"),
    [
        ("", {"bad"}),
        ("callproof_fail_on = warning", {"bad", "doubtful"}),
        ("callproof_allow = allowed.toml", set()),
    ],
)
def test_the_plugin(
    settings: str, failed: set[str], objects: dict[str, Path], tmp_path: Path
) -> None:
    folder = objects["good"].parent
    (tmp_path / "test_library.py").write_text(f"FOLDER = {str(folder)!r}\n{TESTS}")
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{settings}\n")
    (tmp_path / "allowed.toml").write_text('[allow]\n"*" = ["CS1(x19)"]\n')
    source = Path(callproof.__file__).parent.parent
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "callproof.pytest_plugin"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        # Named and not by its entry point: it works where Callproof is not installed, too.
        env={
            **os.environ,
            "PYTHONPATH": str(source),
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert {line.split("[")[1].split("]")[0] for line in lines} == failed, done.stdout
    assert done.returncode == bool(failed)
