"""`callproof link` with plain words: read without the command line's library, as by it."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from callproof import driver
from callproof.cli import quick_link
from callproof.cli.app import app

PLAIN = [
    "a.o -o out",
    "--output out a.o b.a",
    "a.o --no-runtime --entry main --target x86_64-linux -o out b.o",
    "a.o -o out --runtime --no-gc-sections --build-id --eh-frame-hdr --relro",
    "a.o -o out --gc-sections",
]
NOT_PLAIN = ["", "a.o", "-o out", "a.o -o", "a.o -o -x", "a.o -oout", "a.o -o out -l m",
             "a.o -o out -o two", "a.o -o out --runtime --no-runtime", "-- a.o -o out",
             "--start-group a.a --end-group -o out", "a.o -o out --pie", "a.o -o out --entry=x",
             "a.o -o out --map m", "--help"]  # fmt: skip


@pytest.mark.parametrize("words", PLAIN)
def test_plain_words_mean_the_same(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(driver, "link_inputs", lambda *a, **named: seen.append((a, named)))
    request = quick_link.parse(words.split())
    assert request is not None
    quick_link.link(request)
    assert CliRunner().invoke(app, ["link", *words.split()]).exit_code == 0
    assert seen[0] == seen[1]


@pytest.mark.parametrize("words", NOT_PLAIN)
def test_all_else_is_left_to_the_library(words: str) -> None:
    assert quick_link.parse(words.split()) is None
