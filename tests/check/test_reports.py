"""The command line and the forms of its reports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.check.assembled import FRAME, LEAVE, assemble_all, function

RULES = "CS1 CS2 CR1 CR2 AR1 AR2 MV1 SP1 SP2 SP3 LR1 FP1 PL1 RL1 BT1".split()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    sources = {
        "good": function("f", "add x0, x0, #1\nret"),
        "bad": function("f", f"{FRAME}mov x9, x0\nbl g\nadd x0, x0, x9\n{LEAVE}")
        + function("h", "mov x19, x0\nret"),
        "doubtful": function("f", f"{FRAME}bl g\nadd x0, x0, x5\n{LEAVE}"),
    }
    return assemble_all(sources, tmp_path_factory.mktemp("reports"))


def check(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from callproof.cli import main; main()", "check"]
    return subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=False)


def test_exit_statuses(objects: dict[str, Path], tmp_path: Path) -> None:
    assert check(objects["good"]).returncode == 0
    assert check(objects["bad"]).returncode == 1
    assert check(objects["doubtful"]).returncode == 0
    assert check(objects["doubtful"], "--fail-on", "warning").returncode == 1
    nothing = tmp_path / "nothing"
    nothing.write_text("no code at all")
    for words in ((nothing,), (tmp_path / "missing",), (objects["good"], "--abi", "vax")):
        done = check(*words)
        assert done.returncode == 2, words
        assert "error:" in done.stderr and "Traceback" not in done.stderr
    assert check(objects["bad"], nothing).returncode == 2
    assert check().returncode == 2


def test_the_text_says_what_where_why_and_what_instead(objects: dict[str, Path]) -> None:
    lines = check(objects["bad"]).stdout.splitlines()
    assert lines[0] == f"{objects['bad']}: in f:"
    assert lines[1] == "  .text+0x10: error: CR1: x9 is read after a call that may change it"
    assert [line.split("// ")[1] for line in lines[2:5]] == [
        "the value is set here",
        "this call may change x9",
        "x9 is read here",
    ]
    assert lines[5].startswith("    clause: AAPCS64") and lines[6].startswith("    remedy: ")
    assert (
        lines[-1] == "2 functions in 1 files: 2 errors, 0 warnings, 0 notes; 0 unexplored in part"
    )


def test_json_baseline_and_suppressions(objects: dict[str, Path], tmp_path: Path) -> None:
    document = json.loads(check(objects["bad"], "--format", "json").stdout)
    (image,) = document["files"][0]["images"]
    assert [f["rule"] for f in image["findings"]] == ["CR1", "CS1"]
    assert image["functions"] == 2 and image["instructions"] == 9
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps(document))
    assert check(objects["bad"], "--baseline", baseline).returncode == 0
    allowed = tmp_path / "allowed.toml"
    allowed.write_text('[allow]\nf = ["CR1(x9)"]\n"h*" = "CS1"\n')
    assert check(objects["bad"], "--allow", allowed).returncode == 0
    allowed.write_text('[allow]\nf = ["CR1(x10)"]\n"h*" = "CS1"\n')
    assert check(objects["bad"], "--allow", allowed).returncode == 1
    allowed.write_text('[allow]\nf = ["XX9"]\n')
    done = check(objects["bad"], "--allow", allowed)
    assert done.returncode == 2 and "'XX9' is no rule" in done.stderr
    baseline.write_text("{}")
    assert check(objects["bad"], "--baseline", baseline).returncode == 2


def test_sarif(objects: dict[str, Path]) -> None:
    """What the schema of SARIF 2.1.0 demands of the parts that we write."""
    document = json.loads(check(objects["bad"], "--format", "sarif").stdout)
    assert document["version"] == "2.1.0" and document["$schema"].endswith("sarif-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == RULES
    assert all(rule["fullDescription"]["text"] for rule in driver["rules"])
    assert [result["ruleId"] for result in run["results"]] == ["CR1", "CS1"]
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        (location,) = result["locations"]
        assert " " not in location["physicalLocation"]["artifactLocation"]["uri"]
        assert location["physicalLocation"]["address"]["absoluteAddress"] > 0
        assert result["message"]["text"]
        (thread,) = result["codeFlows"][0]["threadFlows"]
        assert thread["locations"]
    assert run["invocations"][0]["executionSuccessful"] is True


def test_rules_are_chosen_and_explained(objects: dict[str, Path]) -> None:
    done = check(objects["bad"], "--rules", "LR1,FP1")
    assert done.returncode == 0
    assert check(objects["bad"], "--rules", "ZZ1").returncode == 2
    done = check("--explain", "CS1")
    assert done.returncode == 0 and "bad:" in done.stdout and "good:" in done.stdout
    assert check("--explain", "ZZ1").returncode == 2


def test_several_files_at_a_time_give_the_same(objects: dict[str, Path]) -> None:
    files = [objects["bad"], objects["good"], objects["doubtful"]]
    assert check(*files, "--jobs", 2).stdout == check(*files).stdout
