"""The checker on x86-64 code: assembly in, findings out; our own objects; broken variants."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from callproof.check import CheckOptions, check_bytes, check_file
from callproof.check.checker import Result
from callproof.check.report import as_json, text
from callproof.check.report_html import as_html
from callproof.check.report_sarif import as_sarif
from callproof.check.x64.effects import unknown_rows
from callproof.run.functions import encode_records
from callproof.source import CallproofError
from tests.check.x64_cases import CASES, RECORDS, UNEXPLORED, Wanted

CC = ["-target", "x86_64-linux-musl"]


def _source() -> str:
    parts = [".text"]
    bodies = {name: body for name, (body, _) in CASES.items()} | UNEXPLORED
    for name, body in bodies.items():
        parts.append(f".globl {name}\n.type {name},@function\n{name}:\n{body}\n")
        parts.append(f".size {name},.-{name}\n.p2align 4")
    parts.append('.section .callproof.functions,"",@progbits')
    for line in encode_records(RECORDS).decode().splitlines():
        parts.append(".ascii " + json.dumps(line + "\n"))
    return "\n".join(parts) + "\n"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    import sys

    folder = tmp_path_factory.mktemp("x64")
    (folder / "cases.s").write_text(_source())
    command = [sys.executable, "-m", "ziglang", "cc", *CC, "-c", "cases.s", "-o", "cases.o"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return check_file(folder / "cases.o", CheckOptions(listings=True))


@pytest.mark.parametrize("name", CASES)
def test_case(result: Result, name: str) -> None:
    found: list[Wanted] = [
        (one.rule, one.severity, ",".join(one.registers))
        for one in result.findings
        if one.function == name
    ]
    assert sorted(found) == sorted(CASES[name][1])
    assert name not in result.reports[0].unexplored


def test_what_cannot_be_followed_is_said(result: Result) -> None:
    (report,) = result.reports
    assert set(report.unexplored) == set(UNEXPLORED)
    assert not {one.function for one in result.findings} & set(UNEXPLORED)
    assert "0f a2" in report.unexplored["unknown_instruction"]
    assert report.functions == len(CASES) + len(UNEXPLORED)
