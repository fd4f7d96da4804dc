"""pytest: the fixture `assert_calls_ok` checks what a build made.

    def test_the_library_keeps_to_the_convention(assert_calls_ok):
        assert_calls_ok("build/libkernels.so")

`callproof_abi`, `callproof_allow` and `callproof_fail_on` in pytest's configuration are
the defaults of its parameters; `callproof_allow` is a path from the configuration's folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from callproof.check import Result

SETTINGS = {
    "callproof_abi": "the profile for assert_calls_ok (linux)",
    "callproof_allow": "a TOML file of findings that are meant",
    "callproof_fail_on": "note, warning or error (error)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, text in SETTINGS.items():
        parser.addini(name, text, default="")


@pytest.fixture(scope="session")
def assert_calls_ok(pytestconfig: pytest.Config) -> Callable[..., Result]:
    """`callproof.check.assert_calls_ok`, with defaults from pytest's configuration."""
    from functools import partial

    from callproof.check import assert_calls_ok as check

    defaults: dict[str, object] = {}
    for name in SETTINGS:
        value = str(pytestconfig.getini(name))
        if value:
            defaults[name.removeprefix("callproof_")] = value
    if "allow" in defaults:
        defaults["allow"] = pytestconfig.rootpath / str(defaults["allow"])
    return partial(check, **defaults)  # type: ignore[arg-type]
