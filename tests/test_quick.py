"""`callproof build` with plain words: read without the command line's library, as by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from callproof import driver
from callproof.cli import quick
from callproof.cli.app import app

PLAIN = [
    "a.bcl",
    "a.bcl -o out",
    "--output out a.bcl b.bcl c.a",
    "-O0 a.sox --module-path one --module-path two",
    "-O1 a.bcl",
    "a.bcl -O2 --target x86_64-linux --emit obj",
    "--verify --poison --bounds-check --werror a.bcl -I x -I y",
    "a.bcl --linker system --time-passes",
    "a.bcl --no-cache --jobs 4",
    "a.sox --jobs 0",
]
NOT_PLAIN = ["", "--help", "-o out", "a.bcl -o", "a.bcl -O1 -O2", "a.bcl --emit=obj", "a.bcl -oout",
             "a.bcl -- b.bcl", "a.bcl --nonsense", "a.bcl -o one -o two", "a.bcl -o -O2",
             "a.sox --log-calls", "a.bcl --jobs -1", "a.bcl --jobs two", "a.bcl --jobs 1 --jobs 2",
             "a.bcl --jobs"]  # fmt: skip

Seen = tuple[list[Path], Path | None, str, driver.Options]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    found: list[Seen] = []

    def build(
        inputs: Sequence[Path], output: Path | None, emit: str, options: driver.Options
    ) -> tuple[Path, list[Any]]:
        found.append((list(inputs), output, emit, options))
        return Path("out"), []

    monkeypatch.setattr(driver, "build", build)
    monkeypatch.setattr("gc.disable", lambda: None)  # these processes go on
    monkeypatch.setattr("gc.freeze", lambda: None)
    return found


@pytest.mark.parametrize("words", PLAIN)
def test_plain_words_mean_the_same(words: str, built: list[Seen]) -> None:
    request = quick.parse(words.split())
    assert request is not None
    quick.build(request)
    assert CliRunner().invoke(app, ["build", *words.split()]).exit_code == 0
    assert built[0] == built[1]


@pytest.mark.parametrize("words", NOT_PLAIN)
def test_all_else_is_left_to_the_library(words: str) -> None:
    assert quick.parse(words.split()) is None
